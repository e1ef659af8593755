//! What a chain's state is made of. The past is kept as intervals of seqs.

use vereda_base::{ChainId, DeviceId, Digest, OpId, Timestamp};
use vereda_crypto::WrapPublicKey;

use crate::{AdoptedDocument, DeviceKind, EpochFault, Frontier, Parent, Role, Target, WrapList};

/// One operation's place: its index is its seq.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpRecord {
    /// The operation.
    pub id: OpId,
    /// When the relay received it; `None` until a receipt is known.
    pub time: Option<Timestamp>,
    /// It keeps its place and has no effect: its author's work no longer stood there.
    pub is_void: bool,
}

/// A role that a member holds from one operation on, until another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Membership {
    /// The user, team or agency.
    pub subject: ChainId,
    /// Its role.
    pub role: Role,
    /// Seq of the operation that gave it.
    pub from_seq: u64,
    /// Seq of the operation that ended it.
    pub until_seq: Option<u64>,
    /// When it ends by itself.
    pub expires: Option<Timestamp>,
}

impl Membership {
    /// Says whether the role stands at a head of this chain. With `now`, a role whose time has passed does not.
    #[must_use]
    pub fn stands_at(&self, head_seq: u64, now: Option<Timestamp>) -> bool {
        let expired = now.zip(self.expires).is_some_and(|(now, expires)| expires <= now);
        stands(self.from_seq, self.until_seq, head_seq) && !expired
    }
}

/// A device of a user from one operation on, until another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceStanding {
    /// The device.
    pub device: DeviceId,
    /// The key to wrap to.
    pub wrapping_key: WrapPublicKey,
    /// Seq of the operation that added it.
    pub from_seq: u64,
    /// Seq of the operation that removed it.
    pub until_seq: Option<u64>,
    /// What it may do.
    pub kind: DeviceKind,
}

impl DeviceStanding {
    /// Says whether the device stands at a head of this chain.
    #[must_use]
    pub const fn stands_at(&self, head_seq: u64) -> bool {
        stands(self.from_seq, self.until_seq, head_seq)
    }
}

/// An invite and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InviteState {
    /// The `Invite` operation.
    pub op: OpId,
    /// Who invites.
    pub by: DeviceId,
    /// The other chains by whose heads he might.
    pub relies_on: Vec<ChainId>,
    /// Its one-time key.
    pub key: DeviceId,
    /// The role offered.
    pub role: Role,
    /// A receipt must precede this.
    pub expires: Timestamp,
    /// How it ended; `None` while it is open.
    pub end: Option<InviteEnd>,
}

/// How an invite ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InviteEnd {
    /// A user took it up.
    Accepted {
        /// The user.
        user: ChainId,
        /// Seq of the `Accept`.
        seq: u64,
    },
    /// A Manager withdrew it.
    Cancelled {
        /// Seq of the withdrawal.
        seq: u64,
    },
}

/// A key epoch and the lists of wraps made for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpochState {
    /// Its number, from 0.
    pub number: u64,
    /// Public half of a group's epoch secret; `None` for documents.
    pub public_key: Option<WrapPublicKey>,
    /// Commitment to the key or secret.
    pub commitment: Digest,
    /// Hash of the sealed previous key.
    pub previous: Option<Digest>,
    /// Seq of the operation that began it.
    pub from_seq: u64,
    /// The device that began it.
    pub creator: DeviceId,
    /// The epoch whose key it holds sealed; `None` for the first, and for one that was begun when nobody had the key before.
    pub follows: Option<u64>,
    /// Epochs passed over whose keys it holds sealed too.
    pub carries: Vec<u64>,
    /// Lists of wraps, oldest first.
    pub wraps: Vec<EpochWraps>,
    /// Whom the key was ever wrapped to, oldest first.
    pub targets: Vec<Target>,
    /// What a member found wrong with it, first of all.
    pub fault: Option<EpochFault>,
    /// Who said that what was wrapped to him is not its key, oldest first.
    pub denials: Vec<Denial>,
    /// Who said that the key before is not what it holds sealed, oldest first.
    pub unled: Vec<DeviceId>,
    /// It came with a document that was adopted: whoever made it has no rights any more.
    pub is_adopted: bool,
}

