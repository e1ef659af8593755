//! Replicas: from the store into memory, kept up with what arrives.

use std::collections::BTreeSet;

use minicbor::{Decode, Encode};
use vereda_base::{ChainId, ChunkId, Link, decode, encode};
use vereda_crypto::derive_actor;
use vereda_document::MAX_SAVED_BYTES;
use vereda_protocol::{Chunk, Header};
use vereda_sync::device::{DeviceStore, StoreError};

use super::{Device, DeviceError, DocumentError};
use crate::{
    document::{ChunkFault, ChunkKeys, Index, LocalEdit, OpenDocument, Skipped},
    tables::{EDITS, OPENING, REFUSED, SNAPSHOTS},
};

/// Replicas kept in memory at once.
const MAX_OPEN: usize = 48;
/// Chunks and edits after which a replica is saved anew: at most, and at least where it is large.
const SNAPSHOT_AFTER: (u32, u32) = (4, 24);
/// What a replica is opened for at most: chunks to be taken in times changes in it, for each chunk costs a copy of it.
const TAKEN_IN: usize = 8_192;

/// A saved replica.
#[derive(Encode, Decode)]
#[cbor(array)]
struct Snapshot {
    /// Chunk rows taken in.
    #[n(0)]
    taken: u64,
    /// What the replica saved.
    #[cbor(n(1), with = "minicbor::bytes")]
    saved: Vec<u8>,
    /// What is known of the chunks in it.
    #[n(2)]
    index: Index,
    /// What was passed over; absent where nothing was.
    #[n(3)]
    skipped: Option<Skipped>,
}

impl<S: DeviceStore> Device<S> {
    /// Opens a document and takes in what arrived; commits if that wrote anything, so call it before writing.
    pub(crate) fn document(&mut self, id: &ChainId) -> Result<&mut OpenDocument, DeviceError> {
        let document = match self.take_open(id) {
            Some(open) => open,
            None => self.guarded(id)?,
        };
        let (document, outcome) = self.keep_up(document);
        let document = self.hold(document);
        outcome?;
        Ok(document)
    }

    /// Opens a document without taking in what arrived since it was opened; else as [`Self::document`].
    pub(super) fn opened(&mut self, id: &ChainId) -> Result<&mut OpenDocument, DeviceError> {
        let document = match self.take_open(id) {
            Some(open) => open,
            None => self.guarded(id)?,
        };
        Ok(self.hold(document))
    }

    /// Keeps a document in memory, as the one used last.
    fn hold(&mut self, document: OpenDocument) -> &mut OpenDocument {
        let id = document.document;
        self.recent.retain(|recent| *recent != id);
        self.recent.push(id);
        if self.recent.len() > MAX_OPEN {
            let oldest = self.recent.remove(0);
            self.open.remove(&oldest);
        }
        self.open.entry(id).or_insert(document)
    }

    /// Opens a document that can be read and edited.
    pub(crate) fn created_document(&mut self, id: &ChainId) -> Result<&mut OpenDocument, DeviceError> {
        let is_known = self.chain(id).is_some();
        let has_key = self.keyring.key(id, 0).is_some();
        let document = self.document(id)?;
        if document.replica.is_created() {
            return Ok(document);
        }
        let (document, is_awaited) = (*id, !document.skipped.is_empty());
        Err(match (is_known, has_key && !is_awaited) {
            (false, _) => DocumentError::Unknown { document },
            (true, false) => DocumentError::Locked { document },
            (true, true) => DocumentError::Empty { document },
        }
        .into())
    }

    /// Takes a replica that was just made into memory.
    pub(crate) fn adopt(&mut self, document: OpenDocument) {
        self.recent.push(document.document);
        self.open.insert(document.document, document);
    }

    /// Drops a replica from memory: it may hold what was not committed.
    pub(crate) fn close(&mut self, id: &ChainId) {
        self.open.remove(id);
        self.recent.retain(|recent| recent != id);
    }

