//! What happens next in a random history.

use std::collections::BTreeMap;

use rand_core::Rng;
use vereda_base::{ChainId, Digest, Link, Timestamp};
use vereda_crypto::DeviceKey;
use vereda_policy::{
    Accept, AddDevice, Adopt, AdoptedDocument, Assign, BadRotate, Beacon, Body, CancelInvite, ChainKind, Chains, Cite,
    Create, DeviceKind, Discard, DocumentKind, Draft, EpochFault, Expire, Grant, Invite, Member, Op, OpRefusal, Parent,
    ParentAuthority, RemoveDevice, Repair, Retention, Revoke, Role, Rotate, SetRetention, Target, WrapList,
};

use super::World;
use crate::{
    oracle::Seen,
    world::{document_epoch, frontier, group_epoch, key, no_wraps, wrapped, wrapping_key},
};

const ROLES: [Role; 3] = [Role::Reader, Role::Editor, Role::Manager];

impl World {
    pub(super) fn step(&mut self) {
        match self.below(12) {
            0 | 1 => self.begin_document(),
            2 => self.retry(),
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

    fn draw_subject(&mut self) -> ChainId {
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
        match self.offer(&author, op.clone()) {
            Ok(id) => self.documents.push(ChainId(id.0)),
            Err(OpRefusal::NoAuthority { moment: vereda_policy::Moment::Now, .. }) => self.waiting.push((author, op)),
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

    fn draw_cites(&mut self, own: Option<ChainId>) -> Vec<Cite> {
        let mut seen: Seen = self.draw_seen();
        if let Some(own) = own {
            seen.remove(&own);
        }
        seen.iter().map(|(chain, count)| self.cite(chain, *count)).collect()
    }

    /// Offers a body by a device that may often write it; now and then altered.
    fn append(&mut self, chain: ChainId, body: Body) {
        let devices = self.devices.clone();
        let groups = self.groups.clone();
        let mut author = self.draw(&devices);
        let mut drafted = None;
        for _ in 0..6 {
            let draft = Draft::new(&self.chains, author.device_id(), None).with_groups(&groups);
            drafted = draft.append(&chain, body.clone()).ok();
            if drafted.is_some() || self.below(6) == 0 {
                break;
            }
            author = self.draw(&devices);
        }
        let state = self.chains.chain(&chain).unwrap();
        let cites = match drafted {
            Some(op) => op.cites,
            None => self.draw_cites(Some(chain)),
        };
        let (seq, prev) = (state.head_seq() + 1, Some(state.head()));
        let mut op = Op { suite: 1, chain: Some(chain), seq, prev, device: author.device_id(), cites, body };
        if self.below(6) == 0 {
            self.tamper(&mut op, &mut author);
        }
        let is_invite = matches!(op.body, Body::Invite(_));
        let added = match &op.body {
            Body::AddDevice(add) => Some(add.device),
            _ => None,
        };
        if let Ok(id) = self.offer(&author, op.clone()) {
            self.check_op_reliance(&author, &op);
            if is_invite {
                self.invites.push((chain, id));
            }
            if let Some(new) = added {
                let fresh = self.joining.iter().find(|key| key.device_id() == new).unwrap().clone();
                self.devices.push(fresh);
            }
        }
    }

    /// Changes something that a thief or a broken client might.
    fn tamper(&mut self, op: &mut Op, author: &mut DeviceKey) {
        let devices = self.devices.clone();
        match self.below(10) {
            0 => op.seq += 1,
            1 => op.seq = op.seq.saturating_sub(1),
            2 => op.prev = Some(vereda_base::OpId([self.rng.next_u32() as u8; 32])),
            3 => op.cites.reverse(),
            4 => _ = op.cites.pop(),
            5 => {
                *author = self.draw(&devices);
                op.device = author.device_id();
            }
            6 => op.cites = self.draw_cites(op.chain),
            7 => {
                // An older head of one chain.
                if let Some(index) = (!op.cites.is_empty()).then(|| self.below(op.cites.len())) {
                    let count = self.oracle.chains[&op.cites[index].chain].len();
                    let at = 1 + self.below(count);
                    op.cites[index] = self.cite(&op.cites[index].chain.clone(), at);
                }
            }
            _ => self.tamper_body(&mut op.body),
        }
    }

    fn tamper_body(&mut self, body: &mut Body) {
        match body {
            Body::Rotate(rotate) => match self.below(4) {
                0 => rotate.follows += 1,
                1 => rotate.epoch.wraps.count += 1,
                2 => rotate.epoch.targets.iter_mut().for_each(|target| *target = target.map(|epoch| epoch + 1)),
                // Without the key before it: where nobody has that, it may be.
                _ => {
                    rotate.epoch.previous = None;
                    rotate.epoch.wraps.count -= 1;
                }
            },
            Body::Repair(repair) => match self.below(3) {
                0 => repair.wraps.count += 1,
                1 => repair.targets.iter_mut().for_each(|target| target.epoch += 1),
                _ => repair.epoch += 1,
            },
            Body::AddDevice(add) => {
                add.kind = if add.kind == DeviceKind::Full { DeviceKind::Recovery } else { DeviceKind::Full };
            }
            Body::Accept(accept) => accept.user = self.people[0].user,
            _ => {}
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
                Body::BadRotate(BadRotate { epoch: self.below(epochs + 1) as u64, fault: EpochFault::Wrap })
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
        let new = self.next_key();
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
        let successor = (self.below(6) == 0).then(|| self.draw_subject());
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
        let wraps = WrapList { count: targets.iter().flatten().count() as u32 + 1, ..no_wraps() };
        let epoch = if state.kind() == ChainKind::Document { document_epoch() } else { group_epoch() };
        let epoch = vereda_policy::Epoch { wraps, targets, previous: Some(Digest([6; 32])), ..epoch };
        Body::Rotate(Rotate { epoch, follows: state.epoch_to_follow().unwrap().number })
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
                Body::Create(create) => vereda_policy::owners(create).any(|owner| owner == chain),
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
        if holders.is_empty() && !is_document {
            holders.push(Member { subject: chain, role: Role::Manager });
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
