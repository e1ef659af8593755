//! Wraps for members that lack them: whoever holds a key passes it on to whoever is entitled to it.
//!
//! A device sees its own wraps only; whom the others are for is said in the chain.

use std::time::Duration;

use vereda_base::{ChainId, Timestamp};
use vereda_policy::{
    Body, ChainKind, ChainState, Chains, EpochState, Evaluator, Heads, Repair, Staleness, Subject, Target, Wrap,
    WrapProof, entitled, has_left_since, leads_back, wrap_list,
};
use vereda_sync::device::{DeviceStore, IntentFailure, OutboxItem, StoreError};

use super::{Ambient, Device, DeviceError};
use crate::{
    keyring::{scope_of, wrap_for},
    tables::INVITES,
};

/// Who did not bring the member in leaves it to those who did for a while, and then each a while of its own.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);
const STEPS: u64 = 8;
/// Chains looked at in one step.
const CHAINS: usize = 64;

impl<S: DeviceStore> Device<S> {
    /// Repairs what this device should, once it is caught up; commits. Says whether it did anything.
    pub(super) fn repair(&mut self, ambient: &mut Ambient<'_>) -> Result<bool, DeviceError> {
        let now = ambient.now;
        let relay_now = self.relay_now(ambient);
        let is_due = self.repair_from.is_some_and(|due| due <= now.monotonic);
        let is_more = self.sweep();
        let chains: Vec<ChainId> = self.repairing.iter().copied().collect();
        if !chains.is_empty() && self.is_put_out() {
            // The relay takes none of it; should the person come back, all is looked at again.
            self.deferred.append(&mut self.repairing);
            self.repair_from = None;
            return Ok(false);
        }
        let mut did = false;
        let mut waits = false;
        for chain in chains {
            let (lacking, is_deferred) = self.view(|view, _| lacking(view, &chain, Some(relay_now)));
            // What is begun here or by others may come to nothing: it is looked at again whenever something changes.
            if is_deferred || !lacking.is_empty() {
                self.deferred.insert(chain);
            }
            // Of a chain that the relay does not have yet it takes nothing else.
            let can = |state: &ChainState| state.last_time().is_some() && self.keyring.holds_newest(state);
            let holds = self.chain(&chain).is_some_and(|state| can(&state));
            if lacking.is_empty() || !holds || self.pauses.holds(&chain) || self.is_repair_queued(&chain)? {
                self.repairing.remove(&chain);
                continue;
            }
            if !is_due && !self.brought_in(&chain)? {
                waits = true;
                continue;
            }
            // A key that somebody who left may hold is passed on to nobody: the next one is.
            if self.renew_before_writing(&chain, ambient)? {
                self.repair_chain(ambient, chain, lacking)?;
            }
            self.repairing.remove(&chain);
            did = true;
        }
        if waits {
            let turn = Duration::from_millis(500).saturating_mul(u32::try_from(self.turn()).unwrap_or(0));
            self.repair_from.get_or_insert(now.monotonic.saturating_add(PATIENCE).saturating_add(turn));
        } else {
            self.repair_from = None;
        }
        if did {
            self.commit()?;
        }
        Ok(did || is_more)
    }

    fn repair_chain(
        &mut self,
        ambient: &mut Ambient<'_>,
        chain: ChainId,
        lacking: Vec<(Subject, u64)>,
    ) -> Result<(), DeviceError> {
        let Some(state) = self.chain(&chain) else { return Ok(()) };
        let Some(epoch) = state.newest_epoch() else { return Ok(()) };
        let Some(key) = self.keyring.key(&chain, epoch.number).cloned() else { return Ok(()) };
        let is_document = epoch.public_key.is_none();
        let mut wraps = Vec::new();
        for member in lacking {
            let wrap = self.with_keyring(ambient, |keyring, view, rng| {
                let key = (scope_of(&state, epoch), epoch.number, &key);
                wrap_for(keyring, view, key, member, Some(&chain), is_document, rng)
            })?;
            wraps.extend(wrap);
        }
        if wraps.is_empty() {
            return Ok(());
        }
        let (list, wraps) = wrap_list(wraps);
        let target = |(wrap, _): &(Wrap, WrapProof)| Target { recipient: wrap.recipient, epoch: wrap.recipient_epoch };
        let targets = wraps.iter().map(target).collect();
        let body = Body::Repair(Repair { epoch: epoch.number, wraps: list, targets });
        let id = self.intend(chain, body, wraps.into_iter().map(|(wrap, _)| wrap).collect())?;
        self.pauses.note_intent(id, chain);
        Ok(())
    }

    /// Has everything looked at, in turn, whose members may lack a wrap: whatever this process did not see happen, an earlier
    /// one may have.
    pub(super) fn find_repairs(&mut self) {
        self.unswept = self.keyring.chains();
    }

