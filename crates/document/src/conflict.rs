//! Values set at the same time: all are kept, and named until a person looks.

use automerge::{ChangeHash, ObjId, ReadDoc};
use vereda_base::{ActorBytes, Timestamp};
use vereda_records::{FieldPath, Value, ValueKind};

use crate::{
    edit::{Edit, EditError},
    hydrate::{current_text, texts},
    register::{self, Member, Register, read_entry, read_member},
    replica::{LocalChange, Replica, from_seconds},
    shape::{Place, ROOTS, Root, Roots},
};

/// A place at which people set different values without having seen one another's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// Where.
    pub place: Place,
    /// Every value, the one that is shown last. Never fewer than two different ones.
    pub values: Vec<ConflictValue>,
}

/// One of the values in conflict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConflictValue {
    /// The value. A choice is a [`Value::Boolean`], a count a [`Value::Integer`], an attachment the only one of
    /// [`Value::Attachments`]; an entry is its order key as [`Value::Text`]; what was taken away or removed is
    /// [`Value::Deleted`]; an answer whose content lies in parts is an empty one of its kind.
    pub value: Value,
    /// The change that set it.
    pub change: [u8; 32],
    /// Who set it.
    pub actor: ActorBytes,
    /// When, by the clock of his device; whole seconds.
    pub time: Timestamp,
}

impl Replica {
    /// Lists the conflicts. Equal values set at the same time are none; two texts begun at the same time are one, both
    /// shown; an entry removed while another edited it is one.
    pub fn conflicts(&self) -> Vec<Conflict> {
        let Some(roots) = &self.roots else { return Vec::new() };
        let mut conflicts = Vec::new();
        for root in ROOTS {
            for item in self.document.map_range(roots.id(root), ..) {
                if !item.conflict {
                    continue;
                }
                let Some(place) = Place::of_key(root, &item.key) else { continue };
                let values = match (&place, root) {
                    (Place::Answer(path), Root::Texts) => self.text_values(roots, path),
                    _ => self.values(roots, root, &item.key, &place),
                };
                let differ = values.iter().any(|value| values.first().is_some_and(|first| first.value != value.value));
                if differ {
                    conflicts.push(Conflict { place, values });
                }
            }
        }
        conflicts
    }

    /// Settles a conflict, or sets the place anyhow, by a new change that stands over all values seen so far. Texts are
    /// never replaced: the one that is shown becomes what is wanted, others are emptied, so that whoever was still
    /// writing in one of them brings the conflict back instead of losing his words. Returns what [`Self::edit`] does.
    ///
    /// # Errors
    /// See [`EditError`]; [`EditError::Value`] where the value is of a kind that cannot stand at the place.
    pub fn resolve(&mut self, place: &Place, value: Value, at: Timestamp) -> Result<Vec<LocalChange>, EditError> {
        let refused = EditError::Value { index: 0 };
        let edits = match place {
            Place::Answer(path) => vec![Edit::Settle { path: path.clone(), value }],
            Place::Member { answer, member } => vec![member_edit(answer, member, value).ok_or(refused)?],
            Place::Entry { field, entry } => {
                let (field, entry) = (field.clone(), *entry);
                match value {
                    Value::Deleted => vec![Edit::RemoveEntry { field, entry }],
                    Value::Text(order) => vec![Edit::PutEntry { field, entry, order }],
                    _ => return Err(refused),
                }
            }
            Place::FormVersion { form } => match value {
                Value::Integer(version) => {
                    let version = u64::try_from(version).map_err(|_| refused)?;
                    vec![Edit::FormVersion { form: form.clone(), version }]
                }
                _ => return Err(refused),
            },
        };
        self.edit(&edits, at)
    }

    fn values(&self, roots: &Roots, root: Root, key: &str, place: &Place) -> Vec<ConflictValue> {
        let all = self.document.get_all(roots.id(root), key).unwrap_or_default();
        let mut values: Vec<ConflictValue> = all
            .into_iter()
            .filter_map(|(value, id)| {
                let value = readable(root, place, &value.into_scalar().ok()?)?;
                self.attributed(&id, value)
            })
            .collect();
        if let Place::Entry { .. } = place {
            // Where an entry stands is no dispute; whether it does, is. What is shown is that it does.
            let live = |value: &ConflictValue| value.value != Value::Deleted;
            if values.iter().all(live) {
                return Vec::new();
            }
            values.sort_by_key(live);
        }
        values
    }

    fn text_values(&self, roots: &Roots, path: &FieldPath) -> Vec<ConflictValue> {
        let texts = texts(&self.document, roots, path);
        let shown = current_text(&texts).map(|(id, _)| id.clone());
        let mut values: Vec<_> = texts.into_iter().filter(|(_, text)| !text.is_empty()).collect();
        values.sort_by_key(|(id, _)| shown.as_ref() == Some(id));
        values.into_iter().filter_map(|(id, text)| self.attributed(&id, Value::LongText(text))).collect()
    }

    /// Adds who set a value, and when: the author of the operation that holds it.
    fn attributed(&self, id: &ObjId, value: Value) -> Option<ConflictValue> {
        let hash: ChangeHash = self.document.hash_for_opid(id)?;
        let meta = self.document.get_change_meta_by_hash(&hash)?;
        let actor = ActorBytes(meta.actor.to_bytes().try_into().ok()?);
        Some(ConflictValue { value, change: hash.0, actor, time: from_seconds(meta.timestamp) })
    }
}

/// Reads a scalar at a place for people to see.
pub(crate) fn readable(root: Root, place: &Place, scalar: &automerge::ScalarValue) -> Option<Value> {
    match (root, place) {
        (Root::Fields, _) => Some(match register::read(scalar)? {
            Register::Answer(value) => value,
            Register::Elsewhere(kind) => empty(kind),
        }),
        (Root::Members, Place::Member { member, .. }) => Some(match read_member(scalar)? {
            Member::Choice(picked) => Value::Boolean(picked),
            Member::Count(count) => Value::Integer(count),
            Member::Attachment(attachment) => Value::Attachments([(member.parse().ok()?, *attachment)].into()),
            Member::Gone => Value::Deleted,
        }),
        (Root::Entries, _) => {
            Some(read_entry(scalar).map_or(Value::Deleted, |(order, _)| Value::Text(order.to_owned())))
        }
        (Root::Meta, Place::FormVersion { .. }) => match scalar {
            automerge::ScalarValue::Int(version) => Some(Value::Integer(*version)),
            _ => None,
        },
        _ => None,
    }
}

fn empty(kind: ValueKind) -> Value {
    match kind {
        ValueKind::LongText => Value::LongText(String::new()),
        ValueKind::Choices => Value::Choices(Default::default()),
        ValueKind::Tally => Value::Tally(Default::default()),
        ValueKind::Attachments => Value::Attachments(Default::default()),
        _ => Value::Subform(Vec::new()),
    }
}

fn member_edit(answer: &FieldPath, member: &str, value: Value) -> Option<Edit> {
    let path = answer.clone();
    Some(match value {
        Value::Boolean(picked) => Edit::Pick { path, choice: member.to_owned(), picked },
        Value::Integer(count) => Edit::Count { path, group: member.to_owned(), count: Some(count) },
        Value::Attachments(attachments) => {
            let id = member.parse().ok()?;
            Edit::Attach { path, id, attachment: Some(attachments.get(&id)?.clone()) }
        }
        Value::Deleted => match member.parse() {
            Ok(id) => Edit::Attach { path, id, attachment: None },
            Err(_) => Edit::Count { path, group: member.to_owned(), count: None },
        },
        _ => return None,
    })
}
