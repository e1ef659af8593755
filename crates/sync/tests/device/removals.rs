//! Removals: what they cut off here, whoever delivers what in which order.

use vereda_base::{Digest, Incarnation};
use vereda_policy::{Adopt, Body, Chains, Grant, LeafAnswer, Place, Role};
use vereda_protocol::{Chunk, Down, Leaves, OfferedLeaf, PolicyEntry, Up};
use vereda_sync::device::{Disconnect, EnqueueError, Event, QuarantineReason, SyncState};

use crate::{
    rig::Rig,
    world::{Person, Removed, World, grant, header_of, link_of},
};

/// Bashir wrote three chunks of the case.
fn three(rig: &Rig) -> [Chunk; 3] {
    let bashir = &rig.world.bashir;
    let first = rig.world.chunk(bashir, 0, None, &[]);
    let second = rig.world.chunk(bashir, 1, Some(link_of(&first)), &[link_of(&first)]);
    let third = rig.world.chunk(bashir, 2, Some(link_of(&second)), &[link_of(&second)]);
    [first, second, third]
}

/// Amina takes Bashir out of the team, with a frontier that names these chunks.
fn revoke(rig: &mut Rig, named: &[&Chunk]) -> Removed {
    let (bashir, team) = (rig.world.bashir.clone(), rig.world.team);
    let leaves = rig.world.leaves(&bashir, named);
    rig.world.revoke(&bashir, &team, &leaves)
}

fn asked(rig: &mut Rig) -> Vec<Digest> {
    let mut asked = Vec::new();
    while let Some(up) = rig.sent.pop_front() {
        if let Up::AskLeaves { keys, .. } = up {
            asked.extend(keys);
        }
    }
    asked
}

fn content_key(chunk: &Chunk) -> Digest {
    let header = header_of(chunk);
    Place::Content { document: header.document, device: header.device, incarnation: header.incarnation }.key()
}

fn answer(rig: &mut Rig, removed: &Removed, key: Digest) {
    let (chain, removal) = (rig.world.team, removed.removal);
    rig.down(&Down::Leaves { chain, removal, answers: vec![(key, removed.tree.prove(&key))] });
}

#[test]
fn what_the_frontier_names_stands_before_and_after_the_removal_is_known() {
    let mut rig = Rig::caught_up(World::found());
    let [first, second, third] = three(&rig);
    rig.content(&[&first, &second], 100);
    let removed = revoke(&mut rig, &[&first, &second, &third]);
    rig.policy(&[&removed.op, &removed.leaves], 101);
    rig.content(&[&third], 102);
    assert_eq!(rig.stored(), [first, second, third]);
    assert_eq!(rig.excluded(), []);
    assert_eq!(asked(&mut rig), []);
    assert!(!rig.saw(&Event::Excluded { document: rig.world.case }));
}

#[test]
fn stored_chunks_beyond_the_frontier_do_not_stand_once_the_removal_is_known() {
    let mut rig = Rig::caught_up(World::found());
    let [first, second, third] = three(&rig);
    rig.content(&[&first, &second, &third], 100);
    let removed = revoke(&mut rig, &[&first]);
    rig.policy(&[&removed.op, &removed.leaves], 101);
    let case = rig.world.case;
    assert_eq!(rig.stored(), std::slice::from_ref(&first));
    let mut out = vec![link_of(&second), link_of(&third)];
    out.sort_unstable();
    assert_eq!(rig.excluded(), out);
    assert!(rig.saw(&Event::Excluded { document: case }));
    assert!(!rig.saw(&Event::Remake { document: case }));
    assert_eq!(rig.machine.heads(&rig.store, &case).unwrap(), [link_of(&first)]);
    assert_eq!(rig.machine.explain(&rig.store, &case).unwrap(), SyncState::Excluded { chunks: 2 });
    // Own work goes on upon what stands, and all of it survives a restart.
    let own = rig.write();
    let rig = rig.restart();
    assert_eq!(rig.stored(), [first, own]);
    assert_eq!(rig.excluded(), out);
}

