//! What happens next in a random history.

use std::collections::BTreeMap;

use vereda_base::{ChainId, Digest, Link, Timestamp};
use vereda_crypto::DeviceKey;
use vereda_policy::{
    Accept, AddDevice, Adopt, AdoptedDocument, Assign, BadRotate, Beacon, Body, CancelInvite, ChainKind, Chains, Cite,
    Create, DeviceKind, Discard, DocumentKind, Draft, EpochFault, Expire, Grant, Invite, Member, Moment, Need, Op,
    OpRefusal, Parent, ParentAuthority, RemoveDevice, Repair, Retention, Revoke, Role, Rotate, SetRetention, Target,
    WrapList, cite_path,
};

use super::World;
use crate::{
    oracle::{By, Seen},
    world::{document_epoch, frontier, group_epoch, key, no_wraps, wrapped, wrapping_key},
};

const ROLES: [Role; 3] = [Role::Reader, Role::Editor, Role::Manager];

impl World {
    pub(super) fn step(&mut self) {
        match self.below(12) {
            0 if self.documents.len() < 8 => self.begin_document(),
            1 => self.begin_document(),
            2 => self.retry(),
            3 | 4 if self.lies => self.append_late(),
            5 if !self.waiting.is_empty() => self.decide_on_waiting(),
            _ => {
                let chain = self.draw_chain();
                let body = self.draw_body(chain);
                self.append(chain, body);
            }
        }
    }

    fn draw_role(&mut self) -> Role {
        self.draw(&ROLES)
    }

    fn draw_chain(&mut self) -> ChainId {
        let users: Vec<ChainId> = self.people.iter().map(|person| person.user).collect();
        let all = match self.below(5) {
            0 => users,
            1 | 2 => self.groups.clone(),
            _ if self.documents.is_empty() => self.groups.clone(),
            _ => self.documents.clone(),
        };
        self.draw(&all)
    }

    pub(super) fn draw_subject(&mut self) -> ChainId {
        let groups = self.groups.clone();
        let users: Vec<ChainId> = self.people.iter().map(|person| person.user).collect();
        self.draw(&[users.clone(), users, groups].concat())
    }

    fn draw_member(&mut self, chain: ChainId) -> ChainId {
        let members = self.chains.chain(&chain).unwrap().standing_members();
        if members.is_empty() || self.below(8) == 0 { self.draw_subject() } else { self.draw(&members) }
    }

    fn draw_members(&mut self, of: ChainKind) -> Vec<Member> {
        let mut members = BTreeMap::new();
        for _ in 0..self.below(3) {
            let (subject, role) = (self.draw_subject(), self.draw_role());
            if self.chains.chain(&subject).unwrap().kind() < of {
                members.insert(subject, role);
            }
        }
        members.into_iter().map(|(subject, role)| Member { subject, role }).collect()
    }

    fn draw_parents(&mut self) -> Vec<Parent> {
        let mut parents = BTreeMap::new();
        for _ in 0..=self.below(2) {
            let authorities =
                [ParentAuthority::None, ParentAuthority::RevokeOnly, ParentAuthority::Full, ParentAuthority::Full];
            let authority = self.draw(&authorities);
            parents.insert(self.draw_subject(), authority);
        }
        parents.into_iter().map(|(chain, authority)| Parent { chain, authority }).collect()
    }

    fn next_key(&mut self) -> DeviceKey {
        self.fresh += 1;
        let seed = [[202; 28].as_slice(), &self.fresh.to_le_bytes()].concat();
        DeviceKey::from_seed(&seed.try_into().unwrap())
    }

    /// A document of a random author, under what he is Editor of more often than not. Some are handed in later.
    fn begin_document(&mut self) {
        self.fresh += 1;
        let mut nonce = [0; 16];
        nonce[..4].copy_from_slice(&self.fresh.to_le_bytes());
        let devices = self.devices.clone();
        let (mut author, mut create, mut cites) = (self.draw(&devices), self.draw_document(nonce), None);
        for _ in 0..8 {
            cites = Draft::new(&self.chains, author.device_id(), None).create(create.clone()).ok().map(|op| op.cites);
            if cites.is_some() || self.below(8) == 0 {
                break;
            }
            (author, create) = (self.draw(&devices), self.draw_document(nonce));
        }
        let cites = match cites {
            Some(cites) => cites,
            None => self.draw_cites(None),
        };
        let body = Body::Create(create);
        let op = Op { suite: 1, chain: None, seq: 0, prev: None, device: author.device_id(), cites, body };
        if self.below(4) == 0 {
            self.waiting.push((author, op));
        } else {
            self.hand_in(author, op);
        }
    }

