//! How a record lies in its Automerge document.
//!
//! The creating change makes five maps at the root; nothing else is ever made at a key that two devices could make at
//! once, except texts, whose concurrent creation is surfaced. Everything is flat, under composite keys:
//!
//! | Map | Key | Value |
//! | --- | --- | --- |
//! | `meta` | `type`, `form/<form>` | the record's type, the version of each form |
//! | `fields` | path | a register: the answer, or what kind of answer lies in the other maps; null where taken away |
//! | `members` | path `/` member | a choice (true or false), a count, an attachment; null where taken away |
//! | `texts` | path | a text, character by character |
//! | `entries` | `field[entry]` | the order key, and a mark that each edit within the entry turns; null where removed |
//!
//! A path is `field` or `field[entry]/subfield`.

use automerge::{ActorId, Automerge, ObjId, ReadDoc};
use vereda_base::ActorBytes;
use vereda_records::{EntryId, FieldPath};

/// The fixed root maps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Root {
    Meta,
    Fields,
    Members,
    Texts,
    Entries,
}

/// Every root map, in the order in which the creating change makes them.
pub(crate) const ROOTS: [Root; 5] = [Root::Meta, Root::Fields, Root::Members, Root::Texts, Root::Entries];

impl Root {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Fields => "fields",
            Self::Members => "members",
            Self::Texts => "texts",
            Self::Entries => "entries",
        }
    }
}

/// The ids of the root maps in one document.
#[derive(Debug, Clone)]
pub(crate) struct Roots {
    pub(crate) meta: ObjId,
    pub(crate) fields: ObjId,
    pub(crate) members: ObjId,
    pub(crate) texts: ObjId,
    pub(crate) entries: ObjId,
}

impl Roots {
    /// Finds the root maps; none in a document that was not created by us.
    pub(crate) fn of(document: &Automerge) -> Option<Self> {
        let map = |root: Root| match document.get(automerge::ROOT, root.name()) {
            Ok(Some((value, id))) if value.is_object() => Some(id),
            _ => None,
        };
        Some(Self {
            meta: map(Root::Meta)?,
            fields: map(Root::Fields)?,
            members: map(Root::Members)?,
            texts: map(Root::Texts)?,
            entries: map(Root::Entries)?,
        })
    }

    pub(crate) const fn id(&self, root: Root) -> &ObjId {
        match root {
            Root::Meta => &self.meta,
            Root::Fields => &self.fields,
            Root::Members => &self.members,
            Root::Texts => &self.texts,
            Root::Entries => &self.entries,
        }
    }

    pub(crate) fn find(&self, id: &ObjId) -> Option<Root> {
        ROOTS.into_iter().find(|root| same_operation(self.id(*root), id))
    }
}

/// Compares ids by counter and actor; the third part of an id is a hint that differs from replica to replica.
pub(crate) fn same_operation(a: &ObjId, b: &ObjId) -> bool {
    match (a, b) {
        (ObjId::Id(counter, actor, _), ObjId::Id(other_counter, other_actor, _)) => {
            counter == other_counter && actor == other_actor
        }
        (ObjId::Root, ObjId::Root) => true,
        _ => false,
    }
}

pub(crate) fn actor_id(actor: ActorBytes) -> ActorId {
    ActorId::from(actor.0.as_slice())
}

/// What one key of the document stands for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// An answer: a register or a text.
    Answer(FieldPath),
    /// One choice, count or attachment of an answer.
    Member {
        /// The answer.
        answer: FieldPath,
        /// The choice's or group's code, or the attachment's id as text.
        member: String,
    },
    /// An entry of a subform as such: there or removed.
    Entry {
        /// The subform's field.
        field: String,
        /// The entry.
        entry: EntryId,
    },
    /// The version of a form that the record was last filled with.
    FormVersion {
        /// The form.
        form: String,
    },
}

impl Place {
    /// Returns the path of the answer or entry; none for what is no answer.
    pub fn path(&self) -> Option<FieldPath> {
        match self {
            Self::Answer(path) | Self::Member { answer: path, .. } => Some(path.clone()),
            Self::Entry { field, entry } => Some(FieldPath::entry(field, *entry)),
            Self::FormVersion { .. } => None,
        }
    }

    /// Reads a key of a root map; none for keys of newer versions.
    pub(crate) fn of_key(root: Root, key: &str) -> Option<Self> {
        match root {
            Root::Meta => Some(Self::FormVersion { form: key.strip_prefix(FORM_PREFIX)?.to_owned() }),
            Root::Fields | Root::Texts => Some(Self::Answer(answer_path(key)?)),
            Root::Members => {
                let (answer, member) = split_member(key)?;
                Some(Self::Member { answer: answer_path(answer)?, member: member.to_owned() })
            }
            Root::Entries => match key.parse().ok()? {
                FieldPath { field, entry: Some(entry), subfield: None } => Some(Self::Entry { field, entry }),
                _ => None,
            },
        }
    }
}

pub(crate) const TYPE_KEY: &str = "type";
pub(crate) const FORM_PREFIX: &str = "form/";

fn answer_path(key: &str) -> Option<FieldPath> {
    key.parse().ok().filter(|path: &FieldPath| path.entry.is_some() == path.subfield.is_some())
}

/// Splits `path/member`; names hold no `/`, members may.
fn split_member(key: &str) -> Option<(&str, &str)> {
    let in_entry = key.find('[').filter(|bracket| key.find('/').is_none_or(|slash| *bracket < slash));
    let slash = match in_entry {
        None => key.find('/')?,
        Some(_) => {
            let first = key.find('/')?;
            let rest = key.get(first + 1..)?;
            first + 1 + rest.find('/')?
        }
    };
    Some((key.get(..slash)?, key.get(slash + 1..)?))
}

pub(crate) fn member_key(path: &FieldPath, member: &str) -> String {
    format!("{path}/{member}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_back_as_the_place_it_was_made_for() {
        let entry = EntryId([7; 16]);
        let paths = [FieldPath::field("protection_concerns"), FieldPath::within("members", entry, "needs")];
        for answer in paths {
            for member in ["separated", "a/b", "[x]/y", "طفل"] {
                let key = member_key(&answer, member);
                let place = Place::Member { answer: answer.clone(), member: member.to_owned() };
                assert_eq!(Place::of_key(Root::Members, &key), Some(place), "{key}");
            }
            assert_eq!(Place::of_key(Root::Fields, &answer.to_string()), Some(Place::Answer(answer)));
        }
        let key = FieldPath::entry("members", entry).to_string();
        assert_eq!(Place::of_key(Root::Entries, &key), Some(Place::Entry { field: "members".into(), entry }));
        assert_eq!(Place::of_key(Root::Fields, &key), None);
    }
}
