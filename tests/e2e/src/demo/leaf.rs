//! The smallest parts of a record that merge by themselves, named as conflicts and histories name them.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use vereda_records::{Configuration, FieldPath, Record, RecordType, Value, json::write_value};

/// The smallest part of a record that merges by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leaf {
    /// A value that is replaced as a whole, in plain form.
    Whole(Json),
    /// One code picked out of several.
    Picked,
    /// A text that merges character by character.
    Text(String),
}

impl Leaf {
    /// The value in plain form, as conflicts and histories show it.
    pub fn plain(&self) -> Json {
        match self {
            Self::Whole(json) => json.clone(),
            Self::Picked => Json::Bool(true),
            Self::Text(text) => Json::from(text.as_str()),
        }
    }
}

/// The leaves of a record by their places.
pub type Leaves = BTreeMap<String, Leaf>;

/// Takes a record apart.
pub fn leaves(configuration: &Configuration, record: &Record) -> Leaves {
    let mut leaves = Leaves::new();
    for (name, value) in &record.fields {
        match value {
            Value::Subform(entries) => {
                for entry in entries {
                    for (inner, value) in &entry.fields {
                        take(configuration, &mut leaves, &FieldPath::within(name, entry.id, inner), value);
                    }
                }
            }
            value => take(configuration, &mut leaves, &FieldPath::field(name), value),
        }
    }
    leaves
}

/// Lists what differs from one state to the next: the place with its new value; what is gone is `null`, a code no longer
/// picked `false`.
pub fn changes(before: &Leaves, after: &Leaves) -> Vec<(String, Json)> {
    let mut changes = Vec::new();
    for (place, leaf) in after {
        if before.get(place) != Some(leaf) {
            changes.push((place.clone(), leaf.plain()));
        }
    }
    for (place, leaf) in before.iter().filter(|(place, _)| !after.contains_key(*place)) {
        changes.push((place.clone(), if *leaf == Leaf::Picked { Json::Bool(false) } else { Json::Null }));
    }
    changes
}

/// The label of a place's field as the configuration has it, with the label of the subform before it.
pub fn label(configuration: &Configuration, place: &str) -> String {
    let languages = || configuration.languages.iter().map(String::as_str);
    let answer = match place.rsplit_once('/') {
        Some((answer, _)) if place.parse::<FieldPath>().is_err() => answer,
        _ => place,
    };
    let Ok(path) = answer.parse::<FieldPath>() else { return place.to_owned() };
    let of = |path: &FieldPath| {
        let field = configuration.field_at(RecordType::Case, path)?;
        Some(field.label.in_language(languages()).trim().to_owned()).filter(|label| !label.is_empty())
    };
    let Some(subfield) = &path.subfield else { return of(&path).unwrap_or_else(|| path.field.clone()) };
    let subform = of(&FieldPath::field(&path.field)).unwrap_or_else(|| path.field.clone());
    format!("{subform}: {}", of(&path).unwrap_or_else(|| subfield.clone()))
}

fn take(configuration: &Configuration, leaves: &mut Leaves, path: &FieldPath, value: &Value) {
    match value {
        Value::Choices(codes) => {
            leaves.extend(codes.iter().map(|code| (format!("{path}/{code}"), Leaf::Picked)));
        }
        Value::Tally(groups) => {
            leaves.extend(
                groups.iter().map(|(group, number)| (format!("{path}/{group}"), Leaf::Whole(Json::from(*number)))),
            );
        }
        Value::LongText(text) => {
            leaves.insert(path.to_string(), Leaf::Text(text.clone()));
        }
        Value::Deleted => {}
        value => {
            let field = configuration.field_at(RecordType::Case, path);
            leaves.insert(path.to_string(), Leaf::Whole(write_value(field, value)));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use vereda_records::{edit, sample::Generator, starter::child_protection};

    use super::*;

    #[test]
    fn what_an_edit_changes_is_told_by_place() {
        let configuration = child_protection();
        let mut generator = Generator::new(4);
        let mut record = generator.case(configuration);
        record.fields.insert("needs".into(), Value::Choices(["food".into(), "school".into()].into()));
        let before = leaves(configuration, &record);
        let path = FieldPath::field("needs");
        let value = Value::Choices(["food".into(), "shelter".into()].into());
        edit::apply(&mut record, &vereda_records::Edit::Set { path, value }).unwrap();
        let mut changed = changes(&before, &leaves(configuration, &record));
        changed.sort_by(|a, b| a.0.cmp(&b.0));
        assert_eq!(changed, [("needs/school".into(), json!(false)), ("needs/shelter".into(), json!(true))]);
    }

    #[test]
    fn a_place_is_named_by_the_labels_of_the_configuration() {
        let configuration = child_protection();
        let entry = vereda_records::EntryId([1; 16]);
        assert_eq!(label(configuration, "no_such_field/code"), "no_such_field");
        let label = label(configuration, &FieldPath::within("family_members", entry, "member_age").to_string());
        assert!(label.contains(": ") && !label.contains('_'), "{label}");
    }
}
