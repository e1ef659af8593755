//! Frontiers: up to where the work of removed devices stands (protocol.md §6).
//!
//! A frontier is the root of a Merkle tree over [`Leaf`]s, sorted by key. A reader is given the leaves of what he may read;
//! that there is none for a place is proven by its neighbours.

use std::collections::BTreeMap;

use minicbor::{Decode, Encode};
use vereda_base::{ChainId, DeviceId, Digest, Incarnation, LogSafe, OpId, limits};
use vereda_crypto::{
    context, hash,
    merkle::{self, Proof, Tree},
};

use crate::Frontier;

/// Whose work, and where: one place that a frontier may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(array)]
pub enum Place {
    /// The chunks of a device's incarnation in a document.
    #[n(0)]
    Content {
        /// The document.
        #[n(0)]
        document: ChainId,
        /// The device.
        #[n(1)]
        device: DeviceId,
        /// Its incarnation.
        #[n(2)]
        incarnation: Incarnation,
    },
    /// The operations of a device in a chain.
    #[n(1)]
    Ops {
        /// The chain.
        #[n(0)]
        chain: ChainId,
        /// The device.
        #[n(1)]
        device: DeviceId,
    },
}

impl LogSafe for Place {}

impl Place {
    /// Names the chain or document.
    pub const fn chain(&self) -> ChainId {
        match self {
            Self::Content { document, .. } => *document,
            Self::Ops { chain, .. } => *chain,
        }
    }

    /// Names the device.
    pub const fn device(&self) -> DeviceId {
        match self {
            Self::Content { device, .. } | Self::Ops { device, .. } => *device,
        }
    }

    /// Derives the key by which leaves are sorted. It tells nothing of the place to who does not know it.
    pub fn key(&self) -> Digest {
        let (kind, chain, device, incarnation) = match self {
            Self::Content { document, device, incarnation } => (0u8, document, device, incarnation.0),
            Self::Ops { chain, device } => (1, chain, device, 0),
        };
        let parts: [&[u8]; 4] = [&[kind], chain.as_bytes(), device.as_bytes(), &incarnation.to_le_bytes()];
        Digest(hash(context::FRONTIER_LEAF, &parts))
    }
}

/// Up to where the work of one device in one place stands: its canonical bytes are a leaf of the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(array)]
pub struct Leaf {
    /// [`Place::key`].
    #[n(0)]
    pub key: Digest,
    /// The last chunk or operation that stands.
    #[n(1)]
    pub seq: u64,
    /// Its link, or the operation's id.
    #[n(2)]
    pub id: Digest,
}

impl Leaf {
    /// Makes the leaf of a place.
    pub fn new(place: &Place, seq: u64, id: impl Into<LeafId>) -> Self {
        Self { key: place.key(), seq, id: id.into().0 }
    }
}

/// What a leaf names: the link of a chunk, or an operation.
pub struct LeafId(Digest);

impl From<vereda_base::Link> for LeafId {
    fn from(link: vereda_base::Link) -> Self {
        Self(Digest(link.0))
    }
}

impl From<OpId> for LeafId {
    fn from(op: OpId) -> Self {
        Self(Digest(op.0))
    }
}

/// The leaves of a frontier, sorted by key, and the tree over them.
#[derive(Debug, Clone)]
pub struct FrontierTree {
    leaves: Vec<Leaf>,
    tree: Tree,
}

impl FrontierTree {
    /// Builds the tree. Of two leaves with one key the later in the list is left out: there are none such in good faith.
    pub fn new(leaves: impl IntoIterator<Item = Leaf>) -> Self {
        let mut by_key = BTreeMap::new();
        for leaf in leaves {
            by_key.entry(leaf.key).or_insert(leaf);
        }
        let leaves: Vec<Leaf> = by_key.into_values().collect();
        let tree = Tree::new(leaves.iter().map(hash_leaf).collect());
        Self { leaves, tree }
    }

    /// Tells the frontier.
    pub fn frontier(&self) -> Frontier {
        Frontier { root: self.tree.root(), count: u32::try_from(self.leaves.len()).unwrap_or(u32::MAX) }
    }

    /// Lists the leaves, sorted by key.
    pub fn leaves(&self) -> &[Leaf] {
        &self.leaves
    }

