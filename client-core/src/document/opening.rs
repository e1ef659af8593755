//! From sealed chunks to the replica: commitment, opening, padding, admission, `ops_root`; all or nothing.

use vereda_base::{ActorBytes, Link};
use vereda_crypto::{
    ChunkKeyScope, DocumentEpochKey, Nonce24, OpenError, commits_to, derive_chunk_key, open, ops_root,
    padding::{UnpadError, unpad},
};
use vereda_document::{Expect, ParsedChunk, Refusal, frame};
use vereda_protocol::{Chunk, Header};

use super::{LocalEdit, OpenDocument, sealing::kind_code};

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
        let scope = ChunkKeyScope {
            suite: header.suite,
            kind: kind_code(header.kind),
            document: header.document,
            device: header.device,
            incarnation: header.incarnation,
            seq: header.seq,
            epoch: header.epoch,
        };
        let key = derive_chunk_key(&keys.epoch, &scope);
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

    /// Applies an edit that this device stored and no chunk holds yet.
    ///
    /// # Errors
    /// [`Refusal`] if it is not what this device wrote.
    pub(crate) fn take_edit(&mut self, edit: LocalEdit) -> Result<(), Refusal> {
        let actor = self.replica.actor();
        let context = self.replica.context(actor, edit.seq);
        let body = frame::encode(&[&edit.bytes], &context, frame::Compression::default())?;
        let everything = |_: &[u8; 32]| true;
        let expect = Expect { context, first_seq: edit.seq, count: 1, closure: &everything };
        let parsed = ParsedChunk::parse(&body, &expect)?;
        self.replica.apply(&parsed)?;
        for hash in parsed.hashes() {
            self.places.insert(*hash, (actor, edit.seq));
        }
        self.edits.push(edit);
        Ok(())
    }
}
