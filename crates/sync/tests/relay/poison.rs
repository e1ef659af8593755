//! What one member hands in so that others can go no further, and what a removed one prepared: refused, and the relay goes
//! on.

use std::time::Duration;

use vereda_base::ChainId;
use vereda_crypto::{DeviceKey, Verified};
use vereda_policy::{
    Assign, BadRotate, Body, Chains, Cite, DocumentKind, Draft, EpochFault, Invite, Parent, ParentAuthority, Role,
};
use vereda_protocol::{ChunkOutcome, Goodbye, OpOutcome, PolicyEntry, RefusalCode};
use vereda_sync::people::{NOW, Person, Put};
use vereda_sync::relay::{Input, SessionId};

use super::room::{Room, assert_appended, entries, learn, op_ids, refused, revoke};

/// A manager and a member of a team.
struct Team {
    room: Room,
    manager: Person,
    desk: SessionId,
    agency: ChainId,
    member: Person,
    line: SessionId,
    team: ChainId,
}

impl Team {
    fn new(role: Role) -> Self {
        let (mut room, mut manager, desk, agency) = Room::founded();
        let made = manager.create_team(agency, &[(manager.user(), Role::Manager)]);
        assert_appended(&room.put(desk, &made));
        let team = made.chain();
        let (mut member, line) = room.join((&mut manager, desk), team, role, 2);
        learn(&mut member, &room.take(line));
        Self { room, manager, desk, agency, member, line, team }
    }
}

#[test]
fn nobody_has_others_wait_for_a_document_that_they_may_not_see() {
    let mut team = Team::new(Role::Editor);
    let private = team.member.create_case(team.member.user());
    assert_appended(&team.room.put(team.line, &private));
    let honest = team.member.draft(team.team, Body::BadRotate(BadRotate { epoch: 0, fault: EpochFault::Wrap }));
    let mut op = honest.op.value().clone();
    op.cites.push(Cite { chain: private.chain(), head: team.member.chains.chain(&private.chain()).unwrap().head() });
    op.cites.sort_unstable();
    let op = Verified::sign(&team.member.key, op).unwrap();
    let put = Put { op, wraps: Vec::new() };
    assert_eq!(team.room.put(team.line, &put), OpOutcome::Refused(RefusalCode::NotAuthorized));
    // Nor with what he writes.
    let case = team.room.case((&mut team.manager, team.desk), team.team);
    learn(&mut team.member, &team.room.take(team.line));
    let head = team.member.chains.chain(&private.chain()).unwrap().head();
    let mut header = team.member.header(case, 0, None, &[], 300);
    header.cites.push(Cite { chain: private.chain(), head });
    header.cites.sort_unstable();
    let chunk = team.member.seal(&header, 300);
    assert_eq!(team.room.put_chunk(team.line, &chunk), refused(RefusalCode::NotAuthorized));
    assert_appended(&team.room.put(team.line, &honest));
}

#[test]
fn a_chunk_whose_changes_count_beyond_all_bounds_is_refused() {
    let mut team = Team::new(Role::Editor);
    let case = team.room.case((&mut team.manager, team.desk), team.team);
    learn(&mut team.member, &team.room.take(team.line));
    let mut header = team.member.header(case, 0, None, &[], 300);
    let honest = team.member.seal(&header, 300);
    header.first_change = u64::MAX;
    let endless = team.member.seal(&header, 300);
    assert_eq!(team.room.put_chunk(team.line, &endless), refused(RefusalCode::Malformed));
    assert_eq!(team.room.put_chunk(team.line, &honest), ChunkOutcome::Durable);
}

#[test]
fn an_adoption_that_would_let_in_nobody_is_refused_and_the_relay_goes_on() {
    let mut team = Team::new(Role::Editor);
    // A section: the team may only revoke there.
    let like = team.member.clone().create_case(team.member.user());
    let Body::Create(mut create) = like.op.value().body.clone() else { panic!("a case is begun") };
    create.parents = vec![Parent { chain: team.team, authority: ParentAuthority::RevokeOnly }];
    let draft = Draft::new(&team.member.chains, team.member.device(), None);
    let section = Put { op: draft.sign_create(&team.member.key, create).unwrap(), wraps: like.wraps };
    let user = team.member.user();
    revoke(&mut team.room, (&mut team.manager, team.desk), team.team, user);
    assert_eq!(team.room.put(team.line, &section), OpOutcome::InReview);
    let adopt =
        |manager: &mut Person, holder, role| manager.adopt_document(team.team, section.chain(), &[(holder, role)], &[]);
    let nobody = adopt(&mut team.manager.clone(), team.team, Role::Editor);
    assert_eq!(team.room.put(team.desk, &nobody), OpOutcome::Refused(RefusalCode::NobodyLeft));
    let somebody = adopt(&mut team.manager, user, Role::Editor);
    assert_appended(&team.room.put(team.desk, &somebody));
}

