//! What a policy chain says: the state that its operations lead to, with the past kept as intervals, so that it can be
//! asked at any earlier head.

use vereda_base::{ChainId, DeviceId, Digest, OpId, Timestamp};
use vereda_crypto::WrapPublicKey;

use crate::{Authorized, Body, ChainKind, Cite, Create, DocumentKind, Epoch, Op, Parent, Role, WrapList};

/// The state of one chain. Compact: a case with two operations takes about a kilobyte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainState {
    id: ChainId,
    kind: ChainKind,
    document: Option<DocumentKind>,
    creator: DeviceId,
    ops: Vec<OpRecord>,
    parents: Vec<Parent>,
    members: Vec<Membership>,
    devices: Vec<DeviceStanding>,
    invites: Vec<InviteState>,
    epochs: Vec<EpochState>,
    cited: Vec<Cite>,
}

/// One operation's place: its index is its seq.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpRecord {
    /// The operation.
    pub id: OpId,
    /// When the relay received it; `None` until a receipt is known.
    pub time: Option<Timestamp>,
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
}

impl DeviceStanding {
    /// Says whether the device stands at a head of this chain.
    #[must_use]
    pub const fn stands_at(&self, head_seq: u64) -> bool {
        stands(self.from_seq, self.until_seq, head_seq)
    }
}

/// An invite and what became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InviteState {
    /// The `Invite` operation.
    pub op: OpId,
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
    /// Lists of wraps, oldest first.
    pub wraps: Vec<EpochWraps>,
}

/// A list of wraps and the operation that commits to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochWraps {
    /// The operation.
    pub op: OpId,
    /// The list.
    pub list: WrapList,
}

impl ChainState {
    /// Begins the chain of an authorised `Create`, received at `time` (`None` before its receipt is known).
    ///
    /// # Errors
    /// [`ApplyError::NotBegun`] if the operation is no `Create`.
    pub fn begin(op: &Authorized<Op>, time: Option<Timestamp>) -> Result<Self, ApplyError> {
        Self::begin_with(op.value(), op.id(), time)
    }

    /// Appends an authorised operation, received at `time`.
    ///
    /// # Errors
    /// [`ApplyError`] if the operation does not follow this head: it was authorised for another.
    pub fn apply(&mut self, op: &Authorized<Op>, time: Option<Timestamp>) -> Result<(), ApplyError> {
        self.apply_with(op.value(), op.id(), time)
    }

