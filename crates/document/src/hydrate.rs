//! A record from its document. Total: what a newer version wrote is left alone and not shown.

use std::{
    borrow::Borrow,
    collections::{BTreeMap, BTreeSet},
};

use automerge::{ObjId, ReadDoc, ScalarValue};
use vereda_records::{Entry, EntryId, FieldPath, Record, RecordType, Value, ValueKind};

use crate::{
    register::{self, Member, Register, read_entry, read_member},
    replica::Replica,
    shape::{Place, ROOTS, Root, Roots, TYPE_KEY},
};

/// Why a document gives no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HydrateError {
    /// The creating change has not arrived yet.
    #[error("document not created here yet")]
    NotCreated,
    /// The document names no kind of record that this version knows.
    #[error("unknown kind of record")]
    UnknownType,
}

impl Replica {
    /// Reads the record as it stands. Where values are disputed, every device reads the same one; see
    /// [`Replica::conflicts`]. Answers taken away are [`Value::Deleted`]; removed entries are left out.
    ///
    /// # Errors
    /// See [`HydrateError`].
    pub fn hydrate(&self) -> Result<Record, HydrateError> {
        let roots = self.roots.as_ref().ok_or(HydrateError::NotCreated)?;
        let kind = register(&self.document, &roots.meta, TYPE_KEY);
        let kind = match kind.last() {
            Some(ScalarValue::Str(name)) => name.parse::<RecordType>().ok(),
            _ => None,
        };
        let mut record = Record::new(kind.ok_or(HydrateError::UnknownType)?);
        Answers::read(&self.document, roots).into_record(&mut record);
        Ok(record)
    }
}

/// Lists the values that stand at a key, the winner last; several where they are disputed.
pub(crate) fn register<D: ReadDoc>(document: &D, map: &ObjId, key: &str) -> Vec<ScalarValue> {
    let values = document.get_all(map, key).unwrap_or_default();
    values.into_iter().filter_map(|(value, _)| value.into_scalar().ok()).collect()
}

/// Lists the texts that stand at a path, the winner last; several where they were begun at the same time.
pub(crate) fn texts<D: ReadDoc>(document: &D, roots: &Roots, path: &FieldPath) -> Vec<(ObjId, String)> {
    let values = document.get_all(&roots.texts, path.to_string()).unwrap_or_default();
    values
        .into_iter()
        .filter(|(value, _)| value.is_object())
        .filter_map(|(_, id)| document.text(&id).ok().map(|text| (id, text)))
        .collect()
}

/// Picks the text that is shown: the winner, unless it is empty and another is not.
pub(crate) fn current_text<I>(texts: &[(I, String)]) -> Option<&(I, String)> {
    texts.iter().rev().find(|(_, text)| !text.is_empty()).or_else(|| texts.last())
}

/// Reads the members of one answer.
pub(crate) fn members<D: ReadDoc>(document: &D, roots: &Roots, path: &FieldPath) -> BTreeMap<String, Member> {
    let (from, to) = (format!("{path}/"), format!("{path}0"));
    let mut members = BTreeMap::new();
    for item in document.map_range(&roots.members, from..to) {
        let Some(Place::Member { answer, member }) = Place::of_key(Root::Members, &item.key) else { continue };
        if answer == *path
            && let Some(value) = winner(document, &roots.members, &item.key).as_ref().and_then(read_member)
        {
            members.insert(member, value);
        }
    }
    members
}

/// Reads the entries of one subform, in order.
pub(crate) fn entries<D: ReadDoc>(document: &D, roots: &Roots, field: &str) -> Vec<Entry> {
    let mut answers = Answers::read_prefix(document, roots, Some(field));
    answers.take_entries(field)
}

fn winner<D: ReadDoc>(document: &D, map: &ObjId, key: &str) -> Option<ScalarValue> {
    register(document, map, key).pop()
}

/// What lies in the maps, by path.
#[derive(Default)]
struct Answers {
    registers: BTreeMap<FieldPath, Register>,
    members: BTreeMap<FieldPath, BTreeMap<String, Member>>,
    texts: BTreeMap<FieldPath, String>,
    entries: BTreeMap<String, Vec<(String, EntryId)>>,
    versions: BTreeMap<String, u64>,
}

impl Answers {
    fn read<D: ReadDoc>(document: &D, roots: &Roots) -> Self {
        Self::read_prefix(document, roots, None)
    }

    /// Reads everything, or what lies under one field.
    fn read_prefix<D: ReadDoc>(document: &D, roots: &Roots, field: Option<&str>) -> Self {
        let mut answers = Self::default();
        for root in ROOTS {
            let range = field.map_or_else(String::new, str::to_owned)..;
            for item in document.map_range(roots.id(root), range) {
                let key: &str = item.key.borrow();
                if field.is_some_and(|field| !key.starts_with(field)) {
                    break;
                }
                if let Some(place) = Place::of_key(root, key) {
                    let value = if item.conflict { None } else { item.value.clone().into_value().into_scalar().ok() };
                    answers.add(document, roots, root, key, place, value);
                }
            }
        }
        answers
    }

