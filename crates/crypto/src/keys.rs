//! The keys of epochs, and what is derived from them: chunk keys, actors, links.

use rand_core::CryptoRng;
use vereda_base::{ActorBytes, ChainId, DeviceId, Digest, Incarnation, Link};

use crate::{
    Key32, WrapKeyPair, context,
    hash::{derive_key, hash, keyed_hash},
    sealed,
};

/// A document's key in one epoch: reads and writes the document's chunks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentEpochKey(Key32);

impl DocumentEpochKey {
    /// Draws the key of a new epoch.
    pub fn make(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        Self(Key32::make(rng))
    }

    /// Takes a key that was unwrapped or opened.
    pub const fn from_key(key: Key32) -> Self {
        Self(key)
    }

    /// Borrows the key, to wrap or seal it.
    pub const fn key(&self) -> &Key32 {
        &self.0
    }

    /// Commits to the key, as the chain's `Rotate` does.
    pub fn commitment(&self) -> Digest {
        sealed::commitment(&self.0)
    }

    /// Derives the key under which this epoch holds the key of the epoch before.
    pub fn derive_previous_key_seal(&self, chain: ChainId, epoch: u64) -> Key32 {
        derive_key(context::PREVIOUS_KEY, &self.0, &[chain.as_bytes(), &epoch.to_le_bytes()])
    }

    /// Derives the key of the document's presence messages.
    pub fn derive_ephemeral_key(&self, document: ChainId, epoch: u64) -> Key32 {
        derive_key(context::EPHEMERAL, &self.0, &[document.as_bytes(), &epoch.to_le_bytes()])
    }

    /// Derives the key that seals the names within the document's chain.
    pub fn derive_name_key(&self, chain: ChainId, epoch: u64) -> Key32 {
        derive_key(context::NAME_KEY, &self.0, &[chain.as_bytes(), &epoch.to_le_bytes()])
    }
}

/// A user's or team's secret in one epoch: opens what was wrapped or sealed to the group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupEpochSecret(Key32);

impl GroupEpochSecret {
    /// Draws the secret of a new epoch.
    pub fn make(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        Self(Key32::make(rng))
    }

    /// Takes a secret that was unwrapped.
    pub const fn from_key(key: Key32) -> Self {
        Self(key)
    }

    /// Borrows the secret, to wrap it.
    pub const fn key(&self) -> &Key32 {
        &self.0
    }

    /// Commits to the secret, as the chain's `Rotate` does.
    pub fn commitment(&self) -> Digest {
        sealed::commitment(&self.0)
    }

    /// Derives the group's wrapping key pair, whose public half stands in the chain.
    pub fn derive_wrap_key_pair(&self, chain: ChainId, epoch: u64) -> WrapKeyPair {
        WrapKeyPair::from_seed(&derive_key(context::WRAP_KEY_PAIR, &self.0, &[chain.as_bytes(), &epoch.to_le_bytes()]))
    }

    /// Derives the key under which a member seals document epoch keys to his own group.
    pub fn derive_wrap_key(&self, chain: ChainId, epoch: u64) -> Key32 {
        derive_key(context::EPOCH_WRAP, &self.0, &[chain.as_bytes(), &epoch.to_le_bytes()])
    }

    /// Derives the key under which this epoch holds the secret of the epoch before.
    pub fn derive_previous_key_seal(&self, chain: ChainId, epoch: u64) -> Key32 {
        derive_key(context::PREVIOUS_KEY, &self.0, &[chain.as_bytes(), &epoch.to_le_bytes()])
    }

    /// Derives the key that seals the names within the group's chain.
    pub fn derive_name_key(&self, chain: ChainId, epoch: u64) -> Key32 {
        derive_key(context::NAME_KEY, &self.0, &[chain.as_bytes(), &epoch.to_le_bytes()])
    }
}

/// What a chunk's key is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkKeyScope {
    /// Suite byte of the chunk.
    pub suite: u8,
    /// Kind of the chunk.
    pub kind: u8,
    /// The document.
    pub document: ChainId,
    /// The author's device.
    pub device: DeviceId,
    /// The incarnation of the author's store.
    pub incarnation: Incarnation,
    /// Position within (device, incarnation, document), from 0.
    pub seq: u64,
    /// The document's epoch.
    pub epoch: u64,
}

/// Derives the key of one chunk (protocol, chunks).
pub fn derive_chunk_key(epoch_key: &DocumentEpochKey, scope: &ChunkKeyScope) -> Key32 {
    derive_key(
        context::CHUNK_KEY,
        epoch_key.key(),
        &[
            &[scope.suite, scope.kind],
            scope.document.as_bytes(),
            scope.device.as_bytes(),
            &scope.incarnation.0.to_le_bytes(),
            &scope.seq.to_le_bytes(),
            &scope.epoch.to_le_bytes(),
        ],
    )
}

/// Derives the Automerge actor of a device in a document: whoever verified the chunk knows the author of every field.
pub fn derive_actor(device: DeviceId, incarnation: Incarnation, document: ChainId) -> ActorBytes {
    let parts: [&[u8]; 3] = [device.as_bytes(), &incarnation.0.to_le_bytes(), document.as_bytes()];
    let full = hash(context::ACTOR, &parts);
    let mut actor = [0; 16];
    actor.iter_mut().zip(full).for_each(|(to, from)| *to = from);
    ActorBytes(actor)
}

/// Hashes the count and the change hashes of a chunk, in the chunk's order, keyed from the document's *first* epoch:
/// equal through every later epoch, and no guess of a change can be checked without the key.
pub fn ops_root(first_epoch_key: &DocumentEpochKey, change_hashes: &[[u8; 32]]) -> Digest {
    let count = (change_hashes.len() as u64).to_le_bytes();
    Digest(keyed_hash(first_epoch_key.key(), context::OPS_ROOT, &[&count, change_hashes.as_flattened()]))
}

/// Derives a chunk's logical identity, independent of epoch and ciphertext (protocol, chunks).
///
/// `previous` is the link before it, of this incarnation or the last known of the one before; `deps` are the document's
/// heads that it builds on, in the order of the header (ascending, each once).
pub fn link(
    device: DeviceId,
    incarnation: Incarnation,
    document: ChainId,
    seq: u64,
    previous: Option<&Link>,
    deps: &[Link],
    ops_root: &Digest,
) -> Link {
    let previous: &[u8] = previous.map_or(&[], |link| link.as_bytes());
    let deps: Vec<u8> = deps.iter().flat_map(|link| link.0).collect();
    let incarnation = incarnation.0.to_le_bytes();
    let parts: [&[u8]; 7] = [
        device.as_bytes(),
        &incarnation,
        document.as_bytes(),
        &seq.to_le_bytes(),
        previous,
        &deps,
        ops_root.as_bytes(),
    ];
    Link(hash(context::LINK, &parts))
}

#[cfg(test)]
mod tests;
