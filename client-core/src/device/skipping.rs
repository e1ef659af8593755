//! Documents of which some chunks were passed over because a key is missing: what is waited for, and what happens when it
//! comes.

use vereda_base::{ChainId, decode, encode};
use vereda_crypto::derive_actor;
use vereda_protocol::{Chunk, Header};
use vereda_sync::device::{DeviceStore, StoreError};

use super::Device;
use crate::{
    document::{Awaited, ChunkFault, OpenDocument},
    tables::SKIPPED,
};

/// Bytes of a row, at most: keys are lost and incarnations begun a few times in a document's life.
const MAX_ROW_BYTES: usize = 1 << 20;

impl<S: DeviceStore> Device<S> {
    /// Takes a chunk into a replica, or passes it over; says whether its key is missing.
    pub(super) fn take_or_skip(
        &self,
        document: &mut OpenDocument,
        position: u64,
        chunk: &Chunk,
        header: &Header,
    ) -> Result<bool, ChunkFault> {
        let keys = self.chunk_keys(&document.document, header.epoch);
        let actor = derive_actor(header.device, header.incarnation, document.document);
        let own = (header.device == self.id()).then_some(header.incarnation);
        document.take_or_skip(position, chunk, (header, actor), keys.as_ref(), own)
    }

    /// Takes a replica out of memory; `None` where there is none, or where one that has everything in it whose key is here
    /// by now has to be opened from the chunks.
    pub(super) fn take_open(&mut self, id: &ChainId) -> Option<OpenDocument> {
        let document = self.open.remove(id)?;
        self.without_gaps(document)
    }

    /// Goes back to what was passed over in a replica where a key for some of it is here by now; `None` where the replica is
    /// to be made anew for that.
    pub(super) fn without_gaps(&self, mut document: OpenDocument) -> Option<OpenDocument> {
        let id = document.document;
        let is_here = |epoch: &u64| self.keyring.key(&id, *epoch).is_some() && self.keyring.key(&id, 0).is_some();
        let stays = !document.skipped.awaited().epochs.iter().any(is_here);
        (stays || document.go_back()).then_some(document)
    }

    /// Notes what a document waits for, where that has changed; says whether it wrote anything, which the caller commits.
    pub(super) fn note_skipped(&mut self, document: &OpenDocument) -> Result<bool, StoreError> {
        let id = document.document;
        let awaited = (!document.skipped.is_empty()).then(|| document.skipped.awaited());
        // Of what is locked altogether that is known, and opening it writes nothing.
        let awaited = awaited.filter(|_| self.keyring.key(&id, 0).is_some());
        if self.skipping.get(&id) == awaited {
            return Ok(false);
        }
        match awaited {
            Some(awaited) => {
                self.store.put(SKIPPED, &[], id.as_bytes(), &encode(awaited))?;
                self.skipping.insert(id, awaited.clone());
                self.note_eclipsed(&id);
            }
            None => self.forget_skipped(&id)?,
        }
        Ok(true)
    }

    /// Forgets that a document waits for something.
    pub(super) fn forget_skipped(&mut self, id: &ChainId) -> Result<(), StoreError> {
        self.skipping.remove(id);
        self.store.delete(SKIPPED, id.as_bytes())
    }

    /// Reads which documents wait for what.
    pub(super) fn find_skipping(&mut self) -> Result<(), StoreError> {
        self.skipping.clear();
        let skipping = &mut self.skipping;
        self.store.scan(SKIPPED, None, &mut |key, row| {
            if let (Ok(id), Ok(awaited)) = (key.try_into(), decode::<Awaited>(row, MAX_ROW_BYTES)) {
                skipping.insert(ChainId(id), awaited);
            }
            std::ops::ControlFlow::Continue(())
        })
    }

    /// Has a new incarnation begun where chunks of the present one were passed over in a document: an edit would be given a
    /// number that one of their changes has.
    pub(super) fn note_eclipsed(&mut self, id: &ChainId) {
        if self.is_eclipsed(id) {
            self.remaking.entry(*id).or_default();
        }
    }

    /// Says whether chunks of this device's present incarnation were passed over in a document.
    pub(super) fn is_eclipsed(&self, id: &ChainId) -> bool {
        self.skipping.get(id).is_some_and(|awaited| awaited.own.contains(&self.incarnation))
    }

    /// Says whether part of a document waits for a key, and whether that is on its way: the key of an epoch that somebody
    /// called bad comes only with a later one that carries it.
    pub(crate) fn waits_for_part(&self, id: &ChainId) -> Option<bool> {
        let awaited = self.skipping.get(id)?;
        let state = self.chain(id)?;
        let is_carried = |number: u64| state.epochs().iter().any(|epoch| epoch.carries.contains(&number));
        let comes =
            |number: &u64| state.epoch(*number).is_some_and(|epoch| epoch.fault.is_none() || is_carried(epoch.number));
        Some(awaited.epochs.iter().any(comes))
    }
}
