//! The state machine as the rest of the device calls it.

use std::{collections::BTreeSet, ops::ControlFlow};

use vereda_base::{ChainId, Link};
use vereda_crypto::Verified;
use vereda_policy::{Body, ChainKind, Cite, Op, Wrap};
use vereda_protocol::Chunk;
use vereda_sync::device::{
    DeviceMachine, DeviceStore, EnqueueError, IntentId, OutboxItem, Place, StoreError, SyncState,
};

use super::{Device, DeviceError};

impl<S: DeviceStore> Device<S> {
    /// Lists a document's chunks from a local position on.
    pub(super) fn chunks(&self, document: &ChainId, from: u64) -> Result<Vec<(u64, Chunk)>, StoreError> {
        let mut chunks = Vec::new();
        if let Some(machine) = &self.machine {
            machine.chunks_since(&self.store, document, from, &mut |position, chunk| {
                chunks.push((position, chunk));
                ControlFlow::Continue(())
            })?;
        }
        Ok(chunks)
    }

    /// Counts a document's chunks.
    pub(crate) fn chunk_count(&self, document: &ChainId) -> Result<u64, StoreError> {
        self.machine.as_ref().map_or(Ok(0), |machine| machine.chunk_count(&self.store, document))
    }

    /// Counts the chunks of all documents.
    pub(super) fn chunk_counts(&self) -> Result<Vec<(ChainId, u64)>, StoreError> {
        self.machine.as_ref().map_or(Ok(Vec::new()), |machine| machine.chunk_counts(&self.store))
    }

    /// Lists the chains of a kind.
    pub(crate) fn list_chains(&self, kind: ChainKind) -> Result<Vec<ChainId>, StoreError> {
        self.machine.as_ref().map_or(Ok(Vec::new()), |machine| machine.list_chains(&self.store, kind))
    }

    /// Tells where a document's next chunk stands.
    pub(super) fn next_place(&self, document: &ChainId) -> Result<Place, DeviceError> {
        let machine = self.machine.as_ref().ok_or(DeviceError::NoAgency)?;
        Ok(machine.next_place(&self.store, document)?)
    }

    /// Says whether nothing more that this device makes of a document in its present incarnation would be taken.
    pub(super) fn is_closed(&self, document: &ChainId) -> Result<bool, StoreError> {
        self.machine.as_ref().map_or(Ok(false), |machine| machine.is_closed(&self.store, document))
    }

    /// Lists what waits to be sent.
    pub(crate) fn outbox(&self) -> Result<Vec<OutboxItem>, StoreError> {
        self.machine.as_ref().map_or(Ok(Vec::new()), |machine| machine.outbox(&self.store))
    }

    /// Asks the machine why a document is not synced.
    pub(crate) fn sync_state(&self, document: &ChainId) -> Result<SyncState, StoreError> {
        self.machine.as_ref().map_or(Ok(SyncState::Unknown), |machine| machine.explain(&self.store, document))
    }

    /// Queues the first operation of a chain.
    pub(crate) fn enqueue_create(&mut self, op: &Verified<Op>, wraps: Vec<Wrap>) -> Result<(), DeviceError> {
        let machine = self.machine.as_mut().ok_or(DeviceError::NoAgency)?;
        machine.enqueue_op(&mut self.store, op, wraps)?;
        Ok(())
    }

    /// Queues an intent.
    pub(super) fn enqueue_intent(
        &mut self,
        chain: ChainId,
        body: Body,
        wraps: Vec<Wrap>,
    ) -> Result<IntentId, DeviceError> {
        let machine = self.machine.as_mut().ok_or(DeviceError::NoAgency)?;
        Ok(machine.enqueue_intent(&mut self.store, chain, body, wraps)?)
    }

    /// Queues a sealed chunk.
    pub(super) fn enqueue_chunk(&mut self, chunk: &Chunk) -> Result<(), DeviceError> {
        let machine = self.machine.as_mut().ok_or(DeviceError::NoAgency)?;
        machine.enqueue_chunk(&mut self.store, chunk)?;
        Ok(())
    }

