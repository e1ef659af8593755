//! Nothing is acknowledged that is not on disk.

use vereda_protocol::{ChunkOutcome, Down, Goodbye, Up};
use vereda_sync::{
    people::link_of,
    relay::{RelayStore, StoreError},
};

use super::room::{Room, assert_appended};

#[test]
fn a_failed_commit_releases_no_effect_but_goodbyes_and_the_relay_goes_on() {
    let (mut room, mut manager, id, agency) = Room::founded();
    let case = room.case((&mut manager, id), agency);
    let chunk = manager.chunk(case, 0, None, &[], 300);
    room.take(id);
    room.store.fail_next_commit(StoreError::Full);
    room.up_only(id, Up::PutChunk(chunk.clone()));
    assert_eq!(room.settle(), Some(StoreError::Full));
    assert_eq!(room.take(id), [Down::Goodbye(Goodbye::StorageFailure)]);
    assert_eq!(room.machine.session_count(), 0);
    assert_eq!(room.store.chunk_at(&case, &link_of(&chunk)), Ok(None));
    let id = room.connect_member(&manager);
    room.take(id);
    assert_eq!(room.put_chunk(id, &chunk), ChunkOutcome::Durable);
}

#[test]
fn what_was_cached_of_a_failed_transaction_is_forgotten() {
    let (mut room, mut manager, id, agency) = Room::founded();
    let case = manager.create_case(agency);
    room.store.fail_next_commit(StoreError::Full);
    room.up_only(id, Up::PutOp { request: 1, op: case.op.signed().clone(), wraps: case.wraps.clone() });
    let chunk = manager.chunk(case.chain(), 0, None, &[], 300);
    room.up_only(id, Up::PutChunk(chunk.clone()));
    assert_eq!(room.settle(), Some(StoreError::Full));
    let id = room.connect_member(&manager);
    room.take(id);
    let unknown = ChunkOutcome::Refused(vereda_protocol::RefusalCode::NotAuthorized);
    assert_eq!(room.put_chunk(id, &chunk), unknown);
    assert_appended(&room.put(id, &case));
    assert_eq!(room.put_chunk(id, &chunk), ChunkOutcome::Durable);
}

#[test]
fn a_relay_started_again_knows_all_that_it_acknowledged() {
    let (mut room, mut manager, id, agency) = Room::founded();
    let case = room.case((&mut manager, id), agency);
    let chunk = manager.chunk(case, 0, None, &[], 300);
    assert_eq!(room.put_chunk(id, &chunk), ChunkOutcome::Durable);
    let lost = manager.chunk(case, 1, Some(link_of(&chunk)), &[link_of(&chunk)], 300);
    room.up_only(id, Up::PutChunk(lost.clone()));
    let epoch = room.machine.relay_epoch();
    let mut store = room.store;
    store.crash();
    let mut room = Room::over(store);
    assert_eq!(room.machine.relay_epoch(), epoch);
    let id = room.connect_member(&manager);
    let Some(Down::Welcome { held, .. }) = room.take(id).into_iter().next() else { panic!("a welcome") };
    assert_eq!(held, 1);
    assert_eq!(room.put_chunk(id, &chunk), ChunkOutcome::Durable);
    assert_eq!(room.put_chunk(id, &lost), ChunkOutcome::Durable);
}
