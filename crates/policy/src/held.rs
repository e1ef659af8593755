//! Who has a key: from what the chains say of wraps, as they stand now (protocol.md §4).

use std::collections::BTreeMap;

use vereda_base::{ChainId, Digest, Timestamp};

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
    let mut number = Some(from);
    while let Some(at) = number.filter(|at| *at > to) {
        // An epoch follows an older one only.
        number = state.epoch(at).and_then(|epoch| epoch.follows).filter(|follows| *follows < at);
    }
    number == Some(to)
}

/// Says whether anybody who stands in a chain, down to devices, was given the key of an epoch, or one that leads back to it.
/// Where nobody was, nobody can follow it: the chain begins anew without it. A recovery key does not count, since it takes
/// part in nothing until somebody looks for it. A member whose chain is unknown here counts.
#[must_use]
pub fn is_key_held(view: &dyn Chains, chain: &ChainId, epoch: u64, now: Option<Timestamp>) -> bool {
    Holding { view, now, found: BTreeMap::new() }.is_held(chain, epoch)
}

struct Holding<'a> {
    view: &'a dyn Chains,
    now: Option<Timestamp>,
    found: BTreeMap<(ChainId, u64), bool>,
}

impl Holding<'_> {
    fn is_held(&mut self, chain: &ChainId, epoch: u64) -> bool {
        if let Some(found) = self.found.get(&(*chain, epoch)) {
            return *found;
        }
        let Some(state) = self.view.chain(chain) else { return true };
        let later = state.epochs().iter().rev().take_while(|later| later.number >= epoch);
        let mut leading = later.filter(|later| leads_back(&state, later.number, epoch));
        let found = leading.any(|later| self.is_given(&state, later));
        self.found.insert((*chain, epoch), found);
        found
    }

    /// Says whether somebody who stands now has an epoch's key by a wrap.
    fn is_given(&mut self, state: &ChainState, epoch: &EpochState) -> bool {
        let head = state.head_seq();
        epoch.targets.iter().any(|target| {
            if state.kind() == ChainKind::User {
                let stands = |recipient: &Digest| {
                    let mut standing = state.devices().iter().filter(|device| device.stands_at(head));
                    standing.any(|device| device.device.0 == recipient.0 && device.kind == DeviceKind::Full)
                };
                return stands(&target.recipient);
            }
            let member = ChainId(target.recipient.0);
            let stands = state.members().iter().any(|held| held.subject == member && held.stands_at(head, self.now));
            let fits = self.view.chain(&member).is_none_or(|known| may_be_member(known.kind(), state.kind()));
            stands && fits && !has_left_since(state, &member, epoch.from_seq) && self.is_held(&member, target.epoch)
        })
    }
}
