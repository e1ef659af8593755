//! The review lane: what comes in, who is told, and what becomes of it.

use std::time::Duration;

use vereda_base::{ChainId, Link};
use vereda_policy::{BadRotate, Body, EpochFault, Retention, Role};
use vereda_protocol::{Chunk, ChunkOutcome, Down, OpOutcome, PolicyEntry, Position, RefusalCode, Up};
use vereda_sync::people::{NOW, Person, Put, link_of};
use vereda_sync::relay::{RelayConfig, RelayStore, SessionId, StoreError};

use super::room::{Room, assert_appended, chunks, entries, learn, op_ids, refused, revoke, rotate};

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// A worker who was removed from a team and still has work that he had not sent.
struct Lane {
    room: Room,
    manager: Person,
    manager_id: SessionId,
    worker: Person,
    worker_id: SessionId,
    colleague: Person,
    colleague_id: SessionId,
    agency: ChainId,
    team: ChainId,
    case: ChainId,
    /// Chunks one after another; the first was sent before.
    written: Vec<Chunk>,
    /// A case that he began, and a chunk in it.
    begun: (Put, Chunk),
}

impl Lane {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(before: impl FnOnce(&mut Self)) -> Self {
        let (mut room, mut manager, manager_id, agency) = Room::founded();
        let team = manager.create_team(agency, &[(manager.user(), Role::Manager)]);
        assert_appended(&room.put(manager_id, &team));
        let team = team.chain();
        let (mut worker, worker_id) = room.join((&mut manager, manager_id), team, Role::Editor, 2);
        let (mut colleague, colleague_id) = room.join((&mut manager, manager_id), team, Role::Editor, 3);
        let case = room.case((&mut manager, manager_id), team);
        learn(&mut worker, &room.take(worker_id));
        learn(&mut colleague, &room.take(colleague_id));
        let (mut written, mut prev) = (Vec::new(), None);
        for seq in 0..4 {
            let deps: Vec<Link> = prev.into_iter().collect();
            let chunk = worker.chunk(case, seq, prev, &deps, 300);
            prev = Some(link_of(&chunk));
            written.push(chunk);
        }
        let create = worker.create_case(team);
        let chunk = worker.chunk(create.chain(), 0, None, &[], 300);
        assert_eq!(room.put_chunk(worker_id, &written[0]), ChunkOutcome::Durable);
        let begun = (create, chunk);
        let mut lane = Self {
            room,
            manager,
            manager_id,
            worker,
            worker_id,
            colleague,
            colleague_id,
            agency,
            team,
            case,
            written,
            begun,
        };
        before(&mut lane);
        let user = lane.worker.user();
        revoke(&mut lane.room, (&mut lane.manager, manager_id), team, user);
        lane.take_all();
        lane
    }

    fn take_all(&mut self) -> [Vec<Down>; 3] {
        [self.manager_id, self.worker_id, self.colleague_id].map(|id| self.room.take(id))
    }

    fn put(&mut self, index: usize) -> ChunkOutcome {
        self.room.put_chunk(self.worker_id, &self.written[index].clone())
    }

    fn link(&self, index: usize) -> Link {
        link_of(&self.written[index])
    }

    fn manager_put(&mut self, put: &Put) -> OpOutcome {
        self.room.put(self.manager_id, put)
    }
}

fn in_review(downs: &[Down]) -> Vec<Link> {
    let of = |entry: PolicyEntry| match entry {
        PolicyEntry::Review { chunk, .. } => Some(link_of(&chunk)),
        _ => None,
    };
    entries(downs).into_iter().filter_map(of).collect()
}

fn documents_in_review(downs: &[Down]) -> Vec<(ChainId, usize)> {
    let of = |entry: PolicyEntry| match entry {
        PolicyEntry::ReviewDocument { create, wraps, .. } => {
            Some((ChainId(vereda_policy::op_id_of_bytes(create.bytes()).0), wraps.len()))
        }
        _ => None,
    };
    entries(downs).into_iter().filter_map(of).collect()
}

fn results(downs: &[Down]) -> Vec<(Link, ChunkOutcome)> {
    let of = |down: &Down| match down {
        Down::ChunkResult { link, outcome } => Some((*link, outcome.clone())),
        _ => None,
    };
    downs.iter().filter_map(of).collect()
}

