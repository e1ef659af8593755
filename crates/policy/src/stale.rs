//! Stale epochs: a member that may hold the key has left (protocol.md §4).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use vereda_base::{ChainId, DeviceId, Digest, Timestamp};

use crate::{
    ChainKind, ChainState, Chains, EpochState, Heads, authority::may_be_member, has_left_since, is_key_held, membership,
};

/// Says whether a chain's newest epoch is stale at the newest heads: somebody who may hold its key left the chain, or any
/// chain that the key was wrapped to, by whatever way down, even if he is back; or the device that made it was taken from its
/// user; or a member found the epoch bad, or it came with a document that was adopted. With `now`, roles whose time has passed have left too.
#[must_use]
pub fn is_stale(view: &dyn Chains, chain: &ChainId, now: Option<Timestamp>) -> bool {
    Staleness::new(view, now).is_stale(chain)
}

/// Asks of many chains whether they are stale; what it finds of groups it keeps.
pub struct Staleness<'a> {
    view: &'a dyn Chains,
    now: Option<Timestamp>,
    found: FoundOfGroups,
}

/// What was found of groups.
#[derive(Debug, Default)]
pub struct FoundOfGroups {
    stale: BTreeMap<ChainId, bool>,
    /// Devices that were taken from the users who stand in a group, by whatever way down.
    taken: BTreeMap<ChainId, Arc<BTreeSet<DeviceId>>>,
}

impl FoundOfGroups {
    /// Begins with nothing.
    pub const fn new() -> Self {
        Self { stale: BTreeMap::new(), taken: BTreeMap::new() }
    }

    /// Counts what was found.
    pub fn count(&self) -> usize {
        self.stale.len().saturating_add(self.taken.len())
    }

    /// Lists the groups that it rests on, some twice.
    pub fn groups(&self) -> impl Iterator<Item = &ChainId> {
        self.stale.keys().chain(self.taken.keys())
    }
}

impl<'a> Staleness<'a> {
    /// Begins to ask.
    pub const fn new(view: &'a dyn Chains, now: Option<Timestamp>) -> Self {
        Self { view, now, found: FoundOfGroups::new() }
    }

    /// Goes on with what was found of groups before: it holds as long as no group's chain has grown and no role in them has
    /// expired.
    pub const fn with_groups(view: &'a dyn Chains, now: Option<Timestamp>, found: FoundOfGroups) -> Self {
        Self { view, now, found }
    }

    /// Gives what was found of groups.
    pub fn into_groups(self) -> FoundOfGroups {
        self.found
    }

    /// See [`is_stale`].
    pub fn is_stale(&mut self, chain: &ChainId) -> bool {
        if let Some(known) = self.found.stale.get(chain) {
            return *known;
        }
        let Some(state) = self.view.chain(chain) else { return false };
        let found = state.newest_epoch().is_some_and(|epoch| self.is_epoch_stale(&state, epoch));
        if state.kind() != ChainKind::Document {
            self.found.stale.insert(*chain, found);
        }
        found
    }

    fn is_epoch_stale(&mut self, state: &ChainState, epoch: &EpochState) -> bool {
        if epoch.fault.is_some() || epoch.is_adopted || self.has_lost_somebody(state, epoch) {
            return true;
        }
        standing(state, self.now).into_iter().any(|member| {
            let Some(known) = self.view.chain(&member).filter(|known| may_be_member(known.kind(), state.kind())) else {
                return false;
            };
            // Whoever made the key has it, though it never reached him by a wrap.
            if self.taken(&member).contains(&epoch.creator) {
                return true;
            }
            let Some(wrapped) = epoch.oldest_target(&Digest(member.0)) else { return false };
            known.newest_epoch().is_some_and(|newest| wrapped < newest.number) || self.is_stale(&member)
        })
    }

    /// Lists the devices that were taken from a user, or from the users who stand in a group.
    fn taken(&mut self, group: &ChainId) -> Arc<BTreeSet<DeviceId>> {
        if let Some(known) = self.found.taken.get(group) {
            return Arc::clone(known);
        }
        let mut taken = BTreeSet::new();
        if let Some(state) = self.view.chain(group) {
            let head = state.head_seq();
            taken.extend(state.devices().iter().filter(|held| !held.stands_at(head)).map(|held| held.device));
            for member in standing(&state, self.now) {
                let fits = |known: &Arc<ChainState>| may_be_member(known.kind(), state.kind());
                if self.view.chain(&member).is_some_and(|known| fits(&known)) {
                    taken.extend(self.taken(&member).iter().copied());
                }
            }
        }
        let taken = Arc::new(taken);
        self.found.taken.insert(*group, Arc::clone(&taken));
        taken
    }

