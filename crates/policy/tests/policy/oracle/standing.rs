//! What stands: on which removals work relies, whom they name, and what is void.

use std::collections::{BTreeMap, BTreeSet};

use vereda_base::{ChainId, DeviceId, Digest, OpId};
use vereda_policy::{Body, ChainKind, Frontier, Op, Parent, ParentAuthority, Place, Role};

use super::{At, By, Entry, Oracle, Removal, Seen, Twist, Ways};

/// What a frontier says: up to where the work in each place stands.
pub type Leaves = BTreeMap<Place, (u64, Digest)>;

pub const fn frontier_of(body: &Body) -> Option<Frontier> {
    match body {
        Body::RemoveDevice(remove) => Some(remove.frontier),
        Body::Revoke(revoke) => Some(revoke.frontier),
        Body::Assign(assign) => Some(assign.frontier),
        Body::Expire(expire) => Some(expire.frontier),
        _ => None,
    }
}

impl Oracle {
    /// The removals on which an operation relies that its author was entitled to at the heads cited.
    pub fn op_relies(&self, op: &Op) -> BTreeSet<Removal> {
        let mut seen = self.cited(op).unwrap();
        if let Some(chain) = op.chain {
            seen.insert(chain, op.seq as usize);
        }
        self.longest(&self.may(op, &At { own: op.chain, ..At::seen(seen) }))
    }

    /// The removals on which content relies that cites these.
    pub fn content_relies(&self, device: DeviceId, document: ChainId, seen: Seen) -> BTreeSet<Removal> {
        self.longest(&self.content(device, document, Role::Editor, &At::seen(seen)))
    }

    fn longest(&self, ways: &Ways) -> BTreeSet<Removal> {
        if ways.last() || self.is(Twist::NothingIsReliedOn) {
            return BTreeSet::new();
        }
        let time = |(chain, seq): &Removal| self.chains[chain][*seq as usize].time;
        if self.is(Twist::ShortestWayCounts) {
            return ways.longest(|removal| std::cmp::Reverse(time(removal)));
        }
        ways.longest(time)
    }

    /// Whether all of these removals name what stands at a place.
    pub fn is_named(&self, relied: &BTreeSet<Removal>, place: &Place, seq: u64, id: Digest) -> bool {
        relied.iter().all(|(chain, at)| {
            let removal = &self.chains[chain][*at as usize].op.body;
            let leaf = self.frontiers[&frontier_of(removal).unwrap().root].get(place);
            leaf.is_some_and(|(last, named)| {
                seq < *last
                    || (seq == *last && (*named == id || self.is(Twist::OtherIdAtTheLeaf)))
                    || self.is(Twist::LeafBelowIsEnough)
            })
        })
    }

    /// Whose work a removal that comes next in a chain concerns.
    pub fn concerns(&self, chain: ChainId, body: &Body) -> BTreeSet<DeviceId> {
        let below = |subjects: &[ChainId]| -> BTreeSet<DeviceId> {
            subjects.iter().flat_map(|one| self.ever_below(*one, Role::Reader)).collect()
        };
        match body {
            Body::RemoveDevice(remove) => BTreeSet::from([remove.device]),
            Body::Revoke(revoke) => below(&[revoke.subject]),
            Body::Expire(expire) => below(&[expire.subject]),
            Body::Assign(assign) => {
                let mut all = below(&assign.takes);
                let after = assign.parents.clone().unwrap_or_default();
                let stays =
                    |old: &Parent| after.iter().any(|new| new.chain == old.chain && new.authority >= old.authority);
                let old = self.newest(&chain).unwrap().parents.iter();
                for parent in old.filter(|old| old.authority != ParentAuthority::None && !stays(old)) {
                    if assign.parents.is_some() && !self.is(Twist::ParentsManagersAreNotNamed) {
                        all.extend(self.ever_managing(parent.chain));
                    }
                }
                all
            }
            _ => BTreeSet::new(),
        }
    }

    /// The devices that ever were of a chain by roles of at least this one, as each of them was at any time.
    fn ever_below(&self, chain: ChainId, least: Role) -> BTreeSet<DeviceId> {
        let Some(kind) = self.kind(&chain) else { return BTreeSet::new() };
        let entries = &self.chains[&chain];
        let from = if self.is(Twist::ThoseWhoLeftAreNotNamed) { entries.len() - 1 } else { 0 };
        let mut devices = BTreeSet::new();
        for entry in &entries[from..] {
            devices.extend(entry.state.devices.keys().copied());
        }
        let held = entries[from..].iter().flat_map(|entry| entry.state.holds.keys());
        let members: BTreeSet<ChainId> = held.filter(|key| key.2 >= least).map(|key| key.1).collect();
        for member in members {
            if self.kind(&member).is_some_and(|below| below < kind) {
                devices.extend(self.ever_below(member, least));
            }
        }
        devices
    }

    fn ever_managing(&self, chain: ChainId) -> BTreeSet<DeviceId> {
        let mut devices = self.ever_below(chain, Role::Manager);
        let parents: BTreeSet<ChainId> = self.chains[&chain]
            .iter()
            .flat_map(|entry| &entry.state.parents)
            .filter(|parent| parent.authority == ParentAuthority::Full)
            .map(|parent| parent.chain)
            .collect();
        for parent in parents {
            devices.extend(self.ever_managing(parent));
        }
        // Managers of a team by the team's parent are Managers of the team.
        if self.kind(&chain) == Some(ChainKind::User) {
            devices.extend(self.ever_below(chain, Role::Reader));
        }
        devices
    }

    /// Whether an entry, taken with effect when it came, is beyond a frontier seen from now.
    pub fn is_beyond(&self, chain: ChainId, entry: &Entry) -> bool {
        if entry.is_void || (entry.op.seq == 0 && entry.state.epochs[0].is_foreign) {
            return false;
        }
        let place = Place::Ops { chain, device: entry.op.device };
        !self.is_named(&self.op_relies(&entry.op), &place, entry.op.seq, Digest(entry.id.0))
    }

    /// Takes all that ever came once more, in order of arrival, until nothing that has an effect is beyond a frontier: what
    /// is, and what rests on it, has none. A chain whose first operation has none has never been.
    pub fn evaluate_anew(&self, arrived: &[(OpId, Op, vereda_base::Timestamp)]) -> Self {
        let mut beyond = BTreeSet::new();
        loop {
            let mut anew = Self { frontiers: self.frontiers.clone(), twist: self.twist, ..Self::default() };
            for (id, op, time) in arrived {
                let chain = op.chain.unwrap_or(ChainId(id.0));
                if op.chain.is_some() && !anew.chains.contains_key(&chain) {
                    continue;
                }
                let stands = !beyond.contains(id) && anew.takes(ChainId(id.0), op, *time, By::Device) && {
                    let place = Place::Ops { chain, device: op.device };
                    let adopted = matches!(&op.body, Body::Create(create) if anew.holders(create, chain).is_some());
                    adopted || anew.is_named(&anew.op_relies(op), &place, op.seq, Digest(id.0))
                };
                if stands {
                    anew.take(*id, op, *time);
                } else if op.chain.is_some() {
                    anew.take_void(*id, op, *time);
                }
            }
            let before = beyond.len();
            for (chain, entries) in &anew.chains {
                beyond.extend(entries.iter().filter(|entry| anew.is_beyond(*chain, entry)).map(|entry| entry.id));
            }
            if beyond.len() == before {
                return anew;
            }
        }
    }
}