#[test]
fn who_was_put_out_does_not_come_back_by_an_invite_that_he_made_before() {
    let mut team = Team::new(Role::Manager);
    let invite = team.member.invite(team.team, Role::Manager, 9, NOW.saturating_add(Duration::from_secs(3_600)));
    assert_appended(&team.room.put(team.line, &invite));
    team.manager.learn(&invite.op);
    let mut friend = Person::new(9);
    friend.chains = team.manager.chains.clone();
    let shown = friend.clone();
    let id = team.room.connect(&friend, |opening| shown.credential(opening, team.team, invite.id(), 9));
    let joining = friend.create_user();
    assert_appended(&team.room.put(id, &joining));
    let user = team.member.user();
    revoke(&mut team.room, (&mut team.manager, team.desk), team.team, user);
    assert_eq!(team.room.goodbye(id), Some(Goodbye::InviteSpent));
    let again = team.room.connect(&friend, |opening| shown.credential(opening, team.team, invite.id(), 9));
    assert_eq!(team.room.goodbye(again), Some(Goodbye::InviteSpent));
    // Nor does somebody by it who is in already.
    let (mut known, line) = team.room.join((&mut team.manager, team.desk), team.agency, Role::Reader, 3);
    known.chains = team.manager.chains.clone();
    let accept = known.accept(team.team, invite.id(), 9);
    assert_eq!(team.room.put(line, &accept), OpOutcome::Refused(RefusalCode::InviteSpent));
}

#[test]
fn who_was_put_out_while_away_can_judge_it_also_where_others_came_meanwhile() {
    let mut team = Team::new(Role::Editor);
    let away = team.member.clone();
    team.room.input(Input::Closed(team.line));
    let (mut newcomer, line) = team.room.join((&mut team.manager, team.desk), team.team, Role::Editor, 3);
    learn(&mut newcomer, &team.room.take(line));
    let user = away.user();
    let removal = revoke(&mut team.room, (&mut team.manager, team.desk), team.team, user);
    let later = team.manager.invite(team.team, Role::Reader, 7, NOW.saturating_add(Duration::from_secs(60)));
    assert_appended(&team.room.put(team.desk, &later));
    let mut again = away.clone();
    let line = team.room.connect_member(&again);
    let downs = team.room.pull(line, 0, 0);
    learn(&mut again, &downs);
    let state = again.chains.chain(&team.team).unwrap();
    assert_eq!(state.head(), removal.id(), "it judges all up to its own removal, and is told nothing after it");
    assert!(again.chains.chain(&newcomer.user()).is_some());
}

#[test]
fn who_was_put_out_does_not_let_himself_in_by_a_document_of_his_own() {
    for is_before in [true, false] {
        let mut team = Team::new(Role::Editor);
        let user = team.member.user();
        if is_before {
            let earlier = team.member.create_case(user);
            assert_appended(&team.room.put(team.line, &earlier));
        }
        revoke(&mut team.room, (&mut team.manager, team.desk), team.team, user);
        learn(&mut team.member, &team.room.take(team.line));
        let private = team.member.create_case(user);
        assert_eq!(team.room.put(team.line, &private), OpOutcome::Refused(RefusalCode::NotAuthorized));
        let next = team.manager.invite(team.team, Role::Reader, 8, NOW.saturating_add(Duration::from_secs(60)));
        assert_appended(&team.room.put(team.desk, &next));
        assert_eq!(op_ids(&team.room.take(team.line)), []);
        let again = team.room.connect_member(&team.member);
        assert!(!op_ids(&team.room.pull(again, 0, 0)).contains(&next.id()));
        let other = team.member.create_case(user);
        assert_eq!(team.room.put(again, &other), OpOutcome::Refused(RefusalCode::NotAuthorized));
    }
}

