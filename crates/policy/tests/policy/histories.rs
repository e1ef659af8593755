//! Random small histories: the crate and the oracle agree at random heads, on authority and on what may be appended.

use std::collections::BTreeMap;

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use vereda_base::{ChainId, DeviceId, OpId, Timestamp};
use vereda_crypto::{DeviceKey, Verified};
use vereda_policy::{
    Accept, AddDevice, AppendContext, Body, ChainKind, ChainMap, ChainState, Chains, Cite, Create, DeviceKind,
    DocumentKind, Draft, Heads, Invite, Member, Op, OpRefusal, Parent, ParentAuthority, ReplayedOp, Role, authority,
    cite_content, membership, op_id, role,
};

use crate::{
    oracle::{Oracle, Seen},
    world::{Person, START, document_epoch, grant, group_epoch, join, key, wrapped, wrapping_key},
};

const HISTORIES: u64 = 2_000;
const STEPS: usize = 10;
const QUERIES: usize = 16;

/// People, an agency and teams, from which histories go on.
#[derive(Clone)]
struct World {
    rng: ChaCha8Rng,
    chains: ChainMap,
    oracle: Oracle,
    people: Vec<Person>,
    /// Every device, also of nobody.
    devices: Vec<DeviceKey>,
    groups: Vec<ChainId>,
    documents: Vec<ChainId>,
    invites: Vec<(ChainId, OpId)>,
    fresh: u8,
}

impl World {
    fn found(seed: u64) -> Self {
        let mut world = Self {
            rng: ChaCha8Rng::seed_from_u64(seed),
            chains: ChainMap::new(),
            oracle: Oracle::default(),
            people: vec![],
            devices: vec![key(250)],
            groups: vec![],
            documents: vec![],
            invites: vec![],
            fresh: 100,
        };
        for seed in 1..5 {
            let mut alone = ChainMap::new();
            let person = join(&mut alone, seed);
            let op = Draft::new(&alone, person.device(), None)
                .create(wrapped(Create::user([seed; 16], wrapping_key(), group_epoch())))
                .unwrap();
            assert!(world.offer(&person.key, op).is_ok());
            world.devices.push(person.key.clone());
            world.people.push(person);
        }
        let founder = Member { subject: world.people[0].user, role: Role::Manager };
        let mut members = world.draw_members(ChainKind::Agency);
        members.retain(|member| member.subject != founder.subject);
        members.push(founder);
        let agency = world.begin(0, Create::agency([0; 16], members, group_epoch()));
        world.groups.push(agency);
        for n in 0..2 {
            let members = world.draw_members(ChainKind::Team);
            let team = world.begin(0, Create::team([n; 16], agency, members, group_epoch()));
            world.groups.push(team);
        }
        world
    }

    fn begin(&mut self, person: usize, create: Create) -> ChainId {
        let key = self.people[person].key.clone();
        let op = Draft::new(&self.chains, key.device_id(), None).create(wrapped(create)).unwrap();
        ChainId(self.offer(&key, op).unwrap().0)
    }

    /// Signs and appends, as a relay does; the oracle learns what was taken.
    fn offer(&mut self, key: &DeviceKey, op: Op) -> Result<OpId, OpRefusal> {
        let signed = Verified::sign(key, op).unwrap();
        let taken = self.chains.append(&signed, &AppendContext::relay(START))?;
        self.oracle.chains.entry(taken.chain()).or_default().push((taken.id(), taken.value().clone()));
        Ok(taken.id())
    }

    fn below(&mut self, count: usize) -> usize {
        (self.rng.next_u32() as usize) % count
    }

    fn draw<T: Clone>(&mut self, from: &[T]) -> T {
        let index = self.below(from.len());
        from[index].clone()
    }

    fn draw_role(&mut self) -> Role {
        self.draw(&[Role::Reader, Role::Editor, Role::Manager])
    }

    fn draw_subject(&mut self) -> ChainId {
        let groups = self.groups.clone();
        let users: Vec<ChainId> = self.people.iter().map(|person| person.user).collect();
        self.draw(&[users, groups].concat())
    }

