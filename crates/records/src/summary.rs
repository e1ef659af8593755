//! What a list shows of a record.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{configuration::Configuration, record::Record, record::RecordType, value::Value};

/// What a list shows of a record. Small, and rebuildable from the record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Summary {
    /// What kind of record.
    pub record_type: RecordType,
    /// Its name, as far as it is known; may be empty.
    pub title: String,
    /// Answers to the fields of the list, without blank ones and without long texts.
    pub fields: BTreeMap<String, Value>,
}

/// Fields that name a record, where the configuration does not say: the first of these groups with an answer.
const USUAL_TITLES: [&[&str]; 4] =
    [&["name"], &["name_first", "name_middle", "name_last"], &["family_name"], &["relation_name"]];

/// Fields beside the title, where the configuration does not say.
const USUAL_FIELDS: [&str; 12] = [
    "short_id",
    "age",
    "sex",
    "date_of_birth",
    "status",
    "workflow",
    "risk_level",
    "registration_date",
    "inquiry_date",
    "incident_date",
    "owned_by",
    "protection_concerns",
];

/// Projects a record to what lists show of it.
pub fn summarize(configuration: &Configuration, record: &Record) -> Summary {
    let list = configuration.lists.iter().find(|list| list.record_type == record.record_type);
    let title = match list {
        Some(list) => title(record, list.title.iter().map(String::as_str)),
        None => {
            let titles = USUAL_TITLES.iter().map(|names| title(record, names.iter().copied()));
            titles.into_iter().find(|title| !title.is_empty()).unwrap_or_default()
        }
    };
    let names: Vec<&str> = match list {
        Some(list) => list.fields.iter().map(String::as_str).collect(),
        None => USUAL_FIELDS.to_vec(),
    };
    let shown = |value: &&Value| {
        !value.is_blank() && !matches!(value, Value::LongText(_) | Value::Subform(_) | Value::Attachments(_))
    };
    let fields = names.into_iter().filter_map(|name| {
        let value = record.answer(name).filter(shown)?;
        Some((name.to_owned(), value.clone()))
    });
    Summary { record_type: record.record_type, title, fields: fields.collect() }
}

fn title<'a>(record: &Record, names: impl Iterator<Item = &'a str>) -> String {
    let texts = names.filter_map(|name| match record.answer(name) {
        Some(Value::Text(text)) if !text.trim().is_empty() => Some(text.trim()),
        _ => None,
    });
    texts.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Translated;

    #[test]
    fn without_columns_the_usual_fields_are_shown() {
        let configuration = Configuration::new(Translated::new("en", "x"), vec!["en".into()]);
        let record = Record::new(RecordType::Case)
            .with("name_first", Value::text(" Amina "))
            .with("name_last", Value::text("Saleh"))
            .with("age", Value::Integer(7))
            .with("status", Value::Deleted)
            .with("story", Value::LongText("long".into()));
        let summary = summarize(&configuration, &record);
        assert_eq!(summary.title, "Amina Saleh");
        assert_eq!(summary.fields, BTreeMap::from([("age".into(), Value::Integer(7))]));
    }
}
