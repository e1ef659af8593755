//! The states of policy chains: loaded from the store when asked for, kept while they are used.

use std::{cell::RefCell, collections::BTreeMap, sync::Arc};

use vereda_base::{ChainId, Digest, OpId, Timestamp, limits};
use vereda_crypto::{Signable, Signed};
use vereda_policy::{
    AdoptedDocument, Authorized, Body, ChainKind, ChainState, Chains, Op, Receipt, ReplayedOp, find_adoption,
};
use vereda_protocol::Position;

use super::{
    removal::StoredFrontier,
    stale::StaleGroups,
    store::{Entry, Naming, RelayStore, StoreError, StoredChain},
};

/// Frontiers whose leaves are kept in memory.
const MAX_FRONTIERS: usize = 8;

/// A chain as the relay knows it.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) state: Arc<ChainState>,
    /// The agency it belongs to.
    pub(super) agency: Option<ChainId>,
    /// Where each operation stands in the log, by seq.
    pub(super) positions: Vec<Position>,
}

impl Known {
    /// Where the operation of that seq stands in the log.
    pub(super) fn position(&self, seq: u64) -> Option<Position> {
        self.positions.get(usize::try_from(seq).ok()?).copied()
    }

    /// The seq of the operation that stands there.
    pub(super) fn seq_at(&self, position: Position) -> Option<u64> {
        self.positions.binary_search(&position).ok().map(|index| index as u64)
    }

    /// Where the chain began.
    pub(super) fn first(&self) -> Position {
        self.positions.first().copied().unwrap_or_default()
    }
}

/// The chains used lately; the one unused for longest gives way.
#[derive(Debug)]
pub(super) struct ChainCache {
    slots: BTreeMap<ChainId, (Arc<Known>, u64)>,
    by_use: BTreeMap<u64, ChainId>,
    uses: u64,
    max: usize,
    stale: StaleGroups,
    /// Leaves of removals that were served lately, by their position.
    frontiers: BTreeMap<Position, Arc<StoredFrontier>>,
}

impl ChainCache {
    pub(super) const fn new(max: usize) -> Self {
        Self {
            slots: BTreeMap::new(),
            by_use: BTreeMap::new(),
            uses: 0,
            max,
            stale: StaleGroups::new(),
            frontiers: BTreeMap::new(),
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.slots.clear();
        self.by_use.clear();
        self.stale.clear();
        self.frontiers.clear();
    }

    /// Says whether a document's newest epoch is stale.
    pub(super) fn is_stale(
        &mut self,
        store: &dyn RelayStore,
        document: &ChainId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut stale = std::mem::replace(&mut self.stale, StaleGroups::new());
        let view = self.view(store);
        let is_stale = stale.is_stale(&view, document, now);
        let is_stale = view.finish(is_stale)?;
        self.stale = stale;
        Ok(is_stale)
    }

    /// Looks at the chains, loading from the store what is missing.
    pub(super) const fn view<'a>(&'a mut self, store: &'a dyn RelayStore) -> View<'a> {
        View { cache: RefCell::new(self), store, failure: RefCell::new(None) }
    }

    /// Finds a chain, loading it if need be.
    pub(super) fn load(&mut self, store: &dyn RelayStore, id: &ChainId) -> Result<Option<Arc<Known>>, StoreError> {
        if let Some(known) = self.touch(id) {
            return Ok(Some(known));
        }
        let Some(stored) = store.chain(id)? else { return Ok(None) };
        let adopted = self.adoption(store, id, &stored)?;
        let known = Arc::new(rebuild(stored, adopted.as_ref())?);
        self.insert(*id, Arc::clone(&known));
        Ok(Some(known))
    }

    /// Finds how a document was taken in by its owner after its author had been removed.
    fn adoption(
        &mut self,
        store: &dyn RelayStore,
        id: &ChainId,
        stored: &StoredChain,
    ) -> Result<Option<AdoptedDocument>, StoreError> {
        let Some(first) = stored.ops.first() else { return Ok(None) };
        let create = read_op(&first.op)?;
        let view = self.view(store);
        let adopted = find_adoption(&view, &create, OpId(id.0));
        view.finish(adopted)
    }

    /// Takes an operation in that was appended at `position`.
    pub(super) fn apply(
        &mut self,
        op: &Authorized<Op>,
        time: Timestamp,
        position: Position,
        agency: Option<ChainId>,
    ) -> Result<Arc<Known>, StoreError> {
        let damaged = |_| StoreError::Damaged { table: "log" };
        let chain = op.chain();
        let is_document = match &op.value().body {
            Body::Create(create) => create.kind == ChainKind::Document,
            _ => self.slots.get(&chain).is_some_and(|(known, _)| known.state.kind() == ChainKind::Document),
        };
        if !is_document {
            self.stale.clear();
        }
        let known = match self.take(&chain) {
            None => {
                let state = Arc::new(ChainState::begin(op, Some(time)).map_err(damaged)?);
                Known { state, agency, positions: vec![position] }
            }
            Some(known) => {
                let mut known = Arc::unwrap_or_clone(known);
                Arc::make_mut(&mut known.state).apply(op, Some(time)).map_err(damaged)?;
                known.positions.push(position);
                known
            }
        };
        let known = Arc::new(known);
        self.insert(chain, Arc::clone(&known));
        Ok(known)
    }

    /// Forgets one chain; it is loaded again when asked for.
    pub(super) fn forget(&mut self, id: &ChainId) {
        self.take(id);
    }

    /// Finds the leaves of a removal by the position of their entry.
    fn frontier(
        &mut self,
        store: &dyn RelayStore,
        position: Position,
    ) -> Result<Option<Arc<StoredFrontier>>, StoreError> {
        if let Some(found) = self.frontiers.get(&position) {
            return Ok(Some(Arc::clone(found)));
        }
        let Some(found) = store.entry(position)?.and_then(StoredFrontier::of_entry) else { return Ok(None) };
        let found = Arc::new(found);
        let leaves =
            |kept: &BTreeMap<Position, Arc<StoredFrontier>>| kept.values().map(|kept| kept.count()).sum::<usize>();
        while self.frontiers.len() >= MAX_FRONTIERS
            || (!self.frontiers.is_empty() && leaves(&self.frontiers) + found.count() > limits::MAX_FRONTIER_LEAVES)
        {
            self.frontiers.pop_first();
        }
        self.frontiers.insert(position, Arc::clone(&found));
        Ok(Some(found))
    }

    fn take(&mut self, id: &ChainId) -> Option<Arc<Known>> {
        let (known, used) = self.slots.remove(id)?;
        self.by_use.remove(&used);
        Some(known)
    }

    fn touch(&mut self, id: &ChainId) -> Option<Arc<Known>> {
        let (known, used) = self.slots.get_mut(id)?;
        self.by_use.remove(used);
        self.uses += 1;
        *used = self.uses;
        self.by_use.insert(self.uses, *id);
        Some(Arc::clone(known))
    }

    fn insert(&mut self, id: ChainId, known: Arc<Known>) {
        self.uses += 1;
        self.by_use.insert(self.uses, id);
        self.slots.insert(id, (known, self.uses));
        while self.slots.len() > self.max {
            let Some((_, oldest)) = self.by_use.pop_first() else { return };
            self.slots.remove(&oldest);
        }
    }
}

/// The chains as policy sees them. A store that fails makes chains unknown; [`Self::finish`] says so.
pub(super) struct View<'a> {
    cache: RefCell<&'a mut ChainCache>,
    store: &'a dyn RelayStore,
    failure: RefCell<Option<StoreError>>,
}

