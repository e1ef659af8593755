//! Edits as people and scripts write them: plain values at paths, read with the configuration's definitions.

use std::collections::BTreeMap;

use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use vereda_records::{
    Configuration, Edit, Entry, EntryId, Field, FieldPath, Record, Value, ValueKind,
    json::{ReadError, read_answer, read_value},
    order,
};

/// What shall be changed in a record, in plain JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PlainEdit {
    /// New answers by path: `field`, or `field[entry]/subfield`, where `entry` is any beginning of an entry's id that
    /// fits one entry only. `null` takes an answer away.
    pub set: BTreeMap<String, Json>,
    /// Text to add at the end of long texts, by path.
    pub append: BTreeMap<String, String>,
    /// Paths of answers to take away.
    pub clear: Vec<String>,
    /// Entries to add, by subform field: an object of answers by field name, or a list of such.
    pub add: BTreeMap<String, Json>,
    /// Entries to take out: `field[entry]`.
    pub remove: Vec<String>,
    /// Edits in their typed form, after the others.
    pub edits: Vec<Edit>,
}

/// Why a plain edit cannot be read. Names paths, never values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadEditError {
    /// Not a path.
    #[error("not a path to an answer: a path is field, field[entry] or field[entry]/subfield")]
    Path,
    /// No entry begins so.
    #[error("{field}: no entry begins with this id")]
    NoEntry {
        /// The subform field.
        field: String,
    },
    /// Several entries begin so.
    #[error("{field}: {found} entries begin with this id: write more of it")]
    SeveralEntries {
        /// The subform field.
        field: String,
        /// How many fit.
        found: usize,
    },
    /// Entries are added as an object of answers, or a list of such.
    #[error("{field}: an entry is added as an object of answers")]
    NotAnEntry {
        /// The subform field.
        field: String,
    },
    /// The field is no subform.
    #[error("{field}: no subform of this name")]
    NotASubform {
        /// The field.
        field: String,
    },
    /// The value does not read as the field's kind.
    #[error(transparent)]
    Value(#[from] ReadError),
}

