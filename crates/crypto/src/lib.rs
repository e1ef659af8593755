//! Thin, typed uses of cryptographic libraries: hashing, signing, sealing, wrapping, passphrases and padding.
//!
//! Nothing is hashed, signed or sealed without a [`Context`] of its own; all of them are listed in [`context`].
//! Secrets are wiped when dropped, show nothing in `Debug` and are compared in constant time. Entropy is an argument.
//! This is suite 1 of the protocol (`docs/protocol`, keys and chunks).

pub mod context;
pub mod hash;
pub mod keys;
pub mod merkle;
pub mod padding;
pub mod passphrase;
pub mod sealed;
pub mod signed;
pub mod wrap;

pub use context::Context;
pub use hash::{derive_key, hash, keyed_hash};
pub use keys::{ChunkKeyScope, DocumentEpochKey, GroupEpochSecret, derive_actor, derive_chunk_key, link, ops_root};
pub use merkle::{Proof as MerkleProof, Tree as MerkleTree};
pub use padding::{PadError, UnpadError, pad, unpad};
pub use passphrase::{KdfError, KdfParams, KdfParamsError, derive_kek};
pub use sealed::{Key32, Nonce24, OpenError, commitment, commits_to, open, seal};
pub use signed::{DeviceKey, SignError, Signable, Signature, SignatureError, Signed, Verified, VerifyError, verify};
pub use wrap::{
    GROUP_WRAP_BYTES, WRAP_BYTES, WRAP_PUBLIC_KEY_BYTES, WrapError, WrapInfo, WrapKeyPair, WrapPublicKey,
    open_from_group, seal_for_group, unwrap_secret, wrap,
};

/// The suite byte that every signed or sealed object begins with: Ed25519, BLAKE3, XChaCha20-Poly1305, X-Wing.
pub const SUITE: u8 = 1;
