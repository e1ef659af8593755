//! One device's replica of one record: an opened Automerge document.

use std::panic::{AssertUnwindSafe, catch_unwind};

use automerge::{Automerge, Change, LoadOptions, OnPartialLoad, ReadDoc, SaveOptions, TextEncoding, VerificationMode};
use vereda_base::{ActorBytes, Timestamp};

use crate::{
    admission::{ParsedChunk, Refusal, Standing},
    anatomy::{self, Anatomy, ChangeFault},
    frame::Context,
    saved::{self, SavedFault},
    shape::{Roots, actor_id},
};

/// A replica of one record's document, writing under one actor.
///
/// Every change it makes is under the actor it was opened with: nothing here forks, isolates or sets an author, which
/// would commit under another.
#[derive(Debug, Clone)]
pub struct Replica {
    pub(crate) document: Automerge,
    pub(crate) roots: Option<Roots>,
    actor: ActorBytes,
}

/// A change that this replica made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalChange {
    /// Hash, as in `ops_root` and in dependencies.
    pub hash: [u8; 32],
    /// Raw bytes, never deflated: what [`crate::frame::encode`] takes.
    pub bytes: Vec<u8>,
    /// Seq under this actor, from 1 without gaps.
    pub seq: u64,
    /// Hashes of the changes it builds on.
    pub deps: Vec<[u8; 32]>,
    /// Operations in it.
    pub operations: usize,
    /// When, by the clock of the device; whole seconds.
    pub time: Timestamp,
}

impl LocalChange {
    /// Reads a change from the bytes that were stored of it.
    ///
    /// # Errors
    /// [`ChangeFault`] if they are not those of a change.
    pub fn read(bytes: Vec<u8>) -> Result<Self, ChangeFault> {
        let anatomy = Anatomy::read(&bytes)?;
        Ok(Self {
            hash: anatomy::hash(&bytes)?,
            bytes,
            seq: anatomy.seq,
            deps: anatomy.deps,
            operations: anatomy.operations.len(),
            time: from_seconds(anatomy.time),
        })
    }
}

/// What applying a chunk did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// Changes that were new.
    pub new: usize,
    /// Changes that the replica held before.
    pub known: usize,
    /// Heads after it, ascending.
    pub heads: Vec<[u8; 32]>,
}

/// Why saved bytes were not opened. The bytes are not at fault for anything else that is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// Not a document as [`Replica::save`] writes it.
    #[error("saved document refused: {0}")]
    Saved(#[from] SavedFault),
    /// Automerge returned an error.
    #[error("saved document of {bytes} bytes is corrupt")]
    Corrupt {
        /// Length, in bytes.
        bytes: usize,
    },
    /// Automerge panicked.
    #[error("saved document of {bytes} bytes made the reader panic")]
    Panicked {
        /// Length, in bytes.
        bytes: usize,
    },
}

impl Replica {
    /// Opens an empty replica, for a document that another device created: it can apply chunks, and refuses edits until
    /// it holds the creating change.
    pub fn empty(actor: ActorBytes) -> Self {
        let document = Automerge::new_with_encoding(TextEncoding::UnicodeCodePoint).with_actor(actor_id(actor));
        Self { document, roots: None, actor }
    }

