//! Listing cases, out of what is kept at hand: no document is opened.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value as Json;
use vereda_base::{ChainId, Timestamp};
use vereda_records::{RecordType, json::write_value};
use vereda_sync::device::DeviceStore;

use super::folding::fold;
use crate::device::{Device, DeviceError, Line};

/// What a list shows of a case.
#[derive(Debug, Clone, Serialize)]
pub struct CaseLine {
    /// The case.
    pub case: ChainId,
    /// Its name, as far as known.
    pub title: String,
    /// Fields of the list, in plain form.
    pub fields: BTreeMap<String, Json>,
    /// Places in conflict.
    pub conflicts: usize,
    /// When the newest change was made, by its author's clock.
    pub changed: Timestamp,
    /// Edits of this device are not all at the relay.
    pub is_pending: bool,
}

impl<S: DeviceStore> Device<S> {
    /// Lists the cases, those changed last first. With a filter, those whose title or fields contain every word of it,
    /// whatever the case of its letters and their accents.
    ///
    /// # Errors
    /// [`DeviceError`] by cause.
    pub fn list_cases(&self, filter: Option<&str>) -> Result<Vec<CaseLine>, DeviceError> {
        let mut words: Vec<String> = filter.unwrap_or_default().split_whitespace().map(fold).collect();
        words.retain(|word| !word.is_empty());
        let pending = self.pending_documents()?;
        let lines = self.lines()?.into_iter().filter_map(|(case, line)| self.view_line(case, line));
        let mut found: Vec<CaseLine> = lines.filter(|line| words.iter().all(|word| contains(line, word))).collect();
        for line in &mut found {
            line.is_pending = pending.contains(&line.case);
        }
        found.sort_by_key(|line| (std::cmp::Reverse(line.changed), line.case));
        Ok(found)
    }

    /// Counts the cases of which something is here.
    ///
    /// # Errors
    /// [`DeviceError`] by cause.
    pub fn count_cases(&self) -> Result<usize, DeviceError> {
        Ok(self.count_lines()?)
    }

    fn view_line(&self, case: ChainId, line: Line) -> Option<CaseLine> {
        let summary = line.summary?;
        let field = |name: &str| self.books.configuration.field(RecordType::Case, name).map(|(_, field)| field);
        let fields = summary.fields.iter().map(|(name, value)| (name.clone(), write_value(field(name), value)));
        Some(CaseLine {
            case,
            title: summary.title,
            fields: fields.collect(),
            conflicts: line.conflicts,
            changed: line.changed,
            is_pending: false,
        })
    }
}

fn contains(line: &CaseLine, word: &str) -> bool {
    let in_value = |value: &Json| match value {
        Json::String(text) => fold(text).contains(word),
        Json::Array(list) => list.iter().any(|item| item.as_str().is_some_and(|text| fold(text).contains(word))),
        Json::Number(number) => *word == number.to_string(),
        _ => false,
    };
    fold(&line.title).contains(word) || line.case.to_string().starts_with(word) || line.fields.values().any(in_value)
}
