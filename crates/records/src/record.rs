//! Records: what one document means, as typed answers by field name.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{
    entry::{Entry, EntryId},
    path::FieldPath,
    value::Value,
};

/// The kinds of record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordType {
    /// A child's case, from registration to closure.
    Case,
    /// Something that happened to a child.
    Incident,
    /// Someone looks for children.
    TracingRequest,
    /// A family whose members may be cases.
    Family,
    /// An entry of a register.
    RegistryRecord,
}

impl RecordType {
    /// Every kind, in order.
    pub const ALL: [Self; 5] = [Self::Case, Self::Incident, Self::TracingRequest, Self::Family, Self::RegistryRecord];

    /// Returns the name in files, such as `tracing_request`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Case => "case",
            Self::Incident => "incident",
            Self::TracingRequest => "tracing_request",
            Self::Family => "family",
            Self::RegistryRecord => "registry_record",
        }
    }
}

impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a text names no kind of record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a kind of record: case, incident, tracing_request, family or registry_record")]
pub struct ParseRecordTypeError;

impl FromStr for RecordType {
    type Err = ParseRecordTypeError;

    fn from_str(text: &str) -> Result<Self, ParseRecordTypeError> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or(ParseRecordTypeError)
    }
}

/// A record: its answers by field name. A field's identity is (record type, name): forms of one record type that share
/// a name share the answer.
///
/// A record may hold answers to fields that no definition has any more; they are kept and shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// What kind of record.
    pub record_type: RecordType,
    /// The version of each form it was last filled with, by form id.
    #[serde(default)]
    pub form_versions: BTreeMap<String, u64>,
    /// Answers by field name.
    #[serde(default)]
    pub fields: BTreeMap<String, Value>,
}

impl Record {
    /// Makes a record without answers.
    pub const fn new(record_type: RecordType) -> Self {
        Self { record_type, form_versions: BTreeMap::new(), fields: BTreeMap::new() }
    }

    /// Returns the answer to a field; a deleted answer is none.
    pub fn answer(&self, field: &str) -> Option<&Value> {
        self.fields.get(field).filter(|value| !matches!(value, Value::Deleted))
    }

    /// Returns the entries of a subform field, in order; none where the answer is missing or of another kind.
    pub fn entries(&self, field: &str) -> &[Entry] {
        match self.fields.get(field) {
            Some(Value::Subform(entries)) => entries,
            _ => &[],
        }
    }

    /// Returns one entry of a subform field.
    pub fn entry(&self, field: &str, id: EntryId) -> Option<&Entry> {
        self.entries(field).iter().find(|entry| entry.id == id)
    }

    /// Returns the answer at a path; a deleted answer is none. A path to an entry alone has no answer.
    pub fn at(&self, path: &FieldPath) -> Option<&Value> {
        match (path.entry, &path.subfield) {
            (None, None) => self.answer(&path.field),
            (Some(entry), Some(subfield)) => {
                self.entry(&path.field, entry)?.fields.get(subfield).filter(|value| !matches!(value, Value::Deleted))
            }
            _ => None,
        }
    }

    /// Sets an answer, for building records in one expression.
    #[must_use]
    pub fn with(mut self, field: impl Into<String>, value: Value) -> Self {
        self.fields.insert(field.into(), value);
        self
    }
}
