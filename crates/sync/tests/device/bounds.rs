//! What others can make a device keep that does not stand: bounded, and what was honest comes back.

use vereda_base::{ChainId, OpId};
use vereda_policy::{Chains, Role, wrap_list};
use vereda_protocol::{Chunk, Down, PolicyEntry, Position, Up};
use vereda_sync::device::{
    Amount, Bound, DeviceMachine, Disconnect, Event, KeepLimits, QuarantineReason, SyncState, Table,
};

use crate::{
    rig::{Rig, config},
    world::{World, changed, grant, link_of, wrap_to},
};

/// A live device that keeps little.
fn tight(change: impl FnOnce(&mut KeepLimits)) -> Rig {
    let mut rig = Rig::caught_up(World::found());
    rig.lose();
    let mut config = config(&rig.world, &rig.world.chipo);
    change(&mut config.limits.keep);
    rig.machine = DeviceMachine::open(config, &mut rig.store).unwrap();
    rig.connect();
    rig.catch_up();
    rig.sent.clear();
    rig.events.clear();
    rig
}

const fn rows(rows: u64) -> Amount {
    Amount { rows, bytes: 1 << 20 }
}

/// An operation on the case that the device lacks, and five chunks that cite it.
fn ahead(rig: &mut Rig) -> (PolicyEntry, Vec<Chunk>) {
    let (amina, bashir, case) = (rig.world.amina.key.clone(), rig.world.bashir.clone(), rig.world.case);
    let news = rig.world.append(&amina, &case, grant(bashir.user, Role::Editor));
    let mut chunks: Vec<Chunk> = Vec::new();
    for seq in 0..5 {
        let prev = chunks.last().map(link_of);
        chunks.push(rig.world.chunk(&bashir, seq, prev, prev.as_slice()));
    }
    (news, chunks)
}

fn explain(rig: &Rig) -> SyncState {
    rig.machine.explain(&rig.store, &rig.world.case).unwrap()
}

/// Loses what a full device lost, and reconnects; tells the cursors.
fn come_back(rig: &mut Rig) -> (Position, Position) {
    assert_eq!(rig.disconnects(), [Disconnect::Overfull]);
    assert_eq!(rig.failure, None);
    rig.sleep();
    rig.connect_again()
}

#[test]
fn more_chunks_than_may_wait_for_one_document_are_fetched_again_once_there_is_room() {
    let check = |bound: Amount| {
        let mut rig = tight(|keep| keep.waiting_chunks.group = Some(bound));
        let case = rig.world.case;
        let own = rig.write();
        rig.sent.clear();
        let (news, chunks) = ahead(&mut rig);
        rig.content(&chunks.iter().collect::<Vec<_>>(), 100);
        rig.content(&chunks[..1].iter().collect::<Vec<_>>(), 100);
        assert_eq!(explain(&rig), SyncState::Overfull { chunks: 5 });
        assert_eq!(rig.disconnects(), []);

        rig.down(&Down::Policy { entries: vec![news], cursor: Position(101) });
        assert_eq!(rig.stored(), [own.clone(), chunks[0].clone(), chunks[1].clone()]);
        let upto = Position(100);
        assert_eq!(rig.sent.pop_front(), Some(Up::Backfill { document: case, after: Position(0), upto }));
        rig.down(&Down::BackfillPart { document: case, entries: vec![], chunks: chunks.clone(), cursor: upto });
        assert_eq!(rig.stored().len(), 6);
        assert!(rig.saw(&Event::BackfillDone { document: case }));
        assert_eq!(rig.store.committed_rows(Table("sync_gaps")), 0);
        assert_eq!(rig.store.committed_rows(Table("sync_waiting_chunks")), 0);
    };
    check(rows(2));
    let two = 2 * vereda_base::encode(&ahead(&mut Rig::caught_up(World::found())).1[1]).len() as u64;
    check(Amount { rows: 100, bytes: two + 200 });
}

#[test]
fn a_program_that_starts_fetches_again_what_there_was_no_room_for() {
    let mut rig = tight(|keep| keep.waiting_chunks.group = Some(rows(2)));
    let case = rig.world.case;
    let (news, chunks) = ahead(&mut rig);
    rig.content(&chunks.iter().collect::<Vec<_>>(), 100);
    let mut rig = rig.restart();
    rig.connect();
    rig.down(&Down::Policy { entries: vec![news], cursor: Position(101) });
    rig.down(&Down::CaughtUp { cursor: Position(101) });
    let upto = Position(100);
    assert_eq!(rig.sent.pop_front(), Some(Up::Backfill { document: case, after: Position(0), upto }));
    rig.down(&Down::BackfillPart { document: case, entries: vec![], chunks: chunks.clone(), cursor: upto });
    assert_eq!(rig.stored(), chunks);
}