#[test]
fn a_guest_who_never_accepts_begins_nothing_and_is_served_nothing_once_the_invite_is_withdrawn() {
    let mut team = Team::new(Role::Manager);
    let invite = team.manager.invite(team.team, Role::Reader, 9, NOW.saturating_add(Duration::from_secs(60)));
    assert_appended(&team.room.put(team.desk, &invite));
    let mut guest = Person::new(9);
    guest.chains = team.manager.chains.clone();
    let shown = guest.clone();
    let id = team.room.connect(&guest, |opening| shown.credential(opening, team.team, invite.id(), 9));
    let joining = guest.create_user();
    assert_appended(&team.room.put(id, &joining));
    let private = guest.create_case(guest.user());
    assert_eq!(team.room.put(id, &private), OpOutcome::Refused(RefusalCode::NotAuthorized));
    let cancel = team.manager.cancel(team.team, invite.id());
    assert_appended(&team.room.put(team.desk, &cancel));
    let again = team.room.connect_member(&guest);
    team.room.pull(again, 0, 0);
    // Whose user belongs to nothing begins nothing either.
    assert_eq!(team.room.put(again, &private), OpOutcome::Refused(RefusalCode::NotAuthorized));
    let next = team.manager.invite(team.team, Role::Reader, 8, NOW.saturating_add(Duration::from_secs(60)));
    assert_appended(&team.room.put(team.desk, &next));
    assert_eq!(op_ids(&team.room.take(again)), []);
}

#[test]
fn who_is_manager_of_a_document_by_himself_brings_nobody_in_from_outside() {
    let mut team = Team::new(Role::Editor);
    let user = team.member.user();
    let private = team.member.create_case(user);
    assert_appended(&team.room.put(team.line, &private));
    // As his own client would not sign it.
    let mut op = team.member.clone().grant(private.chain(), user, Role::Manager).op.value().clone();
    let expires = NOW.saturating_add(Duration::from_secs(3_600));
    let key = DeviceKey::from_seed(&[9; 32]).device_id();
    op.body = Body::Invite(Invite { key, role: Role::Manager, expires });
    let invite = Put { op: Verified::sign(&team.member.key, op).unwrap(), wraps: Vec::new() };
    assert_eq!(team.room.put(team.line, &invite), OpOutcome::Refused(RefusalCode::NotAuthorized));
    // A Manager of its team may.
    let case = team.room.case((&mut team.manager, team.desk), team.team);
    let invite = team.manager.invite(case, Role::Reader, 9, expires);
    assert_appended(&team.room.put(team.desk, &invite));
}

#[test]
fn nobody_puts_a_section_before_those_of_a_team_that_is_none_of_his() {
    let mut team = Team::new(Role::Editor);
    let agency = team.manager.chains.chain(&team.team).unwrap().parents().next().unwrap().chain;
    let other = team.manager.create_team(agency, &[(team.manager.user(), Role::Manager)]);
    assert_appended(&team.room.put(team.desk, &other));
    learn(&mut team.member, &team.room.take(team.line));
    let user = team.member.user();
    team.room.take(team.desk);
    for (foreign, own) in [(other.chain(), ParentAuthority::RevokeOnly), (other.chain(), ParentAuthority::Full)] {
        let like = team.member.create_case(user);
        let mut op = like.op.value().clone();
        let Body::Create(create) = &mut op.body else { panic!("a case is begun") };
        create.document = Some(DocumentKind::Section);
        create.parents = vec![
            Parent { chain: user, authority: own },
            Parent { chain: foreign, authority: ParentAuthority::RevokeOnly },
        ];
        create.parents.sort_unstable();
        op.cites.push(Cite { chain: foreign, head: team.member.chains.chain(&foreign).unwrap().head() });
        op.cites.sort_unstable();
        let section = Put { op: Verified::sign(&team.member.key, op).unwrap(), wraps: like.wraps };
        assert_eq!(team.room.put(team.line, &section), OpOutcome::Refused(RefusalCode::NotAuthorized));
    }
    assert_eq!(op_ids(&team.room.take(team.desk)), []);
    let own = team.member.create_section(team.team, Role::Editor);
    assert_appended(&team.room.put(team.line, &own));
}

