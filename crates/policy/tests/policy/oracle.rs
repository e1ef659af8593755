//! Policy once more, the naive way, from what `docs/protocol/access.md` says: keeps every operation and what it led to, and
//! answers by trying everything. Shares nothing with the crate but the types of operations.

mod keys;
mod rights;
mod sense;
mod standing;
mod twist;
mod verdict;
mod ways;

use std::collections::{BTreeMap, BTreeSet};

use vereda_base::{ChainId, DeviceId, Digest, Link, OpId, Timestamp};
use vereda_policy::{
    Body, ChainKind, Create, DeviceKind, EpochFault, Invite, Member, Op, Parent, ParentAuthority, Role, Target,
};

pub use rights::{At, best};
pub use standing::Leaves;
pub use twist::{TWISTS, Twist};
pub use verdict::By;
pub use ways::{Removal, Ways};

/// How many operations of each chain are seen; a chain that is not named is not used.
pub type Seen = BTreeMap<ChainId, usize>;

/// Everything that was appended.
#[derive(Clone, Default)]
pub struct Oracle {
    pub chains: BTreeMap<ChainId, Vec<Entry>>,
    /// What each frontier names, by its root.
    pub frontiers: BTreeMap<Digest, Leaves>,
    /// The rule that is otherwise.
    pub twist: Option<Twist>,
}

/// An operation and what its chain said afterwards.
#[derive(Clone)]
pub struct Entry {
    pub id: OpId,
    pub op: Op,
    pub time: Timestamp,
    pub state: State,
    /// It keeps its place and has no effect.
    pub is_void: bool,
}

/// What a chain says.
#[derive(Clone)]
pub struct State {
    pub kind: ChainKind,
    pub creator: DeviceId,
    /// By the operation that gave it, whom it was given, and the role: until when.
    pub holds: BTreeMap<(usize, ChainId, Role), Option<Timestamp>>,
    pub devices: BTreeMap<DeviceId, DeviceKind>,
    pub parents: BTreeSet<Parent>,
    pub invites: BTreeMap<OpId, (Invite, bool)>,
    pub joined: BTreeSet<ChainId>,
    pub epochs: Vec<Epoch>,
    pub chunks: BTreeSet<Link>,
    pub documents: BTreeMap<ChainId, Vec<Member>>,
    pub is_erased: bool,
}

#[derive(Clone)]
pub struct Epoch {
    /// The seq of the operation that began it.
    pub began: usize,
    pub follows: Option<u64>,
    pub carries: Vec<u64>,
    pub creator: DeviceId,
    pub targets: Vec<Target>,
    pub is_bad: bool,
    /// By each device: how many of the targets there were when it last said that its wrap is none.
    pub denied: BTreeMap<DeviceId, usize>,
    /// Who said that the key before, which it holds, is none.
    pub leads_nowhere_for: BTreeSet<DeviceId>,
    /// Made by somebody who had no rights any more when it was taken in.
    pub is_foreign: bool,
}

impl Oracle {
    /// Takes what a relay appended.
    pub fn take(&mut self, id: OpId, op: &Op, time: Timestamp) {
        let chain = op.chain.unwrap_or(ChainId(id.0));
        let state = match &op.body {
            Body::Create(create) => self.begin(op, create, ChainId(id.0)),
            _ => {
                let last = self.chains[&chain].last().unwrap();
                let mut state = last.state.clone();
                state.follow(id, op, self.chains[&chain].len(), time, self.twist);
                state
            }
        };
        self.chains.entry(chain).or_default().push(Entry { id, op: op.clone(), time, state, is_void: false });
    }

    /// Takes what keeps its place and has no effect.
    pub fn take_void(&mut self, id: OpId, op: &Op, time: Timestamp) {
        if self.is(Twist::VoidHasEffect) && self.takes(ChainId(id.0), op, time, By::Device) {
            return self.take(id, op, time);
        }
        let entries = self.chains.get_mut(&op.chain.unwrap()).unwrap();
        let state = entries.last().unwrap().state.clone();
        entries.push(Entry { id, op: op.clone(), time, state, is_void: true });
    }

    pub fn is(&self, twist: Twist) -> bool {
        self.twist == Some(twist)
    }

    pub fn newest(&self, chain: &ChainId) -> Option<&State> {
        self.chains.get(chain)?.last().map(|entry| &entry.state)
    }

