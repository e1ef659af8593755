//! Carries out edits in one transaction.

use std::collections::{BTreeMap, BTreeSet};

use automerge::{
    ObjId, ObjType, ScalarValue,
    transaction::{Transactable, Transaction},
};
use vereda_records::{
    Attachment, EntryId, FieldPath, Value, ValueKind,
    limits::{is_code, is_name},
    order,
};

use super::{
    Edit, EditError,
    difference::entries,
    splice::{Splice, rebase, splice_between},
};
use crate::{
    anatomy::{MAX_KEY_BYTES, MAX_VALUE_BYTES},
    hydrate::{self, current_text},
    register::{self, Member, read_entry, read_member, write_entry, write_member},
    shape::{FORM_PREFIX, Root, Roots, member_key},
};

/// Why one edit cannot be carried out; [`EditError`] adds which.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fault {
    Place,
    NoEntry,
    BeyondText { length: usize },
    Value,
    Document,
}

impl Fault {
    pub(super) const fn at(self, index: usize) -> EditError {
        match self {
            Self::Place => EditError::Place { index },
            Self::NoEntry => EditError::NoEntry { index },
            Self::BeyondText { length } => EditError::BeyondText { index, length },
            Self::Value => EditError::Value { index },
            Self::Document => EditError::Document { index },
        }
    }
}

pub(super) struct Writer<'t, 'd> {
    transaction: &'t mut Transaction<'d>,
    roots: &'t Roots,
    /// Entries whose mark this change has turned.
    touched: BTreeSet<(String, EntryId)>,
}

impl<'t, 'd> Writer<'t, 'd> {
    pub(super) const fn new(transaction: &'t mut Transaction<'d>, roots: &'t Roots) -> Self {
        Self { transaction, roots, touched: BTreeSet::new() }
    }

    pub(super) fn write(&mut self, edit: &Edit) -> Result<(), Fault> {
        match edit {
            Edit::Set { path, value } => self.set(path, value),
            Edit::Settle { path, value } => self.settle(path, value),
            Edit::Splice { path, at, delete, insert } => {
                let splice = Splice { at: *at, delete: *delete, insert: insert.clone() };
                self.text(path, |_| vec![splice])
            }
            Edit::Append { path, text } => {
                self.text(path, |current| vec![Splice { at: current.chars().count(), delete: 0, insert: text.clone() }])
            }
            Edit::Rewrite { path, before, after } => {
                // Where no text was ever begun, there is none that the change could be carried over to: it is written whole.
                let is_begun = !hydrate::texts(self.transaction, self.roots, path).is_empty();
                let before = if is_begun { before } else { "" };
                self.text(path, |current| rebase(before, after, current))
            }
            Edit::Pick { path, choice, picked } => {
                if !is_code(choice) {
                    return Err(Fault::Place);
                }
                self.member(path, choice, &Member::Choice(*picked), ValueKind::Choices)
            }
            Edit::Count { path, group, count } => {
                if !is_code(group) {
                    return Err(Fault::Place);
                }
                self.member(path, group, &count.map_or(Member::Gone, Member::Count), ValueKind::Tally)
            }
            Edit::Attach { path, id, attachment } => self.attach(path, *id, attachment.as_ref()),
            Edit::PutEntry { field, entry, order } => self.put_entry(field, *entry, order),
            Edit::RemoveEntry { field, entry } => self.remove_entry(field, *entry),
            Edit::FormVersion { form, version } => {
                let version = i64::try_from(*version).map_err(|_| Fault::Value)?;
                if !is_name(form) {
                    return Err(Fault::Place);
                }
                self.put(Root::Meta, &format!("{FORM_PREFIX}{form}"), ScalarValue::Int(version))
            }
        }
    }

    /// Puts a register, unless exactly this stands there, undisputed.
    fn put(&mut self, root: Root, key: &str, value: ScalarValue) -> Result<(), Fault> {
        if key.len() > MAX_KEY_BYTES {
            return Err(Fault::Place);
        }
        if matches!(&value, ScalarValue::Str(text) if text.len() > MAX_VALUE_BYTES) {
            return Err(Fault::Value);
        }
        self.transaction.put(self.roots.id(root), key, value).map_err(|_| Fault::Document)
    }

    /// Checks that a path leads to an answer: of the record, or in an entry that is there. Returns the entry's key,
    /// order key and mark.
    fn place(&self, path: &FieldPath) -> Result<Option<(String, String, bool)>, Fault> {
        match (path.entry, &path.subfield) {
            (None, None) if is_name(&path.field) => Ok(None),
            (Some(entry), Some(subfield)) if is_name(&path.field) && is_name(subfield) => {
                let key = FieldPath::entry(&path.field, entry).to_string();
                let standing = hydrate::register(self.transaction, &self.roots.entries, &key);
                let live = standing.iter().rev().find_map(read_entry);
                let (order, mark) = live.ok_or(Fault::NoEntry)?;
                Ok(Some((key, order.to_owned(), mark)))
            }
            _ => Err(Fault::Place),
        }
    }