fn with_parents(team: &mut Team, kind: DocumentKind, parents: &[(ChainId, ParentAuthority)]) -> Put {
    let user = team.member.user();
    let like = team.member.clone().create_case(user);
    let mut op = like.op.value().clone();
    let Body::Create(create) = &mut op.body else { panic!("a case is begun") };
    create.document = Some(kind);
    create.parents = parents_of(parents);
    for (chain, _) in parents.iter().filter(|(chain, _)| *chain != user) {
        op.cites.push(cite(team, *chain));
    }
    op.cites.sort_unstable();
    let put = Put { op: Verified::sign(&team.member.key, op).unwrap(), wraps: like.wraps };
    team.member.learn(&put.op);
    put
}

fn parents_of(parents: &[(ChainId, ParentAuthority)]) -> Vec<Parent> {
    let mut parents: Vec<_> =
        parents.iter().map(|(chain, authority)| Parent { chain: *chain, authority: *authority }).collect();
    parents.sort_unstable();
    parents
}

fn cite(team: &Team, chain: ChainId) -> Cite {
    Cite { chain, head: team.member.chains.chain(&chain).unwrap().head() }
}

/// A body by the member as his own client would not sign it, citing these chains too.
fn forced(team: &Team, chain: ChainId, body: Body, cited: &[ChainId]) -> Put {
    let user = team.member.user();
    let mut op = team.member.clone().grant(chain, user, Role::Manager).op.value().clone();
    op.cites.extend(cited.iter().map(|chain| cite(team, *chain)));
    op.cites.sort_unstable();
    op.cites.dedup();
    op.body = body;
    Put { op: Verified::sign(&team.member.key, op).unwrap(), wraps: Vec::new() }
}

fn assigned(parents: &[(ChainId, ParentAuthority)]) -> Body {
    let (frontier, parents) = (vereda_sync::people::nothing_stands(), Some(parents_of(parents)));
    Body::Assign(Assign { gives: Vec::new(), takes: Vec::new(), parents, sections: Vec::new(), frontier })
}

#[test]
fn nobody_gives_a_document_a_team_that_is_none_of_his_by_assigning_it() {
    let mut team = Team::new(Role::Reader);
    let user = team.member.user();
    let other = team.manager.create_team(team.agency, &[(team.manager.user(), Role::Manager)]);
    assert_appended(&team.room.put(team.desk, &other));
    learn(&mut team.member, &team.room.take(team.line));
    let own = with_parents(&mut team, DocumentKind::Section, &[(user, ParentAuthority::Full)]);
    assert_appended(&team.room.put(team.line, &own));
    team.room.take(team.desk);
    for authority in [ParentAuthority::RevokeOnly, ParentAuthority::Full] {
        let body = assigned(&[(user, ParentAuthority::Full), (other.chain(), authority)]);
        let assign = forced(&team, own.chain(), body, &[other.chain()]);
        assert_eq!(team.room.put(team.line, &assign), OpOutcome::Refused(RefusalCode::NotAuthorized));
    }
    assert_eq!(op_ids(&team.room.take(team.desk)), []);
    // Before his own team's Managers he might have put it as he began it.
    let body = assigned(&[(user, ParentAuthority::Full), (team.team, ParentAuthority::RevokeOnly)]);
    let assign = forced(&team, own.chain(), body, &[team.team]);
    assert_appended(&team.room.put(team.line, &assign));
}

#[test]
fn a_manager_of_one_case_does_not_bring_his_own_team_in_over_it() {
    let mut team = Team::new(Role::Editor);
    let user = team.member.user();
    let other = team.manager.create_team(team.agency, &[(user, Role::Manager)]);
    assert_appended(&team.room.put(team.desk, &other));
    let case = team.room.case((&mut team.manager, team.desk), team.team);
    let grant = team.manager.grant(case, user, Role::Manager);
    assert_appended(&team.room.put(team.desk, &grant));
    learn(&mut team.member, &team.room.take(team.line));
    let expires = NOW.saturating_add(Duration::from_secs(3_600));
    let key = DeviceKey::from_seed(&[9; 32]).device_id();
    let invite =
        |team: &Team| forced(team, case, Body::Invite(Invite { key, role: Role::Manager, expires }), &[other.chain()]);
    let refused = OpOutcome::Refused(RefusalCode::NotAuthorized);
    let first = invite(&team);
    assert_eq!(team.room.put(team.line, &first), refused);
    let old: Vec<_> = team.member.chains.chain(&case).unwrap().parents().copied().collect();
    for authority in [ParentAuthority::RevokeOnly, ParentAuthority::Full] {
        let mut parents: Vec<_> = old.iter().map(|parent| (parent.chain, parent.authority)).collect();
        parents.push((other.chain(), authority));
        let assign = forced(&team, case, assigned(&parents), &[other.chain()]);
        assert_eq!(team.room.put(team.line, &assign), refused);
        let again = invite(&team);
        assert_eq!(team.room.put(team.line, &again), refused);
    }
}

