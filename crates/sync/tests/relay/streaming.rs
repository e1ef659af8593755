//! What reaches whom, and when.

use vereda_base::ChainId;
use vereda_policy::Role;
use vereda_protocol::{ChunkOutcome, Down, PolicyEntry, Position, Up};
use vereda_sync::{
    people::{Person, link_of},
    relay::{Input, SessionId},
};

use super::room::{Room, assert_appended, chunks, entries, learn, op_ids, ops, revoke, rotate, visible};

/// Two teams of one agency, a worker in the first.
struct Office {
    room: Room,
    manager: Person,
    id: SessionId,
    teams: [ChainId; 2],
    worker: Person,
    worker_id: SessionId,
}

impl Office {
    fn new() -> Self {
        let (mut room, mut manager, id, agency) = Room::founded();
        let members = [(manager.user(), Role::Manager)];
        let teams = [0, 1].map(|_| {
            let team = manager.create_team(agency, &members);
            assert_appended(&room.put(id, &team));
            team.chain()
        });
        let (worker, worker_id) = room.join((&mut manager, id), teams[0], Role::Editor, 7);
        let mut office = Self { room, manager, id, teams, worker, worker_id };
        office.catch_up();
        office
    }

    fn catch_up(&mut self) {
        let downs = self.room.take(self.worker_id);
        learn(&mut self.worker, &downs);
        self.room.take(self.id);
    }

    fn case(&mut self, team: usize) -> ChainId {
        let case = self.room.case((&mut self.manager, self.id), self.teams[team]);
        let downs = self.room.clients[&self.worker_id].inbox.clone();
        learn(&mut self.worker, &downs);
        case
    }

    /// The manager writes into a case, after what it wrote before.
    fn write(&mut self, case: ChainId, seq: u64, prev: Option<vereda_base::Link>) -> vereda_base::Link {
        let chunk = self.manager.chunk(case, seq, prev, prev.as_slice(), 300);
        assert_eq!(self.room.put_chunk(self.id, &chunk), ChunkOutcome::Durable);
        link_of(&chunk)
    }
}

#[test]
fn a_new_member_gets_on_from_the_cursor_it_gave_what_a_member_may_see() {
    let mut office = Office::new();
    let case = office.case(0);
    office.write(case, 0, None);
    let before = office.room.clients[&office.worker_id].cursors;
    assert!(before.0 > Position(0) && before.1 > Position(0), "a member's cursors move");
    let teams = office.teams;
    let (newcomer, id) = office.room.join((&mut office.manager, office.id), teams[0], Role::Reader, 8);
    let downs = office.room.take(id);
    assert!(op_ids(&downs).iter().any(|op| op.0 == case.0), "the case from before it came");
    assert_eq!(chunks(&downs).len(), 1);
    assert!(visible(&downs).is_empty(), "nothing lies behind its cursor");
    let again = office.room.connect_member(&newcomer);
    let cursors = office.room.clients[&id].cursors;
    let downs = office.room.pull(again, cursors.0.0, cursors.1.0);
    assert!(matches!(downs.as_slice(), [Down::Welcome { .. }, Down::CaughtUp { .. }]), "{downs:?}");
}

#[test]
fn a_person_invited_sees_policy_but_no_case_and_its_cursors_stay() {
    let mut office = Office::new();
    let case = office.case(0);
    office.write(case, 0, None);
    let team = office.teams[0];
    let invite = office.manager.invite(team, Role::Editor, 9, vereda_base::Timestamp(i64::MAX));
    assert_appended(&office.room.put(office.id, &invite));
    let person = Person::new(9);
    let id = office.room.connect(&person, |opening| person.credential(opening, team, invite.id(), 9));
    let downs = office.room.pull(id, 0, 0);
    assert!(op_ids(&downs).contains(&invite.id()));
    assert!(!op_ids(&downs).iter().any(|op| op.0 == case.0));
    assert!(chunks(&downs).is_empty());
    assert_eq!(office.room.clients[&id].cursors, (Position(0), Position(0)));
}

#[test]
fn an_edit_reaches_the_caught_up_who_may_read_and_nobody_else() {
    let mut office = Office::new();
    let (ours, theirs) = (office.case(0), office.case(1));
    office.room.take(office.worker_id);
    office.write(ours, 0, None);
    office.write(theirs, 0, None);
    let downs = office.room.take(office.worker_id);
    assert_eq!(chunks(&downs).len(), 1);
    assert!(matches!(downs.as_slice(), [Down::Content { .. }]), "{downs:?}");
    assert!(chunks(&office.room.take(office.id)).is_empty(), "not to its author");
}

