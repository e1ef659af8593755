//! Merkle trees in the shape of RFC 6962 §2.1, whose root also fixes the number of leaves.
//!
//! The tree over n leaves splits at the largest power of two below n. The root is the hash of count and topmost node,
//! so that a reader may take the count from whoever serves the proof, and neighbouring leaves prove an absence.

use minicbor::{Decode, Decoder, Encode, Encoder};
use vereda_base::Digest;

use crate::{context, hash};

/// The longest path there is: a tree of 2^64 leaves.
const MAX_PATH: usize = 64;

/// Hashes a leaf's content.
pub fn leaf(content: &[u8]) -> Digest {
    Digest(hash(context::MERKLE_LEAF, &[content]))
}

/// Computes the root over leaf hashes.
pub fn root(leaves: &[Digest]) -> Digest {
    Tree::new(leaves.to_vec()).root()
}

/// Proves that the leaf at `index` stands in the tree over `leaves`; `None` beyond the last. Use a [`Tree`] for many.
pub fn prove(leaves: &[Digest], index: usize) -> Option<Proof> {
    Tree::new(leaves.to_vec()).prove(index)
}

/// Says whether `leaf` stands at `index` in the tree of `count` leaves that has this root.
#[must_use]
pub fn verify(root: &Digest, leaf: &Digest, index: u64, count: u64, proof: &Proof) -> bool {
    if index >= count {
        return false;
    }
    let (mut node, mut index, mut last) = (*leaf, index, count - 1);
    let mut path = proof.path.iter();
    while last > 0 {
        // The last node of a level without a sibling moves up unchanged.
        if index % 2 == 1 || index < last {
            let Some(sibling) = path.next() else { return false };
            node = if index % 2 == 1 { join(sibling, &node) } else { join(&node, sibling) };
        }
        index /= 2;
        last /= 2;
    }
    path.next().is_none() && seal_root(count, &node) == *root
}

/// Says whether these leaves stand next to one another, from `first` on, in the tree of `count` leaves that has this root.
#[must_use]
pub fn verify_range(root: &Digest, leaves: &[Digest], first: u64, count: u64, proof: &Proof) -> bool {
    let end = first.checked_add(leaves.len() as u64);
    if leaves.is_empty() || end.is_none_or(|end| end > count) {
        return false;
    }
    let (mut low, mut high, mut last) = (first, first + (leaves.len() as u64 - 1), count - 1);
    let (mut nodes, mut path) = (leaves.to_vec(), proof.path.iter());
    while last > 0 {
        if low % 2 == 1 {
            let Some(sibling) = path.next() else { return false };
            nodes.insert(0, *sibling);
        }
        if high.is_multiple_of(2) && high < last {
            let Some(sibling) = path.next() else { return false };
            nodes.push(*sibling);
        }
        nodes = join_pairs(&nodes);
        low /= 2;
        high /= 2;
        last /= 2;
    }
    path.next().is_none() && nodes.first().is_some_and(|top| seal_root(count, top) == *root)
}

/// A whole tree, to prove many leaves of.
#[derive(Debug, Clone)]
pub struct Tree {
    count: u64,
    /// From the leaves up to the topmost node; the leaves alone where there are none.
    levels: Vec<Vec<Digest>>,
}

impl Tree {
    /// Builds the tree over leaf hashes.
    pub fn new(leaves: Vec<Digest>) -> Self {
        let count = leaves.len() as u64;
        let mut levels = Vec::new();
        let mut level = leaves;
        while level.len() > 1 {
            let next = join_pairs(&level);
            levels.push(std::mem::replace(&mut level, next));
        }
        levels.push(level);
        Self { count, levels }
    }

    /// Counts the leaves.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Computes the root.
    pub fn root(&self) -> Digest {
        match self.levels.last().and_then(|level| level.first()) {
            Some(top) => seal_root(self.count, top),
            None => Digest(hash(context::MERKLE_ROOT, &[&0u64.to_le_bytes()])),
        }
    }

