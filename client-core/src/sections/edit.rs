//! Changing a section: as a case is changed.

use vereda_base::ChainId;
use vereda_sync::device::DeviceStore;

use super::is_reserved;
use crate::{
    cases::{EditCaseError, EditedCase, plain::PlainEdit},
    device::{Ambient, Device},
};

/// Why a section was not changed; nothing was kept.
#[derive(Debug, thiserror::Error)]
pub enum EditSectionError {
    /// Not a section.
    #[error("{chain} is no section")]
    NotASection {
        /// What was named.
        chain: ChainId,
    },
    /// The fields by which documents belong together are not edited.
    #[error("this field says how documents belong together and is not an answer")]
    Reserved,
    /// As for a case.
    #[error(transparent)]
    Edit(#[from] EditCaseError),
}

impl<S: DeviceStore> Device<S> {
    /// Changes a section; durable when this returns.
    ///
    /// # Errors
    /// [`EditSectionError`] by cause; nothing is kept then.
    pub fn edit_section(
        &mut self,
        ambient: &mut Ambient<'_>,
        section: &ChainId,
        request: &PlainEdit,
    ) -> Result<EditedCase, EditSectionError> {
        self.check_section(section).map_err(|chain| EditSectionError::NotASection { chain })?;
        let named = request.set.keys().chain(&request.clear);
        if named.into_iter().any(|field| is_reserved(field)) {
            return Err(EditSectionError::Reserved);
        }
        Ok(self.edit_case(ambient, section, request)?)
    }
}
