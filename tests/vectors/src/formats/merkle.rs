//! Merkle trees and their proofs.

use anyhow::{Result, ensure};
use vereda_base::Digest;
use vereda_crypto::{MerkleProof, MerkleTree, merkle};

use super::Format;
use crate::vector::Vector;

pub(super) const FORMAT: Format = Format {
    name: "merkle",
    about: "Trees over the leaves '0', '1', …: the root, and for some leaf the proof in canonical CBOR",
    make,
    read,
};

const PROOF_MAX_BYTES: usize = 2_560;

fn make() -> Result<Vec<Vector>> {
    let trees = [(0, None), (1, Some(0)), (2, Some(1)), (3, Some(2)), (5, Some(0)), (8, Some(5))];
    let vectors = trees.into_iter().map(|(count, proven)| {
        let tree = MerkleTree::new((0..count).map(leaf).collect());
        let about = "root of the tree, and the proof of one leaf";
        let vector =
            Vector::new(format!("{count} leaves"), about).with_number("count", count).with("bytes", tree.root().0);
        let proof = proven.and_then(|index| Some((index, tree.prove(usize::try_from(index).ok()?)?)));
        match proof {
            Some((index, proof)) => vector
                .with_number("index", index)
                .with("leaf", leaf(index).0)
                .with("proof", vereda_base::encode(&proof)),
            None => vector,
        }
    });
    Ok(vectors.collect())
}

fn read(vectors: &[Vector]) -> Result<()> {
    for vector in vectors {
        let count = vector.number("count")?;
        let leaves: Vec<Digest> = (0..count).map(leaf).collect();
        vector.expect("bytes", merkle::root(&leaves).0)?;
        let Ok(index) = vector.number("index") else { continue };
        vector.expect("leaf", leaf(index).0)?;
        let proof: MerkleProof = vereda_base::decode(vector.bytes("proof")?, PROOF_MAX_BYTES)?;
        let (root, leaf) = (Digest(vector.array("bytes")?), Digest(vector.array("leaf")?));
        ensure!(merkle::verify(&root, &leaf, index, count, &proof), "vector {:?}: leaf not proven", vector.name);
    }
    Ok(())
}

fn leaf(index: u64) -> Digest {
    merkle::leaf(index.to_string().as_bytes())
}
