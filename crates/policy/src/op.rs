//! Operations of policy chains (protocol.md §3) and the receipts a relay gives for them.

use minicbor::{Decode, Encode, bytes::ByteArray};
use vereda_base::{ChainId, DeviceId, Digest, OpId, Timestamp, limits};
use vereda_crypto::{Context, Signable, Signature, WrapPublicKey, context};

use crate::role::{ChainKind, DocumentKind, ParentAuthority, Role};

/// The only suite there is: Ed25519, X-Wing HPKE, XChaCha20-Poly1305, BLAKE3.
pub const SUITE: u8 = 1;

/// The head of another chain that an author knew and relies on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(array)]
pub struct Cite {
    /// The chain.
    #[n(0)]
    pub chain: ChainId,
    /// The id of its newest operation known to the author.
    #[n(1)]
    pub head: OpId,
}

/// One operation of a policy chain.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Op {
    /// [`SUITE`].
    #[n(0)]
    pub suite: u8,
    /// The chain; `None` in a `Create`, whose own id becomes the chain's.
    #[n(1)]
    pub chain: Option<ChainId>,
    /// Position in the chain, from 0.
    #[n(2)]
    pub seq: u64,
    /// The operation before; `None` in a `Create`.
    #[n(3)]
    pub prev: Option<OpId>,
    /// The author.
    #[n(4)]
    pub device: DeviceId,
    /// Heads of the other chains on one path that proves the author's authority, sorted by chain, no chain twice. The
    /// author's own user chain first needs no place here in that user's own chain.
    #[n(5)]
    pub cites: Vec<Cite>,
    /// What is done.
    #[n(6)]
    pub body: Body,
}

