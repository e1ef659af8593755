//! Whether a relay takes an operation.

use std::collections::{BTreeMap, BTreeSet};

use vereda_base::{ChainId, DeviceId, Timestamp};
use vereda_policy::{Body, ChainKind, Create, DeviceKind, DocumentKind, Op, Parent, ParentAuthority, Role};

use super::{At, Oracle, Seen, State};

impl Oracle {
    /// Whether an operation of this id is taken at a time.
    pub fn takes(&self, id: ChainId, op: &Op, time: Timestamp) -> bool {
        let Some(mut seen) = self.cited(op) else { return false };
        let now = At { seen: self.all(), now: Some(time), lasting: None };
        if let Body::Create(create) = &op.body {
            let in_place = op.chain.is_none() && op.seq == 0 && op.prev.is_none() && !self.chains.contains_key(&id);
            let adopted = self.holders(create, id).is_some();
            let at = At::seen(seen);
            return in_place
                && self.create_makes_sense(create, adopted)
                && self.may_create(op.device, create, &at)
                && (adopted || self.may_create(op.device, create, &now));
        }
        let Some(chain) = op.chain else { return false };
        let Some(entries) = self.chains.get(&chain) else { return false };
        let last = entries.last().unwrap();
        let state = &last.state;
        let in_place = op.seq == entries.len() as u64 && op.prev == Some(last.id) && !seen.contains_key(&chain);
        let never_older = entries.iter().flat_map(|entry| &entry.op.cites).all(|cite| {
            seen.get(&cite.chain).is_none_or(|count| *count >= self.count(&cite.chain, cite.head).unwrap())
        });
        seen.insert(chain, entries.len());
        in_place
            && never_older
            && !state.is_erased
            && self.makes_sense(chain, state, op, time)
            && self.may(op, chain, &At::seen(seen))
            && self.may(op, chain, &now)
            && self.goes_to_whom_it_may(chain, state, op, time)
    }

    fn count(&self, chain: &ChainId, head: vereda_base::OpId) -> Option<usize> {
        self.chains.get(chain)?.iter().position(|entry| entry.id == head).map(|seq| seq + 1)
    }

    fn cited(&self, op: &Op) -> Option<Seen> {
        let named: BTreeSet<ChainId> = op.cites.iter().map(|cite| cite.chain).collect();
        let sorted = named.into_iter().eq(op.cites.iter().map(|cite| cite.chain));
        if op.suite != 1 || !sorted || op.cites.len() > 8 {
            return None;
        }
        op.cites.iter().map(|cite| Some((cite.chain, self.count(&cite.chain, cite.head)?))).collect()
    }

    fn fits(&self, subject: &ChainId, kind: ChainKind) -> bool {
        self.newest(subject).is_some_and(|state| state.kind < kind)
    }

    fn create_makes_sense(&self, create: &Create, adopted: bool) -> bool {
        let parent_fits = |parent: &Parent| match self.newest(&parent.chain).map(|state| state.kind) {
            Some(kind) => match create.kind {
                ChainKind::Team => kind == ChainKind::Agency,
                ChainKind::Document => kind != ChainKind::Document,
                _ => false,
            },
            None => false,
        };
        let wrapped = create.epoch.targets.iter().flatten().count();
        let expected = if create.kind == ChainKind::User { 1 } else { create.members.len() };
        let shape = create.epoch.wraps.count as usize == wrapped
            && create.epoch.targets.len() == expected
            && create.epoch.previous.is_none()
            && (create.kind != ChainKind::Document || !create.parents.is_empty())
            && (create.kind != ChainKind::Agency || create.members.iter().any(|one| one.role == Role::Manager));
        // Whose document was adopted is not asked for what is unknown to him.
        let fits = adopted
            || (create.parents.iter().all(parent_fits)
                && create.members.iter().all(|member| self.fits(&member.subject, create.kind)));
        shape && fits
    }

    fn may_create(&self, device: DeviceId, create: &Create, at: &At) -> bool {
        let managers = || create.members.iter().filter(|member| member.role == Role::Manager);
        match create.kind {
            ChainKind::User => true,
            ChainKind::Agency => managers().any(|member| self.is_device(device, member.subject, at, false)),
            ChainKind::Team => {
                create.parents.iter().all(|parent| self.authority(device, parent.chain, at) == Some(Role::Manager))
            }
            ChainKind::Document => {
                let least = match create.document {
                    Some(DocumentKind::Configuration | DocumentKind::Directory) => Role::Manager,
                    _ => Role::Editor,
                };
                let role = |parent: &Parent| self.role(device, parent.chain, at);
                let full: Vec<_> = create
                    .parents
                    .iter()
                    .filter(|parent| parent.authority == ParentAuthority::Full)
                    .map(role)
                    .collect();
                let held = match full.iter().min() {
                    Some(lowest) => *lowest,
                    None => create.parents.iter().map(role).max().flatten(),
                };
                let fits = |member: &vereda_policy::Member| {
                    let is_parent = create.parents.iter().any(|parent| parent.chain == member.subject);
                    (is_parent || Some(member.role) <= held) && self.covers(device, &create.parents, member.subject, at)
                };
                held >= Some(least) && create.members.iter().all(fits)
            }
        }
    }

