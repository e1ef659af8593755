//! Operations that decide on what waits in review.

use minicbor::{Decode, Encode};
use vereda_base::{ChainId, Link};

use crate::Member;

/// See [`crate::Body::Adopt`].
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
    /// Its chunks that are taken in with it; sorted, none twice, with all in review that they build on. Whoever began it
    /// may be gone: what else he makes of it later does not stand.
    #[n(2)]
    pub chunks: Vec<Link>,
}

/// See [`crate::Body::Discard`].
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
