//! Paths to answers: `name`, or `members[<entry id>]/age`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{entry::EntryId, limits::is_name};

/// Where an answer stands in a record. Text form: `field`, `field[entry]` or `field[entry]/subfield`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FieldPath {
    /// Field of the record.
    pub field: String,
    /// Entry, when the field is a subform.
    pub entry: Option<EntryId>,
    /// Field in the entry. Never without `entry`.
    pub subfield: Option<String>,
}

impl FieldPath {
    /// Makes the path of a field of the record.
    pub fn field(field: impl Into<String>) -> Self {
        Self { field: field.into(), entry: None, subfield: None }
    }

    /// Makes the path of an entry of a subform.
    pub fn entry(field: impl Into<String>, entry: EntryId) -> Self {
        Self { field: field.into(), entry: Some(entry), subfield: None }
    }

    /// Makes the path of a field in an entry.
    pub fn within(field: impl Into<String>, entry: EntryId, subfield: impl Into<String>) -> Self {
        Self { field: field.into(), entry: Some(entry), subfield: Some(subfield.into()) }
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.field)?;
        if let Some(entry) = self.entry {
            write!(f, "[{entry}]")?;
        }
        if let Some(subfield) = &self.subfield {
            write!(f, "/{subfield}")?;
        }
        Ok(())
    }
}

/// Why a text is not a path to an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a path is field, field[entry] or field[entry]/subfield, found {found} bytes of something else")]
pub struct ParseFieldPathError {
    /// Length of the text found, in bytes.
    pub found: usize,
}

impl FromStr for FieldPath {
    type Err = ParseFieldPathError;

    fn from_str(text: &str) -> Result<Self, ParseFieldPathError> {
        let error = || ParseFieldPathError { found: text.len() };
        let name = |text: &str| if is_name(text) { Ok(text.to_owned()) } else { Err(error()) };
        let Some((field, rest)) = text.split_once('[') else {
            return Ok(Self::field(name(text)?));
        };
        let (entry, rest) = rest.split_once(']').ok_or_else(error)?;
        let entry = entry.parse().map_err(|_| error())?;
        let subfield = match rest {
            "" => None,
            rest => Some(name(rest.strip_prefix('/').ok_or_else(error)?)?),
        };
        Ok(Self { field: name(field)?, entry: Some(entry), subfield })
    }
}

impl TryFrom<String> for FieldPath {
    type Error = ParseFieldPathError;

    fn try_from(text: String) -> Result<Self, ParseFieldPathError> {
        text.parse()
    }
}

impl From<FieldPath> for String {
    fn from(path: FieldPath) -> Self {
        path.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reads_back_from_its_text() {
        let id = EntryId([3; 16]);
        let check = |path: FieldPath| assert_eq!(path.to_string().parse(), Ok(path));
        check(FieldPath::field("name"));
        check(FieldPath::entry("members", id));
        check(FieldPath::within("members", id, "age"));
    }

    #[test]
    fn what_is_no_path_is_refused() {
        let id = EntryId([3; 16]);
        for text in ["", "a b", "a[", "a[1]", "a/b", &format!("a[{id}]b"), &format!("a[{id}]/"), &format!("[{id}]")] {
            assert!(text.parse::<FieldPath>().is_err(), "{text}");
        }
    }
}
