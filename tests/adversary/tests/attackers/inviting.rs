//! Invites that were stolen, used before, or are over.

use vereda_adversary::{
    Office, forge,
    office::{assert_appended, op_refused},
};
use vereda_base::Timestamp;
use vereda_policy::{Accept, Body, CancelInvite, Invite, Role};
use vereda_protocol::{Credential, Goodbye, RefusalCode};
use vereda_sync::people::{NOW, Person, invite_key};

#[test]
fn an_invite_without_its_secret_opens_nothing() {
    let mut office = Office::open();
    let (thief, guest) = (office.stranger(), office.stranger());
    let invite = office.invite(office.team, Role::Reader, 50);
    let mut line = office.line();
    let guessed = thief.credential(&line.opening, office.team, invite, 51);
    assert_eq!(line.enter(&thief, guessed), Err(Goodbye::BadAuth));
    office.join_by(guest, office.team, invite, 50).map(drop).unwrap();
}

#[test]
fn a_proof_of_an_invite_that_was_overheard_opens_nothing_for_another_device() {
    let mut office = Office::open();
    let (thief, guest) = (office.stranger(), office.stranger());
    let invite = office.invite(office.team, Role::Reader, 50);
    let mut line = office.line();
    let overheard = guest.credential(&line.opening, office.team, invite, 50);
    assert_eq!(line.enter(&thief, overheard.clone()), Err(Goodbye::BadAuth));
    let mut later = office.line();
    assert_eq!(later.enter(&guest, overheard), Err(Goodbye::BadAuth), "for another challenge");
    office.join_by(guest, office.team, invite, 50).map(drop).unwrap();
}

#[test]
fn an_invite_lets_in_one_person() {
    let mut office = Office::open();
    let (first, second) = (office.stranger(), office.stranger());
    let invite = office.invite(office.team, Role::Reader, 50);
    office.join_by(first, office.team, invite, 50).map(drop).unwrap();
    let again = office.join_by(second.clone(), office.team, invite, 50).map(drop);
    assert_eq!(again, Err(Goodbye::InviteSpent));
    let another = office.invite(office.team, Role::Reader, 51);
    office.join_by(second, office.team, another, 51).map(drop).unwrap();
}

#[test]
fn an_acceptance_made_for_one_user_brings_in_no_other() {
    let mut office = Office::open();
    let invite = office.invite(office.team, Role::Manager, 50);
    // A member of the agency who wants to be Manager of the team, and a guest who is meant to be.
    let mut thief = office.join(office.agency, Role::Reader);
    let mut guest = office.join(office.agency, Role::Reader);
    office.brief(&mut thief);
    let honest = Accept::with_key(invite, guest.person.user(), guest.person.device(), &invite_key(50));
    let stolen = Accept { user: thief.person.user(), ..honest.clone() };
    let path = [thief.person.user()];
    let forged = forge::op(&thief.person, office.team, forge::cites(&thief.person, &path), Body::Accept(stolen));
    assert_eq!(thief.line.put(&forged), op_refused(RefusalCode::BadSignature));
    let path = [guest.person.user()];
    let for_guest =
        forge::op(&thief.person, office.team, forge::cites(&thief.person, &path), Body::Accept(honest.clone()));
    let refusal = thief.line.put(&for_guest);
    assert!(matches!(refusal, vereda_protocol::OpOutcome::Refused(_)), "{refusal:?}");
    let accept = guest.person.draft(office.team, Body::Accept(honest));
    office.put(&mut guest, &accept);
}

#[test]
fn an_invite_that_was_withdrawn_or_is_over_is_worth_nothing() {
    let mut office = Office::open();
    let [first, second, third] = [office.stranger(), office.stranger(), office.stranger()];
    let withdrawn = office.invite(office.team, Role::Reader, 50);
    let cancel = office.manager.person.draft(office.team, Body::CancelInvite(CancelInvite { invite: withdrawn }));
    office.put_as_manager(&cancel);
    let refusal = office.join_by(first, office.team, withdrawn, 50).map(drop);
    assert_eq!(refusal, Err(Goodbye::InviteSpent));
    let over = office.manager.person.invite(office.team, Role::Reader, 51, Timestamp(1));
    office.put_as_manager(&over);
    let refusal = office.join_by(second, office.team, over.id(), 51).map(drop);
    assert_eq!(refusal, Err(Goodbye::InviteSpent));
    let open = office.invite(office.team, Role::Reader, 52);
    office.join_by(third, office.team, open, 52).map(drop).unwrap();
}

