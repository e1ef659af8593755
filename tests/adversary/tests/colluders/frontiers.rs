//! Leaves of a frontier that the relay leaves out, alters, or proves wrongly.

use vereda_adversary::{Stage, Victim, forge, line::header_of};
use vereda_base::{ChainId, Digest, OpId};
use vereda_policy::{Body, FrontierTree, Leaf, LeafAnswer, Place, ProvenLeaf, Revoke};
use vereda_protocol::{Chunk, Down, Leaves, OfferedLeaf, OpOutcome, PolicyEntry, Up};
use vereda_sync::{
    device::{Disconnect, RelayFault},
    people::{Put, link_of},
};

use super::removals::{revoke, two_chunks};

/// Names the place of a chunk.
pub fn place_of(chunk: &Chunk) -> Place {
    let header = header_of(chunk);
    Place::Content { document: header.document, device: header.device, incarnation: header.incarnation }
}

/// The leaf up to a chunk.
pub fn leaf_of(chunk: &Chunk) -> Leaf {
    Leaf::new(&place_of(chunk), header_of(chunk).seq, link_of(chunk))
}

/// Leaves of places that the device does not know, on both sides of any key.
fn others() -> Vec<Leaf> {
    [0u8, 0x40, 0x80, 0xc0, 0xff].map(|byte| Leaf { key: Digest([byte; 32]), seq: 0, id: Digest([1; 32]) }).to_vec()
}

/// Bashir is revoked; the frontier names his first chunk among others. The device holds that one.
fn revoked() -> (Stage, Victim, Put, [Chunk; 2], FrontierTree) {
    let mut stage = Stage::set();
    let chunks = two_chunks(&mut stage);
    let mut victim = Victim::of(&stage);
    victim.content(&[&chunks[0]]);
    let leaves = [others(), vec![leaf_of(&chunks[0])]].concat();
    let removal = revoke(&stage, None, &leaves);
    victim.policy(stage.admit(&removal));
    victim.sent.retain(|up| matches!(up, Up::AskLeaves { .. }));
    (stage, victim, removal, chunks, FrontierTree::new(leaves))
}

fn entry(removal: &Put, leaves: Leaves) -> PolicyEntry {
    PolicyEntry::Frontier { chain: removal.chain(), removal: removal.id(), leaves }
}

#[test]
fn a_list_of_leaves_is_the_whole_of_the_frontier_or_a_breach() {
    let lies: [fn(&mut Vec<Leaf>); 5] = [
        |leaves| leaves.truncate(5),
        |leaves| leaves[2].seq += 1,
        |leaves| leaves[2].id.0[0] ^= 1,
        |leaves| leaves.push(Leaf { key: Digest([0xff; 32]), ..leaves[0] }),
        |leaves| leaves.clear(),
    ];
    for lie in lies {
        let (_, mut victim, removal, chunks, tree) = revoked();
        let mut leaves = tree.leaves().to_vec();
        lie(&mut leaves);
        victim.policy(vec![entry(&removal, Leaves::All(leaves))]);
        assert_eq!(victim.disconnects(), [Disconnect::Violation]);
        assert!(victim.has(&chunks[0]), "nothing is cut off by a lie");
    }
    let (_, mut victim, removal, chunks, tree) = revoked();
    victim.policy(vec![entry(&removal, Leaves::All(tree.leaves().to_vec()))]);
    victim.content(&[&chunks[1]]);
    assert!(victim.has(&chunks[0]) && !victim.has(&chunks[1]) && victim.disconnects().is_empty());
}

fn proven(tree: &FrontierTree, key: &Digest) -> ProvenLeaf {
    let LeafAnswer::Present(proven) = tree.prove(key) else { panic!("there is a leaf") };
    proven
}

#[test]
fn a_leaf_that_was_altered_or_wrongly_proven_is_a_breach() {
    let lies: [fn(&mut ProvenLeaf); 4] = [
        |proven| proven.leaf.seq = 9,
        |proven| proven.leaf.id.0[0] ^= 1,
        |proven| proven.index ^= 1,
        |proven| proven.leaf.key.0[0] ^= 1,
    ];
    for lie in lies {
        let (_, mut victim, removal, chunks, tree) = revoked();
        let mut leaf = proven(&tree, &place_of(&chunks[0]).key());
        lie(&mut leaf);
        victim.policy(vec![entry(&removal, Leaves::Some(vec![leaf]))]);
        assert_eq!(victim.disconnects(), [Disconnect::Violation]);
        assert!(victim.has(&chunks[0]));
    }
    let (_, mut victim, removal, chunks, tree) = revoked();
    victim.policy(vec![entry(&removal, Leaves::Some(vec![proven(&tree, &place_of(&chunks[0]).key())]))]);
    victim.content(&[&chunks[1]]);
    assert!(victim.has(&chunks[0]) && !victim.has(&chunks[1]) && victim.disconnects().is_empty());
}

