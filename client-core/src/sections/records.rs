//! How cases and sections know of one another: by answers under names of their own, which no form has.
//!
//! A section's record names its case and holds its title. Everybody who writes it could write another case there; so that
//! counts which whoever began it wrote first. The case's record names the section only where he chose so; it says nothing
//! about a section of another case. What is kept at hand of that is a projection of the sections' records.

use vereda_base::{ChainId, DeviceId};
use vereda_policy::DocumentKind;
use vereda_records::{FieldPath, Record, Value};
use vereda_sync::device::{DeviceStore, StoreError};

use crate::{
    device::{Device, DeviceError, DocumentError},
    document::OpenDocument,
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

/// Finds the case that the device which began a section wrote first.
fn case_of(section: &OpenDocument, beginner: DeviceId) -> Option<ChainId> {
    let history = section.replica.history(&FieldPath::field(CASE));
    let own = history.into_iter().filter(|entry| section.author(&entry.actor) == Some(beginner));
    match own.min_by_key(|entry| (entry.counter, entry.actor))?.value {
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

/// A section that a case's record ever named.
pub(crate) struct NamedSection {
    pub(crate) section: ChainId,
    /// Its title, where the record still has it.
    pub(crate) title: Option<String>,
    /// The device that began the section named it there; anybody else who writes in the case could name what is another's.
    pub(crate) is_beginners_word: bool,
}

/// Lists the sections that a case's record names, with their titles where it has them.
fn noted_in(record: &Record) -> Vec<(ChainId, Option<String>)> {
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
        let Some(case) = self.case_of_section(section)? else { return Ok(()) };
        let row = [case.as_bytes(), title_of(&record).unwrap_or_default().as_bytes()].concat();
        if self.store.get(SECTIONS, section.as_bytes())?.as_ref() == Some(&row) {
            return Ok(());
        }
        Ok(self.store.put(SECTIONS, case.as_bytes(), section.as_bytes(), &row)?)
    }

    /// Finds the case of a section that can be read here: what whoever began it wrote.
    pub(super) fn case_of_section(&mut self, section: &ChainId) -> Result<Option<ChainId>, DeviceError> {
        // It stays what it was: only what was written first counts.
        if let Some(known) = self.case_at_hand(section)? {
            return Ok(Some(known));
        }
        let Some(beginner) = self.chain(section).and_then(|state| Some(state.epoch(0)?.creator)) else {
            return Ok(None);
        };
        Ok(case_of(self.created_document(section)?, beginner))
    }

    fn case_at_hand(&self, section: &ChainId) -> Result<Option<ChainId>, StoreError> {
        let row = self.store.get(SECTIONS, section.as_bytes())?;
        Ok(row.and_then(|row| row.first_chunk().copied()).map(ChainId))
    }

    /// Says whether something is a section of a case, as far as is known here.
    pub(crate) fn may_be_section_of(&self, section: &ChainId, case: &ChainId) -> Result<bool, StoreError> {
        let is_other = self.chain(section).is_some_and(|state| state.document_kind() != Some(DocumentKind::Section));
        Ok(!is_other && self.case_at_hand(section)?.is_none_or(|known| known == *case))
    }

    /// The title of a section that can be read here.
    pub(crate) fn section_title(&self, section: &ChainId) -> Option<String> {
        self.keyring.key(section, 0)?;
        let row = self.store.get(SECTIONS, section.as_bytes()).ok()??;
        // A row is the case's id and the title.
        let title = std::str::from_utf8(row.get(section.as_bytes().len()..)?).ok()?;
        (!title.is_empty()).then(|| title.to_owned())
    }

    /// Lists the sections that a case's record names and that are of no other, as far as is known here, with their titles
    /// where it has them; none where it is not read here.
    pub(crate) fn sections_noted_in(&mut self, case: &ChainId) -> Result<Vec<(ChainId, Option<String>)>, DeviceError> {
        let mut noted = match self.record(case) {
            Ok(record) => noted_in(&record),
            Err(DeviceError::Document(error)) if !matches!(error, DocumentError::Store(_)) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut fault = None;
        noted.retain(|(section, _)| {
            self.may_be_section_of(section, case).unwrap_or_else(|error| {
                fault = Some(error);
                false
            })
        });
        fault.map_or(Ok(noted), |error| Err(error.into()))
    }

    /// Lists the sections that a case's record names, or of which whoever began them once wrote it there, and that are of no
    /// other case, as far as is known here; none where the case is not read here.
    pub(crate) fn sections_ever_named_in(&mut self, case: &ChainId) -> Result<Vec<NamedSection>, DeviceError> {
        let record = match self.record(case) {
            Ok(record) => record,
            Err(DeviceError::Document(error)) if !matches!(error, DocumentError::Store(_)) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let noted = noted_in(&record);
        let mut named = Vec::new();
        for field in record.fields.keys() {
            let Some(section) = field.strip_prefix(PREFIX).and_then(|id| id.parse().ok()) else { continue };
            if !self.may_be_section_of(&section, case)? {
                continue;
            }
            let beginner = self.chain(&section).and_then(|state| Some(state.epoch(0)?.creator));
            let open = self.created_document(case)?;
            let authors = open.replica.history(&FieldPath::field(field)).into_iter();
            let is_beginners_word =
                beginner.is_some() && authors.map(|entry| open.author(&entry.actor)).any(|author| author == beginner);
            let note = noted.iter().find(|(noted, _)| *noted == section);
            if note.is_some() || is_beginners_word {
                let title = note.and_then(|(_, title)| title.clone());
                named.push(NamedSection { section, title, is_beginners_word });
            }
        }
        Ok(named)
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
        assert_eq!(record.answer(CASE), Some(&Value::text(case.to_string())));
        assert_eq!(title_of(&record).as_deref(), Some("Health"));
        assert_eq!(noted_in(&record), []);
        assert!(record.fields.keys().all(|field| is_reserved(field)));
    }
}
