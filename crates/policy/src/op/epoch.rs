//! Key epochs, and the wraps that lie beside a chain.

use minicbor::{Decode, Encode};
use vereda_base::Digest;
use vereda_crypto::WrapPublicKey;

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
    /// Hash of the sealed previous key; `None` in a first epoch, and in one of a group that begins without the key before it.
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

/// See [`crate::Body::Rotate`].
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Rotate {
    /// The new epoch; its number is one above the newest.
    #[n(0)]
    pub epoch: Epoch,
    /// The epoch that it follows: the newest that nobody called bad. It holds that one's key sealed, or `epoch.previous` is
    /// `None`, where nobody has it any more.
    #[n(1)]
    pub follows: u64,
    /// Epochs that were passed over and whose keys it holds sealed as well; sorted, none twice.
    #[n(2)]
    pub carries: Vec<u64>,
}

/// See [`crate::Body::Repair`].
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

/// See [`crate::Body::BadRotate`].
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

impl EpochFault {
    /// Says whether its author was given something else than the key.
    #[must_use]
    pub const fn is_of_a_wrap(self) -> bool {
        matches!(self, Self::Wrap | Self::Commitment)
    }
}

/// One wrap, beside the chain. Its canonical bytes are a leaf of the [`WrapList`]. In the list of a `Rotate` one wrap has
/// the chain itself as recipient: the key of the epoch that it follows, sealed under the new one, for all who read; and one
/// for each epoch that it carries.
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