    fn draw_document(&mut self, nonce: [u8; 16]) -> Create {
        let (parents, mut members) = (self.draw_parents(), self.draw_members(ChainKind::Document));
        if self.below(2) == 0 {
            members = parents.iter().map(|parent| Member { subject: parent.chain, role: Role::Manager }).collect();
        }
        let kinds = [DocumentKind::Case, DocumentKind::Case, DocumentKind::Section, DocumentKind::Directory];
        let kind = self.draw(&kinds);
        wrapped(Create::document(kind, nonce, parents, members, document_epoch()))
    }

    fn hand_in(&mut self, author: DeviceKey, op: Op) {
        match self.offer_to(By::Relay, &author, op.clone(), None) {
            Ok(id) => self.documents.push(ChainId(id.0)),
            Err(Some(OpRefusal::NoAuthority { moment: Moment::Now, .. }) | None) => self.waiting.push((author, op)),
            Err(_) => {}
        }
    }

    fn retry(&mut self) {
        if !self.waiting.is_empty() {
            let index = self.below(self.waiting.len());
            let (author, op) = self.waiting.remove(index);
            self.hand_in(author, op);
        }
    }

    pub(super) fn draw_cites(&mut self, own: Option<ChainId>) -> Vec<Cite> {
        let mut seen: Seen = self.draw_seen();
        if let Some(own) = own {
            seen.remove(&own);
        }
        seen.iter().map(|(chain, count)| self.cite(chain, *count)).collect()
    }

    /// Offers a body by a device that may often write it; now and then altered.
    fn append(&mut self, chain: ChainId, mut body: Body) {
        self.set_frontier(chain, &mut body);
        let devices = self.devices.clone();
        let groups = self.groups.clone();
        let mut author = self.draw(&devices);
        let mut drafted = None;
        for _ in 0..10 {
            let draft = Draft::new(&self.chains, author.device_id(), None).with_groups(&groups);
            drafted = draft.append(&chain, body.clone()).ok();
            if drafted.is_some() || self.below(12) == 0 {
                break;
            }
            author = self.draw(&devices);
        }
        let mut cites = drafted.map(|op| op.cites);
        if self.below(8) == 0 || (matches!(body, Body::Expire(_)) && self.below(3) == 0) {
            // Somebody who only reads.
            author = self.draw(&devices);
            cites = cite_path(&self.chains, &author.device_id(), &chain, Need::Member(Role::Reader), None);
        }
        let cites = match cites {
            Some(cites) => cites,
            None => self.draw_cites(Some(chain)),
        };
        let mut op = self.follow(chain, author.device_id(), cites, body);
        let tampered = if self.below(6) == 0 { self.tamper(&mut op, &mut author) } else { None };
        self.hand_over(By::Relay, &author, op, tampered);
    }

    /// Has a colluding relay append what somebody says he knew no better when he wrote: mostly as he once did, and where he
    /// has no such right any more.
    fn append_late(&mut self) {
        let mut drawn = self.draw_late();
        for _ in 0..24 {
            let (_, op) = &drawn;
            let is_taken = self.oracle.takes(op.chain.unwrap(), op, self.now(), By::Device);
            if is_taken && !self.oracle.op_relies(op).is_empty() {
                break;
            }
            drawn = self.draw_late();
        }
        let (author, mut op) = drawn;
        self.set_frontier(op.chain.unwrap(), &mut op.body);
        self.hand_over(By::Device, &author, op, None);
    }

    fn draw_late(&mut self) -> (DeviceKey, Op) {
        let chain = self.draw_chain();
        let count = self.oracle.chains[&chain].len();
        let earlier = self.below(count);
        let earlier = self.oracle.chains[&chain][earlier].op.clone();
        let again = self.below(6) > 0 && earlier.seq > 0;
        let once = self.key_of(earlier.device).filter(|_| again);
        let (author, cites) = match once {
            Some(author) => (author, earlier.cites),
            None => (self.draw(&self.devices.clone()), self.draw_cites(Some(chain))),
        };
        let body = self.draw_body(chain);
        (author.clone(), self.follow(chain, author.device_id(), cites, body))
    }

