//! What operations after the first must be, whoever their author.

use std::collections::{BTreeMap, BTreeSet};

use vereda_base::{ChainId, Digest, Timestamp};

use super::{Append, MAX_DEVICES, MAX_MEMBERS, OpRefusal, Part};
use crate::{
    Accept, AddDevice, Adopt, Assign, BadRotate, Beacon, Body, BodyCode, ChainKind, ChainState, DeviceKind, Discard,
    Expire, InviteEnd, InviteProof, InviteState, JoinProof, Membership, RemoveDevice, Repair, Revoke, Role, Rotate,
    SetRetention, epoch_targets, invites_now, invites_still, is_key_held, is_stale, need,
};

/// Bound on a time for which something is kept or may wait, in days.
const MAX_DAYS: u32 = 3_650;

impl Append<'_> {
    pub(super) fn check_body_sense(&self, state: &ChainState) -> Result<(), OpRefusal> {
        let (body, kind) = (self.op.body.code(), state.kind());
        need(body, kind).ok_or(OpRefusal::NotHere { body, kind })?;
        match &self.op.body {
            // Its place was checked: a Create follows nothing.
            Body::Create(_) => Err(OpRefusal::Place { seq: self.op.seq }),
            Body::AddDevice(add) => check_new_device(state, add),
            Body::RemoveDevice(remove) => self.check_removed_device(state, remove),
            Body::Grant(grant) => {
                check_room(state, &[], [grant.subject])?;
                self.check_subject(&grant.subject, state.kind())
            }
            Body::Revoke(revoke) => self.check_revoke(state, revoke),
            Body::Assign(assign) => self.check_assign(state, assign),
            Body::Expire(expire) => self.check_expire(state, expire),
            Body::Invite(_) | Body::Erase => Ok(()),
            Body::Beacon(beacon) => self.check_beacon(beacon),
            Body::Accept(accept) => self.check_accept(state, accept),
            Body::CancelInvite(cancel) => check_not_ended(state, &cancel.invite).map(|_| ()),
            Body::Rotate(rotate) => check_rotate(state, rotate),
            Body::Repair(repair) => check_repair(state, repair),
            Body::BadRotate(bad) => self.check_bad(state, bad),
            Body::Adopt(adopt) => self.check_adopt(state, adopt),
            Body::Discard(discard) => check_discard(state, discard),
            Body::SetRetention(set) => check_retention(state, set),
        }
    }

    /// Checks that a beacon names heads that there are, of groups: whoever misses one says that it is withheld.
    fn check_beacon(&self, beacon: &Beacon) -> Result<(), OpRefusal> {
        if !self.context.names_known {
            return Ok(());
        }
        for cite in &beacon.heads {
            let waits = OpRefusal::Waiting { chain: cite.chain, head: cite.head };
            let state = self.view.chain(&cite.chain).ok_or(waits.clone())?;
            let kind = state.kind();
            if kind == ChainKind::Document {
                return Err(OpRefusal::NotHere { body: BodyCode::BEACON, kind });
            }
            state.seq_of(&cite.head).ok_or(waits)?;
        }
        Ok(())
    }

    fn check_accept(&self, state: &ChainState, accept: &Accept) -> Result<(), OpRefusal> {
        let open = check_open(state, accept, self.context.time)?;
        self.check_inviter(state, open)?;
        check_room(state, &[], [accept.user])?;
        let proof = InviteProof { invite: accept.invite, user: accept.user, device: self.op.device };
        if proof.holds(&open.key, &accept.proof) {
            return Ok(());
        }
        Err(OpRefusal::Proof { body: BodyCode::ACCEPT })
    }

    /// Checks that whoever made an invite may still invite: who was put out lets nobody in by what he prepared.
    fn check_inviter(&self, state: &ChainState, invite: &InviteState) -> Result<(), OpRefusal> {
        let now = self.context.time.filter(|_| self.context.also_now);
        let still = invites_still(self.view, state, invite)?
            && now.is_none_or(|now| invites_now(self.view, state, invite, now));
        if still { Ok(()) } else { Err(OpRefusal::InviterGone { invite: invite.op }) }
    }

    fn check_removed_device(&self, state: &ChainState, remove: &RemoveDevice) -> Result<(), OpRefusal> {
        let (device, head) = (remove.device, state.head_seq());
        let standing = || state.devices().iter().filter(|known| known.stands_at(head));
        let removed = standing().find(|known| known.device == device).ok_or(OpRefusal::NoDevice { device })?;
        let is_last = removed.kind == DeviceKind::Full
            && !standing().any(|known| known.kind == DeviceKind::Full && known.device != device);
        // From above it may be: a user who lost his only phone comes back by a recovery key, or is invited again.
        if is_last && standing().any(|known| known.device == self.op.device) {
            return Err(OpRefusal::LastDevice { device });
        }
        Ok(())
    }

    fn check_revoke(&self, state: &ChainState, revoke: &Revoke) -> Result<(), OpRefusal> {
        let (subject, head) = (revoke.subject, state.head_seq());
        let ends = |role: Role| Some(role) > revoke.keeps;
        let held = || state.members().iter().filter(|held| held.stands_at(head, None));
        if !held().any(|held| held.subject == subject && ends(held.role)) {
            return Err(OpRefusal::NothingEnds { subject });
        }
        match revoke.successor {
            Some(_) if state.kind() != ChainKind::Agency => {
                return Err(OpRefusal::Shape { kind: state.kind(), part: Part::Members });
            }
            Some(successor) if successor == subject => return Err(OpRefusal::LastManager { agency: state.id() }),
            Some(successor) => {
                check_room(state, &[], [successor])?;
                self.check_subject(&successor, state.kind())?;
            }
            None => {}
        }
        let lasts = |held: &&Membership| held.expires.is_none();
        let lasting = held().filter(lasts).filter(|held| !(held.subject == subject && ends(held.role)));
        match state.kind() {
            ChainKind::Agency => {
                let has_manager = lasting.map(|held| held.role).max() == Some(Role::Manager);
                let agency = state.id();
                if has_manager || revoke.successor.is_some() { Ok(()) } else { Err(OpRefusal::LastManager { agency }) }
            }
            ChainKind::Document => {
                let is_held = lasting.count() > 0 || revoke.keeps.is_some();
                if is_held || held().filter(lasts).count() == 0 {
                    Ok(())
                } else {
                    Err(OpRefusal::NobodyLeft { document: state.id() })
                }
            }
            ChainKind::User | ChainKind::Team => Ok(()),
        }
    }

    fn check_assign(&self, state: &ChainState, assign: &Assign) -> Result<(), OpRefusal> {
        let head = state.head_seq();
        let held = || state.members().iter().filter(|held| held.stands_at(head, None));
        if let Some(subject) = assign.takes.iter().find(|taken| !held().any(|held| held.subject == **taken)) {
            return Err(OpRefusal::NothingEnds { subject: *subject });
        }
        let stays = |held: &Membership| held.expires.is_none() && !assign.takes.contains(&held.subject);
        let had_anybody = held().any(|held| held.expires.is_none());
        if assign.gives.is_empty() && had_anybody && !held().any(stays) {
            return Err(OpRefusal::NobodyLeft { document: state.id() });
        }
        check_room(state, &assign.takes, assign.gives.iter().map(|member| member.subject))?;
        assign.gives.iter().try_for_each(|member| self.check_subject(&member.subject, state.kind()))?;
        assign.parents.iter().flatten().try_for_each(|parent| self.check_parent(&parent.chain, state.kind()))
    }

    fn check_expire(&self, state: &ChainState, expire: &Expire) -> Result<(), OpRefusal> {
        let (subject, head) = (expire.subject, state.head_seq());
        let time = self.context.time;
        let held = state.members().iter().filter(|held| held.subject == subject && held.stands_at(head, None));
        let passed = |expires: Option<Timestamp>| expires.zip(time).is_some_and(|(expires, time)| expires <= time);
        if held.into_iter().any(|held| passed(held.expires)) { Ok(()) } else { Err(OpRefusal::NothingEnds { subject }) }
    }

    /// Checks that a new key is needed, that keys go to those, and only those, who may have them now, and that an epoch begins
    /// without the key before it only where nobody has that.
    pub(super) fn check_keys(&self, state: &ChainState) -> Result<(), OpRefusal> {
        let (chain, time) = (state.id(), self.context.time);
        let is_lost = |rotate: &Rotate| {
            state.kind() != ChainKind::Document && !is_key_held(self.view, &chain, rotate.follows, time)
        };
        // Otherwise a member could fill everybody's store with new keys.
        if let Body::Rotate(rotate) = &self.op.body
            && !is_stale(self.view, &chain, time)
            && !is_lost(rotate)
        {
            return Err(OpRefusal::NotStale { chain });
        }
        let due = || epoch_targets(self.view, &chain, time);
        let fit = match &self.op.body {
            Body::Rotate(rotate) => {
                due() == rotate.epoch.targets && (rotate.epoch.previous.is_some() || is_lost(rotate))
            }
            Body::Repair(repair) => {
                let due: BTreeMap<Digest, Option<u64>> = state.recipients().into_iter().zip(due()).collect();
                repair.targets.iter().all(|target| due.get(&target.recipient) == Some(&Some(target.epoch)))
            }
            _ => true,
        };
        if fit { Ok(()) } else { Err(OpRefusal::Targets { chain }) }
    }

    /// An epoch is called bad once, and by others than the device that began it, so that nobody by himself has ever new ones
    /// begun; and by each who says that what was wrapped to him is not its key, which makes it no worse.
    fn check_bad(&self, state: &ChainState, bad: &BadRotate) -> Result<(), OpRefusal> {
        let newest = state.newest_epoch().map_or(0, |epoch| epoch.number);
        match state.epoch(bad.epoch) {
            Some(epoch) if epoch.creator == self.op.device => Err(OpRefusal::OwnEpoch { epoch: bad.epoch }),
            Some(epoch) if epoch.may_be_called_bad(&self.op.device, bad.fault) => Ok(()),
            _ => Err(OpRefusal::NoEpoch { found: bad.epoch, newest }),
        }
    }

    fn check_adopt(&self, state: &ChainState, adopt: &Adopt) -> Result<(), OpRefusal> {
        check_named(state, adopt.chunks.is_empty(), adopt.documents.is_empty())?;
        check_undecided(state, &adopt.chunks, adopt.documents.iter().map(|adopted| adopted.document))?;
        for adopted in &adopt.documents {
            if adopted.holders.is_empty() {
                return Err(OpRefusal::NobodyLeft { document: adopted.document });
            }
            let kind = ChainKind::Document;
            adopted.holders.iter().try_for_each(|member| self.check_subject(&member.subject, kind))?;
        }
        Ok(())
    }
}