    /// Turns the mark of an answer's entry before the answer is written: a removal at the same time, which did not see
    /// this edit, then stands beside the turned mark instead of hiding the edit.
    fn enter(&mut self, path: &FieldPath) -> Result<(), Fault> {
        let Some((key, order, mark)) = self.place(path)? else { return Ok(()) };
        let first = path.entry.is_some_and(|entry| self.touched.insert((path.field.clone(), entry)));
        if first { self.put(Root::Entries, &key, write_entry(&order, !mark)) } else { Ok(()) }
    }

    /// Puts the register of an answer, unless exactly this stands there, undisputed.
    fn put_field(&mut self, path: &FieldPath, value: &Value) -> Result<(), Fault> {
        let (key, value) = (path.to_string(), register::write(value));
        if hydrate::register(self.transaction, &self.roots.fields, &key) == [value.clone()] {
            return Ok(());
        }
        self.enter(path)?;
        self.put(Root::Fields, &key, value)
    }

    fn set(&mut self, path: &FieldPath, value: &Value) -> Result<(), Fault> {
        self.place(path)?;
        if let Value::Subform(after) = value {
            if path.entry.is_some() {
                return Err(Fault::Value);
            }
            let standing = hydrate::entries(self.transaction, self.roots, &path.field);
            let mut edits = Vec::new();
            entries(&mut edits, &standing, after, &path.field);
            self.put_field(path, value)?;
            return edits.iter().try_for_each(|edit| self.write(edit));
        }
        self.clear_parts(path, value)?;
        // Taking away what was never answered writes nothing.
        let answered = !hydrate::register(self.transaction, &self.roots.fields, &path.to_string()).is_empty();
        if answered || *value != Value::Deleted {
            self.put_field(path, value)?;
        }
        match value {
            Value::LongText(text) => self.text(path, |current| splice_between(current, text).into_iter().collect()),
            Value::Choices(choices) => choices.iter().try_for_each(|choice| {
                self.write(&Edit::Pick { path: path.clone(), choice: choice.clone(), picked: true })
            }),
            Value::Tally(tally) => tally.iter().try_for_each(|(group, count)| {
                self.write(&Edit::Count { path: path.clone(), group: group.clone(), count: Some(*count) })
            }),
            Value::Attachments(attachments) => {
                attachments.iter().try_for_each(|(id, attachment)| self.attach(path, *id, Some(attachment)))
            }
            _ => Ok(()),
        }
    }

    /// Sets an answer and leaves no other value standing beside it.
    fn settle(&mut self, path: &FieldPath, value: &Value) -> Result<(), Fault> {
        self.set(path, value)?;
        let texts = hydrate::texts(self.transaction, self.roots, path);
        let shown = current_text(&texts).map(|(id, _)| id.clone());
        for (id, text) in texts.iter().filter(|(id, _)| Some(id) != shown.as_ref()) {
            self.empty(id, text)?;
        }
        Ok(())
    }

    /// Takes away the members, entries and texts that are not part of an answer.
    fn clear_parts(&mut self, path: &FieldPath, value: &Value) -> Result<(), Fault> {
        for (member, standing) in hydrate::members(self.transaction, self.roots, path) {
            let kept = match value {
                Value::Choices(choices) => matches!(standing, Member::Choice(_)) && choices.contains(&member),
                Value::Tally(tally) => matches!(standing, Member::Count(_)) && tally.contains_key(&member),
                Value::Attachments(attachments) => {
                    matches!(standing, Member::Attachment(_))
                        && member.parse().is_ok_and(|id| attachments.contains_key(&id))
                }
                _ => false,
            };
            if !kept && is_live(&standing) {
                let gone = if matches!(standing, Member::Choice(_)) { Member::Choice(false) } else { Member::Gone };
                self.enter(path)?;
                self.put_member(path, &member, &gone)?;
            }
        }
        if path.entry.is_none() {
            for entry in hydrate::entries(self.transaction, self.roots, &path.field) {
                self.remove_entry(&path.field, entry.id)?;
            }
        }
        if matches!(value, Value::LongText(_)) {
            return Ok(());
        }
        for (id, text) in hydrate::texts(self.transaction, self.roots, path) {
            if !text.is_empty() {
                self.enter(path)?;
                self.empty(&id, &text)?;
            }
        }
        Ok(())
    }

    fn put_member(&mut self, path: &FieldPath, member: &str, value: &Member) -> Result<(), Fault> {
        self.put(Root::Members, &member_key(path, member), write_member(value).ok_or(Fault::Value)?)
    }

    fn member(&mut self, path: &FieldPath, member: &str, value: &Member, kind: ValueKind) -> Result<(), Fault> {
        let key = member_key(path, member);
        let standing = hydrate::register(self.transaction, &self.roots.members, &key);
        let nothing_to_take_away = standing.is_empty() && !is_live(value);
        let stands = standing.len() == 1 && standing.first().and_then(read_member).as_ref() == Some(value);
        if !nothing_to_take_away && !stands {
            self.enter(path)?;
            self.put_member(path, member, value)?;
        }
        if is_live(value) { self.mark(path, kind) } else { Ok(()) }
    }

