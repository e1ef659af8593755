//! Documents of which something does not stand any more: rebuilt from what does, this device's own edits that rested on
//! it made again (protocol.md §6).

use vereda_base::ChainId;
use vereda_sync::device::{DeviceStore, Input, StoreError};

use super::{Ambient, Device, DeviceError, IncarnatedStore};
use crate::tables::SNAPSHOTS;

impl<S: IncarnatedStore> Device<S> {
    /// Makes edits again, under a new incarnation, that rested on what does not stand.
    ///
    /// # Errors
    /// [`DeviceError`] by cause.
    pub fn remake_lost(&mut self, ambient: &mut Ambient<'_>) -> Result<bool, DeviceError> {
        if self.remaking.is_empty() {
            return Ok(false);
        }
        let before = self.incarnation;
        let was_wanted = self.contact.is_wanted;
        // The relay was told the old one.
        self.handle(ambient, Input::Stop)?;
        self.commit()?;
        self.begin_incarnation(ambient)?;
        self.remake_edits(before)?;
        if was_wanted {
            self.handle(ambient, Input::Start)?;
            self.commit()?;
        }
        Ok(true)
    }
}

impl<S: DeviceStore> Device<S> {
    /// Finds what is to be made again since before this process.
    pub(super) fn find_remaking(&mut self) -> Result<(), StoreError> {
        let Some(machine) = &self.machine else { return Ok(()) };
        self.remaking = machine.to_remake(&self.store)?;
        for document in self.skipping.keys().copied().collect::<Vec<_>>() {
            self.note_eclipsed(&document);
        }
        for document in self.unsealed.clone() {
            if !self.excluded(&document)?.is_empty() && self.rests_on_excluded(&document) {
                self.remaking.entry(document).or_default();
            }
        }
        Ok(())
    }

    /// Rebuilds documents of which chunks were found not to stand; edits in them that no chunk holds yet are made again.
    pub(super) fn rebuild_excluded(&mut self) -> Result<(), DeviceError> {
        let documents = std::mem::take(&mut self.excluding);
        for document in &documents {
            self.close(document);
            self.store.delete(SNAPSHOTS, document.as_bytes())?;
            self.stale.insert(*document);
            if self.unsealed.contains(document) && self.rests_on_excluded(document) {
                self.remaking.entry(*document).or_default();
            }
        }
        if documents.is_empty() { Ok(()) } else { self.commit() }
    }

    /// Notes own chunks whose edits are to be made again.
    pub(super) fn note_remaking(&mut self) -> Result<(), StoreError> {
        let Some(machine) = &self.machine else { return Ok(()) };
        for (document, links) in machine.to_remake(&self.store)? {
            self.remaking.entry(document).or_default().extend(links);
        }
        Ok(())
    }

    /// Says whether edits that no chunk holds yet do not apply to what stands.
    fn rests_on_excluded(&mut self, document: &ChainId) -> bool {
        let opened = self.opened(document).map(|_| ());
        matches!(opened, Err(DeviceError::Document(super::DocumentError::StoredEdit { .. })))
    }
}