fn check_discard(state: &ChainState, discard: &Discard) -> Result<(), OpRefusal> {
    check_named(state, discard.chunks.is_empty(), discard.documents.is_empty())?;
    check_undecided(state, &discard.chunks, discard.documents.iter().copied())
}

/// Chunks are decided on in their document's chain, documents in a team's.
const fn check_named(state: &ChainState, no_chunks: bool, no_documents: bool) -> Result<(), OpRefusal> {
    let is_document = matches!(state.kind(), ChainKind::Document);
    if no_chunks != is_document && no_documents == is_document {
        return Ok(());
    }
    let part = if is_document { Part::Chunks } else { Part::Documents };
    Err(OpRefusal::Shape { kind: state.kind(), part })
}

fn check_undecided(
    state: &ChainState,
    chunks: &[vereda_base::Link],
    mut documents: impl Iterator<Item = ChainId>,
) -> Result<(), OpRefusal> {
    if let Some(chunk) = chunks.iter().find(|chunk| state.decided(chunk).is_some()) {
        return Err(OpRefusal::Decided { of: Digest(chunk.0) });
    }
    match documents.find(|document| state.decided_document(document).is_some()) {
        Some(document) => Err(OpRefusal::Decided { of: Digest(document.0) }),
        None => Ok(()),
    }
}

