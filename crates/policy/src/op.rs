//! Operations of policy chains (protocol.md §3) and the receipts a relay gives for them.

use minicbor::{Decode, Encode, bytes::ByteArray};
use vereda_base::{ChainId, DeviceId, Digest, Link, OpId, Timestamp, limits};
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

/// What an operation does. Codes 18 and 19 are reserved for `Resume`: see [`crate::BodyCode`].
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub enum Body {
    /// Begins a chain, with its first members and its first epoch; complete offline.
    #[n(0)]
    Create(#[n(0)] Create),
    /// Adds a device to a user.
    #[n(1)]
    AddDevice(#[n(0)] AddDevice),
    /// Takes a device from a user.
    #[n(2)]
    RemoveDevice(#[n(0)] RemoveDevice),
    /// Gives a user, team or agency a role.
    #[n(3)]
    Grant(#[n(0)] Grant),
    /// Ends a member's roles, or lowers them.
    #[n(4)]
    Revoke(#[n(0)] Revoke),
    /// Moves a document: new holders, old ones no longer.
    #[n(5)]
    Assign(#[n(0)] Assign),
    /// Carries out an expiry that passed by the relay's clock.
    #[n(6)]
    Expire(#[n(0)] Expire),
    /// Offers a role to whoever holds a secret.
    #[n(7)]
    Invite(#[n(0)] Invite),
    /// Takes an invite up.
    #[n(8)]
    Accept(#[n(0)] Accept),
    /// Withdraws an invite.
    #[n(9)]
    CancelInvite(#[n(0)] CancelInvite),
    /// Begins a new epoch; grants nothing.
    #[n(10)]
    Rotate(#[n(0)] Rotate),
    /// Wraps the present epoch for members that lack it; grants nothing.
    #[n(11)]
    Repair(#[n(0)] Repair),
    /// Says that an epoch is not what it claims: the next one follows the last good one.
    #[n(12)]
    BadRotate(#[n(0)] BadRotate),
    /// Takes in what waits in review.
    #[n(13)]
    Adopt(#[n(0)] Adopt),
    /// Turns away what waits in review.
    #[n(14)]
    Discard(#[n(0)] Discard),
    /// States what a Manager's device knew, and when by its clock.
    #[n(15)]
    Beacon(#[n(0)] Beacon),
    /// Sets how long something is kept or may wait.
    #[n(16)]
    SetRetention(#[n(0)] SetRetention),
    /// Erases a document: nothing stands in it any more, and every holder deletes it.
    #[n(17)]
    Erase,
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
    /// For each member that stands after the operation (devices in a user's chain), in order of id: the epoch of its own
    /// that the key was wrapped to, 0 for a device; `None` where it was not.
    #[n(4)]
    pub targets: Vec<Option<u64>>,
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
    /// What the device may do.
    #[n(3)]
    pub kind: DeviceKind,
}

/// What a user's device may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum DeviceKind {
    /// Everything that its user may.
    #[n(0)]
    Full,
    /// A printed key: adds and removes devices of its user, and nothing else.
    #[n(1)]
    Recovery,
}

/// See [`Body::RemoveDevice`].
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct RemoveDevice {
    /// The device.
    #[n(0)]
    pub device: DeviceId,
    /// Up to where its work stands.
    #[n(1)]
    pub frontier: Frontier,
}

/// Up to where the work of the devices that a removal concerns stands: the root of a Merkle tree over
/// [`crate::Leaf`]s, which lie beside the chain. What no leaf names has nothing standing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Frontier {
    /// The root.
    #[n(0)]
    pub root: Digest,
    /// How many leaves.
    #[n(1)]
    pub count: u32,
}

/// See [`Body::Revoke`].
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Revoke {
    /// Whose roles end.
    #[n(0)]
    pub subject: ChainId,
    /// The role that is left; `None` for none.
    #[n(1)]
    pub keeps: Option<Role>,
    /// Who becomes Manager with it; needed where an agency would be left without one.
    #[n(2)]
    pub successor: Option<ChainId>,
    /// Up to where the work of the subject's devices stands.
    #[n(3)]
    pub frontier: Frontier,
}

/// See [`Body::Assign`].
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Assign {
    /// Who holds it from now on, beside those who stay; sorted, none twice.
    #[n(0)]
    pub gives: Vec<Member>,
    /// Whose roles end; sorted, none twice.
    #[n(1)]
    pub takes: Vec<ChainId>,
    /// The document's parents from now on; `None` leaves them.
    #[n(2)]
    pub parents: Option<Vec<Parent>>,
    /// What becomes of each section of a case; sorted by section. Each has a chain of its own, in which that is done.
    #[n(3)]
    pub sections: Vec<SectionFate>,
    /// Up to where the work of the devices whose roles end stands.
    #[n(4)]
    pub frontier: Frontier,
}

/// What becomes of a section when its case moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(array)]
pub struct SectionFate {
    /// The section's chain.
    #[n(0)]
    pub section: ChainId,
    /// Whether it goes with the case; else it stays with those who hold it.
    #[n(1)]
    pub goes: bool,
}

/// See [`Body::Expire`].
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Expire {
    /// Whose roles have expired. Those that have not stay.
    #[n(0)]
    pub subject: ChainId,
    /// Up to where the work of the subject's devices stands.
    #[n(1)]
    pub frontier: Frontier,
}

/// See [`Body::CancelInvite`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct CancelInvite {
    /// The `Invite` operation in this chain.
    #[n(0)]
    pub invite: OpId,
}

/// See [`Body::Rotate`].
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Rotate {
    /// The new epoch; its number is one above the newest.
    #[n(0)]
    pub epoch: Epoch,
    /// The epoch that it follows, whose key it holds sealed: the newest that nobody called bad.
    #[n(1)]
    pub follows: u64,
}

/// See [`Body::BadRotate`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct BadRotate {
    /// The epoch.
    #[n(0)]
    pub epoch: u64,
    /// What is wrong with it.
    #[n(1)]
    pub fault: EpochFault,
}

/// What is wrong with an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum EpochFault {
    /// The author's wrap does not open.
    #[n(0)]
    Wrap,
    /// What it opens to is not what the epoch commits to.
    #[n(1)]
    Commitment,
    /// The key before it is not the one that the author holds.
    #[n(2)]
    Previous,
}

/// See [`Body::Adopt`].
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Adopt {
    /// In a document's chain: the chunks; sorted, none twice, with all in review that they build on.
    #[n(0)]
    pub chunks: Vec<Link>,
    /// In a team's chain: whole documents that were begun meanwhile; sorted, none twice.
    #[n(1)]
    pub documents: Vec<AdoptedDocument>,
}

/// A document that enters by adoption.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(array)]
pub struct AdoptedDocument {
    /// Its chain.
    #[n(0)]
    pub document: ChainId,
    /// Who holds it, in place of those whom its `Create` names; sorted, none twice.
    #[n(1)]
    pub holders: Vec<Member>,
}

/// See [`Body::Discard`].
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Discard {
    /// In a document's chain: the chunks; sorted, none twice.
    #[n(0)]
    pub chunks: Vec<Link>,
    /// In a team's chain: whole documents; sorted, none twice.
    #[n(1)]
    pub documents: Vec<ChainId>,
    /// Why, sealed for the members.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub sealed_reason: Vec<u8>,
}

/// See [`Body::Beacon`].
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Beacon {
    /// When, by the author's clock.
    #[n(0)]
    pub time: Timestamp,
    /// Heads that the author knew; sorted by chain, none twice.
    #[n(1)]
    pub heads: Vec<Cite>,
}

/// See [`Body::SetRetention`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct SetRetention {
    /// Of what.
    #[n(0)]
    pub what: Retention,
    /// How long.
    #[n(1)]
    pub days: u32,
}

/// What is kept, or may wait, for a time that an agency sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum Retention {
    /// How long after a removal the review lane takes what the removed device still hands in.
    #[n(0)]
    Review,
    /// How old the newest beacon may be before devices warn.
    #[n(1)]
    Beacon,
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
    /// Whom they are for, in the list's order.
    #[n(2)]
    pub targets: Vec<Target>,
}

/// Whom a wrap is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(array)]
pub struct Target {
    /// Device id (in a user's chain) or chain id of the member.
    #[n(0)]
    pub recipient: Digest,
    /// The recipient's epoch; 0 for a device.
    #[n(1)]
    pub epoch: u64,
}

/// One wrap, beside the chain. Its canonical bytes are a leaf of the [`WrapList`]. In the list of a `Rotate` one wrap has
/// the chain itself as recipient: the key of the epoch that it follows, sealed under the new one, for all who read.
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
