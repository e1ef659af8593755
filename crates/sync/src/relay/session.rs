//! What the relay remembers of a connection.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};

use vereda_base::{ChainId, DeviceId, Digest, Incarnation, LogSafe, Monotonic, OpId, Timestamp};
use vereda_protocol::{Chunk, DOWN_WINDOW_BYTES, Packer, PolicyEntry, Position, UP_WINDOW_BYTES, Unpacker};

/// A connection, as the driver numbers it: ascending as they are opened, never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

impl LogSafe for SessionId {}

/// One connection.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) packer: Packer,
    pub(super) unpacker: Unpacker,
    /// Bytes handed to the driver and not yet written to the network.
    pub(super) unwritten: usize,
    pub(super) stage: Stage,
}

/// How far a connection came.
#[derive(Debug)]
pub(super) enum Stage {
    /// The challenge was sent.
    Challenged {
        /// The challenge.
        challenge: [u8; 32],
        /// Until when it is to be answered.
        deadline: Monotonic,
    },
    /// The device proved itself.
    Open(Box<Open>),
}

/// What a device may do here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    /// It belongs to a team or an agency, or reads a document.
    Member,
    /// It holds a founding secret, or made its user chain with one.
    Founder {
        /// Hash of the secret.
        secret: Digest,
    },
    /// It holds an open invite.
    Invited {
        /// The agency whose policy it may see.
        agency: ChainId,
        /// The chain that it is invited into.
        chain: ChainId,
        /// The invite.
        invite: OpId,
    },
    /// It stands in a user chain that belongs to nothing yet.
    Pending,
    /// A recovery key of a user who belongs to a team or an agency: it sees policy, and opens nothing but its user's epochs.
    Recovery,
    /// It belonged somewhere and does no longer: it may hand in what it had not sent, for review, and hear of its removal.
    Removed,
}

/// An authenticated connection.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) device: DeviceId,
    pub(super) incarnation: Incarnation,
    pub(super) admission: Admission,
    /// Users, teams and agencies that the device belongs to.
    pub(super) reach: BTreeSet<ChainId>,
    /// Agencies whose groups it may see.
    pub(super) agencies: BTreeSet<ChainId>,
    /// It sees them for the sake of documents alone.
    pub(super) is_by_documents: bool,
    /// When the first of the roles that lead there, or its invite, ends by itself.
    pub(super) until: Option<Timestamp>,
    /// Until when it is to ask for what is new; `None` once it did.
    pub(super) pull_by: Option<Monotonic>,
    pub(super) stream: Stream,
    /// Bytes it may still be sent; a frame may overdraw it.
    pub(super) down_credit: i64,
    /// Bytes it may still send.
    pub(super) up_credit: u64,
    /// Bytes taken in since the last credit given.
    pub(super) taken: u64,
}

/// How far a device was served.
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// It asked to be served.
    pub(super) pulled: bool,
    /// Everything beyond `policy` and `content` reaches it as it is appended.
    pub(super) live: bool,
    /// The cursors it gave.
    pub(super) given: (Position, Position),
    /// Policy entries served up to here; meaningless while live.
    pub(super) policy: Position,
    /// Leaves served of the removal's frontier that stands next after `policy`.
    pub(super) within: usize,
    /// Chunks served up to here; meaningless while live.
    pub(super) content: Position,
    /// From where this reading began, in the farther of both lanes.
    pub(super) start: Position,
    /// The log's end when this reading began.
    pub(super) end_at_start: Position,
    /// Operations and wraps that it put itself in this session, not yet passed by.
    pub(super) own: BTreeSet<Position>,
    pub(super) backfills: VecDeque<Backfill>,
    pub(super) pending: Pending,
}

/// What goes out with the next commit.
#[derive(Debug, Default)]
pub(super) struct Pending {
    pub(super) entries: Vec<PolicyEntry>,
    pub(super) policy: Position,
    /// The policy cursor before the first of them.
    pub(super) before: Position,
    /// With the place of each.
    pub(super) chunks: Vec<(Position, Arc<Chunk>)>,
    pub(super) content: Position,
    /// Sizes of the above, in bytes.
    pub(super) bytes: usize,
    /// Up to where nothing else is left for the device.
    pub(super) passed: Option<Position>,
}

/// A backfill that was asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Backfill {
    pub(super) chain: ChainId,
    pub(super) after: Position,
    pub(super) upto: Position,
    /// The leaves of removals that concern it were sent.
    pub(super) has_leaves: bool,
    /// As [`Stream::within`].
    pub(super) within: usize,
}

impl Session {
    pub(super) fn new(challenge: [u8; 32], deadline: Monotonic) -> Self {
        Self {
            packer: Packer::new(),
            unpacker: Unpacker::new(),
            unwritten: 0,
            stage: Stage::Challenged { challenge, deadline },
        }
    }

    /// The authenticated part.
    pub(super) fn open(&self) -> Option<&Open> {
        match &self.stage {
            Stage::Open(open) => Some(open),
            Stage::Challenged { .. } => None,
        }
    }

    /// The authenticated part.
    pub(super) fn open_mut(&mut self) -> Option<&mut Open> {
        match &mut self.stage {
            Stage::Open(open) => Some(open),
            Stage::Challenged { .. } => None,
        }
    }
}

impl Open {
    pub(super) fn new(device: DeviceId, incarnation: Incarnation, admission: Admission) -> Self {
        Self {
            device,
            incarnation,
            admission,
            reach: BTreeSet::new(),
            agencies: BTreeSet::new(),
            is_by_documents: false,
            until: None,
            pull_by: None,
            stream: Stream::default(),
            down_credit: i64::try_from(DOWN_WINDOW_BYTES).unwrap_or(i64::MAX),
            up_credit: UP_WINDOW_BYTES,
            taken: 0,
        }
    }

    /// Whether it, or the user whose recovery key it is, belongs to a team or an agency.
    pub(super) fn is_member(&self) -> bool {
        matches!(self.admission, Admission::Member | Admission::Recovery)
    }

    /// Whether it may begin documents that nobody decides on first: whoever belongs nowhere may not.
    pub(super) fn is_let_in(&self) -> bool {
        self.is_member() || matches!(self.admission, Admission::Founder { .. })
    }

    /// Whether an entry for this recipient is for it.
    pub(super) fn is_recipient(&self, recipient: &Digest) -> bool {
        match self.admission {
            Admission::Removed => false,
            Admission::Recovery => self.device.0 == recipient.0,
            _ => self.device.0 == recipient.0 || self.reach.contains(&ChainId(recipient.0)),
        }
    }

    /// The cursor to name once everything up to `position` was served. Who is no member yet was not served what a
    /// member is, so its cursors stay where they are until it is one.
    pub(super) fn cursor(&self, position: Position, given: Position) -> Position {
        if self.is_member() { position } else { given }
    }
}

impl Stream {
    /// Begins to read the log beyond these cursors.
    pub(super) fn restart(&mut self, policy: Position, content: Position, end: Position) {
        self.live = false;
        self.policy = policy.min(end);
        self.content = content.min(end);
        self.within = 0;
        self.start = self.policy.max(self.content);
        self.end_at_start = end;
    }

    /// Up to where entries of a chain that became visible at `position` were not served.
    pub(super) fn unserved(&self, position: Position) -> Position {
        let before = Position(position.0.saturating_sub(1));
        if self.live {
            before
        } else if position <= self.end_at_start {
            self.start
        } else {
            before.max(self.content)
        }
    }
}
