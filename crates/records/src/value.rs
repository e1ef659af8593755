//! Typed answers.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use vereda_base::Timestamp;

use crate::{
    attachment::Attachment,
    decimal::Decimal,
    entry::{Entry, EntryId},
};

/// An answer to a field. How each kind merges is written beside it; `document` carries it out.
///
/// Its serde form names its kind, `{"type":"integer","value":4}`, and so reads back without a definition;
/// `json.rs` holds the plain form for people and scripts, which reads back with one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "value", rename_all = "snake_case")]
pub enum Value {
    /// One line of text. A register.
    Text(String),
    /// Text of several lines. Merges character by character.
    LongText(String),
    /// A whole number. A register.
    Integer(i64),
    /// A number with a fraction. A register.
    Decimal(Decimal),
    /// Yes or no. A register.
    Boolean(bool),
    /// A calendar day. A register.
    Date(Date),
    /// A moment. A register.
    DateTime(Timestamp),
    /// From one day to another. A register.
    DateRange(DateRange),
    /// One code out of a list of options. A register.
    Choice(String),
    /// Several codes out of a list of options. Merges choice by choice.
    Choices(BTreeSet<String>),
    /// A number per group. Merges group by group.
    Tally(BTreeMap<String, i64>),
    /// The code of a location. A register.
    Location(String),
    /// Entries of a subform, ascending by (order, id). Merges entry by entry, and field by field within one.
    Subform(Vec<Entry>),
    /// Photos, recordings, documents, signatures. Merges attachment by attachment.
    Attachments(BTreeMap<EntryId, Attachment>),
    /// The answer was taken away: an explicit value, since a put silently beats a concurrent delete.
    Deleted,
}

/// From one day to another, both included; either may be open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DateRange {
    /// First day, when known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Date>,
    /// Last day, when known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Date>,
}

/// The kind of a value, without the value: may be logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ValueKind {
    /// See [`Value::Text`].
    Text,
    /// See [`Value::LongText`].
    LongText,
    /// See [`Value::Integer`].
    Integer,
    /// See [`Value::Decimal`].
    Decimal,
    /// See [`Value::Boolean`].
    Boolean,
    /// See [`Value::Date`].
    Date,
    /// See [`Value::DateTime`].
    DateTime,
    /// See [`Value::DateRange`].
    DateRange,
    /// See [`Value::Choice`].
    Choice,
    /// See [`Value::Choices`].
    Choices,
    /// See [`Value::Tally`].
    Tally,
    /// See [`Value::Location`].
    Location,
    /// See [`Value::Subform`].
    Subform,
    /// See [`Value::Attachments`].
    Attachments,
    /// See [`Value::Deleted`].
    Deleted,
}

impl vereda_base::LogSafe for ValueKind {}

impl ValueKind {
    /// Returns the kind in words, such as `a date range`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "a text",
            Self::LongText => "a long text",
            Self::Integer => "a number",
            Self::Decimal => "a number with a fraction",
            Self::Boolean => "a yes or no",
            Self::Date => "a date",
            Self::DateTime => "a date with time",
            Self::DateRange => "a date range",
            Self::Choice => "a choice",
            Self::Choices => "a list of choices",
            Self::Tally => "a tally",
            Self::Location => "a location",
            Self::Subform => "a list of entries",
            Self::Attachments => "attachments",
            Self::Deleted => "nothing",
        }
    }
}

impl std::fmt::Display for ValueKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Value {
    /// Makes a one-line text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// Makes a choice.
    pub fn choice(code: impl Into<String>) -> Self {
        Self::Choice(code.into())
    }

    /// Returns the kind.
    pub const fn kind(&self) -> ValueKind {
        match self {
            Self::Text(_) => ValueKind::Text,
            Self::LongText(_) => ValueKind::LongText,
            Self::Integer(_) => ValueKind::Integer,
            Self::Decimal(_) => ValueKind::Decimal,
            Self::Boolean(_) => ValueKind::Boolean,
            Self::Date(_) => ValueKind::Date,
            Self::DateTime(_) => ValueKind::DateTime,
            Self::DateRange(_) => ValueKind::DateRange,
            Self::Choice(_) => ValueKind::Choice,
            Self::Choices(_) => ValueKind::Choices,
            Self::Tally(_) => ValueKind::Tally,
            Self::Location(_) => ValueKind::Location,
            Self::Subform(_) => ValueKind::Subform,
            Self::Attachments(_) => ValueKind::Attachments,
            Self::Deleted => ValueKind::Deleted,
        }
    }

    /// Tells whether nothing was answered: a deleted answer, an empty text, an empty list, an open range.
    pub fn is_blank(&self) -> bool {
        match self {
            Self::Text(text) | Self::LongText(text) | Self::Choice(text) | Self::Location(text) => {
                text.trim().is_empty()
            }
            Self::Choices(choices) => choices.is_empty(),
            Self::Tally(tally) => tally.is_empty(),
            Self::Subform(entries) => entries.is_empty(),
            Self::Attachments(attachments) => attachments.is_empty(),
            Self::DateRange(range) => range.from.is_none() && range.to.is_none(),
            Self::Deleted => true,
            Self::Integer(_) | Self::Decimal(_) | Self::Boolean(_) | Self::Date(_) | Self::DateTime(_) => false,
        }
    }

    /// Returns the number of a numeric answer.
    pub fn number(&self) -> Option<Decimal> {
        match self {
            Self::Integer(number) => Some(Decimal::from(*number)),
            Self::Decimal(number) => Some(number.clone()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_value_reads_back_from_its_tagged_form() {
        let day: Date = "2020-02-29".parse().unwrap();
        let entry = Entry::new(EntryId([1; 16]), "1").with("age", Value::Integer(4));
        let values = [
            Value::text("Amina أمينة"),
            Value::LongText("a\nb".into()),
            Value::Integer(i64::MIN),
            Value::Decimal("-0.5".parse().unwrap()),
            Value::Boolean(false),
            Value::Date(day),
            Value::DateTime(Timestamp(-1)),
            Value::DateRange(DateRange { from: Some(day), to: None }),
            Value::choice("female"),
            Value::Choices(["a".to_owned(), "b".to_owned()].into()),
            Value::Tally([("boys".to_owned(), 2)].into()),
            Value::Location("IQG01".into()),
            Value::Subform(vec![entry]),
            Value::Attachments(BTreeMap::new()),
            Value::Deleted,
        ];
        for value in values {
            let json = serde_json::to_string(&value).unwrap();
            assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), value, "{json}");
        }
    }
}
