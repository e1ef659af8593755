//! Edits: the smallest steps from one state of a record to another.

use serde::{Deserialize, Serialize};

use crate::{
    entry::{Entry, EntryId},
    path::FieldPath,
    record::Record,
    value::Value,
};

/// One step. [`Value::Deleted`] takes an answer away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "edit", rename_all = "snake_case")]
pub enum Edit {
    /// Sets the answer of a field, in the record or in an entry.
    Set {
        /// Where.
        path: FieldPath,
        /// The new answer.
        value: Value,
    },
    /// Adds text at the end of a long text.
    Append {
        /// Where.
        path: FieldPath,
        /// What is added.
        text: String,
    },
    /// Adds an entry to a subform.
    AddEntry {
        /// The subform field.
        field: String,
        /// The entry.
        entry: Entry,
    },
    /// Moves an entry of a subform.
    MoveEntry {
        /// The subform field.
        field: String,
        /// The entry.
        entry: EntryId,
        /// Its new order key.
        order: String,
    },
    /// Takes an entry out of a subform.
    RemoveEntry {
        /// The subform field.
        field: String,
        /// The entry.
        entry: EntryId,
    },
}

/// Why an edit does not apply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// The path leads to no entry of the record.
    #[error("no entry {entry}")]
    NoEntry {
        /// The entry looked for.
        entry: EntryId,
    },
    /// An entry of this id is there already.
    #[error("entry {entry} is there already")]
    EntryTwice {
        /// The entry added.
        entry: EntryId,
    },
    /// The path names an entry without a field in it.
    #[error("a path to an entry is no path to an answer")]
    NoField,
    /// The answer there is of another kind than the edit works on.
    #[error("the answer is of another kind")]
    OtherKind,
}

/// Applies an edit.
///
/// # Errors
/// See [`ApplyError`]; the record is unchanged then.
pub fn apply(record: &mut Record, edit: &Edit) -> Result<(), ApplyError> {
    match edit {
        Edit::Set { path, value } => {
            slot(record, path)?.insert(answer_name(path)?, value.clone());
        }
        Edit::Append { path, text } => {
            let name = answer_name(path)?;
            let answers = slot(record, path)?;
            let joined = match answers.get(&name) {
                Some(Value::LongText(before)) => format!("{before}{text}"),
                Some(Value::Deleted) | None => text.clone(),
                Some(_) => return Err(ApplyError::OtherKind),
            };
            answers.insert(name, Value::LongText(joined));
        }
        Edit::AddEntry { field, entry } => {
            if record.entry(field, entry.id).is_some() {
                return Err(ApplyError::EntryTwice { entry: entry.id });
            }
            match record.fields.get_mut(field) {
                Some(Value::Subform(entries)) => {
                    entries.push(entry.clone());
                    sort(entries);
                }
                Some(Value::Deleted) | None => {
                    record.fields.insert(field.clone(), Value::Subform(vec![entry.clone()]));
                }
                Some(_) => return Err(ApplyError::OtherKind),
            }
        }
        Edit::MoveEntry { field, entry, order } => {
            let missing = ApplyError::NoEntry { entry: *entry };
            let Some(Value::Subform(entries)) = record.fields.get_mut(field) else { return Err(missing) };
            entries.iter_mut().find(|one| one.id == *entry).ok_or(missing)?.order.clone_from(order);
            sort(entries);
        }
        Edit::RemoveEntry { field, entry } => {
            let missing = ApplyError::NoEntry { entry: *entry };
            let Some(Value::Subform(entries)) = record.fields.get_mut(field) else { return Err(missing) };
            let at = entries.iter().position(|one| one.id == *entry).ok_or(missing)?;
            entries.remove(at);
        }
    }
    Ok(())
}

/// Returns edits that lead from one state to another: entry by entry, field by field; a long text that only grew at its
/// end is an [`Edit::Append`]. The record type is not an answer and not compared.
pub fn changes(before: &Record, after: &Record) -> Vec<Edit> {
    let mut edits = Vec::new();
    for (name, value) in &after.fields {
        match (before.fields.get(name), value) {
            (Some(old), new) if old == new => {}
            (Some(Value::Subform(old)), Value::Subform(new)) => entry_changes(name, old, new, &mut edits),
            (None | Some(Value::Deleted), Value::Subform(new)) if !new.is_empty() => {
                entry_changes(name, &[], new, &mut edits);
            }
            (old, new) => edits.push(change(FieldPath::field(name), old, new)),
        }
    }
    for name in before.fields.keys().filter(|name| !after.fields.contains_key(*name)) {
        if before.answer(name).is_some() {
            edits.push(Edit::Set { path: FieldPath::field(name), value: Value::Deleted });
        }
    }
    edits
}

