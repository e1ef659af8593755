//! What a policy chain says: the state that its operations lead to, with the past kept as intervals, so that it can be
//! asked at any earlier head.

mod apply;
mod parts;

use std::collections::BTreeMap;

use vereda_base::{ChainId, DeviceId, Link, OpId, Timestamp};

pub use parts::{
    BeaconState, DecidedDocument, Decision, Denial, DeviceStanding, EpochState, EpochWraps, InviteEnd, InviteState,
    Membership, OpRecord, ParentStanding, Removal,
};

use crate::{AdoptedDocument, Authorized, ChainKind, Cite, DocumentKind, Op, Parent, Retention, Role};

/// The state of one chain. Compact: a case with two operations takes about a kilobyte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainState {
    id: ChainId,
    kind: ChainKind,
    document: Option<DocumentKind>,
    creator: DeviceId,
    ops: Vec<OpRecord>,
    parents: Vec<ParentStanding>,
    members: Vec<Membership>,
    devices: Vec<DeviceStanding>,
    invites: Vec<InviteState>,
    epochs: Vec<EpochState>,
    cited: Vec<Cite>,
    removals: Vec<Removal>,
    /// What is asked for seldom: most chains have none of it.
    rare: Option<Box<Rare>>,
}

/// What few chains have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Rare {
    decided: BTreeMap<Link, Decision>,
    documents: Vec<DecidedDocument>,
    beacons: Vec<BeaconState>,
    retention: BTreeMap<Retention, u32>,
    erased: Option<u64>,
}

impl ChainState {
    /// Begins the chain of an authorised `Create`, received at `time` (`None` before its receipt is known). A document that
    /// was adopted is held by whom the adoption names ([`Authorized::adopted`]).
    ///
    /// # Errors
    /// [`ApplyError::NotBegun`] if the operation is no `Create`.
    pub fn begin(op: &Authorized<Op>, time: Option<Timestamp>) -> Result<Self, ApplyError> {
        Self::begin_with(op.value(), op.id(), time, op.adopted())
    }

    /// Appends an authorised operation, received at `time`.
    ///
    /// # Errors
    /// [`ApplyError`] if the operation does not follow this head: it was authorised for another.
    pub fn apply(&mut self, op: &Authorized<Op>, time: Option<Timestamp>) -> Result<(), ApplyError> {
        self.apply_with(op.value(), op.id(), time)
    }

    /// Gives an operation its place without any effect: it is beyond its author's frontier, and yet the relay appended it.
    ///
    /// # Errors
    /// [`ApplyError`] if the operation does not follow this head; [`ApplyError::NotBegun`] never.
    pub fn apply_void(&mut self, op: &Op, id: OpId, time: Option<Timestamp>) -> Result<(), ApplyError> {
        self.check_follows(op)?;
        self.ops.push(OpRecord { id, time, is_void: true });
        Ok(())
    }

    /// Rebuilds the state from operations that this store itself accepted as [`Authorized`] before it kept them, or found
    /// void. `adopted` says how a document was adopted. Checks their order only: never for operations from
    /// outside.
    ///
    /// # Errors
    /// [`ApplyError`] if they are not one chain from its first operation on.
    pub fn replay(
        ops: impl IntoIterator<Item = ReplayedOp>,
        adopted: Option<&AdoptedDocument>,
    ) -> Result<Self, ApplyError> {
        let mut ops = ops.into_iter();
        let first = ops.next().ok_or(ApplyError::NotBegun)?;
        let mut state = Self::begin_with(&first.op, crate::op_id(&first.op), first.time, adopted)?;
        for ReplayedOp { op, time, is_void } in ops {
            let id = crate::op_id(&op);
            if is_void { state.apply_void(&op, id, time)? } else { state.apply_with(&op, id, time)? }
        }
        Ok(state)
    }

    /// Notes when the relay received an operation that was made here. Has no effect beyond the head.
    pub fn note_receipt_time(&mut self, seq: u64, time: Timestamp) {
        if let Some(record) = usize::try_from(seq).ok().and_then(|index| self.ops.get_mut(index)) {
            record.time = Some(time);
        }
    }

    /// Names the chain.
    pub const fn id(&self) -> ChainId {
        self.id
    }