    /// Says whether a member or device that the key may have reached stands in the chain no longer, or left it and came
    /// back: he destroyed the key that he had, and nothing else would give it to him again.
    fn has_lost_somebody(&self, state: &ChainState, epoch: &EpochState) -> bool {
        let head = state.head_seq();
        let left_after = |until: Option<u64>| until.is_some_and(|until| until > epoch.from_seq);
        let stands = |subject: &ChainId| {
            state.members().iter().any(|held| held.subject == *subject && held.stands_at(head, self.now))
        };
        let has_no_place = |subject: &ChainId| {
            self.view.chain(subject).is_some_and(|known| !may_be_member(known.kind(), state.kind()))
        };
        let has_gone = |recipient: &Digest| match state.kind() {
            ChainKind::User => !state.devices().iter().any(|held| held.device.0 == recipient.0 && held.stands_at(head)),
            // Who has no place there reads nothing, and nothing is found of who leaves it.
            _ => !stands(&ChainId(recipient.0)) || has_no_place(&ChainId(recipient.0)),
        };
        epoch.targets.iter().any(|target| has_gone(&target.recipient))
            || state.devices().iter().any(|device| left_after(device.until_seq))
            || state
                .members()
                .iter()
                .any(|held| left_after(held.until_seq) && has_left_since(state, &held.subject, epoch.from_seq))
    }
}

/// Lists the chains that a device must begin a new epoch of before it writes in a chain, in that order: the stale groups on
/// the way down that it is a member of, the chain last. A stale group is listed where the chain is not stale too: it may lack
/// the chain's key, and gets it only once it has a new epoch itself; and a group whose newest key nobody has who stands in it.
pub fn rotations_due(view: &dyn Chains, device: &DeviceId, chain: &ChainId, now: Option<Timestamp>) -> Vec<ChainId> {
    let mut staleness = Staleness::new(view, now);
    let (mut due, mut seen) = (Vec::new(), BTreeSet::new());
    collect(view, device, chain, now, &mut staleness, &mut seen, &mut due);
    due
}

fn collect(
    view: &dyn Chains,
    device: &DeviceId,
    chain: &ChainId,
    now: Option<Timestamp>,
    staleness: &mut Staleness<'_>,
    seen: &mut BTreeSet<ChainId>,
    due: &mut Vec<ChainId>,
) {
    if !seen.insert(*chain) {
        return;
    }
    let Some(state) = view.chain(chain) else { return };
    for member in standing(&state, now) {
        // A member of a kind that has no place there has no part in it either.
        let fits = view.chain(&member).is_some_and(|known| may_be_member(known.kind(), state.kind()));
        if fits && membership(view, device, &member, &Heads::newest(now)).is_some() {
            collect(view, device, &member, now, staleness, seen, due);
        }
    }
    let is_lost = || {
        let followed = state.epoch_to_follow().filter(|_| state.kind() != ChainKind::Document);
        followed.is_some_and(|epoch| !is_key_held(view, chain, epoch.number, now))
    };
    if staleness.is_stale(chain) || is_lost() {
        due.push(*chain);
    }
}

/// Lists the members whose roles have passed by `now` and that no operation has ended yet: to be carried out by `Expire`.
pub fn expired_members(state: &ChainState, now: Timestamp) -> Vec<ChainId> {
    let passed = state
        .members()
        .iter()
        .filter(|held| held.until_seq.is_none() && held.expires.is_some_and(|expires| expires <= now));
    passed.map(|held| held.subject).collect::<BTreeSet<_>>().into_iter().collect()
}

/// Lists the epochs of its own that a new epoch's key is to be wrapped to, for each recipient in order: a device's is 0; a
/// member's its newest, or `None` where it is unknown here or stale, so that somebody who left it would be given the key. It
/// is given to such a member by a repair, once it has a new epoch.
pub fn epoch_targets(view: &dyn Chains, chain: &ChainId, now: Option<Timestamp>) -> Vec<Option<u64>> {
    let Some(state) = view.chain(chain) else { return Vec::new() };
    let mut staleness = Staleness::new(view, now);
    let recipients = state.recipients();
    recipients.iter().map(|recipient| target_of(view, &state, recipient, now, &mut staleness)).collect()
}

pub(crate) fn target_of(
    view: &dyn Chains,
    state: &ChainState,
    recipient: &Digest,
    now: Option<Timestamp>,
    staleness: &mut Staleness<'_>,
) -> Option<u64> {
    if state.kind() == ChainKind::User {
        return Some(0);
    }
    let member = ChainId(recipient.0);
    let head = state.head_seq();
    let stands = state.members().iter().any(|held| held.subject == member && held.stands_at(head, now));
    let known = view.chain(&member).filter(|known| stands && may_be_member(known.kind(), state.kind()))?;
    let newest = known.newest_epoch()?.number;
    (!staleness.is_stale(&member)).then_some(newest)
}

fn standing(state: &ChainState, now: Option<Timestamp>) -> BTreeSet<ChainId> {
    let head = state.head_seq();
    state.members().iter().filter(|held| held.stands_at(head, now)).map(|held| held.subject).collect()
}
