//! Who has a key: from what the chains say of wraps, as they stand now (protocol.md §4).

use std::collections::{BTreeMap, BTreeSet};

use vereda_base::{ChainId, DeviceId, Timestamp};

use crate::{ChainKind, ChainState, Chains, DeviceKind, EpochState, authority::may_be_member};

/// Says whether a subject left a chain after an operation of it, if only for a while: whoever learned of it has destroyed
/// the keys that he had before. Whoever was given another role by the same operation did not leave.
#[must_use]
pub fn has_left_since(state: &ChainState, subject: &ChainId, seq: u64) -> bool {
    let ended = state.members().iter().filter(|held| held.subject == *subject).filter_map(|held| held.until_seq);
    ended.into_iter().any(|until| until > seq && state.role_of(subject, until).is_none())
}

/// Says whether the key of one epoch of a chain leads back to that of another: each holds the key of the one that it
/// follows.
#[must_use]
pub fn leads_back(state: &ChainState, from: u64, to: u64) -> bool {
    way_back(state, from, to).is_some()
}

/// Lists the epochs whose keys lead from one to another, the last not among them; `None` where they do not.
fn way_back(state: &ChainState, from: u64, to: u64) -> Option<Vec<&EpochState>> {
    let (mut way, mut number) = (Vec::new(), from);
    while number > to {
        let epoch = state.epoch(number)?;
        way.push(epoch);
        // An epoch follows an older one only.
        number = epoch.follows.filter(|follows| *follows < number)?;
    }
    (number == to).then_some(way)
}

/// Says whether anybody who stands in a chain, down to devices, was given the key of an epoch, or one that leads back to it.
/// Where nobody was, nobody can follow it: the chain begins anew without it. A recovery key does not count, since it takes
/// part in nothing until somebody looks for it. A member whose chain is unknown here counts. Whoever said by a standing
/// device that what he was given is not the key, or that it does not lead back, does not count, and nobody's word takes it
/// from another.
#[must_use]
pub fn is_key_held(view: &dyn Chains, chain: &ChainId, epoch: u64, now: Option<Timestamp>) -> bool {
    Holding { view, now, found: BTreeMap::new() }.is_held(chain, epoch, &BTreeSet::new())
}

struct Holding<'a> {
    view: &'a dyn Chains,
    now: Option<Timestamp>,
    found: BTreeMap<(ChainId, u64, BTreeSet<DeviceId>), bool>,
}

impl Holding<'_> {
    /// See [`is_key_held`]. `denying` are the devices whose users were given nothing on the way here.
    fn is_held(&mut self, chain: &ChainId, epoch: u64, denying: &BTreeSet<DeviceId>) -> bool {
        let Some(state) = self.view.chain(chain) else { return true };
        let head = state.head_seq();
        if state.devices().iter().any(|own| own.stands_at(head) && denying.contains(&own.device)) {
            return false;
        }
        let asked = (*chain, epoch, denying.clone());
        if let Some(found) = self.found.get(&asked) {
            return *found;
        }
        let later = state.epochs().iter().rev().take_while(|later| later.number >= epoch);
        let mut leading = later.filter_map(|later| Some((later, way_back(&state, later.number, epoch)?)));
        let found = leading.any(|(later, way)| {
            let unled = way.into_iter().flat_map(|epoch| &epoch.unled).copied().collect();
            self.is_given(&state, later, &unled, denying)
        });
        self.found.insert(asked, found);
        found
    }

    /// Says whether somebody who stands now has an epoch's key by a wrap. `unled` are those whom it does not lead to the one
    /// that is asked for, as they say.
    fn is_given(
        &mut self,
        state: &ChainState,
        epoch: &EpochState,
        unled: &BTreeSet<DeviceId>,
        denying: &BTreeSet<DeviceId>,
    ) -> bool {
        let head = state.head_seq();
        epoch.targets.iter().enumerate().any(|(index, target)| {
            if state.kind() == ChainKind::User {
                let device = DeviceId(target.recipient.0);
                let mut standing = state.devices().iter().filter(|known| known.stands_at(head));
                let stands = standing.any(|known| known.device == device && known.kind == DeviceKind::Full);
                return stands && !epoch.is_denied(&device, index) && !unled.contains(&device);
            }
            let member = ChainId(target.recipient.0);
            let stands = state.members().iter().any(|held| held.subject == member && held.stands_at(head, self.now));
            let fits = self.view.chain(&member).is_none_or(|known| may_be_member(known.kind(), state.kind()));
            if !stands || !fits || has_left_since(state, &member, epoch.from_seq) {
                return false;
            }
            let mut denying: BTreeSet<DeviceId> = denying.union(unled).copied().collect();
            let said = epoch.denials.iter().filter(|denial| denial.given > index);
            denying.extend(said.map(|denial| denial.device));
            self.is_held(&member, target.epoch, &denying)
        })
    }
}
