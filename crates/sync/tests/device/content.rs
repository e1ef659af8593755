//! The content lane: what stands, what waits, what is set aside.

use vereda_base::Digest;
use vereda_policy::Role;
use vereda_protocol::{Chunk, Down, Position};
use vereda_sync::device::{Event, QuarantineReason, SyncState};

use crate::{
    rig::Rig,
    world::{World, changed, grant, header_of, link_of},
};

fn reasons(rig: &Rig) -> Vec<QuarantineReason> {
    let set_aside = rig.machine.quarantined(&rig.store, &rig.world.case).unwrap();
    set_aside.into_iter().map(|chunk| chunk.reason).collect()
}

#[test]
fn chunks_that_stand_are_stored_in_order_under_their_document_with_its_heads() {
    let mut rig = Rig::caught_up(World::found());
    let (bashir, case) = (rig.world.bashir.clone(), rig.world.case);
    let first = rig.world.chunk(&bashir, 0, None, &[]);
    let second = rig.world.chunk(&bashir, 1, Some(link_of(&first)), &[link_of(&first)]);
    rig.content(&[&first, &second], 100);
    assert_eq!(rig.stored(), [first, second.clone()]);
    assert_eq!(rig.machine.heads(&rig.store, &case).unwrap(), [link_of(&second)]);
    assert_eq!(rig.machine.chunk_count(&rig.store, &case).unwrap(), 2);
    assert_eq!(rig.events, [Event::ChunksStored { document: case }]);
    let rig = rig.restart();
    assert_eq!(rig.stored().len(), 2);
}

#[test]
fn the_same_chunk_twice_is_one_chunk() {
    let mut rig = Rig::caught_up(World::found());
    let chunk = rig.world.chunk(&rig.world.bashir, 0, None, &[]);
    rig.content(&[&chunk, &chunk], 100);
    rig.content(&[&chunk], 101);
    assert_eq!(rig.stored(), [chunk]);
}

#[test]
fn a_chunk_that_relies_on_unknown_policy_waits_and_is_taken_when_that_comes() {
    let mut rig = Rig::caught_up(World::found());
    let (amina, bashir, case) = (rig.world.amina.key.clone(), rig.world.bashir.clone(), rig.world.case);
    let news = rig.world.append(&amina, &case, grant(bashir.user, Role::Editor));
    let chunk = rig.world.chunk(&bashir, 0, None, &[]);
    rig.content(&[&chunk], 100);
    assert_eq!(rig.stored(), []);
    let waiting = SyncState::WaitingForPolicy { chain: case, chunks: 1 };
    assert_eq!(rig.machine.explain(&rig.store, &case).unwrap(), waiting);
    let mut rig = rig.restart();
    rig.connect();
    rig.down(&Down::Policy { entries: vec![news], cursor: Position(101) });
    assert_eq!(rig.stored(), [chunk]);
    assert_eq!(reasons(&rig), []);
}

#[test]
fn chunks_that_come_before_what_they_build_on_wait_for_it() {
    let mut rig = Rig::caught_up(World::found());
    let (amina, bashir) = (rig.world.amina.clone(), rig.world.bashir.clone());
    let team = rig.world.team;
    let news = rig.world.append(&amina.key, &team, grant(amina.user, Role::Editor));
    rig.down(&Down::Policy { entries: vec![news], cursor: Position(99) });
    let first = rig.world.chunk(&bashir, 0, None, &[]);
    let second = rig.world.chunk(&bashir, 1, Some(link_of(&first)), &[link_of(&first)]);
    let third = rig.world.chunk(&amina, 0, None, &[link_of(&second)]);
    rig.content(&[&third, &second], 100);
    assert_eq!(rig.stored(), []);
    assert_eq!(rig.machine.explain(&rig.store, &rig.world.case).unwrap(), SyncState::WaitingForChunks { chunks: 2 });
    rig.content(&[&first], 101);
    assert_eq!(rig.stored(), [first, second, third]);
}