    /// Puts a chunk that was sealed again in place of the stored one, where somebody still waits for it; says whether that is
    /// done with, or the relay knows of something that makes it stale and that did not arrive here yet.
    pub(super) fn replace_chunk(&mut self, chunk: &Chunk) -> Result<bool, DeviceError> {
        let machine = self.machine.as_mut().ok_or(DeviceError::NoAgency)?;
        match machine.reseal_chunk(&mut self.store, chunk) {
            Ok(()) | Err(EnqueueError::NotWaiting) => Ok(true),
            Err(EnqueueError::Known) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Finds a stored chunk, also one that does not stand any more, with its place among the document's.
    pub(super) fn find_chunk(&self, link: &Link) -> Result<Option<(u64, Chunk)>, StoreError> {
        let Some(machine) = &self.machine else { return Ok(None) };
        Ok(machine.find_chunk(&self.store, link)?.map(|(position, _, chunk)| (position, chunk)))
    }

    /// Lists a document's chunks that do not stand.
    pub(super) fn excluded(&self, document: &ChainId) -> Result<BTreeSet<Link>, StoreError> {
        self.machine.as_ref().map_or(Ok(BTreeSet::new()), |machine| machine.excluded(&self.store, document))
    }

    /// Lists the heads that a chunk of a document may rely on now; `None` without a right to write.
    pub(super) fn cites(&self, document: &ChainId) -> Result<Option<Vec<Cite>>, StoreError> {
        self.machine.as_ref().map_or(Ok(None), |machine| machine.cites(&self.store, document))
    }

    /// Says whether what was written in a document is late: this device may write there no more, by the relay's clock.
    pub(super) fn is_late(&self, document: &ChainId) -> Result<bool, StoreError> {
        self.machine.as_ref().map_or(Ok(false), |machine| machine.is_late(&self.store, document))
    }

    /// Sets a stored chunk aside as evidence.
    pub(super) fn quarantine(&mut self, link: &Link) -> Result<(), StoreError> {
        self.machine.as_mut().map_or(Ok(()), |machine| machine.quarantine_content(&mut self.store, link))
    }

    /// Finds the chains of which keys are missing: once at start, later ones are noted as their wraps arrive. Of documents
    /// only those of which none is held, so that not every chain is read, and those of which a chunk did not open; of the
    /// others when one does not.
    pub(super) fn find_keyless(&mut self) -> Result<(), StoreError> {
        self.find_skipping()?;
        let mut keyless: BTreeSet<ChainId> = self.skipping.keys().copied().collect();
        for kind in [ChainKind::User, ChainKind::Team, ChainKind::Agency] {
            let lacks = |chain: &ChainId| self.chain(chain).is_some_and(|state| self.keyring.lacks_some(&state));
            keyless.extend(self.list_chains(kind)?.into_iter().filter(lacks));
        }
        let documents = self.list_chains(ChainKind::Document)?;
        keyless.extend(documents.into_iter().filter(|document| self.keyring.key(document, 0).is_none()));
        self.keyless = keyless;
        Ok(())
    }

    /// Finds the document of a chunk.
    pub(crate) fn document_of(&self, link: &Link) -> Result<Option<ChainId>, DeviceError> {
        let Some(machine) = &self.machine else { return Ok(None) };
        let found = machine.find_chunk(&self.store, link)?;
        Ok(found.and_then(|(_, _, chunk)| Some(super::loading::read_header(&chunk).ok()?.document)))
    }

    /// Names the document that a queued operation begins, if it is one's.
    pub(crate) fn document_begun(&self, op: &vereda_crypto::Signed<Op>) -> Option<ChainId> {
        let chain = ChainId(vereda_policy::op_id_of_bytes(op.bytes()).0);
        self.chain(&chain).filter(|state| state.kind() == ChainKind::Document).map(|state| state.id())
    }

    /// Counts documents whose key is not here.
    pub(crate) fn locked_count(&self) -> usize {
        self.locked.len()
    }

    /// Counts documents part of which is not shown, as its key is not here.
    pub(crate) fn partly_locked_count(&self) -> usize {
        self.skipping.len()
    }

    /// Says whether the session with the relay stands.
    pub(crate) fn is_live(&self) -> bool {
        self.machine.as_ref().is_some_and(DeviceMachine::is_live)
    }
}