    pub fn all(&self) -> Seen {
        self.chains.iter().map(|(chain, ops)| (*chain, ops.len())).collect()
    }

    /// Whom an adoption lets into a document that begins: by its team or agency, or where it has none by its user.
    pub fn holders(&self, create: &Create, document: ChainId) -> Option<Vec<Member>> {
        let is_user = |parent: &Parent| self.kind(&parent.chain) == Some(ChainKind::User);
        let mut deciding: Vec<&Parent> = create.parents.iter().collect();
        deciding.retain(|parent| parent.authority != ParentAuthority::None);
        deciding.retain(|parent| self.kind(&parent.chain) != Some(ChainKind::Document));
        if deciding.iter().any(|parent| !is_user(parent)) && !self.is(Twist::UsersDecideBesideGroups) {
            deciding.retain(|parent| !is_user(parent));
        }
        if deciding.iter().any(|parent| parent.authority == ParentAuthority::Full) {
            deciding.retain(|parent| parent.authority == ParentAuthority::Full);
        }
        deciding.into_iter().find_map(|parent| {
            let mut holders = self.newest(&parent.chain)?.documents.get(&document)?.clone();
            if parent.authority == ParentAuthority::RevokeOnly && !self.is(Twist::RevokeOnlyOwnerLetsIn) {
                let named =
                    |one: &Member| create.members.iter().any(|old| old.subject == one.subject && old.role >= one.role);
                holders.retain(named);
            }
            if is_user(parent) && !self.is(Twist::UserLetsInOthers) {
                holders.retain(|one| one.subject == parent.chain);
            }
            (!holders.is_empty()).then_some(holders)
        })
    }

    fn begin(&self, op: &Op, create: &Create, id: ChainId) -> State {
        let holders = self.holders(create, id);
        let given = holders.as_ref().unwrap_or(&create.members);
        let wrapped: Vec<Digest> = match create.kind {
            ChainKind::User => vec![Digest(op.device.0)],
            _ => create.members.iter().map(|member| Digest(member.subject.0)).collect(),
        };
        State {
            kind: create.kind,
            creator: op.device,
            holds: given.iter().map(|member| ((0, member.subject, member.role), None)).collect(),
            devices: match create.kind {
                ChainKind::User => BTreeMap::from([(op.device, DeviceKind::Full)]),
                _ => BTreeMap::new(),
            },
            parents: create.parents.iter().copied().collect(),
            invites: BTreeMap::new(),
            joined: BTreeSet::new(),
            epochs: vec![Epoch {
                began: 0,
                follows: None,
                carries: vec![],
                creator: op.device,
                targets: targets(&wrapped, &create.epoch.targets),
                is_bad: false,
                denied: BTreeMap::new(),
                leads_nowhere_for: BTreeSet::new(),
                is_foreign: holders.is_some(),
            }],
            chunks: BTreeSet::new(),
            documents: BTreeMap::new(),
            is_erased: false,
        }
    }
}

impl State {
    pub fn members(&self) -> BTreeSet<ChainId> {
        self.holds.keys().map(|(_, subject, _)| *subject).collect()
    }

    /// Devices of a user, else members, in order.
    pub fn recipients(&self) -> Vec<Digest> {
        match self.kind {
            ChainKind::User => self.devices.keys().map(|device| Digest(device.0)).collect(),
            _ => self.members().iter().map(|member| Digest(member.0)).collect(),
        }
    }

    /// The epoch that the next one follows.
    pub fn good(&self) -> u64 {
        let newest = self.epochs.len() as u64 - 1;
        (0..=newest).rev().find(|number| !self.epochs[*number as usize].is_bad).unwrap_or(0)
    }

    /// The epochs that were passed over: no good one leads to them from the one that is followed.
    pub fn passed_over(&self) -> BTreeSet<u64> {
        let mut led_to = BTreeSet::from([self.good()]);
        for _ in &self.epochs {
            for (number, epoch) in self.epochs.iter().enumerate().filter(|(_, epoch)| !epoch.is_bad) {
                if led_to.contains(&(number as u64)) {
                    led_to.extend(epoch.carries.iter().copied().chain(epoch.follows));
                }
            }
        }
        (0..self.epochs.len() as u64).filter(|number| !led_to.contains(number)).collect()
    }

