//! What operations do to a chain's state.

use vereda_base::{ChainId, DeviceId, Digest, OpId, Timestamp};
use vereda_crypto::WrapPublicKey;

use super::{
    ApplyError, BeaconState, ChainState, DecidedDocument, Decision, Denial, DeviceStanding, EpochState, EpochWraps,
    InviteEnd, InviteState, Membership, OpRecord, ParentStanding, Rare, Removal,
};
use crate::{
    AdoptedDocument, Assign, BadRotate, Body, Create, DeviceKind, Epoch, Expire, Frontier, Op, Parent, Repair, Revoke,
    Role, Target,
};

impl ChainState {
    pub(super) fn begin_with(
        op: &Op,
        id: OpId,
        time: Option<Timestamp>,
        adopted: Option<&AdoptedDocument>,
    ) -> Result<Self, ApplyError> {
        let Body::Create(create) = &op.body else { return Err(ApplyError::NotBegun) };
        let mut state = Self::empty(create, op, ChainId(id.0));
        state.add_device(op.device, create.wrapping_key.as_ref(), DeviceKind::Full);
        let members = create.members.iter();
        let named: Vec<Digest> = match create.wrapping_key {
            Some(_) => vec![Digest(op.device.0)],
            None => members.map(|member| Digest(member.subject.0)).collect(),
        };
        state.begin_epoch(&create.epoch, op, id, None, &named);
        if let Some(epoch) = state.epochs.first_mut() {
            epoch.is_adopted = adopted.is_some();
        }
        for member in adopted.map_or(&create.members, |adopted| &adopted.holders) {
            state.add_member(member.subject, member.role, 0, None);
        }
        if let Some(adopted) = adopted.filter(|adopted| !adopted.chunks.is_empty()) {
            state.decide(&adopted.chunks, &[], Decision::Adopted { seq: 0 });
        }
        state.note(op, id, time);
        Ok(state)
    }

    fn empty(create: &Create, op: &Op, id: ChainId) -> Self {
        let parent = |parent: &Parent| ParentStanding { parent: *parent, from_seq: 0, until_seq: None };
        Self {
            id,
            kind: create.kind,
            document: create.document,
            creator: op.device,
            // Most chains are documents with one to five operations: room for what is sure to come, no more.
            ops: Vec::with_capacity(1),
            parents: create.parents.iter().map(parent).collect(),
            members: Vec::with_capacity(create.members.len()),
            devices: Vec::new(),
            invites: Vec::new(),
            epochs: Vec::with_capacity(1),
            cited: Vec::with_capacity(op.cites.len()),
            removals: Vec::new(),
            rare: None,
        }
    }

    pub(super) fn check_follows(&self, op: &Op) -> Result<(), ApplyError> {
        let head = self.head();
        if op.chain != Some(self.id) {
            return Err(ApplyError::OtherChain { expected: self.id });
        }
        let follows = op.seq == self.ops.len() as u64 && op.prev == Some(head) && !matches!(op.body, Body::Create(_));
        if follows { Ok(()) } else { Err(ApplyError::OtherHead { seq: op.seq, head }) }
    }

