//! Writing to a record's document: the differences only, as one change.

mod difference;
mod join;
mod splice;
mod writer;

use std::collections::BTreeMap;

use automerge::{ObjType, ROOT, ReadDoc, transaction::CommitOptions, transaction::Transactable};
use vereda_base::{ActorBytes, Timestamp, limits::MAX_OPS_PER_CHANGE};
use vereda_records::{Attachment, EntryId, FieldPath, Record, RecordType, Value};

pub use difference::difference;

use crate::{
    anatomy::MAX_VALUE_BYTES,
    replica::{LocalChange, Replica, local_change, to_seconds},
    shape::{ROOTS, TYPE_KEY},
};
use writer::Writer;

/// One edit of a record. Positions in texts count Unicode scalar values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// Sets an answer as a whole; [`Value::Deleted`] takes it away. Of an answer that merges by parts, only the parts
    /// that differ from what stands are written.
    Set {
        /// Where.
        path: FieldPath,
        /// The answer.
        value: Value,
    },
    /// Sets an answer, over every value that stands there in dispute.
    Settle {
        /// Where.
        path: FieldPath,
        /// The answer.
        value: Value,
    },
    /// Replaces a stretch of the long text that stands.
    Splice {
        /// Where.
        path: FieldPath,
        /// Start of the stretch.
        at: usize,
        /// Length of the stretch.
        delete: usize,
        /// What comes in its place.
        insert: String,
    },
    /// Adds text at the end of the long text that stands.
    Append {
        /// Where.
        path: FieldPath,
        /// What is added.
        text: String,
    },
    /// Carries a person's change of a long text over to what stands by now, which others may have changed since.
    Rewrite {
        /// Where.
        path: FieldPath,
        /// The text the person began with.
        before: String,
        /// The text the person ended with.
        after: String,
    },
    /// Picks a choice, or takes it back.
    Pick {
        /// Where.
        path: FieldPath,
        /// The choice's code.
        choice: String,
        /// Whether it is picked.
        picked: bool,
    },
    /// Sets the count of one group of a tally, or takes it away.
    Count {
        /// Where.
        path: FieldPath,
        /// The group.
        group: String,
        /// The count.
        count: Option<i64>,
    },
    /// Puts an attachment, or takes it away.
    Attach {
        /// Where.
        path: FieldPath,
        /// The attachment.
        id: EntryId,
        /// What it is.
        attachment: Option<Attachment>,
    },
    /// Adds an entry to a subform, moves it, or brings a removed one back with its answers.
    PutEntry {
        /// The subform's field.
        field: String,
        /// The entry.
        entry: EntryId,
        /// Its order key.
        order: String,
    },
    /// Removes an entry. Its answers stay in the document; an edit made in it at the same time keeps it there.
    RemoveEntry {
        /// The subform's field.
        field: String,
        /// The entry.
        entry: EntryId,
    },
    /// Notes the version of a form that the record was filled with.
    FormVersion {
        /// The form.
        form: String,
        /// The version.
        version: u64,
    },
}

impl Edit {
    /// Lists what carries out one step of [`vereda_records`] on a document.
    pub fn of_step(step: &vereda_records::Edit) -> Vec<Self> {
        match step.clone() {
            vereda_records::Edit::Set { path, value } => vec![Self::Set { path, value }],
            vereda_records::Edit::Append { path, text } => vec![Self::Append { path, text }],
            vereda_records::Edit::AddEntry { field, entry } => {
                let mut edits = Vec::new();
                difference::entries(&mut edits, &[], &[entry], &field);
                edits
            }
            vereda_records::Edit::MoveEntry { field, entry, order } => vec![Self::PutEntry { field, entry, order }],
            vereda_records::Edit::RemoveEntry { field, entry } => vec![Self::RemoveEntry { field, entry }],
        }
    }
}

/// Why an edit was refused; the replica is as before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The creating change has not arrived yet.
    #[error("document not created here yet")]
    NotCreated,
    /// A field, form or code that cannot be a key, or a path that does not lead to an answer.
    #[error("edit {index} names no place for an answer")]
    Place {
        /// Position of the edit.
        index: usize,
    },
    /// An answer within an entry that is not there.
    #[error("edit {index} is in an entry that is not there")]
    NoEntry {
        /// Position of the edit.
        index: usize,
    },
    /// A splice beyond the end of the text.
    #[error("edit {index} reaches beyond the text of {length} characters")]
    BeyondText {
        /// Position of the edit.
        index: usize,
        /// Length of the text, in Unicode scalar values.
        length: usize,
    },
    /// A value that is too long for one register, or that nests.
    #[error("edit {index} has a value that cannot be stored, allowed are {MAX_VALUE_BYTES} bytes")]
    Value {
        /// Position of the edit.
        index: usize,
    },
    /// More operations than one change may hold.
    #[error("{found} operations, allowed are {MAX_OPS_PER_CHANGE}")]
    TooManyOperations {
        /// How many it would be.
        found: usize,
    },
    /// Automerge refused: a fault of this crate.
    #[error("edit {index} refused by the document")]
    Document {
        /// Position of the edit.
        index: usize,
    },
}