#[test]
fn a_chunk_beyond_a_known_frontier_is_set_aside_and_so_is_the_honest_one_that_builds_on_it() {
    let mut rig = Rig::caught_up(World::found());
    let amina = rig.world.amina.clone();
    let team = rig.world.team;
    let news = rig.world.append(&amina.key, &team, grant(amina.user, Role::Editor));
    let [first, second, _] = three(&rig);
    let successor = rig.world.chunk(&amina, 0, None, &[link_of(&second)]);
    let removed = revoke(&mut rig, &[&first]);
    rig.policy(&[&news, &removed.op, &removed.leaves], 100);
    // The successor first: it waits for what it builds on, and is judged with it.
    rig.content(&[&first, &successor], 101);
    assert_eq!(rig.stored(), std::slice::from_ref(&first));
    rig.content(&[&second], 102);
    assert_eq!(rig.stored(), [first]);
    let reasons: Vec<_> = rig.machine.quarantined(&rig.store, &rig.world.case).unwrap();
    let reasons: Vec<_> = reasons.into_iter().map(|chunk| chunk.reason).collect();
    assert_eq!(reasons, [QuarantineReason::BeyondFrontier, QuarantineReason::BuiltOnExcluded]);
}

#[test]
fn the_own_successor_of_an_excluded_chunk_is_remade_under_a_new_incarnation() {
    let mut rig = Rig::caught_up(World::found());
    let [first, second, _] = three(&rig);
    rig.content(&[&first, &second], 100);
    let own = rig.write();
    let case = rig.world.case;
    let removed = revoke(&mut rig, &[&first]);
    rig.policy(&[&removed.op, &removed.leaves], 101);
    assert!(rig.saw(&Event::Remake { document: case }));
    assert_eq!(rig.machine.outbox(&rig.store).unwrap(), []);
    assert_eq!(rig.machine.explain(&rig.store, &case).unwrap(), SyncState::NeedsRemaking { chunks: 1 });
    // Under the old incarnation nothing more can stand.
    let again = rig.seal();
    let refused = rig.machine.enqueue_chunk(&mut rig.store, &again);
    assert_eq!(refused, Err(EnqueueError::Breaks(QuarantineReason::BuiltOnExcluded)));
    rig.machine.open_incarnation(&mut rig.store, Incarnation(2)).unwrap();
    rig.machine.drop_own(&mut rig.store, &case, &[link_of(&own)].into()).unwrap();
    rig.commit();
    assert_eq!(rig.excluded(), [link_of(&second)]);
    let remade = rig.write();
    assert_eq!(header_of(&remade).deps, [link_of(&first)]);
    assert_eq!(rig.stored(), [first, remade]);
}

#[test]
fn a_withheld_frontier_is_asked_for_once_and_what_needs_it_waits() {
    let mut rig = Rig::caught_up(World::found());
    let [first, second, third] = three(&rig);
    rig.content(&[&first, &second], 100);
    let removed = revoke(&mut rig, &[&first]);
    rig.policy(&[&removed.op], 101);
    // Two places are in doubt: the chunks, and the operation that began the case.
    let keys = asked(&mut rig);
    assert!(keys.contains(&content_key(&first)), "{keys:?}");
    rig.content(&[&third], 102);
    assert_eq!(rig.stored().len(), 2);
    let waiting = SyncState::WaitingForFrontier { chain: rig.world.team, chunks: 1 };
    assert_eq!(rig.machine.explain(&rig.store, &rig.world.case).unwrap(), waiting);
    assert_eq!(asked(&mut rig), []);
    // Not answered in this session: the next one asks again.
    rig.lose();
    rig.sleep();
    rig.connect_again();
    rig.catch_up();
    assert_eq!(asked(&mut rig).len(), keys.len());
    answer(&mut rig, &removed, content_key(&first));
    assert_eq!(rig.stored(), [first]);
    assert_eq!(rig.disconnects(), [Disconnect::Lost]);
}

#[test]
fn a_proven_absence_cuts_off_everything() {
    let mut rig = Rig::caught_up(World::found());
    let [first, second, _] = three(&rig);
    rig.content(&[&first, &second], 100);
    let removed = revoke(&mut rig, &[]);
    rig.policy(&[&removed.op], 101);
    answer(&mut rig, &removed, content_key(&first));
    assert_eq!(rig.stored(), []);
    assert_eq!(rig.excluded().len(), 2);
}

