//! A small world: one agency, one team, three people with a device each, a case.

use std::{collections::BTreeMap, sync::LazyLock};

use vereda_base::{ChainId, DeviceId, Digest, Incarnation, Link, Timestamp};
use vereda_crypto::{DeviceKey, Key32, Signed, Verified, WrapKeyPair, WrapPublicKey, context, hash};
use vereda_policy::{
    AppendContext, Body, ChainMap, Chains, Create, DocumentKind, Draft, Epoch, FrontierTree, Grant, Member, Op, Parent,
    ParentAuthority, Place, Receipt, Revoke, Role, Wrap, WrapList, WrappedKey, cite_content, wrap_list,
};
use vereda_protocol::{Chunk, ChunkKind, Header, Leaves, OfferedLeaf, PolicyEntry};

pub const START: Timestamp = Timestamp(1_000_000);
pub const RELAY_EPOCH: u64 = 7;

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

/// Everything there is, as an all-knowing relay would have it.
#[derive(Clone)]
pub struct World {
    pub relay: DeviceKey,
    pub chains: ChainMap,
    pub entries: Vec<PolicyEntry>,
    /// Manager of agency and team.
    pub amina: Person,
    /// Editor of the team.
    pub bashir: Person,
    /// Editor of the team: mostly the device under test.
    pub chipo: Person,
    pub agency: ChainId,
    pub team: ChainId,
    pub case: ChainId,
}

impl World {
    pub fn found() -> Self {
        let blank = Person { key: key(0), user: ChainId([0; 32]) };
        let nowhere = ChainId([0; 32]);
        let mut world = Self {
            relay: key(99),
            chains: ChainMap::new(),
            entries: Vec::new(),
            amina: blank.clone(),
            bashir: blank.clone(),
            chipo: blank,
            agency: nowhere,
            team: nowhere,
            case: nowhere,
        };
        [world.amina, world.bashir, world.chipo] = [1, 2, 3].map(|seed| {
            let key = key(seed);
            let user = world.begin(&key, Create::user([seed; 16], wrapping_key(), group_epoch()));
            Person { key, user }
        });
        let manager = Member { subject: world.amina.user, role: Role::Manager };
        world.agency = world.begin(&key(1), Create::agency([0; 16], vec![manager], group_epoch()));
        let editors = [world.bashir.user, world.chipo.user].map(|subject| Member { subject, role: Role::Editor });
        let members = editors.into_iter().chain([manager]).collect();
        world.team = world.begin(&key(1), Create::team([0; 16], world.agency, members, group_epoch_for(3)));
        world.case = world.begin(&key(2), world.case_of(9));
        world
    }

    pub fn case_of(&self, nonce: u8) -> Create {
        let parents = vec![Parent { chain: self.team, authority: ParentAuthority::Full }];
        let members = vec![Member { subject: self.team, role: Role::Editor }];
        Create::document(DocumentKind::Case, [nonce; 16], parents, members, document_epoch())
    }

    /// Signs a `Create` and lets the relay append it.
    pub fn begin(&mut self, key: &DeviceKey, create: Create) -> ChainId {
        let op = Draft::new(&self.chains, key.device_id(), None).sign_create(key, create).unwrap();
        self.admit(&op);
        vereda_policy::chain_of(op.value())
    }

    /// Signs an operation and lets the relay append it.
    pub fn append(&mut self, key: &DeviceKey, chain: &ChainId, body: Body) -> PolicyEntry {
        let op = Draft::new(&self.chains, key.device_id(), None).sign_append(key, chain, body).unwrap();
        self.admit(&op)
    }

    /// Lets the relay append an operation.
    pub fn admit(&mut self, op: &Verified<Op>) -> PolicyEntry {
        let authorized = self.chains.append(op, &AppendContext::relay(START)).unwrap();
        let receipt = Receipt::for_op(&authorized, self.relay.device_id(), RELAY_EPOCH, START);
        let receipt = Signed::sign(&self.relay, &receipt).unwrap();
        let entry = PolicyEntry::Op { op: op.signed().clone(), receipt };
        self.entries.push(entry.clone());
        entry
    }

    /// Signs a receipt for an operation that policy may forbid.
    pub fn receipt(&self, op: &Signed<Op>) -> Signed<Receipt> {
        let op = op.clone().verify().unwrap();
        let (chain, id) = (vereda_policy::chain_of(op.value()), vereda_policy::op_id(op.value()));
        let receipt = Receipt {
            suite: 1,
            relay: self.relay.device_id(),
            relay_epoch: RELAY_EPOCH,
            chain,
            seq: op.value().seq,
            op: id,
            time: START,
        };
        Signed::sign(&self.relay, &receipt).unwrap()
    }

    /// Seals a chunk of the case that continues `before` and builds on `deps`.
    pub fn chunk(&self, author: &Person, seq: u64, prev: Option<Link>, deps: &[Link]) -> Chunk {
        self.chunk_of(&self.case, author, Incarnation(1), seq, prev, deps)
    }

