//! Why an operation is refused.

use std::fmt;

use vereda_base::{ChainId, DeviceId, OpId, Timestamp};

use crate::{BodyCode, ChainKind, CiteRegress, Role, Term, Waiting};

/// Why an operation may not be appended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpRefusal {
    /// A head it relies on is unknown here; it proves nothing against the operation.
    #[error("waiting for operation {head} of chain {chain}")]
    Waiting {
        /// The chain.
        chain: ChainId,
        /// The operation.
        head: OpId,
    },
    /// It stands already: a retry.
    #[error("operation stands already, at {seq}")]
    Known {
        /// Its seq.
        seq: u64,
    },
    /// Another operation came first.
    #[error("another operation came first, the head is {head} at {seq}")]
    HeadMoved {
        /// The head there is.
        head: OpId,
        /// Its seq.
        seq: u64,
    },
    /// Made under another suite.
    #[error("operation of suite {found}")]
    Suite {
        /// The suite found.
        found: u8,
    },
    /// Chain, seq and predecessor do not go together.
    #[error("operation {seq} does not name its place: a Create stands first, all others follow one")]
    Place {
        /// The seq it claims.
        seq: u64,
    },
    /// A part is too long.
    #[error("{found} {part} where at most {max} are allowed")]
    TooLong {
        /// The part.
        part: Part,
        /// How many.
        found: usize,
        /// The bound.
        max: usize,
    },
    /// A list is not sorted, or names something twice.
    #[error("{part} not sorted, or one twice")]
    NotSorted {
        /// The list.
        part: Part,
    },
    /// A part is there that has no place in this kind of chain, or one is missing.
    #[error("{part} missing, or out of place in a {kind:?} chain")]
    Shape {
        /// The kind of chain.
        kind: ChainKind,
        /// The part.
        part: Part,
    },
    /// It cites its own chain, whose place it gives by its predecessor.
    #[error("operation cites its own chain {chain}")]
    CitesItself {
        /// The chain.
        chain: ChainId,
    },
    /// Its cites are older than earlier ones of its chain.
    #[error(transparent)]
    CiteRegress(#[from] CiteRegress),
    /// A device knows no receipt of it, and it is no `Create`.
    #[error("no receipt for operation {op}")]
    NoReceipt {
        /// The operation.
        op: OpId,
    },
    /// The receipt is of another operation.
    #[error("the receipt is not for operation {op}")]
    OtherReceipt {
        /// The operation.
        op: OpId,
    },
    /// No such body has a place in a chain of this kind.
    #[error("{body} has no place in a {kind:?} chain")]
    NotHere {
        /// The body.
        body: BodyCode,
        /// The kind of chain.
        kind: ChainKind,
    },
    /// The author's role does not suffice.
    #[error("{body} needs {least:?} in chain {chain}, {moment} the author has {found:?}")]
    NoAuthority {
        /// The body.
        body: BodyCode,
        /// The chain that the role is asked in.
        chain: ChainId,
        /// The least role.
        least: Role,
        /// The author's.
        found: Option<Role>,
        /// As of when.
        moment: Moment,
    },
    /// The author is no device of the user.
    #[error("{moment} device {device} is none of user {user}")]
    NotOfUser {
        /// The user.
        user: ChainId,
        /// The author.
        device: DeviceId,
        /// As of when.
        moment: Moment,
    },
    /// No member of a new agency is a user of the author's, as Manager.
    #[error("{moment} no user of device {device} is Manager of the agency it begins")]
    NoFounder {
        /// The author.
        device: DeviceId,
        /// As of when.
        moment: Moment,
    },
    /// A chain that is named is unknown here.
    #[error("chain {subject} is unknown")]
    UnknownSubject {
        /// The chain.
        subject: ChainId,
    },
    /// A chain of that kind may not be member, or parent, of this.
    #[error("{found:?} chain {subject} has no place in a {kind:?} chain")]
    WrongKind {
        /// The chain named.
        subject: ChainId,
        /// Its kind.
        found: ChainKind,
        /// The kind of chain that names it.
        kind: ChainKind,
    },
    /// A document's first member gets more than the author has.
    #[error("{moment} chain {subject} gets {role:?}, the author has {found:?}")]
    AboveAuthor {
        /// The member.
        subject: ChainId,
        /// What it gets.
        role: Role,
        /// What the author has.
        found: Role,
        /// As of when.
        moment: Moment,
    },
    /// A document into which the author may bring nobody from outside.
    #[error("{moment} the author manages no team or agency that has a say over document {document}")]
    NoGroup {
        /// The document.
        document: ChainId,
        /// As of when.
        moment: Moment,
    },
    /// A role that would outlast what the author gives it by.
    #[error("{moment} what the author gives a role in chain {chain} by ends before it would")]
    Outlasts {
        /// The chain.
        chain: ChainId,
        /// How long the longest role that he gives would last.
        given: Term,
        /// When what he gives it by ends, where that is known.
        until: Option<Timestamp>,
        /// As of when.
        moment: Moment,
    },
    /// A member that the author may not put the document before.
    #[error(
        "{moment} chain {subject} neither is the author's user nor holds the document, nor does he manage who does"
    )]
    NotCovered {
        /// The member.
        subject: ChainId,
        /// As of when.
        moment: Moment,
    },
    /// The device is known in the chain, now or in the past.
    #[error("device {device} is known in this chain already")]
    DeviceKnown {
        /// The device.
        device: DeviceId,
    },
    /// A proof of possession does not hold.
    #[error("proof in {body} does not hold")]
    Proof {
        /// The body.
        body: BodyCode,
    },
    /// There is no such invite in the chain.
    #[error("no invite {invite}")]
    NoInvite {
        /// The invite.
        invite: OpId,
    },
    /// The invite was taken up.
    #[error("invite {invite} is taken")]
    InviteTaken {
        /// The invite.
        invite: OpId,
    },
    /// The invite was withdrawn.
    #[error("invite {invite} is cancelled")]
    InviteCancelled {
        /// The invite.
        invite: OpId,
    },
    /// Whoever made the invite may invite no longer.
    #[error("whoever made invite {invite} may invite no longer")]
    InviterGone {
        /// The invite.
        invite: OpId,
    },
    /// The receipt does not precede the invite's expiry.
    #[error("invite {invite} expired at {}, received at {}", expires.0, time.0)]
    InviteExpired {
        /// The invite.
        invite: OpId,
        /// Its expiry.
        expires: Timestamp,
        /// The time of receipt.
        time: Timestamp,
    },
    /// There is no such epoch.
    #[error("no epoch {found}, the newest is {newest}")]
    NoEpoch {
        /// The epoch named.
        found: u64,
        /// The newest.
        newest: u64,
    },
    /// A list of wraps is not as long as what it is said to be for.
    #[error("a list of {expected} wraps for {found} recipients")]
    WrapCount {
        /// Wraps in the list.
        expected: u32,
        /// Recipients named.
        found: usize,
    },
    /// The new epoch does not follow the newest good one.
    #[error("the new epoch follows {found}, the newest good one is {newest:?}")]
    Follows {
        /// The epoch named.
        found: u64,
        /// The newest good one.
        newest: Option<u64>,
    },
    /// The new epoch is not wrapped to the members' newest epochs.
    #[error("the new epoch is not wrapped to the newest epochs of those who stand in chain {chain}")]
    Targets {
        /// The chain.
        chain: ChainId,
    },
    /// The newest epoch is good as it is: nobody who may hold its key has left.
    #[error("the newest epoch of chain {chain} is not stale")]
    NotStale {
        /// The chain.
        chain: ChainId,
    },
    /// The new epoch carries the key of one to which another leads back.
    #[error("epoch {found} is not one that was passed over")]
    NotPassedOver {
        /// The epoch named.
        found: u64,
    },
    /// Whoever began an epoch does not call it bad.
    #[error("epoch {epoch} is called bad by the device that began it")]
    OwnEpoch {
        /// The epoch.
        epoch: u64,
    },
    /// Nothing that could be ended.
    #[error("chain {subject} holds no role that this would end")]
    NothingEnds {
        /// The member named.
        subject: ChainId,
    },
    /// The user has no such device.
    #[error("device {device} does not stand in this chain")]
    NoDevice {
        /// The device.
        device: DeviceId,
    },
    /// An agency would be left without a Manager.
    #[error("the last Manager of agency {agency} goes, and no successor is named")]
    LastManager {
        /// The agency.
        agency: ChainId,
    },
    /// A user would be left without a device by one of his own.
    #[error("device {device} is the last of its user")]
    LastDevice {
        /// The device.
        device: DeviceId,
    },
    /// A document would be left without anybody.
    #[error("nobody would hold document {document}")]
    NobodyLeft {
        /// The document.
        document: ChainId,
    },
    /// It was decided on already.
    #[error("chunk or document {of} was decided on already")]
    Decided {
        /// The chunk's link or the document.
        of: vereda_base::Digest,
    },
    /// The document was erased.
    #[error("document {document} was erased")]
    Erased {
        /// The document.
        document: ChainId,
    },
}