    /// Tells what the chain is the policy of.
    pub const fn kind(&self) -> ChainKind {
        self.kind
    }

    /// Tells what the document holds; `None` for other chains.
    pub const fn document_kind(&self) -> Option<DocumentKind> {
        self.document
    }

    /// Names the device that began the chain.
    pub const fn creator(&self) -> DeviceId {
        self.creator
    }

    /// Names the newest operation.
    pub fn head(&self) -> OpId {
        self.ops.last().map_or(OpId(self.id.0), |record| record.id)
    }

    /// Tells the newest operation's seq.
    pub const fn head_seq(&self) -> u64 {
        self.ops.len().saturating_sub(1) as u64
    }

    /// Lists all operations, by seq.
    pub fn ops(&self) -> &[OpRecord] {
        &self.ops
    }

    /// Finds an operation by seq.
    pub fn op(&self, seq: u64) -> Option<&OpRecord> {
        self.ops.get(usize::try_from(seq).ok()?)
    }

    /// Finds an operation's seq, looking from the newest on.
    pub fn seq_of(&self, op: &OpId) -> Option<u64> {
        self.ops.iter().rposition(|record| record.id == *op).map(|index| index as u64)
    }

    /// Tells when the newest operation with a known receipt was received.
    pub fn last_time(&self) -> Option<Timestamp> {
        self.ops.iter().rev().find_map(|record| record.time)
    }

    /// Lists the parents that stand at the newest head, sorted by chain.
    pub fn parents(&self) -> impl Iterator<Item = &Parent> {
        self.parents_at(self.head_seq())
    }

    /// Lists the parents that stand at a head, sorted by chain.
    pub fn parents_at(&self, seq: u64) -> impl Iterator<Item = &Parent> {
        self.parents.iter().filter(move |standing| standing.stands_at(seq)).map(|standing| &standing.parent)
    }

    /// Lists all parents there ever were, sorted by chain.
    pub fn all_parents(&self) -> &[ParentStanding] {
        &self.parents
    }

    /// Lists all roles ever held, oldest first.
    pub fn members(&self) -> &[Membership] {
        &self.members
    }

    /// Lists all devices ever added to a user, oldest first.
    pub fn devices(&self) -> &[DeviceStanding] {
        &self.devices
    }

    /// Finds a device of a user, past ones included.
    pub fn device(&self, device: &DeviceId) -> Option<&DeviceStanding> {
        self.devices.iter().find(|standing| standing.device == *device)
    }

    /// Lists all invites, oldest first.
    pub fn invites(&self) -> &[InviteState] {
        &self.invites
    }

    /// Finds an invite by its operation.
    pub fn invite(&self, op: &OpId) -> Option<&InviteState> {
        self.invites.iter().find(|invite| invite.op == *op)
    }

    /// Lists all epochs, by number.
    pub fn epochs(&self) -> &[EpochState] {
        &self.epochs
    }

    /// Finds an epoch by number.
    pub fn epoch(&self, number: u64) -> Option<&EpochState> {
        self.epochs.get(usize::try_from(number).ok()?)
    }

    /// Finds the newest epoch.
    pub fn newest_epoch(&self) -> Option<&EpochState> {
        self.epochs.last()
    }

    /// Lists the newest head cited of every other chain, sorted by chain. Later operations never cite an older one.
    pub fn cited(&self) -> &[Cite] {
        &self.cited
    }

    /// Finds the epoch that the next one follows: the newest that nobody called bad, or where there is none the first,
    /// whose key all hold who read anything.
    pub fn epoch_to_follow(&self) -> Option<&EpochState> {
        self.epochs.iter().rev().find(|epoch| epoch.fault.is_none()).or_else(|| self.epochs.first())
    }

    /// Lists the epochs whose keys the next one may carry, beside the one that it follows: those to which no good epoch
    /// leads back from there. Somebody called an epoch bad, and what is sealed under it would be closed to who comes later.
    pub fn epochs_to_carry(&self) -> Vec<u64> {
        let mut reached = std::collections::BTreeSet::new();
        let mut open: Vec<u64> = self.epoch_to_follow().map(|epoch| epoch.number).into_iter().collect();
        while let Some(number) = open.pop() {
            let led = self.epoch(number).filter(|epoch| reached.insert(number) && epoch.fault.is_none());
            open.extend(led.into_iter().flat_map(|epoch| epoch.carries.iter().copied().chain(epoch.follows)));
        }
        self.epochs.iter().map(|epoch| epoch.number).filter(|number| !reached.contains(number)).collect()
    }