#[test]
fn who_was_put_out_is_not_kept_in_by_a_document_that_he_prepared_before() {
    for is_granted in [false, true] {
        let mut team = Team::new(Role::Reader);
        let user = team.member.user();
        let parents = [(user, ParentAuthority::Full), (team.team, ParentAuthority::RevokeOnly)];
        let planted = with_parents(&mut team, DocumentKind::Case, &parents);
        assert_appended(&team.room.put(team.line, &planted));
        if is_granted {
            // Whom a Manager of the team names stays, for that document.
            let case = team.room.case((&mut team.manager, team.desk), team.team);
            let grant = team.manager.grant(case, user, Role::Reader);
            assert_appended(&team.room.put(team.desk, &grant));
        }
        revoke(&mut team.room, (&mut team.manager, team.desk), team.team, user);
        learn(&mut team.member, &team.room.take(team.line));
        let next = team.manager.invite(team.team, Role::Reader, 8, NOW.saturating_add(Duration::from_secs(60)));
        assert_appended(&team.room.put(team.desk, &next));
        assert_eq!(op_ids(&team.room.take(team.line)).contains(&next.id()), is_granted);
        let again = team.room.connect_member(&team.member);
        assert_eq!(op_ids(&team.room.pull(again, 0, 0)).contains(&next.id()), is_granted);
        let other = team.member.create_case(user);
        let outcome = team.room.put(again, &other);
        assert_eq!(matches!(outcome, OpOutcome::Appended(_)), is_granted, "{outcome:?}");
    }
}

/// A case that a member begins under these parents, one of them his own user, for himself.
fn case_under(team: &Team, parents: &[(ChainId, ParentAuthority)]) -> Put {
    let user = team.member.user();
    let like = team.member.clone().create_case(user);
    let Body::Create(mut create) = like.op.value().body.clone() else { panic!("a case is begun") };
    create.parents = parents.iter().map(|(chain, authority)| Parent { chain: *chain, authority: *authority }).collect();
    create.parents.sort_unstable();
    let draft = Draft::new(&team.member.chains, team.member.device(), None);
    Put { op: draft.sign_create(&team.member.key, create).unwrap(), wraps: like.wraps }
}

#[test]
fn who_was_put_out_decides_on_nothing_that_his_team_has_a_say_in() {
    for of_team in [ParentAuthority::RevokeOnly, ParentAuthority::Full] {
        let mut team = Team::new(Role::Editor);
        let user = team.member.user();
        let late = case_under(&team, &[(user, ParentAuthority::Full), (team.team, of_team)]);
        revoke(&mut team.room, (&mut team.manager, team.desk), team.team, user);
        team.room.take(team.desk);
        assert_eq!(team.room.put(team.line, &late), OpOutcome::InReview);
        let waits = |entry: &PolicyEntry| matches!(entry, PolicyEntry::ReviewDocument { .. });
        assert!(entries(&team.room.take(team.desk)).iter().any(waits), "the team's Manager decides");
        assert!(!entries(&team.room.take(team.line)).iter().any(waits));
        let adopt =
            |person: &mut Person, chain| person.adopt_document(chain, late.chain(), &[(user, Role::Editor)], &[]);
        let by_himself = adopt(&mut team.member.clone(), user);
        assert_eq!(team.room.put(team.line, &by_himself), OpOutcome::Refused(RefusalCode::NotAuthorized));
        assert_eq!(op_ids(&team.room.take(team.desk)), []);
        let by_manager = adopt(&mut team.manager, team.team);
        assert_appended(&team.room.put(team.desk, &by_manager));
    }
}
