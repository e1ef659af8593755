//! New epochs: begun before anything is written where somebody left who may hold the key, top-down; of the groups of
//! this device's person soon after.

use std::time::Duration;

use vereda_base::{ChainId, Monotonic, Timestamp};
use vereda_policy::{
    Body, ChainKind, Expire, FrontierTree, Heads, Role, expired_members, is_key_held, membership, rotations_due,
};
use vereda_sync::device::{DeviceStore, IntentFailure, IntentId, OutboxItem};

use super::{Ambient, Device, DeviceError, repairing::PATIENCE};
use crate::keyring::{NextEpochError, make_next_epoch};

/// Devices whose turns differ try again so far apart.
const TURN: Duration = Duration::from_millis(500);

/// What this device is about in beginning epochs.
#[derive(Debug, Default)]
pub(super) struct Rotations {
    /// Intents that begin an epoch, or end what expired before.
    intents: std::collections::BTreeSet<IntentId>,
    /// Chains in which this device ended something: it is the one to begin the next epoch.
    pub(super) ended: std::collections::BTreeSet<ChainId>,
    /// Groups may have gone stale.
    pub(super) groups_changed: bool,
    /// One failed: another device was first, or what it was made for has changed.
    failed: bool,
    /// Nothing is begun before.
    from: Option<Monotonic>,
}

impl Rotations {
    /// Tells when something is to be begun.
    pub(super) const fn due(&self) -> Option<Monotonic> {
        self.from
    }

    /// Says whether nothing is to be looked at.
    pub(super) const fn is_idle(&self) -> bool {
        self.from.is_none() && !self.groups_changed
    }

    /// Notes that an intent failed.
    pub(super) fn note_failed(&mut self, id: IntentId, reason: IntentFailure) {
        if self.intents.remove(&id) {
            tracing::info!(?id, %reason, "no new epoch begun yet");
            self.failed = true;
            self.groups_changed = true;
        }
    }
}

impl<S: DeviceStore> Device<S> {
    /// Waits a little after a failure, and goes on when the wait is over.
    pub(super) fn time_rotations(&mut self, ambient: &Ambient<'_>) {
        let now = ambient.now.monotonic;
        if std::mem::take(&mut self.rotations.failed) {
            let wait = TURN.saturating_mul(u32::try_from(self.turn()).unwrap_or(0).saturating_add(1));
            self.rotations.from.get_or_insert(now.saturating_add(wait));
        }
        if self.pauses.pass(now) {
            self.rotations.groups_changed = true;
            self.unsealable.clear();
            self.repairing.append(&mut self.deferred);
        }
        if self.rotations.from.is_some_and(|from| from <= now) {
            self.rotations.from = None;
            self.rotations.groups_changed = true;
            let own = self.own_groups();
            self.rotations.ended.extend(own);
            self.unsealable.clear();
            self.repairing.append(&mut self.deferred);
        }
    }

    /// The relay's time as far as it is known, else this device's.
    pub(super) fn relay_now(&self, ambient: &Ambient<'_>) -> Timestamp {
        let told = self.machine.as_ref().and_then(|machine| machine.relay_time(ambient.now.monotonic));
        told.unwrap_or(ambient.now.wall)
    }

    /// Makes sure that a document's newest key is known to nobody who left: says whether it is so, and else begins what
    /// must be begun first, one epoch after another.
    pub(super) fn renew_before_writing(
        &mut self,
        chain: &ChainId,
        ambient: &mut Ambient<'_>,
    ) -> Result<bool, DeviceError> {
        let now = self.relay_now(ambient);
        let due = self.view(|view, device| rotations_due(view, &device, chain, Some(now)));
        let Some(first) = due.first() else { return Ok(true) };
        if self.contact.is_caught_up && self.rotations.from.is_none() {
            self.begin_next_epoch(first, now, ambient)?;
        }
        Ok(false)
    }

