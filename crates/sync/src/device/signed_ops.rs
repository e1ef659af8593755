//! The operations of a chain as they were signed: what its state does not keep, such as who wrote one.

use vereda_base::{ChainId, limits};
use vereda_policy::Op;

use super::{
    machine::DeviceMachine,
    store::{DeviceStore, StoreError},
    tables::{OPS, OpRow, load_all},
};

impl DeviceMachine {
    /// Lists a chain's operations by seq, those without effect too.
    ///
    /// # Errors
    /// [`StoreError`] by cause.
    pub fn operations(&self, store: &dyn DeviceStore, chain: &ChainId) -> Result<Vec<Op>, StoreError> {
        let rows = load_all::<OpRow>(store, OPS, Some(chain.as_bytes()))?;
        let read = |row: OpRow| vereda_base::decode(row.op.bytes(), limits::MAX_OP_BYTES);
        let ops: Result<Vec<Op>, _> = rows.into_iter().map(|(_, row)| read(row)).collect();
        ops.map_err(|_| StoreError::Unknown { table: OPS.0 })
    }
}
