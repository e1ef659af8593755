//! Operations of an agency's Managers.

use minicbor::{Decode, Encode};
use vereda_base::Timestamp;

use crate::Cite;

/// See [`crate::Body::Beacon`].
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

/// See [`crate::Body::SetRetention`].
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
