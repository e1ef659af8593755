//! Operations beyond what their authors may.

use vereda_adversary::{
    Member, Office, forge,
    office::{assert_appended, op_refused},
};
use vereda_base::{ChainId, Digest, Timestamp};
use vereda_policy::{
    Beacon, Body, Chains, Create, DocumentKind, Expire, Member as Holder, Parent, ParentAuthority, Repair, Retention,
    Revoke, Role, SetRetention, Target,
};
use vereda_protocol::RefusalCode;
use vereda_sync::people::{NOW, Put};

fn office_with(role: Role) -> (Office, Member) {
    let mut office = Office::open();
    let member = office.join(office.team, role);
    (office, member)
}

/// Puts the same body by a member, who is refused for his role, and by the Manager, who is not.
fn only_the_manager(office: &mut Office, member: &mut Member, chain: ChainId, cites: &[ChainId], body: Body) {
    office.brief(member);
    let forged = forge::op(&member.person, chain, forge::cites(&member.person, cites), body.clone());
    assert_eq!(member.line.put(&forged), op_refused(RefusalCode::NotAuthorized), "{:?}", body.code());
    let put = office.manager.person.draft(chain, body);
    office.put_as_manager(&put);
}

#[test]
fn an_editor_gives_nobody_a_role_and_a_manager_does() {
    let (mut office, mut editor) = office_with(Role::Editor);
    let (team, user) = (office.team, editor.person.user());
    only_the_manager(&mut office, &mut editor, team, &[user], forge::grant(user, Role::Manager));
}

#[test]
fn an_editor_of_a_case_puts_it_before_nobody_and_a_manager_does() {
    let (mut office, mut editor) = office_with(Role::Editor);
    let other = office.join(office.agency, Role::Reader).person.user();
    let (team, user, case) = (office.team, editor.person.user(), office.case(office.team));
    only_the_manager(&mut office, &mut editor, case, &[team, user], forge::grant(other, Role::Reader));
}

#[test]
fn a_manager_of_a_team_has_no_say_in_the_agency() {
    let (mut office, mut leader) = office_with(Role::Manager);
    let (agency, team, user) = (office.agency, office.team, leader.person.user());
    office.brief(&mut leader);
    let own = forge::op(&leader.person, team, forge::cites(&leader.person, &[user]), forge::grant(user, Role::Editor));
    office.put(&mut leader, &own);
    only_the_manager(&mut office, &mut leader, agency, &[team, user], forge::grant(user, Role::Manager));
}

#[test]
fn a_manager_of_one_team_has_no_say_in_another() {
    let (mut office, mut leader) = office_with(Role::Manager);
    let (team, user, other) = (office.team, leader.person.user(), office.other_team());
    only_the_manager(&mut office, &mut leader, other, &[team, user], forge::grant(user, Role::Reader));
}

#[test]
fn a_case_gives_its_author_no_more_than_he_has_in_the_team() {
    let (mut office, mut editor) = office_with(Role::Editor);
    let user = editor.person.user();
    let begin = |office: &Office, editor: &Member, role| case_by(office, editor, office.team, user, role);
    assert_eq!(editor.line.put(&begin(&office, &editor, Role::Manager)), op_refused(RefusalCode::NotAuthorized));
    let honest = begin(&office, &editor, Role::Editor);
    office.put(&mut editor, &honest);
}

/// A case under a team, held by a user alone.
fn case_by(office: &Office, author: &Member, team: ChainId, holder: ChainId, role: Role) -> Put {
    let parents = vec![Parent { chain: team, authority: ParentAuthority::Full }];
    let (epoch, wraps) = forge::epoch(9, false, &[(Digest(holder.0), 0)]);
    let members = vec![Holder { subject: holder, role }];
    let create = Create::document(DocumentKind::Case, [role as u8; 16], parents, members, epoch);
    let cites = forge::cites(&author.person, &[team, office.team, author.person.user()]);
    let op = vereda_policy::Op {
        suite: 1,
        chain: None,
        seq: 0,
        prev: None,
        device: author.person.device(),
        cites,
        body: Body::Create(create),
    };
    forge::sign(&author.person, op, wraps)
}

