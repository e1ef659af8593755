//! The plain JSON form of records, for people and scripts.
//!
//! Plain values stand as JSON has them: texts, codes, dates and decimals as texts, whole numbers as numbers, lists as
//! lists. What a definition would not read back as the same value (an answer to an unknown field, or of another kind)
//! stands in the tagged form of [`Value`], so that nothing is lost either way.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};
use vereda_base::Timestamp;

use crate::{
    calculation::number_value,
    configuration::Configuration,
    entry::Entry,
    field::Field,
    form::Form,
    path::FieldPath,
    record::{Record, RecordType},
    value::{Value, ValueKind},
};

/// Why JSON is not a record or an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Not an object with `record_type` and `fields`.
    #[error("not a record: an object with record_type and fields belongs here")]
    NotARecord,
    /// A key that records do not have.
    #[error("a record has record_type, form_versions and fields, and no other key")]
    UnknownKey,
    /// The JSON at a path is not of the field's kind.
    #[error("{path}: {expected} belongs here")]
    OtherKind {
        /// The answer.
        path: FieldPath,
        /// The field's kind.
        expected: ValueKind,
    },
    /// The configuration has no such field, and the JSON is not in the tagged form.
    #[error("{path}: no such field")]
    UnknownField {
        /// The answer.
        path: FieldPath,
    },
    /// An entry has no id, no order or no fields, or a key too many.
    #[error("{path}: an entry is an object with id, order and fields")]
    NotAnEntry {
        /// The subform field.
        path: FieldPath,
    },
}

/// Writes a record.
pub fn write(configuration: &Configuration, record: &Record) -> Json {
    let mut fields = Map::new();
    for (name, value) in &record.fields {
        let field = configuration.field(record.record_type, name).map(|(_, field)| field);
        let json = match value {
            Value::Subform(entries) if field.is_none_or(|field| field.subform.is_some()) => {
                let subform = configuration.subform_of(record.record_type, name);
                Json::Array(entries.iter().map(|entry| write_entry(subform, entry)).collect())
            }
            value => write_value(field, value),
        };
        fields.insert(name.clone(), json);
    }
    let mut object = Map::new();
    object.insert("record_type".into(), Json::from(record.record_type.as_str()));
    let versions = record.form_versions.iter().map(|(form, version)| (form.clone(), Json::from(*version)));
    object.insert("form_versions".into(), Json::Object(versions.collect()));
    object.insert("fields".into(), Json::Object(fields));
    Json::Object(object)
}

/// Reads a record.
///
/// # Errors
/// See [`ReadError`]; messages carry paths, never values.
pub fn read(configuration: &Configuration, json: &Json) -> Result<Record, ReadError> {
    let object = json.as_object().ok_or(ReadError::NotARecord)?;
    if object.keys().any(|key| !["record_type", "form_versions", "fields"].contains(&key.as_str())) {
        return Err(ReadError::UnknownKey);
    }
    let record_type = object.get("record_type").and_then(Json::as_str).ok_or(ReadError::NotARecord)?;
    let record_type: RecordType = record_type.parse().map_err(|_| ReadError::NotARecord)?;
    let mut record = Record::new(record_type);
    if let Some(versions) = object.get("form_versions") {
        let versions: BTreeMap<String, u64> =
            serde_json::from_value(versions.clone()).map_err(|_| ReadError::NotARecord)?;
        record.form_versions = versions;
    }
    let fields = object.get("fields").and_then(Json::as_object).ok_or(ReadError::NotARecord)?;
    for (name, json) in fields {
        record.fields.insert(name.clone(), read_answer(configuration, record_type, name, json)?);
    }
    Ok(record)
}

/// Reads the answer to a field of a record.
///
/// # Errors
/// See [`ReadError`].
pub fn read_answer(
    configuration: &Configuration,
    record_type: RecordType,
    name: &str,
    json: &Json,
) -> Result<Value, ReadError> {
    let path = FieldPath::field(name);
    let field = configuration.field(record_type, name).map(|(_, field)| field);
    match json {
        Json::Array(list) if list.iter().all(Json::is_object) && field.is_none_or(|field| field.subform.is_some()) => {
            let subform = configuration.subform_of(record_type, name);
            let entries: Result<Vec<Entry>, ReadError> =
                list.iter().map(|json| read_entry(subform, name, json)).collect();
            let mut entries = entries?;
            entries.sort_by(|a, b| (&a.order, a.id).cmp(&(&b.order, b.id)));
            Ok(Value::Subform(entries))
        }
        json => read_value(field, path, json),
    }
}

/// Reads the answer to a field whose definition is given; without one, only the tagged form is read.
///
/// # Errors
/// See [`ReadError`].
pub fn read_value(field: Option<&Field>, path: FieldPath, json: &Json) -> Result<Value, ReadError> {
    if json.is_null() {
        return Ok(Value::Deleted);
    }
    if let Json::Object(object) = json
        && object.contains_key("type")
        && let Ok(value) = serde_json::from_value::<Value>(json.clone())
    {
        return Ok(value);
    }
    let Some(expected) = field.and_then(Field::value_kind) else { return Err(ReadError::UnknownField { path }) };
    plain(expected, json).ok_or(ReadError::OtherKind { path, expected })
}

