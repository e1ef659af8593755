//! Many chains: what policy is evaluated over.

use std::{collections::BTreeMap, sync::Arc};

use vereda_base::{ChainId, Timestamp};
use vereda_crypto::Verified;

use crate::{AppendContext, ApplyError, Authorized, ChainState, Op, OpRefusal, authorize};

/// The chains that are known. Policy is a function of nothing else.
pub trait Chains {
    /// Finds a chain.
    fn chain(&self, id: &ChainId) -> Option<Arc<ChainState>>;
}

/// Chains in memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChainMap(BTreeMap<ChainId, Arc<ChainState>>);

impl ChainMap {
    /// Makes an empty map.
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Authorises an operation over these chains and applies it.
    ///
    /// # Errors
    /// [`OpRefusal`]; the map is then unchanged.
    pub fn append(&mut self, op: &Verified<Op>, context: &AppendContext) -> Result<Authorized<Op>, OpRefusal> {
        let authorized = authorize(self, op, context)?;
        // The head was compared by `authorize` in this very map.
        self.apply(&authorized, context.time()).map_err(|_| OpRefusal::Place { seq: op.value().seq })?;
        Ok(authorized)
    }

    /// Applies an operation that was authorised over these chains, received at `time`.
    ///
    /// # Errors
    /// [`ApplyError`] if it does not follow its chain's head, or begins a chain that is there already.
    pub fn apply(&mut self, op: &Authorized<Op>, time: Option<Timestamp>) -> Result<(), ApplyError> {
        let chain = op.chain();
        if let Some(state) = self.0.get_mut(&chain) {
            return Arc::make_mut(state).apply(op, time);
        }
        self.0.insert(chain, Arc::new(ChainState::begin(op, time)?));
        Ok(())
    }

    /// Puts a chain's state in place of what is known of it.
    pub fn insert(&mut self, state: ChainState) {
        self.0.insert(state.id(), Arc::new(state));
    }

    /// Takes a chain out.
    pub fn remove(&mut self, id: &ChainId) -> Option<Arc<ChainState>> {
        self.0.remove(id)
    }

    /// Notes when the relay received an operation that was made here.
    pub fn note_receipt_time(&mut self, chain: &ChainId, seq: u64, time: Timestamp) {
        if let Some(state) = self.0.get_mut(chain) {
            Arc::make_mut(state).note_receipt_time(seq, time);
        }
    }

    /// Lists all chains, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<ChainState>> {
        self.0.values()
    }
}

impl Chains for ChainMap {
    fn chain(&self, id: &ChainId) -> Option<Arc<ChainState>> {
        self.0.get(id).cloned()
    }
}