#[test]
fn late_work_goes_to_review_and_those_who_decide_are_told() {
    let mut lane = Lane::new();
    assert_eq!(lane.put(1), ChunkOutcome::InReview);
    assert_eq!(lane.put(2), ChunkOutcome::InReview, "what builds on it too");
    assert_eq!(lane.put(1), ChunkOutcome::InReview, "a retry is answered alike");
    let [manager, _, colleague] = lane.take_all();
    assert_eq!(in_review(&manager), [lane.link(1), lane.link(2)]);
    assert_eq!((in_review(&colleague), chunks(&colleague)), (vec![], vec![]), "an Editor decides nothing");
    let again = lane.room.connect_member(&lane.manager);
    assert_eq!(in_review(&lane.room.pull(again, 0, 0)), [lane.link(1), lane.link(2)]);
    let again = lane.room.connect_member(&lane.worker);
    assert_eq!(in_review(&lane.room.pull(again, 0, 0)), []);
}

#[test]
fn late_work_goes_to_review_though_its_author_cited_newer_heads_elsewhere() {
    let mut lane = Lane::with(|lane| {
        let invite = lane.manager.invite(lane.team, Role::Reader, 9, vereda_base::Timestamp(i64::MAX));
        assert_appended(&lane.room.put(lane.manager_id, &invite));
        learn(&mut lane.worker, &lane.room.take(lane.worker_id));
        let other = lane.worker.create_case(lane.team);
        assert_appended(&lane.room.put(lane.worker_id, &other));
        lane.manager.learn(&other.op);
    });
    assert_eq!(lane.put(1), ChunkOutcome::InReview, "he has no newer heads that would prove it");
}

#[test]
fn the_sequence_in_review_has_neither_gaps_nor_forks() {
    let mut lane = Lane::new();
    assert_eq!(lane.put(2), refused(RefusalCode::NotContiguous));
    assert_eq!(lane.put(1), ChunkOutcome::InReview);
    let fork = lane.worker.chunk(lane.case, 1, Some(lane.link(0)), &[], 200);
    assert_eq!(lane.room.put_chunk(lane.worker_id, &fork), refused(RefusalCode::Fork));
    let missing = lane.worker.chunk(lane.case, 2, Some(lane.link(1)), &[Link([9; 32])], 200);
    assert_eq!(lane.room.put_chunk(lane.worker_id, &missing), refused(RefusalCode::MissingDeps));
}

#[test]
fn whoever_is_entitled_does_not_build_on_what_is_in_review() {
    let mut lane = Lane::new();
    assert_eq!(lane.put(1), ChunkOutcome::InReview);
    rotate(&mut lane.room, (&mut lane.manager, lane.manager_id), lane.case);
    let on_review = lane.manager.chunk(lane.case, 0, None, &[lane.link(1)], 300);
    assert_eq!(lane.room.put_chunk(lane.manager_id, &on_review), refused(RefusalCode::DependsOnUnadopted));
    let discard = lane.manager.discard(lane.case, &[lane.link(1)]);
    assert_appended(&lane.manager_put(&discard));
    assert_eq!(lane.room.put_chunk(lane.manager_id, &on_review), refused(RefusalCode::DependsOnUnadopted));
}

#[test]
fn what_is_adopted_stands_for_everybody_at_once() {
    let mut lane = Lane::new();
    for index in 1..=3 {
        assert_eq!(lane.put(index), ChunkOutcome::InReview);
    }
    lane.take_all();
    let gap = lane.manager.clone().adopt(lane.case, &[lane.link(2)]);
    assert_eq!(lane.manager_put(&gap), OpOutcome::Refused(RefusalCode::MissingDeps));
    let adopt = lane.manager.adopt(lane.case, &[lane.link(1), lane.link(2)]);
    assert_appended(&lane.manager_put(&adopt));
    let [manager, worker, colleague] = lane.take_all();
    let links = |downs: &[Down]| chunks(downs).iter().map(link_of).collect::<Vec<_>>();
    assert_eq!(links(&colleague), [lane.link(1), lane.link(2)]);
    assert_eq!(op_ids(&colleague), [adopt.id()]);
    assert_eq!(links(&manager), [lane.link(1), lane.link(2)]);
    let adopted = [(lane.link(1), ChunkOutcome::Durable), (lane.link(2), ChunkOutcome::Durable)];
    assert_eq!(results(&worker), adopted);
    assert_eq!(chunks(&worker), []);
    // Once more is once too often, and what was left out still awaits a decision.
    let again = lane.manager.clone().adopt(lane.case, &[lane.link(0)]);
    assert_eq!(lane.manager_put(&again), OpOutcome::Refused(RefusalCode::Repeated));
    let fresh = lane.room.connect_member(&lane.colleague);
    assert_eq!(links(&lane.room.pull(fresh, 0, 0)), [lane.link(0), lane.link(1), lane.link(2)]);
    let fresh = lane.room.connect_member(&lane.manager);
    assert_eq!(in_review(&lane.room.pull(fresh, 0, 0)), [lane.link(3)]);
    assert_eq!(lane.put(1), ChunkOutcome::Durable);
}

