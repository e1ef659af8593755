//! The first operation of a chain.

use minicbor::{Decode, Encode, bytes::ByteArray};
use vereda_base::ChainId;
use vereda_crypto::WrapPublicKey;

use crate::{ChainKind, DocumentKind, Epoch, ParentAuthority, Role};

/// See [`crate::Body::Create`].
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