    /// Lists the removals, oldest first.
    pub fn removals(&self) -> &[Removal] {
        &self.removals
    }

    /// Finds the removal at a seq.
    pub fn removal(&self, seq: u64) -> Option<&Removal> {
        self.removals.iter().find(|removal| removal.seq == seq)
    }

    /// Lists the members that stand at the newest head, each once, sorted; those whose time has passed too, until an
    /// operation ends them.
    pub fn standing_members(&self) -> Vec<ChainId> {
        let head = self.head_seq();
        let standing = self.members.iter().filter(|member| member.stands_at(head, None));
        standing.map(|member| member.subject).collect::<std::collections::BTreeSet<_>>().into_iter().collect()
    }

    /// Lists whom a new epoch's key is wrapped to, sorted by id: the standing devices of a user, the standing members of
    /// any other chain.
    pub fn recipients(&self) -> Vec<vereda_base::Digest> {
        let head = self.head_seq();
        if self.kind != ChainKind::User {
            return self.standing_members().into_iter().map(|member| vereda_base::Digest(member.0)).collect();
        }
        let standing = self.devices.iter().filter(|device| device.stands_at(head));
        let mut devices: Vec<_> = standing.map(|device| vereda_base::Digest(device.device.0)).collect();
        devices.sort_unstable();
        devices
    }

    /// Tells the best role that a member holds at a head.
    pub fn role_of(&self, subject: &ChainId, seq: u64) -> Option<Role> {
        let held = self.members.iter().filter(|held| held.subject == *subject && held.stands_at(seq, None));
        held.map(|held| held.role).max()
    }

    /// Tells what became of a chunk in review.
    pub fn decided(&self, chunk: &Link) -> Option<Decision> {
        self.rare.as_ref()?.decided.get(chunk).copied()
    }

    /// Says whether a chunk was adopted.
    pub fn is_adopted(&self, chunk: &Link) -> bool {
        matches!(self.decided(chunk), Some(Decision::Adopted { .. }))
    }

    /// Lists the chunks that were in review and what became of them.
    pub fn all_decided(&self) -> impl Iterator<Item = (&Link, &Decision)> {
        self.rare.iter().flat_map(|rare| &rare.decided)
    }

    /// Tells what a team did with a document that was begun by someone removed meanwhile.
    pub fn decided_document(&self, document: &ChainId) -> Option<&DecidedDocument> {
        self.rare.as_ref()?.documents.iter().find(|decided| decided.adopted.document == *document)
    }

    /// Lists the newest beacon of each device.
    pub fn beacons(&self) -> &[BeaconState] {
        self.rare.as_ref().map_or(&[], |rare| &rare.beacons)
    }

    /// Tells how long something is kept or may wait, in days; `None` where that was never set.
    pub fn retention(&self, what: Retention) -> Option<u32> {
        self.rare.as_ref()?.retention.get(&what).copied()
    }

    /// Says whether the document was erased.
    pub fn is_erased(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| rare.erased.is_some())
    }
}

/// An operation to be replayed.
#[derive(Debug, Clone)]
pub struct ReplayedOp {
    /// The operation.
    pub op: Op,
    /// When the relay received it; `None` until a receipt is known.
    pub time: Option<Timestamp>,
    /// It has no effect.
    pub is_void: bool,
}

/// Why an operation does not continue a chain's state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// The first operation is no `Create`.
    #[error("a chain begins with a Create")]
    NotBegun,
    /// The operation belongs to another chain.
    #[error("operation does not belong to chain {expected}")]
    OtherChain {
        /// The chain it was applied to.
        expected: ChainId,
    },
    /// The operation follows another head.
    #[error("operation {seq} does not follow head {head}")]
    OtherHead {
        /// Its seq.
        seq: u64,
        /// The head there is.
        head: OpId,
    },
}
