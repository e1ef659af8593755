//! Devices without a store: they sign what tests hand to a relay. Wraps and ciphertexts are of the right size and open
//! nothing.

mod changes;

pub use changes::{frontier, nothing_stands};

use vereda_base::{ChainId, DeviceId, Digest, Incarnation, Link, OpId, Timestamp};
use vereda_crypto::{DeviceKey, Key32, Signature, Signed, Verified, WrapKeyPair, context, hash};
use vereda_policy::{
    Accept, AppendContext, Body, ChainMap, Chains, Create, DocumentKind, Draft, Epoch, Grant, Invite, Member, Op,
    Parent, ParentAuthority, Role, SUITE, Target, Wrap, WrappedKey, chain_of, cite_content, wrap_list,
};
use vereda_protocol::{
    Auth, Chunk, ChunkKind, Credential, Header, Opening, VERSION, auth_message, invite_auth_message,
};

/// A person with one device.
#[derive(Clone)]
pub struct Person {
    /// The device's key.
    pub key: DeviceKey,
    /// The device's incarnation.
    pub incarnation: Incarnation,
    /// The policy it knows.
    pub chains: ChainMap,
    /// Its user's chain, once it was begun.
    pub user: Option<ChainId>,
    /// What its clock says.
    pub now: Timestamp,
    seed: u8,
    drawn: u32,
}

/// An operation with its wraps, to be put.
#[derive(Debug, Clone)]
pub struct Put {
    /// The operation.
    pub op: Verified<Op>,
    /// Its wraps.
    pub wraps: Vec<Wrap>,
}

impl Put {
    /// Names the operation's chain.
    pub fn chain(&self) -> ChainId {
        chain_of(self.op.value())
    }

    /// Names the operation.
    pub fn id(&self) -> OpId {
        vereda_policy::op_id_of_bytes(self.op.bytes())
    }
}

/// The moment at which people do things, unless they say another.
pub const NOW: Timestamp = Timestamp(1_800_000_000_000);

impl Person {
    /// Makes a person; the same for the same seed.
    pub fn new(seed: u8) -> Self {
        Self {
            key: DeviceKey::from_seed(&[seed; 32]),
            incarnation: Incarnation(u64::from(seed) << 32),
            chains: ChainMap::new(),
            user: None,
            now: NOW,
            seed,
            drawn: 0,
        }
    }

    /// Names the device.
    pub fn device(&self) -> DeviceId {
        self.key.device_id()
    }

    /// Names the user; for people that have one.
    pub fn user(&self) -> ChainId {
        self.user.unwrap_or_else(|| bug("the user's chain was not begun"))
    }

    /// Begins the user's chain.
    pub fn create_user(&mut self) -> Put {
        let wrapping_key = self.wrapping_key();
        let nonce = self.nonce();
        let (epoch, wraps) = self.epoch(true, &[target(self.device().0, 0)]);
        let put = self.sign(Create::user(nonce, wrapping_key, epoch), wraps);
        self.user = Some(put.chain());
        put
    }

    /// Founds an agency, this user its Manager.
    pub fn create_agency(&mut self) -> Put {
        let members = vec![Member { subject: self.user(), role: Role::Manager }];
        let (epoch, wraps) = self.epoch(true, &[self.newest(self.user())]);
        let nonce = self.nonce();
        self.sign(Create::agency(nonce, members, epoch), wraps)
    }

    /// Makes a team.
    pub fn create_team(&mut self, agency: ChainId, members: &[(ChainId, Role)]) -> Put {
        let members: Vec<Member> =
            members.iter().map(|(subject, role)| Member { subject: *subject, role: *role }).collect();
        let targets: Vec<Target> = members.iter().map(|member| self.newest(member.subject)).collect();
        let (epoch, wraps) = self.epoch(true, &targets);
        let nonce = self.nonce();
        self.sign(Create::team(nonce, agency, members, epoch), wraps)
    }