    /// Loads a replica. Where a panic ends the program, the document is noted first, so that one which kills the program
    /// is set aside at the next start instead of killing it again.
    fn guarded(&mut self, id: &ChainId) -> Result<OpenDocument, DeviceError> {
        if self.set_aside.contains(id) {
            return Err(DocumentError::SetAside { document: *id }.into());
        }
        if cfg!(not(panic = "abort")) {
            return self.load(id);
        }
        self.store.put(OPENING, &[], id.as_bytes(), &[])?;
        self.commit()?;
        let loaded = self.load(id).map(|document| self.keep_up(document).0);
        self.store.delete(OPENING, id.as_bytes())?;
        self.commit()?;
        loaded
    }

    /// Loads a replica of its own, beside the one in memory: what is done to it is not kept.
    pub(crate) fn load_apart(&mut self, id: &ChainId) -> Result<OpenDocument, DeviceError> {
        self.guarded(id)
    }

    fn load(&mut self, id: &ChainId) -> Result<OpenDocument, DeviceError> {
        self.loads = self.loads.saturating_add(1);
        let actor = derive_actor(self.id(), self.incarnation, *id);
        let snapshot = self.store.get(SNAPSHOTS, id.as_bytes())?;
        let snapshot = snapshot.and_then(|bytes| decode::<Snapshot>(&bytes, 2 * MAX_SAVED_BYTES).ok());
        let opened = snapshot.and_then(|snapshot| {
            // A snapshot that does not open is no loss: everything in it is in chunks and edits.
            let mut document = OpenDocument::saved(*id, actor, &snapshot.saved, snapshot.index).ok()??;
            document.taken = snapshot.taken;
            document.skipped = snapshot.skipped.unwrap_or_default();
            Some(document)
        });
        // Nor one with chunks in it that do not stand any more.
        let excluded = self.excluded(id)?;
        let opened = opened.filter(|document| !excluded.iter().any(|link| document.has_chunk(link)));
        // Nor one without what can be taken in by now and may be built on already.
        let opened = opened.and_then(|document| self.without_gaps(document));
        let mut document = opened.unwrap_or_else(|| OpenDocument::empty(*id, actor));
        document.note_author(actor, self.id());
        let (document, kept_up) = self.keep_up(document);
        kept_up?;
        let mut document = self.with_edits(document)?;
        document.was_replayed = document.since_snapshot > 0;
        Ok(document)
    }

    /// Applies the edits that no chunk holds yet.
    fn with_edits(&self, mut document: OpenDocument) -> Result<OpenDocument, DeviceError> {
        let id = document.document;
        let edits = self.stored_edits(&id)?;
        document.take_edits(edits).map_err(|error| DocumentError::StoredEdit { document: id, error })?;
        Ok(document)
    }

    pub(super) fn stored_edits(&self, id: &ChainId) -> Result<Vec<LocalEdit>, StoreError> {
        let mut edits = Vec::new();
        self.store.scan(EDITS, Some(id.as_bytes()), &mut |key, value| {
            if let Some(seq) = key.last_chunk::<8>() {
                edits.push(LocalEdit { seq: u64::from_be_bytes(*seq), bytes: value.to_vec() });
            }
            std::ops::ControlFlow::Continue(())
        })?;
        Ok(edits)
    }

    /// Takes in the chunks that arrived since.
    fn keep_up(&mut self, mut document: OpenDocument) -> (OpenDocument, Result<(), DeviceError>) {
        let outcome = self.take_arrived(&mut document);
        let outcome = outcome.and_then(|has_written| Ok(has_written | self.note_skipped(&document)?));
        let outcome = outcome.and_then(|has_written| {
            let is_due = document.since_snapshot >= snapshot_after(document.change_count());
            let has_saved = is_due && document.replica.is_created();
            if has_saved {
                self.save_snapshot(&mut document)?;
            }
            if has_written || has_saved { self.commit() } else { Ok(()) }
        });
        (document, outcome)
    }

