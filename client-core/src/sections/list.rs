//! Listing the sections of a case as this person sees them.

use serde::Serialize;
use vereda_base::{ChainId, Timestamp};
use vereda_sync::device::DeviceStore;

use super::records::title_of;
use crate::{
    device::{Device, DeviceError, DocumentError},
    directory::FindError,
    words,
};

/// How a section stands for this person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SectionState {
    /// It can be read here.
    Open,
    /// It is this person's to read, and not here yet.
    OnItsWay,
    /// The case says that there is one; it is not this person's to read.
    Closed,
}

/// What a list shows of a section.
#[derive(Debug, Clone, Serialize)]
pub struct SectionLine {
    /// The section.
    pub section: ChainId,
    /// Its title, where it can be read or the case has it.
    pub title: Option<String>,
    /// How it stands for this person.
    pub state: SectionState,
    /// What this person may do in it.
    pub role: Option<&'static str>,
    /// The case's record says that there is this section.
    pub is_noted: bool,
}

impl<S: DeviceStore> Device<S> {
    /// Lists the sections of a case: those that can be read here, and those that the case's record tells of; in order of
    /// title.
    ///
    /// # Errors
    /// [`DeviceError`] by cause.
    pub fn list_sections(&mut self, case: &ChainId, now: Timestamp) -> Result<Vec<SectionLine>, DeviceError> {
        // A case that is not read here has no list.
        self.created_document(case)?;
        let noted = self.sections_noted_in(case)?;
        let mut lines = Vec::new();
        for section in self.sections_of(case)? {
            let title = match self.record(&section) {
                Ok(record) => title_of(&record),
                Err(DeviceError::Document(error)) if !matches!(error, DocumentError::Store(_)) => None,
                Err(error) => return Err(error),
            };
            let is_noted = noted.iter().any(|(noted, _)| *noted == section);
            lines.push(self.section_line(section, title, is_noted, now));
        }
        for (section, title) in noted {
            if !lines.iter().any(|line: &SectionLine| line.section == section) {
                lines.push(self.section_line(section, title, true, now));
            }
        }
        lines.sort_by(|one, other| (&one.title, one.section).cmp(&(&other.title, other.section)));
        Ok(lines)
    }

    fn section_line(&self, section: ChainId, title: Option<String>, is_noted: bool, now: Timestamp) -> SectionLine {
        let role = self.content_role(&section, now);
        let state = match role {
            None => SectionState::Closed,
            Some(_) if self.keyring.key(&section, 0).is_some() && title.is_some() => SectionState::Open,
            Some(_) => SectionState::OnItsWay,
        };
        SectionLine { section, title, state, role: role.map(words::role), is_noted }
    }

    /// Finds a section that can be read here by any beginning of its id, or by its whole id.
    ///
    /// # Errors
    /// [`FindError`] if nothing fits, or several do.
    pub fn find_section(&self, text: &str) -> Result<ChainId, FindError> {
        if let Ok(full) = text.parse::<ChainId>() {
            return Ok(full);
        }
        directory_only_one(self.scan_sections(None)?, text)
    }
}

fn directory_only_one(sections: Vec<ChainId>, text: &str) -> Result<ChainId, FindError> {
    let sections = crate::directory::fitting(sections, &text.to_lowercase());
    crate::directory::only_one("section", sections)
}