    pub fn chunk_of(
        &self,
        document: &ChainId,
        author: &Person,
        incarnation: Incarnation,
        seq: u64,
        prev: Option<Link>,
        deps: &[Link],
    ) -> Chunk {
        let cites = cite_content(&self.chains, &author.device(), document, Role::Editor, None).unwrap_or_default();
        let ciphertext = format!("{document}{seq}{incarnation:?}").into_bytes();
        let mut deps = deps.to_vec();
        deps.sort_unstable();
        let header = Header {
            suite: 1,
            kind: ChunkKind::Changes,
            document: *document,
            epoch: 0,
            device: author.device(),
            incarnation,
            seq,
            prev,
            deps,
            cites,
            first_change: seq + 1,
            change_count: 1,
            ciphertext_len: ciphertext.len() as u32,
            ciphertext_hash: Digest(hash(context::CIPHERTEXT, &[&ciphertext])),
            commitment: Digest([3; 32]),
            nonce: [4; 24].into(),
            ops_root: Digest([seq as u8; 32]),
        };
        Chunk { header: Signed::sign(&author.key, &header).unwrap(), ciphertext }
    }

    /// Lists what the relay would have a removal name of a person: these chunks, and all operations.
    pub fn leaves(&self, person: &Person, chunks: &[&Chunk]) -> Vec<OfferedLeaf> {
        let mut last = BTreeMap::new();
        for entry in &self.entries {
            let PolicyEntry::Op { op, .. } = entry else { continue };
            let op = op.clone().verify().unwrap().into_value();
            if op.device == person.device() {
                let place = Place::Ops { chain: vereda_policy::chain_of(&op), device: op.device };
                last.insert(place, (op.seq, Digest(vereda_policy::op_id(&op).0)));
            }
        }
        for chunk in chunks {
            let header = header_of(chunk);
            let Header { document, device, incarnation, .. } = header;
            if device == person.device() {
                last.insert(Place::Content { document, device, incarnation }, (header.seq, Digest(header.link().0)));
            }
        }
        last.into_iter().map(|(place, (seq, id))| OfferedLeaf { place, seq, id }).collect()
    }

    /// Lets Amina end a person's roles in a chain. Gives the operation, and the leaves as the relay hands them out.
    pub fn revoke(&mut self, person: &Person, chain: &ChainId, leaves: &[OfferedLeaf]) -> Removed {
        let tree = tree_of(leaves);
        let frontier = tree.frontier();
        let revoke = Revoke { subject: person.user, keeps: None, successor: None, frontier };
        let amina = self.amina.key.clone();
        let op = self.append(&amina, chain, Body::Revoke(revoke));
        let (chain, removal) = (*chain, self.head(chain));
        let leaves = PolicyEntry::Frontier { chain, removal, leaves: Leaves::All(tree.leaves().to_vec()) };
        Removed { op, leaves, tree, removal }
    }

    pub fn head(&self, chain: &ChainId) -> vereda_base::OpId {
        self.chains.chain(chain).unwrap().head()
    }
}

/// A removal, as a relay hands it out.
pub struct Removed {
    pub op: PolicyEntry,
    pub leaves: PolicyEntry,
    pub tree: FrontierTree,
    pub removal: vereda_base::OpId,
}

pub fn tree_of(leaves: &[OfferedLeaf]) -> FrontierTree {
    FrontierTree::new(leaves.iter().map(OfferedLeaf::leaf))
}

/// Changes a chunk's header and signs it anew.
pub fn changed(chunk: &Chunk, key: &DeviceKey, change: impl FnOnce(&mut Header)) -> Chunk {
    let mut header = header_of(chunk);
    change(&mut header);
    Chunk { header: Signed::sign(key, &header).unwrap(), ciphertext: chunk.ciphertext.clone() }
}

pub fn header_of(chunk: &Chunk) -> Header {
    chunk.header.clone().verify().unwrap().into_value()
}

pub fn link_of(chunk: &Chunk) -> Link {
    header_of(chunk).link()
}

pub fn grant(subject: ChainId, role: Role) -> Body {
    Body::Grant(Grant { subject, role, expires: None, sealed_purpose: None })
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

/// The first epoch of a group, wrapped to none of its members yet.
pub fn group_epoch_for(members: usize) -> Epoch {
    Epoch { targets: vec![None; members], ..group_epoch() }
}

pub fn document_epoch() -> Epoch {
    Epoch { public_key: None, commitment: Digest([5; 32]), wraps: no_wraps(), previous: None, targets: vec![None] }
}

pub fn no_wraps() -> WrapList {
    wrap_list(Vec::new()).0
}

pub fn wrap_to(recipient: &ChainId) -> Wrap {
    Wrap { recipient: Digest(recipient.0), recipient_epoch: 0, key: WrappedKey::Group(vec![8; 72]) }
}