    /// Decides on a document that waits, as one that has a say there.
    fn decide_on_waiting(&mut self) {
        let (_, op) = self.draw(&self.waiting.clone());
        let Body::Create(create) = &op.body else { return };
        let above = with_a_say(create);
        if !above.is_empty() {
            let chain = self.draw(&above);
            let body = self.decide(chain);
            self.append(chain, body);
        }
    }

    /// What comes next in a chain.
    fn follow(&self, chain: ChainId, device: vereda_base::DeviceId, cites: Vec<Cite>, body: Body) -> Op {
        let state = self.chains.chain(&chain).unwrap();
        Op { suite: 1, chain: Some(chain), seq: state.head_seq() + 1, prev: Some(state.head()), device, cites, body }
    }

    fn hand_over(&mut self, by: By, author: &DeviceKey, op: Op, tampered: Option<&'static str>) {
        let chain = op.chain.unwrap();
        let is_invite = matches!(op.body, Body::Invite(_));
        let added = match &op.body {
            Body::AddDevice(add) => Some(add.device),
            _ => None,
        };
        if let Ok(id) = self.offer_to(by, author, op, tampered) {
            if is_invite {
                self.invites.push((chain, id));
            }
            if let Some(new) = added {
                self.devices.extend(self.joining.iter().find(|key| key.device_id() == new).cloned());
            }
        }
    }

    fn draw_body(&mut self, chain: ChainId) -> Body {
        let kind = self.chains.chain(&chain).unwrap().kind();
        let any = self.below(30) == 0;
        match (kind, self.below(16)) {
            (ChainKind::User, 0..4) => self.add_device(chain),
            (ChainKind::User, 4..7) => self.remove_device(chain),
            (_, 0..3) if !any => self.grant(),
            (_, 3 | 4) => self.revoke(chain),
            (ChainKind::Document, 5) => self.assign(chain),
            (_, 6) => {
                let passed = vereda_policy::expired_members(&self.chains.chain(&chain).unwrap(), self.now());
                let subject = if passed.is_empty() { self.draw_member(chain) } else { self.draw(&passed) };
                Body::Expire(Expire { subject, frontier: frontier() })
            }
            (_, 7) => {
                let expires = Timestamp(self.time + self.below(400) as i64);
                Body::Invite(Invite { key: key(90).device_id(), role: self.draw_role(), expires })
            }
            (_, 8) if !self.invites.is_empty() => self.answer(chain),
            (_, 9 | 10) => self.rotate(chain),
            (_, 11 | 12) => self.repair(chain),
            (_, 13) => {
                let epochs = self.chains.chain(&chain).unwrap().epochs().len();
                let fault = self.draw(&[EpochFault::Wrap, EpochFault::Commitment, EpochFault::Previous]);
                Body::BadRotate(BadRotate { epoch: self.below(epochs + 1) as u64, fault })
            }
            (_, 14) => self.decide(chain),
            _ => self.seldom(),
        }
    }

    fn grant(&mut self) -> Body {
        let expires = (self.below(3) == 0).then(|| Timestamp(self.time + self.below(30) as i64));
        let (subject, role) = (self.draw_subject(), self.draw_role());
        Body::Grant(Grant { subject, role, expires, sealed_purpose: None })
    }

    fn add_device(&mut self, user: ChainId) -> Body {
        let again = self.below(6) == 0 && !self.joining.is_empty();
        let new = if again { self.draw(&self.joining.clone()) } else { self.next_key() };
        let kind = if self.below(3) == 0 { DeviceKind::Recovery } else { DeviceKind::Full };
        let body = Body::AddDevice(AddDevice::with_key(user, &new, wrapping_key(), kind));
        self.joining.push(new);
        body
    }

    fn remove_device(&mut self, user: ChainId) -> Body {
        let devices: Vec<_> = self.chains.chain(&user).unwrap().devices().iter().map(|one| one.device).collect();
        Body::RemoveDevice(RemoveDevice { device: self.draw(&devices), frontier: frontier() })
    }

    fn revoke(&mut self, chain: ChainId) -> Body {
        let keeps = [None, None, Some(Role::Reader), Some(Role::Editor)][self.below(4)];
        let successor = (self.below(3) == 0).then(|| self.draw_subject());
        Body::Revoke(Revoke { subject: self.draw_member(chain), keeps, successor, frontier: frontier() })
    }

