//! A small world to try operations in: one agency, two teams, four people, a case.

use std::sync::{Arc, LazyLock};

use vereda_base::{ChainId, DeviceId, Digest, Timestamp};
use vereda_crypto::{DeviceKey, Key32, Verified, WrapKeyPair, WrapPublicKey, merkle};
use vereda_policy::{
    AppendContext, Body, ChainKind, ChainMap, ChainState, Chains, Cite, Create, DocumentKind, Draft, Epoch, Frontier,
    FrontierTree, Grant, Member, Op, OpRefusal, Parent, ParentAuthority, RemoveDevice, Repair, Revoke, Role, Rotate,
    Target, WrapList, authorize, epoch_targets,
};

pub const START: Timestamp = Timestamp(1_000_000);

/// A person with one device.
#[derive(Clone)]
pub struct Person {
    pub key: DeviceKey,
    pub user: ChainId,
}

impl Person {
    pub fn device(&self) -> DeviceId {
        self.key.device_id()
    }
}

#[derive(Clone)]
pub struct World {
    pub chains: ChainMap,
    /// Manager of the agency.
    pub amina: Person,
    /// Manager of the first team.
    pub bashir: Person,
    /// Editor of the first team.
    pub chipo: Person,
    /// Editor of the second team.
    pub dina: Person,
    pub agency: ChainId,
    pub first_team: ChainId,
    pub second_team: ChainId,
    /// Held by the first team as Manager, begun by Chipo.
    pub case: ChainId,
}

impl World {
    pub fn found() -> Self {
        let mut chains = ChainMap::new();
        let [amina, bashir, chipo, dina] = [1, 2, 3, 4].map(|seed| join(&mut chains, seed));
        let founder = vec![member(amina.user, Role::Manager)];
        let agency = begin(&mut chains, &amina.key, Create::agency([0; 16], founder, group_epoch()));
        let members = vec![member(bashir.user, Role::Manager), member(chipo.user, Role::Editor)];
        let first_team = begin(&mut chains, &amina.key, Create::team([0; 16], agency, members, group_epoch()));
        let members = vec![member(dina.user, Role::Editor)];
        let second_team = begin(&mut chains, &amina.key, Create::team([1; 16], agency, members, group_epoch()));
        let case = begin(&mut chains, &chipo.key, case_of(first_team));
        Self { chains, amina, bashir, chipo, dina, agency, first_team, second_team, case }
    }

    /// Drafts, signs and appends; tells the operation.
    pub fn append(&mut self, key: &DeviceKey, chain: &ChainId, body: Body) -> Result<Verified<Op>, OpRefusal> {
        let op = self.draft(key, chain, body);
        self.chains.append(&op, &AppendContext::relay(START))?;
        Ok(op)
    }

    /// Drafts, signs and appends at a time.
    pub fn append_at(
        &mut self,
        key: &DeviceKey,
        chain: &ChainId,
        body: Body,
        time: Timestamp,
    ) -> Result<(), OpRefusal> {
        let op = self.draft(key, chain, body);
        self.chains.append(&op, &AppendContext::relay(time)).map(|_| ())
    }

    /// Signs a body as if the author had what it takes, citing the newest heads of these chains.
    pub fn force(&self, key: &DeviceKey, chain: &ChainId, body: Body, cited: &[ChainId]) -> Verified<Op> {
        let state = self.chains.chain(chain).unwrap();
        let mut cites: Vec<Cite> =
            cited.iter().map(|chain| Cite { chain: *chain, head: self.chains.chain(chain).unwrap().head() }).collect();
        cites.sort();
        let (seq, prev) = (state.head_seq() + 1, Some(state.head()));
        let op = Op { suite: 1, chain: Some(*chain), seq, prev, device: key.device_id(), cites, body };
        Verified::sign(key, op).unwrap()
    }

    /// Offers such an operation to a relay.
    pub fn offer(&self, key: &DeviceKey, chain: &ChainId, body: Body, cited: &[ChainId]) -> Result<(), OpRefusal> {
        let op = self.force(key, chain, body, cited);
        authorize(&self.chains, &op, &AppendContext::relay(START)).map(|_| ())
    }