#[test]
fn leaves_that_are_not_the_frontiers_are_a_breach() {
    let lie = |spoil: &dyn Fn(&mut Rig, &Removed, &[Chunk; 3])| {
        let mut rig = Rig::caught_up(World::found());
        let chunks = three(&rig);
        rig.content(&[&chunks[0]], 100);
        let removed = revoke(&mut rig, &[&chunks[0]]);
        rig.policy(&[&removed.op], 101);
        spoil(&mut rig, &removed, &chunks);
        assert_eq!(rig.disconnects(), [Disconnect::Violation]);
    };
    lie(&|rig, removed, _| {
        let mut leaves = removed.tree.leaves().to_vec();
        leaves.pop();
        let (chain, removal) = (rig.world.team, removed.removal);
        rig.policy(&[&PolicyEntry::Frontier { chain, removal, leaves: Leaves::All(leaves) }], 102);
    });
    lie(&|rig, removed, chunks| {
        let LeafAnswer::Present(mut proven) = removed.tree.prove(&content_key(&chunks[0])) else { panic!() };
        proven.leaf.seq += 1;
        let (chain, removal) = (rig.world.team, removed.removal);
        rig.policy(&[&PolicyEntry::Frontier { chain, removal, leaves: Leaves::Some(vec![proven]) }], 102);
    });
    lie(&|rig, removed, chunks| {
        // "There is none" of what there is.
        let (chain, removal, key) = (rig.world.team, removed.removal, content_key(&chunks[0]));
        let answers = vec![(key, LeafAnswer::Absent { before: None, after: None })];
        rig.down(&Down::Leaves { chain, removal, answers });
    });
}

#[test]
fn a_frontier_that_comes_before_its_removal_waits_for_it() {
    let mut rig = Rig::caught_up(World::found());
    let [first, second, _] = three(&rig);
    rig.content(&[&first, &second], 100);
    let removed = revoke(&mut rig, &[&first]);
    rig.policy(&[&removed.leaves], 101);
    assert_eq!(rig.stored().len(), 2);
    rig.policy(&[&removed.op], 102);
    assert_eq!(rig.stored(), [first]);
    assert_eq!(asked(&mut rig), []);
}

#[test]
fn a_single_proven_leaf_serves_a_reader_of_one_document() {
    let mut rig = Rig::caught_up(World::found());
    let [first, second, _] = three(&rig);
    rig.content(&[&first, &second], 100);
    let removed = revoke(&mut rig, &[&first]);
    let LeafAnswer::Present(proven) = removed.tree.prove(&content_key(&first)) else { panic!() };
    let (chain, removal) = (rig.world.team, removed.removal);
    let leaves = PolicyEntry::Frontier { chain, removal, leaves: Leaves::Some(vec![proven]) };
    rig.policy(&[&removed.op, &leaves], 101);
    assert_eq!(rig.stored(), [first]);
}

#[test]
fn an_adopted_chunk_stands_whatever_the_frontier_says() {
    let mut rig = Rig::caught_up(World::found());
    let [first, second, third] = three(&rig);
    rig.content(&[&first, &second], 100);
    let removed = revoke(&mut rig, &[&first]);
    rig.policy(&[&removed.op, &removed.leaves], 101);
    assert_eq!(rig.stored(), std::slice::from_ref(&first));
    let (amina, case) = (rig.world.amina.key.clone(), rig.world.case);
    let adopt = |links: &[&Chunk]| {
        let mut chunks: Vec<_> = links.iter().map(|chunk| link_of(chunk)).collect();
        chunks.sort_unstable();
        Body::Adopt(Adopt { chunks, documents: Vec::new() })
    };
    let adopted = rig.world.append(&amina, &case, adopt(&[&second, &third]));
    rig.policy(&[&adopted], 102);
    // What was held stands again, and what comes new as an entry of the log stands at once.
    assert_eq!(rig.stored(), [first.clone(), second.clone()]);
    rig.content(&[&second, &third], 103);
    assert_eq!(rig.stored(), [first, second, third.clone()]);
    assert_eq!(rig.excluded(), []);
    assert_eq!(rig.machine.heads(&rig.store, &case).unwrap(), [link_of(&third)]);
    let rig = rig.restart();
    assert_eq!(rig.stored().len(), 3);
}

/// Bashir is Manager of the team for a while.
fn promote(rig: &mut Rig) {
    let (amina, bashir, team) = (rig.world.amina.key.clone(), rig.world.bashir.user, rig.world.team);
    let news = rig.world.append(&amina, &team, grant(bashir, Role::Manager));
    rig.policy(&[&news], 90);
}

fn leaves_without(rig: &Rig, person: &Person, chain: vereda_base::ChainId) -> Vec<OfferedLeaf> {
    let mut leaves = rig.world.leaves(person, &[]);
    leaves.retain(|leaf| leaf.place.chain() != chain);
    // The case itself stands: its beginning is named.
    let begun = rig.world.chains.chain(&chain).unwrap().op(0).unwrap().id;
    let place = Place::Ops { chain, device: person.device() };
    leaves.push(OfferedLeaf { place, seq: 0, id: Digest(begun.0) });
    leaves
}

