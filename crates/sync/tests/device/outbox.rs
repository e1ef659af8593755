//! What this device wants the relay to hold.

use vereda_base::{Digest, Incarnation};
use vereda_crypto::{Verified, context, hash};
use vereda_policy::{Chains, Draft};
use vereda_protocol::{ChunkOutcome, Down, OpOutcome, Position, RefusalCode, UP_WINDOW_BYTES, Up};
use vereda_sync::device::{
    DeviceLimits, DeviceMachine, Disconnect, EnqueueError, Event, OutboxItem, Place, QuarantineReason, SyncState,
};

use crate::{
    rig::{Rig, config},
    world::{World, changed, link_of},
};

fn explain(rig: &Rig) -> SyncState {
    rig.machine.explain(&rig.store, &rig.world.case).unwrap()
}

fn durable(rig: &mut Rig, chunk: &vereda_protocol::Chunk) {
    rig.down(&Down::ChunkResult { link: link_of(chunk), outcome: ChunkOutcome::Durable });
}

#[test]
fn a_retry_sends_the_same_bytes_until_the_relay_confirms_them() {
    let mut rig = Rig::caught_up(World::found());
    let chunk = rig.write();
    assert_eq!(rig.sent.pop_back(), Some(Up::PutChunk(chunk.clone())));
    rig.lose();
    let mut rig = rig.restart();
    rig.connect();
    assert_eq!(rig.sent.pop_front(), Some(Up::PutChunk(chunk.clone())));
    durable(&mut rig, &chunk);
    assert!(rig.saw(&Event::Acknowledged { link: link_of(&chunk), document: rig.world.case }));
    let mut rig = rig.restart();
    rig.held = 1;
    rig.connect();
    assert!(rig.sent.is_empty());
    assert_eq!(rig.machine.outbox(&rig.store).unwrap(), []);
    let (position, at_relay, _) = rig.machine.find_chunk(&rig.store, &link_of(&chunk)).unwrap().unwrap();
    assert_eq!((position, at_relay), (0, true));
}

#[test]
fn no_byte_leaves_before_the_chunk_is_committed() {
    let mut rig = Rig::caught_up(World::found());
    let chunk = rig.seal();
    rig.machine.enqueue_chunk(&mut rig.store, &chunk).unwrap();
    assert!(rig.sent.is_empty());
    let rig = rig.restart();
    assert_eq!(rig.stored(), []);
    assert_eq!(rig.machine.outbox(&rig.store).unwrap(), []);
}

#[test]
fn the_order_of_the_outbox_is_kept_over_operations_and_chunks() {
    let mut rig = Rig::caught_up(World::found());
    rig.lose();
    let first = rig.write();
    let create = sign_case(&rig, 20);
    let id = rig.machine.enqueue_op(&mut rig.store, &create, Vec::new()).unwrap();
    let second = rig.write();
    rig.commit();
    rig.sleep();
    rig.connect_again();
    assert_eq!(rig.sent.pop_front(), Some(Up::PutChunk(first)));
    let Some(Up::PutOp { request, op, .. }) = rig.sent.pop_front() else { panic!() };
    assert_eq!(&op, create.signed());
    assert_eq!(rig.sent.pop_front(), Some(Up::PutChunk(second)));
    let receipt = rig.world.receipt(&op);
    rig.down(&Down::OpResult { request, outcome: OpOutcome::Appended(receipt) });
    assert!(rig.saw(&Event::OpDone { op: id }));
    assert_eq!(rig.machine.outbox(&rig.store).unwrap().len(), 2);
}

