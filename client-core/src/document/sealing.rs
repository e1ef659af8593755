//! From edits to sealed chunks: at first send all edits of a document go into as few chunks as hold them
//! (protocol.md §5).

use std::collections::BTreeSet;

use rand_core::CryptoRng;
use vereda_base::{ActorBytes, Digest, Incarnation, Link, limits::MAX_DEPS};
use vereda_crypto::{
    ChunkKeyScope, DeviceKey, Nonce24, SignError, Verified, commitment, context, derive_chunk_key, hash, ops_root,
    padding::{PadError, pad},
    seal,
    sealed::TAG_BYTES,
};
use vereda_document::{LocalChange, frame, frame::FrameError};
use vereda_policy::{Cite, SUITE};
use vereda_protocol::{Chunk, ChunkKind, Header};

use super::{ChunkKeys, OpenDocument};

/// Raw bytes of changes in one chunk: any frame of so many surely fits a ciphertext, compressed or not.
const MAX_RAW_BYTES: usize = 600 << 10;

/// What sealing needs beside the document.
pub(crate) struct SealInputs<'a> {
    /// Signs.
    pub(crate) key: &'a DeviceKey,
    /// The store's incarnation.
    pub(crate) incarnation: Incarnation,
    /// The document's newest epoch.
    pub(crate) epoch: u64,
    /// Its key, and that of the first epoch.
    pub(crate) keys: &'a ChunkKeys,
    /// Heads relied on.
    pub(crate) cites: Vec<Cite>,
    /// Position of the next chunk.
    pub(crate) seq: u64,
    /// The link before it.
    pub(crate) prev: Option<Link>,
}

