//! Accidents among honest people: nothing of theirs is lost, and everything that becomes of it is said.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeSet;

use vereda_adversary::{Colluder, Stage, Victim, forge, line::header_of};
use vereda_base::Incarnation;
use vereda_policy::{Adopt, AdoptedDocument, BadRotate, Body, EpochFault, Leaf, Member, Place, Revoke, Role};
use vereda_protocol::{Chunk, ChunkOutcome, Down, OpOutcome, RefusalCode, Up};
use vereda_sync::{
    device::{Event, SyncState},
    people::{Put, link_of},
};

/// Amina ends somebody's role in the team; these chunks stand.
fn revoke(stage: &mut Stage, victim: &mut Victim, subject: vereda_base::ChainId, stands: &[&Chunk]) -> Put {
    let leaf = |chunk: &&Chunk| {
        let header = header_of(chunk);
        let place =
            Place::Content { document: header.document, device: header.device, incarnation: header.incarnation };
        Leaf::new(&place, header.seq, link_of(chunk))
    };
    let leaves: Vec<Leaf> = stands.iter().map(leaf).collect();
    let revoke = Revoke { subject, keeps: None, successor: None, frontier: forge::frontier(&leaves) };
    let cites = forge::cites(&stage.amina, &[stage.amina.user()]);
    let removal = forge::op(&stage.amina, stage.team, cites, Body::Revoke(revoke));
    victim.policy([stage.admit(&removal), vec![Colluder::leaves(&removal, &leaves)]].concat());
    removal
}

fn answer(victim: &mut Victim, chunk: &Chunk, outcome: ChunkOutcome) {
    victim.hear(&Down::ChunkResult { link: link_of(chunk), outcome });
}

/// Takes the chunk that the device sent.
fn pushed(victim: &mut Victim) -> Option<Chunk> {
    while let Some(up) = victim.sent.pop_front() {
        if let Up::PutChunk(chunk) = up {
            return Some(chunk);
        }
    }
    None
}

#[test]
fn an_edit_made_before_a_removal_and_pushed_after_it_waits_for_a_manager_and_is_taken_in() {
    let mut stage = Stage::set();
    let mut victim = Victim::of(&stage);
    victim.lose();
    let written = victim.write(&stage.case);
    victim.connect(&stage.relay);
    let user = stage.chipo.user();
    revoke(&mut stage, &mut victim, user, &[]);
    assert_eq!(pushed(&mut victim).as_ref(), Some(&written));
    answer(&mut victim, &written, ChunkOutcome::InReview);
    assert!(victim.saw(&Event::ChunkInReview { link: link_of(&written), document: stage.case }));
    assert_eq!(victim.explain(&stage.case), SyncState::InReview { chunks: 1 });
    let mut victim = victim.restart();
    victim.connect(&stage.relay);
    let cursor = victim.cursor();
    victim.hear(&Down::CaughtUp { cursor });
    assert!(victim.sent.contains(&Up::AskReview(vec![link_of(&written)])), "it asks what became of it");
    answer(&mut victim, &written, ChunkOutcome::Durable);
    let decided = Event::Decided { link: link_of(&written), document: stage.case, adopted: true };
    assert!(victim.saw(&decided) && victim.has(&written));
}

#[test]
fn an_edit_that_was_turned_away_is_said_to_be_and_kept_as_a_record() {
    let mut stage = Stage::set();
    let mut victim = Victim::of(&stage);
    let written = victim.write(&stage.case);
    let user = stage.chipo.user();
    revoke(&mut stage, &mut victim, user, &[]);
    answer(&mut victim, &written, ChunkOutcome::InReview);
    answer(&mut victim, &written, ChunkOutcome::Refused(RefusalCode::Discarded));
    let decided = Event::Decided { link: link_of(&written), document: stage.case, adopted: false };
    assert!(victim.saw(&decided), "{:?}", victim.events);
    let refused = SyncState::Refused { chunks: 1, code: RefusalCode::Discarded };
    assert_eq!(victim.explain(&stage.case), refused);
}

#[test]
fn a_rotation_between_sealing_and_push_has_the_same_changes_sealed_again_under_the_same_link() {
    let mut stage = Stage::set();
    let mut victim = Victim::of(&stage);
    let written = victim.write(&stage.case);
    assert_eq!(pushed(&mut victim).as_ref(), Some(&written));
    let bad = Body::BadRotate(BadRotate { epoch: 0, fault: EpochFault::Wrap });
    let called = stage.bashir.draft(stage.case, bad);
    victim.policy(stage.admit(&called));
    let rotate = forge::rotate(&stage.amina, stage.case);
    victim.policy(stage.admit(&rotate));
    answer(&mut victim, &written, ChunkOutcome::Refused(RefusalCode::StaleEpoch));
    assert!(victim.saw(&Event::Reseal { link: link_of(&written), document: stage.case }));
    let cites = victim.machine.cites(&victim.store, &stage.case).unwrap().unwrap();
    let again = forge::rewritten(&stage.chipo, &written, |header| {
        (header.epoch, header.cites, header.nonce) = (1, cites, [9; 24].into());
    });
    assert_eq!(link_of(&again), link_of(&written));
    victim.machine.reseal_chunk(&mut victim.store, &again).unwrap();
    victim.commit();
    assert_eq!(pushed(&mut victim), Some(again.clone()));
    answer(&mut victim, &again, ChunkOutcome::Durable);
    assert_eq!(victim.explain(&stage.case), SyncState::Acknowledged);
    assert_eq!(victim.stored(&stage.case), [link_of(&written)], "one chunk");
}