#[test]
fn room_that_comes_during_a_backfill_of_the_same_document_is_used_after_it() {
    let mut rig = tight(|keep| keep.waiting_chunks.group = Some(rows(2)));
    let case = rig.world.case;
    let (news, chunks) = ahead(&mut rig);
    let visible = PolicyEntry::Visible { document: case, upto: Position(50) };
    rig.down(&Down::Policy { entries: vec![visible], cursor: Position(51) });
    assert!(matches!(rig.sent.pop_front(), Some(Up::Backfill { upto: Position(50), .. })));
    rig.content(&chunks.iter().collect::<Vec<_>>(), 100);
    rig.down(&Down::Policy { entries: vec![news], cursor: Position(101) });
    assert_eq!(rig.sent.pop_front(), None);
    rig.down(&Down::BackfillPart { document: case, entries: vec![], chunks: vec![], cursor: Position(50) });
    let upto = Position(100);
    assert_eq!(rig.sent.pop_front(), Some(Up::Backfill { document: case, after: Position(0), upto }));
}

#[test]
fn more_chunks_than_may_wait_at_all_end_the_connection_without_a_step_of_the_cursor() {
    let mut rig = tight(|keep| keep.waiting_chunks.whole = rows(2));
    let before = Position(rig.world.entries.len() as u64);
    let (news, chunks) = ahead(&mut rig);
    let all: Vec<&Chunk> = chunks.iter().collect();
    rig.content(&all, 100);
    assert_eq!(come_back(&mut rig).1, before);
    rig.down(&Down::Policy { entries: vec![news], cursor: Position(101) });
    rig.content(&all, 100);
    assert_eq!(rig.stored(), chunks);
}

#[test]
fn more_operations_than_may_wait_end_the_connection_without_a_step_of_the_cursor() {
    let mut rig = tight(|keep| keep.waiting_ops = Bound { group: None, whole: rows(1) });
    let before = Position(rig.world.entries.len() as u64);
    let (amina, case, chipo) = (rig.world.amina.key.clone(), rig.world.case, rig.world.chipo.user);
    let roles = [Role::Reader, Role::Editor, Role::Reader];
    let entries = roles.map(|role| rig.world.append(&amina, &case, grant(chipo, role)));
    let late = entries.iter().rev().take(2).cloned().collect();
    rig.down(&Down::Policy { entries: late, cursor: Position(100) });
    assert_eq!(come_back(&mut rig).0, before);
    rig.down(&Down::Policy { entries: entries.to_vec(), cursor: Position(100) });
    assert_eq!(rig.machine.chains(&rig.store).chain(&case).unwrap().head_seq(), 3);
    assert_eq!(rig.store.committed_rows(Table("sync_waiting_ops")), 0);
}

#[test]
fn more_wraps_than_may_wait_end_the_connection_without_a_step_of_the_cursor() {
    let mut rig = tight(|keep| keep.waiting_wraps = Bound { group: None, whole: rows(1) });
    let before = Position(rig.world.entries.len() as u64);
    let (_, proven) = wrap_list(vec![wrap_to(&rig.world.bashir.user), wrap_to(&rig.world.team)]);
    let wraps = proven.into_iter().map(|(wrap, proof)| PolicyEntry::Wrap {
        chain: ChainId([8; 32]),
        op: OpId([8; 32]),
        wrap,
        proof,
    });
    rig.down(&Down::Policy { entries: wraps.collect(), cursor: Position(100) });
    assert_eq!(come_back(&mut rig).0, before);
}