#[test]
fn what_is_discarded_takes_with_it_all_that_builds_on_it() {
    let mut lane = Lane::new();
    for index in 1..=3 {
        assert_eq!(lane.put(index), ChunkOutcome::InReview);
    }
    lane.take_all();
    let stands = lane.manager.clone().discard(lane.case, &[lane.link(0)]);
    assert_eq!(lane.manager_put(&stands), OpOutcome::Refused(RefusalCode::Repeated));
    let discard = lane.manager.discard(lane.case, &[lane.link(2)]);
    assert_appended(&lane.manager_put(&discard));
    let [_, worker, _] = lane.take_all();
    let away = refused(RefusalCode::Discarded);
    assert_eq!(results(&worker), [(lane.link(2), away.clone()), (lane.link(3), away.clone())]);
    let fresh = lane.room.connect_member(&lane.manager);
    assert_eq!(in_review(&lane.room.pull(fresh, 0, 0)), [lane.link(1)]);
    assert_eq!(lane.put(2), away);
    let next = lane.worker.chunk(lane.case, 4, Some(lane.link(3)), &[], 200);
    assert_eq!(lane.room.put_chunk(lane.worker_id, &next), refused(RefusalCode::DependsOnUnadopted));
    let links: Vec<Link> = (0..4).map(|index| lane.link(index)).collect();
    lane.room.take(lane.worker_id);
    lane.room.up(lane.worker_id, Up::AskReview(links));
    let answers: Vec<ChunkOutcome> =
        results(&lane.room.take(lane.worker_id)).into_iter().map(|(_, outcome)| outcome).collect();
    assert_eq!(answers, [refused(RefusalCode::ReviewClosed), ChunkOutcome::InReview, away.clone(), away]);
}

#[test]
fn the_lane_is_bounded_by_time_and_room() {
    let mut lane = Lane::new();
    lane.room.now.wall = NOW.saturating_add(90 * DAY);
    assert_eq!(lane.put(1), refused(RefusalCode::ReviewClosed));
    lane.room.now.wall = NOW.saturating_add(89 * DAY);
    assert_eq!(lane.put(1), ChunkOutcome::InReview);
    let mut lane = Lane::with(|lane| {
        let set = lane.manager.set_retention(lane.agency, Retention::Review, 2);
        assert_appended(&lane.room.put(lane.manager_id, &set));
    });
    lane.room.now.wall = NOW.saturating_add(2 * DAY);
    assert_eq!(lane.put(1), refused(RefusalCode::ReviewClosed));
    let mut lane = Lane::new();
    let config = RelayConfig { max_review_items: 2, ..RelayConfig::default() };
    lane.room = Room::over_with(std::mem::take(&mut lane.room.store), config);
    lane.worker_id = lane.room.connect_member(&lane.worker);
    let outcomes = [1, 2, 3].map(|index| lane.put(index));
    assert_eq!(outcomes, [ChunkOutcome::InReview, ChunkOutcome::InReview, refused(RefusalCode::ReviewClosed)]);
}

#[test]
fn other_operations_of_the_removed_are_refused() {
    let mut lane = Lane::new();
    let rotate = lane.worker.rotate(lane.case);
    assert_eq!(lane.room.put(lane.worker_id, &rotate), OpOutcome::Refused(RefusalCode::NotAuthorized));
}