#[test]
fn a_chunk_that_breaks_a_rule_is_set_aside_and_the_rest_goes_on() {
    let check = |reason: QuarantineReason, spoil: &dyn Fn(&Rig, Chunk) -> Chunk| {
        let mut rig = Rig::caught_up(World::found());
        let first = rig.world.chunk(&rig.world.bashir, 0, None, &[]);
        rig.content(&[&first], 100);
        let next = rig.world.chunk(&rig.world.bashir, 1, Some(link_of(&first)), &[link_of(&first)]);
        let spoiled = spoil(&rig, next);
        rig.content(&[&spoiled], 101);
        assert_eq!(reasons(&rig), [reason], "{reason:?}");
        let case = rig.world.case;
        assert!(rig.saw(&Event::Quarantined { chunk: spoiled.id(), document: case }));
        let state = rig.machine.explain(&rig.store, &case).unwrap();
        assert_eq!(state, SyncState::Quarantined { chunks: 1, first: spoiled.id() });
        assert_eq!(rig.disconnects(), []);
        let own = rig.write();
        assert_eq!(rig.stored(), [first, own]);
    };
    check(QuarantineReason::BadHeader, &|_, chunk| {
        let other = vereda_crypto::Signature([1; 64]);
        let header = vereda_crypto::Signed::from_parts(chunk.header.bytes().to_vec(), other);
        Chunk { header, ..chunk }
    });
    check(QuarantineReason::BadCiphertext, &|_, mut chunk| {
        chunk.ciphertext[0] ^= 1;
        chunk
    });
    check(QuarantineReason::BadForm, &|rig, chunk| {
        changed(&chunk, &rig.world.bashir.key, |header| header.change_count = 0)
    });
    check(QuarantineReason::NotAuthorized, &|rig, chunk| {
        changed(&chunk, &rig.world.bashir.key, |header| header.cites.truncate(1))
    });
    check(QuarantineReason::NotAuthorized, &|rig, chunk| {
        changed(&chunk, &rig.world.bashir.key, |header| {
            let case = rig.world.case;
            header.cites.retain(|cite| cite.chain != case);
        })
    });
    check(QuarantineReason::NotContiguous, &|rig, chunk| {
        let first = rig.stored()[0].clone();
        let other = changed(&first, &rig.world.bashir.key, |header| header.ops_root = Digest([77; 32]));
        changed(&chunk, &rig.world.bashir.key, |header| header.prev = Some(link_of(&other)))
    });
}

#[test]
fn two_chunks_at_one_place_are_kept_both_as_evidence_and_nothing_more_of_their_author_is_taken() {
    let mut rig = Rig::caught_up(World::found());
    let bashir = rig.world.bashir.clone();
    let first = rig.world.chunk(&bashir, 0, None, &[]);
    let other = changed(&first, &bashir.key, |header| header.ops_root = Digest([77; 32]));
    let next = rig.world.chunk(&bashir, 1, Some(link_of(&first)), &[link_of(&first)]);
    rig.content(&[&first, &other, &next], 100);
    assert_eq!(rig.stored(), std::slice::from_ref(&first));
    assert_eq!(reasons(&rig), [QuarantineReason::Fork, QuarantineReason::Fork]);
    let evidence = &rig.machine.quarantined(&rig.store, &rig.world.case).unwrap()[0];
    assert_eq!(evidence.chunk, vereda_base::encode(&other));
    assert_eq!(evidence.other, Some(vereda_base::encode(&first)));
}

#[test]
fn a_chunk_that_cites_older_policy_than_its_author_used_before_is_set_aside() {
    let mut rig = Rig::caught_up(World::found());
    let (amina, bashir, case) = (rig.world.amina.key.clone(), rig.world.bashir.clone(), rig.world.case);
    let before = rig.world.chunk(&bashir, 0, None, &[]);
    let old_cites = header_of(&before).cites;
    let news = rig.world.append(&amina, &case, grant(bashir.user, Role::Editor));
    rig.down(&Down::Policy { entries: vec![news], cursor: Position(99) });
    let first = rig.world.chunk(&bashir, 0, None, &[]);
    let second = rig.world.chunk(&bashir, 1, Some(link_of(&first)), &[link_of(&first)]);
    let second = changed(&second, &bashir.key, |header| header.cites = old_cites);
    rig.content(&[&first, &second], 100);
    assert_eq!(rig.stored(), [first]);
    assert_eq!(reasons(&rig), [QuarantineReason::CiteRegressed]);
}

#[test]
fn a_chunk_sealed_again_under_a_known_epoch_stays_one_chunk() {
    let mut rig = Rig::caught_up(World::found());
    let bashir = rig.world.bashir.clone();
    let first = rig.world.chunk(&bashir, 0, None, &[]);
    let again = changed(&first, &bashir.key, |header| header.nonce = [9; 24].into());
    assert_ne!(first.id(), again.id());
    rig.content(&[&first, &again], 100);
    assert_eq!(rig.stored(), [first]);
    assert_eq!(reasons(&rig), []);
}

#[test]
fn content_found_hostile_by_the_application_is_kept_as_evidence() {
    let mut rig = Rig::caught_up(World::found());
    let chunk = rig.world.chunk(&rig.world.bashir, 0, None, &[]);
    rig.content(&[&chunk], 100);
    rig.machine.quarantine_content(&mut rig.store, &link_of(&chunk)).unwrap();
    rig.commit();
    assert_eq!(reasons(&rig), [QuarantineReason::BadContent]);
}
