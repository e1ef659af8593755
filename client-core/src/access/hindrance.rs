//! Why a decision about access cannot be made, as far as this device knows.

use vereda_base::{ChainId, Timestamp};
use vereda_policy::{DraftError, OpRefusal};

/// Why a decision cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Hindrance {
    /// Nothing of it is known here.
    #[error("{chain} is not known on this device")]
    Unknown {
        /// What was named.
        chain: ChainId,
    },
    /// The person's role does not suffice.
    #[error("this takes a Manager of {chain}, or of a team or agency that governs it")]
    NotManager {
        /// The case, section, team or agency.
        chain: ChainId,
    },
    /// A document may not be put before this member by this person.
    #[error(
        "a document is put before {subject} only by a Manager of a team or agency that governs it; an Editor may put it \
         before himself and before a team that governs it"
    )]
    NotCovered {
        /// The member.
        subject: ChainId,
    },
    /// A role would outlast the giver's own.
    #[error(
        "your own role over {chain} ends{}: you give nobody a role there that lasts longer",
        until.map(moment).unwrap_or_default()
    )]
    Outlasts {
        /// The case, section, team or agency.
        chain: ChainId,
        /// When the giver's role ends, in milliseconds since 1970 by the relay's clock, where that is known.
        until: Option<Timestamp>,
    },
    /// The member has no role that would end.
    #[error("{subject} has no role of its own there that this would end")]
    NothingEnds {
        /// The member.
        subject: ChainId,
    },
    /// An agency keeps a Manager.
    #[error("agency {agency} would be left without a Manager: name a successor")]
    LastManager {
        /// The agency.
        agency: ChainId,
    },
    /// A document keeps a holder.
    #[error("nobody would hold {document} for good any more: assign it to somebody, or erase it")]
    NobodyLeft {
        /// The document.
        document: ChainId,
    },
    /// The document is no more.
    #[error("{document} was erased")]
    Erased {
        /// The document.
        document: ChainId,
    },
    /// What is decided on has no place there.
    #[error("{subject} cannot be a member there")]
    WrongKind {
        /// The member.
        subject: ChainId,
    },
    /// The invite is over.
    #[error("the invite was taken up, or withdrawn, already")]
    InviteEnded,
    /// What is in review was decided on.
    #[error("somebody decided on this already")]
    Decided,
    /// Anything else that policy says, of the operation.
    #[error("not allowed, as far as this device knows: {0}")]
    Refused(OpRefusal),
    /// Anything else that policy says, before there is an operation.
    #[error("not allowed, as far as this device knows: {0}")]
    Draft(DraftError),
}

impl From<DraftError> for Hindrance {
    fn from(error: DraftError) -> Self {
        match error {
            DraftError::UnknownChain { chain } => Self::Unknown { chain },
            DraftError::NoPath { chain, .. } => Self::NotManager { chain },
            error => Self::Draft(error),
        }
    }
}

impl From<OpRefusal> for Hindrance {
    fn from(refusal: OpRefusal) -> Self {
        match refusal {
            OpRefusal::NoAuthority { chain, .. } => Self::NotManager { chain },
            OpRefusal::Outlasts { chain, until, .. } => Self::Outlasts { chain, until },
            OpRefusal::NotCovered { subject, .. } => Self::NotCovered { subject },
            OpRefusal::NothingEnds { subject } => Self::NothingEnds { subject },
            OpRefusal::LastManager { agency } => Self::LastManager { agency },
            OpRefusal::NobodyLeft { document } => Self::NobodyLeft { document },
            OpRefusal::Erased { document } => Self::Erased { document },
            OpRefusal::WrongKind { subject, .. } => Self::WrongKind { subject },
            OpRefusal::UnknownSubject { subject } => Self::Unknown { chain: subject },
            OpRefusal::InviteTaken { .. } | OpRefusal::InviteCancelled { .. } | OpRefusal::InviterGone { .. } => {
                Self::InviteEnded
            }
            OpRefusal::Decided { .. } => Self::Decided,
            refusal => Self::Refused(refusal),
        }
    }
}

/// A time as people read it, in universal time.
fn moment(time: Timestamp) -> String {
    let time = jiff::Timestamp::from_millisecond(time.0).unwrap_or_default();
    time.strftime(" on %Y-%m-%d at %H:%M UTC").to_string()
}
