//! Who has which role, from the operations in the relay's log: written anew here, beside the policy crate that it is to
//! check. It knows what an operation does, not who may write it.

use std::collections::{BTreeMap, BTreeSet};

use vereda_base::{ChainId, DeviceId, Link, OpId, Timestamp};
use vereda_policy::{Body, ChainKind, Create, DeviceKind, DocumentKind, Member, Op, Parent, ParentAuthority, Role};

/// A role that nobody ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// Who has it.
    pub subject: ChainId,
    /// The role.
    pub role: Role,
    /// When it ends by itself.
    pub expires: Option<Timestamp>,
    /// Which device gave it.
    pub by: DeviceId,
}

/// What stands in a chain.
#[derive(Debug, Clone)]
pub struct Chain {
    /// What it is of.
    pub kind: ChainKind,
    /// Of a document, which.
    pub document: Option<DocumentKind>,
    /// Who governs it.
    pub parents: Vec<Parent>,
    /// Roles.
    pub held: Vec<Held>,
    /// Of a user, the devices.
    pub devices: BTreeMap<DeviceId, DeviceKind>,
    /// Its content is gone.
    pub is_erased: bool,
    invites: BTreeMap<OpId, (Role, DeviceId)>,
}

/// All chains.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    chains: BTreeMap<ChainId, Chain>,
    adopted_holders: BTreeMap<ChainId, (Vec<Member>, DeviceId)>,
    /// Chunks that were turned away, as operations name them.
    pub discarded: BTreeSet<Link>,
    /// Documents in review that were turned away.
    pub discarded_documents: BTreeSet<ChainId>,
    /// Chunks that were taken in.
    pub adopted: BTreeSet<Link>,
    /// Documents that were taken in.
    pub adopted_documents: BTreeSet<ChainId>,
    /// Who ever took an invite to a group up.
    joined: BTreeSet<(ChainId, ChainId)>,
    /// Devices of which some role was ended or lowered, or can end by itself.
    pub lowered: BTreeSet<DeviceId>,
}

/// As of when roles are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AsOf {
    /// Roles whose time has not passed by then.
    Time(Timestamp),
    /// Roles without an end.
    Lasting,
    /// All roles that no operation ended.
    Ever,
}

impl Ledger {
    /// Takes in an operation that the relay appended at a time.
    pub fn apply(&mut self, chain: ChainId, id: OpId, op: &Op, time: Timestamp) {
        if let Body::Create(create) = &op.body {
            self.begin(chain, op.device, create);
            return;
        }
        match &op.body {
            Body::Adopt(adopt) => {
                self.adopted.extend(&adopt.chunks);
                for one in &adopt.documents {
                    self.adopted_documents.insert(one.document);
                    self.adopted_holders.insert(one.document, (one.holders.clone(), op.device));
                }
            }
            Body::Discard(discard) => {
                self.discarded.extend(&discard.chunks);
                self.discarded_documents.extend(&discard.documents);
            }
            _ => {}
        }
        self.note_lowered(&chain, &op.body);
        let Some(state) = self.chains.get_mut(&chain) else { return };
        match &op.body {
            Body::AddDevice(add) => drop(state.devices.insert(add.device, add.kind)),
            Body::RemoveDevice(remove) => drop(state.devices.remove(&remove.device)),
            Body::Grant(grant) => state.give(grant.subject, grant.role, grant.expires, op.device),
            Body::Revoke(revoke) => {
                let ended = state.end(&revoke.subject, |held| Some(held.role) > revoke.keeps);
                if let (Some(role), Some((expires, by))) = (revoke.keeps, ended) {
                    state.give(revoke.subject, role, expires, by);
                }
                if let Some(successor) = revoke.successor {
                    state.give(successor, Role::Manager, None, op.device);
                }
            }
            Body::Assign(assign) => {
                for subject in &assign.takes {
                    state.end(subject, |_| true);
                }
                for member in &assign.gives {
                    state.give(member.subject, member.role, None, op.device);
                }
                if let Some(parents) = &assign.parents {
                    state.parents.clone_from(parents);
                }
            }
            Body::Expire(expire) => {
                state.end(&expire.subject, |held| held.expires.is_some_and(|expires| expires <= time));
            }
            Body::Invite(invite) => drop(state.invites.insert(id, (invite.role, op.device))),
            Body::Accept(accept) => {
                self.joined.insert((chain, accept.user));
                if let Some((role, by)) = state.invites.remove(&accept.invite) {
                    state.give(accept.user, role, None, by);
                }
            }
            Body::Erase => state.is_erased = true,
            _ => {}
        }
    }

