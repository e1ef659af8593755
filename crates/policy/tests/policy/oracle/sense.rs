//! What operations must be, whoever their author.

use std::collections::BTreeMap;

use vereda_base::{ChainId, OpId, Timestamp};
use vereda_policy::{
    Body, ChainKind, Create, DeviceKind, EpochFault, InviteProof, JoinProof, Op, Parent, ParentAuthority, Role,
};

use super::{By, Oracle, State, Twist};

impl Oracle {
    fn fits(&self, subject: &ChainId, kind: ChainKind, by: By) -> bool {
        let fits = |state: &State| state.kind < kind || self.is(Twist::AnyKindIsMember);
        by == By::Device || self.newest(subject).is_some_and(fits)
    }

    fn parent_fits(&self, parent: &Parent, kind: ChainKind) -> bool {
        self.newest(&parent.chain).is_some_and(|state| match kind {
            ChainKind::Team => state.kind == ChainKind::Agency,
            ChainKind::Document => state.kind != ChainKind::Document,
            _ => false,
        })
    }

    pub(super) fn create_fits(&self, create: &Create, by: By) -> bool {
        let matters = |parent: &&Parent| by == By::Relay || parent.authority == ParentAuthority::Full;
        create.parents.iter().filter(matters).all(|parent| self.parent_fits(parent, create.kind))
            && create.members.iter().all(|member| self.fits(&member.subject, create.kind, by))
    }

    pub(super) fn create_has_shape(&self, create: &Create) -> bool {
        let wrapped = create.epoch.targets.iter().flatten().count();
        let expected = if create.kind == ChainKind::User { 1 } else { create.members.len() };
        create.epoch.wraps.count as usize == wrapped
            && create.epoch.targets.len() == expected
            && create.epoch.previous.is_none()
            && (create.kind != ChainKind::Document || !create.parents.is_empty())
            && (create.kind != ChainKind::Agency || create.members.iter().any(|one| one.role == Role::Manager))
    }

