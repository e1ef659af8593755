//! A new incarnation: edits that no chunk holds yet, and those whose chunks can not stand, are made again under its actor
//! (protocol.md §5, §6).

use std::collections::BTreeSet;

use rand_core::CryptoRng;
use vereda_base::{ChainId, Incarnation, Link};
use vereda_crypto::derive_actor;
use vereda_document::EditError;
use vereda_protocol::Chunk;
use vereda_sync::device::{DeviceStore, StoreError};

use super::{Ambient, Device, DeviceError, DocumentError, sealing::edit_key};
use crate::{
    document::OpenDocument,
    facts::save_incarnation,
    tables::{EDITS, SNAPSHOTS},
};

/// A store that knows its incarnation, and can begin a new one.
pub trait IncarnatedStore: DeviceStore {
    /// Tells the present incarnation.
    fn incarnation(&self) -> Incarnation;

    /// Begins a new incarnation: others know more of this device than it does itself.
    ///
    /// # Errors
    /// A sentence for people.
    fn renew_incarnation(&mut self, rng: &mut dyn CryptoRng) -> Result<Incarnation, String>;
}

/// A document as it was, with what is to be made again.
struct Old {
    document: OpenDocument,
    /// Hashes of the changes.
    changes: BTreeSet<[u8; 32]>,
}

impl<S: IncarnatedStore> Device<S> {
    /// Begins a new incarnation, in the store and in the machine.
    pub(super) fn begin_incarnation(&mut self, ambient: &mut Ambient<'_>) -> Result<(), DeviceError> {
        let incarnation = self.store.renew_incarnation(ambient.rng).map_err(|reason| DeviceError::Renew { reason })?;
        self.incarnation = incarnation;
        if let Some(machine) = &mut self.machine {
            machine.open_incarnation(&mut self.store, incarnation)?;
        }
        Ok(())
    }
}

impl<S: DeviceStore> Device<S> {
    /// Makes edits again that were made under an earlier incarnation and that no chunk holds, or none that can stand;
    /// commits.
    pub(super) fn remake_edits(&mut self, before: Incarnation) -> Result<(), DeviceError> {
        let mut lost = std::mem::take(&mut self.remaking);
        let documents: BTreeSet<ChainId> = self.unsealed.iter().chain(lost.keys()).copied().collect();
        self.open.clear();
        self.recent.clear();
        for document in documents {
            let links = lost.remove(&document).unwrap_or_default();
            match self.remake(&document, before, &links) {
                Err(DeviceError::Document(error)) if !links.is_empty() => {
                    tracing::warn!(%document, %error, "edits could not be made again: they are kept as they are");
                }
                done => done?,
            }
        }
        save_incarnation(&mut self.store, self.incarnation)?;
        self.commit()
    }

    /// Makes the old edits again under the new actor, each on top of what stands of what was seen as it was made.
    fn remake(&mut self, id: &ChainId, before: Incarnation, lost: &BTreeSet<Link>) -> Result<(), DeviceError> {
        let document = *id;
        if lost.is_empty() && self.stored_edits(id)?.is_empty() {
            // It is only gone on with under the new actor, as the earlier one's changes are not all here.
            self.stale.insert(document);
            return Ok(());
        }
        let Some(Old { document: old, changes }) = self.read_old(id, before, lost)? else { return Ok(()) };
        let standing = self.chunks(id, 0)?;
        let mut new = self.replayed(id, self.actor(id), &standing)?;
        let made = match new.replica.remake(&old.replica, &changes) {
            Ok(made) => made,
            // Somebody else began it, and that does not stand: there is nothing to write to.
            Err(EditError::NotCreated) => return Ok(()),
            Err(error) => return Err(DocumentError::Edit { document, error }.into()),
        };
        self.drop_old(id, lost)?;
        new.note_author(self.actor(id), self.id());
        for change in made {
            new.note_edit(&change);
            self.keep_edit(id, &change)?;
        }
        if new.edits.is_empty() {
            self.unsealed.remove(id);
        }
        self.adopt(new);
        self.write_line(id)
    }

    /// Opens a document with the edits of an earlier incarnation, and lists those that are to be made again; `None` where a
    /// key is missing for that.
    fn read_old(
        &mut self,
        id: &ChainId,
        before: Incarnation,
        lost: &BTreeSet<Link>,
    ) -> Result<Option<Old>, DeviceError> {
        let document = *id;
        let edits = self.stored_edits(id)?;
        let first = edits.first().map(|edit| edit.seq);
        let mut chunks = self.chunks(id, 0)?;
        for link in self.excluded(id)? {
            let Some((position, chunk)) = self.find_chunk(&link)? else { continue };
            let is_lost = lost.contains(&link);
            if is_lost || !self.is_replaced(&chunk, before, first)? {
                chunks.push((position, chunk));
            }
        }
        chunks.sort_by_key(|(position, _)| *position);
        chunks.dedup_by_key(|(position, _)| *position);
        let mut old = self.replayed(id, derive_actor(self.id(), before, document), &chunks)?;
        if lost.iter().any(|link| old.skipped.has(link)) {
            return Ok(None);
        }
        let mut changes = BTreeSet::new();
        for (_, chunk) in &chunks {
            let header = super::loading::read_header(chunk)?;
            if lost.contains(&header.link()) {
                changes.extend(old.changes_of(&header, derive_actor(header.device, header.incarnation, document)));
            }
        }
        old.take_edits(edits).map_err(|error| DocumentError::StoredEdit { document, error })?;
        changes.extend(old.edits.iter().map(|edit| edit.hash));
        Ok(Some(Old { document: old, changes }))
    }

    /// Says whether the first stored edit took the place of an own chunk's changes: that did not stand any more when the edit
    /// was written, which so does not rest on it.
    fn is_replaced(&self, chunk: &Chunk, before: Incarnation, first: Option<u64>) -> Result<bool, StoreError> {
        let header = super::loading::read_header(chunk)?;
        let after = header.first_change.saturating_add(u64::from(header.change_count));
        let is_own = (header.device, header.incarnation) == (self.id(), before);
        Ok(is_own && first.is_some_and(|first| first < after))
    }

    /// Drops the old edits: their rows, the snapshot that may hold them, and the chunks that can not stand.
    fn drop_old(&mut self, id: &ChainId, lost: &BTreeSet<Link>) -> Result<(), StoreError> {
        self.store.delete(SNAPSHOTS, id.as_bytes())?;
        for edit in self.stored_edits(id)? {
            self.store.delete(EDITS, &edit_key(id, edit.seq))?;
        }
        match &mut self.machine {
            Some(machine) if !lost.is_empty() => machine.drop_own(&mut self.store, id, lost),
            _ => Ok(()),
        }
    }

    /// Takes in chunks of a document, without snapshot and edits.
    fn replayed(
        &self,
        id: &ChainId,
        actor: vereda_base::ActorBytes,
        chunks: &[(u64, Chunk)],
    ) -> Result<OpenDocument, DeviceError> {
        let mut document = OpenDocument::empty(*id, actor);
        let refused = self.refused(id)?;
        for (position, chunk) in chunks {
            let header = super::loading::read_header(chunk)?;
            let link = header.link();
            if !refused.contains(&(link, chunk.id())) {
                // What is refused here was refused before, or will be when the document is opened again.
                drop(self.take_or_skip(&mut document, *position, chunk, &header));
            }
            document.taken = position.saturating_add(1);
        }
        Ok(document)
    }
}
