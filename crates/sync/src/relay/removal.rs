//! Removals: whose work they cut off, and up to where it stands in the log (access.md, "Removals and frontiers").

use vereda_base::{ChainId, OpId, limits::MAX_FRAME_BYTES};
use vereda_policy::{
    Body, ChainKind, Chains, Frontier, FrontierTree, Leaf, LeafAnswer, Op, ProvenLeaf, chain_of, removed_devices,
};
use vereda_protocol::{Leaves, OfferedLeaf, OpOutcome, PolicyEntry, RefusalCode};

use super::{
    chains::View,
    store::{Entry, StoreError},
};

/// Most that one offered leaf takes in a frame, in bytes.
const OFFERED_BYTES: usize = 128;
/// Leaves that are sent as the whole of a frontier: half a frame.
const MAX_WHOLE: usize = 7_168;
/// Leaves with their proofs that are sent in one entry.
const MAX_PROVEN: usize = 512;

/// Tells the frontier of a removal; `None` for other operations.
pub(super) const fn frontier_of(body: &Body) -> Option<&Frontier> {
    match body {
        Body::RemoveDevice(remove) => Some(&remove.frontier),
        Body::Revoke(revoke) => Some(&revoke.frontier),
        Body::Assign(assign) => Some(&assign.frontier),
        Body::Expire(expire) => Some(&expire.frontier),
        _ => None,
    }
}

/// Lists what a removal is to name, as it stands in the log now, sorted by key.
pub(super) fn committed(view: &View<'_>, op: &Op) -> Result<Vec<OfferedLeaf>, StoreError> {
    let chain = chain_of(op);
    let is_document = view.chain(&chain).is_some_and(|state| state.kind() == ChainKind::Document);
    let mut leaves = Vec::new();
    for device in removed_devices(view, &chain, &op.body) {
        leaves.extend(view.store().places(&device, is_document.then_some(&chain))?);
    }
    leaves.sort_by_cached_key(|leaf| leaf.place.key());
    Ok(leaves)
}

/// Answers a removal whose frontier is not what the log holds; `None` where it is.
pub(super) fn check_frontier(named: &Frontier, committed: &[OfferedLeaf]) -> Option<OpOutcome> {
    if tree_of(committed).frontier() == *named {
        return None;
    }
    if committed.len().saturating_mul(OFFERED_BYTES) > MAX_FRAME_BYTES - OFFERED_BYTES {
        return Some(OpOutcome::Refused(RefusalCode::TooLarge));
    }
    Some(OpOutcome::FrontierMoved(committed.to_vec()))
}

fn tree_of(leaves: &[OfferedLeaf]) -> FrontierTree {
    FrontierTree::new(leaves.iter().map(OfferedLeaf::leaf))
}

/// The leaves of a removal as they were stored with it.
#[derive(Debug)]
pub(super) struct StoredFrontier {
    chain: ChainId,
    removal: OpId,
    leaves: Vec<OfferedLeaf>,
    tree: FrontierTree,
}

impl StoredFrontier {
    /// Takes leaves that are sorted by key.
    pub(super) fn new(chain: ChainId, removal: OpId, leaves: Vec<OfferedLeaf>) -> Self {
        let tree = tree_of(&leaves);
        Self { chain, removal, leaves, tree }
    }

    /// Takes an entry of the log; `None` of another kind.
    pub(super) fn of_entry(entry: Entry) -> Option<Self> {
        match entry {
            Entry::Frontier { chain, removal, leaves } => Some(Self::new(chain, removal, leaves)),
            _ => None,
        }
    }

    /// Names the removal.
    pub(super) const fn removal(&self) -> OpId {
        self.removal
    }

    /// Proves what the frontier says of a key.
    pub(super) fn prove(&self, key: &vereda_base::Digest) -> LeafAnswer {
        self.tree.prove(key)
    }

    /// Makes the entries for a reader who may see some chains: everything where that is all of them, each leaf with its proof
    /// where it is not. None where nothing of it is for him.
    pub(super) fn entries(&self, may_see: &mut dyn FnMut(&ChainId) -> bool) -> Vec<PolicyEntry> {
        let (mut seen, mut proven) = (0, Vec::new());
        for leaf in &self.leaves {
            if may_see(&leaf.place.chain()) {
                seen += 1;
                proven.push(leaf.leaf());
            }
        }
        let (chain, removal) = (self.chain, self.removal);
        if seen == self.leaves.len() && seen <= MAX_WHOLE {
            return vec![PolicyEntry::Frontier { chain, removal, leaves: Leaves::All(proven) }];
        }
        let parts = proven.chunks(MAX_PROVEN);
        let part = |part: &[Leaf]| Leaves::Some(part.iter().filter_map(|leaf| self.proven(leaf)).collect());
        parts.map(|leaves| PolicyEntry::Frontier { chain, removal, leaves: part(leaves) }).collect()
    }

    /// Makes the entries of the places in one chain.
    pub(super) fn entries_in(&self, chain: &ChainId) -> Vec<PolicyEntry> {
        self.entries(&mut |of| of == chain)
    }

    fn proven(&self, leaf: &Leaf) -> Option<ProvenLeaf> {
        match self.tree.prove(&leaf.key) {
            LeafAnswer::Present(proven) => Some(proven),
            LeafAnswer::Absent { .. } => None,
        }
    }
}
