//! What became of what was sent, and why a relay refuses or closes.

use minicbor::{Decode, Encode};
use vereda_base::{Digest, OpId};
use vereda_crypto::Signed;
use vereda_policy::{Frontier, Leaf, Place, Receipt};

/// What became of an operation.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub enum OpOutcome {
    /// Durable.
    #[n(0)]
    Appended(#[n(0)] Signed<Receipt>),
    /// Another operation came first: fetch it, look whether the intent still makes sense, sign again.
    #[n(1)]
    HeadMoved(#[n(0)] OpId),
    /// Refused for good.
    #[n(2)]
    Refused(#[n(0)] RefusalCode),
    /// Its frontier is not what the relay has committed: here is what it has. Compare it with what is held, sign again.
    #[n(3)]
    FrontierMoved(#[n(0)] Vec<OfferedLeaf>),
    /// A `Create` whose author was removed meanwhile: it awaits a Manager's decision.
    #[n(4)]
    InReview,
    /// Its frontier is not what the relay has committed, and what it has fits no frame: ask for it with
    /// [`crate::Up::AskOffer`], page by page. These are its root and its number of leaves.
    #[n(5)]
    FrontierPaged(#[n(0)] Frontier),
}

/// A leaf as a relay offers it to whoever signs the frontier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct OfferedLeaf {
    /// Whose work, and where.
    #[n(0)]
    pub place: Place,
    /// The last chunk or operation that the relay has committed.
    #[n(1)]
    pub seq: u64,
    /// Its link, or the operation's id.
    #[n(2)]
    pub id: Digest,
}

impl OfferedLeaf {
    /// Makes the frontier's leaf of it.
    pub fn leaf(&self) -> Leaf {
        Leaf { key: self.place.key(), seq: self.seq, id: self.id }
    }
}

/// What became of a chunk.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub enum ChunkOutcome {
    /// Committed to disk at the relay.
    #[n(0)]
    Durable,
    /// Refused; the device keeps it and says why.
    #[n(1)]
    Refused(#[n(0)] RefusalCode),
    /// Awaits a Manager's decision: its author's rights ended before it came.
    #[n(2)]
    InReview,
}

/// Why something was refused. One plain sentence each is `Display`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, thiserror::Error)]
#[cbor(index_only)]
pub enum RefusalCode {
    /// The bytes are not what they claim.
    #[n(0)]
    #[error("malformed")]
    Malformed,
    /// The signature does not verify.
    #[n(1)]
    #[error("the signature does not verify")]
    BadSignature,
    /// Unknown suite, kind or body.
    #[n(2)]
    #[error("not understood by the other side: update it")]
    Unsupported,
    /// The author has no authority for it.
    #[n(3)]
    #[error("the author is not entitled to do this")]
    NotAuthorized,
    /// A chain or head it cites is unknown here.
    #[n(4)]
    #[error("it relies on policy unknown here")]
    UnknownPolicy,
    /// Its seq or prev does not continue what is known.
    #[n(5)]
    #[error("it does not continue the sequence known here")]
    NotContiguous,
    /// It builds on chunks unknown here.
    #[n(6)]
    #[error("it builds on chunks unknown here")]
    MissingDeps,
    /// Sealed under another epoch than the newest.
    #[n(7)]
    #[error("it is sealed under a superseded key")]
    StaleEpoch,
    /// Another chunk or operation stands at its place: the author's device forked.
    #[n(8)]
    #[error("another one stands at its place")]
    Fork,
    /// Its cites are older than ones used before.
    #[n(9)]
    #[error("it relies on older policy than the author used before")]
    CiteRegressed,
    /// The invite is spent, cancelled or past its time.
    #[n(10)]
    #[error("the invite is expired or already used")]
    InviteSpent,
    /// Too large or too many.
    #[n(11)]
    #[error("larger than allowed")]
    TooLarge,
    /// A repair of what was repaired already.
    #[n(12)]
    #[error("it was done already")]
    Repeated,
    /// It builds on something in review, or turned away: the document must be rebuilt from what stands.
    #[n(13)]
    #[error("it builds on work that was not adopted")]
    DependsOnUnadopted,
    /// A Manager turned it away.
    #[n(14)]
    #[error("a Manager turned it away")]
    Discarded,
    /// The review lane takes nothing more of this device.
    #[n(15)]
    #[error("it came after its author's rights had ended, and the review lane is closed or full")]
    ReviewClosed,
    /// The new epoch is not made for the members' newest epochs.
    #[n(16)]
    #[error("the key was passed on under superseded keys of its recipients")]
    Outdated,
    /// An agency would be left without a Manager, or a document without anybody.
    #[n(17)]
    #[error("nobody would be left")]
    NobodyLeft,
    /// The document was erased.
    #[n(18)]
    #[error("the document was erased")]
    Erased,
    /// The device began anew in this document as often as any may.
    #[n(19)]
    #[error("this device began anew too often in this document: link it anew as another device")]
    TooManyIncarnations,
}

/// Why a relay closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, thiserror::Error)]
#[cbor(index_only)]
pub enum Goodbye {
    /// No version in common.
    #[n(0)]
    #[error("no protocol version in common: update the older side")]
    NoCommonVersion,
    /// The proof of identity does not hold.
    #[n(1)]
    #[error("the device's proof of identity does not hold")]
    BadAuth,
    /// The relay does not know the device.
    #[n(2)]
    #[error("this relay does not know the device: ask whoever runs it, or whoever invited you")]
    UnknownDevice,
    /// The invite is spent, cancelled or past its time.
    #[n(3)]
    #[error("the invite is expired or already used: ask for a new one")]
    InviteSpent,
    /// The founding secret is wrong or spent.
    #[n(4)]
    #[error("the founding secret is wrong or already used: ask whoever runs the relay for a new link")]
    FoundingSpent,
    /// The peer broke the protocol.
    #[n(5)]
    #[error("the other side broke the protocol")]
    Violation,
    /// The relay stops.
    #[n(6)]
    #[error("the relay is shutting down")]
    ShuttingDown,
    /// The relay cannot store at present.
    #[n(7)]
    #[error("the relay cannot store at present: what waits here is sent once whoever runs it has made room")]
    StorageFailure,
    /// A newer session of the same device took over.
    #[n(8)]
    #[error("the device connected again elsewhere")]
    Superseded,
    /// The device's proof or first pull did not come in time.
    #[n(9)]
    #[error("the network was too slow for the first messages")]
    TooLate,
}