    /// Proves the leaf at `index`; `None` beyond the last.
    pub fn prove(&self, index: usize) -> Option<Proof> {
        self.levels.first()?.get(index)?;
        let path = self.levels.iter().enumerate().filter_map(|(depth, level)| level.get((index >> depth) ^ 1));
        Some(Proof { path: path.copied().collect() })
    }

    /// Proves so many leaves from `first` on together: of each level the node before them and the one after, where their
    /// fathers need it. `None` for none of them, or beyond the last.
    pub fn prove_range(&self, first: usize, len: usize) -> Option<Proof> {
        let end = first.checked_add(len).filter(|end| *end <= self.levels.first().map_or(0, Vec::len))?;
        let (mut low, mut high, mut path) = (first, end.checked_sub(1).filter(|high| *high >= first)?, Vec::new());
        for level in &self.levels {
            let before = (low % 2 == 1).then(|| level.get(low - 1)).flatten();
            let after = (high.is_multiple_of(2)).then(|| level.get(high + 1)).flatten();
            path.extend(before.into_iter().chain(after));
            low /= 2;
            high /= 2;
        }
        Some(Proof { path })
    }
}

/// The siblings on the way from a leaf to the top, lowest first: a CBOR array of at most 64 hashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    path: Vec<Digest>,
}

impl<C> Encode<C> for Proof {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut Encoder<W>,
        ctx: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.array(self.path.len() as u64)?;
        self.path.iter().try_for_each(|node| e.encode_with(node, ctx).map(|_| ()))
    }
}