fn check_retention(state: &ChainState, set: &SetRetention) -> Result<(), OpRefusal> {
    if (1..=MAX_DAYS).contains(&set.days) {
        return Ok(());
    }
    Err(OpRefusal::Shape { kind: state.kind(), part: Part::Days })
}

/// Finds an invite that is open, but for its time.
fn check_not_ended<'a>(state: &'a ChainState, invite: &vereda_base::OpId) -> Result<&'a InviteState, OpRefusal> {
    let invite = *invite;
    let open = state.invite(&invite).ok_or(OpRefusal::NoInvite { invite })?;
    match open.end {
        Some(InviteEnd::Accepted { .. }) => Err(OpRefusal::InviteTaken { invite }),
        Some(InviteEnd::Cancelled { .. }) => Err(OpRefusal::InviteCancelled { invite }),
        None => Ok(open),
    }
}

fn check_open<'a>(
    state: &'a ChainState,
    accept: &Accept,
    time: Option<Timestamp>,
) -> Result<&'a InviteState, OpRefusal> {
    let invite = accept.invite;
    let open = check_not_ended(state, &invite)?;
    match time {
        Some(time) if time < open.expires => Ok(open),
        Some(time) => Err(OpRefusal::InviteExpired { invite, expires: open.expires, time }),
        None => Err(OpRefusal::NoReceipt { op: invite }),
    }
}

