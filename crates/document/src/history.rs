//! Who wrote what, and when: from the changes themselves, so that it is as well proven as they are.

use std::collections::{BTreeMap, BTreeSet};

use automerge::{Change, ChangeHash, ObjId, ReadDoc, ScalarValue};
use vereda_base::{ActorBytes, Timestamp};
use vereda_records::{FieldPath, Value};

use crate::{
    anatomy::{Action, Anatomy, Key, Operation},
    conflict::readable,
    hydrate::current_text,
    replica::{Replica, from_seconds},
    shape::{Place, ROOTS, Root, Roots, actor_id, same_operation},
};

/// One value that one person gave to one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryEntry {
    /// Where.
    pub place: Place,
    /// The value, as in [`crate::ConflictValue::value`]; of a long text, all of it as it stood after the change.
    pub value: Value,
    /// The change.
    pub change: [u8; 32],
    /// Who made it.
    pub actor: ActorBytes,
    /// Its seq under that actor.
    pub seq: u64,
    /// Greater than that of whatever its author had seen, and no clock's.
    pub counter: u64,
    /// When, by the clock of his device; whole seconds.
    pub time: Timestamp,
}

/// One change, without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeSummary {
    /// Hash.
    pub hash: [u8; 32],
    /// Who made it.
    pub actor: ActorBytes,
    /// Its seq under that actor.
    pub seq: u64,
    /// When, by the clock of his device; whole seconds.
    pub time: Timestamp,
    /// Hashes of the changes it builds on.
    pub deps: Vec<[u8; 32]>,
}

impl Replica {
    /// Lists what was written at an answer or entry and everything within it, in an order in which every change stands
    /// behind those it builds on.
    pub fn history(&self, path: &FieldPath) -> Vec<HistoryEntry> {
        self.written(&|place| place.path().is_some_and(|found| covers(path, &found)))
    }

    /// Lists everything that was ever written, in the same order.
    pub fn full_history(&self) -> Vec<HistoryEntry> {
        self.written(&|_| true)
    }

    /// Lists the changes, in the same order.
    pub fn changes(&self) -> Vec<ChangeSummary> {
        let summary = |meta: automerge::ChangeMetadata<'_>| {
            Some(ChangeSummary {
                hash: meta.hash.0,
                actor: ActorBytes(meta.actor.to_bytes().try_into().ok()?),
                seq: meta.seq,
                time: from_seconds(meta.timestamp),
                deps: meta.deps.iter().map(|dep| dep.0).collect(),
            })
        };
        self.document.get_changes_meta(&[]).into_iter().filter_map(summary).collect()
    }

    fn written(&self, wanted: &dyn Fn(&Place) -> bool) -> Vec<HistoryEntry> {
        let Some(roots) = &self.roots else { return Vec::new() };
        let mut reader = HistoryReader { replica: self, roots, texts: BTreeMap::new(), entries: Vec::new() };
        for change in self.document.get_changes(&[]) {
            reader.change(&change, wanted);
        }
        reader.entries
    }
}

fn covers(path: &FieldPath, found: &FieldPath) -> bool {
    path.field == found.field
        && path.entry.is_none_or(|entry| found.entry == Some(entry))
        && path.subfield.as_ref().is_none_or(|subfield| found.subfield.as_ref() == Some(subfield))
}

struct HistoryReader<'a> {
    replica: &'a Replica,
    roots: &'a Roots,
    /// The paths of the texts seen so far, by actor and counter.
    texts: BTreeMap<([u8; 16], u64), FieldPath>,
    entries: Vec<HistoryEntry>,
}