impl EpochState {
    /// Tells the oldest of a recipient's epochs that the key was wrapped to: whoever held that one may hold this.
    pub fn oldest_target(&self, recipient: &Digest) -> Option<u64> {
        self.targets_of(recipient).min()
    }

    /// Tells the newest of a recipient's epochs that the key was wrapped to.
    pub fn newest_target(&self, recipient: &Digest) -> Option<u64> {
        self.targets_of(recipient).max()
    }

    /// Says whether a device may call it bad: anybody who did not begin it where nobody did before; then whoever says so of
    /// what was wrapped to him, until somebody is given the key anew, or of the key before that it holds, once.
    pub fn may_be_called_bad(&self, by: &DeviceId, fault: EpochFault) -> bool {
        let given = self.targets.len();
        let says_more = || !self.denials.iter().any(|denial| denial.device == *by && denial.given == given);
        let is_heard = || match fault {
            EpochFault::Wrap | EpochFault::Commitment => says_more(),
            EpochFault::Previous => self.follows.is_some() && !self.unled.contains(by),
        };
        self.creator != *by && (self.fault.is_none() || is_heard())
    }

    /// Says whether a device denied that one of the targets, by its index, was given the key.
    pub fn is_denied(&self, by: &DeviceId, target: usize) -> bool {
        self.denials.iter().any(|denial| denial.device == *by && denial.given > target)
    }

    fn targets_of<'a>(&'a self, recipient: &'a Digest) -> impl Iterator<Item = u64> + 'a {
        self.targets.iter().filter(move |target| target.recipient == *recipient).map(|target| target.epoch)
    }
}

/// The word of a device that what was wrapped to it, or to whom it belongs to, is not the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Denial {
    /// The device.
    pub device: DeviceId,
    /// How many targets there were: of later ones it says nothing.
    pub given: usize,
}

/// A list of wraps and the operation that commits to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochWraps {
    /// The operation.
    pub op: OpId,
    /// The list.
    pub list: WrapList,
}

/// An operation that ended or lowered roles, or removed a device, and up to where the work before it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Removal {
    /// Its seq.
    pub seq: u64,
    /// The operation.
    pub op: OpId,
    /// Up to where the work of whom it concerns stands.
    pub frontier: Frontier,
}

/// A parent from one operation on, until another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParentStanding {
    /// The parent and what its Managers may do.
    pub parent: Parent,
    /// Seq of the operation that gave it.
    pub from_seq: u64,
    /// Seq of the operation that ended it.
    pub until_seq: Option<u64>,
}

impl ParentStanding {
    /// Says whether the parent stands at a head of this chain.
    #[must_use]
    pub const fn stands_at(&self, head_seq: u64) -> bool {
        stands(self.from_seq, self.until_seq, head_seq)
    }
}

/// What became of something in review.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Taken in.
    Adopted {
        /// Seq of the `Adopt`.
        seq: u64,
    },
    /// Turned away.
    Discarded {
        /// Seq of the `Discard`.
        seq: u64,
    },
}

/// A document that a team took in or turned away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecidedDocument {
    /// The document; with nobody in it where it was turned away.
    pub adopted: AdoptedDocument,
    /// What became of it.
    pub decision: Decision,
}

/// What a Manager's device stated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BeaconState {
    /// The device.
    pub device: DeviceId,
    /// Seq of the `Beacon`.
    pub seq: u64,
    /// When, by its clock.
    pub time: Timestamp,
    /// What it knew.
    pub heads: Vec<crate::Cite>,
}

pub(crate) const fn stands(from_seq: u64, until_seq: Option<u64>, head_seq: u64) -> bool {
    from_seq <= head_seq
        && match until_seq {
            Some(until) => until > head_seq,
            None => true,
        }
}
