//! Roles and keys by trying every way.

use std::collections::BTreeSet;

use vereda_base::{ChainId, DeviceId, Digest, Timestamp};
use vereda_policy::{ChainKind, DeviceKind, Parent, ParentAuthority, Role};

use super::{Entry, Oracle, Seen, State};

/// As of when.
#[derive(Clone)]
pub struct At {
    pub seen: Seen,
    pub now: Option<Timestamp>,
    /// Counts only what stands to this day, or was ended by one of these.
    pub lasting: Option<BTreeSet<(ChainId, u64)>>,
}

impl At {
    pub fn seen(seen: Seen) -> Self {
        Self { seen, now: None, lasting: None }
    }
}

impl Oracle {
    pub fn at(&self, chain: &ChainId, at: &At) -> Option<&State> {
        let count = at.seen.get(chain)?;
        self.chains.get(chain)?.get(count - 1).map(|entry| &entry.state)
    }

    /// Whether something that stood at the heads counts: it stands still, or was ended by what is left out of account.
    fn counts(&self, chain: &ChainId, at: &At, stands: impl Fn(&State) -> bool) -> bool {
        let Some(without) = &at.lasting else { return true };
        let from = at.seen[chain];
        let ended = self.chains[chain].iter().enumerate().skip(from).find(|(_, entry)| !stands(&entry.state));
        ended.is_none_or(|(seq, _)| without.contains(&(*chain, seq as u64)))
    }

    fn kind(&self, chain: &ChainId) -> Option<ChainKind> {
        self.newest(chain).map(|state| state.kind)
    }

    pub fn is_device(&self, device: DeviceId, user: ChainId, at: &At, recovery: bool) -> bool {
        let Some(state) = self.at(&user, at) else { return false };
        let kind = state.devices.get(&device);
        kind.is_some_and(|kind| recovery || *kind == DeviceKind::Full)
            && self.counts(&user, at, |state| state.devices.contains_key(&device))
    }

    pub fn membership(&self, device: DeviceId, chain: ChainId, at: &At) -> Option<Role> {
        let state = self.at(&chain, at)?;
        if state.kind == ChainKind::User {
            return self.is_device(device, chain, at, false).then_some(Role::Manager);
        }
        let mut best = None;
        for (key, expires) in &state.holds {
            let passed = at.now.is_some_and(|now| expires.is_some_and(|expires| expires <= now));
            let lower = self.kind(&key.1).is_some_and(|kind| kind < state.kind);
            if !passed && lower && self.counts(&chain, at, |state| state.holds.contains_key(key)) {
                let below = self.membership(device, key.1, at);
                best = best.max(below.map(|role| role.min(key.2)));
            }
        }
        best
    }

    /// The parents that count.
    pub fn parents(&self, chain: ChainId, at: &At) -> Vec<Parent> {
        let Some(state) = self.at(&chain, at) else { return vec![] };
        let counts = |parent: &&Parent| self.counts(&chain, at, |state| state.parents.contains(*parent));
        state.parents.iter().filter(counts).copied().collect()
    }

    fn may_be_parent(&self, parent: ChainId, of: ChainId) -> bool {
        match (self.kind(&parent), self.kind(&of)) {
            (Some(ChainKind::Agency), Some(ChainKind::Team)) => true,
            (Some(parent), Some(ChainKind::Document)) => parent != ChainKind::Document,
            _ => false,
        }
    }

    /// Whether the device is Manager in a parent with at least this authority.
    pub fn above(&self, device: DeviceId, chain: ChainId, least: ParentAuthority, at: &At) -> bool {
        let parents = self.parents(chain, at);
        parents.iter().any(|parent| {
            parent.authority >= least
                && self.may_be_parent(parent.chain, chain)
                && self.authority(device, parent.chain, at) == Some(Role::Manager)
        })
    }

    pub fn authority(&self, device: DeviceId, chain: ChainId, at: &At) -> Option<Role> {
        let above = self.above(device, chain, ParentAuthority::Full, at).then_some(Role::Manager);
        above.max(self.membership(device, chain, at))
    }

    pub fn role(&self, device: DeviceId, chain: ChainId, at: &At) -> Option<Role> {
        self.membership(device, chain, at)?;
        self.authority(device, chain, at)
    }

    pub fn covers(&self, device: DeviceId, parents: &[Parent], subject: ChainId, at: &At) -> bool {
        let own = self.kind(&subject) == Some(ChainKind::User) && self.membership(device, subject, at).is_some();
        own || parents.iter().any(|parent| {
            let has_a_say = parent.authority != ParentAuthority::None;
            let holds = parent.chain == subject && self.role(device, subject, at) >= Some(Role::Editor);
            let is_group = matches!(self.kind(&parent.chain), Some(ChainKind::Team | ChainKind::Agency));
            let manages = is_group && self.authority(device, parent.chain, at) == Some(Role::Manager);
            has_a_say && (holds || manages)
        })
    }

    /// Whether the device is Manager of an agency that is cited and that a user belongs to and once joined.
    pub fn governs(&self, device: DeviceId, user: ChainId, cited: &[ChainId], at: &At) -> bool {
        let of_kind = |kind| cited.iter().copied().filter(move |chain| self.kind(chain) == Some(kind));
        of_kind(ChainKind::Agency).any(|agency| {
            let teams = of_kind(ChainKind::Team).filter(|team| {
                let full = Parent { chain: agency, authority: ParentAuthority::Full };
                self.at(team, at).is_some_and(|state| state.parents.contains(&full))
            });
            let groups: Vec<&State> = teams.chain([agency]).filter_map(|chain| self.at(&chain, at)).collect();
            let named = |state: &&State| {
                let passed =
                    |until: &Option<Timestamp>| at.now.is_some_and(|now| until.is_some_and(|until| until <= now));
                state.holds.iter().any(|(key, until)| key.1 == user && !passed(until))
            };
            let was_device =
                |device: DeviceId| self.chains[&user].iter().any(|entry| entry.state.devices.contains_key(&device));
            let joined = |state: &&State| state.joined.contains(&user) || was_device(state.creator);
            groups.iter().any(named)
                && groups.iter().any(joined)
                && self.membership(device, agency, at) == Some(Role::Manager)
        })
    }