    /// The table of rights.
    fn may(&self, op: &Op, chain: ChainId, at: &At) -> bool {
        let (device, kind) = (op.device, self.newest(&chain).unwrap().kind);
        let (is_user, is_document) = (kind == ChainKind::User, kind == ChainKind::Document);
        let manager = || self.authority(device, chain, at) == Some(Role::Manager);
        let reader = || self.membership(device, chain, at).is_some();
        match &op.body {
            Body::Create(_) => false,
            Body::AddDevice(_) => is_user && self.is_device(device, chain, at, true),
            Body::RemoveDevice(_) => {
                let cited: Vec<ChainId> = op.cites.iter().map(|cite| cite.chain).collect();
                is_user && (self.is_device(device, chain, at, true) || self.governs(device, chain, &cited, at))
            }
            Body::Grant(grant) => {
                let covered = || self.covers(device, &self.parents(chain, at), grant.subject, at);
                !is_user && manager() && (!is_document || covered())
            }
            Body::Invite(_) | Body::CancelInvite(_) => !is_user && manager(),
            Body::Revoke(revoke) => {
                let leaves = revoke.keeps.is_none()
                    && revoke.successor.is_none()
                    && self.is_device(device, revoke.subject, at, false);
                let above = || self.above(device, chain, ParentAuthority::RevokeOnly, at);
                !is_user && (leaves || manager() || above())
            }
            Body::Assign(assign) => {
                let parents = self.parents(chain, at);
                let keeps = |old: &Parent| {
                    let stays = |new: &Parent| new.chain == old.chain && new.authority >= old.authority;
                    assign.parents.as_ref().is_none_or(|parents| parents.iter().any(stays))
                };
                let free = |old: &Parent| {
                    old.authority == ParentAuthority::None
                        || keeps(old)
                        || self.authority(device, old.chain, at) == Some(Role::Manager)
                };
                is_document
                    && manager()
                    && assign.gives.iter().all(|member| self.covers(device, &parents, member.subject, at))
                    && parents.iter().all(free)
            }
            Body::Erase => is_document && manager(),
            Body::Expire(_) => !is_user && self.authority(device, chain, at) >= Some(Role::Editor),
            Body::Accept(accept) => !is_user && self.is_device(device, accept.user, at, false),
            Body::Rotate(_) | Body::Repair(_) | Body::BadRotate(_) => reader(),
            Body::Adopt(_) | Body::Discard(_) => self.role(device, chain, at) == Some(Role::Manager),
            Body::Beacon(_) | Body::SetRetention(_) => {
                kind == ChainKind::Agency && self.membership(device, chain, at) == Some(Role::Manager)
            }
        }
    }

