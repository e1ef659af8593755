//! Proofs of possession that operations carry, and the proof type of what policy allowed.

use std::fmt;

use minicbor::{Decode, Encode};
use vereda_base::{ChainId, DeviceId, OpId};
use vereda_crypto::{DeviceKey, Signature, Signed, Verified, WrapPublicKey, context};

use crate::{AddDevice, AdoptedDocument, DeviceKind, Op, id::verified_op_id};

/// A verified value whose author was found entitled to it. Only this crate makes one; a store accepts nothing less.
#[derive(Clone, PartialEq, Eq)]
pub struct Authorized<T> {
    verified: Verified<T>,
    adopted: Option<AdoptedDocument>,
}

impl<T> Authorized<T> {
    pub(crate) const fn new(verified: Verified<T>) -> Self {
        Self { verified, adopted: None }
    }

    /// Borrows the value.
    pub const fn value(&self) -> &T {
        self.verified.value()
    }

    /// Borrows the verified value.
    pub const fn verified(&self) -> &Verified<T> {
        &self.verified
    }

    /// Borrows the form that travels and is stored.
    pub const fn signed(&self) -> &Signed<T> {
        self.verified.signed()
    }

    /// Takes the verified value.
    pub fn into_verified(self) -> Verified<T> {
        self.verified
    }
}

impl Authorized<Op> {
    /// Derives the operation's id.
    pub fn id(&self) -> OpId {
        verified_op_id(&self.verified)
    }

    /// Tells how a document was adopted: who holds it, and what of it stands; `None` for all others.
    pub const fn adopted(&self) -> Option<&AdoptedDocument> {
        self.adopted.as_ref()
    }

    pub(crate) const fn taken_in(verified: Verified<Op>, adopted: AdoptedDocument) -> Self {
        Self { verified, adopted: Some(adopted) }
    }

    /// Names the operation's chain.
    pub fn chain(&self) -> ChainId {
        self.value().chain.unwrap_or_else(|| ChainId(self.id().0))
    }
}

impl<T: fmt::Debug> fmt::Debug for Authorized<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Authorized").field(self.value()).finish()
    }
}

/// What a new device signs to join a user: it holds its key and means this user.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct JoinProof {
    /// The user's chain.
    #[n(0)]
    pub user: ChainId,
    /// The new device.
    #[n(1)]
    pub device: DeviceId,
    /// Its wrapping key.
    #[n(2)]
    pub wrapping_key: WrapPublicKey,
    /// What it may do.
    #[n(3)]
    pub kind: DeviceKind,
}

impl JoinProof {
    /// Signs with the new device's key.
    pub fn sign(&self, key: &DeviceKey) -> Signature {
        key.sign(context::JOIN_SIGNATURE, &vereda_base::encode(self))
    }

    /// Says whether the device that it names signed it.
    #[must_use]
    pub fn holds(&self, proof: &Signature) -> bool {
        vereda_crypto::verify(context::JOIN_SIGNATURE, &self.device, &vereda_base::encode(self), proof).is_ok()
    }
}

impl AddDevice {
    /// Makes the body that adds the device of `key` to a user; the user's own device signs the operation.
    pub fn with_key(user: ChainId, key: &DeviceKey, wrapping_key: WrapPublicKey, kind: DeviceKind) -> Self {
        let proof = JoinProof { user, device: key.device_id(), wrapping_key, kind };
        Self { device: proof.device, proof: proof.sign(key), wrapping_key: proof.wrapping_key, kind }
    }
}

/// What the one-time key of an invite signs: whoever held the secret means this user and device to join.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct InviteProof {
    /// The `Invite` operation.
    #[n(0)]
    pub invite: OpId,
    /// Who joins.
    #[n(1)]
    pub user: ChainId,
    /// The device that signs the `Accept`.
    #[n(2)]
    pub device: DeviceId,
}

impl InviteProof {
    /// Signs with the invite's one-time key.
    pub fn sign(&self, invite_key: &DeviceKey) -> Signature {
        invite_key.sign(context::INVITE_SIGNATURE, &vereda_base::encode(self))
    }

    /// Says whether the invite's key signed it.
    #[must_use]
    pub fn holds(&self, invite_key: &DeviceId, proof: &Signature) -> bool {
        vereda_crypto::verify(context::INVITE_SIGNATURE, invite_key, &vereda_base::encode(self), proof).is_ok()
    }
}

impl crate::Accept {
    /// Makes the body by which `device` of `user` takes an invite up.
    pub fn with_key(invite: OpId, user: ChainId, device: DeviceId, invite_key: &DeviceKey) -> Self {
        Self { invite, user, proof: InviteProof { invite, user, device }.sign(invite_key) }
    }
}
