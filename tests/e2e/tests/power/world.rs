//! A relay and its devices on disks whose power can go; a network in memory; a clock that is moved by hand.

use std::{
    collections::VecDeque,
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use rand_chacha::ChaCha20Rng;
use rand_core::{CryptoRng, Rng, SeedableRng};
use serde_json::{Value as Json, json};
use vereda_base::{ChainId, Incarnation, Monotonic, Now, Sensitive, Timestamp};
use vereda_client_core::{
    cases::{CreateCase, plain::PlainEdit},
    device::{Ambient, Device, DeviceError, IncarnatedStore},
    identity::{CreateAgency, InviteRequest},
    link::{FoundingLink, InviteLink, RelayAddress},
    store::SealedStore,
};
use vereda_crypto::{DeviceKey, Key32};
use vereda_faultfs::FaultFs;
use vereda_policy::Role;
use vereda_records::starter::child_protection;
use vereda_relay::store::SqliteStore;
use vereda_sync::{
    device::{DeviceStore, Effect, Input, StoreError, Table, store::EachRow},
    relay::{self, RelayConfig, RelayMachine, RelayStore, SessionId, founding_digest, store::Founding},
};

static DISKS: AtomicU64 = AtomicU64::new(0);

fn disk(seed: u64) -> FaultFs {
    FaultFs::register(&format!("power-{}", DISKS.fetch_add(1, Ordering::Relaxed)), seed)
}

/// A sealed store on a disk, with its incarnation.
pub struct Store {
    sealed: SealedStore,
    incarnation: Incarnation,
}

impl DeviceStore for Store {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.sealed.get(table, key)
    }

    fn put(&mut self, table: Table, group: &[u8], key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.sealed.put(table, group, key, value)
    }

    fn delete(&mut self, table: Table, key: &[u8]) -> Result<(), StoreError> {
        self.sealed.delete(table, key)
    }

    fn scan(&self, table: Table, group: Option<&[u8]>, each: &mut EachRow<'_>) -> Result<(), StoreError> {
        self.sealed.scan(table, group, each)
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        self.sealed.commit()
    }

    fn rollback(&mut self) {
        self.sealed.rollback();
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

/// A device and its disk; none while it has no power.
pub struct Place {
    pub disk: FaultFs,
    pub device: Option<Device<Store>>,
    path: PathBuf,
    incarnation: Incarnation,
    session: Option<SessionId>,
}

pub struct World {
    pub devices: Vec<Place>,
    pub relay_disk: FaultFs,
    pub rng: ChaCha20Rng,
    relay: Option<(RelayMachine, SqliteStore)>,
    relay_key: DeviceKey,
    to_relay: VecDeque<(SessionId, Vec<u8>)>,
    now: Now,
    next_session: u64,
    seed: u64,
    team: Option<ChainId>,
    folder: tempfile::TempDir,
}

const FOUNDING: [u8; 32] = [9; 32];

impl World {
    pub fn new(seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let folder = tempfile::tempdir().unwrap();
        let relay_disk = disk(seed);
        let mut store = SqliteStore::open_on_vfs(&folder.path().join("relay.db"), relay_disk.name()).unwrap();
        store.set_founding(&founding_digest(&FOUNDING), &Founding::Open).unwrap();
        let relay_key = DeviceKey::generate(&mut rng);
        let relay = RelayMachine::open(relay_key.clone(), RelayConfig::default(), &mut store, &mut rng).unwrap();
        let now = Now { monotonic: Monotonic(Duration::from_secs(1)), wall: Timestamp(1_790_000_000_000) };
        Self {
            devices: Vec::new(),
            relay_disk,
            rng,
            relay: Some((relay, store)),
            relay_key,
            to_relay: VecDeque::new(),
            now,
            next_session: 1,
            seed,
            team: None,
            folder,
        }
    }

    fn add_device(&mut self) -> usize {
        let index = self.devices.len();
        let path = self.folder.path().join(format!("device-{index}.sqlite3"));
        let disk = disk(self.seed.wrapping_mul(31).wrapping_add(index as u64));
        let incarnation = Incarnation(self.rng.next_u64());
        let sealed = SealedStore::create(&path, Some(disk.name()), &key(index), &mut self.rng).unwrap();
        let mut ambient = Ambient { now: self.now, rng: &mut self.rng };
        let device = Device::open(Store { sealed, incarnation }, &mut ambient).unwrap();
        self.devices.push(Place { disk, device: Some(device), path, incarnation, session: None });
        index
    }

    /// Calls a device that has power; an error takes it down if its power is gone.
    fn on<T, E: From<DeviceError> + std::fmt::Debug>(
        &mut self,
        index: usize,
        call: impl FnOnce(&mut Device<Store>, &mut Ambient<'_>) -> Result<T, E>,
    ) -> Option<T> {
        let place = &mut self.devices[index];
        let device = place.device.as_mut()?;
        match call(device, &mut Ambient { now: self.now, rng: &mut self.rng }) {
            Ok(done) => Some(done),
            Err(error) if place.disk.is_dark() => {
                drop(error);
                self.take_down(index);
                None
            }
            Err(error) => panic!("seed {}: {error:?}", self.seed),
        }
    }

    fn take_down(&mut self, index: usize) {
        self.devices[index].device = None;
        if let Some(session) = self.devices[index].session.take() {
            self.relay_input(relay::Input::Closed(session));
        }
    }

    /// Brings the power of a device back and opens it; false if it does not open.
    pub fn power_up(&mut self, index: usize) -> bool {
        self.take_down(index);
        let place = &mut self.devices[index];
        place.disk.restore_power();
        let sealed = SealedStore::open(&place.path, Some(place.disk.name()), &key(index), &mut self.rng);
        let Ok(sealed) = sealed else { return false };
        let store = Store { sealed, incarnation: place.incarnation };
        let device = Device::open(store, &mut Ambient { now: self.now, rng: &mut self.rng });
        place.device = device.ok();
        place.device.is_some()
    }

    /// Brings the power of the relay back and opens it; false if it does not open.
    pub fn power_up_relay(&mut self) -> bool {
        self.relay = None;
        self.to_relay.clear();
        for index in 0..self.devices.len() {
            if self.devices[index].session.take().is_some() {
                self.device_input(index, Input::Closed);
            }
        }
        self.relay_disk.restore_power();
        let path = self.folder.path().join("relay.db");
        let Ok(mut store) = SqliteStore::open_on_vfs(&path, self.relay_disk.name()) else { return false };
        let machine = RelayMachine::open(self.relay_key.clone(), RelayConfig::default(), &mut store, &mut self.rng);
        self.relay = machine.ok().map(|machine| (machine, store));
        self.relay.is_some()
    }

    pub fn connect(&mut self, index: usize) {
        self.on(index, |device, ambient| device.go_online(ambient));
        self.settle();
    }

    /// Lets every device connect anew.
    pub fn reconnect(&mut self) {
        for index in 0..self.devices.len() {
            self.on(index, |device, ambient| device.go_offline(ambient));
            self.settle();
            self.connect(index);
        }
    }

    pub fn is_settled(&self, index: usize) -> bool {
        self.devices[index].device.as_ref().is_some_and(Device::is_settled)
    }

    /// Lets everything happen that happens without anybody's doing.
    pub fn settle(&mut self) {
        for _ in 0..2_000 {
            let mut is_busy = false;
            for index in 0..self.devices.len() {
                let Some(step) = self.on(index, |device, ambient| device.work(ambient)) else { continue };
                let effects = self.devices[index].device.as_mut().map(Device::take_effects).unwrap_or_default();
                is_busy |= step.is_more || !effects.is_empty();
                for effect in effects {
                    self.carry_out(index, effect);
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

    fn carry_out(&mut self, index: usize, effect: Effect) {
        match effect {
            Effect::Connect if self.relay.is_none() => self.device_input(index, Input::Closed),
            Effect::Connect => {
                let session = SessionId(self.next_session);
                self.next_session += 1;
                self.devices[index].session = Some(session);
                self.device_input(index, Input::Connected);
                self.relay_input(relay::Input::Opened(session));
            }
            Effect::Send(frame) => {
                if let Some(session) = self.devices[index].session {
                    self.to_relay.push_back((session, frame));
                }
            }
            Effect::Probe => self.device_input(index, Input::Alive),
            Effect::Close => {
                if let Some(session) = self.devices[index].session.take() {
                    self.relay_input(relay::Input::Closed(session));
                }
            }
            Effect::Event(_) => {}
        }
    }

    fn relay_input(&mut self, input: relay::Input) {
        let Some((machine, store)) = &mut self.relay else { return };
        machine.handle_input(self.now, input, store, &mut self.rng);
        loop {
            let Some((machine, store)) = &mut self.relay else { return };
            let more = machine.serve(self.now, store);
            let committed = machine.commit(store);
            if let Some(failure) = committed.failure {
                // The machine without power says nothing any more, whatever it would like to say.
                assert!(self.relay_disk.is_dark(), "seed {}: {failure:?}", self.seed);
                self.relay = None;
                return;
            }
            for effect in committed.effects {
                self.carry_out_for_relay(effect);
            }
            if !more {
                return;
            }
        }
    }

    fn carry_out_for_relay(&mut self, effect: relay::Effect) {
        let (relay::Effect::Send(session, _) | relay::Effect::Close(session)) = effect;
        let index = self.devices.iter().position(|place| place.session == Some(session));
        match (effect, index) {
            (relay::Effect::Send(_, frame), Some(index)) => {
                let written = relay::Input::Written(session, frame.len());
                self.device_input(index, Input::Frame(frame));
                if let Some((machine, store)) = &mut self.relay {
                    machine.handle_input(self.now, written, store, &mut self.rng);
                }
            }
            (relay::Effect::Close(_), Some(index)) => {
                self.devices[index].session = None;
                self.device_input(index, Input::Closed);
            }
            (_, None) => {}
        }
    }

    fn device_input(&mut self, index: usize, input: Input) {
        self.on(index, |device, ambient| {
            device.handle(ambient, input)?;
            device.commit()
        });
    }

    /// Founds an agency with a team on a new device.
    pub fn found(&mut self) -> usize {
        let index = self.add_device();
        let relay = RelayAddress { url: "ws://relay.test/sync".into(), key: self.relay_key.device_id() };
        let link = FoundingLink { relay, secret: Sensitive::new(FOUNDING) };
        let request = CreateAgency { link, name: "Child Aid".into(), person: "Amina".into() };
        let place = &mut self.devices[index];
        let device = place.device.as_mut().unwrap();
        let ambient = &mut Ambient { now: self.now, rng: &mut self.rng };
        device.create_agency(ambient, &request).unwrap();
        self.team = Some(device.create_team(ambient, "North").unwrap());
        device.apply_configuration(ambient, child_protection().clone()).unwrap();
        index
    }

    pub fn invite(&mut self, inviter: usize) -> InviteLink {
        let open_for = Duration::from_secs(360_000);
        let request = InviteRequest { chain: self.team.unwrap(), role: Role::Editor, open_for };
        let device = self.devices[inviter].device.as_mut().unwrap();
        let invite = device.invite(&mut Ambient { now: self.now, rng: &mut self.rng }, &request).unwrap();
        self.settle();
        let invites = self.devices[inviter].device.as_ref().unwrap().invites(self.now.wall).unwrap();
        let view = invites.into_iter().find(|view| view.invite == invite).unwrap();
        view.link.unwrap_or_else(|| panic!("no link: {:?}", view.state)).parse().unwrap()
    }

    pub fn join_by(&mut self, link: &InviteLink, name: &str) -> usize {
        let index = self.add_device();
        let device = self.devices[index].device.as_mut().unwrap();
        device.join(&mut Ambient { now: self.now, rng: &mut self.rng }, link, name).unwrap();
        self.connect(index);
        index
    }

    pub fn join(&mut self, inviter: usize, name: &str) -> usize {
        let link = self.invite(inviter);
        self.join_by(&link, name)
    }

    /// Makes a case; `None` if the power went.
    pub fn create_case(&mut self, index: usize, fields: Json) -> Option<ChainId> {
        let request = CreateCase { team: None, answers: edit(json!({"set": fields})) };
        let device = self.devices[index].device.as_mut()?;
        device.create_case(&mut Ambient { now: self.now, rng: &mut self.rng }, &request).ok()
    }

    /// Edits a case; false if the power went.
    pub fn edit_case(&mut self, index: usize, case: &ChainId, request: Json) -> bool {
        // Every edit at a second of its own: devices note whole seconds.
        self.now.monotonic = self.now.monotonic.saturating_add(Duration::from_secs(1));
        self.now.wall = self.now.wall.saturating_add(Duration::from_secs(1));
        let Some(device) = self.devices[index].device.as_mut() else { return false };
        let edited = device.edit_case(&mut Ambient { now: self.now, rng: &mut self.rng }, case, &edit(request));
        let is_done = edited.is_ok();
        assert!(is_done || self.devices[index].disk.is_dark(), "seed {}: {edited:?}", self.seed);
        is_done
    }

    pub fn digests(&mut self) -> Vec<Option<String>> {
        let devices = self.devices.iter_mut().map(|place| place.device.as_mut());
        devices.map(|device| Some(device?.digest().unwrap().digest.to_string())).collect()
    }
}

fn key(index: usize) -> Key32 {
    Key32::new([u8::try_from(index).unwrap(); 32])
}

fn edit(json: Json) -> PlainEdit {
    serde_json::from_value(json).unwrap()
}
