//! Removals: whose work they cut off, and up to where it stands in the log (access.md, "Removals and frontiers").

use vereda_base::{ChainId, OpId};
use vereda_policy::{
    Body, ChainKind, Chains, Frontier, FrontierTree, Leaf, LeafAnswer, Op, ProvenLeaf, chain_of, removed_devices,
};
use vereda_protocol::{Leaves, OfferedLeaf, PolicyEntry};

use super::{
    chains::View,
    store::{Entry, StoreError},
};

/// Leaves that are sent as the whole of a frontier: half a frame.
const MAX_WHOLE: usize = 7_168;
/// Leaves that are looked at for one page.
const WINDOW: usize = 1_024;
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

/// Says whether a removal names exactly what the log holds.
pub(super) fn is_exact(named: &Frontier, committed: &[OfferedLeaf]) -> bool {
    named.count as usize == committed.len() && tree_of(committed).frontier() == *named
}

pub(super) fn tree_of(leaves: &[OfferedLeaf]) -> FrontierTree {
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

    /// Counts the leaves.
    pub(super) fn count(&self) -> usize {
        self.leaves.len()
    }

    /// Makes entries for a reader who may see some chains, beginning with the leaf of that index: everything where that is
    /// all of them, leaves that follow one another together, else each with its proof. None where nothing of it is for
    /// him. Gives the index to go on with; `None` at the end.
    pub(super) fn entries(
        &self,
        from: usize,
        may_see: &mut dyn FnMut(&ChainId) -> bool,
    ) -> (Vec<PolicyEntry>, Option<usize>) {
        let (chain, removal) = (self.chain, self.removal);
        let entry = |leaves| PolicyEntry::Frontier { chain, removal, leaves };
        if from == 0 && self.count() <= MAX_WHOLE && self.leaves.iter().all(|leaf| may_see(&leaf.place.chain())) {
            let all = self.tree.leaves().to_vec();
            return (if all.is_empty() { Vec::new() } else { vec![entry(Leaves::All(all))] }, None);
        }
        let end = from.saturating_add(WINDOW).min(self.count());
        let window = self.leaves.get(from..end).unwrap_or_default();
        let seen = window.iter().filter(|leaf| may_see(&leaf.place.chain()));
        let seen: Vec<Leaf> = seen.map(OfferedLeaf::leaf).collect();
        let range = (seen.len() > 1 && seen.len() == window.len()).then(|| self.tree.prove_range(from, seen.len()));
        let entries = match range.flatten() {
            Some(range) => vec![entry(Leaves::Range(range))],
            None => self.each_proven(&seen).map(entry).collect(),
        };
        (entries, (end < self.count()).then_some(end))
    }

    /// Makes the entries of the places in one chain.
    pub(super) fn entries_in(&self, chain: &ChainId) -> Vec<PolicyEntry> {
        let (of_chain, removal) = (self.chain, self.removal);
        let named = self.leaves.iter().filter(|leaf| leaf.place.chain() == *chain);
        let named: Vec<Leaf> = named.map(OfferedLeaf::leaf).collect();
        self.each_proven(&named).map(|leaves| PolicyEntry::Frontier { chain: of_chain, removal, leaves }).collect()
    }

    fn each_proven(&self, leaves: &[Leaf]) -> impl Iterator<Item = Leaves> {
        leaves.chunks(MAX_PROVEN).map(|part| Leaves::Some(part.iter().filter_map(|leaf| self.proven(leaf)).collect()))
    }

    fn proven(&self, leaf: &Leaf) -> Option<ProvenLeaf> {
        match self.tree.prove(&leaf.key) {
            LeafAnswer::Present(proven) => Some(proven),
            LeafAnswer::Absent { .. } => None,
        }
    }
}