fn entry_changes(field: &str, old: &[Entry], new: &[Entry], edits: &mut Vec<Edit>) {
    for entry in old.iter().filter(|entry| new.iter().all(|other| other.id != entry.id)) {
        edits.push(Edit::RemoveEntry { field: field.into(), entry: entry.id });
    }
    for entry in new {
        let Some(before) = old.iter().find(|other| other.id == entry.id) else {
            edits.push(Edit::AddEntry { field: field.into(), entry: entry.clone() });
            continue;
        };
        if before.order != entry.order {
            edits.push(Edit::MoveEntry { field: field.into(), entry: entry.id, order: entry.order.clone() });
        }
        for (name, value) in entry.fields.iter().filter(|(name, value)| before.fields.get(*name) != Some(value)) {
            edits.push(change(FieldPath::within(field, entry.id, name), before.fields.get(name), value));
        }
        let gone = before.fields.iter().filter(|(name, _)| !entry.fields.contains_key(*name));
        for (name, _) in gone.filter(|(_, value)| **value != Value::Deleted) {
            edits.push(Edit::Set { path: FieldPath::within(field, entry.id, name), value: Value::Deleted });
        }
    }
}

fn change(path: FieldPath, old: Option<&Value>, new: &Value) -> Edit {
    if let (Some(Value::LongText(old)), Value::LongText(new)) = (old, new)
        && let Some(added) = new.strip_prefix(old.as_str())
    {
        return Edit::Append { path, text: added.into() };
    }
    Edit::Set { path, value: new.clone() }
}

fn answer_name(path: &FieldPath) -> Result<String, ApplyError> {
    match (path.entry, &path.subfield) {
        (None, _) => Ok(path.field.clone()),
        (Some(_), Some(subfield)) => Ok(subfield.clone()),
        (Some(_), None) => Err(ApplyError::NoField),
    }
}

fn slot<'a>(record: &'a mut Record, path: &FieldPath) -> Result<&'a mut crate::condition::Answers, ApplyError> {
    let Some(id) = path.entry else { return Ok(&mut record.fields) };
    match record.fields.get_mut(&path.field) {
        Some(Value::Subform(entries)) => {
            let entry = entries.iter_mut().find(|entry| entry.id == id);
            entry.map(|entry| &mut entry.fields).ok_or(ApplyError::NoEntry { entry: id })
        }
        _ => Err(ApplyError::NoEntry { entry: id }),
    }
}

fn sort(entries: &mut [Entry]) {
    entries.sort_by(|a, b| (&a.order, a.id).cmp(&(&b.order, b.id)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::RecordType;

    fn record() -> Record {
        let member =
            |id: u8, order: &str, age: i64| Entry::new(EntryId([id; 16]), order).with("age", Value::Integer(age));
        Record::new(RecordType::Case)
            .with("name", Value::text("Amina"))
            .with("story", Value::LongText("one".into()))
            .with("members", Value::Subform(vec![member(1, "1", 4), member(2, "2", 9)]))
    }

    #[test]
    fn changes_lead_from_one_state_to_the_other() {
        let before = record();
        let mut after = record()
            .with("name", Value::text("Amena"))
            .with("story", Value::LongText("one two".into()))
            .with("sex", Value::choice("female"));
        apply(&mut after, &Edit::RemoveEntry { field: "members".into(), entry: EntryId([1; 16]) }).unwrap();
        let entry = Entry::new(EntryId([3; 16]), "3");
        apply(&mut after, &Edit::AddEntry { field: "members".into(), entry }).unwrap();
        let path = FieldPath::within("members", EntryId([2; 16]), "age");
        apply(&mut after, &Edit::Set { path, value: Value::Integer(10) }).unwrap();
        let order = "4".to_owned();
        apply(&mut after, &Edit::MoveEntry { field: "members".into(), entry: EntryId([2; 16]), order }).unwrap();

        let edits = changes(&before, &after);
        assert_eq!(edits.len(), 7);
        assert!(edits.contains(&Edit::Append { path: FieldPath::field("story"), text: " two".into() }));
        let mut again = before;
        edits.iter().for_each(|edit| apply(&mut again, edit).unwrap());
        assert_eq!(again, after);
        assert_eq!(changes(&again, &after), []);
    }

    #[test]
    fn a_missing_answer_becomes_an_explicit_deletion() {
        let edits = changes(&record(), &Record::new(RecordType::Case));
        assert!(edits.contains(&Edit::Set { path: FieldPath::field("name"), value: Value::Deleted }));
        assert_eq!(edits.len(), 3);
    }

    #[test]
    fn an_edit_that_does_not_apply_changes_nothing() {
        let unknown = EntryId([9; 16]);
        let check = |edit: Edit, expected: ApplyError| {
            let mut changed = record();
            assert_eq!(apply(&mut changed, &edit), Err(expected));
            assert_eq!(changed, record());
        };
        let entry = Entry::new(EntryId([1; 16]), "1");
        check(Edit::AddEntry { field: "members".into(), entry }, ApplyError::EntryTwice { entry: EntryId([1; 16]) });
        check(Edit::RemoveEntry { field: "members".into(), entry: unknown }, ApplyError::NoEntry { entry: unknown });
        check(Edit::Append { path: FieldPath::field("name"), text: "x".into() }, ApplyError::OtherKind);
        let path = FieldPath::entry("members", EntryId([1; 16]));
        check(Edit::Set { path, value: Value::Integer(1) }, ApplyError::NoField);
    }
}