impl OpRefusal {
    /// Says whether the operation may stand once more is known here.
    #[must_use]
    pub const fn is_waiting(&self) -> bool {
        matches!(self, Self::Waiting { .. })
    }
}

impl From<Waiting> for OpRefusal {
    fn from(Waiting { chain, head }: Waiting) -> Self {
        Self::Waiting { chain, head }
    }
}

/// As of when the author was judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// The heads cited.
    Cited,
    /// The newest heads.
    Now,
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cited => "at the heads cited",
            Self::Now => "now",
        })
    }
}

/// A part of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The cites.
    Cites,
    /// A `Create`'s parents.
    Parents,
    /// A `Create`'s members.
    Members,
    /// The document's kind.
    DocumentKind,
    /// The first device's wrapping key.
    WrappingKey,
    /// The epoch's public key.
    EpochKey,
    /// The hash of the sealed previous key.
    PreviousKey,
    /// The wraps.
    Wraps,
    /// The bytes of a sealed purpose.
    Purpose,
    /// A user's devices.
    Devices,
    /// Whom wraps are for.
    Targets,
    /// Epochs that were passed over.
    Carried,
    /// Chunks named.
    Chunks,
    /// Documents named.
    Documents,
    /// Sections named.
    Sections,
    /// The leaves of a frontier.
    Leaves,
    /// The bytes of a sealed reason.
    Reason,
    /// The heads of a beacon.
    Heads,
    /// A number of days.
    Days,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cites => "cites",
            Self::Parents => "parents",
            Self::Members => "members",
            Self::DocumentKind => "document kind",
            Self::WrappingKey => "wrapping key",
            Self::EpochKey => "epoch public key",
            Self::PreviousKey => "previous key",
            Self::Wraps => "wraps",
            Self::Purpose => "bytes of purpose",
            Self::Devices => "devices",
            Self::Targets => "targets",
            Self::Carried => "epochs carried",
            Self::Chunks => "chunks",
            Self::Documents => "documents",
            Self::Sections => "sections",
            Self::Leaves => "leaves",
            Self::Reason => "bytes of reason",
            Self::Heads => "heads",
            Self::Days => "days",
        })
    }
}