    fn give(&mut self, seq: usize, subject: ChainId, role: Role, expires: Option<Timestamp>) {
        let held = |(key, until): (&(usize, ChainId, Role), &Option<Timestamp>)| {
            key.1 == subject && key.2 >= role && (until.is_none() || (expires.is_some() && expires <= *until))
        };
        if !self.holds.iter().any(held) {
            self.holds.insert((seq, subject, role), expires);
        }
    }

    pub fn follow(&mut self, id: OpId, op: &Op, seq: usize, time: Timestamp, twist: Option<Twist>) {
        match &op.body {
            Body::Create(_) => unreachable!(),
            Body::AddDevice(add) => _ = self.devices.insert(add.device, add.kind),
            Body::RemoveDevice(remove) => _ = self.devices.remove(&remove.device),
            Body::Grant(grant) => {
                if twist == Some(Twist::GrantLowers) {
                    self.holds.retain(|key, _| key.1 != grant.subject);
                }
                self.give(seq, grant.subject, grant.role, grant.expires);
            }
            Body::Revoke(revoke) => {
                let ends = |key: &(usize, ChainId, Role)| key.1 == revoke.subject && Some(key.2) > revoke.keeps;
                let ended: Vec<_> = self.holds.iter().filter(|(key, _)| ends(key)).map(|(_, until)| *until).collect();
                self.holds.retain(|key, _| !ends(key));
                if let Some(role) = revoke.keeps {
                    let prolongs = ended.contains(&None) || twist == Some(Twist::LoweringProlongs);
                    let longest = if prolongs { None } else { ended.into_iter().max().flatten() };
                    self.give(seq, revoke.subject, role, longest);
                }
                if let Some(successor) = revoke.successor {
                    self.give(seq, successor, Role::Manager, None);
                }
            }
            Body::Assign(assign) => {
                self.holds.retain(|(_, subject, _), _| !assign.takes.contains(subject));
                for member in &assign.gives {
                    self.give(seq, member.subject, member.role, None);
                }
                if let Some(parents) = &assign.parents {
                    self.parents = parents.iter().copied().collect();
                }
            }
            Body::Expire(expire) => {
                let passed = |until: &Option<Timestamp>| until.is_some_and(|until| until <= time);
                self.holds.retain(|(_, subject, _), until| *subject != expire.subject || !passed(until));
            }
            Body::Invite(invite) => _ = self.invites.insert(id, (invite.clone(), true)),
            Body::Accept(accept) => {
                let (invite, open) = self.invites.get_mut(&accept.invite).unwrap();
                *open = false;
                let role = invite.role;
                self.joined.insert(accept.user);
                self.give(seq, accept.user, role, None);
            }
            Body::CancelInvite(cancel) => self.invites.get_mut(&cancel.invite).unwrap().1 = false,
            Body::Rotate(rotate) => self.epochs.push(Epoch {
                began: seq,
                follows: rotate.epoch.previous.map(|_| rotate.follows),
                carries: rotate.carries.clone(),
                creator: op.device,
                targets: targets(&self.recipients(), &rotate.epoch.targets),
                is_bad: false,
                denied: BTreeMap::new(),
                leads_nowhere_for: BTreeSet::new(),
                is_foreign: false,
            }),
            Body::Repair(repair) => self.epochs[repair.epoch as usize].targets.extend(&repair.targets),
            Body::BadRotate(bad) => {
                let epoch = &mut self.epochs[bad.epoch as usize];
                epoch.is_bad = true;
                match bad.fault {
                    EpochFault::Previous => _ = epoch.leads_nowhere_for.insert(op.device),
                    _ => _ = epoch.denied.insert(op.device, epoch.targets.len()),
                }
            }
            Body::Adopt(adopt) => {
                self.chunks.extend(&adopt.chunks);
                self.documents.extend(adopt.documents.iter().map(|one| (one.document, one.holders.clone())));
            }
            Body::Discard(discard) => {
                self.chunks.extend(&discard.chunks);
                self.documents.extend(discard.documents.iter().map(|document| (*document, vec![])));
            }
            Body::Beacon(_) | Body::SetRetention(_) => {}
            Body::Erase => self.is_erased = true,
        }
    }
}

fn targets(recipients: &[Digest], epochs: &[Option<u64>]) -> Vec<Target> {
    let pairs = recipients.iter().zip(epochs);
    pairs.filter_map(|(recipient, epoch)| epoch.map(|epoch| Target { recipient: *recipient, epoch })).collect()
}
