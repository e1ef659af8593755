//! A new incarnation: edits that no chunk holds yet are made again under its actor (protocol.md §5).

use std::collections::BTreeSet;

use vereda_base::{ChainId, Incarnation};
use vereda_crypto::derive_actor;
use vereda_document::Replica;
use vereda_records::Record;
use vereda_sync::device::DeviceStore;

use super::{Ambient, Device, DeviceError, DocumentError, sealing::edit_key};
use crate::{
    document::OpenDocument,
    facts::save_incarnation,
    tables::{EDITS, SNAPSHOTS},
};

impl<S: DeviceStore> Device<S> {
    /// Makes unsealed edits again that were made under an earlier incarnation; commits.
    pub(super) fn remake_edits(&mut self, before: Incarnation, ambient: &mut Ambient<'_>) -> Result<(), DeviceError> {
        let documents: Vec<ChainId> = self.unsealed.iter().copied().collect();
        self.open.clear();
        self.recent.clear();
        for document in documents {
            self.remake(&document, before, ambient)?;
        }
        save_incarnation(&mut self.store, self.incarnation)?;
        self.commit()
    }

    /// Reads the record with the old edits and without them, and writes the difference under the new actor.
    fn remake(&mut self, id: &ChainId, before: Incarnation, ambient: &mut Ambient<'_>) -> Result<(), DeviceError> {
        let failed = |error| DocumentError::Edit { document: *id, error };
        let edits = self.stored_edits(id)?;
        // A snapshot may hold edits of the old actor.
        self.store.delete(SNAPSHOTS, id.as_bytes())?;
        for edit in &edits {
            self.store.delete(EDITS, &edit_key(id, edit.seq))?;
        }
        let own = derive_actor(self.id(), before, *id);
        let mut old = self.replayed(id, OpenDocument::empty(*id, own))?;
        let shared = old.replica.hydrate().ok();
        let document = *id;
        old.take_edits(edits).map_err(|error| DocumentError::StoredEdit { document, error })?;
        let wanted = old.replica.hydrate().map_err(|error| DocumentError::Hydrate { document, error })?;
        let at = ambient.now.wall;
        let mut new = match shared {
            Some(_) => self.replayed(id, OpenDocument::empty(*id, self.actor(id)))?,
            None => {
                let (replica, change) = Replica::create(self.actor(id), wanted.record_type, at).map_err(failed)?;
                let mut made = OpenDocument::with(*id, replica);
                made.note_edit(&change);
                self.keep_edit(id, &change)?;
                made
            }
        };
        new.note_author(self.actor(id), self.id());
        let from = shared.unwrap_or_else(|| Record::new(wanted.record_type));
        if let Some(change) = new.replica.reconcile(&from, &wanted, at).map_err(failed)? {
            new.note_edit(&change);
            self.keep_edit(id, &change)?;
        }
        if new.edits.is_empty() {
            self.unsealed.remove(id);
        }
        self.adopt(new);
        self.write_line(id)
    }

    /// Takes in all of a document's chunks, without snapshot and edits.
    fn replayed(&mut self, id: &ChainId, document: OpenDocument) -> Result<OpenDocument, DeviceError> {
        let mut document = document;
        let refused: BTreeSet<_> = self.links_refused(id)?;
        for (position, chunk) in self.chunks(id, 0)? {
            let header = super::loading::read_header(&chunk)?;
            let Some(keys) = self.chunk_keys(id, header.epoch) else { break };
            if !refused.contains(&header.link()) {
                let actor = derive_actor(header.device, header.incarnation, *id);
                // What is refused here was refused before, or will be when the document is opened again.
                drop(document.take_chunk(&chunk, &header, actor, &keys));
            }
            document.taken = position.saturating_add(1);
        }
        Ok(document)
    }
}
