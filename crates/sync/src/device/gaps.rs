//! Chunks that were not kept because too many of their document wait: they are fetched again once there is room.

use minicbor::{Decode, Encode};
use vereda_base::ChainId;
use vereda_protocol::Position;

use super::{
    machine::{DeviceMachine, Halt},
    store::DeviceStore,
    tables::{BACKFILL, BackfillRow, GAPS, load, load_all, save},
};

/// Chunks of one document that are to be fetched again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub(super) struct GapRow {
    /// All of them lie at this position of the relay's log or before.
    #[n(0)]
    upto: Position,
    /// There is room for them; a backfill of the document that began earlier ends first.
    #[n(1)]
    is_due: bool,
    /// How often one was not kept.
    #[n(2)]
    pub(super) chunks: u64,
}

impl DeviceMachine {
    /// Notes that a chunk was not kept.
    pub(super) fn note_gap(&self, document: &ChainId, upto: Position, store: &mut dyn DeviceStore) -> Result<(), Halt> {
        let known = load::<GapRow>(&*store, GAPS, document.as_bytes())?;
        let known = known.unwrap_or(GapRow { upto, is_due: false, chunks: 0 });
        let row = GapRow { upto: known.upto.max(upto), chunks: known.chunks.saturating_add(1), ..known };
        Ok(save(store, GAPS, &[], document.as_bytes(), &row)?)
    }

    /// Has the document fetched again where chunks of it were not kept: there is room now.
    pub(super) fn fill_gap(&mut self, document: &ChainId, store: &mut dyn DeviceStore) -> Result<(), Halt> {
        let Some(gap) = load::<GapRow>(&*store, GAPS, document.as_bytes())? else {
            return Ok(());
        };
        let backfills = &mut self.cache(&*store)?.backfills;
        if backfills.iter().any(|row| row.document == *document) {
            // It may be past the gap already.
            return Ok(save(store, GAPS, &[], document.as_bytes(), &GapRow { is_due: true, ..gap })?);
        }
        let row = BackfillRow { document: *document, after: Position(0), upto: gap.upto };
        backfills.push(row);
        store.delete(GAPS, document.as_bytes())?;
        Ok(save(store, BACKFILL, &[], document.as_bytes(), &row)?)
    }

    /// Has the document fetched again, where that only waited for a backfill to end.
    pub(super) fn fill_due_gap(&mut self, document: &ChainId, store: &mut dyn DeviceStore) -> Result<(), Halt> {
        match load::<GapRow>(&*store, GAPS, document.as_bytes())? {
            Some(gap) if gap.is_due => self.fill_gap(document, store),
            _ => Ok(()),
        }
    }

    /// Has all such documents fetched again: what did not make room in an earlier run of the program may in this one.
    pub(super) fn fill_all_gaps(&mut self, store: &mut dyn DeviceStore) -> Result<(), Halt> {
        for (key, _) in load_all::<GapRow>(&*store, GAPS, None)? {
            if let Ok(document) = key.as_slice().try_into() {
                self.fill_gap(&ChainId(document), store)?;
            }
        }
        Ok(())
    }
}