/// Why edits were not sealed. Sizes and ids only.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// They do not make a frame.
    #[error("edits do not make a chunk: {0}")]
    Frame(#[from] FrameError),
    /// One edit alone is too large.
    #[error("one edit is too large for a chunk: {0}")]
    Pad(#[from] PadError),
    /// The header was not signed.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The edits build on more chunk heads than a header may name.
    #[error("edits build on {found} chunk heads where at most {MAX_DEPS} are allowed")]
    TooManyDeps {
        /// How many.
        found: usize,
    },
}

impl OpenDocument {
    /// Seals all edits that no chunk holds yet, and notes the chunks as taken in. The caller commits the chunks together
    /// with the removal of the edits' rows.
    ///
    /// # Errors
    /// [`SealError`]; the document is then to be dropped and loaded anew.
    pub(crate) fn seal_edits(
        &mut self,
        mut inputs: SealInputs<'_>,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Vec<Chunk>, SealError> {
        let edits = std::mem::take(&mut self.edits);
        let sizes: Vec<(usize, usize)> = edits.iter().map(|change| (change.bytes.len(), change.operations)).collect();
        let mut rest = edits.as_slice();
        let mut chunks = Vec::new();
        for count in frame::split(&sizes, MAX_RAW_BYTES) {
            let Some((fitting, after)) = rest.split_at_checked(count) else { break };
            rest = after;
            for run in runs_within_deps(fitting) {
                let (chunk, header) = self.seal_run(run, &inputs, rng)?;
                self.note_chunk(&header, self.replica.actor());
                inputs.seq = inputs.seq.saturating_add(1);
                inputs.prev = Some(header.link());
                chunks.push(chunk);
            }
        }
        Ok(chunks)
    }

    fn seal_run(
        &self,
        run: &[LocalChange],
        inputs: &SealInputs<'_>,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(Chunk, Header), SealError> {
        let deps = self.heads_below(run);
        if deps.len() > MAX_DEPS {
            return Err(SealError::TooManyDeps { found: deps.len() });
        }
        let bodies: Vec<&[u8]> = run.iter().map(|change| change.bytes.as_slice()).collect();
        let hashes: Vec<[u8; 32]> = run.iter().map(|change| change.hash).collect();
        let first_change = run.first().map_or(1, |change| change.seq);
        let context = self.replica.context(self.replica.actor(), first_change);
        let padded = pad(&frame::encode(&bodies, &context, frame::Compression::default())?)?;
        let kind = ChunkKind::Changes;
        let scope = ChunkKeyScope {
            suite: SUITE,
            kind: kind_code(kind),
            document: self.document,
            device: inputs.key.device_id(),
            incarnation: inputs.incarnation,
            seq: inputs.seq,
            epoch: inputs.epoch,
        };
        let (key, nonce) = (derive_chunk_key(&inputs.keys.epoch, &scope), Nonce24::make(rng));
        let mut header = Header {
            suite: SUITE,
            kind,
            document: self.document,
            epoch: inputs.epoch,
            device: scope.device,
            incarnation: inputs.incarnation,
            seq: inputs.seq,
            prev: inputs.prev,
            deps,
            cites: inputs.cites.clone(),
            first_change,
            change_count: u32::try_from(hashes.len()).unwrap_or(u32::MAX),
            // Known before sealing, and part of the associated data.
            ciphertext_len: u32::try_from(padded.len() + TAG_BYTES).unwrap_or(u32::MAX),
            ciphertext_hash: Digest([0; 32]),
            commitment: commitment(&key),
            nonce: nonce.0.into(),
            ops_root: ops_root(&inputs.keys.first, &hashes),
        };
        let ciphertext = seal(&key, &nonce, &header.associated_data(), &padded);
        header.ciphertext_hash = Digest(hash(context::CIPHERTEXT, &[&ciphertext]));
        let signed = Verified::sign(inputs.key, header)?;
        let header = signed.value().clone();
        Ok((Chunk { header: signed.into_signed(), ciphertext }, header))
    }

    /// Finds the chunks that a run of own changes builds on, without those that another of them builds on; ascending.
    fn heads_below(&self, run: &[LocalChange]) -> Vec<Link> {
        let within: BTreeSet<&[u8; 32]> = run.iter().map(|change| &change.hash).collect();
        let outside = run.iter().flat_map(|change| &change.deps).filter(|dep| !within.contains(dep));
        let places = outside.filter_map(|hash| self.places.get(hash));
        let links: BTreeSet<Link> = places.filter_map(|(actor, seq)| self.chunk_of(*actor, *seq)).collect();
        let is_covered = |link: &Link| {
            let Some(own) = self.clocks.get(link) else { return false };
            links.iter().filter(|other| *other != link).filter_map(|other| self.clocks.get(other)).any(|other| {
                own != other && own.iter().all(|(actor, seq): (&ActorBytes, &u64)| other.get(actor) >= Some(seq))
            })
        };
        links.iter().filter(|link| !is_covered(link)).copied().collect()
    }
}

/// Splits edits that follow one another into runs that build on no more changes of others than a header may name chunks:
/// one edit alone never does.
fn runs_within_deps(edits: &[LocalChange]) -> Vec<&[LocalChange]> {
    let (mut runs, mut rest) = (Vec::new(), edits);
    while !rest.is_empty() {
        let mut within: BTreeSet<[u8; 32]> = BTreeSet::new();
        let mut outside: BTreeSet<[u8; 32]> = BTreeSet::new();
        let fits = |change: &&LocalChange| {
            outside.extend(change.deps.iter().filter(|dep| !within.contains(*dep)));
            within.insert(change.hash);
            outside.len() <= MAX_DEPS
        };
        let count = rest.iter().take_while(fits).count().max(1);
        let (run, after) = rest.split_at_checked(count).unwrap_or((rest, &[]));
        runs.push(run);
        rest = after;
    }
    runs
}

/// The number of a kind, as the header's encoding has it.
pub(super) const fn kind_code(kind: ChunkKind) -> u8 {
    match kind {
        ChunkKind::Changes => 0,
    }
}
