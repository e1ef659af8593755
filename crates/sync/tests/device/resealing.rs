//! Chunks that the relay wants sealed again.

use vereda_policy::{Body, FrontierTree, Revoke, Role};
use vereda_protocol::{Chunk, ChunkOutcome, Down, RefusalCode, Up};
use vereda_sync::device::{EnqueueError, Event, OutboxItem, SyncState};

use crate::{
    rig::Rig,
    world::{World, changed, grant, header_of, link_of},
};

fn refuse(rig: &mut Rig, chunk: &Chunk, code: RefusalCode) {
    rig.down(&Down::ChunkResult { link: link_of(chunk), outcome: ChunkOutcome::Refused(code) });
}

fn puts(rig: &mut Rig) -> Vec<Chunk> {
    let sent = std::mem::take(&mut rig.sent);
    sent.into_iter().filter_map(|up| if let Up::PutChunk(chunk) = up { Some(chunk) } else { None }).collect()
}

/// Seals a chunk again with the heads as they are now.
fn resealed(rig: &mut Rig, chunk: &Chunk) -> Chunk {
    let cites = rig.machine.cites(&rig.store, &rig.world.case).unwrap().unwrap();
    changed(chunk, &rig.world.chipo.key, |header| {
        header.cites = cites;
        header.nonce = [9; 24].into();
    })
}

#[test]
fn a_chunk_sealed_again_keeps_its_link_and_its_place_in_the_order() {
    let mut rig = Rig::caught_up(World::found());
    let (first, second, third) = (rig.write(), rig.write(), rig.write());
    assert_eq!(puts(&mut rig).len(), 3);
    let case = rig.world.case;
    let (amina, team, chipo) = (rig.world.amina.key.clone(), rig.world.team, rig.world.chipo.user);
    let news = rig.world.append(&amina, &team, grant(chipo, Role::Reader));
    rig.policy(&[&news], 100);
    refuse(&mut rig, &first, RefusalCode::CiteRegressed);
    // What builds on it was refused only because of it.
    refuse(&mut rig, &second, RefusalCode::NotContiguous);
    refuse(&mut rig, &third, RefusalCode::MissingDeps);
    assert!(rig.saw(&Event::Reseal { link: link_of(&first), document: case }));
    assert_eq!(rig.machine.explain(&rig.store, &case).unwrap(), SyncState::NeedsResealing { chunks: 1 });
    assert_eq!(puts(&mut rig), []);

    // Nothing is lost or reordered by a restart.
    let mut rig = rig.restart();
    rig.connect();
    assert_eq!(puts(&mut rig), []);
    rig.catch_up();
    let again = resealed(&mut rig, &first);
    assert_eq!(link_of(&again), link_of(&first));
    rig.machine.reseal_chunk(&mut rig.store, &again).unwrap();
    rig.commit();
    assert_eq!(puts(&mut rig), [again.clone(), second.clone(), third.clone()]);
    assert_eq!(rig.stored(), [again, second, third.clone()]);
    let items = rig.machine.outbox(&rig.store).unwrap();
    let first_item = OutboxItem::Chunk { link: link_of(&first) };
    assert_eq!((items.len(), items.first()), (3, Some(&first_item)));
    let next = rig.seal();
    assert_eq!(header_of(&next).prev, Some(link_of(&third)));
}

#[test]
fn only_a_newer_sealing_of_what_waits_is_taken() {
    let mut rig = Rig::caught_up(World::found());
    let first = rig.write();
    refuse(&mut rig, &first, RefusalCode::StaleEpoch);
    let key = rig.world.chipo.key.clone();
    let same = changed(&first, &key, |header| header.nonce = [9; 24].into());
    assert_eq!(rig.machine.reseal_chunk(&mut rig.store, &same), Err(EnqueueError::Known));
    let unknown = changed(&first, &key, |header| header.ops_root = vereda_base::Digest([77; 32]));
    assert_eq!(rig.machine.reseal_chunk(&mut rig.store, &unknown), Err(EnqueueError::NotWaiting));
    let no_epoch = changed(&first, &key, |header| header.epoch = 1);
    assert!(matches!(rig.machine.reseal_chunk(&mut rig.store, &no_epoch), Err(EnqueueError::Content(_))));
    rig.commit();
    assert_eq!(rig.stored(), std::slice::from_ref(&first));
    let done = rig.write();
    assert_eq!(puts(&mut rig).len(), 1, "what follows in the document waits");
    rig.down(&Down::ChunkResult { link: link_of(&first), outcome: ChunkOutcome::Durable });
    assert_eq!(puts(&mut rig), [done]);
    assert_eq!(rig.machine.reseal_chunk(&mut rig.store, &same), Err(EnqueueError::NotWaiting));
}

#[test]
fn what_its_author_may_seal_no_longer_is_handed_in_as_it_is() {
    let mut rig = Rig::caught_up(World::found());
    let chunk = rig.write();
    puts(&mut rig);
    refuse(&mut rig, &chunk, RefusalCode::StaleEpoch);
    assert_eq!(rig.machine.reseal_chunk(&mut rig.store, &chunk), Err(EnqueueError::Known));
    let (amina, team, subject) = (rig.world.amina.key.clone(), rig.world.team, rig.world.chipo.user);
    let frontier = FrontierTree::new([]).frontier();
    let lower = Body::Revoke(Revoke { subject, keeps: Some(Role::Reader), successor: None, frontier });
    let news = rig.world.append(&amina, &team, lower);
    rig.policy(&[&news], 100);
    rig.machine.reseal_chunk(&mut rig.store, &chunk).unwrap();
    rig.commit();
    assert_eq!(puts(&mut rig), [chunk]);
}