#[test]
fn who_was_removed_before_he_was_told_that_something_was_appended_is_told_when_he_asks_again() {
    let mut done = None;
    let mut lane = Lane::with(|lane| {
        let called = Body::BadRotate(BadRotate { epoch: 0, fault: EpochFault::Wrap });
        let bad = lane.worker.append(lane.case, called);
        assert_appended(&lane.room.put(lane.worker_id, &bad));
        learn(&mut lane.manager, &lane.room.take(lane.manager_id));
        done = Some(bad);
    });
    assert_appended(&lane.room.put(lane.worker_id, &done.unwrap()));
}

#[test]
fn a_document_begun_meanwhile_enters_with_its_chunks() {
    let mut lane = Lane::new();
    let (create, chunk) = lane.begun.clone();
    assert_eq!(lane.room.put(lane.worker_id, &create), OpOutcome::InReview);
    assert_eq!(lane.room.put(lane.worker_id, &create), OpOutcome::InReview, "a retry is answered alike");
    assert_eq!(lane.room.put_chunk(lane.worker_id, &chunk), ChunkOutcome::InReview);
    let [manager, _, colleague] = lane.take_all();
    assert_eq!(documents_in_review(&manager), [(create.chain(), 1)]);
    assert_eq!(in_review(&manager), [link_of(&chunk)]);
    assert_eq!(entries(&colleague), []);
    let again = lane.room.connect_member(&lane.manager);
    let downs = lane.room.pull(again, 0, 0);
    assert_eq!((documents_in_review(&downs).len(), in_review(&downs).len()), (1, 1));
    lane.manager_id = again;
    let holders = [(lane.team, Role::Editor)];
    let adopt = lane.manager.adopt_document(lane.team, create.chain(), &holders, &[link_of(&chunk)]);
    assert_appended(&lane.manager_put(&adopt));
    let [_, worker, colleague] = lane.take_all();
    assert_eq!(op_ids(&colleague), [adopt.id(), create.id()]);
    assert_eq!(chunks(&colleague), std::slice::from_ref(&chunk));
    assert_eq!(results(&worker), [(link_of(&chunk), ChunkOutcome::Durable)]);
    assert!(matches!(lane.room.put(lane.worker_id, &create), OpOutcome::Appended(_)));
    let fresh = lane.room.connect_member(&lane.colleague);
    let downs = lane.room.pull(fresh, 0, 0);
    assert!(op_ids(&downs).contains(&create.id()) && chunks(&downs).contains(&chunk));
    assert!(lane.room.store.chain(&create.chain()).unwrap().unwrap().agency.is_some());
}

#[test]
fn a_section_begun_meanwhile_takes_its_chunks_to_review_though_its_beginner_is_named_in_it() {
    let mut begun = None;
    let mut lane = Lane::with(|lane| {
        let create = lane.worker.create_section(lane.team, Role::Editor);
        let chunk = lane.worker.chunk(create.chain(), 0, None, &[], 300);
        begun = Some((create, chunk));
    });
    let (create, chunk) = begun.unwrap();
    assert_eq!(lane.room.put(lane.worker_id, &create), OpOutcome::InReview);
    lane.room.now.wall = NOW.saturating_add(90 * DAY);
    assert_eq!(lane.room.put_chunk(lane.worker_id, &chunk), refused(RefusalCode::ReviewClosed), "the lane is closed");
    lane.room.now.wall = NOW.saturating_add(DAY);
    assert_eq!(lane.room.put_chunk(lane.worker_id, &chunk), ChunkOutcome::InReview);
    let [manager, _, _] = lane.take_all();
    assert_eq!((documents_in_review(&manager).len(), in_review(&manager)), (1, vec![link_of(&chunk)]));
    let holders = [(lane.worker.user(), Role::Editor)];
    let adopt = lane.manager.adopt_document(lane.team, create.chain(), &holders, &[link_of(&chunk)]);
    assert_appended(&lane.manager_put(&adopt));
    let [_, worker, _] = lane.take_all();
    assert_eq!(results(&worker), [(link_of(&chunk), ChunkOutcome::Durable)]);
}

