//! Frontiers of removals: places, leaves, and what proves that there is a leaf, or none.

use anyhow::{Result, ensure};
use vereda_base::{ChainId, DeviceId, Digest, Incarnation, Link, OpId};
use vereda_policy::{Frontier, FrontierTree, Leaf, LeafAnswer, Place, verify_all_leaves};

use super::Format;
use crate::vector::Vector;

pub(super) const FORMAT: Format = Format {
    name: "frontiers",
    about: "Frontiers as a removal holds them (CBOR of root and count), their leaves in order of key, and for each place asked \
            its canonical bytes, its key, and the answer: the leaf and its path, or the leaves before and after",
    make,
    read,
};

fn make() -> Result<Vec<Vector>> {
    let leaves = leaves();
    Ok(vec![
        example("nothing", "nothing stands", vec![]),
        example("one", "one chunk stands", leaves.iter().copied().take(1).collect()),
        example("four", "chunks and operations of two devices stand", leaves),
    ])
}

fn read(vectors: &[Vector]) -> Result<()> {
    for vector in vectors {
        let frontier: Frontier = vereda_base::decode(vector.bytes("bytes")?, 64)?;
        let leaves: Vec<Leaf> =
            vector.all_bytes("leaf ").map(|bytes| Ok(vereda_base::decode(bytes, 128)?)).collect::<Result<_>>()?;
        verify_all_leaves(&frontier, &leaves)?;
        ensure!(FrontierTree::new(leaves.iter().copied()).frontier() == frontier, "vector {:?}", vector.name);
        let keys: Vec<&[u8]> = vector.all_bytes("key ").collect();
        let answers: Vec<&[u8]> = vector.all_bytes("answer ").collect();
        let places: Vec<&[u8]> = vector.all_bytes("place ").collect();
        ensure!(keys.len() == places.len() && answers.len() == places.len(), "vector {:?}: lengths", vector.name);
        for ((place, key), answer) in places.iter().zip(&keys).zip(&answers) {
            let place: Place = vereda_base::decode(place, 128)?;
            ensure!(place.key().0 == **key, "vector {:?}: key of {place:?}", vector.name);
            let answer: LeafAnswer = vereda_base::decode(answer, 4_096)?;
            let found = answer.verify(&frontier, &place.key())?;
            let expected = leaves.iter().find(|leaf| leaf.key == place.key()).copied();
            ensure!(found == expected, "vector {:?}: leaf of {place:?}", vector.name);
        }
    }
    Ok(())
}

fn example(name: &str, about: &str, leaves: Vec<Leaf>) -> Vector {
    let tree = FrontierTree::new(leaves);
    let mut vector = Vector::new(name, about).with("bytes", vereda_base::encode(&tree.frontier()));
    for (index, leaf) in tree.leaves().iter().enumerate() {
        vector = vector.with(format!("leaf {index}"), vereda_base::encode(leaf));
    }
    for (index, place) in places().iter().enumerate() {
        vector = vector
            .with(format!("place {index}"), vereda_base::encode(place))
            .with(format!("key {index}"), place.key().0)
            .with(format!("answer {index}"), vereda_base::encode(&tree.prove(&place.key())));
    }
    vector
}

/// Places of two devices in a document, with and without leaves.
pub(super) fn places() -> Vec<Place> {
    let (document, team) = (ChainId([0x81; 32]), ChainId([0x82; 32]));
    let (device, other) = (DeviceId([0x83; 32]), DeviceId([0x84; 32]));
    vec![
        Place::Content { document, device, incarnation: Incarnation(1) },
        Place::Content { document, device, incarnation: Incarnation(u64::MAX) },
        Place::Ops { chain: document, device },
        Place::Ops { chain: team, device: other },
        Place::Content { document, device: other, incarnation: Incarnation(1) },
        Place::Ops { chain: team, device },
    ]
}

/// Leaves of the first four places.
pub(super) fn leaves() -> Vec<Leaf> {
    let seqs = [0, 127, 128, u64::MAX];
    let leaf = |(place, seq): (&Place, u64)| match place {
        Place::Content { .. } => Leaf::new(place, seq, Link([0x85; 32])),
        Place::Ops { .. } => Leaf::new(place, seq, OpId([0x86; 32])),
    };
    places().iter().zip(seqs).map(leaf).collect()
}

/// The tree over all of them.
pub(super) fn tree() -> FrontierTree {
    FrontierTree::new(leaves())
}

/// A key of which there is no leaf.
pub(super) fn absent() -> Digest {
    places().last().map_or(Digest([0; 32]), Place::key)
}
