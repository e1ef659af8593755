//! From sealed chunks to the replica: commitment, opening, padding, admission, `ops_root`; all or nothing.

use vereda_base::{ActorBytes, Link};
use vereda_crypto::{
    DocumentEpochKey, Nonce24, OpenError, commits_to, derive_chunk_key, open, ops_root,
    padding::{UnpadError, unpad},
};
use vereda_document::{Expect, LocalChange, ParsedChunk, Refusal, frame};
use vereda_protocol::{Chunk, Header};

use super::{LocalEdit, OpenDocument, resealing::key_scope};

/// Stored edits that are applied together, at most.
const MAX_RUN: usize = 256;
const MAX_RUN_BYTES: usize = 256 << 10;

/// Why a chunk's content was refused. Ids, positions and sizes only.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ChunkFault {
    /// The chunk key that its author derived is not the one of this epoch.
    #[error("it does not commit to the key of its epoch")]
    Commitment,
    /// The ciphertext is not authentic.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The padding is not.
    #[error(transparent)]
    Unpad(#[from] UnpadError),
    /// Its changes are not admitted.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Its changes are not those that the header was signed over.
    #[error("its changes do not match the signed ops_root")]
    OpsRoot,
    /// It builds on a chunk that was refused or is not here.
    #[error("it builds on chunk {link}, which was refused or is not here")]
    Missing {
        /// The other chunk.
        link: Link,
    },
}

/// The keys that open a chunk.
pub(crate) struct ChunkKeys {
    /// Of the epoch that it is sealed under.
    pub(crate) epoch: DocumentEpochKey,
    /// Of the document's first epoch.
    pub(crate) first: DocumentEpochKey,
}

impl OpenDocument {
    /// Opens a chunk and applies it to the replica; a refused one leaves the document as it was.
    ///
    /// # Errors
    /// [`ChunkFault`] by cause.
    pub(crate) fn take_chunk(
        &mut self,
        chunk: &Chunk,
        header: &Header,
        actor: ActorBytes,
        keys: &ChunkKeys,
    ) -> Result<(), ChunkFault> {
        if let Some(link) = header.deps.iter().find(|link| !self.clocks.contains_key(link)) {
            return Err(ChunkFault::Missing { link: *link });
        }
        let key = derive_chunk_key(&keys.epoch, &key_scope(header));
        if !commits_to(&header.commitment, &key) {
            return Err(ChunkFault::Commitment);
        }
        let padded = open(&key, &Nonce24(*header.nonce), &header.associated_data(), &chunk.ciphertext)?;
        let covered = self.clock_of(header, actor);
        let context = self.replica.context(actor, header.first_change);
        let within = |hash: &[u8; 32]| {
            let place = self.places.get(hash);
            place.is_some_and(|(author, seq)| covered.get(author).is_some_and(|last| seq <= last))
        };
        let expect = Expect { context, first_seq: header.first_change, count: header.change_count, closure: &within };
        let parsed = ParsedChunk::parse(unpad(&padded)?, &expect)?;
        if ops_root(&keys.first, parsed.hashes()) != header.ops_root {
            return Err(ChunkFault::OpsRoot);
        }
        self.replica.apply(&parsed)?;
        for (hash, seq) in parsed.hashes().iter().zip(header.first_change..) {
            self.places.insert(*hash, (actor, seq));
        }
        self.note_chunk(header, actor);
        self.since_snapshot = self.since_snapshot.saturating_add(1);
        Ok(())
    }

    /// Applies edits that this device stored and no chunk holds yet, in order; many at once, because each time costs a
    /// copy of the replica.
    ///
    /// # Errors
    /// [`Refusal`] if one is not what this device wrote.
    pub(crate) fn take_edits(&mut self, edits: Vec<LocalEdit>) -> Result<(), Refusal> {
        let read = |(index, edit): (usize, LocalEdit)| {
            LocalChange::read(edit.bytes).map_err(|fault| Refusal::Change { index, fault })
        };
        let edits: Vec<LocalChange> = edits.into_iter().enumerate().map(read).collect::<Result<_, _>>()?;
        // The first of them may be in the snapshot.
        let held = edits.partition_point(|edit| self.places.contains_key(&edit.hash));
        let mut rest = edits.get(held..).unwrap_or_default();
        while !rest.is_empty() {
            let (run, after) = rest.split_at(run_of(rest));
            if let Err(refusal) = self.take_run(run) {
                // Together they may be more than a frame holds.
                if run.len() < 2 || !matches!(refusal, Refusal::Frame(_)) {
                    return Err(refusal);
                }
                run.chunks(1).try_for_each(|one| self.take_run(one))?;
            }
            rest = after;
        }
        self.edits.extend(edits);
        Ok(())
    }

    /// Applies edits whose changes follow one another.
    fn take_run(&mut self, run: &[LocalChange]) -> Result<(), Refusal> {
        let Some(first) = run.first() else { return Ok(()) };
        let actor = self.replica.actor();
        let context = self.replica.context(actor, first.seq);
        let bodies: Vec<&[u8]> = run.iter().map(|edit| edit.bytes.as_slice()).collect();
        let body = frame::encode(&bodies, &context, frame::Compression::Stored)?;
        let everything = |_: &[u8; 32]| true;
        let count = u32::try_from(run.len()).unwrap_or(u32::MAX);
        let expect = Expect { context, first_seq: first.seq, count, closure: &everything };
        let parsed = ParsedChunk::parse(&body, &expect)?;
        self.replica.apply(&parsed)?;
        for (hash, edit) in parsed.hashes().iter().zip(run) {
            self.places.insert(*hash, (actor, edit.seq));
        }
        self.since_snapshot = self.since_snapshot.saturating_add(count);
        Ok(())
    }
}

/// Counts the edits at the front that are applied together: their changes follow one another, and are not too much.
fn run_of(edits: &[LocalChange]) -> usize {
    let mut bytes = 0_usize;
    let mut next = None;
    let together = edits.iter().take(MAX_RUN).take_while(|edit| {
        bytes = bytes.saturating_add(edit.bytes.len());
        let follows = next.is_none_or(|next| next == edit.seq);
        let fits = next.is_none() || bytes <= MAX_RUN_BYTES;
        next = Some(edit.seq.saturating_add(1));
        follows && fits
    });
    together.count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_applied_together_as_far_as_they_follow_one_another_and_are_not_too_much() {
        let check = |edits: &[(u64, usize)], expected: usize| {
            let edit = |(seq, length): &(u64, usize)| LocalChange {
                hash: [0; 32],
                bytes: vec![0; *length],
                seq: *seq,
                deps: Vec::new(),
                operations: 1,
                time: vereda_base::Timestamp(0),
            };
            let edits: Vec<LocalChange> = edits.iter().map(edit).collect();
            assert_eq!(run_of(&edits), expected, "{edits:?}");
        };
        check(&[], 0);
        check(&[(5, MAX_RUN_BYTES + 1), (6, 1)], 1);
        check(&[(5, 9), (6, 9), (7, 9)], 3);
        check(&[(5, 9), (6, 9), (8, 9)], 2);
        check(&[(5, 9), (6, MAX_RUN_BYTES)], 1);
    }
}
