//! A small world in which everything that the formats need has happened once, always alike: an agency, a team, two
//! people, a case.

mod later;

use anyhow::{Context as _, Result};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use vereda_base::{ChainId, DeviceId, Digest, Incarnation, OpId, Timestamp};
use vereda_crypto::{
    DeviceKey, DocumentEpochKey, GroupEpochSecret, Key32, Signed, Verified, WrapInfo, WrapKeyPair, context, derive_key,
    hash, seal_for_group, wrap,
};
use vereda_policy::{
    Accept, AddDevice, AppendContext, Authorized, Body, ChainMap, Chains, Create, DeviceKind, DocumentKind, Draft,
    Epoch, Grant, Invite, Member, Op, Parent, ParentAuthority, Receipt, Repair, Role, Target, Wrap, WrapProof,
    WrappedKey, op_id_of_bytes, wrap_list,
};

/// When the world begins: 21 September 2026.
pub const START: Timestamp = Timestamp(1_790_000_000_000);

/// Draws what randomness a format needs, always alike.
pub fn rng(seed: u8) -> ChaCha20Rng {
    ChaCha20Rng::from_seed([seed; 32])
}

/// A person with a device.
#[derive(Debug, Clone)]
pub struct Person {
    /// The device's signing key.
    pub key: DeviceKey,
    /// The device's wrapping key.
    pub wrapping: WrapKeyPair,
    /// The device's store.
    pub incarnation: Incarnation,
    /// The user's chain.
    pub user: ChainId,
    /// The user's first epoch.
    pub secret: GroupEpochSecret,
}

/// An operation that was appended.
#[derive(Debug, Clone)]
pub struct Event {
    /// Names it.
    pub name: &'static str,
    /// Says what it does.
    pub about: &'static str,
    /// The operation.
    pub op: Authorized<Op>,
    /// The relay's receipt.
    pub receipt: Signed<Receipt>,
    /// The wraps that lie beside the chain, with their places in the list.
    pub wraps: Vec<(Wrap, WrapProof)>,
}

/// What has happened.
#[derive(Debug, Clone)]
pub struct World {
    /// The chains as they stand at the end.
    pub chains: ChainMap,
    /// All operations, in the order of the relay's log.
    pub events: Vec<Event>,
    /// The relay's key.
    pub relay: DeviceKey,
    /// Founded the agency; has a second device by the end.
    pub amina: Person,
    /// Joined the team by invite and began the case.
    pub chipo: Person,
    /// The agency.
    pub agency: ChainId,
    /// The team.
    pub team: ChainId,
    /// The case.
    pub case: ChainId,
    /// The key of the case's first epoch.
    pub case_key: DocumentEpochKey,
    /// The secret of the invite.
    pub invite_secret: Key32,
    /// The `Invite` operation.
    pub invite: OpId,
}

impl World {
    /// Lets it all happen.
    ///
    /// # Errors
    /// If policy refuses what it once allowed.
    pub fn new() -> Result<Self> {
        Founding::new()?.complete()
    }

    /// Finds an operation by name.
    ///
    /// # Errors
    /// If there is none.
    pub fn event(&self, name: &str) -> Result<&Event> {
        self.events.iter().find(|event| event.name == name).with_context(|| format!("no operation {name:?}"))
    }
}

/// Names an epoch in what its keys are bound to, since a first epoch cannot be bound to the id of its own chain: by the
/// device that signed the chain's first operation, and the commitment.
pub fn epoch_scope(creator: &DeviceId, commitment: &Digest) -> ChainId {
    ChainId(hash(context::EPOCH_SCOPE, &[creator.as_bytes(), commitment.as_bytes()]))
}

/// The world in the making.
struct Founding {
    chains: ChainMap,
    events: Vec<Event>,
    relay: DeviceKey,
    rng: ChaCha20Rng,
}

type Wraps = Vec<(Wrap, WrapProof)>;

impl Founding {
    fn new() -> Result<Self> {
        let relay = DeviceKey::from_seed(&[0xee; 32]);
        Ok(Self { chains: ChainMap::new(), events: Vec::new(), relay, rng: rng(1) })
    }

    fn complete(mut self) -> Result<World> {
        let amina = self.join(1, "create user", "a user begins, with the first device")?;
        let agency = self.found_agency(&amina)?;
        let (team, team_secret) = self.found_team(&amina, agency)?;
        let chipo = self.join(2, "create second user", "another user begins")?;
        let invite_secret = Key32::new([0xa1; 32]);
        let invite = self.invite(&amina, &chipo, team, &invite_secret)?;
        self.repair_team(&amina, &chipo, team, &team_secret)?;
        let (case, case_key) = self.begin_case(&amina, &chipo, team, &team_secret)?;
        self.add_device(&amina)?;
        let grant = Grant {
            subject: amina.user,
            role: Role::Reader,
            expires: Some(Timestamp(START.0 + 86_400_000)),
            sealed_purpose: Some(vec![0x5e; 40]),
        };
        let about = "a user may read the case until a time, for a sealed purpose";
        self.append("grant", about, &amina, case, Body::Grant(grant), vec![])?;
        self.go_on((&amina, &chipo), agency, team, &team_secret)?;
        let Self { chains, events, relay, .. } = self;
        Ok(World { chains, events, relay, amina, chipo, agency, team, case, case_key, invite_secret, invite })
    }

