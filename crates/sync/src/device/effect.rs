//! What goes into a device machine and what comes out.

use vereda_base::{ChainId, ChunkId, Link, Monotonic, OpId};
use vereda_protocol::{Goodbye, RefusalCode};

use super::outbox::IntentId;

/// What the driver tells the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Go online: connect now and whenever the connection is lost. Also ends a wait for the next attempt.
    Start,
    /// Go offline and stay so.
    Stop,
    /// The websocket is open.
    Connected,
    /// A binary frame arrived.
    Frame(Vec<u8>),
    /// The answer to an [`Effect::Probe`], or any other sign that the connection lives.
    Alive,
    /// The connection could not be made, or ended.
    Closed,
    /// The time named by `poll_timeout` came.
    Timeout,
}

/// What the driver is to do, in this order, after the store has committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Open a websocket to the relay; answer with [`Input::Connected`] or [`Input::Closed`].
    Connect,
    /// Send a binary frame.
    Send(Vec<u8>),
    /// Send a websocket ping; answer a pong with [`Input::Alive`].
    Probe,
    /// Close the connection, without an [`Input::Closed`] to follow.
    Close,
    /// Tell the application.
    Event(Event),
}

/// What the application is told, once it is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The relay proved itself.
    Welcomed {
        /// Chunks of the present incarnation that it holds.
        held: u64,
    },
    /// The store was restored from a copy: the relay holds more chunks of this incarnation than were sealed here. The
    /// machine sends nothing until it was given a new incarnation.
    StoreRestored {
        /// Chunks of this incarnation the relay holds.
        held: u64,
        /// Chunks sealed here.
        sealed: u64,
    },
    /// New chunks of a document are stored.
    ChunksStored {
        /// The document.
        document: ChainId,
    },
    /// A chain grew.
    PolicyChanged {
        /// The chain.
        chain: ChainId,
    },
    /// A wrap for this device or a group it belongs to is stored.
    WrapStored {
        /// The chain whose key is wrapped.
        chain: ChainId,
    },
    /// The relay holds a chunk of this device durably.
    Acknowledged {
        /// The chunk.
        link: Link,
        /// Its document.
        document: ChainId,
    },
    /// The relay refused a chunk of this device; it is kept.
    ChunkRefused {
        /// The chunk.
        link: Link,
        /// Its document.
        document: ChainId,
        /// Why.
        code: RefusalCode,
    },
    /// A chunk of this device awaits a Manager's decision at the relay; it is kept.
    ChunkInReview {
        /// The chunk.
        link: Link,
        /// Its document.
        document: ChainId,
    },
    /// What became of a chunk of this device that was in review.
    Decided {
        /// The chunk.
        link: Link,
        /// Its document.
        document: ChainId,
        /// It was taken in; else it was turned away, and does not stand.
        adopted: bool,
    },
    /// The relay refused a chunk of this device because its key or its cites are superseded. It is kept, out of the queue,
    /// and waits for [`super::DeviceMachine::reseal_chunk`]; what follows it in the document waits too.
    Reseal {
        /// The chunk.
        link: Link,
        /// Its document.
        document: ChainId,
    },
    /// Chunks of this device can not stand, as they build on what does not: they are among
    /// [`super::DeviceMachine::excluded`]. The application makes their edits again under a new incarnation, and then says
    /// so with [`super::DeviceMachine::drop_own`].
    Remake {
        /// The document.
        document: ChainId,
    },
    /// What stands of a document is not what it was: stored chunks do not stand any more, or stand again. The application
    /// rebuilds the document from what [`super::DeviceMachine::chunks_since`] shows from the beginning.
    Excluded {
        /// The document.
        document: ChainId,
    },
    /// Something to decide on came, or was decided.
    ReviewChanged {
        /// The document.
        document: ChainId,
    },
    /// An operation ended what this device, or its user, was in a chain: it is no member there at the newest heads known.
    Removed {
        /// The chain: the user's own where the device itself was removed.
        chain: ChainId,
    },
    /// An operation that begins a document, signed offline, awaits a Manager's decision at the relay; it is kept.
    OpInReview {
        /// The operation.
        op: OpId,
    },
    /// The relay appended an operation that was signed offline.
    OpDone {
        /// The operation.
        op: OpId,
    },
    /// The relay refused an operation that was signed offline; it is kept.
    OpRefused {
        /// The operation.
        op: OpId,
        /// Why.
        code: RefusalCode,
    },
    /// An intent became an operation.
    IntentDone {
        /// The intent.
        id: IntentId,
        /// The operation.
        op: OpId,
    },
    /// A removal waits: the relay found again and again that it names too little of what was committed. Somebody whom it
    /// concerns goes on working, or the relay has this device sign without end.
    IntentWaits {
        /// The intent.
        id: IntentId,
        /// When it is tried again.
        until: Monotonic,
    },
    /// An intent will not become an operation.
    IntentFailed {
        /// The intent.
        id: IntentId,
        /// Why.
        reason: IntentFailure,
    },
    /// All that the relay has for this device is stored; what follows is live.
    CaughtUp,
    /// All chunks of a newly visible document are stored.
    BackfillDone {
        /// The document.
        document: ChainId,
    },
    /// A chunk breaks a rule; it is kept aside as evidence.
    Quarantined {
        /// The chunk.
        chunk: ChunkId,
        /// Its document.
        document: ChainId,
    },
    /// Author and relay agree on an operation that policy forbids: it is kept as evidence, and the chain goes no
    /// further here.
    OpQuarantined {
        /// The chain.
        chain: ChainId,
        /// The operation's place.
        seq: u64,
    },
    /// An operation has no effect: it lies beyond its author's frontier, or rests on one that does. It keeps its place.
    OpVoid {
        /// The chain.
        chain: ChainId,
        /// The operation's place.
        seq: u64,
    },
    /// The relay gave two receipts for one place in a chain: both are kept as evidence.
    RelayForked {
        /// The chain.
        chain: ChainId,
        /// The place.
        seq: u64,
    },
    /// Others know a head of a chain that the relay, asked for everything, did not hand over.
    RelayWithholds {
        /// The chain.
        chain: ChainId,
    },
    /// A removal that the relay handed over does not name what it had handed over before: it withheld that removal, or let it
    /// cut work off.
    RelaySevers {
        /// The removal's chain.
        chain: ChainId,
    },
    /// A chain holds something unknown to this version: it stays read-only until the program is updated.
    UpdateNeeded {
        /// The chain.
        chain: ChainId,
    },
    /// The connection is gone.
    Disconnected {
        /// Why.
        reason: Disconnect,
        /// When the next attempt is due; `None` where none is made without [`Input::Start`].
        retry_at: Option<Monotonic>,
    },
}