impl<'b, C> Decode<'b, C> for Proof {
    fn decode(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Self, minicbor::decode::Error> {
        match d.array()? {
            Some(count) if count <= MAX_PATH as u64 => {
                (0..count).map(|_| d.decode_with(ctx)).collect::<Result<_, _>>().map(|path| Self { path })
            }
            _ => Err(minicbor::decode::Error::message("merkle proof is no array of at most 64")),
        }
    }
}

/// The level above: the last node without a sibling moves up unchanged.
fn join_pairs(level: &[Digest]) -> Vec<Digest> {
    let join_pair = |pair: &[Digest]| match pair {
        [left, right] => Some(join(left, right)),
        [only] => Some(*only),
        _ => None,
    };
    level.chunks(2).filter_map(join_pair).collect()
}

fn join(left: &Digest, right: &Digest) -> Digest {
    Digest(hash(context::MERKLE_NODE, &[left.as_bytes(), right.as_bytes()]))
}

fn seal_root(count: u64, top: &Digest) -> Digest {
    Digest(hash(context::MERKLE_ROOT, &[&count.to_le_bytes(), top.as_bytes()]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn leaves(count: usize) -> Vec<Digest> {
        (0..count).map(|i| leaf(&i.to_le_bytes())).collect()
    }

    /// RFC 6962 §2.1, word for word.
    fn top_by_the_book(leaves: &[Digest]) -> Digest {
        if let [only] = leaves {
            return *only;
        }
        let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
        join(&top_by_the_book(left), &top_by_the_book(right))
    }

    #[test]
    fn the_root_is_that_of_the_recursive_definition() {
        for count in 1..70 {
            let leaves = leaves(count);
            assert_eq!(root(&leaves), seal_root(count as u64, &top_by_the_book(&leaves)), "{count}");
        }
    }

    #[test]
    fn every_leaf_is_proven_at_its_own_place_only() {
        for count in 1..34 {
            let leaves = leaves(count);
            let tree = Tree::new(leaves.clone());
            for index in 0..count {
                let proof = tree.prove(index).unwrap();
                for (place, leaf) in leaves.iter().enumerate() {
                    for claimed in 0..count as u64 + 2 {
                        let right = place == index && claimed == index as u64;
                        assert_eq!(verify(&tree.root(), leaf, claimed, count as u64, &proof), right);
                    }
                }
                assert!(!verify(&tree.root(), &leaves[index], index as u64, count as u64 + 1, &proof));
                assert!(!verify(&tree.root(), &leaves[index], index as u64, count as u64 - 1, &proof));
            }
            assert_eq!(tree.prove(count), None);
        }
    }

    #[test]
    fn leaves_next_to_one_another_are_proven_at_their_place_only() {
        for count in 1..20 {
            let all = leaves(count);
            let tree = Tree::new(all.clone());
            for first in 0..count {
                for end in first + 1..=count {
                    let proof = tree.prove_range(first, end - first).unwrap();
                    let holds = |first: usize, some: &[Digest], count: usize| {
                        verify_range(&tree.root(), some, first as u64, count as u64, &proof)
                    };
                    assert!(holds(first, &all[first..end], count), "{first}..{end} of {count}");
                    assert!(!holds(first + 1, &all[first..end], count) && !holds(first, &all[first..end], count + 1));
                    assert!(!holds(first, &all[first..end - 1], count), "one is left out");
                    let mut altered = all[first..end].to_vec();
                    altered[0].0[0] ^= 1;
                    assert!(!holds(first, &altered, count));
                    if altered.len() > 1 {
                        altered[0].0[0] ^= 1;
                        altered.swap(0, 1);
                        assert!(!holds(first, &altered, count), "in another order");
                    }
                }
            }
            assert_eq!(tree.prove_range(0, count + 1), None);
            assert_eq!(tree.prove_range(0, 0), None);
            assert_eq!(tree.prove_range(1, usize::MAX), None);
        }
        let tree = Tree::new(leaves(3));
        let proof = tree.prove_range(0, 3).unwrap();
        assert!(!verify_range(&tree.root(), &leaves(3), u64::MAX, 3, &proof));
        assert!(!verify_range(&tree.root(), &[], 0, 3, &proof));
    }

    #[test]
    fn an_empty_tree_has_a_root_and_proves_nothing() {
        let nothing = Proof { path: vec![] };
        assert_eq!(prove(&[], 0), None);
        assert!(!verify(&root(&[]), &leaf(b""), 0, 0, &nothing));
        assert_ne!(root(&[]), root(&leaves(1)));
    }

    #[test]
    fn a_path_too_long_or_too_short_is_refused() {
        let leaves = leaves(5);
        let proof = prove(&leaves, 2).unwrap();
        let mut long = proof.clone();
        long.path.push(leaves[0]);
        let mut short = proof;
        short.path.pop();
        assert!(!verify(&root(&leaves), &leaves[2], 2, 5, &long));
        assert!(!verify(&root(&leaves), &leaves[2], 2, 5, &short));
    }

    #[test]
    fn an_inner_node_does_not_pass_for_a_leaf() {
        let leaves = leaves(4);
        let tree = Tree::new(leaves.clone());
        let inner = join(&leaves[0], &leaves[1]);
        let above = Proof { path: vec![join(&leaves[2], &leaves[3])] };
        assert!(!verify(&tree.root(), &inner, 0, 2, &above));
    }

    #[test]
    fn a_proof_longer_than_any_tree_is_refused_when_decoded() {
        let check = |count, fits| {
            let bytes = vereda_base::encode(&Proof { path: leaves(count) });
            assert_eq!(vereda_base::decode::<Proof>(&bytes, 1 << 14).is_ok(), fits);
        };
        check(0, true);
        check(64, true);
        check(65, false);
        assert!(vereda_base::decode::<Proof>(&[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], 64).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_changed_bit_anywhere_in_a_proof_is_refused(
            count in 2usize..200, index: prop::sample::Index, step: prop::sample::Index, bit in 0usize..256,
        ) {
            let leaves = leaves(count);
            let index = index.index(count);
            let mut proof = prove(&leaves, index).unwrap();
            prop_assert!(verify(&root(&leaves), &leaves[index], index as u64, count as u64, &proof));
            let step = step.index(proof.path.len());
            proof.path[step].0[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(!verify(&root(&leaves), &leaves[index], index as u64, count as u64, &proof));
        }
    }
}