#[test]
fn nobody_begins_a_case_under_a_team_or_before_people_that_are_not_his() {
    let (mut office, mut editor) = office_with(Role::Editor);
    let (user, other) = (editor.person.user(), office.other_team());
    let stranger = office.manager.person.user();
    office.brief(&mut editor);
    let under_another = case_by(&office, &editor, other, user, Role::Editor);
    assert_eq!(editor.line.put(&under_another), op_refused(RefusalCode::NotAuthorized));
    let before_another = case_by(&office, &editor, office.team, stranger, Role::Editor);
    assert_eq!(editor.line.put(&before_another), op_refused(RefusalCode::NotAuthorized));
    let own = case_by(&office, &editor, office.team, user, Role::Editor);
    office.put(&mut editor, &own);
}

#[test]
fn an_editor_begins_neither_a_team_nor_the_agencys_configuration() {
    let (mut office, mut editor) = office_with(Role::Editor);
    let (user, agency) = (editor.person.user(), office.agency);
    let team = office.manager.person.create_team(agency, &[(user, Role::Manager)]);
    let cites = forge::cites(&editor.person, &[agency, office.team, user]);
    let forged = forge::changed(&editor.person, &team, |op| op.cites.clone_from(&cites));
    assert_eq!(editor.line.put(&forged), op_refused(RefusalCode::NotAuthorized));
    assert_appended(&office.manager.line.put(&team));

    let book = |office: &mut Office| {
        let mut case = office.manager.person.create_case(office.team).op.value().clone();
        let Body::Create(create) = &mut case.body else { panic!("a Create") };
        create.document = Some(DocumentKind::Configuration);
        let (epoch, wraps) = forge::epoch(3, false, &[(Digest(office.team.0), 0)]);
        create.epoch = epoch;
        forge::sign(&office.manager.person, case, wraps)
    };
    let book = book(&mut office);
    let cites = forge::cites(&editor.person, &[office.team, user]);
    let forged = forge::changed(&editor.person, &book, |op| op.cites.clone_from(&cites));
    assert_eq!(editor.line.put(&forged), op_refused(RefusalCode::NotAuthorized));
    assert_appended(&office.manager.line.put(&book));
}

#[test]
fn an_editor_neither_erases_nor_sets_times_nor_says_beacons() {
    let (mut office, mut editor) = office_with(Role::Editor);
    let (agency, team, user, case) = (office.agency, office.team, editor.person.user(), office.case(office.team));
    let beacon = Body::Beacon(Beacon { time: NOW, heads: Vec::new() });
    only_the_manager(&mut office, &mut editor, agency, &[team, user], beacon);
    let retention = Body::SetRetention(SetRetention { what: Retention::Review, days: 1 });
    only_the_manager(&mut office, &mut editor, agency, &[team, user], retention);
    only_the_manager(&mut office, &mut editor, case, &[team, user], Body::Erase);
}

#[test]
fn whoever_forges_anothers_signature_or_hands_over_his_operation_is_refused() {
    let (mut office, mut editor) = office_with(Role::Editor);
    let grant = office.manager.person.draft(office.team, forge::grant(editor.person.user(), Role::Manager));
    assert_eq!(editor.line.put(&grant), op_refused(RefusalCode::NotAuthorized), "the Manager's, by another");
    let own = forge::op(&editor.person, office.team, Vec::new(), grant.op.value().body.clone());
    let forged = vereda_crypto::Signed::from_parts(grant.op.bytes().to_vec(), *own.op.signature());
    assert_eq!(office.manager.line.put_signed(forged, Vec::new()), op_refused(RefusalCode::BadSignature));
    office.put_as_manager(&grant);
}

#[test]
fn an_editor_ends_nobodys_role_and_a_manager_does() {
    let (mut office, mut editor) = office_with(Role::Editor);
    let (team, user) = (office.team, editor.person.user());
    let colleague = office.join(team, Role::Reader).person.user();
    office.brief(&mut editor);
    let revoke = |frontier| Body::Revoke(Revoke { subject: colleague, keeps: None, successor: None, frontier });
    let refusal = office.remove(&mut editor, team, &[user], revoke).unwrap_err();
    assert_eq!(refusal, op_refused(RefusalCode::NotAuthorized));
    office.remove_as_manager(team, &[office.manager.person.user()], revoke).unwrap();
}