    fn assign(&mut self, chain: ChainId) -> Body {
        let takes = (self.below(2) == 0).then(|| self.draw_member(chain)).into_iter().collect();
        let parents = (self.below(2) == 0).then(|| self.draw_parents());
        let gives = self.draw_members(ChainKind::Document);
        Body::Assign(Assign { gives, takes, parents, sections: vec![], frontier: frontier() })
    }

    fn answer(&mut self, chain: ChainId) -> Body {
        let own: Vec<_> = self.invites.iter().filter(|(of, _)| *of == chain).copied().collect();
        let from = if own.is_empty() { self.invites.clone() } else { own };
        let (_, invite) = self.draw(&from);
        if self.below(4) == 0 {
            return Body::CancelInvite(CancelInvite { invite });
        }
        let person = self.draw(&self.people.clone());
        Body::Accept(Accept::with_key(invite, person.user, person.device(), &key(90)))
    }

    fn rotate(&mut self, chain: ChainId) -> Body {
        let state = self.chains.chain(&chain).unwrap();
        // The relay asks at its next second.
        let targets = vereda_policy::epoch_targets(&self.chains, &chain, Some(Timestamp(self.time + 1)));
        let mut carries = state.epochs_to_carry();
        carries.retain(|_| self.below(3) > 0);
        if self.below(12) == 0 {
            carries.push(self.below(state.epochs().len()) as u64);
        }
        let count = targets.iter().flatten().count() + 1 + carries.len();
        let wraps = WrapList { count: count as u32, ..no_wraps() };
        let epoch = if state.kind() == ChainKind::Document { document_epoch() } else { group_epoch() };
        let epoch = vereda_policy::Epoch { wraps, targets, previous: Some(Digest([6; 32])), ..epoch };
        Body::Rotate(Rotate { epoch, follows: state.epoch_to_follow().unwrap().number, carries })
    }

    fn repair(&mut self, chain: ChainId) -> Body {
        let state = self.chains.chain(&chain).unwrap();
        let due = vereda_policy::epoch_targets(&self.chains, &chain, Some(Timestamp(self.time + 1)));
        let mut targets = vec![];
        for (recipient, epoch) in state.recipients().into_iter().zip(due) {
            if self.below(2) == 0 {
                targets.extend(epoch.map(|epoch| Target { recipient, epoch }));
            }
        }
        let epoch = self.below(state.epochs().len()).max(state.epochs().len().saturating_sub(2)) as u64;
        Body::Repair(Repair { epoch, wraps: WrapList { count: targets.len() as u32, ..no_wraps() }, targets })
    }

    fn decide(&mut self, chain: ChainId) -> Body {
        let is_document = self.chains.chain(&chain).unwrap().kind() == ChainKind::Document;
        let (mut chunks, mut documents) = (vec![], vec![]);
        if is_document {
            chunks.push(Link([self.below(200) as u8; 32]));
        } else {
            let owned = |op: &Op| match &op.body {
                Body::Create(create) => with_a_say(create).contains(&chain),
                _ => false,
            };
            let waiting: Vec<ChainId> =
                self.waiting.iter().filter(|(_, op)| owned(op)).map(|(_, op)| vereda_policy::chain_of(op)).collect();
            documents.extend((!waiting.is_empty()).then(|| self.draw(&waiting)));
        }
        if self.below(4) == 0 {
            return Body::Discard(Discard { chunks, documents, sealed_reason: vec![] });
        }
        let mut holders = self.draw_members(ChainKind::Document);
        let has_chain = holders.iter().any(|holder| holder.subject == chain);
        if !is_document && !has_chain && (holders.is_empty() || self.below(2) == 0) {
            holders.push(Member { subject: chain, role: Role::Manager });
            holders.sort();
        }
        let documents = documents.into_iter().map(|document| AdoptedDocument {
            document,
            holders: holders.clone(),
            chunks: Vec::new(),
        });
        Body::Adopt(Adopt { chunks, documents: documents.collect() })
    }

    fn seldom(&mut self) -> Body {
        match self.below(12) {
            0 => Body::Erase,
            1..6 => Body::Beacon(Beacon { time: Timestamp(self.time), heads: vec![] }),
            _ => Body::SetRetention(SetRetention { what: Retention::Review, days: self.below(4_000) as u32 }),
        }
    }
}

/// Lists the parents of a document that have a say there.
fn with_a_say(create: &Create) -> Vec<ChainId> {
    let parents = create.parents.iter().filter(|parent| parent.authority != ParentAuthority::None);
    parents.map(|parent| parent.chain).collect()
}
