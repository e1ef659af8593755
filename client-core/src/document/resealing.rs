//! One's own chunk sealed again: the same changes and the same link, under a newer key or newer heads.

use rand_core::CryptoRng;
use vereda_base::Digest;
use vereda_crypto::{
    ChunkKeyScope, DeviceKey, DocumentEpochKey, Nonce24, OpenError, SignError, Verified, commitment, context,
    derive_chunk_key, hash, open, seal,
};
use vereda_policy::Cite;
use vereda_protocol::{Chunk, Header};

use super::sealing::kind_code;

/// Under what a chunk is sealed again.
pub(crate) struct Resealing<'a> {
    /// Signs.
    pub(crate) key: &'a DeviceKey,
    /// The epoch.
    pub(crate) epoch: u64,
    /// Its key.
    pub(crate) epoch_key: &'a DocumentEpochKey,
    /// Heads relied on.
    pub(crate) cites: Vec<Cite>,
}

/// Why a chunk was not sealed again.
#[derive(Debug, thiserror::Error)]
pub enum ResealError {
    /// It does not open.
    #[error("it does not open under the key that it was sealed under: {0}")]
    Open(#[from] OpenError),
    /// The header was not signed.
    #[error(transparent)]
    Sign(#[from] SignError),
}

/// Seals the content of an own chunk again.
///
/// # Errors
/// [`ResealError`] by cause.
pub(crate) fn reseal(
    chunk: &Chunk,
    header: &Header,
    sealed_under: &DocumentEpochKey,
    again: Resealing<'_>,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<Chunk, ResealError> {
    let old_key = derive_chunk_key(sealed_under, &key_scope(header));
    let padded = open(&old_key, &Nonce24(*header.nonce), &header.associated_data(), &chunk.ciphertext)?;
    let padded = zeroize::Zeroizing::new(padded);
    let mut header = Header { epoch: again.epoch, cites: again.cites, ..header.clone() };
    let (key, nonce) = (derive_chunk_key(again.epoch_key, &key_scope(&header)), Nonce24::make(rng));
    header.commitment = commitment(&key);
    header.nonce = nonce.0.into();
    let ciphertext = seal(&key, &nonce, &header.associated_data(), &padded);
    header.ciphertext_hash = Digest(hash(context::CIPHERTEXT, &[&ciphertext]));
    Ok(Chunk { header: Verified::sign(again.key, header)?.into_signed(), ciphertext })
}

/// Tells what the key of a chunk is bound to.
pub(super) const fn key_scope(header: &Header) -> ChunkKeyScope {
    ChunkKeyScope {
        suite: header.suite,
        kind: kind_code(header.kind),
        document: header.document,
        device: header.device,
        incarnation: header.incarnation,
        seq: header.seq,
        epoch: header.epoch,
    }
}