#[test]
fn of_chunks_that_break_rules_some_are_kept_as_evidence_and_all_are_counted() {
    let mut rig = tight(|keep| keep.quarantine.group = Some(rows(2)));
    let bashir = rig.world.bashir.clone();
    let chunk = rig.world.chunk(&bashir, 0, None, &[]);
    let spoiled: Vec<Chunk> = (0..5)
        .map(|nonce| {
            changed(&chunk, &bashir.key, |header| {
                header.change_count = 0;
                header.nonce = [nonce; 24].into();
            })
        })
        .collect();
    rig.content(&spoiled.iter().collect::<Vec<_>>(), 100);
    rig.content(&spoiled[..2].iter().collect::<Vec<_>>(), 100);
    let case = rig.world.case;
    let kept = rig.machine.quarantined(&rig.store, &case).unwrap();
    assert_eq!(kept.iter().map(|kept| kept.reason).collect::<Vec<_>>(), [QuarantineReason::BadForm; 2]);
    assert_eq!(explain(&rig), SyncState::Quarantined { chunks: 5, first: spoiled[0].id() });
    rig.content(&[&chunk], 101);
    assert_eq!(rig.stored(), [chunk]);
    assert_eq!(explain(&rig.restart()), SyncState::Quarantined { chunks: 5, first: spoiled[0].id() });
}

#[test]
fn a_fork_stops_its_author_even_where_there_is_no_room_for_the_proof() {
    let mut rig = tight(|keep| keep.quarantine.whole = rows(0));
    let bashir = rig.world.bashir.clone();
    let first = rig.world.chunk(&bashir, 0, None, &[]);
    let other = changed(&first, &bashir.key, |header| header.ops_root = vereda_base::Digest([77; 32]));
    let next = rig.world.chunk(&bashir, 1, Some(link_of(&first)), &[link_of(&first)]);
    rig.content(&[&first, &other, &next], 100);
    assert_eq!(rig.stored(), [first]);
}

#[test]
fn chunks_of_documents_that_nobody_was_told_of_leave_no_trace_beyond_the_bound() {
    let mut rig = tight(|keep| keep.quarantine.whole = rows(2));
    let bashir = rig.world.bashir.clone();
    let chunk = rig.world.chunk(&bashir, 0, None, &[]);
    let junk: Vec<Chunk> = (0..5)
        .map(|document| {
            changed(&chunk, &bashir.key, |header| {
                header.change_count = 0;
                header.document = ChainId([document; 32]);
            })
        })
        .collect();
    rig.content(&junk.iter().collect::<Vec<_>>(), 100);
    assert_eq!(rig.store.committed_rows(Table("sync_quarantine")), 2);
    assert_eq!(rig.store.committed_rows(Table("sync_unkept")), 0);
}

#[test]
fn what_found_no_room_among_what_is_to_be_decided_is_asked_for_once_something_was_decided() {
    let mut rig = tight(|keep| keep.reviews = Bound { group: None, whole: rows(2) });
    let (amina, bashir, case) = (rig.world.amina.key.clone(), rig.world.bashir.clone(), rig.world.case);
    let review = |chunk: &Chunk| PolicyEntry::Review { chunk: chunk.clone(), received: crate::rig::wall(5) };
    let of = |number| rig.world.chunk_of(&case, &bashir, vereda_base::Incarnation(number), 0, None, &[]);
    let chunks = [of(11), of(12), of(13)];
    let entries = chunks.each_ref().map(review);
    rig.policy(&entries.each_ref(), 100);
    let kept = |rig: &Rig| {
        let mut links: Vec<_> = rig.machine.reviews(&rig.store).unwrap().iter().map(|review| review.link).collect();
        links.sort_unstable();
        links
    };
    let sorted = |chunks: &[Chunk]| {
        let mut links: Vec<_> = chunks.iter().map(link_of).collect();
        links.sort_unstable();
        links
    };
    assert_eq!(kept(&rig), sorted(&chunks[..2]));
    assert_eq!(rig.sent.len(), 0, "there is no room yet");
    let discard =
        vereda_policy::Discard { chunks: vec![link_of(&chunks[0])], documents: Vec::new(), sealed_reason: vec![1; 40] };
    let decided = rig.world.append(&amina, &case, vereda_policy::Body::Discard(discard));
    rig.policy(&[&decided], 101);
    let upto = Position(100);
    let Some(Up::Backfill { document, after: Position(0), upto: asked }) = rig.sent.pop_front() else {
        panic!("{:?}", rig.sent)
    };
    assert!(document == case && asked >= upto, "{asked:?}");
    let entries = vec![review(&chunks[0]), review(&chunks[1]), review(&chunks[2])];
    rig.down(&Down::BackfillPart { document, entries, chunks: Vec::new(), cursor: asked });
    assert_eq!(kept(&rig), sorted(&chunks[1..]), "what was decided on stays away");
    assert_eq!(rig.store.committed_rows(Table("sync_unkept_reviews")), 0);
    assert!(rig.sent.is_empty(), "{:?}", rig.sent);
}