#[test]
fn an_editor_invites_nobody_and_withdraws_no_invite() {
    let mut office = Office::open();
    let mut editor = office.join(office.team, Role::Editor);
    let invite = office.invite(office.team, Role::Reader, 50);
    let offer = Invite { key: invite_key(60).device_id(), role: Role::Manager, expires: NOW };
    for body in [Body::Invite(offer), Body::CancelInvite(CancelInvite { invite })] {
        office.brief(&mut editor);
        let cites = forge::cites(&editor.person, &[editor.person.user()]);
        let forged = forge::op(&editor.person, office.team, cites, body.clone());
        assert_eq!(editor.line.put(&forged), op_refused(RefusalCode::NotAuthorized));
        let honest = office.manager.person.draft(office.team, body);
        office.put_as_manager(&honest);
    }
}

#[test]
fn a_guest_makes_one_user_and_writes_nothing_else() {
    let mut office = Office::open();
    let case = office.case(office.team);
    let mut guest = office.stranger();
    let invite = office.invite(office.team, Role::Manager, 50);
    let mut line = office.line();
    let credential = guest.credential(&line.opening, office.team, invite, 50);
    line.enter(&guest, credential).unwrap();
    line.pull();
    guest.chains = office.chains.clone();
    let user = guest.create_user();
    assert_appended(&line.put(&user));
    let second = guest.create_user();
    assert_eq!(line.put(&second), op_refused(RefusalCode::NotAuthorized));
    guest.user = Some(user.chain());
    let cites = forge::cites(&guest, &[user.chain()]);
    let grant = forge::op(&guest, office.team, cites.clone(), forge::grant(user.chain(), Role::Manager));
    assert_eq!(line.put(&grant), op_refused(RefusalCode::NotAuthorized));
    let mut header = guest.header(case, 0, None, &[], 300);
    header.cites = forge::cites(&guest, &[case, office.team, user.chain()]);
    let chunk = guest.seal(&header, 300);
    assert_eq!(line.put_chunk(&chunk), vereda_adversary::office::refused(RefusalCode::NotAuthorized));
    let accept = guest.accept(office.team, invite, 50);
    assert_appended(&line.put(&accept));
    header.cites = forge::cites(&guest, &[case, office.team, user.chain()]);
    assert_eq!(line.put_chunk(&guest.seal(&header, 300)), vereda_protocol::ChunkOutcome::Durable);
}

#[test]
fn a_founding_proof_is_good_on_its_own_connection_for_its_own_device_only() {
    let mut office = Office::open();
    let (thief, founder) = (office.stranger(), office.stranger());
    let secret = office.founding_secret();
    let mut line = office.line();
    let overheard = vereda_protocol::founding_credential(&line.opening, &founder.device(), &secret);
    assert_eq!(line.enter(&thief, overheard.clone()), Err(Goodbye::BadAuth));
    let mut later = office.line();
    assert_eq!(later.enter(&founder, overheard), Err(Goodbye::BadAuth));
    let mut right = office.line();
    let credential = vereda_protocol::founding_credential(&right.opening, &founder.device(), &secret);
    right.enter(&founder, credential).unwrap();
}

#[test]
fn who_belongs_nowhere_is_not_let_in_and_whoever_joined_is() {
    let mut office = Office::open();
    let stranger: Person = office.stranger();
    assert_eq!(office.line().enter(&stranger, Credential::Member), Err(Goodbye::UnknownDevice));
    let invite = office.invite(office.team, Role::Reader, 50);
    let mut member = office.join_by(stranger, office.team, invite, 50).unwrap();
    office.reconnect(&mut member);
}