/// Why an intent will not become an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum IntentFailure {
    /// The chain is unknown here although everything visible is stored.
    #[error("the chain is not visible to this device")]
    UnknownChain,
    /// Policy as it stands now does not allow it.
    #[error("it is no longer allowed")]
    NotAllowed,
    /// The relay refused it.
    #[error("the relay refused it: {0}")]
    Refused(RefusalCode),
    /// The keys were passed on under superseded keys of their recipients: the wraps must be made anew.
    #[error("the keys it passes on must be wrapped anew")]
    Outdated,
    /// The relay would have this removal cut off work that is held here and stands: kept as evidence.
    #[error("the relay would have it cut off work that is known to stand")]
    CutsOff,
}

/// Why a connection is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Disconnect {
    /// As asked for.
    #[error("offline as asked for")]
    Stopped,
    /// It could not be made, or the other side or the network ended it.
    #[error("the connection could not be made or was lost")]
    Lost,
    /// Nothing came in time.
    #[error("the relay did not answer in time")]
    Silent,
    /// The relay said why.
    #[error("the relay closed: {0}")]
    Goodbye(Goodbye),
    /// Another key than the pinned one, or no proof of it. Said before any proof, so the device tries again.
    #[error("this is not the relay that was agreed on: its key differs; connect to nothing until you know why")]
    RelayIdentity,
    /// The relay was restored from a copy since. Said before any proof, so the device tries again.
    #[error("the relay was restored from a copy: a Manager of the agency must let it resume")]
    RelayRestored,
    /// The relay told two stories. Final.
    #[error("the relay gave two different accounts of one operation: connect to nothing until you know why")]
    RelayForked,
    /// No version in common. Said before any proof, so the device tries again.
    #[error("no protocol version in common: update the older side")]
    Version,
    /// The relay's log ends before what this device was told to have stored: everything is asked for anew.
    #[error("the relay was set back: it lacks what it had handed over, everything is asked for anew")]
    LogShorter,
    /// The relay broke the protocol.
    #[error("the relay broke the protocol")]
    Violation,
    /// More waits for missing policy than the device keeps: nothing further is taken until that comes.
    #[error(
        "too much of what the relay sends builds on what this device lacks: update the program, else tell whoever \
             runs the relay"
    )]
    Overfull,
    /// The own store failed.
    #[error("the store of this device failed: look for room on its disk")]
    Store,
    /// The store was restored from a copy and no new incarnation was opened yet.
    #[error("this device's store was restored from a copy: unlock again")]
    StoreRestored,
}

impl Disconnect {
    /// Says whether another attempt without anybody's doing would be pointless. Only what comes from a relay that
    /// proved itself, or from this device, is final; before the proof nothing is.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(
            self,
            Self::Stopped
                | Self::RelayForked
                | Self::StoreRestored
                | Self::Goodbye(
                    Goodbye::NoCommonVersion
                        | Goodbye::BadAuth
                        | Goodbye::InviteSpent
                        | Goodbye::FoundingSpent
                        | Goodbye::Superseded
                )
        )
    }
}

/// Why the machine wants to be woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum WakeReason {
    /// The next attempt to connect is due.
    Reconnect,
    /// An answer is overdue.
    AnswerOverdue,
    /// The connection was silent for long: probe it.
    Keepalive,
    /// A decision that waited is to be tried again.
    IntentDue,
}