impl PlainEdit {
    /// Tells whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Reads the edits against a record and the configuration. New entries get ids drawn from `rng` and stand at the end.
    ///
    /// # Errors
    /// [`ReadEditError`] by cause.
    pub fn read(
        &self,
        configuration: &Configuration,
        record: &Record,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Vec<Edit>, ReadEditError> {
        let mut edits = Vec::new();
        for (path, json) in &self.set {
            let path = read_path(record, path)?;
            if path.entry.is_none() && is_list_of_new_entries(json) {
                edits.extend(read_additions(configuration, record, &path.field, json, rng)?);
            } else {
                let value = read_at(configuration, record, &path, json)?;
                edits.push(Edit::Set { path, value });
            }
        }
        for (path, text) in &self.append {
            let path = read_path(record, path)?;
            // Only where a long text belongs: the text reads as one, or the reading says what is wrong.
            read_at(configuration, record, &path, &Json::from(text.as_str()))?;
            edits.push(Edit::Append { path, text: text.clone() });
        }
        for path in &self.clear {
            edits.push(Edit::Set { path: read_path(record, path)?, value: Value::Deleted });
        }
        for (field, json) in &self.add {
            edits.extend(read_additions(configuration, record, field, json, rng)?);
        }
        for path in &self.remove {
            match read_path(record, path)? {
                FieldPath { field, entry: Some(entry), subfield: None } => {
                    edits.push(Edit::RemoveEntry { field, entry });
                }
                _ => return Err(ReadEditError::Path),
            }
        }
        edits.extend(self.edits.iter().cloned());
        Ok(edits)
    }
}

/// Reads an answer at a path from plain JSON.
///
/// # Errors
/// As [`PlainEdit::read`].
pub fn read_at(
    configuration: &Configuration,
    record: &Record,
    path: &FieldPath,
    json: &Json,
) -> Result<Value, ReadEditError> {
    let Some(subfield) = &path.subfield else {
        return match path.entry {
            None => Ok(read_answer(configuration, record.record_type, &path.field, json)?),
            Some(_) => Err(ReadEditError::Path),
        };
    };
    let subform = configuration.subform_of(record.record_type, &path.field);
    let field = subform.and_then(|subform| subform.field(subfield));
    Ok(read_value(field, path.clone(), json)?)
}

/// Turns a text typed by a person into plain JSON, as the field's kind asks: `yes` and `no`, codes separated by commas.
pub fn from_text(configuration: &Configuration, record: &Record, path: &FieldPath, text: &str) -> Json {
    let kind = definition(configuration, record, path).and_then(Field::value_kind);
    match kind {
        Some(ValueKind::Boolean) => match text.trim().to_lowercase().as_str() {
            "yes" | "true" | "1" => Json::Bool(true),
            "no" | "false" | "0" => Json::Bool(false),
            _ => Json::from(text),
        },
        Some(ValueKind::Choices) => {
            text.split(',').map(str::trim).filter(|code| !code.is_empty()).map(Json::from).collect()
        }
        Some(ValueKind::DateRange | ValueKind::Tally | ValueKind::Subform) => {
            serde_json::from_str(text).unwrap_or_else(|_| Json::from(text))
        }
        _ => Json::from(text),
    }
}

/// Reads a path whose entry may be shortened.
///
/// # Errors
/// [`ReadEditError::Path`], [`ReadEditError::NoEntry`] or [`ReadEditError::SeveralEntries`].
pub fn read_path(record: &Record, text: &str) -> Result<FieldPath, ReadEditError> {
    if let Ok(path) = text.parse() {
        return Ok(path);
    }
    let (field, rest) = text.split_once('[').ok_or(ReadEditError::Path)?;
    let (beginning, rest) = rest.split_once(']').ok_or(ReadEditError::Path)?;
    if beginning.is_empty() {
        return Err(ReadEditError::Path);
    }
    let fits = |entry: &&Entry| entry.id.to_string().starts_with(&beginning.to_lowercase());
    let fitting: Vec<&Entry> = record.entries(field).iter().filter(fits).collect();
    match fitting.as_slice() {
        [one] => format!("{field}[{}]{rest}", one.id).parse().map_err(|_| ReadEditError::Path),
        [] => Err(ReadEditError::NoEntry { field: field.to_owned() }),
        several => Err(ReadEditError::SeveralEntries { field: field.to_owned(), found: several.len() }),
    }
}

fn definition<'a>(configuration: &'a Configuration, record: &Record, path: &FieldPath) -> Option<&'a Field> {
    match &path.subfield {
        Some(subfield) => configuration.subform_of(record.record_type, &path.field)?.field(subfield),
        None => configuration.field(record.record_type, &path.field).map(|(_, field)| field),
    }
}

/// Entries that have no id yet: objects of answers, as opposed to `{id, order, fields}`.
fn is_list_of_new_entries(json: &Json) -> bool {
    let is_new = |json: &Json| json.as_object().is_some_and(|object| !object.contains_key("id"));
    json.as_array().is_some_and(|list| !list.is_empty() && list.iter().all(is_new))
}