/// Reads the answer to a field from a text that a person typed: as it stands for texts, codes, dates and numbers, `true`
/// or `false`, codes with commas between; JSON for everything else. An empty text takes the answer away.
///
/// # Errors
/// See [`ReadError`].
pub fn read_text(field: Option<&Field>, path: FieldPath, text: &str) -> Result<Value, ReadError> {
    if text.is_empty() {
        return Ok(Value::Deleted);
    }
    let typed = match field.and_then(Field::value_kind) {
        Some(ValueKind::Boolean) => text.parse().ok().map(Json::Bool),
        Some(ValueKind::Choices) if !text.trim_start().starts_with(['[', '{']) => {
            Some(text.split(',').map(|code| Json::from(code.trim())).collect())
        }
        Some(
            ValueKind::Text
            | ValueKind::LongText
            | ValueKind::Choice
            | ValueKind::Location
            | ValueKind::Integer
            | ValueKind::Date
            | ValueKind::DateTime,
        ) => Some(Json::from(text)),
        _ => None,
    };
    let json = typed.or_else(|| serde_json::from_str(text).ok()).unwrap_or_else(|| Json::from(text));
    read_value(field, path, &json)
}

/// Writes the answer to a field; the plain form where it reads back as the same value, else the tagged form.
pub fn write_value(field: Option<&Field>, value: &Value) -> Json {
    if matches!(value, Value::Deleted) {
        return Json::Null;
    }
    let tagged = || serde_json::to_value(value).unwrap_or(Json::Null);
    let plain_form = match value {
        Value::Text(text) | Value::LongText(text) | Value::Choice(text) | Value::Location(text) => {
            Json::from(text.as_str())
        }
        Value::Integer(number) => Json::from(*number),
        Value::Decimal(number) => Json::from(number.as_str()),
        Value::Boolean(yes) => Json::from(*yes),
        Value::Date(date) => Json::from(date.to_string()),
        Value::DateTime(moment) => match jiff::Timestamp::from_millisecond(moment.0) {
            Ok(moment) => Json::from(moment.to_string()),
            Err(_) => tagged(),
        },
        Value::DateRange(range) => serde_json::to_value(range).unwrap_or(Json::Null),
        Value::Choices(codes) => Json::from(codes.iter().map(String::as_str).collect::<Vec<_>>()),
        Value::Tally(tally) => {
            Json::Object(tally.iter().map(|(group, count)| (group.clone(), Json::from(*count))).collect())
        }
        Value::Subform(_) | Value::Attachments(_) | Value::Deleted => tagged(),
    };
    match read_value(field, FieldPath::field(""), &plain_form) {
        Ok(again) if again == *value => plain_form,
        _ => tagged(),
    }
}

fn plain(expected: ValueKind, json: &Json) -> Option<Value> {
    let text = || json.as_str().map(str::to_owned);
    Some(match expected {
        ValueKind::Text => Value::Text(text()?),
        ValueKind::LongText => Value::LongText(text()?),
        ValueKind::Choice => Value::Choice(text()?),
        ValueKind::Location => Value::Location(text()?),
        ValueKind::Integer | ValueKind::Decimal => match json {
            Json::Number(number) => number_value(&number.to_string().parse().ok()?),
            json => number_value(&json.as_str()?.parse().ok()?),
        },
        ValueKind::Boolean => Value::Boolean(json.as_bool()?),
        ValueKind::Date => Value::Date(json.as_str()?.parse().ok()?),
        ValueKind::DateTime => match json {
            Json::Number(number) => Value::DateTime(Timestamp(number.as_i64()?)),
            json => Value::DateTime(Timestamp(json.as_str()?.parse::<jiff::Timestamp>().ok()?.as_millisecond())),
        },
        ValueKind::DateRange => Value::DateRange(serde_json::from_value(json.clone()).ok()?),
        ValueKind::Choices => Value::Choices(serde_json::from_value(json.clone()).ok()?),
        ValueKind::Tally => Value::Tally(serde_json::from_value(json.clone()).ok()?),
        ValueKind::Subform | ValueKind::Attachments | ValueKind::Deleted => return None,
    })
}

fn write_entry(subform: Option<&Form>, entry: &Entry) -> Json {
    let field = |name: &str| subform.and_then(|subform| subform.field(name));
    let fields = entry.fields.iter().map(|(name, value)| (name.clone(), write_value(field(name), value)));
    let mut object = Map::new();
    object.insert("id".into(), Json::from(entry.id.to_string()));
    object.insert("order".into(), Json::from(entry.order.as_str()));
    object.insert("fields".into(), Json::Object(fields.collect()));
    Json::Object(object)
}

fn read_entry(subform: Option<&Form>, name: &str, json: &Json) -> Result<Entry, ReadError> {
    let error = || ReadError::NotAnEntry { path: FieldPath::field(name) };
    let object = json.as_object().filter(|object| object.len() == 3).ok_or_else(error)?;
    let text = |key: &str| object.get(key).and_then(Json::as_str).ok_or_else(error);
    let mut entry = Entry::new(text("id")?.parse().map_err(|_| error())?, text("order")?);
    for (inner, json) in object.get("fields").and_then(Json::as_object).ok_or_else(error)? {
        let field = subform.and_then(|subform| subform.field(inner));
        let value = read_value(field, FieldPath::within(name, entry.id, inner), json)?;
        entry.fields.insert(inner.clone(), value);
    }
    Ok(entry)
}