    pub(super) fn apply_with(&mut self, op: &Op, id: OpId, time: Option<Timestamp>) -> Result<(), ApplyError> {
        self.check_follows(op)?;
        match &op.body {
            Body::Create(_) => {}
            Body::AddDevice(add) => self.add_device(add.device, Some(&add.wrapping_key), add.kind),
            Body::RemoveDevice(remove) => self.remove_device(&remove.device, remove.frontier, op.seq, id),
            Body::Grant(grant) => self.add_member(grant.subject, grant.role, op.seq, grant.expires),
            Body::Revoke(revoke) => self.revoke(revoke, op.seq, id),
            Body::Assign(assign) => self.assign(assign, op.seq, id),
            Body::Expire(expire) => self.expire(expire, op.seq, id, time),
            Body::Invite(invite) => self.invites.push(InviteState {
                op: id,
                by: op.device,
                relies_on: op.cites.iter().map(|cite| cite.chain).collect(),
                key: invite.key,
                role: invite.role,
                expires: invite.expires,
                end: None,
            }),
            Body::Accept(accept) => self.accept(&accept.invite, accept.user, op.seq),
            Body::CancelInvite(cancel) => {
                if let Some(open) = self.invites.iter_mut().find(|open| open.op == cancel.invite) {
                    open.end = Some(InviteEnd::Cancelled { seq: op.seq });
                }
            }
            Body::Rotate(rotate) => {
                let recipients = self.recipients();
                let follows = rotate.epoch.previous.map(|_| rotate.follows);
                self.begin_epoch(&rotate.epoch, op, id, follows, &recipients);
                if let Some(epoch) = self.epochs.last_mut() {
                    epoch.carries.clone_from(&rotate.carries);
                }
            }
            Body::Repair(repair) => self.repair(repair, id),
            Body::BadRotate(bad) => self.note_bad(bad, op.device),
            Body::Adopt(adopt) => self.decide(&adopt.chunks, &adopt.documents, Decision::Adopted { seq: op.seq }),
            Body::Discard(discard) => {
                let nobody = |document: &ChainId| AdoptedDocument {
                    document: *document,
                    holders: Vec::new(),
                    chunks: Vec::new(),
                };
                let documents: Vec<_> = discard.documents.iter().map(nobody).collect();
                self.decide(&discard.chunks, &documents, Decision::Discarded { seq: op.seq });
            }
            Body::Beacon(beacon) => {
                let (device, heads) = (op.device, beacon.heads.clone());
                let beacons = &mut self.rare().beacons;
                beacons.retain(|known| known.device != device);
                beacons.push(BeaconState { device, seq: op.seq, time: beacon.time, heads });
            }
            Body::SetRetention(set) => {
                self.rare().retention.insert(set.what, set.days);
            }
            Body::Erase => self.rare().erased = Some(op.seq),
        }
        self.note(op, id, time);
        Ok(())
    }

    fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
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

    /// Ends the roles of a member that `ends` names. Tells when the ended ones would have expired by themselves, if there
    /// were any: the latest, `None` within for never.
    fn end_members(
        &mut self,
        subject: &ChainId,
        seq: u64,
        ends: impl Fn(&Membership) -> bool,
    ) -> Option<Option<Timestamp>> {
        let mut ended: Option<Option<Timestamp>> = None;
        let standing = self.members.iter_mut().filter(|held| held.subject == *subject && held.until_seq.is_none());
        for held in standing.filter(|held| ends(held)) {
            held.until_seq = Some(seq);
            ended = Some(match ended {
                Some(latest) => latest.zip(held.expires).map(|(a, b)| a.max(b)),
                None => held.expires,
            });
        }
        ended
    }

    fn revoke(&mut self, revoke: &Revoke, seq: u64, op: OpId) {
        let ended = self.end_members(&revoke.subject, seq, |held| Some(held.role) > revoke.keeps);
        // A role that is left lasts as long as the higher one would have: lowering never prolongs.
        if let (Some(role), Some(expires)) = (revoke.keeps, ended) {
            self.add_member(revoke.subject, role, seq, expires);
        }
        if let Some(successor) = revoke.successor {
            self.add_member(successor, Role::Manager, seq, None);
        }
        self.removals.push(Removal { seq, op, frontier: revoke.frontier });
    }

    fn assign(&mut self, assign: &Assign, seq: u64, op: OpId) {
        for subject in &assign.takes {
            self.end_members(subject, seq, |_| true);
        }
        for member in &assign.gives {
            self.add_member(member.subject, member.role, seq, None);
        }
        if let Some(parents) = &assign.parents {
            self.set_parents(parents, seq);
        }
        self.removals.push(Removal { seq, op, frontier: assign.frontier });
    }