    fn draw_members(&mut self, of: ChainKind) -> Vec<Member> {
        let mut members = BTreeMap::new();
        for _ in 0..self.below(4) {
            let (subject, role) = (self.draw_subject(), self.draw_role());
            if self.chains.chain(&subject).unwrap().kind() < of {
                members.insert(subject, role);
            }
        }
        members.into_iter().map(|(subject, role)| Member { subject, role }).collect()
    }

    fn step(&mut self) {
        match self.below(6) {
            0 => self.begin_document(),
            1 => self.add_device(),
            2 => self.accept(),
            3 => {
                let key = key(90);
                let body = Invite { key: key.device_id(), role: self.draw_role(), expires: Timestamp(i64::MAX) };
                self.append(Body::Invite(body));
            }
            _ => {
                let body = grant(self.draw_subject(), self.draw_role());
                self.append(body);
            }
        }
    }

    fn begin_document(&mut self) {
        let mut parents = BTreeMap::new();
        for _ in 0..=self.below(2) {
            let authority = self.draw(&[ParentAuthority::None, ParentAuthority::RevokeOnly, ParentAuthority::Full]);
            parents.insert(self.draw_subject(), authority);
        }
        let parents = parents.into_iter().map(|(chain, authority)| Parent { chain, authority }).collect();
        let members = self.draw_members(ChainKind::Document);
        self.fresh = self.fresh.wrapping_add(1);
        let create = Create::document(DocumentKind::Case, [self.fresh; 16], parents, members, document_epoch());
        let devices = self.devices.clone();
        let author = self.draw(&devices);
        // What cannot be drafted is not entitled; what can be is, unless it gives too much.
        let drafted = Draft::new(&self.chains, author.device_id(), None).create(wrapped(create.clone()));
        let all = self.oracle.all();
        let covers = |member: &Member| self.oracle.covers(author.device_id(), &create.parents, member.subject, &all);
        let covered = create.members.iter().all(covers);
        if let Ok(op) = drafted {
            assert!(covered);
            match self.offer(&author, op) {
                Ok(id) => self.documents.push(ChainId(id.0)),
                Err(OpRefusal::AboveAuthor { .. }) => {}
                Err(refusal) => panic!("{refusal}"),
            }
        }
    }

    fn add_device(&mut self) {
        let people = self.people.clone();
        let person = self.draw(&people);
        self.fresh = self.fresh.wrapping_add(1);
        let new = key(self.fresh);
        let body = Body::AddDevice(AddDevice::with_key(person.user, &new, wrapping_key(), DeviceKind::Full));
        let op = Draft::new(&self.chains, person.device(), None).append(&person.user, body).unwrap();
        self.offer(&person.key, op).unwrap();
        self.devices.push(new);
    }

    fn accept(&mut self) {
        if self.invites.is_empty() {
            return;
        }
        let index = self.below(self.invites.len());
        let (chain, invite) = self.invites.remove(index);
        let people = self.people.clone();
        let person = self.draw(&people);
        let body = Body::Accept(Accept::with_key(invite, person.user, person.device(), &key(90)));
        let op = Draft::new(&self.chains, person.device(), None).append(&chain, body).unwrap();
        self.offer(&person.key, op).unwrap();
    }

    /// Offers a body to a random chain by a random device with random cites; the verdict must be the oracle's.
    fn append(&mut self, body: Body) {
        let devices = self.devices.clone();
        let (author, targets) = (self.draw(&devices), [self.groups.clone(), self.documents.clone()].concat());
        let chain = self.draw(&targets);
        let state = self.chains.chain(&chain).unwrap();
        let mut seen = self.draw_seen();
        if self.below(2) == 0 {
            // Random cites rarely prove anything: half the time, cite what the author would.
            let drafted = Draft::new(&self.chains, author.device_id(), None).append(&chain, body.clone());
            let all = self.oracle.all();
            let entitled = self.oracle.authority(author.device_id(), chain, &all) == Some(Role::Manager)
                && self.oracle.covers_body(author.device_id(), chain, &body, &all);
            assert_eq!(drafted.is_ok(), entitled);
            let cites = drafted.map_or(vec![], |op| op.cites);
            seen = cites.iter().map(|cite| (cite.chain, all[&cite.chain])).collect();
        }
        seen.remove(&chain);
        let cites = seen.iter().map(|(chain, count)| self.cite(chain, *count)).collect();
        seen.insert(chain, state.ops().len());
        let entitled = |seen: &Seen| {
            self.oracle.authority(author.device_id(), chain, seen) == Some(Role::Manager)
                && self.oracle.covers_body(author.device_id(), chain, &body, seen)
        };
        let entitled = entitled(&seen);
        let op = Op {
            suite: 1,
            chain: Some(chain),
            seq: state.ops().len() as u64,
            prev: Some(state.head()),
            device: author.device_id(),
            cites,
            body,
        };
        let is_invite = matches!(op.body, Body::Invite(_));
        match self.offer(&author, op) {
            Ok(id) => {
                assert!(entitled);
                if is_invite {
                    self.invites.push((chain, id));
                }
            }
            Err(OpRefusal::NoAuthority { .. } | OpRefusal::NotCovered { .. }) => assert!(!entitled),
            Err(OpRefusal::WrongKind { .. } | OpRefusal::CiteRegress(_)) => {}
            Err(refusal) => panic!("{refusal}"),
        }
    }