    /// Finds a chain.
    pub fn chain(&self, id: &ChainId) -> Option<&Chain> {
        self.chains.get(id)
    }

    /// Lists the documents of a kind.
    pub fn documents(&self, kind: DocumentKind) -> impl Iterator<Item = ChainId> {
        self.chains.iter().filter(move |(_, chain)| chain.document == Some(kind)).map(|(id, _)| *id)
    }

    /// Lists the devices that read a chain, each with its role over content: the best of the lowest on each path.
    pub fn readers(&self, chain: &ChainId, as_of: AsOf) -> BTreeMap<DeviceId, Role> {
        let mut readers = BTreeMap::new();
        self.collect(chain, Role::Manager, as_of, &mut readers);
        readers
    }

    /// Lists the documents of every kind.
    pub fn all_documents(&self) -> impl Iterator<Item = ChainId> {
        self.chains.iter().filter(|(_, chain)| chain.kind == ChainKind::Document).map(|(id, _)| *id)
    }

    /// Lists users, teams and agencies.
    pub fn groups(&self) -> impl Iterator<Item = ChainId> {
        self.chains.iter().filter(|(_, chain)| chain.kind != ChainKind::Document).map(|(id, _)| *id)
    }

    /// Lists the groups that hold a chain, itself or by others, by roles that no operation ended.
    pub fn holders(&self, chain: &ChainId) -> BTreeSet<ChainId> {
        let mut holders = BTreeSet::new();
        let mut open = vec![*chain];
        while let Some(of) = open.pop() {
            for held in self.chains.get(&of).iter().flat_map(|state| &state.held) {
                if holders.insert(held.subject) {
                    open.push(held.subject);
                }
            }
        }
        holders
    }

    /// Says whether a device may decide on a document's content: it reads it, and is Manager in it or of an owner.
    pub fn decides(&self, device: &DeviceId, document: &ChainId, as_of: AsOf) -> bool {
        let readers = self.readers(document, as_of);
        readers.get(device).is_some_and(|role| *role == Role::Manager || self.manages(device, document, as_of))
    }

    /// Says whether a device is Manager of a chain, or of one with full authority over it.
    pub fn manages(&self, device: &DeviceId, chain: &ChainId, as_of: AsOf) -> bool {
        let Some(state) = self.chains.get(chain) else { return false };
        self.readers(chain, as_of).get(device) == Some(&Role::Manager)
            || state
                .parents
                .iter()
                .any(|parent| parent.authority == ParentAuthority::Full && self.manages(device, &parent.chain, as_of))
    }

    /// Lists the devices of Managers who may end roles in a section by a parent of it.
    pub fn governors(&self, document: &ChainId) -> BTreeSet<DeviceId> {
        let section = self.chains.get(document).filter(|state| state.document == Some(DocumentKind::Section));
        let parents = section.into_iter().flat_map(|state| &state.parents);
        let governing = parents.filter(|parent| parent.authority != ParentAuthority::None);
        let people = governing.flat_map(|parent| self.readers(&parent.chain, AsOf::Ever));
        people.filter(|(_, role)| *role == Role::Manager).map(|(device, _)| device).collect()
    }

    /// Says whether a device stands in its user's chain.
    pub fn stands(&self, user: &ChainId, device: &DeviceId) -> bool {
        self.chains.get(user).is_some_and(|state| state.devices.contains_key(device))
    }

    /// Says whether a user ever had a device.
    pub fn has_named(&self, user: &ChainId, device: &DeviceId) -> bool {
        self.stands(user, device) || self.lowered.contains(device)
    }

    /// Says whether some role of a device was ended or lowered, or can end by itself: also that of a group that it belongs to
    /// only since.
    pub fn was_lowered(&self, device: &DeviceId) -> bool {
        let held = self.chains.values().flat_map(|chain| &chain.held);
        let mut passing = held.filter(|held| held.expires.is_some());
        self.lowered.contains(device)
            || passing.any(|held| self.readers(&held.subject, AsOf::Ever).contains_key(device))
    }