    /// Makes a case that a team or user holds.
    pub fn create_case(&mut self, holder: ChainId) -> Put {
        let parents = vec![Parent { chain: holder, authority: ParentAuthority::Full }];
        let members = vec![Member { subject: holder, role: Role::Editor }];
        let (epoch, wraps) = self.epoch(false, &[self.newest(holder)]);
        let nonce = self.nonce();
        self.sign(Create::document(DocumentKind::Case, nonce, parents, members, epoch), wraps)
    }

    /// Makes a section that only this user has, in this role; Managers of `governor` may end roles in it.
    pub fn create_section(&mut self, governor: ChainId, role: Role) -> Put {
        let parents = vec![Parent { chain: governor, authority: ParentAuthority::RevokeOnly }];
        let members = vec![Member { subject: self.user(), role }];
        let (epoch, wraps) = self.epoch(false, &[self.newest(self.user())]);
        let nonce = self.nonce();
        self.sign(Create::document(DocumentKind::Section, nonce, parents, members, epoch), wraps)
    }

    /// Grants a role.
    pub fn grant(&mut self, chain: ChainId, subject: ChainId, role: Role) -> Put {
        self.append(chain, Body::Grant(Grant { subject, role, expires: None, sealed_purpose: None }))
    }

    /// Invites whoever holds the key of `invite_seed`.
    pub fn invite(&mut self, chain: ChainId, role: Role, invite_seed: u8, expires: Timestamp) -> Put {
        let key = invite_key(invite_seed).device_id();
        self.append(chain, Body::Invite(Invite { key, role, expires }))
    }

    /// Takes an invite up.
    pub fn accept(&mut self, chain: ChainId, invite: OpId, invite_seed: u8) -> Put {
        let accept = Accept::with_key(invite, self.user(), self.device(), &invite_key(invite_seed));
        self.append(chain, Body::Accept(accept))
    }

    /// Signs an operation that follows the newest head this person knows, and takes it for done.
    pub fn append(&mut self, chain: ChainId, body: Body) -> Put {
        let put = self.draft(chain, body);
        self.learn(&put.op);
        put
    }

    /// Signs an operation that follows the newest head this person knows.
    pub fn draft(&self, chain: ChainId, body: Body) -> Put {
        let draft = Draft::new(&self.chains, self.device(), None);
        Put { op: draft.sign_append(&self.key, &chain, body).unwrap_or_else(|error| bug(error)), wraps: Vec::new() }
    }

    /// Takes an operation into what this person knows; one it knows already changes nothing.
    pub fn learn(&mut self, op: &Verified<Op>) {
        let _ = self.chains.append(op, &AppendContext::relay(self.now));
    }

    /// Seals a chunk of `bytes` bytes.
    pub fn chunk(&mut self, document: ChainId, seq: u64, prev: Option<Link>, deps: &[Link], bytes: usize) -> Chunk {
        let header = self.header(document, seq, prev, deps, bytes);
        self.seal(&header, bytes)
    }

    /// Describes a chunk of `bytes` bytes.
    pub fn header(&mut self, document: ChainId, seq: u64, prev: Option<Link>, deps: &[Link], bytes: usize) -> Header {
        let cites = cite_content(&self.chains, &self.device(), &document, Role::Editor, None).unwrap_or_default();
        let ciphertext = ciphertext(bytes);
        let epoch = self.newest(document).epoch;
        let mut nonce = [0; 24];
        nonce.copy_from_slice(self.draw().get(..24).unwrap_or_default());
        Header {
            suite: SUITE,
            kind: ChunkKind::Changes,
            document,
            epoch,
            device: self.device(),
            incarnation: self.incarnation,
            seq,
            prev,
            deps: deps.to_vec(),
            cites,
            first_change: seq + 1,
            change_count: 1,
            ciphertext_len: u32::try_from(bytes).unwrap_or(u32::MAX),
            ciphertext_hash: Digest(hash(context::CIPHERTEXT, &[&ciphertext])),
            commitment: Digest(self.draw()),
            nonce: nonce.into(),
            ops_root: Digest(self.draw()),
        }
    }