#[test]
fn a_grant_beyond_the_frontier_is_void_and_so_is_what_rested_on_it() {
    let mut rig = Rig::caught_up(World::found());
    promote(&mut rig);
    let (bashir, case, team) = (rig.world.bashir.clone(), rig.world.case, rig.world.team);
    // Dede is a user that only Bashir's grant put before the case.
    let dede = crate::world::key(4);
    let create = vereda_policy::Create::user([4; 16], crate::world::wrapping_key(), crate::world::group_epoch());
    let user = rig.world.begin(&dede, create);
    let begun = rig.world.entries.last().unwrap().clone();
    let dede = Person { key: dede, user };
    let before = rig.world.clone();
    let granted = rig.world.append(&bashir.key, &case, grant(user, Role::Manager));
    let body = Grant { subject: user, role: Role::Reader, expires: None, sealed_purpose: None };
    let by_dede = rig.world.append(&dede.key, &case, Body::Grant(body));
    let chunk = rig.world.chunk(&dede, 0, None, &[]);
    rig.policy(&[&begun, &granted, &by_dede], 100);
    rig.content(&[&chunk], 101);
    assert_eq!(rig.stored().len(), 1);
    // The relay kept the removal back, which knows nothing of the grant.
    let leaves = leaves_without(&rig, &bashir, case);
    let mut honest = before;
    let removed = honest.revoke(&bashir, &team, &leaves);
    rig.policy(&[&removed.op, &removed.leaves], 102);
    let state = rig.machine.chains(&rig.store).chain(&case).unwrap();
    assert_eq!(state.head_seq(), 2);
    assert!(state.ops()[1].is_void && state.ops()[2].is_void);
    assert_eq!(state.standing_members(), [team]);
    assert!(rig.saw(&Event::OpVoid { chain: case, seq: 1 }) && rig.saw(&Event::OpVoid { chain: case, seq: 2 }));
    assert_eq!(rig.stored(), []);
    assert_eq!(rig.excluded(), [link_of(&chunk)]);
    // It is as void after a restart, and when the removal is known first.
    let rig = rig.restart();
    assert_eq!(*rig.machine.chains(&rig.store).chain(&case).unwrap(), *state);
    let mut other = Rig::caught_up(honest);
    other.policy(&[&removed.leaves], 101);
    other.policy(&[&begun, &granted, &by_dede], 102);
    assert_eq!(*other.machine.chains(&other.store).chain(&case).unwrap(), *state);
    other.content(&[&chunk], 103);
    assert_eq!(other.stored(), []);
}

#[test]
fn an_operation_whose_frontier_is_withheld_waits_for_the_leaf() {
    let mut rig = Rig::caught_up(World::found());
    promote(&mut rig);
    let (bashir, chipo, case, team) = (rig.world.bashir.clone(), rig.world.chipo.user, rig.world.case, rig.world.team);
    let before = rig.world.clone();
    let granted = rig.world.append(&bashir.key, &case, grant(chipo, Role::Reader));
    let leaves = rig.world.leaves(&bashir, &[]);
    let removed = { before }.revoke(&bashir, &team, &leaves);
    rig.policy(&[&removed.op, &granted], 100);
    assert_eq!(rig.machine.chains(&rig.store).chain(&case).unwrap().head_seq(), 0);
    let key = Place::Ops { chain: case, device: bashir.device() }.key();
    assert!(asked(&mut rig).contains(&key));
    answer(&mut rig, &removed, key);
    let state = rig.machine.chains(&rig.store).chain(&case).unwrap();
    assert_eq!((state.head_seq(), state.ops()[1].is_void), (1, false));
}

#[test]
fn a_removed_device_is_told_and_goes_on_sending_what_it_sealed() {
    let mut rig = Rig::caught_up(World::found());
    rig.lose();
    let own = rig.write();
    let (chipo, team, case) = (rig.world.chipo.clone(), rig.world.team, rig.world.case);
    let leaves = rig.world.leaves(&chipo, &[]);
    let removed = rig.world.revoke(&chipo, &team, &leaves);
    rig.sleep();
    rig.connect_again();
    assert_eq!(rig.sent.pop_front(), Some(Up::PutChunk(own.clone())));
    rig.policy(&[&removed.op, &removed.leaves], 101);
    assert!(rig.saw(&Event::Removed { chain: team }));
    assert_eq!(rig.stored(), std::slice::from_ref(&own));
    assert_eq!(rig.machine.outbox(&rig.store).unwrap().len(), 1);
    // It may not write any more, but seals what is unsent with the heads from before.
    assert_eq!(rig.machine.cites(&rig.store, &case).unwrap(), None);
    assert_eq!(rig.machine.parting_cites(&rig.store, &case).unwrap(), Some(header_of(&own).cites));
    let place = rig.machine.next_place(&rig.store, &case).unwrap();
    let heads = rig.machine.heads(&rig.store, &case).unwrap();
    let late = rig.world.chunk_of(&case, &chipo, place.incarnation, place.seq, place.prev, &heads);
    let late = crate::world::changed(&late, &chipo.key, |header| header.cites = header_of(&own).cites);
    rig.machine.enqueue_chunk(&mut rig.store, &late).unwrap();
    rig.commit();
    assert_eq!(rig.sent.pop_front(), Some(Up::PutChunk(late)));
}