impl Replica {
    /// Creates a document and its replica. The creating change makes the root maps and must be the first of the
    /// creator's first chunk.
    ///
    /// # Errors
    /// [`EditError::Document`] where Automerge refuses, which no input can bring about.
    pub fn create(actor: ActorBytes, record_type: RecordType, at: Timestamp) -> Result<(Self, LocalChange), EditError> {
        let refused = EditError::Document { index: 0 };
        let mut replica = Self::empty(actor);
        let mut transaction = replica.document.transaction();
        let mut made = Vec::new();
        for root in ROOTS {
            made.push((root, transaction.put_object(ROOT, root.name(), ObjType::Map).map_err(|_| refused)?));
        }
        // The root maps stand before anything else: only so is a creating change admitted.
        for (_, meta) in made.iter().filter(|(root, _)| *root == crate::shape::Root::Meta) {
            transaction.put(meta, TYPE_KEY, record_type.as_str()).map_err(|_| refused)?;
        }
        let _ = transaction.commit_with(CommitOptions::default().with_time(to_seconds(at)));
        replica.find_roots();
        let change = replica.document.get_last_local_change().ok_or(refused)?;
        Ok((replica, local_change(change)))
    }

    /// Makes one change of all the edits, in order; none where nothing differs from what stands. Where more heads stand
    /// than a change may name, changes without operations that join them come before it: the edit is the last.
    ///
    /// # Errors
    /// See [`EditError`]; all or nothing.
    pub fn edit(&mut self, edits: &[Edit], at: Timestamp) -> Result<Vec<LocalChange>, EditError> {
        if !self.has_many_heads() {
            return Ok(self.edit_once(edits, at)?.into_iter().collect());
        }
        let mut joined = self.clone();
        let mut changes = joined.join_heads(at)?;
        if let Some(change) = joined.edit_once(edits, at)? {
            changes.push(change);
            *self = joined;
            Ok(changes)
        } else {
            Ok(Vec::new())
        }
    }

    fn edit_once(&mut self, edits: &[Edit], at: Timestamp) -> Result<Option<LocalChange>, EditError> {
        let roots = self.roots.clone().ok_or(EditError::NotCreated)?;
        let mut transaction = self.document.transaction();
        let mut writer = Writer::new(&mut transaction, &roots);
        let mut outcome = Ok(());
        for (index, edit) in edits.iter().enumerate() {
            outcome = writer.write(edit).map_err(|fault| fault.at(index));
            if outcome.is_err() {
                break;
            }
        }
        let found = transaction.pending_ops();
        if outcome.is_ok() && found > MAX_OPS_PER_CHANGE {
            outcome = Err(EditError::TooManyOperations { found });
        }
        if let Err(error) = outcome {
            transaction.rollback();
            return Err(error);
        }
        let (hash, _) = transaction.commit_with(CommitOptions::default().with_time(to_seconds(at)));
        Ok(hash.and_then(|hash| self.document.get_change_by_hash(&hash)).map(local_change))
    }

    /// Writes what a person changed between `before`, as it was shown, and `after`, as [`Self::edit`] does; none where
    /// nothing differs. What others changed in between stays. An answer of `before` that `after` lacks is taken away.
    ///
    /// # Errors
    /// See [`EditError`]; all or nothing.
    pub fn reconcile(&mut self, before: &Record, after: &Record, at: Timestamp) -> Result<Vec<LocalChange>, EditError> {
        self.edit(&difference(before, after), at)
    }
}

/// Lists the parts of a tally or attachments answer that differ: none for what went.
fn changed<'a, K: Ord, V: PartialEq>(
    before: &'a BTreeMap<K, V>,
    after: &'a BTreeMap<K, V>,
) -> impl Iterator<Item = (&'a K, Option<&'a V>)> {
    let gone = before.keys().filter(|key| !after.contains_key(*key)).map(|key| (key, None));
    let new = after.iter().filter(|(key, value)| before.get(*key) != Some(*value)).map(|(key, v)| (key, Some(v)));
    gone.chain(new)
}
