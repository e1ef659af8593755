//! Heads brought together before an edit: whoever has many devices may leave more than one change, and the chunk that
//! holds it, can name.

use std::collections::BTreeSet;

use automerge::{Change, ChangeHash};
use vereda_base::{Timestamp, limits::MAX_DEPS};

use super::EditError;
use crate::{
    anatomy::Anatomy,
    replica::{LocalChange, Replica, local_change, to_seconds},
};

impl Replica {
    /// Tells whether an edit would name more heads than a chunk may, its author's preceding change among them.
    pub(super) fn has_many_heads(&self) -> bool {
        self.document.get_heads().len() >= MAX_DEPS
    }

    /// Joins heads by changes without operations, each of which fits a chunk of its own, until an edit may name all that
    /// are left. They change no answer: what was in conflict still is, and the edit sees it.
    pub(super) fn join_heads(&mut self, at: Timestamp) -> Result<Vec<LocalChange>, EditError> {
        let mut joined: Vec<LocalChange> = Vec::new();
        // Automerge knows its own last change only where it was made here or loaded.
        let metas = self.document.get_changes_meta(&[]);
        let own = metas.iter().filter(|meta| meta.actor.to_bytes() == self.actor().0).max_by_key(|meta| meta.seq);
        let mut own = own.map(|meta| (meta.hash, meta.seq));
        while self.has_many_heads() {
            let change = self.join_some(own, at).ok_or(EditError::Document { index: 0 })?;
            own = Some((ChangeHash(change.hash), change.seq));
            joined.push(change);
        }
        Ok(joined)
    }

    /// Joins as many heads as one change may name, on top of this actor's last change and its seq. Automerge makes no such
    /// change under this actor; so it is made here, and taken in as those of others are.
    fn join_some(&mut self, own: Option<(ChangeHash, u64)>, at: Timestamp) -> Option<LocalChange> {
        let mut deps: BTreeSet<ChangeHash> = own.iter().map(|(hash, _)| *hash).collect();
        for head in self.document.get_heads() {
            if deps.len() < MAX_DEPS {
                deps.insert(head);
            }
        }
        let mut largest = 0;
        for dep in &deps {
            largest = largest.max(self.document.get_change_meta_by_hash(dep)?.max_op);
        }
        let anatomy = Anatomy {
            deps: deps.iter().map(|dep| dep.0).collect(),
            actor: self.actor(),
            seq: own.map_or(0, |(_, seq)| seq).saturating_add(1),
            start_op: largest.saturating_add(1),
            time: to_seconds(at),
            others: Vec::new(),
            operations: Vec::new(),
        };
        let (raw, hash) = anatomy.write();
        let change = Change::try_from(raw.as_slice()).ok()?;
        self.document.apply_changes([change.clone()]).ok()?;
        self.has_change(&hash).then(|| local_change(change))
    }
}