#[test]
fn a_case_made_offline_is_there_at_once_and_its_receipt_is_noted_whichever_way_it_comes() {
    let check = |by_stream: bool| {
        let mut rig = Rig::caught_up(World::found());
        rig.lose();
        let create = sign_case(&rig, 20);
        let chain = vereda_policy::chain_of(create.value());
        rig.machine.enqueue_op(&mut rig.store, &create, Vec::new()).unwrap();
        rig.commit();
        let mut rig = rig.restart();
        assert_eq!(rig.machine.documents(&rig.store).unwrap(), [rig.world.case, chain]);
        assert_eq!(rig.machine.chains(&rig.store).chain(&chain).unwrap().last_time(), None);
        rig.connect();
        let Some(Up::PutOp { request, .. }) = rig.sent.pop_front() else { panic!() };
        let entry = rig.world.admit(&create);
        if by_stream {
            rig.down(&Down::Policy { entries: vec![entry], cursor: Position(100) });
        } else {
            let receipt = rig.world.receipt(create.signed());
            rig.down(&Down::OpResult { request, outcome: OpOutcome::Appended(receipt) });
        }
        assert_eq!(rig.machine.chains(&rig.store).chain(&chain), rig.world.chains.chain(&chain));
        assert_eq!(rig.machine.outbox(&rig.store).unwrap(), []);
        let rig = rig.restart();
        assert_eq!(rig.machine.chains(&rig.store).chain(&chain), rig.world.chains.chain(&chain));
    };
    check(true);
    check(false);
}

#[test]
fn a_receipt_of_another_relay_confirms_nothing() {
    let mut rig = Rig::caught_up(World::found());
    let create = sign_case(&rig, 20);
    let chain = vereda_policy::chain_of(create.value());
    rig.machine.enqueue_op(&mut rig.store, &create, Vec::new()).unwrap();
    rig.commit();
    let Some(Up::PutOp { request, .. }) = rig.sent.pop_front() else { panic!() };
    rig.world.relay = crate::world::key(98);
    let receipt = rig.world.receipt(create.signed());
    rig.down(&Down::OpResult { request, outcome: OpOutcome::Appended(receipt) });
    assert_eq!(rig.disconnects(), [Disconnect::Violation]);
    assert_eq!(rig.machine.chains(&rig.store).chain(&chain).unwrap().last_time(), None);
    assert_eq!(rig.machine.outbox(&rig.store).unwrap().len(), 1);
}

#[test]
fn a_refused_operation_is_kept_and_explained() {
    let mut rig = Rig::caught_up(World::found());
    let create = sign_case(&rig, 20);
    let chain = vereda_policy::chain_of(create.value());
    let id = rig.machine.enqueue_op(&mut rig.store, &create, Vec::new()).unwrap();
    rig.commit();
    let Some(Up::PutOp { request, .. }) = rig.sent.pop_front() else { panic!() };
    let code = RefusalCode::NotAuthorized;
    rig.down(&Down::OpResult { request, outcome: OpOutcome::Refused(code) });
    assert!(rig.saw(&Event::OpRefused { op: id, code }));
    assert_eq!(rig.machine.explain(&rig.store, &chain).unwrap(), SyncState::OpRefused { code });
}

#[test]
fn unanswered_bytes_stay_within_the_window() {
    let world = World::found();
    let mut rig = Rig::caught_up(world);
    rig.lose();
    let chunks: Vec<_> = (0..6).map(|_| rig.write()).collect();
    let mut narrow = config(&rig.world, &rig.world.chipo);
    narrow.limits = DeviceLimits { window_bytes: 700, ..DeviceLimits::default() };
    rig.machine = DeviceMachine::open(narrow, &mut rig.store).unwrap();
    rig.connect();
    let flying = rig.sent.len();
    assert!((1..6).contains(&flying), "{flying}");
    rig.sent.clear();
    for (index, chunk) in chunks.iter().enumerate() {
        durable(&mut rig, chunk);
        let next = chunks.get(flying + index).map(|chunk| Up::PutChunk(chunk.clone()));
        if let Some(next) = next {
            assert_eq!(rig.sent.pop_front(), Some(next));
        }
    }
    assert_eq!(rig.machine.outbox(&rig.store).unwrap(), []);
}