    /// Signs a header.
    pub fn seal(&self, header: &Header, bytes: usize) -> Chunk {
        let header = Signed::sign(&self.key, header).unwrap_or_else(|error| bug(error));
        Chunk { header, ciphertext: ciphertext(bytes) }
    }

    /// Answers a challenge.
    pub fn auth(&self, opening: &Opening, credential: Credential) -> Auth {
        let mut auth = Auth {
            versions: vec![VERSION],
            device: self.device(),
            incarnation: self.incarnation,
            nonce: [self.seed; 32].into(),
            relay_epoch: None,
            credential,
            signature: Signature([0; 64]),
        };
        auth.signature = self.key.sign(context::AUTH_SIGNATURE, &auth_message(opening, &auth));
        auth
    }

    /// Shows an invite.
    pub fn credential(&self, opening: &Opening, chain: ChainId, invite: OpId, invite_seed: u8) -> Credential {
        let message = invite_auth_message(opening, &self.device(), &chain, &invite);
        let proof = invite_key(invite_seed).sign(context::INVITE_AUTH_SIGNATURE, &message);
        Credential::Invite { chain, invite, proof }
    }

    /// Signs the first operation of a chain, and takes it for done.
    fn sign(&mut self, create: Create, wraps: Vec<Wrap>) -> Put {
        let draft = Draft::new(&self.chains, self.device(), None);
        let op = draft.sign_create(&self.key, create).unwrap_or_else(|error| bug(error));
        self.learn(&op);
        Put { op, wraps }
    }

    /// Makes an epoch that is wrapped to these, and its wraps.
    fn epoch(&mut self, is_group: bool, targets: &[Target]) -> (Epoch, Vec<Wrap>) {
        let mut targets = targets.to_vec();
        targets.sort_unstable();
        let (list, wraps) = wrap_list(targets.iter().map(|target| self.wrap(target)).collect());
        let public_key = is_group.then(|| self.wrapping_key());
        let targets = targets.iter().map(|target| Some(target.epoch)).collect();
        let epoch = Epoch { public_key, commitment: Digest(self.draw()), wraps: list, previous: None, targets };
        (epoch, wraps.into_iter().map(|(wrap, _)| wrap).collect())
    }

    fn wrap(&self, target: &Target) -> Wrap {
        let key = WrappedKey::Group(vec![self.seed; 72]);
        Wrap { recipient: target.recipient, recipient_epoch: target.epoch, key }
    }

    /// Names a chain with its newest epoch that this person knows.
    fn newest(&self, chain: ChainId) -> Target {
        let epoch = self.chains.chain(&chain).and_then(|state| state.newest_epoch().map(|epoch| epoch.number));
        target(chain.0, epoch.unwrap_or_default())
    }

    fn wrapping_key(&self) -> vereda_crypto::WrapPublicKey {
        WrapKeyPair::from_seed(&Key32::new([self.seed; 32])).public().clone()
    }

    fn nonce(&mut self) -> [u8; 16] {
        let mut nonce = [0; 16];
        nonce.copy_from_slice(self.draw().get(..16).unwrap_or_default());
        nonce
    }

    fn draw(&mut self) -> [u8; 32] {
        self.drawn += 1;
        hash(context::LINK, &[&[self.seed], &self.drawn.to_le_bytes()])
    }
}

/// Derives the one-time key of an invite.
pub fn invite_key(invite_seed: u8) -> DeviceKey {
    DeviceKey::from_seed(&[invite_seed ^ 0xff; 32])
}

/// Tells a chunk's link.
pub fn link_of(chunk: &Chunk) -> Link {
    match chunk.header.clone().verify() {
        Ok(header) => header.value().link(),
        Err(error) => bug(error),
    }
}

const fn target(recipient: [u8; 32], epoch: u64) -> Target {
    Target { recipient: Digest(recipient), epoch }
}

fn ciphertext(bytes: usize) -> Vec<u8> {
    vec![0x5a; bytes]
}

#[allow(clippy::panic, reason = "people are made for tests only: what they cannot sign is an error in the test")]
fn bug(error: impl std::fmt::Display) -> ! {
    panic!("a person of the test could not do what it was told: {error}")
}
