//! How cases and sections know of one another: by answers under names of their own, which no form has.
//!
//! A section's record names its case and holds its title. The case's record names the section only where whoever began it
//! chose so. What is kept at hand of that is a projection of the sections' records.

use vereda_base::ChainId;
use vereda_policy::DocumentKind;
use vereda_records::{Record, Value};
use vereda_sync::device::{DeviceStore, StoreError};

use crate::{
    device::{Device, DeviceError, DocumentError},
    tables::SECTIONS,
};

const PREFIX: &str = "vereda_section_";
const CASE: &str = "vereda_section_of";
const TITLE: &str = "vereda_section_title";

/// Says whether a field is not an answer of a form, but says how documents belong together.
pub(crate) fn is_reserved(field: &str) -> bool {
    field == CASE || field.starts_with(PREFIX)
}

/// Notes in a section's record whose it is.
pub(super) fn with_case(record: Record, case: &ChainId, title: &str) -> Record {
    record.with(CASE, Value::text(case.to_string())).with(TITLE, Value::text(title))
}

/// Notes in a case's record that there is a section, with its title or without.
pub(super) fn with_section(record: Record, section: &ChainId, title: Option<&str>) -> Record {
    let value = title.map_or(Value::Boolean(true), Value::text);
    record.with(format!("{PREFIX}{section}"), value)
}

/// Reads the case that a section's record names.
pub(super) fn case_of(record: &Record) -> Option<ChainId> {
    match record.answer(CASE)? {
        Value::Text(case) => case.parse().ok(),
        _ => None,
    }
}

/// Reads the title in a section's record.
pub(super) fn title_of(record: &Record) -> Option<String> {
    match record.answer(TITLE)? {
        Value::Text(title) => Some(title.clone()),
        _ => None,
    }
}

/// Lists the sections that a case's record names, with their titles where it has them.
pub(super) fn noted_in(record: &Record) -> Vec<(ChainId, Option<String>)> {
    let noted = record.fields.iter().filter_map(|(field, value)| {
        let section = field.strip_prefix(PREFIX)?.parse().ok()?;
        match value {
            Value::Text(title) => Some((section, Some(title.clone()))),
            Value::Deleted => None,
            _ => Some((section, None)),
        }
    });
    noted.collect()
}

impl<S: DeviceStore> Device<S> {
    /// Keeps at hand which case a section belongs to, where it is one that can be read; the caller commits.
    pub(crate) fn note_section(&mut self, section: &ChainId) -> Result<(), DeviceError> {
        if self.chain(section).and_then(|state| state.document_kind()) != Some(DocumentKind::Section) {
            return Ok(());
        }
        let record = match self.record(section) {
            Ok(record) => record,
            Err(DeviceError::Document(error)) if !matches!(error, DocumentError::Store(_)) => return Ok(()),
            Err(error) => return Err(error),
        };
        let Some(case) = case_of(&record) else { return Ok(()) };
        let row = [case.as_bytes(), title_of(&record).unwrap_or_default().as_bytes()].concat();
        if self.store.get(SECTIONS, section.as_bytes())?.as_ref() == Some(&row) {
            return Ok(());
        }
        Ok(self.store.put(SECTIONS, case.as_bytes(), section.as_bytes(), &row)?)
    }

    /// The title of a section that can be read here.
    pub(crate) fn section_title(&self, section: &ChainId) -> Option<String> {
        self.keyring.key(section, 0)?;
        let row = self.store.get(SECTIONS, section.as_bytes()).ok()??;
        // A row is the case's id and the title.
        let title = std::str::from_utf8(row.get(section.as_bytes().len()..)?).ok()?;
        (!title.is_empty()).then(|| title.to_owned())
    }

    /// Lists the sections that a case's record names, with their titles where it has them; none where it is not read here.
    pub(crate) fn sections_noted_in(&mut self, case: &ChainId) -> Result<Vec<(ChainId, Option<String>)>, DeviceError> {
        match self.record(case) {
            Ok(record) => Ok(noted_in(&record)),
            Err(DeviceError::Document(error)) if !matches!(error, DocumentError::Store(_)) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Lists the sections of a case that can be read here, in order of id.
    pub(crate) fn sections_of(&self, case: &ChainId) -> Result<Vec<ChainId>, StoreError> {
        self.scan_sections(Some(case.as_bytes()))
    }

    /// Lists the sections of all cases that can be read here, or of one.
    pub(super) fn scan_sections(&self, case: Option<&[u8]>) -> Result<Vec<ChainId>, StoreError> {
        let mut sections = Vec::new();
        self.store.scan(SECTIONS, case, &mut |key, _| {
            sections.extend(key.try_into().ok().map(ChainId));
            std::ops::ControlFlow::Continue(())
        })?;
        sections.sort_unstable();
        Ok(sections)
    }
}

#[cfg(test)]
mod tests {
    use vereda_records::RecordType;

    use super::*;

    #[test]
    fn what_a_case_notes_of_its_sections_reads_back_with_and_without_title() {
        let [closed, titled] = [ChainId([1; 32]), ChainId([2; 32])];
        let record = with_section(Record::new(RecordType::Case), &closed, None);
        let record = with_section(record, &titled, Some("Health")).with("name_first", Value::text("Samir"));
        assert_eq!(noted_in(&record), [(closed, None), (titled, Some("Health".to_owned()))]);
        assert_eq!(record.fields.keys().filter(|field| is_reserved(field)).count(), 2);
    }

    #[test]
    fn a_section_names_its_case_and_is_no_note_of_another() {
        let case = ChainId([3; 32]);
        let record = with_case(Record::new(RecordType::Case), &case, "Health");
        assert_eq!((case_of(&record), title_of(&record).as_deref()), (Some(case), Some("Health")));
        assert_eq!(noted_in(&record), []);
        assert!(record.fields.keys().all(|field| is_reserved(field)));
    }
}