#[test]
fn a_document_that_is_discarded_takes_its_chunks_with_it() {
    let mut lane = Lane::new();
    let (create, chunk) = lane.begun.clone();
    assert_eq!(lane.room.put(lane.worker_id, &create), OpOutcome::InReview);
    assert_eq!(lane.room.put_chunk(lane.worker_id, &chunk), ChunkOutcome::InReview);
    let discard = lane.manager.discard_documents(lane.team, &[create.chain()]);
    assert_appended(&lane.manager_put(&discard));
    let [_, worker, _] = lane.take_all();
    assert_eq!(results(&worker).last(), Some(&(link_of(&chunk), refused(RefusalCode::Discarded))));
    assert_eq!(lane.room.put(lane.worker_id, &create), OpOutcome::Refused(RefusalCode::Discarded));
    assert_eq!(lane.room.store.chain(&create.chain()), Ok(None));
}

#[test]
fn a_commit_that_fails_leaves_nothing_in_review_and_nothing_decided() {
    let mut lane = Lane::new();
    let fail = |room: &mut Room, id, up| {
        let end = room.store.end().unwrap();
        room.up_only(id, up);
        assert!(room.store.end().unwrap() > end);
        room.store.fail_next_commit(StoreError::Full);
        assert_eq!(room.settle(), Some(StoreError::Full));
        assert_eq!(room.store.end().unwrap(), end);
    };
    fail(&mut lane.room, lane.worker_id, Up::PutChunk(lane.written[1].clone()));
    assert_eq!(lane.room.store.reviewed(&lane.link(1)), Ok(None));
    lane.worker_id = lane.room.connect_member(&lane.worker);
    assert_eq!(lane.put(1), ChunkOutcome::InReview);
    let adopt = lane.manager.adopt(lane.case, &[lane.link(1)]);
    let put = Up::PutOp { request: 9, op: adopt.op.signed().clone(), wraps: Vec::new() };
    lane.manager_id = lane.room.connect_member(&lane.manager);
    fail(&mut lane.room, lane.manager_id, put);
    assert_eq!(lane.room.store.in_review(&lane.case).unwrap().len(), 1);
    assert_eq!(lane.room.store.chunk_at(&lane.case, &lane.link(1)), Ok(None));
    lane.manager_id = lane.room.connect_member(&lane.manager);
    assert_appended(&lane.room.put(lane.manager_id, &adopt));
}

#[test]
fn the_lane_closes_by_the_end_of_the_authors_own_role_and_not_by_anybody_elses() {
    let (mut room, mut manager, id, agency) = Room::founded();
    let team = manager.create_team(agency, &[(manager.user(), Role::Manager)]);
    assert_appended(&room.put(id, &team));
    let (mut helper, helper_id) = room.join((&mut manager, id), agency, Role::Reader, 3);
    let (other, _) = room.join((&mut manager, id), agency, Role::Reader, 4);
    for (user, after) in [(helper.user(), DAY), (other.user(), 80 * DAY)] {
        let grant = manager.grant_until(team.chain(), user, Role::Editor, NOW.saturating_add(after));
        assert_appended(&room.put(id, &grant));
    }
    let case = room.case((&mut manager, id), team.chain());
    learn(&mut helper, &room.take(helper_id));
    let first = helper.chunk(case, 0, None, &[], 300);
    let second = helper.chunk(case, 1, Some(link_of(&first)), &[link_of(&first)], 300);
    room.now.wall = NOW.saturating_add(2 * DAY);
    assert_eq!(room.put_chunk(helper_id, &first), ChunkOutcome::InReview);
    room.now.wall = NOW.saturating_add(92 * DAY);
    assert_eq!(room.put_chunk(helper_id, &second), refused(RefusalCode::ReviewClosed));
}