#[test]
fn edits_of_one_commit_travel_in_one_frame() {
    let mut office = Office::new();
    let case = office.case(0);
    office.room.take(office.worker_id);
    let first = office.manager.chunk(case, 0, None, &[], 300);
    let link = link_of(&first);
    let second = office.manager.chunk(case, 1, Some(link), &[link], 300);
    office.room.up_only(office.id, Up::PutChunk(first));
    office.room.up_only(office.id, Up::PutChunk(second));
    assert!(office.room.take(office.worker_id).is_empty(), "nothing before the commit");
    office.room.settle();
    let downs = office.room.take(office.worker_id);
    assert!(matches!(downs.as_slice(), [Down::Content { chunks, .. }] if chunks.len() == 2), "{downs:?}");
}

#[test]
fn wraps_reach_their_recipients_only() {
    let mut office = Office::new();
    office.case(0);
    office.case(1);
    let wraps = |downs: &[Down]| -> Vec<_> {
        let of = |entry: PolicyEntry| match entry {
            PolicyEntry::Wrap { wrap, .. } => Some(wrap.recipient.0),
            _ => None,
        };
        entries(downs).into_iter().filter_map(of).collect()
    };
    assert_eq!(wraps(&office.room.take(office.worker_id)), [office.teams[0].0]);
    let id = office.room.connect_member(&office.worker);
    let downs = office.room.pull(id, 0, 0);
    let got = wraps(&downs);
    assert!(got.contains(&office.teams[0].0) && !got.contains(&office.teams[1].0));
    assert!(got.contains(&office.worker.device().0));
}

#[test]
fn a_reconnect_with_nothing_to_learn_costs_two_small_frames() {
    let mut office = Office::new();
    for _ in 0..20 {
        office.case(0);
    }
    let cursors = office.room.clients[&office.worker_id].cursors;
    let id = office.room.connect_member(&office.worker);
    let downs = office.room.pull(id, cursors.0.0, cursors.1.0);
    assert!(matches!(downs.as_slice(), [Down::Welcome { .. }, Down::CaughtUp { .. }]));
    let client = &office.room.clients[&id];
    println!("challenge, welcome and caught-up: {} B", client.bytes);
    assert!(client.bytes <= 220, "{}", client.bytes);
}

#[test]
fn what_a_session_put_itself_is_not_sent_back_and_its_cursor_passes_over() {
    let mut office = Office::new();
    let own = office.case(0);
    let downs = office.room.take(office.id);
    assert!(ops(&downs).is_empty());
    let id = office.room.connect_member(&office.manager);
    let cursors = office.room.clients[&office.id].cursors;
    let downs = office.room.pull(id, cursors.0.0, cursors.1.0);
    assert!(!op_ids(&downs).iter().any(|op| op.0 == own.0));
}

#[test]
fn a_case_granted_later_is_announced_and_its_past_comes_when_asked_for() {
    let mut office = Office::new();
    let case = office.case(1);
    let link = office.write(case, 0, None);
    office.room.take(office.worker_id);
    let user = office.worker.user();
    let grant = office.manager.grant(case, user, Role::Editor);
    assert_appended(&office.room.put(office.id, &grant));
    let downs = office.room.take(office.worker_id);
    let [(document, upto)] = visible(&downs)[..] else { panic!("{downs:?}") };
    assert_eq!(document, case);
    office.write(case, 1, Some(link));
    assert_eq!(chunks(&office.room.take(office.worker_id)).len(), 1, "the new comes live");
    office.room.up(office.worker_id, Up::Backfill { document, after: Position(0), upto });
    let downs = office.room.take(office.worker_id);
    assert_eq!(chunks(&downs).len(), 1, "the past once");
    assert_eq!(ops(&downs).len(), 1, "its Create; the grant came live");
    assert!(matches!(downs.last(), Some(Down::BackfillPart { cursor, .. }) if *cursor == upto));
}

