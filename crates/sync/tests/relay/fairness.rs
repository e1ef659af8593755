//! What one session has the relay look through is counted and bounded: everybody else is served meanwhile.

use vereda_base::{ChainId, Link};
use vereda_policy::Role;
use vereda_protocol::{ChunkOutcome, Credential, Down, Goodbye, PolicyEntry, Position, Up};
use vereda_sync::{
    people::{NOW, Person, link_of},
    relay::SessionId,
};

use super::room::{Room, assert_appended, chunks, entries, learn, revoke};

/// Entries that the relay looks at in one round at most: more than the machine's bound by the pages that end it.
const ROUND: u64 = 4_096 + 3 * 256;

/// An agency with two teams, and a case of the first that holds many chunks.
struct Full {
    room: Room,
    manager: Person,
    desk: SessionId,
    teams: [ChainId; 2],
    case: ChainId,
    last: Link,
}

impl Full {
    fn new(count: u64) -> Self {
        let (mut room, mut manager, desk, agency) = Room::founded();
        let teams = [0; 2].map(|_| {
            let team = manager.create_team(agency, &[(manager.user(), Role::Manager)]);
            assert_appended(&room.put(desk, &team));
            team.chain()
        });
        let case = room.case((&mut manager, desk), teams[0]);
        let mut last = None;
        for seq in 0..count {
            let chunk = manager.chunk(case, seq, last, last.as_slice(), 64);
            last = Some(link_of(&chunk));
            assert_eq!(room.put_chunk(desk, &chunk), ChunkOutcome::Durable);
        }
        Self { room, manager, desk, teams, case, last: last.unwrap() }
    }

    fn join(&mut self, team: usize, seed: u8) -> (Person, SessionId) {
        self.join_as(team, Role::Reader, seed)
    }

    fn join_as(&mut self, team: usize, role: Role, seed: u8) -> (Person, SessionId) {
        let (mut person, id) = self.room.join((&mut self.manager, self.desk), self.teams[team], role, seed);
        learn(&mut person, &self.room.take(id));
        (person, id)
    }

    fn ask(&mut self, id: SessionId, document: ChainId) {
        self.room.up_only(id, Up::Backfill { document, after: Position(0), upto: Position(u64::MAX) });
    }

    /// Hands an edit of the Manager's in and serves one round. Gives what the round had the store read, and whether there is
    /// more to do; the edit is answered with it.
    fn edit(&mut self, seq: u64) -> (u64, bool) {
        let chunk = self.manager.chunk(self.case, seq, Some(self.last), &[self.last], 64);
        self.last = link_of(&chunk);
        self.room.take(self.desk);
        self.room.up_only(self.desk, Up::PutChunk(chunk));
        let before = self.room.store.entries_read();
        let more = self.room.step();
        let read = self.room.store.entries_read() - before;
        let answered = |down: &Down| matches!(down, Down::ChunkResult { link, .. } if *link == self.last);
        assert!(self.room.clients[&self.desk].inbox.iter().any(answered), "within the same round");
        (read, more)
    }
}

#[test]
fn backfills_of_what_nobody_shows_him_are_answered_at_once_and_nothing_is_looked_through_for_them() {
    let mut full = Full::new(300);
    let (worker, id) = full.join(0, 2);
    revoke(&mut full.room, (&mut full.manager, full.desk), full.teams[0], worker.user());
    let other = full.room.case((&mut full.manager, full.desk), full.teams[1]);
    full.room.take(id);
    let before = full.room.store.entries_read();
    for _ in 0..100 {
        full.ask(id, other);
        full.ask(id, ChainId([9; 32]));
    }
    let answers = full.room.store.entries_read() - before;
    assert!(!full.room.step(), "nothing waits");
    assert_eq!(full.room.store.entries_read() - before, answers);
    assert_eq!(answers, 0);
    let downs = full.room.take(id);
    assert_eq!((chunks(&downs), entries(&downs), downs.len()), (vec![], vec![], 200));
    let is_end = |down: &Down| matches!(down, Down::BackfillPart { cursor, .. } if cursor.0 > 300);
    assert!(downs.iter().all(is_end), "{downs:?}");
}

#[test]
fn a_removed_device_has_no_chunk_looked_at_by_backfills_and_pulls() {
    let mut full = Full::new(300);
    let (worker, id) = full.join(0, 2);
    assert!(!chunks(&full.room.pull(id, 0, 0)).is_empty());
    revoke(&mut full.room, (&mut full.manager, full.desk), full.teams[0], worker.user());
    full.room.take(id);
    let (case, policy) = (full.case, full.room.store.entries_read());
    full.ask(id, case);
    full.room.up_only(id, Up::Pull { policy: Position(0), content: Position(0), lasts: vec![] });
    assert_eq!(full.room.settle(), None);
    let read = full.room.store.entries_read() - policy;
    assert!(read < 100, "{read} entries");
    assert_eq!(chunks(&full.room.take(id)), []);
}

