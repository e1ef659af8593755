//! Erasing a case or a section.

use vereda_base::ChainId;
use vereda_policy::{Body, ChainKind, DocumentKind};
use vereda_sync::device::DeviceStore;

use super::{DecideError, Hindrance};
use crate::device::{Ambient, Device, DeviceError};

/// Why nothing was erased; nothing was kept.
#[derive(Debug, thiserror::Error)]
pub enum EraseError {
    /// Not something that is erased.
    #[error("{chain} is no case and no section: only those are erased")]
    NotErasable {
        /// What was named.
        chain: ChainId,
    },
    /// Policy, or anything below.
    #[error(transparent)]
    Decide(#[from] DecideError),
}

impl<S: DeviceStore> Device<S> {
    /// Erases a case with the sections of it that are known here, or a section by itself: once the relay is reached,
    /// nothing stands in it any more, and every holder deletes it. Cannot be undone.
    ///
    /// # Errors
    /// [`EraseError`] by cause; nothing is kept then.
    pub fn erase(&mut self, ambient: &mut Ambient<'_>, document: &ChainId) -> Result<(), EraseError> {
        let state = self.chain(document).ok_or(Hindrance::Unknown { chain: *document }).map_err(DecideError::from)?;
        let is_book = matches!(state.document_kind(), Some(DocumentKind::Configuration | DocumentKind::Directory));
        if state.kind() != ChainKind::Document || is_book {
            return Err(EraseError::NotErasable { chain: *document });
        }
        let sections = self.sections_of(document).map_err(DeviceError::from).map_err(DecideError::from)?;
        let standing = |section: &ChainId| self.chain(section).is_some_and(|state| !state.is_erased());
        let chains = sections.into_iter().filter(standing).chain([*document]);
        let decisions = chains.map(|chain| (chain, Body::Erase)).collect();
        Ok(self.decide(ambient, decisions)?)
    }
}