impl HistoryReader<'_> {
    fn change(&mut self, change: &Change, wanted: &dyn Fn(&Place) -> bool) {
        // Everything in the document passed this reader before it was applied.
        let Ok(anatomy) = Anatomy::read(change.raw_bytes()) else { return };
        let mut edited: BTreeSet<FieldPath> = BTreeSet::new();
        for (operation, counter) in anatomy.operations.iter().zip(anatomy.start_op..) {
            let Some(object) = operation.object else { continue };
            let Some(actor) = anatomy.actor_at(object.actor) else { continue };
            if let Some(path) = self.texts.get(&(actor.0, object.counter)) {
                edited.insert(path.clone());
                continue;
            }
            let Some((place, value)) = self.put(operation, actor, object.counter, change.hash()) else { continue };
            match (value, place) {
                (Some(value), place) => self.add(change, &anatomy, (place, value, counter), wanted),
                (None, Place::Answer(path)) => {
                    self.texts.insert((anatomy.actor.0, counter), path);
                }
                (None, _) => {}
            }
        }
        for path in edited {
            if wanted(&Place::Answer(path.clone()))
                && let Some(text) = self.text_after(change.hash(), &path)
            {
                let written = (Place::Answer(path), Value::LongText(text), anatomy.max_op());
                self.add(change, &anatomy, written, wanted);
            }
        }
    }

    /// Reads the text that was shown after a change; settling several texts empties all but that one.
    fn text_after(&self, change: ChangeHash, path: &FieldPath) -> Option<String> {
        let (document, heads) = (&self.replica.document, [change]);
        let all = document.get_all_at(&self.roots.texts, path.to_string(), &heads).ok()?;
        let texts = all.into_iter().filter(|(value, _)| value.is_object());
        let texts: Vec<(ObjId, String)> =
            texts.filter_map(|(_, id)| document.text_at(&id, &heads).ok().map(|text| (id, text))).collect();
        current_text(&texts).map(|(_, text)| text.clone())
    }

    /// Reads an operation on a root map: the place, and the value unless it makes a text.
    fn put(
        &self,
        operation: &Operation,
        actor: ActorBytes,
        counter: u64,
        change: ChangeHash,
    ) -> Option<(Place, Option<Value>)> {
        let id = ObjId::Id(counter, actor_id(actor), 0);
        let root = ROOTS.into_iter().find(|root| same_operation(self.roots.id(*root), &id))?;
        let Key::Map(key) = &operation.key else { return None };
        let place = Place::of_key(root, key)?;
        match operation.action {
            Action::MakeText => Some((place, None)),
            Action::Put => told(root, place.clone(), readable(root, &place, &scalar(operation)?)?),
            // A conflict settled in favour of what was shown.
            Action::Delete => {
                let (value, _) = self.replica.document.get_at(self.roots.id(root), &**key, &[change]).ok()??;
                told(root, place.clone(), readable(root, &place, &value.into_scalar().ok()?)?)
            }
            Action::MakeMap => None,
        }
    }

    fn add(
        &mut self,
        change: &Change,
        anatomy: &Anatomy,
        (place, value, counter): (Place, Value, u64),
        wanted: &dyn Fn(&Place) -> bool,
    ) {
        if wanted(&place) {
            self.entries.push(HistoryEntry {
                place,
                value,
                change: change.hash().0,
                actor: anatomy.actor,
                seq: anatomy.seq,
                counter,
                time: from_seconds(anatomy.time),
            });
        }
    }
}

/// Tells a value, unless it only says that the content lies elsewhere: the content has entries of its own.
fn told(root: Root, place: Place, value: Value) -> Option<(Place, Option<Value>)> {
    let marks_only = root == Root::Fields && value != Value::Deleted && value.is_blank();
    (!marks_only || matches!(value, Value::Text(_))).then_some((place, Some(value)))
}

/// Reads the value of a put; the types are those that pass admission.
fn scalar(operation: &Operation) -> Option<ScalarValue> {
    let mut reader = crate::varint::Reader::new(&operation.value);
    Some(match operation.meta & 0xf {
        0 => ScalarValue::Null,
        1 => ScalarValue::Boolean(false),
        2 => ScalarValue::Boolean(true),
        4 => ScalarValue::Int(reader.signed().ok()?),
        6 => ScalarValue::Str(std::str::from_utf8(&operation.value).ok()?.into()),
        9 => ScalarValue::Timestamp(reader.signed().ok()?),
        _ => return None,
    })
}
