//! Every purpose for which something is hashed, signed, derived or sealed, in one list.
//!
//! Two purposes never share a context, so that bytes made for one are worthless for another. A released purpose keeps
//! its text for ever; a new use gets a new line.

use std::fmt;

/// A purpose: the BLAKE3 derive-key context `vereda v1 <purpose>`. Made here only.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Context(&'static str);

impl Context {
    /// Borrows the whole text, `vereda v1 <purpose>`.
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Context({})", self.0)
    }
}

macro_rules! contexts {
    ($($(#[$doc:meta])* $name:ident = $purpose:literal;)*) => {
        $($(#[$doc])* pub const $name: Context = Context(concat!("vereda v1 ", $purpose));)*

        /// All contexts, in the order of their declaration.
        pub const ALL: &[Context] = &[$($name),*];
    };
}

contexts! {
    /// Id of a policy operation: the hash of its canonical bytes without the signature.
    OP_ID = "op id";
    /// Signature over a policy operation.
    OP_SIGNATURE = "op signature";
    /// Signature of a device that joins, over the operation that adds it.
    JOIN_SIGNATURE = "join signature";
    /// Signature by the one-time key of an invite, over the acceptance.
    INVITE_SIGNATURE = "invite signature";
    /// The one-time signing key of an invite, from its secret.
    INVITE_KEY = "invite key";
    /// Signature of the relay over its receipt for an operation.
    RECEIPT_SIGNATURE = "receipt signature";
    /// Signature of a Manager's device over heads and time.
    BEACON = "beacon";
    /// Signature of a device over the challenge of a relay, or of a peer.
    AUTH_SIGNATURE = "auth signature";
    /// Signature by the one-time key of an invite over the challenge of a relay, before the acceptance.
    INVITE_AUTH_SIGNATURE = "invite auth signature";
    /// The signing key with which an agency is founded at a relay, from the secret in the operator's link.
    FOUNDING_KEY = "founding key";
    /// Signature by the founding key over the challenge of a relay.
    FOUNDING_AUTH_SIGNATURE = "founding auth signature";
    /// Signature of the relay over both nonces of a session.
    WELCOME_SIGNATURE = "welcome signature";
    /// Signature over a presence message.
    EPHEMERAL_SIGNATURE = "ephemeral signature";
    /// Signature over a snapshot's attestation.
    ATTESTATION_SIGNATURE = "attestation signature";
    /// Signature over a chunk header.
    CHUNK_HEADER_SIGNATURE = "chunk header signature";
    /// Id of a chunk's bytes in transport: the hash of header and signature.
    CHUNK_ID = "chunk id";
    /// Logical identity of a chunk.
    LINK = "link";
    /// Hash over a chunk's change hashes, keyed.
    OPS_ROOT = "ops root";
    /// Key of one chunk, from its document's epoch key.
    CHUNK_KEY = "chunk key";
    /// Associated data of a chunk's ciphertext.
    CHUNK_SEAL = "chunk seal";
    /// Hash of the columns of lists, for which a device's lines were made.
    LIST_COLUMNS = "list columns";
    /// Hash of a ciphertext.
    CIPHERTEXT = "ciphertext";
    /// Commitment to a key.
    COMMITMENT = "commitment";
    /// Automerge actor of a device in a document.
    ACTOR = "actor";
    /// Name of an epoch in what its keys are bound to, from the commitment to its key: a chain's id is the hash of its
    /// first operation, which already holds what is bound.
    EPOCH_SCOPE = "epoch scope";
    /// HPKE `info` of a wrapped secret.
    WRAP_INFO = "wrap info";
    /// Wrapping key pair of a group's epoch, from its secret.
    WRAP_KEY_PAIR = "wrap key pair";
    /// Wrapping key pair of a device, from its seed.
    DEVICE_WRAP_KEY_PAIR = "device wrap key pair";
    /// Symmetric key of a group's epoch, under which document epoch keys are sealed to the group.
    EPOCH_WRAP = "epoch wrap";
    /// Associated data of a key sealed symmetrically.
    KEY_SEAL = "key seal";
    /// Key under which an epoch's key holds the key of the epoch before.
    PREVIOUS_KEY = "previous key";
    /// Hash of one sealed key or of a list of them.
    WRAP_LIST = "wrap list";
    /// Key of a document's presence messages in an epoch.
    EPHEMERAL = "ephemeral";
    /// Key that seals the names within a chain.
    NAME_KEY = "name key";
    /// Associated data of a sealed name.
    NAME_SEAL = "name seal";
    /// Key of an attachment's frame.
    ATTACHMENT_FRAME = "attachment frame";
    /// Leaf of a Merkle tree.
    MERKLE_LEAF = "merkle leaf";
    /// Inner node of a Merkle tree.
    MERKLE_NODE = "merkle node";
    /// Root of a Merkle tree, over count and topmost node.
    MERKLE_ROOT = "merkle root";
    /// Leaf of a frontier: hash(document or chain, device, incarnation).
    FRONTIER_LEAF = "frontier leaf";
    /// Key-encryption key of a vault, from passphrase and keystore.
    VAULT_KEK = "vault kek";
    /// Associated data of a vault's sealed data key.
    VAULT_SEAL = "vault seal";
    /// Hashed key of a row at rest.
    ROW_KEY = "row key";
    /// Key that seals rows at rest.
    ROW_SEAL = "row seal";
    /// Associated data of a device's own row: its signing and wrapping keys.
    DEVICE_ROW = "device row";
    /// Subkey at rest that holds document keys, re-made on revocation.
    DOCUMENT_KEYS_SUBKEY = "document keys subkey";
    /// Digest of replicas, to compare devices.
    REPLICA_DIGEST = "replica digest";
    /// Code that two screens show while a device is linked.
    LINKING_CODE = "linking code";
    /// What the keys of a printed recovery key are derived from, from the secret on paper.
    RECOVERY_SECRET = "recovery secret";
    /// Signing key of a recovery key.
    RECOVERY_SIGNING_KEY = "recovery signing key";
    /// Wrapping key pair of a recovery key.
    RECOVERY_WRAP_KEY_PAIR = "recovery wrap key pair";
    /// Checksum of a printed recovery key.
    RECOVERY_CHECK = "recovery check";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn all_contexts_are_distinct_and_well_formed() {
        let texts: BTreeSet<&str> = ALL.iter().map(|context| context.as_str()).collect();
        assert_eq!(texts.len(), ALL.len());
        for text in texts {
            let purpose = text.strip_prefix("vereda v1 ").unwrap();
            assert!(!purpose.is_empty() && purpose.chars().all(|c| c == ' ' || c.is_ascii_lowercase()), "{text}");
        }
    }
}