    /// Begins new epochs of the stale groups of this device's person, where no other device is likelier to; commits. Says
    /// whether it did anything.
    pub(super) fn renew_groups(&mut self, ambient: &mut Ambient<'_>) -> Result<bool, DeviceError> {
        if !self.rotations.groups_changed || self.rotations.from.is_some() {
            return Ok(false);
        }
        self.rotations.groups_changed = false;
        if self.is_put_out() {
            return Ok(false);
        }
        let now = self.relay_now(ambient);
        let own = self.own_groups();
        let mut due = self.view(|view, device| {
            let firsts =
                own.iter().filter_map(|group| rotations_due(view, &device, group, Some(now)).into_iter().next());
            firsts.collect::<std::collections::BTreeSet<_>>()
        });
        due.retain(|group| self.holds_key_to_follow(group) || self.is_key_lost(group, now));
        let user = self.home().map(|(user, _)| user);
        let (at_once, later): (Vec<ChainId>, Vec<ChainId>) =
            due.into_iter().partition(|group| Some(*group) == user || self.rotations.ended.contains(group));
        let mut did = false;
        for group in at_once {
            did |= self.begin_next_epoch(&group, now, ambient)?;
        }
        if !later.is_empty() {
            let turn = TURN.saturating_mul(u32::try_from(self.turn()).unwrap_or(0));
            self.rotations.from = Some(ambient.now.monotonic.saturating_add(PATIENCE).saturating_add(turn));
        } else if !did {
            self.rotations.ended.clear();
        }
        Ok(did)
    }

    /// Lists the groups that this device's person is in, himself among them.
    fn own_groups(&self) -> Vec<ChainId> {
        let kinds = [ChainKind::User, ChainKind::Team, ChainKind::Agency];
        let mut groups: Vec<ChainId> =
            kinds.into_iter().filter_map(|kind| self.list_chains(kind).ok()).flatten().collect();
        self.view(|view, device| {
            groups.retain(|group| membership(view, &device, group, &Heads::newest(None)).is_some());
        });
        groups
    }

    fn holds_key_to_follow(&self, chain: &ChainId) -> bool {
        self.chain(chain).is_some_and(|state| {
            state.epoch_to_follow().is_some_and(|epoch| self.keyring.key(chain, epoch.number).is_some())
        })
    }

    /// Says whether nobody who stands in a group has the key that its next epoch would follow.
    fn is_key_lost(&self, group: &ChainId, now: Timestamp) -> bool {
        self.chain(group).is_some_and(|state| {
            let followed = state.epoch_to_follow().map(|epoch| epoch.number);
            followed.is_some_and(|epoch| self.view(|view, _| !is_key_held(view, group, epoch, Some(now))))
        })
    }

    /// Ends the roles of a chain whose time has passed; where there are none, or this device may not, begins its next epoch,
    /// whose key those are not given; commits. Says whether it stated anything.
    fn begin_next_epoch(
        &mut self,
        chain: &ChainId,
        now: Timestamp,
        ambient: &mut Ambient<'_>,
    ) -> Result<bool, DeviceError> {
        let Some(state) = self.chain(chain).filter(|_| !self.pauses.holds(chain)) else { return Ok(false) };
        let is_under_way = |item: &OutboxItem| match item {
            OutboxItem::Intent { chain: of, body: Body::Rotate(_) | Body::Expire(_), .. } => of == chain,
            _ => false,
        };
        if self.outbox()?.iter().any(is_under_way) {
            return Ok(false);
        }
        let expired = expired_members(&state, now);
        if !expired.is_empty() && self.role_over(chain, now) >= Some(Role::Editor) {
            for subject in expired {
                let frontier = FrontierTree::new([]).frontier();
                let id = self.intend(*chain, Body::Expire(Expire { subject, frontier }), Vec::new())?;
                self.rotations.intents.insert(id);
                self.pauses.note_intent(id, *chain);
            }
            self.commit()?;
            return Ok(true);
        }
        let made = self.view(|view, _| make_next_epoch(&self.keyring, view, chain, Some(now), ambient.rng));
        let next = match made {
            Ok(next) => next,
            Err(NextEpochError::Wrap(error)) => return Err(error.into()),
            Err(error) => {
                tracing::info!(%error, "no new epoch");
                return Ok(false);
            }
        };
        self.keyring.keep_next(&mut self.store, chain, &next.key)?;
        let id = self.intend(*chain, Body::Rotate(next.rotate), next.wraps)?;
        self.rotations.intents.insert(id);
        self.pauses.note_intent(id, *chain);
        self.commit()?;
        Ok(true)
    }
}