/// Takes the question that the device asks of a removal.
fn question(victim: &mut Victim) -> (ChainId, OpId, Vec<Digest>) {
    let asked = victim.sent.iter().find_map(|up| match up {
        Up::AskLeaves { chain, removal, keys } => Some((*chain, *removal, keys.clone())),
        _ => None,
    });
    asked.expect("it asks for the leaf that it was not given")
}

#[test]
fn a_leaf_that_is_held_back_is_asked_for_and_meanwhile_nothing_new_stands_by_it() {
    let (_, mut victim, removal, chunks, tree) = revoked();
    let (chain, of, keys) = question(&mut victim);
    assert!((chain, of) == (removal.chain(), removal.id()) && keys.contains(&place_of(&chunks[0]).key()));
    victim.content(&[&chunks[1]]);
    assert!(!victim.has(&chunks[1]));
    let answers = keys.iter().map(|key| (*key, tree.prove(key))).collect();
    victim.hear(&Down::Leaves { chain, removal: of, answers });
    assert!(victim.has(&chunks[0]) && !victim.has(&chunks[1]) && victim.disconnects().is_empty());
}

#[test]
fn an_absence_that_is_a_lie_or_an_answer_for_another_place_is_a_breach() {
    let lies: [fn(&FrontierTree, &Digest) -> LeafAnswer; 4] = [
        |_, _| LeafAnswer::Absent { before: None, after: None },
        |tree, key| {
            // Neighbours of the leaf that is passed over in silence.
            let others = FrontierTree::new(tree.leaves().iter().filter(|leaf| leaf.key != *key).copied());
            others.prove(key)
        },
        |tree, _| {
            let LeafAnswer::Absent { before, .. } = tree.prove(&Digest([0x7f; 32])) else { panic!("a gap") };
            LeafAnswer::Absent { before, after: None }
        },
        |tree, _| tree.prove(&Digest([0x80; 32])),
    ];
    for lie in lies {
        let (_, mut victim, _, chunks, tree) = revoked();
        let (chain, removal, keys) = question(&mut victim);
        let answers = keys.iter().map(|key| (*key, lie(&tree, key))).collect();
        victim.hear(&Down::Leaves { chain, removal, answers });
        assert_eq!(victim.disconnects(), [Disconnect::Violation]);
        assert!(victim.has(&chunks[0]), "nothing is cut off by a lie");
    }
}

#[test]
fn an_absence_that_is_proven_cuts_off() {
    let mut stage = Stage::set();
    let chunks = two_chunks(&mut stage);
    let mut victim = Victim::of(&stage);
    victim.content(&[&chunks[0], &chunks[1]]);
    let removal = revoke(&stage, None, &others());
    victim.policy(stage.admit(&removal));
    let (chain, of, keys) = question(&mut victim);
    let tree = FrontierTree::new(others());
    victim.hear(&Down::Leaves {
        chain,
        removal: of,
        answers: keys.iter().map(|key| (*key, tree.prove(key))).collect(),
    });
    assert!(!victim.has(&chunks[0]) && !victim.has(&chunks[1]) && victim.disconnects().is_empty());
}

#[test]
fn a_remover_signs_no_offer_that_cuts_off_what_he_holds() {
    for cuts in [true, false] {
        let mut stage = Stage::set();
        let chunks = two_chunks(&mut stage);
        let mut amina = Victim::of_person(&stage, &stage.amina);
        amina.content(&[&chunks[0], &chunks[1]]);
        let revoke =
            Revoke { subject: stage.bashir.user(), keeps: None, successor: None, frontier: forge::frontier(&[]) };
        amina.machine.enqueue_intent(&mut amina.store, stage.team, Body::Revoke(revoke), Vec::new()).unwrap();
        amina.commit();
        let request = amina.take_put().expect("the removal is sent").0;
        let last = &chunks[usize::from(!cuts)];
        let offer = |chunk: &Chunk| OfferedLeaf {
            place: place_of(chunk),
            seq: header_of(chunk).seq,
            id: Digest(link_of(chunk).0),
        };
        // The operations that she holds of him: the first of his user.
        let own = Place::Ops { chain: stage.bashir.user(), device: stage.bashir.device() };
        let begun = OfferedLeaf { place: own, seq: 0, id: Digest(stage.bashir.user().0) };
        let outcome = OpOutcome::FrontierMoved(vec![offer(last), begun]);
        amina.hear(&Down::OpResult { request, outcome });
        let signed = amina.take_put();
        if cuts {
            assert!(signed.is_none(), "{signed:?}");
            assert_eq!(amina.faults(), [RelayFault::CutsOff { chain: stage.team }]);
        } else {
            let (_, op) = signed.expect("signed again");
            let op = op.verify().unwrap();
            let Body::Revoke(revoke) = &op.value().body else { panic!("a Revoke") };
            assert_eq!(revoke.frontier, forge::frontier(&[leaf_of(last), begun.leaf()]));
        }
    }
}