fn read_additions(
    configuration: &Configuration,
    record: &Record,
    field: &str,
    json: &Json,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<Vec<Edit>, ReadEditError> {
    let not_an_entry = || ReadEditError::NotAnEntry { field: field.to_owned() };
    let subform = configuration
        .subform_of(record.record_type, field)
        .ok_or_else(|| ReadEditError::NotASubform { field: field.to_owned() })?;
    let objects: Vec<&Map<String, Json>> = match json {
        Json::Object(object) => vec![object],
        Json::Array(list) => list.iter().map(Json::as_object).collect::<Option<_>>().ok_or_else(not_an_entry)?,
        _ => return Err(not_an_entry()),
    };
    let mut last = record.entries(field).last().map(|entry| entry.order.clone());
    let mut edits = Vec::new();
    for object in objects {
        let order = order::after(last.as_deref());
        let mut entry = Entry::new(draw_entry_id(rng), order.clone());
        for (name, json) in object {
            let path = FieldPath::within(field, entry.id, name);
            entry.fields.insert(name.clone(), read_value(subform.field(name), path, json)?);
        }
        last = Some(order);
        edits.push(Edit::AddEntry { field: field.to_owned(), entry });
    }
    Ok(edits)
}

fn draw_entry_id(rng: &mut (impl CryptoRng + ?Sized)) -> EntryId {
    let mut bytes = [0; 16];
    rng.fill_bytes(&mut bytes);
    EntryId(bytes)
}

#[cfg(test)]
mod tests {
    use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
    use serde_json::json;
    use vereda_records::{
        FieldType, Form, RecordType, Translated,
        edit::apply,
        field::{Field, SubformUse},
    };

    use super::*;

    fn configuration() -> Configuration {
        let en = |text: &str| Translated::new("en", text);
        let mut configuration = Configuration::new(en("x"), vec!["en".into()]);
        let mut members = Field::new("members", FieldType::Subform, en("members"));
        members.subform =
            Some(SubformUse { id: "member".into(), sort_by: None, group_by: None, fields: vec![], entries_if: None });
        let mut form = Form::new("identity", RecordType::Case, en("identity"));
        form.fields = vec![
            Field::new("name", FieldType::Text, en("name")),
            Field::new("age", FieldType::Number, en("age")),
            Field::new("needs", FieldType::SelectMany, en("needs")),
            Field::new("alone", FieldType::TickBox, en("alone")),
            Field::new("story", FieldType::LongText, en("story")),
            members,
        ];
        let mut subform = Form::new("member", RecordType::Case, en("member"));
        subform.fields = vec![Field::new("age", FieldType::Number, en("age"))];
        configuration.forms = vec![form];
        configuration.subforms = vec![subform];
        configuration
    }

    fn applied(record: &mut Record, edit: Json) {
        let edit: PlainEdit = serde_json::from_value(edit).unwrap();
        let mut rng = ChaCha20Rng::seed_from_u64(record.fields.len() as u64);
        for edit in edit.read(&configuration(), record, &mut rng).unwrap() {
            apply(record, &edit).unwrap();
        }
    }

    #[test]
    fn plain_edits_read_as_typed_ones() {
        let mut record = Record::new(RecordType::Case);
        applied(&mut record, json!({"set": {"name": "Amina", "age": 9, "members": [{"age": 3}, {"age": 5}]}}));
        applied(&mut record, json!({"append": {"story": "one"}, "add": {"members": {"age": 7}}}));
        let ages: Vec<_> = record.entries("members").iter().map(|entry| entry.fields["age"].clone()).collect();
        assert_eq!(ages, [3, 5, 7].map(Value::Integer));
        let id = record.entries("members")[1].id.to_string();
        applied(&mut record, json!({"set": {(format!("members[{}]/age", &id[..6])): 6}, "clear": ["name"]}));
        assert_eq!(record.entries("members")[1].fields["age"], Value::Integer(6));
        assert_eq!(record.answer("name"), None);
        applied(&mut record, json!({"remove": [format!("members[{id}]")]}));
        assert_eq!(record.entries("members").len(), 2);
    }

    #[test]
    fn a_typed_text_becomes_what_the_field_asks_for() {
        let (configuration, record) = (configuration(), Record::new(RecordType::Case));
        let check = |field: &str, text: &str, expected: Json| {
            assert_eq!(from_text(&configuration, &record, &FieldPath::field(field), text), expected);
        };
        check("name", "12", json!("12"));
        check("needs", "food, shelter,", json!(["food", "shelter"]));
        check("alone", "Yes", json!(true));
        check("alone", "perhaps", json!("perhaps"));
    }

    #[test]
    fn what_cannot_be_read_names_the_path_and_never_the_value() {
        let check = |edit: Json, expected: &str| {
            let edit: PlainEdit = serde_json::from_value(edit).unwrap();
            let mut rng = ChaCha20Rng::seed_from_u64(1);
            let error = edit.read(&configuration(), &Record::new(RecordType::Case), &mut rng).unwrap_err().to_string();
            assert!(error.contains(expected) && !error.contains("Amina"), "{error}");
        };
        check(json!({"set": {"age": "Amina"}}), "age");
        check(json!({"set": {"unknown": "Amina"}}), "no such field");
        check(json!({"set": {"members[ab]/age": 1}}), "no entry");
        check(json!({"add": {"name": {"Amina": 1}}}), "no subform");
        check(json!({"add": {"members": "Amina"}}), "object of answers");
    }
}