#[test]
fn a_case_granted_while_away_is_announced_at_the_next_pull_up_to_the_cursor_given() {
    let mut office = Office::new();
    let case = office.case(1);
    office.write(case, 0, None);
    let cursors = office.room.clients[&office.worker_id].cursors;
    office.room.input(Input::Closed(office.worker_id));
    let grant = office.manager.grant(case, office.worker.user(), Role::Editor);
    assert_appended(&office.room.put(office.id, &grant));
    let id = office.room.connect_member(&office.worker);
    let downs = office.room.pull(id, cursors.0.0, cursors.1.0);
    assert_eq!(visible(&downs), [], "all of it lies beyond the cursor: {cursors:?}");
    assert_eq!((ops(&downs).len(), chunks(&downs).len()), (2, 1));
    let later = office.room.connect_member(&office.worker);
    let downs = office.room.pull(later, office.grant_position(case) - 1, office.grant_position(case) - 1);
    assert_eq!(visible(&downs), [(case, Position(office.grant_position(case) - 1))]);
}

impl Office {
    fn grant_position(&self, case: ChainId) -> u64 {
        use vereda_sync::relay::RelayStore;
        self.room.store.chain(&case).unwrap().unwrap().ops[1].position.0
    }
}

#[test]
fn who_joins_a_team_is_told_of_every_case_the_team_holds() {
    let mut office = Office::new();
    let cases = [office.case(1), office.case(1)];
    office.write(cases[0], 0, None);
    office.room.take(office.worker_id);
    let (team, user) = (office.teams[1], office.worker.user());
    let grant = office.manager.grant(team, user, Role::Editor);
    assert_appended(&office.room.put(office.id, &grant));
    let downs = office.room.take(office.worker_id);
    let mut announced: Vec<ChainId> = visible(&downs).into_iter().map(|(chain, _)| chain).collect();
    announced.retain(|chain| cases.contains(chain));
    assert_eq!(announced.len(), 2);
    for (document, upto) in visible(&downs) {
        office.room.up(office.worker_id, Up::Backfill { document, after: Position(0), upto });
    }
    let downs = office.room.take(office.worker_id);
    assert_eq!(chunks(&downs).len(), 1);
    let is_wrap_for_team =
        |entry: &PolicyEntry| matches!(entry, PolicyEntry::Wrap { wrap, .. } if wrap.recipient.0 == team.0);
    assert_eq!(entries(&downs).iter().filter(|entry| is_wrap_for_team(entry)).count(), 2);
}

#[test]
fn nobody_backfills_what_is_not_theirs() {
    let mut office = Office::new();
    let case = office.case(1);
    office.write(case, 0, None);
    office.room.take(office.worker_id);
    office.room.up(office.worker_id, Up::Backfill { document: case, after: Position(0), upto: Position(1_000) });
    let downs = office.room.take(office.worker_id);
    assert!(chunks(&downs).is_empty() && entries(&downs).is_empty());
}

#[test]
fn a_slow_reader_falls_behind_and_misses_nothing() {
    let mut office = Office::new();
    let case = office.case(0);
    office.catch_up();
    office.room.drains = false;
    let mut prev = None;
    for seq in 0..12 {
        let chunk = office.manager.chunk(case, seq, prev, prev.as_slice(), 60_000);
        prev = Some(link_of(&chunk));
        office.room.up_only(office.id, Up::PutChunk(chunk));
        office.room.settle();
    }
    let stalled = chunks(&office.room.clients[&office.worker_id].inbox).len();
    assert!(stalled < 12, "a queue that is full takes no more: {stalled}");
    office.room.drains = true;
    for id in [office.worker_id, office.id] {
        let unwritten = std::mem::take(&mut office.room.clients.get_mut(&id).unwrap().unwritten);
        office.room.input(Input::Written(id, unwritten));
    }
    let downs = office.room.take(office.worker_id);
    let links: Vec<_> = chunks(&downs).iter().map(link_of).collect();
    assert_eq!(links.len(), 12);
    assert_eq!(links.last().copied(), prev);
    assert!(matches!(downs.last(), Some(Down::CaughtUp { .. })));
}

#[test]
fn a_reader_without_credit_is_served_once_it_gives_some() {
    let mut office = Office::new();
    let case = office.case(0);
    let mut prev = None;
    for seq in 0..5 {
        let chunk = office.manager.chunk(case, seq, prev, prev.as_slice(), 600_000);
        prev = Some(link_of(&chunk));
        assert_eq!(office.room.put_chunk(office.id, &chunk), ChunkOutcome::Durable);
    }
    let got = chunks(&office.room.take(office.worker_id)).len();
    assert_eq!(got, 4, "two megabytes may be overdrawn by one frame");
    office.room.up(office.worker_id, Up::Credit(2 << 20));
    assert_eq!(chunks(&office.room.take(office.worker_id)).len(), 1);
}