#[test]
fn whoever_becomes_a_manager_later_is_served_what_awaits_a_decision() {
    let check = |is_live: bool| {
        let mut lane = Lane::new();
        assert_eq!(lane.put(1), ChunkOutcome::InReview);
        let (begun, in_it) = lane.begun.clone();
        assert_eq!(lane.room.put(lane.worker_id, &begun), OpOutcome::InReview);
        assert_eq!(lane.room.put_chunk(lane.worker_id, &in_it), ChunkOutcome::InReview);
        let [_, _, colleague] = lane.take_all();
        assert_eq!((in_review(&colleague), documents_in_review(&colleague)), (Vec::new(), Vec::new()));
        // It is told that it has everything: what it may not see lies behind its cursors.
        let cursors = lane.room.clients[&lane.colleague_id].cursors;
        lane.room.pull(lane.colleague_id, cursors.0.0, cursors.1.0);
        let cursors = lane.room.clients[&lane.colleague_id].cursors;
        assert_eq!(cursors.0, lane.room.store.end().unwrap());
        let grant = lane.manager.grant(lane.team, lane.colleague.user(), Role::Manager);
        if !is_live {
            lane.room.input(vereda_sync::relay::Input::Closed(lane.colleague_id));
        }
        assert_appended(&lane.manager_put(&grant));
        let mut news = Vec::new();
        if is_live {
            news.extend(lane.room.take(lane.colleague_id));
        } else {
            lane.colleague_id = lane.room.connect_member(&lane.colleague);
            news.extend(lane.room.pull(lane.colleague_id, cursors.0.0, cursors.1.0));
        }
        let mut due = super::room::visible(&news);
        due.sort_unstable();
        let mut expected = [lane.case, begun.chain()];
        expected.sort_unstable();
        assert_eq!(due.iter().map(|(document, _)| *document).collect::<Vec<_>>(), expected);
        let mut served = Vec::new();
        for (document, upto) in due {
            lane.room.up(lane.colleague_id, Up::Backfill { document, after: Position(0), upto });
            served.extend(lane.room.take(lane.colleague_id));
        }
        let mut found = in_review(&served);
        found.sort_unstable();
        let mut awaits = vec![lane.link(1), link_of(&in_it)];
        awaits.sort_unstable();
        assert_eq!(found, awaits);
        assert_eq!(documents_in_review(&served), [(begun.chain(), 1)]);
        // And once it was decided there is nothing more to serve.
        let discard = lane.manager.discard(lane.case, &[lane.link(1)]);
        assert_appended(&lane.manager_put(&discard));
        let end = lane.room.store.end().unwrap();
        lane.room.take(lane.colleague_id);
        lane.room.up(lane.colleague_id, Up::Backfill { document: lane.case, after: Position(0), upto: end });
        assert_eq!(in_review(&lane.room.take(lane.colleague_id)), Vec::new());
    };
    check(true);
    check(false);
}

#[test]
fn what_awaits_a_decision_counts_among_the_incarnations_of_a_device() {
    let mut lane = Lane::new();
    let first = lane.worker.incarnation.0;
    let begin = |lane: &mut Lane, number: usize| {
        lane.worker.incarnation = vereda_base::Incarnation(first + number as u64);
        let chunk = lane.worker.chunk(lane.case, 0, None, &[], 300);
        lane.room.put_chunk(lane.worker_id, &chunk)
    };
    for number in 1..vereda_base::limits::MAX_INCARNATIONS {
        assert_eq!(begin(&mut lane, number), ChunkOutcome::InReview);
    }
    let number = vereda_base::limits::MAX_INCARNATIONS;
    assert_eq!(begin(&mut lane, number), refused(RefusalCode::TooManyIncarnations));
}

#[test]
fn what_comes_too_late_may_cite_older_heads_than_its_author_cited_since() {
    let mut lane = Lane::with(|lane| {
        let invite = lane.manager.invite(lane.team, Role::Reader, 9, NOW.saturating_add(DAY));
        assert_appended(&lane.manager_put(&invite));
        let case = lane.room.case((&mut lane.manager, lane.manager_id), lane.team);
        let [_, worker, _] = lane.take_all();
        learn(&mut lane.worker, &worker);
        let chunk = lane.worker.chunk(case, 0, None, &[], 300);
        assert_eq!(lane.room.put_chunk(lane.worker_id, &chunk), ChunkOutcome::Durable);
        assert_eq!(lane.put(1), refused(RefusalCode::CiteRegressed), "who may write seals it again");
    });
    assert_eq!(lane.put(1), ChunkOutcome::InReview);
    let (create, chunk) = lane.begun.clone();
    assert_eq!(lane.room.put(lane.worker_id, &create), OpOutcome::InReview);
    assert_eq!(lane.room.put_chunk(lane.worker_id, &chunk), ChunkOutcome::InReview);
}
