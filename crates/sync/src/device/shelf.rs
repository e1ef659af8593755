//! Chain states, loaded from the store when they are asked for.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    sync::Arc,
};

use vereda_base::{ChainId, OpId, Timestamp};
use vereda_policy::{Authorized, ChainKind, ChainState, Chains, Op, ReplayedOp};

use super::{
    store::{DeviceStore, StoreError},
    tables::{self, CHAINS, OPS, OpRow, load_all},
};

/// Documents kept in memory at once; groups are all kept.
const MAX_DOCUMENTS: usize = 1_024;

/// The states that were asked for lately. Forgotten whenever a transaction fails.
#[derive(Debug, Default)]
pub(crate) struct ChainShelf {
    states: RefCell<BTreeMap<ChainId, Arc<ChainState>>>,
    documents: Cell<usize>,
}

impl ChainShelf {
    /// Looks at the chains through a store.
    pub(crate) const fn view<'a>(&'a self, store: &'a dyn DeviceStore) -> ChainView<'a> {
        ChainView { store, shelf: self, failure: RefCell::new(None) }
    }

    /// Loads all users, teams and agencies.
    pub(crate) fn load_groups(&self, store: &dyn DeviceStore) -> Result<(), StoreError> {
        for kind in [ChainKind::User, ChainKind::Team, ChainKind::Agency] {
            for chain in list(store, kind)? {
                self.find(store, &chain)?;
            }
        }
        Ok(())
    }

    /// Finds a chain.
    pub(crate) fn find(&self, store: &dyn DeviceStore, id: &ChainId) -> Result<Option<Arc<ChainState>>, StoreError> {
        if let Some(state) = self.states.borrow().get(id) {
            return Ok(Some(state.clone()));
        }
        let rows = load_all::<OpRow>(store, OPS, Some(id.as_bytes()))?;
        if rows.is_empty() {
            return Ok(None);
        }
        let damaged = || StoreError::Unknown { table: OPS.0 };
        let mut ops = Vec::with_capacity(rows.len());
        let mut adopted = None;
        for (_, row) in rows {
            let op: Op = tables::read(OPS, row.op.bytes())?;
            let receipt = row.receipt.map(|receipt| tables::read::<vereda_policy::Receipt>(OPS, receipt.bytes()));
            adopted = adopted.or(row.adopted);
            let time = receipt.transpose()?.map(|receipt| receipt.time);
            ops.push(ReplayedOp { op, time, is_void: row.is_void });
        }
        let state = Arc::new(ChainState::replay(ops, adopted.as_ref()).map_err(|_| damaged())?);
        self.keep(state.clone());
        Ok(Some(state))
    }

    /// Applies an operation that is being stored.
    pub(crate) fn apply(
        &self,
        store: &dyn DeviceStore,
        op: &Authorized<Op>,
        time: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        let damaged = |_| StoreError::Unknown { table: OPS.0 };
        if self.find(store, &op.chain())?.is_none() {
            self.keep(Arc::new(ChainState::begin(op, time).map_err(damaged)?));
            return Ok(());
        }
        match self.states.borrow_mut().get_mut(&op.chain()) {
            Some(state) => Arc::make_mut(state).apply(op, time).map_err(damaged),
            None => Err(StoreError::Unknown { table: OPS.0 }),
        }
    }

    /// Gives an operation that is being stored its place, without effect.
    pub(crate) fn apply_void(
        &self,
        store: &dyn DeviceStore,
        op: &Op,
        id: OpId,
        time: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        let damaged = || StoreError::Unknown { table: OPS.0 };
        let chain = op.chain.ok_or_else(damaged)?;
        self.find(store, &chain)?;
        let mut states = self.states.borrow_mut();
        let state = states.get_mut(&chain).ok_or_else(damaged)?;
        Arc::make_mut(state).apply_void(op, id, time).map_err(|_| damaged())
    }

    /// Notes when the relay received an operation that was made here.
    pub(crate) fn note_receipt_time(&self, id: &ChainId, seq: u64, time: Timestamp) {
        if let Some(state) = self.states.borrow_mut().get_mut(id) {
            Arc::make_mut(state).note_receipt_time(seq, time);
        }
    }

    /// Forgets one document: it is loaded again when it is asked for.
    pub(crate) fn forget(&self, id: &ChainId) {
        if self.states.borrow_mut().remove(id).is_some() {
            self.documents.set(self.documents.get().saturating_sub(1));
        }
    }

    /// Forgets everything: what is here may hold what was rolled back.
    pub(crate) fn clear(&self) {
        self.states.borrow_mut().clear();
        self.documents.set(0);
    }

    fn keep(&self, state: Arc<ChainState>) {
        let mut states = self.states.borrow_mut();
        if state.kind() == ChainKind::Document {
            if self.documents.get() >= MAX_DOCUMENTS {
                states.retain(|_, state| state.kind() != ChainKind::Document);
                self.documents.set(0);
            }
            self.documents.set(self.documents.get() + 1);
        }
        states.insert(state.id(), state);
    }
}

/// Lists the chains of a kind, in the order in which they became known.
pub(crate) fn list(store: &dyn DeviceStore, kind: ChainKind) -> Result<Vec<ChainId>, StoreError> {
    let mut chains = Vec::new();
    store.scan(CHAINS, Some(&[kind as u8]), &mut |key, _| {
        if let Ok(id) = key.try_into() {
            chains.push(ChainId(id));
        }
        std::ops::ControlFlow::Continue(())
    })?;
    Ok(chains)
}

/// [`Chains`] over the store. A failure of the store shows as an unknown chain until [`ChainView::finish`] is asked.
pub struct ChainView<'a> {
    store: &'a dyn DeviceStore,
    shelf: &'a ChainShelf,
    failure: RefCell<Option<StoreError>>,
}

impl ChainView<'_> {
    /// Says whether every chain asked for could be read: what was concluded from them holds only then.
    ///
    /// # Errors
    /// [`StoreError`], the first there was.
    pub fn finish(self) -> Result<(), StoreError> {
        self.failure.into_inner().map_or(Ok(()), Err)
    }
}

impl Chains for ChainView<'_> {
    fn chain(&self, id: &ChainId) -> Option<Arc<ChainState>> {
        match self.shelf.find(self.store, id) {
            Ok(state) => state,
            Err(error) => {
                self.failure.borrow_mut().get_or_insert(error);
                None
            }
        }
    }
}