    fn join(&mut self, seed: u8, name: &'static str, about: &'static str) -> Result<Person> {
        let key = DeviceKey::from_seed(&[seed; 32]);
        let wrapping = WrapKeyPair::from_seed(&Key32::new([0x10 + seed; 32]));
        let secret = GroupEpochSecret::from_key(Key32::new([0x20 + seed; 32]));
        let scope = epoch_scope(&key.device_id(), &secret.commitment());
        let wrapped = self.wrap(scope, secret.key(), key.device_id().0, &wrapping)?;
        let (epoch, wraps) = group_epoch(scope, &secret, vec![wrapped]);
        let create = Create::user([seed; 16], wrapping.public().clone(), epoch);
        let user = self.create(name, about, &key, create, wraps)?;
        Ok(Person { key, wrapping, incarnation: Incarnation(0x1000 + u64::from(seed)), user, secret })
    }

    fn found_agency(&mut self, amina: &Person) -> Result<ChainId> {
        let secret = GroupEpochSecret::from_key(Key32::new([0x31; 32]));
        let scope = epoch_scope(&amina.key.device_id(), &secret.commitment());
        let wrapped = self.wrap_to_user(scope, &secret, amina)?;
        let (epoch, wraps) = group_epoch(scope, &secret, vec![wrapped]);
        let create = Create::agency([0x41; 16], vec![manager(amina.user)], epoch);
        let agency = self.create("create agency", "an agency with its first Manager", &amina.key, create, wraps)?;
        let parents = vec![Parent { chain: agency, authority: ParentAuthority::Full }];
        let key = DocumentEpochKey::from_key(Key32::new([0x51; 32]));
        let (epoch, wraps) = self.document_epoch((amina, &key), agency, (amina, &secret));
        let create = Create::document(DocumentKind::Configuration, [0x61; 16], parents, vec![manager(agency)], epoch);
        self.create("create configuration", "the agency's configuration", &amina.key, create, wraps)?;
        Ok(agency)
    }

    fn found_team(&mut self, amina: &Person, agency: ChainId) -> Result<(ChainId, GroupEpochSecret)> {
        let secret = GroupEpochSecret::from_key(Key32::new([0x32; 32]));
        let scope = epoch_scope(&amina.key.device_id(), &secret.commitment());
        let wrapped = self.wrap_to_user(scope, &secret, amina)?;
        let (epoch, wraps) = group_epoch(scope, &secret, vec![wrapped]);
        let create = Create::team([0x42; 16], agency, vec![manager(amina.user)], epoch);
        let team = self.create("create team", "a team of the agency", &amina.key, create, wraps)?;
        Ok((team, secret))
    }

    fn invite(&mut self, amina: &Person, chipo: &Person, team: ChainId, secret: &Key32) -> Result<OpId> {
        let invite_key = DeviceKey::from_seed(derive_key(context::INVITE_KEY, secret, &[]).expose());
        let expires = Timestamp(START.0 + 3_600_000);
        let body = Body::Invite(Invite { key: invite_key.device_id(), role: Role::Editor, expires });
        let invite = self.append("invite", "an offer to join the team as Editor", amina, team, body, vec![])?;
        let accept = Accept::with_key(invite, chipo.user, chipo.key.device_id(), &invite_key);
        self.append("accept", "the offer is taken up", chipo, team, Body::Accept(accept), vec![])?;
        Ok(invite)
    }

    fn repair_team(
        &mut self,
        amina: &Person,
        chipo: &Person,
        team: ChainId,
        secret: &GroupEpochSecret,
    ) -> Result<OpId> {
        let scope = epoch_scope(&amina.key.device_id(), &secret.commitment());
        let wrapped = self.wrap_to_user(scope, secret, chipo)?;
        let targets = vec![target_of(&wrapped)];
        let (wraps, proven) = wrap_list(vec![wrapped]);
        let about = "the newcomer gets the team's key";
        self.append("repair team", about, amina, team, Body::Repair(Repair { epoch: 0, wraps, targets }), proven)
    }

    fn begin_case(
        &mut self,
        amina: &Person,
        chipo: &Person,
        team: ChainId,
        secret: &GroupEpochSecret,
    ) -> Result<(ChainId, DocumentEpochKey)> {
        let key = DocumentEpochKey::from_key(Key32::new([0x52; 32]));
        let (epoch, wraps) = self.document_epoch((chipo, &key), team, (amina, secret));
        let parents = vec![Parent { chain: team, authority: ParentAuthority::Full }];
        let create = Create::document(DocumentKind::Case, [0x62; 16], parents, vec![manager(team)], epoch);
        let case = self.create("create case", "a case, held by the team", &chipo.key, create, wraps)?;
        Ok((case, key))
    }