    fn cite(&self, chain: &ChainId, count: usize) -> Cite {
        Cite { chain: *chain, head: self.oracle.chains[chain][count - 1].0 }
    }

    /// Up to eight chains, each at a random head.
    fn draw_seen(&mut self) -> Seen {
        let all: Vec<(ChainId, usize)> = self.oracle.all().into_iter().collect();
        let mut seen = Seen::new();
        for (chain, count) in all {
            if seen.len() < 8 && self.below(3) > 0 {
                let at = 1 + self.below(count);
                seen.insert(chain, at);
            }
        }
        seen
    }

    fn compare(&mut self) {
        let (devices, targets) = (self.devices.clone(), self.oracle.chains.keys().copied().collect::<Vec<_>>());
        for _ in 0..QUERIES {
            let (device, chain) = (self.draw(&devices).device_id(), self.draw(&targets));
            let seen = self.draw_seen();
            let cites: Vec<Cite> = seen.iter().map(|(chain, count)| self.cite(chain, *count)).collect();
            self.agree(device, chain, &seen, &Heads::cited(&self.chains, &cites, None).unwrap());
            let all = self.oracle.all();
            self.agree(device, chain, &all, &Heads::newest(None));
            self.check_cited_path(device, chain, &all);
        }
    }

    fn agree(&self, device: DeviceId, chain: ChainId, seen: &Seen, heads: &Heads) {
        let (view, oracle) = (&self.chains, &self.oracle);
        assert_eq!(membership(view, &device, &chain, heads), oracle.membership(device, chain, seen));
        assert_eq!(authority(view, &device, &chain, heads), oracle.authority(device, chain, seen));
        assert_eq!(role(view, &device, &chain, heads), oracle.role(device, chain, seen));
    }

    /// The cites found prove what they are for, and are found whenever there is something to prove.
    fn check_cited_path(&self, device: DeviceId, chain: ChainId, all: &Seen) {
        let held = self.oracle.role(device, chain, all);
        for least in [Role::Reader, Role::Editor, Role::Manager] {
            let cites = cite_content(&self.chains, &device, &chain, least, None);
            assert_eq!(cites.is_some(), held >= Some(least));
            let Some(cites) = cites else { continue };
            let heads = Heads::cited(&self.chains, &cites, None).unwrap();
            assert!(role(&self.chains, &device, &chain, &heads) >= Some(least));
        }
    }

    fn check_replay(&self) {
        for (chain, ops) in &self.oracle.chains {
            let again = ChainState::replay(ops.iter().map(|(_, op)| replayed(op)), None).unwrap();
            assert_eq!(Some(&again), self.chains.chain(chain).as_deref());
            assert!(ops.iter().all(|(id, op)| op_id(op) == *id));
        }
    }
}

fn replayed(op: &Op) -> ReplayedOp {
    ReplayedOp { op: op.clone(), time: Some(START), is_void: false }
}

#[test]
fn authority_over_random_histories_is_what_the_oracle_says() {
    let bases: Vec<World> = (0..16).map(World::found).collect();
    for seed in 0..HISTORIES {
        let mut world = bases[(seed % 16) as usize].clone();
        world.rng = ChaCha8Rng::seed_from_u64(1_000 + seed);
        for _ in 0..STEPS {
            world.step();
        }
        world.compare();
        if seed % 100 == 0 {
            world.check_replay();
        }
    }
}
