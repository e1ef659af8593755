//! Real devices with real keys, the relay's real machine between them, and whatever an attacker among them or at the relay
//! can take out of it: keys, and the relay's whole log.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use serde_json::{Value as Json, json};
use vereda_base::{ChainId, Incarnation, Monotonic, Now, Sensitive};
use vereda_client_core::{
    cases::CreateCase,
    device::{Ambient, Device, IncarnatedStore},
    identity::{CreateAgency, InviteRequest},
    link::{FoundingLink, InviteLink, RelayAddress},
};
use vereda_crypto::{DeviceKey, Key32, Nonce24, WrapKeyPair};
use vereda_policy::{AppendContext, ChainMap, Role};
use vereda_protocol::{
    Chunk, ChunkOutcome, Credential, Down, OpOutcome, Opening, Packer, Position, Unpacker, Up, decode_down, encode_up,
};
use vereda_records::starter::child_protection;
use vereda_sync::{
    device::{DeviceStore, Effect, Input, MemoryStore, StoreError, Table, store::EachRow},
    people::{NOW, Person, Put},
    relay::{
        self, RelayConfig, RelayMachine, RelayStore, SessionId, founding_digest,
        store::{Entry, Founding},
    },
};

const FOUNDING: [u8; 32] = [9; 32];
const FACTS: Table = Table("client facts");
const KEYS: Table = Table("client keys");

/// Keys by chain and epoch.
pub type Keys = BTreeMap<(ChainId, u64), Key32>;

/// A store in memory, not sealed, with an incarnation.
#[derive(Debug, Clone)]
pub struct OpenStore {
    rows: MemoryStore,
    incarnation: Incarnation,
}

impl DeviceStore for OpenStore {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.rows.get(table, key)
    }

    fn put(&mut self, table: Table, group: &[u8], key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.rows.put(table, group, key, value)
    }

    fn delete(&mut self, table: Table, key: &[u8]) -> Result<(), StoreError> {
        self.rows.delete(table, key)
    }

    fn scan(&self, table: Table, group: Option<&[u8]>, each: &mut EachRow<'_>) -> Result<(), StoreError> {
        self.rows.scan(table, group, each)
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        self.rows.commit()
    }

    fn rollback(&mut self) {
        self.rows.rollback();
    }
}

impl IncarnatedStore for OpenStore {
    fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    fn renew_incarnation(&mut self, _: &mut dyn rand_chacha::rand_core::CryptoRng) -> Result<Incarnation, String> {
        self.incarnation.0 += 1;
        Ok(self.incarnation)
    }
}

/// Devices and their relay.
pub struct Town {
    /// The devices, the founder's first.
    pub devices: Vec<Device<OpenStore>>,
    sessions: BTreeMap<SessionId, usize>,
    /// What came in the session that is driven by hand.
    by_hand: (Unpacker, Vec<Down>),
    relay: RelayMachine,
    log: relay::MemoryStore,
    to_relay: VecDeque<(SessionId, Vec<u8>)>,
    now: Now,
    rng: ChaCha20Rng,
    opened: u64,
}

/// Whoever makes requests by hand.
const BY_HAND: usize = usize::MAX;

impl Town {
    /// Founds an agency with a team on a new device. Gives the team.
    pub fn found() -> (Self, ChainId) {
        let mut rng = ChaCha20Rng::seed_from_u64(5);
        let mut log = relay::MemoryStore::default();
        log.set_founding(&founding_digest(&FOUNDING), &Founding::Open).unwrap();
        let key = DeviceKey::from_seed(&[200; 32]);
        let relay = RelayMachine::open(key, RelayConfig::default(), &mut log, &mut rng).unwrap();
        let now = Now { monotonic: Monotonic(Duration::from_secs(1)), wall: NOW };
        let mut town = Self {
            devices: Vec::new(),
            sessions: BTreeMap::new(),
            by_hand: Default::default(),
            relay,
            log,
            to_relay: VecDeque::new(),
            now,
            rng,
            opened: 0,
        };
        let founder = town.add_device();
        let link = FoundingLink {
            relay: RelayAddress { url: "ws://relay.test/sync".into(), key: town.relay.relay() },
            secret: Sensitive::new(FOUNDING),
        };
        let request = CreateAgency { link, name: "Child Aid".into(), person: "Amina".into() };
        town.on(founder, |device, ambient| device.create_agency(ambient, &request)).unwrap();
        let team = town.on(founder, |device, ambient| device.create_team(ambient, "North")).unwrap();
        town.on(founder, |device, ambient| device.apply_configuration(ambient, child_protection().clone())).unwrap();
        town.connect(founder);
        (town, team)
    }