    fn attach(&mut self, path: &FieldPath, id: EntryId, attachment: Option<&Attachment>) -> Result<(), Fault> {
        let member = attachment.map_or(Member::Gone, |attachment| Member::Attachment(Box::new(attachment.clone())));
        self.member(path, &id.to_string(), &member, ValueKind::Attachments)
    }

    /// Notes in the register what kind of answer lies in the other maps.
    fn mark(&mut self, path: &FieldPath, kind: ValueKind) -> Result<(), Fault> {
        let value = match kind {
            ValueKind::LongText => Value::LongText(String::new()),
            ValueKind::Choices => Value::Choices(BTreeSet::new()),
            ValueKind::Tally => Value::Tally(BTreeMap::new()),
            ValueKind::Subform => Value::Subform(Vec::new()),
            _ => Value::Attachments(BTreeMap::new()),
        };
        let key = path.to_string();
        // A kind is disputed only against other answers; that stays visible until a person resolves it.
        let standing = hydrate::register(self.transaction, &self.roots.fields, &key);
        if standing.contains(&register::write(&value)) {
            return Ok(());
        }
        self.enter(path)?;
        self.put(Root::Fields, &key, register::write(&value))
    }

    /// Edits the text that stands, making one where there is none.
    fn text(&mut self, path: &FieldPath, change: impl FnOnce(&str) -> Vec<Splice>) -> Result<(), Fault> {
        self.mark(path, ValueKind::LongText)?;
        let texts = hydrate::texts(self.transaction, self.roots, path);
        let current = current_text(&texts).cloned();
        let splices = change(current.as_ref().map_or("", |(_, text)| text));
        if splices.iter().all(|splice| splice.delete == 0 && splice.insert.is_empty()) {
            return Ok(());
        }
        self.enter(path)?;
        let (id, before) = match current {
            Some(current) => current,
            None => {
                let key = path.to_string();
                let made = self.transaction.put_object(&self.roots.texts, key, ObjType::Text);
                (made.map_err(|_| Fault::Document)?, String::new())
            }
        };
        // An equal text begun elsewhere at the same time is no dispute yet; left alone, it would become one now.
        for (other, text) in &texts {
            if *other != id && *text == before {
                self.empty(other, text)?;
            }
        }
        let mut length = before.chars().count();
        for splice in &splices {
            let end = splice.at.checked_add(splice.delete);
            if end.is_none_or(|end| end > length) {
                return Err(Fault::BeyondText { length });
            }
            self.splice(&id, splice)?;
            length = length - splice.delete + splice.insert.chars().count();
        }
        Ok(())
    }

    fn empty(&mut self, id: &ObjId, text: &str) -> Result<(), Fault> {
        self.splice(id, &Splice { at: 0, delete: text.chars().count(), insert: String::new() })
    }

    fn splice(&mut self, id: &ObjId, splice: &Splice) -> Result<(), Fault> {
        if splice.delete == 0 && splice.insert.is_empty() {
            return Ok(());
        }
        let delete = isize::try_from(splice.delete).map_err(|_| Fault::Value)?;
        self.transaction.splice_text(id, splice.at, delete, &splice.insert).map_err(|_| Fault::Document)
    }

    fn put_entry(&mut self, field: &str, entry: EntryId, order: &str) -> Result<(), Fault> {
        if !is_name(field) || !order::is_key(order) {
            return Err(Fault::Place);
        }
        self.mark(&FieldPath::field(field), ValueKind::Subform)?;
        let key = FieldPath::entry(field, entry).to_string();
        let standing = hydrate::register(self.transaction, &self.roots.entries, &key);
        let mark = match standing.as_slice() {
            // Undisputed and in its place already.
            [one] if read_entry(one).is_some_and(|(standing, _)| standing == order) => return Ok(()),
            all => all.iter().rev().find_map(|value| read_entry(value)).is_some_and(|(_, mark)| !mark),
        };
        self.touched.insert((field.to_owned(), entry));
        self.put(Root::Entries, &key, write_entry(order, mark))
    }

    fn remove_entry(&mut self, field: &str, entry: EntryId) -> Result<(), Fault> {
        if !is_name(field) {
            return Err(Fault::Place);
        }
        let key = FieldPath::entry(field, entry).to_string();
        if hydrate::register(self.transaction, &self.roots.entries, &key).is_empty() {
            return Err(Fault::NoEntry);
        }
        self.touched.remove(&(field.to_owned(), entry));
        self.put(Root::Entries, &key, ScalarValue::Null)
    }
}

pub(super) const fn is_live(member: &Member) -> bool {
    !matches!(member, Member::Gone | Member::Choice(false))
}