    /// Has a chain that grew looked at, and what waits for something to change.
    pub(super) fn note_grown(&mut self, chain: &ChainId) {
        self.repairing.insert(*chain);
        self.repairing.append(&mut self.deferred);
        if self.has_broken_off(chain) {
            self.find_repairs();
        }
    }

    /// Has what waits looked at again after something could not be done: another device may have done part of it. What the
    /// relay refused waits for news.
    pub(super) fn look_again(&mut self, reason: IntentFailure) {
        if !matches!(reason, IntentFailure::Refused(_)) {
            self.repairing.append(&mut self.deferred);
        }
    }

    /// Says whether not all of a group's keys lead back to those before: then what was wrapped to one of those may have to be
    /// wrapped again.
    fn has_broken_off(&self, group: &ChainId) -> bool {
        self.chain(group).filter(|state| state.kind() != ChainKind::Document).is_some_and(|state| {
            let breaks = |epoch: &EpochState| epoch.fault.is_some() || (epoch.number > 0 && epoch.follows.is_none());
            state.epochs().iter().any(breaks)
        })
    }

    /// Takes up the next few chains to be looked at, and notes where one is held that this device is no member of any more: an
    /// earlier process may not have come to destroying its key. Says whether there is more to do.
    fn sweep(&mut self) -> bool {
        if self.unswept.is_empty() {
            return false;
        }
        let mut next: Vec<ChainId> = std::iter::from_fn(|| self.unswept.pop_first()).take(CHAINS).collect();
        let taken = next.len();
        self.view(|view, device| {
            let heads = Heads::newest(None);
            let mut evaluator = Evaluator::new(view, device, &heads);
            next.retain(|chain| evaluator.membership(chain).is_some());
        });
        self.has_lost |= next.len() < taken;
        self.repairing.extend(next);
        self.has_lost || !self.unswept.is_empty()
    }

    fn is_repair_queued(&self, chain: &ChainId) -> Result<bool, StoreError> {
        let of_chain = |item: &OutboxItem| matches!(item, OutboxItem::Intent { chain: of, body: Body::Repair(_), .. } if of == chain);
        Ok(self.outbox()?.iter().any(of_chain))
    }

    /// Says whether this device began the chain or invited into it, or it is its own person's: then it is the one to pass
    /// the key on.
    fn brought_in(&self, chain: &ChainId) -> Result<bool, StoreError> {
        if self.home().is_some_and(|(user, _)| user == *chain) {
            return Ok(true);
        }
        if self.chain(chain).is_some_and(|state| state.creator() == self.id()) {
            return Ok(true);
        }
        let mut invited = false;
        self.store.scan(INVITES, Some(chain.as_bytes()), &mut |_, _| {
            invited = true;
            std::ops::ControlFlow::Break(())
        })?;
        Ok(invited)
    }

    /// A number of this device's own, so that not all devices repair at once.
    pub(crate) fn turn(&self) -> u64 {
        // A device's id is a public key, and so as good as random.
        self.id().0.first().map_or(0, |byte| u64::from(*byte) % STEPS)
    }
}

/// Lists who lacks a wrap of a chain's newest epoch: to whom the chain says it was never wrapped, or not since he last came,
/// or to an epoch of his to which his newest does not lead back. Whoever has a wrap to an older one to which it does reads by
/// that. Members that are stale are left until they have a new epoch, those that are unknown here until they are known: says
/// whether there are such.
fn lacking(view: &dyn Chains, chain: &ChainId, now: Option<Timestamp>) -> (Vec<(Subject, u64)>, bool) {
    let Some(state) = view.chain(chain) else { return (Vec::new(), false) };
    let Some(epoch) = state.newest_epoch() else { return (Vec::new(), false) };
    let is_unknown = |member: &ChainId| view.chain(member).is_none();
    let mut is_deferred = state.kind() != ChainKind::User && state.standing_members().iter().any(is_unknown);
    let mut staleness = Staleness::new(view, now);
    let mut lacking = entitled(view, chain, now);
    lacking.retain(|(subject, newest)| {
        let wrapped = epoch.newest_target(&subject.recipient());
        match subject {
            Subject::Device(_) => wrapped.is_none(),
            Subject::Chain(member) => {
                let opens = |wrapped: u64| view.chain(member).is_some_and(|known| leads_back(&known, *newest, wrapped));
                let lacks = !wrapped.is_some_and(opens) || has_left_since(&state, member, epoch.from_seq);
                let is_stale = lacks && staleness.is_stale(member);
                is_deferred |= is_stale;
                lacks && !is_stale
            }
        }
    });
    (lacking, is_deferred)
}