#[test]
fn a_removal_counts_even_if_the_relay_breaks_the_protocol_in_the_same_frame() {
    let mut rig = Rig::caught_up(World::found());
    let [first, second, _] = three(&rig);
    rig.content(&[&first, &second], 100);
    let removed = revoke(&mut rig, &[&first]);
    let mut breach = rig.world.chunk(&rig.world.bashir, 9, None, &[]);
    breach.ciphertext[0] ^= 1;
    let breach = PolicyEntry::Review { chunk: breach, received: crate::world::START };
    rig.policy(&[&removed.op, &removed.leaves, &breach], 101);
    assert_eq!(rig.disconnects(), [Disconnect::Violation]);
    let rig = rig.restart();
    assert_eq!(rig.stored(), [first]);
}

#[test]
fn leaves_that_found_no_room_are_asked_for_and_not_taken_for_absent() {
    let mut rig = Rig::caught_up(World::found());
    let mut config = crate::rig::config(&rig.world, &rig.world.chipo);
    config.limits.keep.leaves.whole.rows = 1;
    rig.machine = vereda_sync::device::DeviceMachine::open(config, &mut rig.store).unwrap();
    rig.connect();
    rig.catch_up();
    let [first, second, third] = three(&rig);
    let removed = revoke(&mut rig, &[&first, &second]);
    rig.policy(&[&removed.op, &removed.leaves], 101);
    rig.content(&[&first, &second, &third], 102);
    let keys = asked(&mut rig);
    for key in keys {
        answer(&mut rig, &removed, key);
    }
    assert_eq!(rig.stored(), [first, second]);
    assert_eq!(rig.disconnects(), []);
}

#[test]
fn what_only_a_void_removal_cut_off_stands_again() {
    let mut rig = Rig::caught_up(World::found());
    promote(&mut rig);
    let (amina, bashir, case, team) =
        (rig.world.amina.key.clone(), rig.world.bashir.clone(), rig.world.case, rig.world.team);
    let dede = crate::world::key(4);
    let create = vereda_policy::Create::user([4; 16], crate::world::wrapping_key(), crate::world::group_epoch());
    let user = rig.world.begin(&dede, create);
    let begun = rig.world.entries.last().unwrap().clone();
    let dede = Person { key: dede, user };
    let granted = rig.world.append(&amina, &case, grant(user, Role::Editor));
    let first = rig.world.chunk(&dede, 0, None, &[]);
    let second = rig.world.chunk(&dede, 1, Some(link_of(&first)), &[link_of(&first)]);
    let third = rig.world.chunk(&dede, 2, Some(link_of(&second)), &[link_of(&second)]);
    rig.policy(&[&begun, &granted], 100);
    rig.content(&[&first, &second], 101);
    let before = rig.world.clone();
    // Bashir, who was Manager no longer, takes everything of Dede's.
    let frontier = vereda_policy::FrontierTree::new([]).frontier();
    let revoke = vereda_policy::Revoke { subject: user, keeps: None, successor: None, frontier };
    let spite = rig.world.append(&bashir.key, &case, Body::Revoke(revoke));
    rig.policy(&[&spite], 102);
    assert_eq!(rig.stored(), []);
    let leaves = leaves_without(&rig, &bashir, case);
    let removed = { before }.revoke(&bashir, &team, &leaves);
    rig.policy(&[&removed.op, &removed.leaves], 103);
    let state = rig.machine.chains(&rig.store).chain(&case).unwrap();
    assert!(state.ops()[2].is_void);
    assert_eq!(rig.stored(), [first, second.clone()]);
    assert_eq!(rig.excluded(), []);
    // Her device goes on where it was.
    rig.content(&[&third], 104);
    assert_eq!(rig.stored().len(), 3);
    assert_eq!(rig.machine.heads(&rig.store, &case).unwrap(), [link_of(&third)]);
}
