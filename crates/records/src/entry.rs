//! Entries of subforms, and their ids.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::value::Value;

/// A stable id of a subform entry or attachment: 16 bytes drawn at random, 32 hexadecimal digits as text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EntryId(pub [u8; 16]);

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EntryId({self})")
    }
}

impl vereda_base::LogSafe for EntryId {}

/// Why a text is not an entry id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an entry id is 32 lower-case hexadecimal digits, found {found} bytes")]
pub struct ParseEntryIdError {
    /// Length of the text found, in bytes.
    pub found: usize,
}

impl FromStr for EntryId {
    type Err = ParseEntryIdError;

    fn from_str(text: &str) -> Result<Self, ParseEntryIdError> {
        let digit = |b: u8| match b {
            b'0'..=b'9' => Some(b - b'0'),
            b'a'..=b'f' => Some(b - b'a' + 10),
            _ => None,
        };
        let bytes: Option<Vec<u8>> = text
            .as_bytes()
            .chunks(2)
            .map(|pair| match pair {
                [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
                _ => None,
            })
            .collect();
        let bytes = bytes.and_then(|bytes| <[u8; 16]>::try_from(bytes).ok());
        bytes.map(Self).ok_or(ParseEntryIdError { found: text.len() })
    }
}

impl TryFrom<String> for EntryId {
    type Error = ParseEntryIdError;

    fn try_from(text: String) -> Result<Self, ParseEntryIdError> {
        text.parse()
    }
}

impl From<EntryId> for String {
    fn from(id: EntryId) -> Self {
        id.to_string()
    }
}

/// One entry of a subform: a family member, a service, a note.
///
/// Entries of one answer stand in ascending (`order`, `id`); see [`crate::order`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Identity, for life.
    pub id: EntryId,
    /// Fractional order key.
    pub order: String,
    /// Answers by field name. Never a [`Value::Subform`]: subforms do not nest.
    #[serde(default)]
    pub fields: BTreeMap<String, Value>,
}

impl Entry {
    /// Makes an entry without answers.
    pub fn new(id: EntryId, order: impl Into<String>) -> Self {
        Self { id, order: order.into(), fields: BTreeMap::new() }
    }

    /// Sets an answer, for building entries in one expression.
    #[must_use]
    pub fn with(mut self, field: impl Into<String>, value: Value) -> Self {
        self.fields.insert(field.into(), value);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_id_reads_back_from_its_text_and_from_no_other() {
        let id = EntryId([0xa7; 16]);
        assert_eq!(id.to_string().parse(), Ok(id));
        for text in ["", "a7", &"A7".repeat(16), &"a7".repeat(17), &"g7".repeat(16), &"a7".repeat(16)[1..]] {
            assert!(text.parse::<EntryId>().is_err(), "{text}");
        }
    }
}