    /// Proves what the frontier says of a key: its leaf, or that there is none.
    pub fn prove(&self, key: &Digest) -> LeafAnswer {
        match self.leaves.binary_search_by_key(key, |leaf| leaf.key) {
            Ok(index) => {
                self.proven(index).map_or(LeafAnswer::Absent { before: None, after: None }, LeafAnswer::Present)
            }
            Err(index) => LeafAnswer::Absent {
                before: index.checked_sub(1).and_then(|index| self.proven(index)),
                after: self.proven(index),
            },
        }
    }

    /// Proves so many leaves from `first` on together; `None` for none of them, or beyond the last.
    pub fn prove_range(&self, first: usize, len: usize) -> Option<LeafRange> {
        let path = self.tree.prove_range(first, len)?;
        let leaves = self.leaves.get(first..first.checked_add(len)?)?.to_vec();
        Some(LeafRange { first: first as u64, leaves, path })
    }

    fn proven(&self, index: usize) -> Option<ProvenLeaf> {
        Some(ProvenLeaf { leaf: *self.leaves.get(index)?, index: index as u64, path: self.tree.prove(index)? })
    }
}

/// A leaf and the path that proves it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct ProvenLeaf {
    /// The leaf.
    #[n(0)]
    pub leaf: Leaf,
    /// Its index, from 0.
    #[n(1)]
    pub index: u64,
    /// The siblings on the way to the root.
    #[n(2)]
    pub path: Proof,
}

impl ProvenLeaf {
    /// Says whether the leaf stands in the frontier.
    #[must_use]
    pub fn holds(&self, frontier: &Frontier) -> bool {
        merkle::verify(&frontier.root, &hash_leaf(&self.leaf), self.index, u64::from(frontier.count), &self.path)
    }
}

/// Leaves that follow one another in a frontier, proven together.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct LeafRange {
    /// The index of the first, from 0.
    #[n(0)]
    pub first: u64,
    /// The leaves, sorted by key.
    #[n(1)]
    pub leaves: Vec<Leaf>,
    /// The nodes beside them on the way to the root.
    #[n(2)]
    pub path: Proof,
}

impl LeafRange {
    /// Says whether the leaves stand in the frontier as they are given.
    #[must_use]
    pub fn holds(&self, frontier: &Frontier) -> bool {
        let hashes: Vec<Digest> = self.leaves.iter().map(hash_leaf).collect();
        let sorted = self.leaves.is_sorted_by(|a, b| a.key < b.key);
        sorted && merkle::verify_range(&frontier.root, &hashes, self.first, u64::from(frontier.count), &self.path)
    }
}

/// What a frontier says of one key, with proof.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub enum LeafAnswer {
    /// There is a leaf.
    #[n(0)]
    Present(#[n(0)] ProvenLeaf),
    /// There is none: these two are neighbours, or the first or last of all.
    #[n(1)]
    Absent {
        /// The last leaf before the key.
        #[n(0)]
        before: Option<ProvenLeaf>,
        /// The first leaf after the key.
        #[n(1)]
        after: Option<ProvenLeaf>,
    },
}

impl LeafAnswer {
    /// Checks the answer for a key against the frontier. Gives the leaf, or `None` where there surely is none.
    ///
    /// # Errors
    /// [`LeafRefusal`] if it proves nothing.
    pub fn verify(&self, frontier: &Frontier, key: &Digest) -> Result<Option<Leaf>, LeafRefusal> {
        match self {
            Self::Present(proven) if proven.leaf.key == *key && proven.holds(frontier) => Ok(Some(proven.leaf)),
            Self::Present(_) => Err(LeafRefusal),
            Self::Absent { before, after } => {
                let holds = |proven: &Option<ProvenLeaf>| proven.as_ref().is_none_or(|proven| proven.holds(frontier));
                let fits = before.as_ref().is_none_or(|proven| proven.leaf.key < *key)
                    && after.as_ref().is_none_or(|proven| proven.leaf.key > *key);
                let next = before.as_ref().map_or(0, |proven| proven.index.saturating_add(1));
                let end = after.as_ref().map_or(u64::from(frontier.count), |proven| proven.index);
                let is_empty_root = frontier.count > 0 || *frontier == FrontierTree::new([]).frontier();
                if fits && next == end && holds(before) && holds(after) && is_empty_root {
                    Ok(None)
                } else {
                    Err(LeafRefusal)
                }
            }
        }
    }
}