#[test]
fn a_refused_chunk_is_kept_and_explained() {
    let mut rig = Rig::caught_up(World::found());
    let chunk = rig.write();
    let (link, document, code) = (link_of(&chunk), rig.world.case, RefusalCode::TooLarge);
    rig.down(&Down::ChunkResult { link, outcome: ChunkOutcome::Refused(code) });
    assert!(rig.saw(&Event::ChunkRefused { link, document, code }));
    assert_eq!(explain(&rig), SyncState::Refused { chunks: 1, code });
    assert_eq!(rig.stored(), [chunk]);
    assert_eq!(rig.machine.outbox(&rig.store).unwrap(), []);
}

#[test]
fn a_chunk_in_review_is_no_acknowledgement() {
    let mut rig = Rig::caught_up(World::found());
    let chunk = rig.write();
    rig.down(&Down::ChunkResult { link: link_of(&chunk), outcome: ChunkOutcome::InReview });
    assert_eq!(explain(&rig), SyncState::InReview { chunks: 1 });
    assert!(!rig.machine.find_chunk(&rig.store, &link_of(&chunk)).unwrap().unwrap().1);
}

#[test]
fn a_documents_state_is_explained_from_writing_to_confirmation() {
    let mut rig = Rig::caught_up(World::found());
    rig.now.wall = crate::rig::wall(60);
    rig.lose();
    assert_eq!(explain(&rig), SyncState::Acknowledged);
    let chunk = rig.write();
    let since = Some(crate::rig::wall(60));
    assert_eq!(explain(&rig), SyncState::Offline { chunks: 1, since, reason: Disconnect::Lost });
    rig.sleep();
    rig.connect_again();
    assert_eq!(explain(&rig), SyncState::Sent { chunks: 1 });
    durable(&mut rig, &chunk);
    assert_eq!(explain(&rig), SyncState::Acknowledged);
    let unknown = vereda_base::ChainId([1; 32]);
    assert_eq!(rig.machine.explain(&rig.store, &unknown).unwrap(), SyncState::Unknown);
}

#[test]
fn everything_is_settled_once_caught_up_and_confirmed() {
    let mut rig = Rig::new(World::found());
    assert!(!rig.machine.is_settled());
    rig.connect();
    assert!(!rig.machine.is_settled());
    rig.catch_up();
    assert!(rig.machine.is_settled());
    let chunk = rig.write();
    assert!(!rig.machine.is_settled());
    durable(&mut rig, &chunk);
    assert!(rig.machine.is_settled());
    rig.lose();
    assert!(!rig.machine.is_settled());
}

#[test]
fn what_others_would_set_aside_is_not_taken_into_the_outbox() {
    let mut rig = Rig::caught_up(World::found());
    let chunk = rig.seal();
    let key = rig.world.chipo.key.clone();
    let foreign = rig.world.chunk(&rig.world.bashir, 0, None, &[]);
    let case = rig.world.case;
    let mut check = |chunk: &vereda_protocol::Chunk, expected: EnqueueError| {
        assert_eq!(rig.machine.enqueue_chunk(&mut rig.store, chunk), Err(expected));
    };
    check(&foreign, EnqueueError::NotOurs);
    check(&changed(&chunk, &key, |header| header.incarnation = Incarnation(2)), EnqueueError::NotOurs);
    let seqless = changed(&chunk, &key, |header| header.seq = 1);
    check(&seqless, EnqueueError::Breaks(QuarantineReason::BadForm));
    check(&changed(&chunk, &key, |header| header.deps = vec![vereda_base::Link([1; 32])]), EnqueueError::Incomplete);
    let uncited = changed(&chunk, &key, |header| header.cites.retain(|cite| cite.chain != case));
    check(&uncited, EnqueueError::Breaks(QuarantineReason::NotAuthorized));
    rig.commit();
    assert_eq!(rig.machine.outbox(&rig.store).unwrap(), []);
    rig.machine.enqueue_chunk(&mut rig.store, &chunk).unwrap();
    assert_eq!(rig.machine.enqueue_chunk(&mut rig.store, &chunk), Err(EnqueueError::Known));
}