/// What an operation does. Codes 2, 4 to 6, 9, 10 and 12 to 19 are reserved for `RemoveDevice`, `Revoke`, `Assign`,
/// `Expire`, `CancelInvite`, `Rotate`, `BadRotate`, `Adopt`, `Discard`, `Beacon`, `SetRetention`, `Erase` and `Resume`:
/// see [`crate::BodyCode`].
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub enum Body {
    /// Begins a chain, with its first members and its first epoch; complete offline.
    #[n(0)]
    Create(#[n(0)] Create),
    /// Adds a device to a user.
    #[n(1)]
    AddDevice(#[n(0)] AddDevice),
    /// Gives a user, team or agency a role.
    #[n(3)]
    Grant(#[n(0)] Grant),
    /// Offers a role to whoever holds a secret.
    #[n(7)]
    Invite(#[n(0)] Invite),
    /// Takes an invite up.
    #[n(8)]
    Accept(#[n(0)] Accept),
    /// Wraps the present epoch for members that lack it; grants nothing.
    #[n(11)]
    Repair(#[n(0)] Repair),
}

/// See [`Body::Create`].
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Create {
    /// What the chain is the policy of.
    #[n(0)]
    pub kind: ChainKind,
    /// What the document holds; present exactly for documents.
    #[n(1)]
    pub document: Option<DocumentKind>,
    /// Makes two otherwise equal chains differ.
    #[n(2)]
    pub nonce: ByteArray<16>,
    /// Chains whose Managers have authority here, sorted, none twice.
    #[n(3)]
    pub parents: Vec<Parent>,
    /// First members, sorted, none twice; empty for a user.
    #[n(4)]
    pub members: Vec<Member>,
    /// The first device's wrapping key; present exactly for users.
    #[n(5)]
    pub wrapping_key: Option<WrapPublicKey>,
    /// The first epoch (number 0).
    #[n(6)]
    pub epoch: Epoch,
}

/// A parent chain and what its Managers may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(array)]
pub struct Parent {
    /// The parent.
    #[n(0)]
    pub chain: ChainId,
    /// What its Managers may do.
    #[n(1)]
    pub authority: ParentAuthority,
}

/// A member and its role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(array)]
pub struct Member {
    /// The user, team or agency.
    #[n(0)]
    pub subject: ChainId,
    /// Its role.
    #[n(1)]
    pub role: Role,
}

/// The public side of a key epoch.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Epoch {
    /// Public half of a group's epoch secret; `None` for documents, whose epoch key is symmetric.
    #[n(0)]
    pub public_key: Option<WrapPublicKey>,
    /// Commitment to the epoch's key or secret.
    #[n(1)]
    pub commitment: Digest,
    /// The list of wraps made with the epoch.
    #[n(2)]
    pub wraps: WrapList,
    /// Hash of the sealed previous key; `None` in a first epoch.
    #[n(3)]
    pub previous: Option<Digest>,
}

/// Commitment to a list of wraps that lie beside the chain: each recipient fetches only its own, with a Merkle proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct WrapList {
    /// Merkle root over the wraps' canonical bytes, in order of recipient.
    #[n(0)]
    pub root: Digest,
    /// How many wraps.
    #[n(1)]
    pub count: u32,
}

/// See [`Body::AddDevice`].
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct AddDevice {
    /// The new device.
    #[n(0)]
    pub device: DeviceId,
    /// Its wrapping key.
    #[n(1)]
    pub wrapping_key: WrapPublicKey,
    /// The new device's signature, under [`context::JOIN_SIGNATURE`], over a [`crate::JoinProof`].
    #[n(2)]
    pub proof: Signature,
}

/// See [`Body::Grant`].
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Grant {
    /// Who gets the role.
    #[n(0)]
    pub subject: ChainId,
    /// The role.
    #[n(1)]
    pub role: Role,
    /// When it ends; `None` for no end.
    #[n(2)]
    pub expires: Option<Timestamp>,
    /// Why, sealed for the members.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub sealed_purpose: Option<Vec<u8>>,
}

/// See [`Body::Invite`].
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Invite {
    /// One-time Ed25519 public key; its secret is in the link.
    #[n(0)]
    pub key: DeviceId,
    /// The role offered.
    #[n(1)]
    pub role: Role,
    /// A receipt must precede this.
    #[n(2)]
    pub expires: Timestamp,
}

/// See [`Body::Accept`]. The author is a device of `user`; the receipt must precede the invite's expiry.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Accept {
    /// The `Invite` operation in this chain.
    #[n(0)]
    pub invite: OpId,
    /// Who joins.
    #[n(1)]
    pub user: ChainId,
    /// The invite key's signature, under [`context::INVITE_SIGNATURE`], over an [`crate::InviteProof`].
    #[n(2)]
    pub proof: Signature,
}

/// See [`Body::Repair`].
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Repair {
    /// The epoch whose key is wrapped.
    #[n(0)]
    pub epoch: u64,
    /// The new wraps.
    #[n(1)]
    pub wraps: WrapList,
}

/// One wrap, beside the chain. Its canonical bytes are a leaf of the [`WrapList`].
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Wrap {
    /// Device id (in a user's chain) or chain id of the member.
    #[n(0)]
    pub recipient: Digest,
    /// The recipient's epoch; 0 for a device.
    #[n(1)]
    pub recipient_epoch: u64,
    /// The key, wrapped.
    #[n(2)]
    pub key: WrappedKey,
}

/// How a key is wrapped.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub enum WrappedKey {
    /// HPKE to the recipient's X-Wing key (1,168 B).
    #[n(0)]
    Hpke(#[cbor(n(0), with = "minicbor::bytes")] Vec<u8>),
    /// Sealed under a key derived from the recipient's epoch secret, which the author holds (72 B).
    #[n(1)]
    Group(#[cbor(n(0), with = "minicbor::bytes")] Vec<u8>),
}

impl Signable for Op {
    const CONTEXT: Context = context::OP_SIGNATURE;
    const MAX_BYTES: usize = limits::MAX_OP_BYTES;

    fn signer(&self) -> DeviceId {
        self.device
    }
}

/// A relay's signed word that it appended an operation. Two receipts for one (chain, seq) prove a fork.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Receipt {
    /// [`SUITE`].
    #[n(0)]
    pub suite: u8,
    /// The relay's key.
    #[n(1)]
    pub relay: DeviceId,
    /// Renewed whenever the relay was restored.
    #[n(2)]
    pub relay_epoch: u64,
    /// The chain.
    #[n(3)]
    pub chain: ChainId,
    /// Position in the chain.
    #[n(4)]
    pub seq: u64,
    /// The operation.
    #[n(5)]
    pub op: OpId,
    /// When, by the relay's clock; never decreasing along a chain.
    #[n(6)]
    pub time: Timestamp,
}

impl Signable for Receipt {
    const CONTEXT: Context = context::RECEIPT_SIGNATURE;
    const MAX_BYTES: usize = 256;

    fn signer(&self) -> DeviceId {
        self.relay
    }
}