    fn now(&self, now: Option<Timestamp>) -> At {
        At { seen: self.all(), now, lasting: None }
    }

    pub fn readers(&self, chain: ChainId, now: Option<Timestamp>) -> BTreeSet<DeviceId> {
        let at = self.now(now);
        self.devices().into_iter().filter(|device| self.membership(*device, chain, &at).is_some()).collect()
    }

    /// All devices there ever were.
    pub fn devices(&self) -> BTreeSet<DeviceId> {
        self.chains.values().flatten().flat_map(|entry| entry.state.devices.keys().copied()).collect()
    }

    /// Who stands in a chain now: its devices, or members whose time has not passed.
    pub fn standing(&self, chain: ChainId, now: Option<Timestamp>) -> BTreeSet<Digest> {
        let state = self.newest(&chain).unwrap();
        if state.kind == ChainKind::User {
            return state.recipients().into_iter().collect();
        }
        let passed = |until: &Option<Timestamp>| now.is_some_and(|now| until.is_some_and(|until| until <= now));
        let held = state.holds.iter().filter(|(_, until)| !passed(until));
        held.map(|(key, _)| Digest(key.1.0)).collect()
    }

    pub fn is_stale(&self, chain: ChainId, now: Option<Timestamp>) -> bool {
        let entries = &self.chains[&chain];
        let state = &entries.last().unwrap().state;
        let epoch = state.epochs.last().unwrap();
        let standing = self.standing(chain, now);
        let has_gone = epoch.targets.iter().any(|target| !standing.contains(&target.recipient));
        let left = |pair: &[Entry]| {
            let after = pair[1].state.recipients();
            pair[0].state.recipients().iter().any(|one| !after.contains(one))
        };
        let somebody_left = has_gone || entries[epoch.began..].windows(2).any(left);
        let outdated = epoch.targets.iter().any(|target| {
            let member = ChainId(target.recipient.0);
            let Some(below) = self.newest(&member).filter(|below| below.kind < state.kind) else { return false };
            (below.epochs.len() as u64) > target.epoch + 1 || self.is_stale(member, now)
        });
        epoch.is_bad || epoch.is_foreign || somebody_left || outdated
    }

    /// Whether somebody who stands in a chain can come to know an epoch's key, by wraps that he was given since he last came.
    pub fn is_held(&self, chain: ChainId, epoch: u64, now: Option<Timestamp>) -> bool {
        let entries = &self.chains[&chain];
        let state = &entries.last().unwrap().state;
        let standing = self.standing(chain, now);
        (epoch..state.epochs.len() as u64).any(|later| {
            let mut at = Some(later);
            while at.is_some_and(|at| at > epoch) {
                at = at.and_then(|at| state.epochs[at as usize].follows);
            }
            let given = &state.epochs[later as usize];
            at == Some(epoch)
                && given.targets.iter().any(|target| match state.kind {
                    ChainKind::User => state.devices.get(&DeviceId(target.recipient.0)) == Some(&DeviceKind::Full),
                    kind => {
                        let stayed = |entry: &Entry| entry.state.recipients().contains(&target.recipient);
                        let member = ChainId(target.recipient.0);
                        standing.contains(&target.recipient)
                            && entries[given.began..].iter().all(stayed)
                            && self.newest(&member).is_none_or(|below| below.kind < kind)
                            && (self.newest(&member).is_none() || self.is_held(member, target.epoch, now))
                    }
                })
        })
    }

    pub fn targets_due(&self, chain: ChainId, now: Option<Timestamp>) -> Vec<Option<u64>> {
        let state = self.newest(&chain).unwrap();
        let standing = self.standing(chain, now);
        let due = |recipient: &Digest| {
            if state.kind == ChainKind::User {
                return Some(0);
            }
            let member = ChainId(recipient.0);
            let below = self.newest(&member).filter(|below| below.kind < state.kind)?;
            let fresh = standing.contains(recipient) && !self.is_stale(member, now);
            fresh.then_some(below.epochs.len() as u64 - 1)
        };
        state.recipients().iter().map(due).collect()
    }

    /// The keys that a device can come to know by wraps, and by what newer keys hold: chain and epoch.
    pub fn keys(&self, device: DeviceId) -> BTreeSet<(ChainId, u64)> {
        let mut known = BTreeSet::new();
        loop {
            let before = known.len();
            for (chain, entries) in &self.chains {
                let state = &entries.last().unwrap().state;
                for (number, epoch) in state.epochs.iter().enumerate().rev() {
                    let number = number as u64;
                    let opens = epoch.targets.iter().any(|target| match state.kind {
                        ChainKind::User => target.recipient.0 == device.0,
                        _ => known.contains(&(ChainId(target.recipient.0), target.epoch)),
                    });
                    if opens || known.contains(&(*chain, number)) {
                        known.insert((*chain, number));
                        known.extend(epoch.follows.map(|follows| (*chain, follows)));
                    }
                }
            }
            if known.len() == before {
                return known;
            }
        }
    }
}