#[test]
fn a_pull_that_was_cut_goes_on_where_its_cursors_are() {
    let mut office = Office::new();
    let cases: Vec<ChainId> = (0..30).map(|_| office.case(0)).collect();
    for case in &cases {
        office.write(*case, 0, None);
    }
    office.room.input(Input::Closed(office.worker_id));
    let (mut policy, mut content, mut seen, mut rounds) = (0, 0, 0, 0);
    loop {
        let id = office.room.connect_member(&office.worker);
        office.room.take(id);
        let downs = office.room.pull(id, policy, content);
        let cut = downs.iter().take(rounds % 3 + 1);
        for down in cut {
            match down {
                Down::Policy { cursor, .. } => policy = cursor.0,
                Down::Content { chunks, cursor } => {
                    content = cursor.0;
                    seen += chunks.len();
                }
                Down::CaughtUp { cursor } => {
                    assert_eq!((seen, cursor.0 >= policy), (30, true));
                    return;
                }
                _ => {}
            }
        }
        rounds += 1;
        assert!(rounds < 50, "it gets on");
    }
}

#[test]
fn who_is_in_no_group_and_named_in_a_document_is_served_that_and_nothing_else() {
    let mut office = Office::new();
    let (named, other) = (office.case(0), office.case(0));
    let (user, team, id) = (office.worker.user(), office.teams[0], office.worker_id);
    let grant = office.manager.grant(named, user, Role::Editor);
    assert_appended(&office.room.put(office.id, &grant));
    revoke(&mut office.room, (&mut office.manager, office.id), team, user);
    office.catch_up();
    for case in [named, other] {
        rotate(&mut office.room, (&mut office.manager, office.id), case);
        office.write(case, 0, None);
    }
    let reads = |downs: &[Down]| -> Vec<ChainId> {
        chunks(downs).iter().map(|chunk| chunk.header.clone().verify().unwrap().value().document).collect()
    };
    let live = office.room.take(id);
    learn(&mut office.worker, &live);
    assert_eq!(reads(&live), [named]);
    let chunk = office.worker.chunk(named, 0, None, &[], 300);
    assert_eq!(office.room.put_chunk(id, &chunk), ChunkOutcome::Durable, "he writes as well");
    let again = office.room.connect_member(&office.worker);
    let downs = office.room.pull(again, 0, 0);
    assert_eq!(reads(&downs), [named]);
    let wraps_of = |chain: ChainId| {
        let of = |entry: &PolicyEntry| matches!(entry, PolicyEntry::Wrap { chain: of, .. } if *of == chain);
        entries(&downs).iter().filter(|entry| of(entry)).count()
    };
    assert!(wraps_of(named) > 0 && wraps_of(other) == 0 && wraps_of(team) == 0);
    // With the document he loses the last that let him in, and has it back with that.
    revoke(&mut office.room, (&mut office.manager, office.id), named, user);
    office.room.take(again);
    rotate(&mut office.room, (&mut office.manager, office.id), named);
    assert_eq!(op_ids(&office.room.take(again)), []);
    let grant = office.manager.grant(named, user, Role::Reader);
    assert_appended(&office.room.put(office.id, &grant));
    let downs = office.room.take(again);
    assert!(op_ids(&downs).contains(&grant.id()));
    assert_eq!(visible(&downs).iter().map(|(chain, _)| *chain).collect::<Vec<_>>(), [named]);
    // Put out of that too, he is served what was decided until then: the document's operations rest on it.
    let invite = |office: &mut Office| {
        let invite = office.manager.invite(office.teams[1], Role::Reader, 9, vereda_base::Timestamp(i64::MAX));
        assert_appended(&office.room.put(office.id, &invite));
        invite.id()
    };
    let during = invite(&mut office);
    revoke(&mut office.room, (&mut office.manager, office.id), named, user);
    let after = invite(&mut office);
    let last = office.room.connect_member(&office.worker);
    let served = op_ids(&office.room.pull(last, 0, 0));
    assert!(served.contains(&during) && !served.contains(&after));
}