    fn add<D: ReadDoc>(
        &mut self,
        document: &D,
        roots: &Roots,
        root: Root,
        key: &str,
        place: Place,
        undisputed: Option<ScalarValue>,
    ) {
        let values = || undisputed.map_or_else(|| register(document, roots.id(root), key), |value| vec![value]);
        match (root, place) {
            (Root::Fields, Place::Answer(path)) => {
                if let Some(register) = values().last().and_then(register::read) {
                    self.registers.insert(path, register);
                }
            }
            (Root::Texts, Place::Answer(path)) => {
                if let Some((_, text)) = current_text(&texts(document, roots, &path)) {
                    self.texts.insert(path, text.clone());
                }
            }
            (_, Place::Member { answer, member }) => {
                if let Some(value) = values().last().and_then(read_member) {
                    self.members.entry(answer).or_default().insert(member, value);
                }
            }
            (_, Place::Entry { field, entry }) => {
                // Removed only where nobody says otherwise: an edit made at the same time keeps the entry.
                let values = values();
                if let Some((order, _)) = values.iter().rev().find_map(read_entry) {
                    self.entries.entry(field).or_default().push((order.to_owned(), entry));
                }
            }
            (_, Place::FormVersion { form }) => {
                if let Some(ScalarValue::Int(version)) = values().last()
                    && let Ok(version) = u64::try_from(*version)
                {
                    self.versions.insert(form, version);
                }
            }
            (_, Place::Answer(_)) => {}
        }
    }

    fn into_record(mut self, record: &mut Record) {
        record.form_versions = std::mem::take(&mut self.versions);
        let mut fields: BTreeSet<String> = self.entries.keys().cloned().collect();
        let paths = self.registers.keys().chain(self.members.keys()).chain(self.texts.keys());
        fields.extend(paths.filter(|path| path.entry.is_none()).map(|path| path.field.clone()));
        for field in fields {
            let path = FieldPath::field(&field);
            if self.entries.contains_key(&field)
                || self.registers.get(&path) == Some(&Register::Elsewhere(ValueKind::Subform))
            {
                let entries = self.take_entries(&field);
                record.fields.insert(field, Value::Subform(entries));
            } else if let Some(value) = self.answer(&path) {
                record.fields.insert(field, value);
            }
        }
    }

    fn take_entries(&mut self, field: &str) -> Vec<Entry> {
        let mut live = self.entries.remove(field).unwrap_or_default();
        live.sort_unstable();
        live.into_iter()
            .map(|(order, id)| {
                let mut entry = Entry::new(id, order);
                for name in self.names_in(field, id) {
                    if let Some(value) = self.answer(&FieldPath::within(field, id, &name)) {
                        entry.fields.insert(name, value);
                    }
                }
                entry
            })
            .collect()
    }

    fn names_in(&self, field: &str, id: EntryId) -> BTreeSet<String> {
        let first = FieldPath::entry(field, id);
        let within = |path: &&FieldPath| path.field == field && path.entry == Some(id);
        let registers = self.registers.range(first.clone()..).map(|(path, _)| path).take_while(within);
        let members = self.members.range(first.clone()..).map(|(path, _)| path).take_while(within);
        let texts = self.texts.range(first..).map(|(path, _)| path).take_while(within);
        registers.chain(members).chain(texts).filter_map(|path| path.subfield.clone()).collect()
    }

    /// Puts together one answer that is no subform.
    fn answer(&self, path: &FieldPath) -> Option<Value> {
        let register = self.registers.get(path);
        let kind = match register {
            Some(Register::Answer(Value::Deleted)) | None => None,
            Some(Register::Answer(value)) => return Some(value.clone()),
            Some(Register::Elsewhere(kind)) => Some(*kind),
        };
        let parts = self.parts(path);
        // What others added to an answer while it was taken away, or before its kind was noted, is shown.
        let live = parts.iter().find(|part| Some(part.kind()) == kind).or_else(|| parts.first());
        match (live, kind) {
            (Some(live), _) => Some(live.clone()),
            (None, Some(ValueKind::LongText)) => Some(Value::LongText(String::new())),
            (None, Some(ValueKind::Choices)) => Some(Value::Choices(BTreeSet::new())),
            (None, Some(ValueKind::Tally)) => Some(Value::Tally(BTreeMap::new())),
            (None, Some(ValueKind::Attachments)) => Some(Value::Attachments(BTreeMap::new())),
            (None, _) => register.map(|_| Value::Deleted),
        }
    }

    /// Lists what is not empty of a text, choices, a tally and attachments at a path.
    fn parts(&self, path: &FieldPath) -> Vec<Value> {
        let mut parts = Vec::new();
        if let Some(text) = self.texts.get(path).filter(|text| !text.is_empty()) {
            parts.push(Value::LongText(text.clone()));
        }
        let (mut choices, mut tally, mut attachments) = (BTreeSet::new(), BTreeMap::new(), BTreeMap::new());
        for (name, member) in self.members.get(path).into_iter().flatten() {
            match member {
                Member::Choice(true) => {
                    choices.insert(name.clone());
                }
                Member::Count(count) => {
                    tally.insert(name.clone(), *count);
                }
                Member::Attachment(attachment) => {
                    if let Ok(id) = name.parse() {
                        attachments.insert(id, (**attachment).clone());
                    }
                }
                Member::Choice(false) | Member::Gone => {}
            }
        }
        if !choices.is_empty() {
            parts.push(Value::Choices(choices));
        }
        if !tally.is_empty() {
            parts.push(Value::Tally(tally));
        }
        if !attachments.is_empty() {
            parts.push(Value::Attachments(attachments));
        }
        parts
    }
}
