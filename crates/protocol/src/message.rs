//! Wire messages. Every websocket binary frame is one of these.
//!
//! A session, device (D) and relay (R):
//!
//! ```text
//! R → D  Challenge
//! D → R  Auth, Pull, first of the outbox (PutOp, PutChunk)        one flight, before any answer
//! R → D  Welcome, Policy…, Content…, CaughtUp, results            one flight
//! both   live: PutOp, PutChunk, Policy, Content, Credit, Backfill
//! ```

use minicbor::{Decode, Encode, bytes::ByteArray};
use vereda_base::{ChainId, DeviceId, Digest, Incarnation, Link, OpId, Timestamp};
use vereda_crypto::{Signature, Signed};
use vereda_policy::{Leaf, LeafAnswer, LeafRange, Op, ProvenLeaf, Receipt, Wrap, WrapProof};

use crate::{
    chunk::Chunk,
    outcome::{ChunkOutcome, Goodbye, OfferedLeaf, OpOutcome},
};

/// The protocol version spoken here.
pub const VERSION: u16 = 1;

/// How many bytes of `Policy`, `Content` and `BackfillPart` frames a relay may send before the first [`Up::Credit`]. A
/// device gives back what it has stored once that is half of it; other frames cost no credit.
pub const DOWN_WINDOW_BYTES: u64 = 2 << 20;
/// How many bytes of `PutOp` and `PutChunk` frames a device may send before the first [`Down::Credit`]. A relay gives back
/// what it has committed once that is half of it; other frames cost no credit.
pub const UP_WINDOW_BYTES: u64 = 2 << 20;

/// A position in the relay's log. A cursor at `p` means: all at or below `p` is durably stored here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
#[cbor(transparent)]
pub struct Position(#[n(0)] pub u64);

impl vereda_base::LogSafe for Position {}

/// Names something in the relay's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub enum Logged {
    /// An operation.
    #[n(0)]
    Op {
        /// Its chain.
        #[n(0)]
        chain: ChainId,
        /// The operation.
        #[n(1)]
        op: OpId,
    },
    /// A chunk.
    #[n(1)]
    Chunk {
        /// Its document.
        #[n(0)]
        document: ChainId,
        /// Its link.
        #[n(1)]
        link: Link,
    },
}

/// How many entries a device may name as handed over or confirmed last.
pub const MAX_LASTS: usize = 4;

