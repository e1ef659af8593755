//! A relay and its devices, a network that can be cut, a clock that is moved by hand.

use std::{
    cell::RefCell,
    collections::{BTreeMap, VecDeque},
    ops::ControlFlow,
    rc::Rc,
    time::Duration,
};

use rand_chacha::ChaCha20Rng;
use rand_core::{CryptoRng, Rng, SeedableRng};
use serde_json::{Value as Json, json};
use vereda_base::{ChainId, DeviceId, Incarnation, Monotonic, Now, Sensitive, Timestamp};
use vereda_client_core::{
    cases::{CreateCase, plain::PlainEdit},
    device::{Ambient, Device, IncarnatedStore},
    identity::{CreateAgency, InviteRequest},
    link::{FoundingLink, InviteLink, RelayAddress},
};
use vereda_crypto::DeviceKey;
use vereda_policy::Role;
use vereda_records::starter::child_protection;
use vereda_sync::{
    device::{DeviceStore, Effect, Input, MemoryStore, StoreError, Table, store::EachRow},
    relay::{self, RelayConfig, RelayMachine, RelayStore, SessionId, founding_digest, store::Founding},
};

/// A store in memory with an incarnation.
#[derive(Debug, Clone)]
pub struct Store {
    pub memory: MemoryStore,
    pub incarnation: Incarnation,
    /// Rows read one by one, by table.
    pub gets: Rc<RefCell<BTreeMap<Table, usize>>>,
    /// Rows written, by table.
    pub puts: Rc<RefCell<BTreeMap<Table, usize>>>,
}

impl DeviceStore for Store {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        *self.gets.borrow_mut().entry(table).or_default() += 1;
        self.memory.get(table, key)
    }

    fn put(&mut self, table: Table, group: &[u8], key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        *self.puts.borrow_mut().entry(table).or_default() += 1;
        self.memory.put(table, group, key, value)
    }

    fn delete(&mut self, table: Table, key: &[u8]) -> Result<(), StoreError> {
        self.memory.delete(table, key)
    }

    fn scan(&self, table: Table, group: Option<&[u8]>, each: &mut EachRow<'_>) -> Result<(), StoreError> {
        self.memory.scan(table, group, &mut |key, value| -> ControlFlow<()> { each(key, value) })
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        self.memory.commit()
    }

    fn rollback(&mut self) {
        self.memory.rollback();
    }
}

impl IncarnatedStore for Store {
    fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    fn renew_incarnation(&mut self, rng: &mut dyn CryptoRng) -> Result<Incarnation, String> {
        self.incarnation = Incarnation(rng.next_u64());
        Ok(self.incarnation)
    }
}

pub struct World {
    pub devices: Vec<Device<Store>>,
    sessions: BTreeMap<usize, SessionId>,
    /// What the relay told sessions of devices that are none of the world's own.
    astray: BTreeMap<SessionId, Vec<Input>>,
    /// Devices that hear only so many more frames.
    hearing: BTreeMap<usize, usize>,
    relay: RelayMachine,
    relay_store: relay::MemoryStore,
    relay_signing: DeviceKey,
    to_relay: VecDeque<(SessionId, Vec<u8>)>,
    pub now: Now,
    rng: ChaCha20Rng,
    next_session: u64,
    founding: [u8; 32],
    /// Edits that were not sealed when others' changes were taken in, at most.
    pub unsealed_at_news: usize,
}

impl World {
    pub fn new(seed: u64) -> Self {
        // RUST_LOG shows what devices do; another test may have set it up already.
        drop(
            tracing_subscriber::fmt()
                .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
                .with_test_writer()
                .try_init(),
        );
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let mut relay_store = relay::MemoryStore::default();
        let founding = [9; 32];
        relay_store.set_founding(&founding_digest(&founding), &Founding::Open).unwrap();
        let key = DeviceKey::generate(&mut rng);
        let relay = RelayMachine::open(key.clone(), RelayConfig::default(), &mut relay_store, &mut rng).unwrap();
        let now = Now { monotonic: Monotonic(Duration::from_secs(1)), wall: Timestamp(1_790_000_000_000) };
        Self {
            devices: Vec::new(),
            sessions: BTreeMap::new(),
            astray: BTreeMap::new(),
            hearing: BTreeMap::new(),
            relay,
            relay_store,
            relay_signing: key,
            to_relay: VecDeque::new(),
            now,
            rng,
            next_session: 1,
            founding,
            unsealed_at_news: 0,
        }
    }