impl View<'_> {
    /// Finds a chain.
    pub(super) fn known(&self, id: &ChainId) -> Option<Arc<Known>> {
        match self.cache.borrow_mut().load(self.store, id) {
            Ok(known) => known,
            Err(error) => {
                *self.failure.borrow_mut() = Some(error);
                None
            }
        }
    }

    /// Finds the leaves of a removal by the position of their entry.
    pub(super) fn frontier(&self, position: Position) -> Result<Option<Arc<StoredFrontier>>, StoreError> {
        self.cache.borrow_mut().frontier(self.store, position)
    }

    /// Lists the chains of a kind that name a device or a chain as member, or once did.
    pub(super) fn named_in(&self, subject: &Digest, naming: Naming) -> Vec<ChainId> {
        match self.store.naming(subject, naming) {
            Ok(chains) => chains,
            Err(error) => {
                *self.failure.borrow_mut() = Some(error);
                Vec::new()
            }
        }
    }

    /// Finds an entry of the log.
    pub(super) fn entry(&self, position: Position) -> Option<Entry> {
        match self.store.entry(position) {
            Ok(entry) => entry,
            Err(error) => {
                *self.failure.borrow_mut() = Some(error);
                None
            }
        }
    }

    /// The store behind.
    pub(super) const fn store(&self) -> &dyn RelayStore {
        self.store
    }

    /// Ends the look: what was concluded holds only if the store did not fail.
    pub(super) fn finish<T>(self, conclusion: T) -> Result<T, StoreError> {
        match self.failure.into_inner() {
            Some(error) => Err(error),
            None => Ok(conclusion),
        }
    }
}

impl Chains for View<'_> {
    fn chain(&self, id: &ChainId) -> Option<Arc<ChainState>> {
        self.known(id).map(|known| Arc::clone(&known.state))
    }
}

fn rebuild(stored: StoredChain, adopted: Option<&AdoptedDocument>) -> Result<Known, StoreError> {
    let damaged = || StoreError::Damaged { table: "log" };
    let mut ops = Vec::with_capacity(stored.ops.len());
    let mut positions = Vec::with_capacity(stored.ops.len());
    for row in stored.ops {
        // Both were verified before they were stored.
        let op = read_op(&row.op)?;
        let receipt: Receipt = vereda_base::decode(row.receipt.bytes(), Receipt::MAX_BYTES).map_err(|_| damaged())?;
        ops.push(ReplayedOp { op, time: Some(receipt.time), is_void: false });
        positions.push(row.position);
    }
    let state = ChainState::replay(ops, adopted).map_err(|_| damaged())?;
    Ok(Known { state: Arc::new(state), agency: stored.agency, positions })
}

pub(super) fn read_op(op: &Signed<Op>) -> Result<Op, StoreError> {
    vereda_base::decode(op.bytes(), limits::MAX_OP_BYTES).map_err(|_| StoreError::Damaged { table: "log" })
}