/// Checks that a list is the whole of a frontier: every leaf, and none besides.
///
/// # Errors
/// [`LeafRefusal`] if it is not.
pub fn verify_all_leaves(frontier: &Frontier, leaves: &[Leaf]) -> Result<(), LeafRefusal> {
    let is_whole = leaves.len() == frontier.count as usize
        && leaves.len() <= limits::MAX_FRONTIER_LEAVES
        && leaves.is_sorted_by(|a, b| a.key < b.key)
        && Tree::new(leaves.iter().map(hash_leaf).collect()).root() == frontier.root;
    if is_whole { Ok(()) } else { Err(LeafRefusal) }
}

/// The leaves are not what the frontier commits to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the leaves are not what the frontier commits to")]
pub struct LeafRefusal;

fn hash_leaf(leaf: &Leaf) -> Digest {
    merkle::leaf(&vereda_base::encode(leaf))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn leaf(byte: u8) -> Leaf {
        Leaf { key: Digest([byte; 32]), seq: u64::from(byte), id: Digest([byte ^ 0x55; 32]) }
    }

    proptest! {
        #[test]
        fn every_key_is_proven_present_or_absent_and_never_the_other(
            keys in proptest::collection::btree_set(1u8..255, 0..40),
            asked in 0u8..=255,
        ) {
            let tree = FrontierTree::new(keys.iter().copied().map(leaf));
            let frontier = tree.frontier();
            let key = Digest([asked; 32]);
            let answer = tree.prove(&key);
            prop_assert_eq!(answer.verify(&frontier, &key), Ok(keys.contains(&asked).then(|| leaf(asked))));
            // An answer for one key proves nothing of another, unless both lie in one gap.
            let other = Digest([asked.wrapping_add(1); 32]);
            if let Ok(found) = answer.verify(&frontier, &other) {
                prop_assert_eq!(found, None);
                prop_assert!(!keys.contains(&asked.wrapping_add(1)));
            }
            // Nor against another frontier.
            let with_one_more = FrontierTree::new(keys.iter().copied().chain([0]).map(leaf)).frontier();
            if asked != 0 {
                prop_assert!(answer.verify(&with_one_more, &key).is_err());
            }
        }

        #[test]
        fn a_list_is_whole_or_refused(keys in proptest::collection::btree_set(any::<u8>(), 1..40)) {
            let tree = FrontierTree::new(keys.iter().copied().map(leaf));
            let frontier = tree.frontier();
            prop_assert_eq!(verify_all_leaves(&frontier, tree.leaves()), Ok(()));
            prop_assert_eq!(verify_all_leaves(&frontier, &tree.leaves()[1..]), Err(LeafRefusal));
            let mut altered = tree.leaves().to_vec();
            altered[0].seq += 1;
            prop_assert_eq!(verify_all_leaves(&frontier, &altered), Err(LeafRefusal));
        }
    }

    #[test]
    fn leaves_of_a_range_hold_as_they_are_given_and_not_otherwise() {
        let tree = FrontierTree::new((1..=9).map(leaf));
        let frontier = tree.frontier();
        let range = tree.prove_range(3, 4).unwrap();
        assert!(range.holds(&frontier));
        assert_eq!(range.leaves, tree.leaves()[3..7]);
        let mut altered = range.clone();
        altered.leaves[2].seq += 1;
        assert!(!altered.holds(&frontier));
        let mut shifted = range.clone();
        shifted.first = 2;
        assert!(!shifted.holds(&frontier));
        assert!(!range.holds(&FrontierTree::new((1..=8).map(leaf)).frontier()));
        assert_eq!(tree.prove_range(7, 3), None);
    }

    #[test]
    fn neighbours_that_are_none_prove_no_absence() {
        let tree = FrontierTree::new([1, 2, 3].map(leaf));
        let frontier = tree.frontier();
        let at = |index| tree.proven(index);
        let lie = LeafAnswer::Absent { before: at(0), after: at(2) };
        assert_eq!(lie.verify(&frontier, &Digest([2; 32])), Err(LeafRefusal));
        let lie = LeafAnswer::Absent { before: None, after: None };
        assert_eq!(lie.verify(&frontier, &Digest([2; 32])), Err(LeafRefusal));
    }
}