    /// Rebuilds the state from operations that this store itself accepted as [`Authorized`] before it kept them. Checks
    /// their order only: never for operations from outside.
    ///
    /// # Errors
    /// [`ApplyError`] if they are not one chain from its first operation on.
    pub fn replay(ops: impl IntoIterator<Item = (Op, Option<Timestamp>)>) -> Result<Self, ApplyError> {
        let mut ops = ops.into_iter();
        let (first, time) = ops.next().ok_or(ApplyError::NotBegun)?;
        let mut state = Self::begin_with(&first, crate::op_id(&first), time)?;
        for (op, time) in ops {
            state.apply_with(&op, crate::op_id(&op), time)?;
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

    /// Lists the parents, sorted by chain.
    pub fn parents(&self) -> &[Parent] {
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

    fn begin_with(op: &Op, id: OpId, time: Option<Timestamp>) -> Result<Self, ApplyError> {
        let Body::Create(create) = &op.body else { return Err(ApplyError::NotBegun) };
        let mut state = Self::empty(create, op, ChainId(id.0));
        state.members = create
            .members
            .iter()
            .map(|member| Membership {
                subject: member.subject,
                role: member.role,
                from_seq: 0,
                until_seq: None,
                expires: None,
            })
            .collect();
        state.add_device(op.device, create.wrapping_key.as_ref());
        state.begin_epoch(&create.epoch, id);
        state.note(op, id, time);
        Ok(state)
    }

    fn empty(create: &Create, op: &Op, id: ChainId) -> Self {
        Self {
            id,
            kind: create.kind,
            document: create.document,
            creator: op.device,
            // Most chains are documents with one to five operations: room for what is sure to come, no more.
            ops: Vec::with_capacity(1),
            parents: create.parents.clone(),
            members: Vec::new(),
            devices: Vec::new(),
            invites: Vec::new(),
            epochs: Vec::with_capacity(1),
            cited: Vec::with_capacity(op.cites.len()),
        }
    }

    fn apply_with(&mut self, op: &Op, id: OpId, time: Option<Timestamp>) -> Result<(), ApplyError> {
        let head = self.head();
        if op.chain != Some(self.id) {
            return Err(ApplyError::OtherChain { expected: self.id });
        }
        if op.seq != self.ops.len() as u64 || op.prev != Some(head) {
            return Err(ApplyError::OtherHead { seq: op.seq, head });
        }
        match &op.body {
            Body::Create(_) => return Err(ApplyError::OtherHead { seq: op.seq, head }),
            Body::AddDevice(add) => self.add_device(add.device, Some(&add.wrapping_key)),
            Body::Grant(grant) => self.add_member(grant.subject, grant.role, op.seq, grant.expires),
            Body::Invite(invite) => self.invites.push(InviteState {
                op: id,
                key: invite.key,
                role: invite.role,
                expires: invite.expires,
                end: None,
            }),
            Body::Accept(accept) => self.accept(&accept.invite, accept.user, op.seq),
            Body::Repair(repair) => {
                let index = usize::try_from(repair.epoch).unwrap_or(usize::MAX);
                if let Some(epoch) = self.epochs.get_mut(index) {
                    epoch.wraps.push(EpochWraps { op: id, list: repair.wraps });
                }
            }
        }
        self.note(op, id, time);
        Ok(())
    }

    fn accept(&mut self, invite: &OpId, user: ChainId, seq: u64) {
        let Some(open) = self.invites.iter_mut().find(|open| open.op == *invite) else { return };
        open.end = Some(InviteEnd::Accepted { user, seq });
        let role = open.role;
        self.add_member(user, role, seq, None);
    }

    /// Adds a role beside those already held: a grant never lowers. One that adds nothing leaves no trace.
    fn add_member(&mut self, subject: ChainId, role: Role, seq: u64, expires: Option<Timestamp>) {
        let adds_nothing = |held: &Membership| {
            let lasts = held.expires.is_none_or(|held| expires.is_some_and(|expires| expires <= held));
            held.subject == subject && held.role >= role && held.until_seq.is_none() && lasts
        };
        if !self.members.iter().any(adds_nothing) {
            self.members.push(Membership { subject, role, from_seq: seq, until_seq: None, expires });
        }
    }

    fn add_device(&mut self, device: DeviceId, wrapping_key: Option<&WrapPublicKey>) {
        if let Some(wrapping_key) = wrapping_key {
            let wrapping_key = wrapping_key.clone();
            self.devices.push(DeviceStanding {
                device,
                wrapping_key,
                from_seq: self.ops.len() as u64,
                until_seq: None,
            });
        }
    }

    fn begin_epoch(&mut self, epoch: &Epoch, op: OpId) {
        self.epochs.push(EpochState {
            number: self.epochs.len() as u64,
            public_key: epoch.public_key.clone(),
            commitment: epoch.commitment,
            previous: epoch.previous,
            from_seq: self.ops.len() as u64,
            wraps: vec![EpochWraps { op, list: epoch.wraps }],
        });
    }

    fn note(&mut self, op: &Op, id: OpId, time: Option<Timestamp>) {
        self.ops.push(OpRecord { id, time });
        for cite in &op.cites {
            match self.cited.binary_search_by_key(&cite.chain, |known| known.chain) {
                Ok(index) => {
                    if let Some(known) = self.cited.get_mut(index) {
                        known.head = cite.head;
                    }
                }
                Err(index) => self.cited.insert(index, *cite),
            }
        }
    }
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

const fn stands(from_seq: u64, until_seq: Option<u64>, head_seq: u64) -> bool {
    from_seq <= head_seq
        && match until_seq {
            Some(until) => until > head_seq,
            None => true,
        }
}