#[test]
fn a_store_restored_from_a_copy_sends_nothing_more_until_it_has_a_new_incarnation() {
    let mut rig = Rig::caught_up(World::found());
    let copy = rig.store.clone();
    let first = rig.write();
    durable(&mut rig, &first);
    let mut rig = Rig::of(rig.world.clone(), &rig.world.chipo.clone(), copy);
    rig.held = 1;
    rig.connect();
    assert!(rig.saw(&Event::StoreRestored { held: 1, sealed: 0 }));
    assert_eq!(rig.disconnects(), [Disconnect::StoreRestored]);
    assert_eq!(rig.machine.poll_timeout(), None);
    rig.machine.open_incarnation(&mut rig.store, Incarnation(2)).unwrap();
    rig.commit();
    rig.held = 0;
    rig.sleep();
    rig.connect_again();
    // What the lost store had sent comes back as a chunk like any other.
    rig.content(&[&first], 100);
    let place = rig.machine.next_place(&rig.store, &rig.world.case).unwrap();
    assert_eq!(place, Place { incarnation: Incarnation(2), seq: 0, prev: Some(link_of(&first)) });
    let next = rig.write();
    assert_eq!(rig.stored(), [first, next]);
}

#[test]
fn another_chunk_at_a_place_of_ours_shows_that_the_store_is_a_copy() {
    let mut rig = Rig::caught_up(World::found());
    let chunk = rig.write();
    let outcome = ChunkOutcome::Refused(RefusalCode::Fork);
    rig.down(&Down::ChunkResult { link: link_of(&chunk), outcome });
    assert_eq!(rig.disconnects(), [Disconnect::StoreRestored]);
}

#[test]
fn an_item_of_the_outbox_reads_back_from_its_row() {
    let rig = Rig::caught_up(World::found());
    let create = sign_case(&rig, 20);
    let items = [
        OutboxItem::Op { op: create.signed().clone(), wraps: Vec::new() },
        OutboxItem::Chunk { link: vereda_base::Link([1; 32]) },
    ];
    for item in items {
        assert_eq!(vereda_base::decode::<OutboxItem>(&vereda_base::encode(&item), 1 << 20), Ok(item));
    }
}

fn sign_case(rig: &Rig, nonce: u8) -> Verified<vereda_policy::Op> {
    let chipo = &rig.world.chipo;
    Draft::new(&rig.world.chains, chipo.device(), None).sign_create(&chipo.key, rig.world.case_of(nonce)).unwrap()
}

#[test]
fn whoever_waits_for_credit_has_sent_as_much_as_the_relay_gives_it_back_at() {
    // The first flight costs no credit, and takes none: wherever the last chunk ends.
    let check = |first: usize| {
        let mut rig = Rig::caught_up(World::found());
        let before = rig.frames.len();
        let mut sizes = [first, 255 << 10, 255 << 10, 255 << 10].into_iter().chain(std::iter::repeat(1));
        loop {
            rig.sent.clear();
            let ciphertext = vec![1; sizes.next().unwrap()];
            let mut chunk = changed(&rig.seal(), &rig.world.chipo.key, |header| {
                header.ciphertext_len = ciphertext.len() as u32;
                header.ciphertext_hash = Digest(hash(context::CIPHERTEXT, &[&ciphertext]));
            });
            chunk.ciphertext = ciphertext;
            rig.machine.enqueue_chunk(&mut rig.store, &chunk).unwrap();
            rig.commit();
            if rig.sent.is_empty() {
                break;
            }
            durable(&mut rig, &chunk);
        }
        let sent: usize = rig.frames.iter().skip(before).map(Vec::len).sum();
        assert!(sent as u64 >= UP_WINDOW_BYTES / 2, "{sent}");
    };
    (0..6).for_each(|step| check((255 << 10) + 50 * step));
}