fn check_new_device(state: &ChainState, add: &AddDevice) -> Result<(), OpRefusal> {
    if state.device(&add.device).is_some() {
        return Err(OpRefusal::DeviceKnown { device: add.device });
    }
    let found = state.devices().len().saturating_add(1);
    if found > MAX_DEVICES {
        return Err(OpRefusal::TooLong { part: Part::Devices, found, max: MAX_DEVICES });
    }
    let proof =
        JoinProof { user: state.id(), device: add.device, wrapping_key: add.wrapping_key.clone(), kind: add.kind };
    if proof.holds(&add.proof) { Ok(()) } else { Err(OpRefusal::Proof { body: BodyCode::ADD_DEVICE }) }
}

/// Bounds how many stand in a chain after some went and others came: each is given every new key, in one list.
fn check_room(state: &ChainState, gone: &[ChainId], come: impl IntoIterator<Item = ChainId>) -> Result<(), OpRefusal> {
    let mut standing: BTreeSet<ChainId> = state.standing_members().into_iter().collect();
    standing.retain(|member| !gone.contains(member));
    let before = standing.len();
    standing.extend(come);
    let found = standing.len();
    if found > before && found > MAX_MEMBERS {
        return Err(OpRefusal::TooLong { part: Part::Members, found, max: MAX_MEMBERS });
    }
    Ok(())
}

fn check_rotate(state: &ChainState, rotate: &Rotate) -> Result<(), OpRefusal> {
    let fits = |holds: bool, part| if holds { Ok(()) } else { Err(OpRefusal::Shape { kind: state.kind(), part }) };
    let is_document = state.kind() == ChainKind::Document;
    fits(rotate.epoch.public_key.is_some() != is_document, Part::EpochKey)?;
    // What a document holds is opened by its first key: without that no later one is of use.
    fits(rotate.epoch.previous.is_some() || !is_document, Part::PreviousKey)?;
    fits(rotate.epoch.targets.len() == state.recipients().len(), Part::Targets)?;
    let newest = state.epoch_to_follow().map(|epoch| epoch.number);
    if newest != Some(rotate.follows) {
        return Err(OpRefusal::Follows { found: rotate.follows, newest });
    }
    let passed_over = state.epochs_to_carry();
    match rotate.carries.iter().find(|epoch| !passed_over.contains(epoch)) {
        Some(found) => Err(OpRefusal::NotPassedOver { found: *found }),
        None => Ok(()),
    }
}

fn check_repair(state: &ChainState, repair: &Repair) -> Result<(), OpRefusal> {
    if repair.wraps.count == 0 {
        return Err(OpRefusal::Shape { kind: state.kind(), part: Part::Wraps });
    }
    let newest = state.newest_epoch().map_or(0, |epoch| epoch.number);
    if repair.epoch > newest {
        return Err(OpRefusal::NoEpoch { found: repair.epoch, newest });
    }
    Ok(())
}
