//! What a relay keeps: entries of its log, and rows beside it.

use vereda_base::{ChainId, DeviceId, Digest, Incarnation, Link, OpId, Timestamp};
use vereda_crypto::{Signed, Verified};
use vereda_policy::{Authorized, Op, Receipt, Wrap, WrapProof};
use vereda_protocol::{Chunk, OfferedLeaf, Position};

use crate::relay::admit::AcceptedChunk;

/// Which entries are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// All but chunks that stand.
    Policy,
    /// Chunks.
    Content,
    /// All entries of one chain.
    Chain(ChainId),
    /// All of one chain but chunks that stand.
    ChainPolicy(ChainId),
}

/// Which kind of chain names another, and as what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Naming {
    /// Users, teams and agencies.
    Group,
    /// Documents.
    Document,
    /// Sections, as a parent whose Managers may end roles in them.
    Governed,
}

/// An entry without its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Where it stands.
    pub position: Position,
    /// Its size in the store, in bytes.
    pub bytes: usize,
    /// Who is concerned.
    pub about: About,
}

/// Whom an entry concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// An operation of a chain.
    Op {
        /// The chain.
        chain: ChainId,
    },
    /// A wrap.
    Wrap {
        /// The chain whose key is wrapped.
        chain: ChainId,
        /// A device or a chain.
        recipient: Digest,
    },
    /// A chunk.
    Chunk {
        /// The document.
        document: ChainId,
        /// The author.
        device: DeviceId,
        /// The author's incarnation.
        incarnation: Incarnation,
    },
    /// The leaves of a removal's frontier.
    Frontier {
        /// The removal's chain.
        chain: ChainId,
    },
    /// A chunk that came into review.
    Review {
        /// The document.
        document: ChainId,
    },
    /// A document that came into review.
    ReviewDocument {
        /// The document.
        document: ChainId,
    },
}

impl About {
    /// Tells the chain or document whose entry it is.
    pub const fn chain(&self) -> ChainId {
        match self {
            Self::Op { chain } | Self::Wrap { chain, .. } | Self::Frontier { chain } => *chain,
            Self::Chunk { document, .. } | Self::Review { document } | Self::ReviewDocument { document } => *document,
        }
    }
}

/// An entry of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// An operation and its receipt.
    Op {
        /// The operation.
        op: Signed<Op>,
        /// The receipt.
        receipt: Signed<Receipt>,
    },
    /// A wrap.
    Wrap {
        /// The chain whose key is wrapped.
        chain: ChainId,
        /// The operation that committed to the list.
        op: OpId,
        /// The wrap.
        wrap: Wrap,
        /// Its place in the list.
        proof: WrapProof,
    },
    /// A chunk.
    Chunk(Chunk),
    /// The leaves of a removal's frontier: all that it names. Stands next after the removal.
    Frontier {
        /// The removal's chain.
        chain: ChainId,
        /// The removal.
        removal: OpId,
        /// The leaves, with the places that they are of, sorted by key.
        leaves: Vec<OfferedLeaf>,
    },
    /// A chunk in review.
    Review {
        /// The chunk.
        chunk: Chunk,
        /// When it came.
        received: Timestamp,
    },
    /// A document in review.
    ReviewDocument {
        /// Its first operation.
        create: Signed<Op>,
        /// All wraps of its list.
        wraps: Vec<(Wrap, WrapProof)>,
        /// When it came.
        received: Timestamp,
    },
}

/// An entry to append: only what was checked.
#[derive(Debug, Clone, Copy)]
pub enum NewEntry<'a> {
    /// An operation and its receipt.
    Op {
        /// The operation.
        op: &'a Authorized<Op>,
        /// The receipt.
        receipt: &'a Verified<Receipt>,
    },
    /// A wrap of a list that an appended operation commits to.
    Wrap {
        /// The chain whose key is wrapped.
        chain: &'a ChainId,
        /// The operation.
        op: &'a OpId,
        /// The wrap.
        wrap: &'a Wrap,
        /// Its place in the list.
        proof: &'a WrapProof,
    },
    /// A chunk.
    Chunk(&'a AcceptedChunk),
    /// The leaves of a removal that was appended just before.
    Frontier {
        /// The removal's chain.
        chain: &'a ChainId,
        /// The removal.
        removal: &'a OpId,
        /// The leaves, sorted by key.
        leaves: &'a [OfferedLeaf],
    },
    /// A chunk that comes into review: all about it was checked, but its author's rights have ended.
    Review {
        /// The chunk.
        chunk: &'a AcceptedChunk,
        /// When it came.
        received: Timestamp,
    },
    /// A document that comes into review.
    ReviewDocument {
        /// Its first operation.
        create: &'a Verified<Op>,
        /// All wraps of its list.
        wraps: &'a [(Wrap, WrapProof)],
        /// When it came.
        received: Timestamp,
    },
}

/// A chain as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredChain {
    /// The agency it belongs to; an agency belongs to itself, a founder's user chain to none for a while.
    pub agency: Option<ChainId>,
    /// Its operations, by seq.
    pub ops: Vec<StoredOp>,
}

/// An operation as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredOp {
    /// Where it stands in the log.
    pub position: Position,
    /// The operation.
    pub op: Signed<Op>,
    /// The receipt.
    pub receipt: Signed<Receipt>,
}

/// What became of a founding secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Founding {
    /// Nobody used it.
    Open,
    /// A device made its user chain with it.
    Claimed(DeviceId),
    /// An agency was founded.
    Spent(ChainId),
}

/// A chunk that is in review, or was once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reviewed {
    /// The chunk.
    pub link: Link,
    /// The document.
    pub document: ChainId,
    /// The author.
    pub device: DeviceId,
    /// The author's incarnation.
    pub incarnation: Incarnation,
    /// Its place in the author's sequence.
    pub seq: u64,
    /// Where its entry stands.
    pub position: Position,
    /// What became of it.
    pub standing: ReviewStanding,
}

/// A document that is in review, or was once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReviewedDocument {
    /// Who began it.
    pub device: DeviceId,
    /// Where its entry stands.
    pub position: Position,
    /// What became of it.
    pub standing: ReviewStanding,
}

/// What became of something in review.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReviewStanding {
    /// It awaits a decision.
    Awaits,
    /// It was turned away.
    Discarded,
    /// It was taken in.
    Adopted,
}

/// How much of a device awaits a decision.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReviewLoad {
    /// Chunks and documents.
    pub count: u64,
    /// Their sizes in the store, in bytes.
    pub bytes: u64,
}
