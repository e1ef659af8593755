//! Operations that give access.

use minicbor::{Decode, Encode};
use vereda_base::{ChainId, DeviceId, OpId, Timestamp};
use vereda_crypto::{Signature, WrapPublicKey};

use crate::Role;

/// See [`crate::Body::AddDevice`].
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct AddDevice {
    /// The new device.
    #[n(0)]
    pub device: DeviceId,
    /// Its wrapping key.
    #[n(1)]
    pub wrapping_key: WrapPublicKey,
    /// The new device's signature, under [`vereda_crypto::context::JOIN_SIGNATURE`], over a [`crate::JoinProof`].
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

/// See [`crate::Body::Grant`].
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

/// See [`crate::Body::Invite`].
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

/// See [`crate::Body::Accept`]. The author is a device of `user`; the receipt must precede the invite's expiry.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Accept {
    /// The `Invite` operation in this chain.
    #[n(0)]
    pub invite: OpId,
    /// Who joins.
    #[n(1)]
    pub user: ChainId,
    /// The invite key's signature, under [`vereda_crypto::context::INVITE_SIGNATURE`], over an [`crate::InviteProof`].
    #[n(2)]
    pub proof: Signature,
}

/// See [`crate::Body::CancelInvite`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct CancelInvite {
    /// The `Invite` operation in this chain.
    #[n(0)]
    pub invite: OpId,
}