    /// Says whether a user ever took an invite to a group up.
    pub fn has_joined(&self, group: &ChainId, user: &ChainId) -> bool {
        self.joined.contains(&(*group, *user))
    }

    /// When the last role that ends by itself does so.
    pub fn last_expiry(&self) -> Option<Timestamp> {
        self.chains.values().flat_map(|chain| &chain.held).filter_map(|held| held.expires).max()
    }

    /// Notes whose roles an operation ends, lowers, or gives for a time.
    fn note_lowered(&mut self, chain: &ChainId, body: &Body) {
        let subjects = match body {
            Body::RemoveDevice(remove) => {
                self.lowered.insert(remove.device);
                return;
            }
            Body::Grant(grant) if grant.expires.is_some() => vec![grant.subject],
            Body::Revoke(revoke) => vec![revoke.subject],
            Body::Expire(expire) => vec![expire.subject],
            Body::Assign(assign) => {
                let parents = self.chains.get(chain).filter(|_| assign.parents.is_some());
                let parents = parents.into_iter().flat_map(|state| &state.parents).map(|parent| parent.chain);
                assign.takes.iter().copied().chain(parents).collect()
            }
            _ => return,
        };
        for subject in subjects {
            let devices = self.readers(&subject, AsOf::Lasting);
            self.lowered.extend(devices.into_keys());
        }
    }

    fn begin(&mut self, id: ChainId, device: DeviceId, create: &Create) {
        let mut state = Chain {
            kind: create.kind,
            document: create.document,
            parents: create.parents.clone(),
            held: Vec::new(),
            devices: BTreeMap::new(),
            is_erased: false,
            invites: BTreeMap::new(),
        };
        if create.wrapping_key.is_some() {
            state.devices.insert(device, DeviceKind::Full);
        }
        let adopted = self.adopted_holders.get(&id);
        let (members, by) = adopted.map_or((&create.members, device), |(holders, by)| (holders, *by));
        for member in members {
            state.give(member.subject, member.role, None, by);
        }
        self.chains.insert(id, state);
    }

    fn collect(&self, chain: &ChainId, role: Role, as_of: AsOf, readers: &mut BTreeMap<DeviceId, Role>) {
        let Some(state) = self.chains.get(chain) else { return };
        for (device, kind) in &state.devices {
            if *kind == DeviceKind::Full {
                let best = readers.entry(*device).or_insert(role);
                *best = (*best).max(role);
            }
        }
        for held in state.held.iter().filter(|held| held.counts(as_of)) {
            if self.chains.get(&held.subject).is_some_and(|member| rank(member.kind) < rank(state.kind)) {
                self.collect(&held.subject, role.min(held.role), as_of, readers);
            }
        }
    }
}

impl Chain {
    fn give(&mut self, subject: ChainId, role: Role, expires: Option<Timestamp>, by: DeviceId) {
        self.held.push(Held { subject, role, expires, by });
    }

    /// Ends roles; tells the latest end of those, had they lasted, and who gave the first, where there were any.
    fn end(&mut self, subject: &ChainId, ends: impl Fn(&Held) -> bool) -> Option<(Option<Timestamp>, DeviceId)> {
        let (ended, left): (Vec<Held>, Vec<Held>) =
            self.held.iter().partition(|held| held.subject == *subject && ends(held));
        self.held = left;
        let first = ended.first()?;
        let until = ended.iter().fold(first.expires, |latest, held| latest.zip(held.expires).map(|(a, b)| a.max(b)));
        Some((until, first.by))
    }
}

impl Held {
    /// Says whether it counts.
    pub fn counts(&self, as_of: AsOf) -> bool {
        match as_of {
            AsOf::Time(now) => self.expires.is_none_or(|expires| expires > now),
            AsOf::Lasting => self.expires.is_none(),
            AsOf::Ever => true,
        }
    }
}

const fn rank(kind: ChainKind) -> u8 {
    match kind {
        ChainKind::User => 0,
        ChainKind::Team => 1,
        ChainKind::Agency => 2,
        ChainKind::Document => 3,
    }
}