    /// A new epoch for all who may have it.
    pub fn rotation(&self, chain: &ChainId) -> Body {
        let state = self.chains.chain(chain).unwrap();
        let targets = epoch_targets(&self.chains, chain, Some(START));
        let count = targets.iter().flatten().count() as u32 + 1;
        let public_key = (state.kind() != ChainKind::Document).then(wrapping_key);
        let wraps = WrapList { count, ..no_wraps() };
        let epoch = Epoch { public_key, wraps, previous: Some(Digest([6; 32])), targets, ..document_epoch() };
        Body::Rotate(Rotate { epoch, follows: state.epoch_to_follow().unwrap().number, carries: vec![] })
    }

    /// The present epoch for a member under its newest.
    pub fn repair(&self, chain: &ChainId, member: &ChainId) -> Body {
        let newest = |chain| self.chains.chain(chain).unwrap().newest_epoch().unwrap().number;
        let target = Target { recipient: Digest(member.0), epoch: newest(member) };
        let wraps = WrapList { count: 1, ..no_wraps() };
        Body::Repair(Repair { epoch: newest(chain), wraps, targets: vec![target] })
    }

    pub fn state(&self, chain: &ChainId) -> Arc<ChainState> {
        self.chains.chain(chain).unwrap()
    }

    pub fn draft(&self, key: &DeviceKey, chain: &ChainId, body: Body) -> Verified<Op> {
        Draft::new(&self.chains, key.device_id(), None).sign_append(key, chain, body).unwrap()
    }
}

pub fn join(chains: &mut ChainMap, seed: u8) -> Person {
    let key = key(seed);
    let user = begin(chains, &key, Create::user([seed; 16], wrapping_key(), group_epoch()));
    Person { key, user }
}

pub fn begin(chains: &mut ChainMap, key: &DeviceKey, create: Create) -> ChainId {
    let op = Draft::new(chains, key.device_id(), None).sign_create(key, wrapped(create)).unwrap();
    chains.append(&op, &AppendContext::relay(START)).unwrap().chain()
}

/// The same, with an epoch that is wrapped to all of its first members' first epochs.
pub fn wrapped(create: Create) -> Create {
    let mut create = unwrapped(create);
    create.epoch.targets.fill(Some(0));
    create.epoch.wraps.count = create.epoch.targets.len() as u32;
    create
}

/// The same, with an epoch that is wrapped to none of its first members.
pub fn unwrapped(mut create: Create) -> Create {
    let recipients = if create.wrapping_key.is_some() { 1 } else { create.members.len() };
    create.epoch.targets = vec![None; recipients];
    create
}

pub fn case_of(team: ChainId) -> Create {
    let parents = vec![Parent { chain: team, authority: ParentAuthority::Full }];
    Create::document(DocumentKind::Case, [9; 16], parents, vec![member(team, Role::Manager)], document_epoch())
}

pub fn grant(subject: ChainId, role: Role) -> Body {
    Body::Grant(Grant { subject, role, expires: None, sealed_purpose: None })
}

pub fn revoke(subject: ChainId, keeps: Option<Role>) -> Body {
    Body::Revoke(Revoke { subject, keeps, successor: None, frontier: frontier() })
}

pub fn remove(device: DeviceId) -> Body {
    Body::RemoveDevice(RemoveDevice { device, frontier: frontier() })
}

/// A frontier that names nothing.
pub fn frontier() -> Frontier {
    FrontierTree::new([]).frontier()
}

pub fn member(subject: ChainId, role: Role) -> Member {
    Member { subject, role }
}

pub fn key(seed: u8) -> DeviceKey {
    DeviceKey::from_seed(&[seed; 32])
}

pub fn wrapping_key() -> WrapPublicKey {
    static KEY: LazyLock<WrapPublicKey> =
        LazyLock::new(|| WrapKeyPair::from_seed(&Key32::new([7; 32])).public().clone());
    KEY.clone()
}

pub fn group_epoch() -> Epoch {
    Epoch { public_key: Some(wrapping_key()), ..document_epoch() }
}

pub fn document_epoch() -> Epoch {
    Epoch { public_key: None, commitment: Digest([5; 32]), wraps: no_wraps(), previous: None, targets: vec![] }
}

pub fn no_wraps() -> WrapList {
    WrapList { root: merkle::root(&[]), count: 0 }
}
