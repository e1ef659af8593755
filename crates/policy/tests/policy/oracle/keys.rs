//! Who reads, whose keys are stale, and which can be come by.

use std::collections::BTreeSet;

use vereda_base::{ChainId, DeviceId, Digest, Timestamp};
use vereda_policy::{ChainKind, DeviceKind, Role};

use super::{At, Entry, Oracle, Twist};

impl Oracle {
    pub fn now(&self, now: Option<Timestamp>) -> At {
        At { now, ..At::seen(self.all()) }
    }

    pub fn readers(&self, chain: ChainId, now: Option<Timestamp>) -> BTreeSet<DeviceId> {
        let at = self.now(now);
        let reads = |device: &DeviceId| self.member(*device, chain, Role::Reader, &at).are_any();
        self.devices().into_iter().filter(reads).collect()
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
        let has_place = |recipient: &Digest| {
            state.kind == ChainKind::User || self.newest(&ChainId(recipient.0)).is_none_or(|one| one.kind < state.kind)
        };
        let is_in = |recipient: &Digest| standing.contains(recipient) && has_place(recipient);
        let has_gone = epoch.targets.iter().any(|target| !is_in(&target.recipient));
        let now_recipients = state.recipients();
        let left = |pair: &[Entry]| {
            let after = pair[1].state.recipients();
            let mut before = pair[0].state.recipients().into_iter();
            let is_back = |one: &Digest| self.is(Twist::WhoIsBackNeverLeft) && now_recipients.contains(one);
            before.any(|one| !after.contains(&one) && !is_back(&one))
        };
        let somebody_left = has_gone || entries[epoch.began..].windows(2).any(left);
        let outdated = epoch.targets.iter().any(|target| {
            let member = ChainId(target.recipient.0);
            let Some(below) = self.newest(&member).filter(|below| below.kind < state.kind) else { return false };
            (below.epochs.len() as u64) > target.epoch + 1 || self.is_stale(member, now)
        });
        let creator_taken = state.kind != ChainKind::User && self.taken(chain, now).contains(&epoch.creator);
        (epoch.is_bad && !self.is(Twist::BadEpochIsFresh))
            || (epoch.is_foreign && !self.is(Twist::AdoptedEpochIsFresh))
            || (somebody_left && !self.is(Twist::LeaverLeavesNothingStale))
            || (outdated && !self.is(Twist::MembersEpochDoesNotMatter))
            || (creator_taken && !self.is(Twist::CreatorForgets))
    }

    /// Devices that were taken from the users who stand in a chain, however far down.
    fn taken(&self, chain: ChainId, now: Option<Timestamp>) -> BTreeSet<DeviceId> {
        let state = self.newest(&chain).unwrap();
        let standing = self.standing(chain, now);
        if state.kind == ChainKind::User {
            let ever = self.chains[&chain].iter().flat_map(|entry| entry.state.devices.keys().copied());
            return ever.filter(|device| !standing.contains(&Digest(device.0))).collect();
        }
        let members = standing.into_iter().map(|member| ChainId(member.0));
        let below = members.filter(|member| self.newest(member).is_some_and(|below| below.kind < state.kind));
        below.flat_map(|member| self.taken(member, now)).collect()
    }

    /// Whether nobody has the key that a group's next epoch would follow.
    pub fn is_lost(&self, chain: ChainId, now: Option<Timestamp>) -> bool {
        let state = self.newest(&chain).unwrap();
        state.kind != ChainKind::Document && !self.is_held(chain, state.good(), now)
    }

    /// Whether anybody has an epoch's key.
    pub fn is_held(&self, chain: ChainId, epoch: u64, now: Option<Timestamp>) -> bool {
        self.chains.keys().any(|user| self.holds(*user, chain, epoch, now))
    }

    /// Whether a user who stands in a chain can come to know an epoch's key, by wraps that were given since who was given
    /// them last came, and of which none of his devices says that it is none, or that it leads no further back.
    fn holds(&self, user: ChainId, chain: ChainId, epoch: u64, now: Option<Timestamp>) -> bool {
        let entries = &self.chains[&chain];
        let state = &entries.last().unwrap().state;
        if (state.kind == ChainKind::User && chain != user) || self.kind(&user) != Some(ChainKind::User) {
            return false;
        }
        let standing = self.standing(chain, now);
        // Those who can walk back, each step with what the one before holds.
        let lead_back = |later: u64| {
            let (mut at, mut stopped) = (later, BTreeSet::new());
            while at > epoch {
                stopped.extend(state.epochs[at as usize].leads_nowhere_for.iter().copied());
                at = state.epochs[at as usize].follows?;
            }
            if self.is(Twist::LeadsBackWhateverIsSaid) {
                stopped.clear();
            }
            (at == epoch).then_some(stopped)
        };
        let own = &self.newest(&user).unwrap().devices;
        (epoch..state.epochs.len() as u64).filter_map(|later| Some((later, lead_back(later)?))).any(
            |(later, stopped)| {
                let given = &state.epochs[later as usize];
                given.targets.iter().enumerate().any(|(index, target)| {
                    let denies = |device: &DeviceId| {
                        let of_wrap = given.denied.get(device).is_some_and(|before| index < *before);
                        (of_wrap && !self.is(Twist::NobodyDenies)) || stopped.contains(device)
                    };
                    if state.kind == ChainKind::User {
                        let device = DeviceId(target.recipient.0);
                        return own.get(&device) == Some(&DeviceKind::Full) && !denies(&device);
                    }
                    if own.keys().any(denies) || (self.is(Twist::OneDeniesForAll) && given.denied.keys().any(denies)) {
                        return false;
                    }
                    let member = ChainId(target.recipient.0);
                    let is_in = |entry: &Entry| entry.state.recipients().contains(&target.recipient);
                    let left = |pair: &[Entry]| is_in(&pair[0]) && !is_in(&pair[1]);
                    standing.contains(&target.recipient)
                        && !entries[given.began..].windows(2).any(left)
                        && self
                            .newest(&member)
                            .is_some_and(|below| below.kind < state.kind && self.holds(user, member, target.epoch, now))
                })
            },
        )
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
                        known.extend(epoch.carries.iter().copied().chain(epoch.follows).map(|held| (*chain, held)));
                    }
                }
            }
            if known.len() == before {
                return known;
            }
        }
    }
}