/// What a device sends.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub enum Up {
    /// Proves the device; first frame.
    #[n(0)]
    Auth(#[n(0)] Auth),
    /// Asks for everything new, policy first, then live.
    #[n(1)]
    Pull {
        /// Policy entries stored up to here.
        #[n(0)]
        policy: Position,
        /// Content entries stored up to here.
        #[n(1)]
        content: Position,
        /// What the relay handed over or confirmed last, at most [`MAX_LASTS`] entries. A relay that lacks one of them says
        /// [`Goodbye::Forgotten`]: positions in its log mean something else than they did. It says the same of what this
        /// device never saw: nobody learns by this what there is.
        #[n(2)]
        lasts: Vec<Logged>,
    },
    /// Appends an operation together with its wraps.
    #[n(2)]
    PutOp {
        /// Names the answer; unique in the session.
        #[n(0)]
        request: u64,
        /// The operation.
        #[n(1)]
        op: Signed<Op>,
        /// All wraps of the operation's list, in its order.
        #[n(2)]
        wraps: Vec<Wrap>,
    },
    /// Hands a chunk over.
    #[n(3)]
    PutChunk(#[n(0)] Chunk),
    /// Asks for a newly visible document's entries in `(after, upto]`, its policy chain included.
    #[n(4)]
    Backfill {
        /// The document.
        #[n(0)]
        document: ChainId,
        /// Stored up to here already.
        #[n(1)]
        after: Position,
        /// The end named by [`PolicyEntry::Visible`].
        #[n(2)]
        upto: Position,
    },
    /// Allows the relay that many more bytes.
    #[n(5)]
    Credit(#[n(0)] u64),
    /// Asks what a removal's frontier says of some places, by [`vereda_policy::Place::key`]; answered by [`Down::Leaves`].
    #[n(6)]
    AskLeaves {
        /// The removal's chain.
        #[n(0)]
        chain: ChainId,
        /// The removal.
        #[n(1)]
        removal: OpId,
        /// The keys, at most [`vereda_base::limits::MAX_NAMED`].
        #[n(2)]
        keys: Vec<Digest>,
    },
    /// Asks what became of chunks that were in review; answered by a [`Down::ChunkResult`] each.
    #[n(7)]
    AskReview(#[n(0)] Vec<Link>),
    /// Asks for the next page of what was offered for a removal ([`OpOutcome::FrontierPaged`]); answered by [`Down::Offer`].
    #[n(8)]
    AskOffer {
        /// The request of the removal.
        #[n(0)]
        request: u64,
        /// How many leaves came already.
        #[n(1)]
        from: u64,
    },
}

/// See [`Up::Auth`].
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Auth {
    /// Versions the device speaks, newest first.
    #[n(0)]
    pub versions: Vec<u16>,
    /// The device.
    #[n(1)]
    pub device: DeviceId,
    /// The device's present incarnation: the relay does not send its own chunks of it back.
    #[n(2)]
    pub incarnation: Incarnation,
    /// The device's own nonce, for the relay to sign.
    #[n(3)]
    pub nonce: ByteArray<32>,
    /// The relay epoch the device knows; `None` at first contact.
    #[n(4)]
    pub relay_epoch: Option<u64>,
    /// Why the relay should listen.
    #[n(5)]
    pub credential: Credential,
    /// Signature by the device, under `AUTH_SIGNATURE`, over relay key, challenge, and the fields above.
    #[n(6)]
    pub signature: Signature,
}

/// Why a relay should listen to a device.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub enum Credential {
    /// It stands in a user chain the relay knows.
    #[n(0)]
    Member,
    /// It founds an agency, by the secret in the operator's link, which never travels: whoever answers in the relay's
    /// name before it proved itself could use it. Good for one agency.
    #[n(1)]
    Founding {
        /// The key derived from the secret, by which the relay knows it.
        #[n(0)]
        key: DeviceId,
        /// Signature by that key, under `FOUNDING_AUTH_SIGNATURE`, over relay key, relay epoch, challenge and device.
        #[n(1)]
        proof: Signature,
    },
    /// It joins by an open invite.
    #[n(2)]
    Invite {
        /// Chain of the invite.
        #[n(0)]
        chain: ChainId,
        /// The `Invite` operation.
        #[n(1)]
        invite: OpId,
        /// Signature by the invite key, under `INVITE_AUTH_SIGNATURE`, over relay key, challenge, device and invite.
        #[n(2)]
        proof: Signature,
    },
}

/// What a relay sends.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub enum Down {
    /// First frame, written together with the upgrade's answer.
    #[n(0)]
    Challenge {
        /// Versions the relay speaks, newest first.
        #[n(0)]
        versions: Vec<u16>,
        /// The relay's key.
        #[n(1)]
        relay: DeviceId,
        /// Renewed whenever the relay was restored.
        #[n(2)]
        relay_epoch: u64,
        /// To be signed by the device.
        #[n(3)]
        challenge: ByteArray<32>,
    },
    /// Proves the relay; before it the device acts on nothing.
    #[n(1)]
    Welcome {
        /// The version chosen.
        #[n(0)]
        version: u16,
        /// The relay's clock, for display only.
        #[n(1)]
        time: Timestamp,
        /// How many chunks of the device's present incarnation the relay holds; more than the device ever sealed means
        /// that its store was restored from a copy.
        #[n(2)]
        held: u64,
        /// The log's end. A device that was told to have stored more than that asks for everything anew.
        #[n(3)]
        end: Position,
        /// Signature by the relay, under `WELCOME_SIGNATURE`, over challenge, the device's nonce and id, and the fields
        /// above and of the challenge.
        #[n(4)]
        signature: Signature,
    },
    /// New policy entries, in log order. `cursor` is the new policy cursor once they are stored.
    #[n(2)]
    Policy {
        /// The entries.
        #[n(0)]
        entries: Vec<PolicyEntry>,
        /// The new policy cursor.
        #[n(1)]
        cursor: Position,
    },
    /// New chunks, in log order. `cursor` is the new content cursor once they are stored.
    #[n(3)]
    Content {
        /// The chunks.
        #[n(0)]
        chunks: Vec<Chunk>,
        /// The new content cursor.
        #[n(1)]
        cursor: Position,
    },
    /// All up to here was sent; what follows is live. Sets both cursors.
    #[n(4)]
    CaughtUp {
        /// The log's end at that moment.
        #[n(0)]
        cursor: Position,
    },
    /// Part of a backfill.
    #[n(5)]
    BackfillPart {
        /// The document.
        #[n(0)]
        document: ChainId,
        /// Policy entries of its chain.
        #[n(1)]
        entries: Vec<PolicyEntry>,
        /// Chunks.
        #[n(2)]
        chunks: Vec<Chunk>,
        /// Stored up to here once these are stored; equal to the request's `upto` at the end.
        #[n(3)]
        cursor: Position,
    },
    /// Answer to [`Up::PutOp`].
    #[n(6)]
    OpResult {
        /// The request.
        #[n(0)]
        request: u64,
        /// What became of it.
        #[n(1)]
        outcome: OpOutcome,
    },
    /// Answer to [`Up::PutChunk`].
    #[n(7)]
    ChunkResult {
        /// The chunk's link.
        #[n(0)]
        link: Link,
        /// What became of it.
        #[n(1)]
        outcome: ChunkOutcome,
    },
    /// Allows the device that many more bytes.
    #[n(8)]
    Credit(#[n(0)] u64),
    /// Last frame: why the relay closes.
    #[n(9)]
    Goodbye(#[n(0)] Goodbye),
    /// Answer to [`Up::AskLeaves`], in its order.
    #[n(10)]
    Leaves {
        /// The removal's chain.
        #[n(0)]
        chain: ChainId,
        /// The removal.
        #[n(1)]
        removal: OpId,
        /// What the frontier says of each key.
        #[n(2)]
        answers: Vec<(Digest, LeafAnswer)>,
    },
    /// Answer to [`Up::AskOffer`].
    #[n(11)]
    Offer {
        /// The request of the removal.
        #[n(0)]
        request: u64,
        /// How many leaves come before these.
        #[n(1)]
        from: u64,
        /// The next ones, sorted by key; none where the offer is held no longer: the removal is to be put again.
        #[n(2)]
        leaves: Vec<OfferedLeaf>,
    },
}

/// An entry of the policy lane.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub enum PolicyEntry {
    /// An appended operation and its receipt.
    #[n(0)]
    Op {
        /// The operation.
        #[n(0)]
        op: Signed<Op>,
        /// The receipt.
        #[n(1)]
        receipt: Signed<Receipt>,
    },
    /// A wrap for this device or a group it belongs to.
    #[n(1)]
    Wrap {
        /// The chain whose epoch is wrapped.
        #[n(0)]
        chain: ChainId,
        /// The operation that committed to the list.
        #[n(1)]
        op: OpId,
        /// The wrap.
        #[n(2)]
        wrap: Wrap,
        /// Its place in the list.
        #[n(3)]
        proof: WrapProof,
    },
    /// A document became readable for this device: entries up to `upto` wait to be asked for.
    #[n(2)]
    Visible {
        /// The document.
        #[n(0)]
        document: ChainId,
        /// Entries beyond come in the ordinary stream.
        #[n(1)]
        upto: Position,
    },
    /// Leaves of a removal's frontier: of all places that this device may see. Follows the removal.
    #[n(3)]
    Frontier {
        /// The removal's chain.
        #[n(0)]
        chain: ChainId,
        /// The removal.
        #[n(1)]
        removal: OpId,
        /// The leaves.
        #[n(2)]
        leaves: Leaves,
    },
    /// A chunk in review, for those who may decide on it.
    #[n(4)]
    Review {
        /// The chunk.
        #[n(0)]
        chunk: Chunk,
        /// When the relay received it.
        #[n(1)]
        received: Timestamp,
    },
    /// A document in review that was begun by someone removed meanwhile, for those who may decide on it.
    #[n(5)]
    ReviewDocument {
        /// Its `Create`.
        #[n(0)]
        create: Signed<Op>,
        /// Of its wraps those for groups that this device belongs to.
        #[n(1)]
        wraps: Vec<(Wrap, WrapProof)>,
        /// When the relay received it.
        #[n(2)]
        received: Timestamp,
    },
}

/// Leaves of a frontier.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub enum Leaves {
    /// All of them, sorted by key.
    #[n(0)]
    All(#[n(0)] Vec<Leaf>),
    /// Some of them, each with its proof.
    #[n(1)]
    Some(#[n(0)] Vec<ProvenLeaf>),
    /// Some that follow one another, proven together.
    #[n(2)]
    Range(#[n(0)] LeafRange),
}
