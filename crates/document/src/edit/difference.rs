//! What a person changed between two states of a record, as edits.

use std::collections::BTreeMap;

use vereda_records::{Entry, FieldPath, Record, Value};

use super::{Edit, changed};

/// Lists the edits that lead from one state of a record to another. Parts that did not change are not named, so that
/// what others changed there stays.
pub fn difference(before: &Record, after: &Record) -> Vec<Edit> {
    let mut edits = Vec::new();
    for (form, version) in &after.form_versions {
        if before.form_versions.get(form) != Some(version) {
            edits.push(Edit::FormVersion { form: form.clone(), version: *version });
        }
    }
    fields(&mut edits, &before.fields, &after.fields, &|field| FieldPath::field(field));
    edits
}

fn fields(
    edits: &mut Vec<Edit>,
    before: &BTreeMap<String, Value>,
    after: &BTreeMap<String, Value>,
    path: &dyn Fn(&str) -> FieldPath,
) {
    for (field, value) in before {
        if !after.contains_key(field) && *value != Value::Deleted {
            edits.push(Edit::Set { path: path(field), value: Value::Deleted });
        }
    }
    for (field, value) in after {
        match before.get(field) {
            Some(old) if old == value => {}
            Some(old) => answer(edits, old, value, path(field)),
            None => edits.push(Edit::Set { path: path(field), value: value.clone() }),
        }
    }
}

fn answer(edits: &mut Vec<Edit>, before: &Value, after: &Value, path: FieldPath) {
    match (before, after) {
        (Value::LongText(before), Value::LongText(after)) => {
            edits.push(Edit::Rewrite { path, before: before.clone(), after: after.clone() });
        }
        (Value::Choices(before), Value::Choices(after)) => {
            for choice in before.symmetric_difference(after) {
                let picked = after.contains(choice);
                edits.push(Edit::Pick { path: path.clone(), choice: choice.clone(), picked });
            }
        }
        (Value::Tally(before), Value::Tally(after)) => {
            for (group, count) in changed(before, after) {
                edits.push(Edit::Count { path: path.clone(), group: group.clone(), count: count.copied() });
            }
        }
        (Value::Attachments(before), Value::Attachments(after)) => {
            for (id, attachment) in changed(before, after) {
                edits.push(Edit::Attach { path: path.clone(), id: *id, attachment: attachment.cloned() });
            }
        }
        (Value::Subform(before), Value::Subform(after)) if path.entry.is_none() => {
            entries(edits, before, after, &path.field);
        }
        _ => edits.push(Edit::Set { path, value: after.clone() }),
    }
}

/// Lists the edits between two states of a subform.
pub(super) fn entries(edits: &mut Vec<Edit>, before: &[Entry], after: &[Entry], field: &str) {
    let known: BTreeMap<_, _> = before.iter().map(|entry| (entry.id, entry)).collect();
    for entry in before {
        if !after.iter().any(|other| other.id == entry.id) {
            edits.push(Edit::RemoveEntry { field: field.to_owned(), entry: entry.id });
        }
    }
    let none = BTreeMap::new();
    for entry in after {
        let old = known.get(&entry.id);
        if old.is_none_or(|old| old.order != entry.order) {
            edits.push(Edit::PutEntry { field: field.to_owned(), entry: entry.id, order: entry.order.clone() });
        }
        let old = old.map_or(&none, |old| &old.fields);
        fields(edits, old, &entry.fields, &|name| FieldPath::within(field, entry.id, name));
    }
}