    pub(super) fn makes_sense(&self, chain: ChainId, state: &State, op: &Op, time: Timestamp, by: By) -> bool {
        // What it would lead to.
        let after = || {
            let mut after = state.clone();
            after.follow(OpId([0; 32]), op, op.seq as usize, time, None);
            after
        };
        let lasting = |state: &State| -> BTreeMap<ChainId, Role> {
            let holds = state.holds.iter().filter(|(_, until)| until.is_none());
            holds.map(|(key, _)| (key.1, key.2)).collect()
        };
        let keeps_somebody =
            || lasting(state).is_empty() || !lasting(&after()).is_empty() || self.is(Twist::NobodyHoldsADocument);
        match &op.body {
            Body::Create(_) => false,
            Body::AddDevice(add) => {
                let ever = self.chains[&chain].iter().any(|entry| entry.state.devices.contains_key(&add.device));
                let wrapping_key = add.wrapping_key.clone();
                let proof = JoinProof { user: chain, device: add.device, wrapping_key, kind: add.kind };
                let comes_back = ever && !self.is(Twist::DeviceComesBack);
                !comes_back && (proof.holds(&add.proof) || self.is(Twist::JoinProofIsNotAsked))
            }
            Body::RemoveDevice(remove) => {
                let was_full = state.devices.get(&remove.device) == Some(&DeviceKind::Full);
                let full_left = || after().devices.values().any(|kind| *kind == DeviceKind::Full);
                let is_own = state.devices.contains_key(&op.device) && !self.is(Twist::LastDeviceGoes);
                state.devices.contains_key(&remove.device) && (!is_own || !was_full || full_left())
            }
            Body::Grant(grant) => self.fits(&grant.subject, state.kind, by),
            Body::Revoke(revoke) => {
                let ends = state.holds.keys().any(|key| key.1 == revoke.subject && Some(key.2) > revoke.keeps);
                let successor = revoke.successor.is_none_or(|successor| {
                    let fits = self.fits(&successor, state.kind, by);
                    state.kind == ChainKind::Agency && successor != revoke.subject && fits
                });
                let is_managed = || {
                    let manages = |after: &State| {
                        after.holds.iter().any(|(key, until)| key.2 == Role::Manager && until.is_none())
                    };
                    manages(&after()) || self.is(Twist::AgencyLosesItsManager)
                };
                ends && successor
                    && (state.kind != ChainKind::Agency || is_managed())
                    && (state.kind != ChainKind::Document || keeps_somebody())
            }
            Body::Assign(assign) => {
                let parent_fits = |parent: &Parent| by == By::Device || self.parent_fits(parent, ChainKind::Document);
                assign.takes.iter().all(|taken| state.members().contains(taken))
                    && assign.gives.iter().all(|member| self.fits(&member.subject, state.kind, by))
                    && assign.parents.as_ref().is_none_or(|all| !all.is_empty() && all.iter().all(parent_fits))
                    && keeps_somebody()
            }
            Body::Expire(expire) => {
                let passed = |until: &Option<Timestamp>| {
                    until.is_some_and(|until| until <= time || self.is(Twist::ExpiresBeforeTime))
                };
                state.holds.iter().any(|(key, until)| key.1 == expire.subject && passed(until))
            }
            Body::Invite(_) | Body::Erase | Body::Beacon(_) => true,
            Body::Accept(accept) => state.invites.get(&accept.invite).is_some_and(|(invite, open)| {
                let proof = InviteProof { invite: accept.invite, user: accept.user, device: op.device };
                let is_user = self.newest(&accept.user).is_some_and(|state| state.kind == ChainKind::User);
                let in_time = time < invite.expires || self.is(Twist::InviteIsTakenLate);
                let is_proven = proof.holds(&invite.key, &accept.proof) || self.is(Twist::InviteProofIsNotAsked);
                let now = (by == By::Relay && !self.is(Twist::RightsAreNotAskedNow)).then_some(time);
                let may_invite =
                    || self.inviter_stands(chain, &accept.invite, now) || self.is(Twist::InviteOutlivesItsMaker);
                (*open || self.is(Twist::InviteIsTakenTwice)) && in_time && is_user && is_proven && may_invite()
            }),
            Body::CancelInvite(cancel) => state.invites.get(&cancel.invite).is_some_and(|(_, open)| *open),
            Body::Rotate(rotate) => self.rotation_fits(state, rotate),
            Body::Repair(repair) => {
                let count = repair.targets.len();
                let sorted = repair.targets.is_sorted_by(|a, b| a < b);
                sorted && repair.epoch < state.epochs.len() as u64 && count > 0 && repair.wraps.count as usize == count
            }
            Body::BadRotate(bad) => state.epochs.get(bad.epoch as usize).is_some_and(|epoch| {
                let once_more = if bad.fault == EpochFault::Previous {
                    epoch.follows.is_some() && !epoch.leads_nowhere_for.contains(&op.device)
                } else {
                    epoch.denied.get(&op.device) != Some(&epoch.targets.len())
                };
                (!epoch.is_bad || once_more) && (epoch.creator != op.device || self.is(Twist::OwnEpochIsCalledBad))
            }),
            Body::Adopt(adopt) => {
                let holders = adopt.documents.iter().all(|one| {
                    let fit = one.holders.iter().all(|member| self.fits(&member.subject, ChainKind::Document, by));
                    !one.holders.is_empty() && fit
                });
                let documents: Vec<ChainId> = adopt.documents.iter().map(|one| one.document).collect();
                holders && self.is_undecided(state, &adopt.chunks, &documents)
            }
            Body::Discard(discard) => self.is_undecided(state, &discard.chunks, &discard.documents),
            Body::SetRetention(set) => (1..=3_650).contains(&set.days) || self.is(Twist::RetentionIsUnbounded),
        }
    }

    fn rotation_fits(&self, state: &State, rotate: &vereda_policy::Rotate) -> bool {
        let wrapped = rotate.epoch.targets.iter().flatten().count();
        let has_previous = rotate.epoch.previous.is_some();
        let newest = state.epochs.len() as u64 - 1;
        let good = if self.is(Twist::KeyFollowsTheBad) { newest } else { state.good() };
        rotate.follows == good
            && (has_previous || state.kind != ChainKind::Document)
            && rotate.epoch.public_key.is_some() == (state.kind != ChainKind::Document)
            && rotate.epoch.targets.len() == state.recipients().len()
            && rotate.epoch.wraps.count as usize == wrapped + usize::from(has_previous) + rotate.carries.len()
            && rotate.carries.is_sorted_by(|a, b| a < b)
            && (state.passed_over().is_superset(&rotate.carries.iter().copied().collect())
                || self.is(Twist::AnyEpochIsCarried))
    }

    /// Chunks are decided on in their document's chain, documents in a group's; each once.
    fn is_undecided(&self, state: &State, chunks: &[vereda_base::Link], documents: &[ChainId]) -> bool {
        let is_document = state.kind == ChainKind::Document;
        let named = chunks.is_empty() != is_document && documents.is_empty() == is_document;
        let chunks_new = chunks.iter().all(|chunk| !state.chunks.contains(chunk));
        let new = chunks_new && documents.iter().all(|one| !state.documents.contains_key(one));
        named && (new || self.is(Twist::DecidedTwice))
    }
}