#[test]
fn a_kill_between_sealing_and_sending_loses_nothing_and_the_same_bytes_are_sent() {
    let stage = Stage::set();
    let mut victim = Victim::of(&stage);
    victim.lose();
    let written = victim.write(&stage.case);
    let mut victim = victim.restart();
    assert!(victim.has(&written));
    victim.connect(&stage.relay);
    assert_eq!(pushed(&mut victim), Some(written.clone()));
    // Killed again before the answer came.
    let mut victim = victim.restart();
    victim.connect(&stage.relay);
    assert_eq!(pushed(&mut victim), Some(written.clone()));
    answer(&mut victim, &written, ChunkOutcome::Durable);
    let mut victim = victim.restart();
    victim.connect(&stage.relay);
    assert_eq!(pushed(&mut victim), None);
    assert!(victim.has(&written));
}

#[test]
fn a_case_begun_offline_by_somebody_removed_meanwhile_is_kept_and_taken_in() {
    let mut stage = Stage::set();
    let mut victim = Victim::of(&stage);
    victim.lose();
    let begun = stage.chipo.clone().create_case(stage.team);
    victim.machine.enqueue_op(&mut victim.store, &begun.op, begun.wraps.clone()).unwrap();
    victim.commit();
    let written = victim.write(&begun.chain());
    victim.connect(&stage.relay);
    let user = stage.chipo.user();
    revoke(&mut stage, &mut victim, user, &[]);
    let (request, _) = victim.take_put().expect("it is sent");
    victim.hear(&Down::OpResult { request, outcome: OpOutcome::InReview });
    assert!(victim.saw(&Event::OpInReview { op: begun.id() }));
    assert_eq!(pushed(&mut victim).as_ref(), Some(&written));
    answer(&mut victim, &written, ChunkOutcome::InReview);
    assert!(victim.has(&written), "it is kept");
    let mut victim = victim.restart();
    victim.connect(&stage.relay);
    let holders = vec![Member { subject: stage.team, role: Role::Editor }];
    let documents = vec![AdoptedDocument { document: begun.chain(), holders, chunks: vec![link_of(&written)] }];
    let adopt = stage.amina.draft(stage.team, Body::Adopt(Adopt { chunks: vec![], documents }));
    let cursor = victim.cursor();
    victim.hear(&Down::CaughtUp { cursor });
    let (request, op) = victim.take_put().expect("it asks by handing it over again");
    assert_eq!(&op, begun.op.signed());
    victim.policy(stage.admit(&adopt));
    victim.hear(&Down::OpResult { request, outcome: OpOutcome::Appended(stage.relay.receipt(&begun)) });
    answer(&mut victim, &written, ChunkOutcome::Durable);
    assert!(victim.obeys(&begun) && victim.has(&written));
}

#[test]
fn a_chunk_excluded_after_an_honest_successor_has_that_one_made_again_on_what_stands() {
    let mut stage = Stage::set();
    let first = stage.bashir.chunk(stage.case, 0, None, &[], 300);
    let second = stage.bashir.chunk(stage.case, 1, Some(link_of(&first)), &[link_of(&first)], 300);
    let mut victim = Victim::of(&stage);
    victim.content(&[&first, &second]);
    let honest = victim.write(&stage.case);
    assert_eq!(header_of(&honest).deps, [link_of(&second)]);
    answer(&mut victim, &honest, ChunkOutcome::Durable);
    let user = stage.bashir.user();
    revoke(&mut stage, &mut victim, user, &[&first]);
    assert!(victim.has(&first) && !victim.has(&second) && !victim.has(&honest));
    assert!(victim.saw(&Event::Excluded { document: stage.case }));
    assert!(victim.saw(&Event::Remake { document: stage.case }));
    let out = victim.machine.excluded(&victim.store, &stage.case).unwrap();
    assert_eq!(out, BTreeSet::from([link_of(&second), link_of(&honest)]));
    // The program makes the edits again under a new incarnation, and says so.
    victim.machine.open_incarnation(&mut victim.store, Incarnation(99)).unwrap();
    victim.commit();
    let again = victim.write(&stage.case);
    victim.machine.drop_own(&mut victim.store, &stage.case, &[link_of(&honest)].into()).unwrap();
    victim.commit();
    assert_eq!(header_of(&again).deps, [link_of(&first)]);
    assert_eq!(victim.stored(&stage.case), [link_of(&first), link_of(&again)]);
    assert_eq!(victim.machine.excluded(&victim.store, &stage.case).unwrap(), [link_of(&second)].into());
}

#[test]
fn a_restored_device_says_nothing_with_its_old_voice_and_goes_on_with_a_new_one() {
    let stage = Stage::set();
    let mut victim = Victim::of(&stage);
    let copy = victim.store.clone();
    let lost = victim.write(&stage.case);
    assert_eq!(pushed(&mut victim).as_ref(), Some(&lost));
    answer(&mut victim, &lost, ChunkOutcome::Durable);
    victim.held = 1;
    let mut restored = victim.put_back(copy);
    restored.connect(&stage.relay);
    assert!(restored.saw(&Event::StoreRestored { held: 1, sealed: 0 }));
    assert!(restored.machine.poll_timeout().is_none(), "with its old voice it says nothing more");
    restored.machine.open_incarnation(&mut restored.store, Incarnation(99)).unwrap();
    restored.commit();
    restored.held = 0;
    restored.connect(&stage.relay);
    restored.content(&[&lost]);
    assert!(restored.has(&lost), "what it had forgotten comes back");
    let onward = restored.write(&stage.case);
    let header = header_of(&onward);
    assert_eq!((header.incarnation, header.seq, header.prev), (Incarnation(99), 0, Some(link_of(&lost))));
    assert_eq!(pushed(&mut restored), Some(onward));
}