    fn add_device(&mut self) -> usize {
        let incarnation = Incarnation(1_000 * (self.devices.len() as u64 + 1));
        let store = OpenStore { rows: MemoryStore::new(), incarnation };
        let device = Device::open(store, &mut Ambient { now: self.now, rng: &mut self.rng }).unwrap();
        self.devices.push(device);
        self.devices.len() - 1
    }

    /// Calls a device.
    pub fn on<T>(&mut self, device: usize, call: impl FnOnce(&mut Device<OpenStore>, &mut Ambient<'_>) -> T) -> T {
        call(&mut self.devices[device], &mut Ambient { now: self.now, rng: &mut self.rng })
    }

    /// Lets time pass, and everything happen that is due then.
    pub fn pass(&mut self, time: Duration) {
        self.now.monotonic = self.now.monotonic.saturating_add(time);
        self.now.wall = self.now.wall.saturating_add(time);
        self.settle();
    }

    /// Lets a device go online.
    pub fn connect(&mut self, device: usize) {
        self.on(device, |device, ambient| device.go_online(ambient)).unwrap();
        self.settle();
    }

    /// Ends a device's process, and starts it again from its store.
    pub fn restart(&mut self, device: usize) {
        self.cut(device);
        let store = self.devices[device].store().clone();
        self.devices[device] = Device::open(store, &mut Ambient { now: self.now, rng: &mut self.rng }).unwrap();
    }

    /// Takes a device offline.
    pub fn cut(&mut self, device: usize) {
        self.on(device, |device, ambient| device.go_offline(ambient)).unwrap();
        self.settle();
    }

    /// Lets a new device join a chain by the founder's invite.
    pub fn join(&mut self, chain: ChainId, role: Role, name: &str) -> usize {
        let link = self.invite(0, chain, role);
        self.accept(&link, name)
    }

    /// Has a device invite somebody into a chain. Gives the link.
    pub fn invite(&mut self, by: usize, chain: ChainId, role: Role) -> InviteLink {
        let request = InviteRequest { chain, role, open_for: Duration::from_secs(3_600) };
        let invite = self.on(by, |device, ambient| device.invite(ambient, &request)).unwrap();
        self.settle();
        let views = self.devices[by].invites(self.now.wall).unwrap();
        let view = views.into_iter().find(|view| view.invite == invite).unwrap();
        view.link.unwrap().parse().unwrap()
    }

    /// Lets a new device take up an invite.
    pub fn accept(&mut self, link: &InviteLink, name: &str) -> usize {
        let device = self.add_device();
        self.on(device, |device, ambient| device.join(ambient, link, name)).unwrap();
        self.connect(device);
        device
    }

    /// Begins a case on a device.
    pub fn create_case(&mut self, device: usize, name: &str) -> ChainId {
        let answers = serde_json::from_value(json!({"set": {"name_first": name}})).unwrap();
        let request = CreateCase { team: None, answers };
        let case = self.on(device, |device, ambient| device.create_case(ambient, &request)).unwrap();
        self.settle();
        case
    }

    /// Names a case anew on a device.
    pub fn rename(&mut self, device: usize, case: &ChainId, name: &str) {
        self.pass(Duration::from_secs(1));
        let edit = serde_json::from_value(json!({"set": {"name_first": name}})).unwrap();
        self.on(device, |device, ambient| device.edit_case(ambient, case, &edit)).unwrap();
        self.settle();
    }

    /// Tells a case's name as a device shows it; null where it shows none.
    pub fn name(&mut self, device: usize, case: &ChainId) -> Json {
        let shown = self.devices[device].show_case(case);
        shown.ok().and_then(|view| view.fields.get("name_first").cloned()).unwrap_or(Json::Null)
    }

    /// Lets everything happen that happens without anybody's doing.
    pub fn settle(&mut self) {
        for _ in 0..3_000 {
            let mut is_busy = false;
            for device in 0..self.devices.len() {
                if self.devices[device].poll_timeout().is_some_and(|due| due <= self.now.monotonic) {
                    self.device_input(device, Input::Timeout);
                }
                self.on(device, |device, ambient| device.renew_if_restored(ambient)).unwrap();
                let step = self.on(device, |device, ambient| device.work(ambient)).unwrap();
                let effects = self.devices[device].take_effects();
                is_busy |= step.is_more || !effects.is_empty();
                effects.into_iter().for_each(|effect| self.carry_out(device, effect));
            }
            while let Some((session, frame)) = self.to_relay.pop_front() {
                is_busy = true;
                self.relay_input(relay::Input::Frame(session, frame));
            }
            if !is_busy {
                return;
            }
        }
        panic!("the town does not come to rest");
    }

    fn open_session(&mut self, device: usize) -> SessionId {
        self.opened += 1;
        let session = SessionId(self.opened);
        self.sessions.insert(session, device);
        session
    }

    fn session_of(&self, device: usize) -> Option<SessionId> {
        self.sessions.iter().find(|(_, of)| **of == device).map(|(session, _)| *session)
    }

    fn carry_out(&mut self, device: usize, effect: Effect) {
        match effect {
            Effect::Connect => {
                let session = self.open_session(device);
                self.device_input(device, Input::Connected);
                self.relay_input(relay::Input::Opened(session));
            }
            Effect::Send(frame) => {
                let session = self.session_of(device);
                self.to_relay.extend(session.map(|session| (session, frame)));
            }
            Effect::Probe => self.device_input(device, Input::Alive),
            Effect::Close => {
                if let Some(session) = self.session_of(device) {
                    self.sessions.remove(&session);
                    self.relay_input(relay::Input::Closed(session));
                }
            }
            Effect::Event(_) => {}
        }
    }

    fn relay_input(&mut self, input: relay::Input) {
        self.relay.handle_input(self.now, input, &mut self.log, &mut self.rng);
        loop {
            let more = self.relay.serve(self.now, &self.log);
            let committed = self.relay.commit(&mut self.log);
            assert!(committed.failure.is_none());
            for effect in committed.effects {
                match effect {
                    relay::Effect::Send(session, frame) => self.deliver(session, frame),
                    relay::Effect::Close(session) => {
                        if let Some(device) = self.sessions.remove(&session).filter(|device| *device != BY_HAND) {
                            self.device_input(device, Input::Closed);
                        }
                    }
                }
            }
            if !more {
                return;
            }
        }
    }

    fn deliver(&mut self, session: SessionId, frame: Vec<u8>) {
        let written = relay::Input::Written(session, frame.len());
        self.relay.handle_input(self.now, written, &mut self.log, &mut self.rng);
        match self.sessions.get(&session).copied() {
            Some(BY_HAND) => {
                let down = decode_down(&frame, &mut self.by_hand.0).unwrap();
                self.by_hand.1.push(down);
            }
            Some(device) => self.device_input(device, Input::Frame(frame)),
            None => {}
        }
    }

    fn device_input(&mut self, device: usize, input: Input) {
        self.on(device, |device, ambient| {
            device.handle(ambient, input)?;
            device.commit()
        })
        .unwrap();
    }

    /// All policy that the relay has appended.
    pub fn chains(&self) -> ChainMap {
        let mut chains = ChainMap::new();
        for position in 1..=self.log.end().unwrap().0 {
            if let Some(Entry::Op { op, .. }) = self.log.entry(Position(position)).unwrap() {
                chains.append(&op.verify().unwrap(), &AppendContext::relay(self.now.wall)).unwrap();
            }
        }
        chains
    }

    /// What a device's owner can take out of it: its identity, and all that was ever appended.
    pub fn insider(&self, device: usize) -> Person {
        let mut person = Person::new(0);
        person.key = DeviceKey::from_seed(self.seeds(device).0.expose());
        person.user = self.devices[device].home().map(|(user, _)| user);
        person.chains = self.chains();
        person
    }

    /// The key pair to which others wrap keys for a device.
    pub fn wrapping_pair(&self, device: usize) -> WrapKeyPair {
        WrapKeyPair::from_seed(&self.seeds(device).1)
    }

    fn seeds(&self, device: usize) -> (Key32, Key32) {
        let row = self.devices[device].store().get(FACTS, b"seeds").unwrap().unwrap();
        // An array of two byte strings of 32.
        assert_eq!((row.len(), &row[..3], &row[35..37]), (69, [0x82, 0x58, 32].as_slice(), [0x58, 32].as_slice()));
        (Key32::from_slice(&row[3..35]).unwrap(), Key32::from_slice(&row[37..]).unwrap())
    }

    /// All keys that a device holds.
    pub fn keys(&self, device: usize) -> Keys {
        let store = self.devices[device].store();
        let subkey = Key32::from_slice(&store.get(FACTS, b"keys subkey").unwrap().unwrap()).unwrap();
        let mut keys = Keys::new();
        store
            .scan(KEYS, None, &mut |name, value| {
                let (nonce, sealed) = value.split_first_chunk::<24>().unwrap();
                let key = vereda_crypto::open(&subkey, &Nonce24(*nonce), name, sealed).unwrap();
                let (chain, epoch) = name.split_first_chunk::<32>().unwrap();
                let epoch = u64::from_be_bytes(epoch.try_into().unwrap());
                keys.insert((ChainId(*chain), epoch), Key32::from_slice(&key).unwrap());
                std::ops::ControlFlow::Continue(())
            })
            .unwrap();
        keys
    }

    /// Puts an operation by hand, in a session of its author's own.
    pub fn put_by_hand(&mut self, author: &Person, put: &Put) -> OpOutcome {
        let put = Up::PutOp { request: 1, op: put.op.signed().clone(), wraps: put.wraps.clone() };
        let outcome = self.say_by_hand(author, vec![put]).into_iter().find_map(|down| match down {
            Down::OpResult { outcome, .. } => Some(outcome),
            _ => None,
        });
        outcome.expect("an answer")
    }

    /// Puts chunks by hand, in a session of their author's own; all of them become durable.
    pub fn push_by_hand(&mut self, author: &Person, chunks: &[Chunk]) {
        let puts = chunks.iter().cloned().map(Up::PutChunk).collect();
        let answers = self.say_by_hand(author, puts);
        let durable = |down: &&Down| matches!(down, Down::ChunkResult { outcome: ChunkOutcome::Durable, .. });
        assert_eq!(answers.iter().filter(durable).count(), chunks.len(), "{answers:?}");
    }

    /// Says something in a session of somebody's own, and hears what the relay says meanwhile.
    fn say_by_hand(&mut self, author: &Person, said: Vec<Up>) -> Vec<Down> {
        let session = self.open_session(BY_HAND);
        self.by_hand = Default::default();
        self.relay_input(relay::Input::Opened(session));
        let Some(Down::Challenge { relay, relay_epoch, challenge, .. }) = self.by_hand.1.pop() else {
            panic!("a challenge comes first")
        };
        let opening = Opening { relay, relay_epoch, challenge: *challenge };
        let mut packer = Packer::new();
        for up in std::iter::once(Up::Auth(author.auth(&opening, Credential::Member))).chain(said) {
            let frame = encode_up(&up, &mut packer).unwrap();
            self.relay_input(relay::Input::Frame(session, frame));
        }
        self.relay_input(relay::Input::Closed(session));
        self.sessions.remove(&session);
        std::mem::take(&mut self.by_hand.1)
    }

    /// All wraps and chunks in the relay's log.
    pub fn entries(&self) -> Vec<Entry> {
        let entries = (1..=self.log.end().unwrap().0).filter_map(|at| self.log.entry(Position(at)).unwrap());
        entries.collect()
    }
}