    fn set_parents(&mut self, parents: &[Parent], seq: u64) {
        for standing in self.parents.iter_mut().filter(|standing| standing.until_seq.is_none()) {
            if !parents.contains(&standing.parent) {
                standing.until_seq = Some(seq);
            }
        }
        for parent in parents {
            let stands = |held: &ParentStanding| held.parent == *parent && held.until_seq.is_none();
            if !self.parents.iter().any(stands) {
                self.parents.push(ParentStanding { parent: *parent, from_seq: seq, until_seq: None });
            }
        }
        self.parents.sort_by_key(|standing| standing.parent);
    }

    fn expire(&mut self, expire: &Expire, seq: u64, op: OpId, time: Option<Timestamp>) {
        let has_passed = |held: &Membership| held.expires.zip(time).is_some_and(|(expires, time)| expires <= time);
        self.end_members(&expire.subject, seq, has_passed);
        self.removals.push(Removal { seq, op, frontier: expire.frontier });
    }

    fn remove_device(&mut self, device: &DeviceId, frontier: Frontier, seq: u64, op: OpId) {
        let standing = self.devices.iter_mut().find(|known| known.device == *device && known.until_seq.is_none());
        if let Some(standing) = standing {
            standing.until_seq = Some(seq);
        }
        self.removals.push(Removal { seq, op, frontier });
    }

    fn add_device(&mut self, device: DeviceId, wrapping_key: Option<&WrapPublicKey>, kind: DeviceKind) {
        if let Some(wrapping_key) = wrapping_key {
            let wrapping_key = wrapping_key.clone();
            let from_seq = self.ops.len() as u64;
            self.devices.push(DeviceStanding { device, wrapping_key, from_seq, until_seq: None, kind });
        }
    }

    fn begin_epoch(&mut self, epoch: &Epoch, op: &Op, id: OpId, follows: Option<u64>, recipients: &[Digest]) {
        let wrapped = recipients.iter().zip(&epoch.targets);
        let targets = wrapped.filter_map(|(recipient, epoch)| Some(Target { recipient: *recipient, epoch: (*epoch)? }));
        self.epochs.push(EpochState {
            number: self.epochs.len() as u64,
            public_key: epoch.public_key.clone(),
            commitment: epoch.commitment,
            previous: epoch.previous,
            from_seq: self.ops.len() as u64,
            creator: op.device,
            follows,
            carries: Vec::new(),
            wraps: vec![EpochWraps { op: id, list: epoch.wraps }],
            targets: targets.collect(),
            fault: None,
            denials: Vec::new(),
            unled: Vec::new(),
            is_adopted: false,
        });
    }

    fn repair(&mut self, repair: &Repair, op: OpId) {
        let index = usize::try_from(repair.epoch).unwrap_or(usize::MAX);
        if let Some(epoch) = self.epochs.get_mut(index) {
            epoch.wraps.push(EpochWraps { op, list: repair.wraps });
            epoch.targets.extend(repair.targets.iter().copied());
        }
    }

    fn note_bad(&mut self, bad: &BadRotate, device: DeviceId) {
        let index = usize::try_from(bad.epoch).unwrap_or(usize::MAX);
        if let Some(epoch) = self.epochs.get_mut(index) {
            epoch.fault.get_or_insert(bad.fault);
            if bad.fault.is_of_a_wrap() {
                epoch.denials.retain(|denial| denial.device != device);
                epoch.denials.push(Denial { device, given: epoch.targets.len() });
            } else if !epoch.unled.contains(&device) {
                epoch.unled.push(device);
            }
        }
    }

    fn decide(&mut self, chunks: &[vereda_base::Link], documents: &[AdoptedDocument], decision: Decision) {
        let rare = self.rare();
        for chunk in chunks {
            rare.decided.entry(*chunk).or_insert(decision);
        }
        for adopted in documents {
            if !rare.documents.iter().any(|known| known.adopted.document == adopted.document) {
                rare.documents.push(DecidedDocument { adopted: adopted.clone(), decision });
            }
        }
    }

    fn note(&mut self, op: &Op, id: OpId, time: Option<Timestamp>) {
        self.ops.push(OpRecord { id, time, is_void: false });
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