    /// What does not depend on the author.
    fn makes_sense(&self, chain: ChainId, state: &State, op: &Op, time: Timestamp) -> bool {
        let lasting = |state: &State| -> BTreeMap<ChainId, Role> {
            let holds = state.holds.iter().filter(|(_, until)| until.is_none());
            holds.map(|(key, _)| (key.1, key.2)).collect()
        };
        // What it would lead to.
        let after = || {
            let mut after = state.clone();
            after.follow(vereda_base::OpId([0; 32]), op, op.seq as usize, time);
            after
        };
        let keeps_somebody = || lasting(state).is_empty() || !lasting(&after()).is_empty();
        match &op.body {
            Body::Create(_) => false,
            Body::AddDevice(add) => {
                let ever = self.chains[&chain].iter().any(|entry| entry.state.devices.contains_key(&add.device));
                let proof = vereda_policy::JoinProof {
                    user: chain,
                    device: add.device,
                    wrapping_key: add.wrapping_key.clone(),
                    kind: add.kind,
                };
                !ever && proof.holds(&add.proof)
            }
            Body::RemoveDevice(remove) => {
                let was_full = state.devices.get(&remove.device) == Some(&DeviceKind::Full);
                let full_left = || after().devices.values().any(|kind| *kind == DeviceKind::Full);
                let is_own = state.devices.contains_key(&op.device);
                state.devices.contains_key(&remove.device) && (!is_own || !was_full || full_left())
            }
            Body::Grant(grant) => self.fits(&grant.subject, state.kind),
            Body::Revoke(revoke) => {
                let ends = state.holds.keys().any(|key| key.1 == revoke.subject && Some(key.2) > revoke.keeps);
                let successor = revoke.successor.is_none_or(|successor| {
                    state.kind == ChainKind::Agency && successor != revoke.subject && self.fits(&successor, state.kind)
                });
                let is_managed = || after().holds.iter().any(|(key, until)| key.2 == Role::Manager && until.is_none());
                ends && successor
                    && (state.kind != ChainKind::Agency || is_managed())
                    && (state.kind != ChainKind::Document || keeps_somebody())
            }
            Body::Assign(assign) => {
                let parent_fits =
                    |parent: &Parent| self.newest(&parent.chain).is_some_and(|state| state.kind != ChainKind::Document);
                assign.takes.iter().all(|taken| state.members().contains(taken))
                    && assign.gives.iter().all(|member| self.fits(&member.subject, state.kind))
                    && assign.parents.as_ref().is_none_or(|all| !all.is_empty() && all.iter().all(parent_fits))
                    && keeps_somebody()
            }
            Body::Expire(expire) => {
                let passed = |until: &Option<Timestamp>| until.is_some_and(|until| until <= time);
                state.holds.iter().any(|(key, until)| key.1 == expire.subject && passed(until))
            }
            Body::Invite(_) | Body::Erase | Body::Beacon(_) => true,
            Body::Accept(accept) => state.invites.get(&accept.invite).is_some_and(|(invite, open)| {
                let proof = vereda_policy::InviteProof { invite: accept.invite, user: accept.user, device: op.device };
                let is_user = self.newest(&accept.user).is_some_and(|state| state.kind == ChainKind::User);
                *open && time < invite.expires && is_user && proof.holds(&invite.key, &accept.proof)
            }),
            Body::CancelInvite(cancel) => state.invites.get(&cancel.invite).is_some_and(|(_, open)| *open),
            Body::Rotate(rotate) => {
                let wrapped = rotate.epoch.targets.iter().flatten().count();
                let has_previous = rotate.epoch.previous.is_some();
                rotate.follows == state.good()
                    && (has_previous || state.kind != ChainKind::Document)
                    && rotate.epoch.public_key.is_some() == (state.kind != ChainKind::Document)
                    && rotate.epoch.wraps.count as usize == wrapped + usize::from(has_previous)
            }
            Body::Repair(repair) => {
                let count = repair.targets.len();
                repair.epoch < state.epochs.len() as u64 && count > 0 && repair.wraps.count as usize == count
            }
            Body::BadRotate(bad) => state.epochs.get(bad.epoch as usize).is_some_and(|epoch| !epoch.is_bad),
            Body::Adopt(adopt) => {
                let holders = adopt.documents.iter().all(|one| {
                    let fit = one.holders.iter().all(|member| self.fits(&member.subject, ChainKind::Document));
                    !one.holders.is_empty() && fit && !state.documents.contains_key(&one.document)
                });
                let new = adopt.chunks.iter().all(|chunk| !state.chunks.contains(chunk));
                let is_document = state.kind == ChainKind::Document;
                let named = adopt.chunks.is_empty() != is_document && adopt.documents.is_empty() == is_document;
                named && new && holders
            }
            Body::Discard(discard) => {
                let is_document = state.kind == ChainKind::Document;
                let named = discard.chunks.is_empty() != is_document && discard.documents.is_empty() == is_document;
                let new = discard.chunks.iter().all(|chunk| !state.chunks.contains(chunk));
                named && new && discard.documents.iter().all(|one| !state.documents.contains_key(one))
            }
            Body::SetRetention(set) => (1..=3_650).contains(&set.days),
        }
    }

    /// Whether keys go to those only who may have them now.
    fn goes_to_whom_it_may(&self, chain: ChainId, state: &State, op: &Op, time: Timestamp) -> bool {
        let due = || self.targets_due(chain, Some(time));
        match &op.body {
            Body::Rotate(rotate) => {
                let follows = rotate.epoch.previous.is_some();
                rotate.epoch.targets == due() && (follows || !self.is_held(chain, rotate.follows, Some(time)))
            }
            Body::Repair(repair) => {
                let (recipients, due) = (state.recipients(), due());
                repair.targets.iter().all(|target| {
                    let place = recipients.iter().position(|recipient| *recipient == target.recipient);
                    place.is_some_and(|place| due[place] == Some(target.epoch))
                })
            }
            _ => true,
        }
    }

    /// Whether an author has Editor over content at these heads.
    pub fn writes(&self, device: DeviceId, document: ChainId, at: &At) -> bool {
        self.role(device, document, at) >= Some(Role::Editor)
    }
}
