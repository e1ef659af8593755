//! Reading without a grant.

use vereda_policy::Role;
use vereda_protocol::{ChunkOutcome, PolicyEntry, Position, Up};
use vereda_sync::people::link_of;

use vereda_adversary::{
    Office, forge,
    office::{assert_appended, op_refused},
};

#[test]
fn a_member_hears_nothing_of_a_case_that_is_not_his_until_it_is_granted() {
    let mut office = Office::open();
    let mut worker = office.join(office.team, Role::Editor);
    let other = office.other_team();
    let case = office.case(other);
    let first = office.manager.person.chunk(case, 0, None, &[], 300);
    assert_eq!(office.manager.line.put_chunk(&first), ChunkOutcome::Durable);
    worker.fence();
    assert!(!worker.line.heard_of(&case));
    office.reconnect(&mut worker);
    worker.fence();
    assert!(!worker.line.heard_of(&case), "nor when everything is asked for");

    let grant = office.manager.person.grant(case, worker.person.user(), Role::Reader);
    office.put_as_manager(&grant);
    let second = office.manager.person.chunk(case, 1, Some(link_of(&first)), &[link_of(&first)], 300);
    assert_eq!(office.manager.line.put_chunk(&second), ChunkOutcome::Durable);
    worker.line.hear_chunk(&second);
    office.reconnect(&mut worker);
    worker.line.hear_chunk(&first);
}

#[test]
fn a_backfill_of_a_case_that_is_not_his_gives_nothing_and_of_his_own_everything() {
    let mut office = Office::open();
    let mut worker = office.join(office.team, Role::Editor);
    let other = office.other_team();
    let [theirs, ours] = [office.case(other), office.case(office.team)];
    let chunks = [theirs, ours].map(|case| office.manager.person.chunk(case, 0, None, &[], 300));
    chunks.iter().for_each(|chunk| assert_eq!(office.manager.line.put_chunk(chunk), ChunkOutcome::Durable));
    worker.line.hear_chunk(&chunks[1]);
    worker.line.heard.clear();
    for document in [theirs, ours] {
        worker.line.say(&Up::Backfill { document, after: Position(0), upto: Position(1_000) });
    }
    worker.line.hear_chunk(&chunks[1]);
    worker.fence();
    assert!(!worker.line.heard_of(&theirs));
}

#[test]
fn a_member_is_sent_the_wraps_of_his_own_groups_and_of_nobody_else() {
    let mut office = Office::open();
    let mut worker = office.join(office.team, Role::Editor);
    let other = office.other_team();
    let [theirs, ours] = [office.case(other), office.case(office.team)];
    office.reconnect(&mut worker);
    let wraps: Vec<_> = worker.line.entries().into_iter().filter_map(wrap_of).collect();
    let own = [worker.person.device().0, worker.person.user().0, office.team.0];
    assert!(wraps.iter().all(|(_, recipient)| own.contains(recipient)), "{wraps:?}");
    assert!(!wraps.iter().any(|(chain, _)| *chain == theirs));
    assert!(wraps.contains(&(ours, office.team.0)) && wraps.contains(&(worker.person.user(), own[0])));
}

fn wrap_of(entry: PolicyEntry) -> Option<(vereda_base::ChainId, [u8; 32])> {
    match entry {
        PolicyEntry::Wrap { chain, wrap, .. } => Some((chain, wrap.recipient.0)),
        _ => None,
    }
}

#[test]
fn agencies_of_one_relay_neither_see_nor_name_one_another() {
    let mut office = Office::open();
    let case = office.case(office.team);
    let mut colleague = office.join(office.team, Role::Reader);
    let (mut founder, agency) = office.found_another();
    office.reconnect(&mut founder);
    for chain in [office.agency, office.team, case, office.manager.person.user()] {
        assert!(!founder.line.heard_of(&chain));
    }
    assert!(founder.line.heard_of(&agency));
    office.reconnect(&mut colleague);
    assert!(colleague.line.heard_of(&case), "who belongs here sees it");

    // A team of the one agency that names a user of the other would let its people meet.
    founder.person.learn(&office.manager.begun.op);
    let members = [(founder.person.user(), Role::Manager), (office.manager.person.user(), Role::Reader)];
    let team = founder.person.create_team(agency, &members);
    assert_eq!(founder.line.put(&team), op_refused(vereda_protocol::RefusalCode::NotAuthorized));
    let team = founder.person.create_team(agency, &members[..1]);
    assert_appended(&founder.line.put(&team));
}

#[test]
fn a_guest_with_an_invite_sees_no_case_before_it_belongs_to_the_team() {
    let mut office = Office::open();
    let case = office.case(office.team);
    let person = office.stranger();
    let invite = office.invite(office.team, Role::Reader, 50);
    let mut line = office.line();
    let credential = person.credential(&line.opening, office.team, invite, 50);
    line.enter(&person, credential).unwrap();
    line.pull();
    line.say(&Up::Backfill { document: case, after: Position(0), upto: Position(1_000) });
    line.pull();
    assert!(line.heard_of(&office.team) && !line.heard_of(&case));
    drop(line);

    let mut guest = office.join_by(person, office.team, invite, 50).unwrap();
    office.reconnect(&mut guest);
    assert!(guest.line.heard_of(&case));
}

#[test]
fn a_manager_of_the_agency_from_above_reads_no_case_of_a_team_that_he_is_no_member_of() {
    let mut office = Office::open();
    let mut boss = office.join(office.agency, Role::Manager);
    let case = office.case(office.team);
    let chunk = office.manager.person.chunk(case, 0, None, &[], 300);
    assert_eq!(office.manager.line.put_chunk(&chunk), ChunkOutcome::Durable);
    office.reconnect(&mut boss);
    assert!(!boss.line.heard_of(&case) && boss.line.links().is_empty());
    // He may put himself in, for all to see; then he reads.
    office.brief(&mut boss);
    let cites = forge::cites(&boss.person, &[office.agency, boss.person.user()]);
    let grant = forge::op(&boss.person, office.team, cites, forge::grant(boss.person.user(), Role::Reader));
    office.put(&mut boss, &grant);
    office.reconnect(&mut boss);
    boss.line.hear_chunk(&chunk);
}