#[test]
fn of_one_chain_one_backfill_waits_and_of_all_few_do() {
    let mut full = Full::new(3);
    let (_, twice) = full.join(0, 2);
    let case = full.case;
    full.ask(twice, case);
    full.ask(twice, case);
    full.room.step();
    assert_eq!(full.room.goodbye(twice), Some(Goodbye::Violation));
    let (_, many) = full.join(0, 3);
    let mut cases: Vec<ChainId> = Vec::new();
    for _ in 0..17 {
        cases.push(full.room.case((&mut full.manager, full.desk), full.teams[0]));
    }
    for case in &cases[..16] {
        full.ask(many, *case);
    }
    assert_eq!((full.room.settle(), full.room.goodbye(many)), (None, None));
    for case in &cases {
        full.ask(many, *case);
    }
    full.room.step();
    assert_eq!(full.room.goodbye(many), Some(Goodbye::Violation));
}

#[test]
fn an_honest_edit_is_answered_before_what_another_has_the_relay_look_through_in_vain() {
    let mut full = Full::new(3_000);
    let (_, id) = full.join(1, 2);
    full.room.up_only(id, Up::Pull { policy: Position(0), content: Position(0), lasts: vec![] });
    for seq in 3_000..3_004 {
        let (read, more) = full.edit(seq);
        assert!(more, "he still has it look when the edit is answered");
        assert!(read <= 3 * 256, "{read} entries for one session in one round");
    }
    assert_eq!(full.room.settle(), None);
    let downs = full.room.take(id);
    assert!(chunks(&downs).is_empty() && downs.iter().any(|down| matches!(down, Down::CaughtUp { .. })));
}

#[test]
fn many_who_have_the_relay_look_through_its_log_are_served_in_turn_a_bounded_round_at_a_time() {
    let mut full = Full::new(1_500);
    let lines: Vec<(Person, SessionId)> = (0..14).map(|seed| full.join(1, 10 + seed)).collect();
    for (_, id) in &lines {
        full.room.take(*id);
        full.room.up_only(*id, Up::Pull { policy: Position(0), content: Position(0), lasts: vec![] });
    }
    for seq in 1_500..1_503 {
        let (read, more) = full.edit(seq);
        assert!(more && read <= ROUND, "{read} entries in one round");
    }
    assert_eq!(full.room.settle(), None);
    for (_, id) in &lines {
        assert!(full.room.take(*id).iter().any(|down| matches!(down, Down::CaughtUp { .. })));
    }
}

#[test]
fn a_guest_has_no_chunk_looked_at_however_often_he_asks_for_everything() {
    let mut full = Full::new(600);
    let expires = NOW.saturating_add(std::time::Duration::from_secs(3_600));
    let invite = full.manager.invite(full.teams[0], Role::Reader, 77, expires);
    assert_appended(&full.room.put(full.desk, &invite));
    let guest = Person::new(5);
    let credential = |opening: &_| -> Credential { guest.credential(opening, full.teams[0], invite.id(), 77) };
    let id = full.room.connect(&guest, credential);
    let before = full.room.store.entries_read();
    for _ in 0..10 {
        full.room.up_only(id, Up::Pull { policy: Position(0), content: Position(0), lasts: vec![] });
    }
    assert_eq!(full.room.settle(), None);
    let read = full.room.store.entries_read() - before;
    assert!(read < 100, "{read} entries");
}

#[test]
fn work_in_review_costs_a_catch_up_what_it_is_and_not_the_square_of_it() {
    const COUNT: u64 = 300;
    let mut full = Full::new(1);
    let (mut worker, id) = full.join_as(0, Role::Editor, 2);
    let (mut last, mut written) = (None, Vec::new());
    for seq in 0..COUNT {
        written.push(worker.chunk(full.case, seq, last, last.as_slice(), 64));
        last = written.last().map(link_of);
    }
    revoke(&mut full.room, (&mut full.manager, full.desk), full.teams[0], worker.user());
    for chunk in &written {
        assert_eq!(full.room.put_chunk(id, chunk), ChunkOutcome::InReview);
    }
    let again = full.room.connect_member(&full.manager);
    let before = full.room.store.entries_read();
    let downs = full.room.pull(again, 0, 0);
    let read = full.room.store.entries_read() - before;
    let reviews = |entry: &PolicyEntry| matches!(entry, PolicyEntry::Review { .. });
    assert_eq!(entries(&downs).iter().filter(|entry| reviews(entry)).count() as u64, COUNT);
    assert!(read < 8 * COUNT, "{read} entries read for {COUNT}");
}