    fn add_device(&mut self, amina: &Person) -> Result<OpId> {
        let key = DeviceKey::from_seed(&[3; 32]);
        let wrapping = WrapKeyPair::from_seed(&Key32::new([0x13; 32]));
        let add = AddDevice::with_key(amina.user, &key, wrapping.public().clone(), DeviceKind::Full);
        let about = "a second device of the user, proven by itself";
        self.append("add device", about, amina, amina.user, Body::AddDevice(add), vec![])?;
        let scope = epoch_scope(&amina.key.device_id(), &amina.secret.commitment());
        let wrapped = self.wrap(scope, amina.secret.key(), key.device_id().0, &wrapping)?;
        let targets = vec![target_of(&wrapped)];
        let (wraps, proven) = wrap_list(vec![wrapped]);
        let about = "the second device gets the user's key";
        self.append("repair user", about, amina, amina.user, Body::Repair(Repair { epoch: 0, wraps, targets }), proven)
    }

    fn wrap_to_user(&mut self, scope: ChainId, secret: &GroupEpochSecret, person: &Person) -> Result<Wrap> {
        let own = epoch_scope(&person.key.device_id(), &person.secret.commitment());
        let pair = person.secret.derive_wrap_key_pair(own, 0);
        self.wrap(scope, secret.key(), person.user.0, &pair)
    }

    fn wrap(&mut self, scope: ChainId, key: &Key32, recipient: [u8; 32], pair: &WrapKeyPair) -> Result<Wrap> {
        let info = WrapInfo { chain: scope, epoch: 0, recipient, recipient_epoch: 0 };
        let key = WrappedKey::Hpke(wrap(pair.public(), &info, key, &mut self.rng)?);
        Ok(Wrap { recipient: Digest(recipient), recipient_epoch: 0, key })
    }

    /// Makes a document's first epoch, begun by one person, sealed to a group that a person began.
    fn document_epoch(
        &mut self,
        (author, key): (&Person, &DocumentEpochKey),
        group: ChainId,
        (founder, secret): (&Person, &GroupEpochSecret),
    ) -> (Epoch, Wraps) {
        let wrap_key = secret.derive_wrap_key(epoch_scope(&founder.key.device_id(), &secret.commitment()), 0);
        let chain = epoch_scope(&author.key.device_id(), &key.commitment());
        let info = WrapInfo { chain, epoch: 0, recipient: group.0, recipient_epoch: 0 };
        let sealed = WrappedKey::Group(seal_for_group(&wrap_key, &info, key.key(), &mut self.rng));
        let (list, wraps) = wrap_list(vec![Wrap { recipient: Digest(group.0), recipient_epoch: 0, key: sealed }]);
        let commitment = key.commitment();
        (Epoch { public_key: None, commitment, wraps: list, previous: None, targets: vec![Some(0)] }, wraps)
    }

    fn create(
        &mut self,
        name: &'static str,
        about: &'static str,
        key: &DeviceKey,
        create: Create,
        wraps: Wraps,
    ) -> Result<ChainId> {
        let op = Draft::new(&self.chains, key.device_id(), None).sign_create(key, create)?;
        Ok(ChainId(self.note(name, about, &op, wraps)?.0))
    }

    fn append(
        &mut self,
        name: &'static str,
        about: &'static str,
        author: &Person,
        chain: ChainId,
        body: Body,
        wraps: Wraps,
    ) -> Result<OpId> {
        let draft = Draft::new(&self.chains, author.key.device_id(), None);
        let op = draft.sign_append(&author.key, &chain, body)?;
        self.note(name, about, &op, wraps)
    }

    fn note(&mut self, name: &'static str, about: &'static str, op: &Verified<Op>, wraps: Wraps) -> Result<OpId> {
        let time = Timestamp(START.0 + 1_000 * i64::try_from(self.events.len())?);
        let op = self.chains.append(op, &AppendContext::relay(time)).with_context(|| format!("operation {name:?}"))?;
        let receipt = Signed::sign(&self.relay, &Receipt::for_op(&op, self.relay.device_id(), 7, time))?;
        let id = op_id_of_bytes(op.signed().bytes());
        self.events.push(Event { name, about, op, receipt, wraps });
        Ok(id)
    }
}

fn group_epoch(scope: ChainId, secret: &GroupEpochSecret, wraps: Vec<Wrap>) -> (Epoch, Wraps) {
    let commitment = secret.commitment();
    let public_key = Some(secret.derive_wrap_key_pair(scope, 0).public().clone());
    let targets = wraps.iter().map(|wrap| Some(wrap.recipient_epoch)).collect();
    let (list, wraps) = wrap_list(wraps);
    (Epoch { public_key, commitment, wraps: list, previous: None, targets }, wraps)
}

const fn target_of(wrap: &Wrap) -> Target {
    Target { recipient: wrap.recipient, epoch: wrap.recipient_epoch }
}

const fn manager(subject: ChainId) -> Member {
    Member { subject, role: Role::Manager }
}

/// Tells the newest head of a chain.
///
/// # Errors
/// If the chain is unknown.
pub fn head(view: &dyn Chains, chain: &ChainId) -> Result<OpId> {
    Ok(view.chain(chain).context("no such chain")?.head())
}