#[test]
fn an_agency_keeps_a_manager_or_gets_another_with_the_same_stroke() {
    let (mut office, deputy) = office_with(Role::Reader);
    let (agency, user, deputy) = (office.agency, office.manager.person.user(), deputy.person.user());
    let revoke = |keeps, successor| move |frontier| Body::Revoke(Revoke { subject: user, keeps, successor, frontier });
    let mut refusal =
        |keeps, successor| office.remove_as_manager(agency, &[user], revoke(keeps, successor)).unwrap_err();
    assert_eq!(refusal(None, None), op_refused(RefusalCode::NobodyLeft), "leaving");
    assert_eq!(refusal(Some(Role::Editor), None), op_refused(RefusalCode::NobodyLeft), "stepping down");
    assert_eq!(refusal(None, Some(user)), op_refused(RefusalCode::NobodyLeft), "himself for a successor");
    office.remove_as_manager(agency, &[user], revoke(None, Some(deputy))).unwrap();
    assert_eq!(office.chains.chain(&agency).unwrap().standing_members(), [deputy]);
}

#[test]
fn a_reader_who_leaves_names_no_successor_and_steps_up_nowhere() {
    let (mut office, _) = office_with(Role::Reader);
    let agency = office.agency;
    let mut reader = office.join(agency, Role::Reader);
    let friend = office.join(agency, Role::Reader).person.user();
    office.brief(&mut reader);
    let user = reader.person.user();
    let revoke = |keeps, successor| move |frontier| Body::Revoke(Revoke { subject: user, keeps, successor, frontier });
    let refusals = [
        office.remove(&mut reader, agency, &[user], revoke(None, Some(friend))).unwrap_err(),
        office.remove(&mut reader, agency, &[user], revoke(Some(Role::Manager), None)).unwrap_err(),
    ];
    assert_eq!(refusals[0], op_refused(RefusalCode::NotAuthorized), "a friend for a Manager");
    assert!(matches!(refusals[1], vereda_protocol::OpOutcome::Refused(_)), "{:?}", refusals[1]);
    office.remove(&mut reader, agency, &[user], revoke(None, None)).unwrap();
    assert!(!office.chains.chain(&agency).unwrap().standing_members().contains(&user));
}

#[test]
fn a_role_is_not_called_expired_before_its_time() {
    let (mut office, reader) = office_with(Role::Reader);
    let (team, user) = (office.team, reader.person.user());
    let case = office.case(team);
    let expire = |frontier| Body::Expire(Expire { subject: user, frontier });
    let own = office.manager.person.user();
    let later = office.manager.person.draft(case, forge::grant_until(user, Role::Editor, Timestamp(i64::MAX)));
    office.put_as_manager(&later);
    let refusal = office.remove_as_manager(case, &[team, own], expire).unwrap_err();
    assert_eq!(refusal, op_refused(RefusalCode::Repeated), "nothing of his has expired");
    let guest = office.join(office.agency, Role::Reader).person.user();
    let passed = office.manager.person.draft(case, forge::grant_until(guest, Role::Reader, Timestamp(1)));
    office.put_as_manager(&passed);
    let expire = |frontier| Body::Expire(Expire { subject: guest, frontier });
    office.remove_as_manager(case, &[team, own], expire).unwrap();
}

#[test]
fn a_key_is_passed_on_to_members_once_and_by_members_only() {
    let (mut office, mut editor) = office_with(Role::Editor);
    let outsider = office.join(office.agency, Role::Reader);
    let (team, user) = (office.team, editor.person.user());
    let repair = |recipient: ChainId| {
        let (wraps, list) = forge::listed(vec![forge::wrap_to(Digest(recipient.0), 0)]);
        let targets = vec![Target { recipient: Digest(recipient.0), epoch: 0 }];
        (Body::Repair(Repair { epoch: 0, wraps, targets }), list)
    };
    let put = |by: &Member, (body, wraps): (Body, _)| {
        let cites = forge::cites(&by.person, &[by.person.user()]);
        Put { wraps, ..forge::op(&by.person, team, cites, body) }
    };
    office.brief(&mut editor);
    let mut outsider = outsider;
    office.brief(&mut outsider);
    let forged = put(&outsider, repair(user));
    assert_eq!(outsider.line.put(&forged), op_refused(RefusalCode::NotAuthorized), "by no member");
    let forged = put(&editor, repair(outsider.person.user()));
    let refusal = editor.line.put(&forged);
    assert!(matches!(refusal, vereda_protocol::OpOutcome::Refused(_)), "to no member: {refusal:?}");
    let honest = put(&office.manager, repair(user));
    office.put_as_manager(&honest);
    let again = put(&office.manager, repair(user));
    assert_eq!(office.manager.line.put(&again), op_refused(RefusalCode::Repeated));
}