    /// Opens a replica from what [`Self::save`] wrote. On native targets a panic in the reader is caught; where a panic
    /// aborts, note the document's id first.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub fn load(saved: &[u8], actor: ActorBytes) -> Result<Self, LoadError> {
        saved::check(saved)?;
        let bytes = saved.len();
        let loaded = catch_unwind(|| {
            let options = LoadOptions::new()
                .on_partial_load(OnPartialLoad::Error)
                .verification_mode(VerificationMode::Check)
                .text_encoding(TextEncoding::UnicodeCodePoint);
            let document = Automerge::load_with_options(saved, options).ok()?.with_actor(actor_id(actor));
            let roots = Roots::of(&document);
            Some(Self { document, roots, actor })
        });
        loaded.map_err(|_| LoadError::Panicked { bytes })?.ok_or(LoadError::Corrupt { bytes })
    }

    /// Saves the whole document, without compression and without changes that it has not applied.
    pub fn save(&self) -> Vec<u8> {
        self.document.save_with_options(SaveOptions { deflate: false, retain_orphans: false })
    }

    /// Looks the root maps up, after they may have been made.
    pub(crate) fn find_roots(&mut self) {
        self.roots = Roots::of(&self.document);
    }

    /// Returns the actor that this replica writes under.
    pub const fn actor(&self) -> ActorBytes {
        self.actor
    }

    /// Tells whether the creating change is here, so that the record can be read and edited.
    pub const fn is_created(&self) -> bool {
        self.roots.is_some()
    }

    /// Returns the heads, ascending.
    pub fn heads(&self) -> Vec<[u8; 32]> {
        self.document.get_heads().iter().map(|hash| hash.0).collect()
    }

    /// Tells whether a change is in this replica.
    pub fn has_change(&self, hash: &[u8; 32]) -> bool {
        self.document.get_change_meta_by_hash(&automerge::ChangeHash(*hash)).is_some()
    }

    /// Returns the raw bytes of a change.
    pub fn change_bytes(&self, hash: &[u8; 32]) -> Option<Vec<u8>> {
        Some(self.document.get_change_by_hash(&automerge::ChangeHash(*hash))?.raw_bytes().to_vec())
    }

    /// Returns what both sides know before a chunk of an author that begins with a seq: for [`crate::frame::encode`]
    /// and for [`crate::Expect`]. Complete once the author's earlier chunks are applied.
    pub fn context(&self, author: ActorBytes, first_seq: u64) -> Context {
        let creator = match self.roots.as_ref().map(|roots| &roots.meta) {
            Some(automerge::ObjId::Id(_, actor, _)) => actor.to_bytes().try_into().map(ActorBytes).ok(),
            _ => None,
        };
        let previous = first_seq.checked_sub(1).filter(|seq| *seq > 0).and_then(|seq| {
            let metas = self.document.get_changes_meta(&[]);
            let previous = metas.iter().find(|meta| meta.seq == seq && meta.actor.to_bytes() == author.0)?;
            Some(previous.hash.0)
        });
        Context { author, creator: creator.unwrap_or(author), previous }
    }

    /// Returns the changes that this replica's actor made, from a seq on, in order.
    pub fn own_changes(&self, from_seq: u64) -> Vec<LocalChange> {
        let own = |meta: &automerge::ChangeMetadata<'_>| meta.actor.to_bytes() == self.actor.0 && meta.seq >= from_seq;
        let mut hashes: Vec<_> =
            self.document.get_changes_meta(&[]).into_iter().filter(own).map(|meta| (meta.seq, meta.hash)).collect();
        hashes.sort_unstable_by_key(|(seq, _)| *seq);
        hashes.iter().filter_map(|(_, hash)| self.document.get_change_by_hash(hash)).map(local_change).collect()
    }

    /// Applies a chunk, all or nothing: a refused chunk leaves the replica as it was, and no change is ever parked.
    ///
    /// # Errors
    /// See [`Refusal`]. On native targets a panic is caught and refused.
    pub fn apply(&mut self, chunk: &ParsedChunk) -> Result<Applied, Refusal> {
        let copy = (self.document.clone(), self.roots.clone());
        // The copy is thrown away where anything goes wrong, so no half-applied state can be seen.
        let result = catch_unwind(AssertUnwindSafe(|| apply_to(copy, chunk)));
        let (document, roots, new) = result.map_err(|_| Refusal::Panicked)??;
        (self.document, self.roots) = (document, roots);
        Ok(Applied { new, known: chunk.changes.len().saturating_sub(new), heads: self.heads() })
    }
}

type Copy = (Automerge, Option<Roots>);

fn apply_to(
    (mut document, mut roots): Copy,
    chunk: &ParsedChunk,
) -> Result<(Automerge, Option<Roots>, usize), Refusal> {
    let mut standing = Standing::new(&document, roots.as_ref());
    for (index, change) in chunk.changes.iter().enumerate() {
        standing.check(change, index)?;
    }
    let new = standing.into_changes();
    let known = chunk.changes.len().saturating_sub(new.len());
    let mut changes = Vec::with_capacity(new.len());
    for (change, index) in new.iter().zip(known..) {
        let parsed = Change::try_from(change.raw.as_slice()).map_err(|_| Refusal::Document { index })?;
        if parsed.hash().0 != change.hash {
            return Err(Refusal::Document { index });
        }
        changes.push(parsed);
    }
    document.apply_changes(changes).map_err(|error| refusal(&error, chunk))?;
    for (change, index) in new.iter().zip(known..) {
        // A change that was parked instead of applied would be missing here.
        if document.get_change_meta_by_hash(&automerge::ChangeHash(change.hash)).is_none() {
            return Err(Refusal::MissingDependency { index });
        }
    }
    let new = new.len();
    if roots.is_none() {
        roots = Some(Roots::of(&document).ok_or(Refusal::Roots { index: known })?);
    }
    Ok((document, roots, new))
}

fn refusal(error: &automerge::AutomergeError, chunk: &ParsedChunk) -> Refusal {
    match error {
        automerge::AutomergeError::DuplicateSeqNumber(seq, _) => {
            let index = chunk.changes.iter().position(|change| change.anatomy.seq == *seq).unwrap_or_default();
            Refusal::DuplicateSequence { index, seq: *seq }
        }
        _ => Refusal::Document { index: 0 },
    }
}

pub(crate) fn local_change(change: Change) -> LocalChange {
    LocalChange {
        hash: change.hash().0,
        bytes: change.raw_bytes().to_vec(),
        seq: change.seq(),
        deps: change.deps().iter().map(|dep| dep.0).collect(),
        operations: change.len(),
        time: from_seconds(change.timestamp()),
    }
}

/// Automerge keeps whole seconds, its own convention: a second's digits cost bytes in every change.
pub(crate) const fn to_seconds(time: Timestamp) -> i64 {
    time.0.div_euclid(1_000)
}

pub(crate) const fn from_seconds(seconds: i64) -> Timestamp {
    Timestamp(seconds.saturating_mul(1_000))
}
