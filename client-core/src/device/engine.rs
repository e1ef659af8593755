//! The state machine as the rest of the device calls it.

use std::ops::ControlFlow;

use vereda_base::{ChainId, Link};
use vereda_crypto::Verified;
use vereda_policy::{Body, ChainKind, Op, Wrap};
use vereda_protocol::Chunk;
use vereda_sync::device::{DeviceMachine, DeviceStore, IntentId, OutboxItem, Place, StoreError, StoredWrap, SyncState};

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
    pub(super) fn chunk_count(&self, document: &ChainId) -> Result<u64, StoreError> {
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

    /// Sets a stored chunk aside as evidence.
    pub(super) fn quarantine(&mut self, link: &Link) -> Result<(), StoreError> {
        self.machine.as_mut().map_or(Ok(()), |machine| machine.quarantine_content(&mut self.store, link))
    }

    /// Lists the wraps of chains whose newest key is not held, of all chains or of those given.
    pub(super) fn unopened_wraps(&self) -> Result<Vec<(ChainId, StoredWrap)>, StoreError> {
        let Some(machine) = &self.machine else { return Ok(Vec::new()) };
        let mut wraps = Vec::new();
        for chain in &self.keyless {
            for wrap in machine.wraps(&self.store, chain)? {
                if self.keyring.key(chain, wrap.epoch).is_none() {
                    wraps.push((*chain, wrap));
                }
            }
        }
        Ok(wraps)
    }

    /// Finds the chains of which no key is held: once at start, later ones are noted as their wraps arrive.
    pub(super) fn find_keyless(&mut self) -> Result<(), StoreError> {
        self.keyless.clear();
        for kind in [ChainKind::User, ChainKind::Team, ChainKind::Agency, ChainKind::Document] {
            let chains = self.list_chains(kind)?;
            self.keyless.extend(chains.into_iter().filter(|chain| self.keyring.key(chain, 0).is_none()));
        }
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

    /// Says whether the session with the relay stands.
    pub(crate) fn is_live(&self) -> bool {
        self.machine.as_ref().is_some_and(DeviceMachine::is_live)
    }
}