    pub fn add_device(&mut self) -> usize {
        let incarnation = Incarnation(self.rng.next_u64());
        let store = Store { memory: MemoryStore::new(), incarnation, gets: Rc::default(), puts: Rc::default() };
        self.open(store)
    }

    pub fn open(&mut self, store: Store) -> usize {
        let mut ambient = Ambient { now: self.now, rng: &mut self.rng };
        self.devices.push(Device::open(store, &mut ambient).unwrap());
        self.devices.len() - 1
    }

    /// Calls a device.
    pub fn on<T>(&mut self, device: usize, call: impl FnOnce(&mut Device<Store>, &mut Ambient<'_>) -> T) -> T {
        call(&mut self.devices[device], &mut Ambient { now: self.now, rng: &mut self.rng })
    }

    pub fn pass(&mut self, time: Duration) {
        self.now.monotonic = self.now.monotonic.saturating_add(time);
        self.now.wall = self.now.wall.saturating_add(time);
    }

    pub fn connect(&mut self, device: usize) {
        self.on(device, |device, ambient| device.go_online(ambient)).unwrap();
        self.settle();
    }

    /// Connects a device that is none of the world's own until something holds, or nothing happens any more. Others rest.
    pub fn drive<S: IncarnatedStore>(&mut self, device: &mut Device<S>, holds: impl Fn(&Device<S>) -> bool) {
        let session = SessionId(self.next_session);
        self.next_session += 1;
        let mut inputs = VecDeque::from([Input::Start]);
        for _ in 0..500 {
            let mut ambient = Ambient { now: self.now, rng: &mut self.rng };
            while let Some(input) = inputs.pop_front() {
                device.handle(&mut ambient, input).unwrap();
                device.commit().unwrap();
            }
            let is_more = device.work(&mut ambient).unwrap().is_more;
            let effects = device.take_effects();
            if holds(device) || (effects.is_empty() && !is_more) {
                break;
            }
            for effect in effects {
                match effect {
                    Effect::Connect => {
                        inputs.push_back(Input::Connected);
                        inputs.extend(self.relay_answers(relay::Input::Opened(session), session));
                    }
                    Effect::Send(frame) => {
                        inputs.extend(self.relay_answers(relay::Input::Frame(session, frame), session))
                    }
                    Effect::Probe => inputs.push_back(Input::Alive),
                    Effect::Close | Effect::Event(_) => {}
                }
            }
        }
        self.relay_input(relay::Input::Closed(session));
        self.settle();
    }

    /// Hands the relay an input and takes what it answers in one session; what it tells others is delivered.
    fn relay_answers(&mut self, input: relay::Input, session: SessionId) -> Vec<Input> {
        self.relay_input(input);
        self.astray.remove(&session).unwrap_or_default()
    }

    /// Lets only so many further frames reach a device; what it sends arrives.
    pub fn deafen_after(&mut self, device: usize, frames: usize) {
        self.hearing.insert(device, frames);
    }

    fn hears(&mut self, device: usize) -> bool {
        let Some(left) = self.hearing.get_mut(&device) else { return true };
        let hears = *left > 0;
        *left = left.saturating_sub(1);
        hears
    }

    pub fn cut(&mut self, device: usize) {
        self.on(device, |device, ambient| device.go_offline(ambient)).unwrap();
        self.settle();
    }

    /// Copies what the relay committed.
    pub fn copy_relay(&self) -> relay::MemoryStore {
        self.relay_store.copy().unwrap()
    }

    /// Sets the relay back to a copy of its store while no device is connected.
    pub fn set_relay_back(&mut self, copy: relay::MemoryStore) {
        assert!(self.sessions.is_empty());
        self.relay_store = copy;
        let (key, config) = (self.relay_signing.clone(), RelayConfig::default());
        self.relay = RelayMachine::open(key, config, &mut self.relay_store, &mut self.rng).unwrap();
    }

    /// Ends a device's process as `kill -9` does, and starts it again from what it had committed.
    pub fn crash(&mut self, device: usize) {
        let mut store = self.devices[device].store().clone();
        store.memory.crash();
        self.hearing.remove(&device);
        if let Some(session) = self.sessions.remove(&device) {
            self.relay_input(relay::Input::Closed(session));
        }
        let mut ambient = Ambient { now: self.now, rng: &mut self.rng };
        self.devices[device] = Device::open(store, &mut ambient).unwrap();
    }

    /// Lets everything happen that happens without anybody's doing.
    pub fn settle(&mut self) {
        self.settle_until(|_| false);
    }

    /// As [`Self::settle`], but stops where a condition holds between two steps.
    pub fn settle_until(&mut self, is_enough: impl Fn(&Self) -> bool) {
        for _ in 0..2_000 {
            if is_enough(self) {
                return;
            }
            let mut is_busy = false;
            for device in 0..self.devices.len() {
                let now = self.now.monotonic;
                if self.devices[device].poll_timeout().is_some_and(|due| due <= now) {
                    self.device_input(device, Input::Timeout);
                }
                self.on(device, |device, ambient| device.renew_if_restored(ambient)).unwrap();
                let step = self.on(device, |device, ambient| device.work(ambient)).unwrap();
                if !step.changed.is_empty() {
                    let edits = self.devices[device].store().memory.committed_rows(Table("client edits"));
                    self.unsealed_at_news = self.unsealed_at_news.max(edits);
                }
                let effects = self.devices[device].take_effects();
                is_busy |= step.is_more || !effects.is_empty();
                for effect in effects {
                    self.carry_out(device, effect);
                }
            }
            while let Some((session, frame)) = self.to_relay.pop_front() {
                is_busy = true;
                self.relay_input(relay::Input::Frame(session, frame));
            }
            if !is_busy {
                return;
            }
        }
        panic!("the world does not come to rest");
    }

    fn carry_out(&mut self, device: usize, effect: Effect) {
        match effect {
            Effect::Connect => {
                let session = SessionId(self.next_session);
                self.next_session += 1;
                self.sessions.insert(device, session);
                self.device_input(device, Input::Connected);
                self.relay_input(relay::Input::Opened(session));
            }
            Effect::Send(frame) => {
                if let Some(session) = self.sessions.get(&device) {
                    self.to_relay.push_back((*session, frame));
                }
            }
            Effect::Probe => self.device_input(device, Input::Alive),
            Effect::Close => {
                if let Some(session) = self.sessions.remove(&device) {
                    self.relay_input(relay::Input::Closed(session));
                }
            }
            Effect::Event(_) => {}
        }
    }

    fn relay_input(&mut self, input: relay::Input) {
        self.relay.handle_input(self.now, input, &mut self.relay_store, &mut self.rng);
        loop {
            let more = self.relay.serve(self.now, &self.relay_store);
            let committed = self.relay.commit(&mut self.relay_store);
            assert!(committed.failure.is_none());
            for effect in committed.effects {
                match effect {
                    relay::Effect::Send(session, frame) => {
                        let length = frame.len();
                        match self.device_of(session) {
                            Some(device) if self.hears(device) => self.device_input(device, Input::Frame(frame)),
                            Some(_) => {}
                            None => self.astray.entry(session).or_default().push(Input::Frame(frame)),
                        }
                        let written = relay::Input::Written(session, length);
                        self.relay.handle_input(self.now, written, &mut self.relay_store, &mut self.rng);
                    }
                    relay::Effect::Close(session) => {
                        if let Some(device) = self.device_of(session) {
                            self.sessions.remove(&device);
                            self.device_input(device, Input::Closed);
                        } else {
                            self.astray.entry(session).or_default().push(Input::Closed);
                        }
                    }
                }
            }
            if !more {
                return;
            }
        }
    }

    fn device_input(&mut self, device: usize, input: Input) {
        self.on(device, |device, ambient| {
            device.handle(ambient, input)?;
            device.commit()
        })
        .unwrap();
    }

    fn device_of(&self, session: SessionId) -> Option<usize> {
        self.sessions.iter().find(|(_, open)| **open == session).map(|(device, _)| *device)
    }

    pub fn relay_key(&self) -> DeviceId {
        self.relay.relay()
    }

    /// Lists the operations of a chain as the relay has them.
    pub fn ops_of(&self, chain: &ChainId) -> Vec<vereda_policy::Op> {
        let stored = self.relay_store.chain(chain).unwrap().unwrap();
        stored.ops.into_iter().map(|row| row.op.verify().unwrap().into_value()).collect()
    }

    /// Founds an agency with a team on a new device.
    pub fn found(&mut self) -> (usize, ChainId) {
        let device = self.add_device();
        let link = FoundingLink {
            relay: RelayAddress { url: "ws://relay.test/v1".into(), key: self.relay_key() },
            secret: Sensitive::new(self.founding),
        };
        let request = CreateAgency { link, name: "Child Aid".into(), person: "Amina".into() };
        self.on(device, |device, ambient| device.create_agency(ambient, &request)).unwrap();
        let team = self.on(device, |device, ambient| device.create_team(ambient, "North")).unwrap();
        self.on(device, |device, ambient| device.apply_configuration(ambient, child_protection().clone())).unwrap();
        (device, team)
    }

    /// Invites from one device and joins with a new one; both online.
    pub fn join(&mut self, inviter: usize, chain: ChainId, role: Role, name: &str) -> usize {
        let link = self.invite(inviter, chain, role);
        let device = self.add_device();
        self.on(device, |device, ambient| device.join(ambient, &link, name)).unwrap();
        self.connect(device);
        device
    }

    pub fn invite(&mut self, inviter: usize, chain: ChainId, role: Role) -> InviteLink {
        let request = InviteRequest { chain, role, open_for: Duration::from_secs(3_600) };
        let invite = self.on(inviter, |device, ambient| device.invite(ambient, &request)).unwrap();
        self.settle();
        let invites = self.devices[inviter].invites(self.now.wall).unwrap();
        let view = invites.into_iter().find(|view| view.invite == invite).unwrap();
        view.link.unwrap_or_else(|| panic!("no link: {:?}", view.state)).parse().unwrap()
    }

    pub fn create_case(&mut self, device: usize, fields: Json) -> ChainId {
        let request = CreateCase { team: None, answers: edit(json!({"set": fields})) };
        self.on(device, |device, ambient| device.create_case(ambient, &request)).unwrap()
    }

    pub fn edit_case(&mut self, device: usize, case: &ChainId, request: Json) {
        // Every edit at a second of its own: devices note whole seconds.
        self.pass(Duration::from_secs(1));
        self.on(device, |device, ambient| device.edit_case(ambient, case, &edit(request))).unwrap();
    }

    pub fn field(&mut self, device: usize, case: &ChainId, field: &str) -> Json {
        let view = self.devices[device].show_case(case).unwrap();
        view.fields.get(field).cloned().unwrap_or(Json::Null)
    }

    pub fn digests(&mut self) -> Vec<String> {
        self.devices.iter_mut().map(|device| device.digest().unwrap().digest.to_string()).collect()
    }
}

pub fn edit(json: Json) -> PlainEdit {
    serde_json::from_value(json).unwrap()
}

/// See [`team`].
pub struct Team {
    pub world: World,
    pub amina: usize,
    pub berta: usize,
    pub team: ChainId,
    pub case: ChainId,
}

/// A case of a team: Amina is Manager of the team, Berta Editor.
pub fn team(seed: u64) -> Team {
    let mut world = World::new(seed);
    let (amina, team) = world.found();
    let case = world.create_case(amina, json!({"name_first": "Samir"}));
    world.connect(amina);
    let berta = world.join(amina, team, Role::Editor, "Berta");
    world.settle();
    Team { world, amina, berta, team, case }
}