    /// Takes in the chunks that arrived since; says whether any was refused and noted. Those whose keys are missing
    /// are passed over.
    fn take_arrived(&mut self, document: &mut OpenDocument) -> Result<bool, DeviceError> {
        let id = document.document;
        if self.chunk_count(&id)? <= document.taken {
            return Ok(false);
        }
        let mut refused: Option<BTreeSet<_>> = None;
        let mut has_written = false;
        let count = self.chunk_count(&id)?;
        for (position, chunk) in self.chunks(&id, document.taken)? {
            let header = read_header(&chunk)?;
            let link = header.link();
            let known_refused = match &mut refused {
                Some(refused) => refused,
                None => refused.insert(self.refused(&id)?),
            };
            if !document.has_chunk(&link) && !known_refused.contains(&(link, chunk.id())) {
                match self.take_or_skip(document, position, &chunk, &header) {
                    Ok(false) => {}
                    Ok(true) => self.note_keyless(&id),
                    Err(fault) => {
                        tracing::warn!(document = %id, %link, %fault, "chunk refused");
                        known_refused.insert((link, chunk.id()));
                        self.note_refused(&header, &chunk.id(), &fault)?;
                        has_written = true;
                    }
                }
            }
            document.taken = position.saturating_add(1);
        }
        // Those that do not stand any more are not shown.
        document.taken = count;
        Ok(has_written)
    }

    fn note_refused(&mut self, header: &Header, id: &ChunkId, fault: &ChunkFault) -> Result<(), StoreError> {
        let (document, link) = (header.document, header.link());
        // Other bytes with this link may be good.
        let key = [link.0, id.0].concat();
        self.store.put(REFUSED, document.as_bytes(), &key, fault.to_string().as_bytes())?;
        // What only builds on a refused chunk is not hostile itself.
        if !matches!(fault, ChunkFault::Missing { .. }) {
            self.quarantine(&link)?;
        }
        Ok(())
    }

    /// Lists the chunks of a document whose content was refused: by link and by their own bytes.
    pub(super) fn refused(&self, document: &ChainId) -> Result<BTreeSet<(Link, ChunkId)>, StoreError> {
        let mut refused = BTreeSet::new();
        self.store.scan(REFUSED, Some(document.as_bytes()), &mut |key, _| {
            if let (Some(link), Some(id)) = (key.first_chunk(), key.last_chunk()) {
                refused.insert((Link(*link), ChunkId(*id)));
            }
            std::ops::ControlFlow::Continue(())
        })?;
        Ok(refused)
    }

    /// Saves the replica of an open document that was opened by replaying chunks or edits, so that they are not replayed
    /// again; the caller commits.
    pub(super) fn save_replayed(&mut self, id: &ChainId) -> Result<(), StoreError> {
        let Some(mut document) = self.open.remove(id) else { return Ok(()) };
        let is_worth_it = document.was_replayed && document.since_snapshot > 0 && document.replica.is_created();
        let saved = if is_worth_it { self.save_snapshot(&mut document) } else { Ok(()) };
        self.open.insert(*id, document);
        saved
    }

    fn save_snapshot(&mut self, document: &mut OpenDocument) -> Result<(), StoreError> {
        let (taken, saved, index) = (document.taken, document.replica.save(), document.index().clone());
        let skipped = Some(document.skipped.clone()).filter(|skipped| !skipped.is_empty());
        let snapshot = Snapshot { taken, saved, index, skipped };
        self.store.put(SNAPSHOTS, &[], document.document.as_bytes(), &encode(&snapshot))?;
        document.since_snapshot = 0;
        document.was_replayed = false;
        Ok(())
    }

    /// Finds the keys that open a document's chunks of one epoch.
    pub(crate) fn chunk_keys(&self, document: &ChainId, epoch: u64) -> Option<ChunkKeys> {
        let epoch = self.keyring.document_key(document, epoch)?;
        Some(ChunkKeys { epoch, first: self.keyring.document_key(document, 0)? })
    }
}

/// Tells after how many chunks and edits a replica of so many changes is saved anew.
fn snapshot_after(changes: usize) -> u32 {
    let (least, most) = SNAPSHOT_AFTER;
    u32::try_from(TAKEN_IN.checked_div(changes).unwrap_or_default()).unwrap_or(most).clamp(least, most)
}

/// Reads the header of a stored chunk: the machine verified it before it kept it.
pub(crate) fn read_header(chunk: &Chunk) -> Result<Header, StoreError> {
    let header = decode(chunk.header.bytes(), vereda_base::limits::MAX_HEADER_BYTES);
    header.map_err(|_| StoreError::Unknown { table: "sync_chunks" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_replica_is_saved_sooner_than_a_small_one() {
        assert_eq!([0, 1, 100, 1_000, 2_000, 100_000].map(snapshot_after), [4, 24, 24, 8, 4, 4]);
    }
}
