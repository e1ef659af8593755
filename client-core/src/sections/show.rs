//! Showing a section: as a case is shown.

use serde::Serialize;
use vereda_base::ChainId;
use vereda_policy::DocumentKind;
use vereda_sync::device::DeviceStore;

use super::records::title_of;
use crate::{
    cases::CaseView,
    device::{Device, DeviceError},
};

/// Why a section is not shown.
#[derive(Debug, thiserror::Error)]
pub enum ShowSectionError {
    /// Not a section.
    #[error("{chain} is no section")]
    NotASection {
        /// What was named.
        chain: ChainId,
    },
    /// Anything below.
    #[error(transparent)]
    Device(#[from] DeviceError),
}

/// A section as it stands here.
#[derive(Debug, Clone, Serialize)]
pub struct SectionView {
    /// The section.
    pub section: ChainId,
    /// The case that it belongs to.
    pub of_case: Option<ChainId>,
    /// Its title.
    pub title: Option<String>,
    /// Its answers, conflicts and state, as those of a case.
    pub content: CaseView,
}

impl<S: DeviceStore> Device<S> {
    /// Shows a section as it stands here.
    ///
    /// # Errors
    /// [`ShowSectionError`] by cause.
    pub fn show_section(&mut self, section: &ChainId) -> Result<SectionView, ShowSectionError> {
        self.check_section(section).map_err(|chain| ShowSectionError::NotASection { chain })?;
        let content = self.show_case(section)?;
        let (of_case, title) = (self.case_of_section(section)?, title_of(&content.record));
        Ok(SectionView { section: *section, of_case, title, content })
    }

    /// Says whether a chain is a section, or unknown here.
    pub(super) fn check_section(&self, chain: &ChainId) -> Result<(), ChainId> {
        let is_other = self.chain(chain).is_some_and(|state| state.document_kind() != Some(DocumentKind::Section));
        if is_other { Err(*chain) } else { Ok(()) }
    }
}
