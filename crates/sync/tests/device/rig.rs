//! A device and the other end of its connection.

use std::{collections::VecDeque, ops::ControlFlow, time::Duration};

use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use vereda_base::{Incarnation, Monotonic, Now, Timestamp};
use vereda_crypto::{context, verify};
use vereda_protocol::{
    Auth, Chunk, Down, Opening, Packer, PolicyEntry, Position, Unpacker, Up, VERSIONS, WelcomeFields, auth_message,
    decode_up, encode_down, welcome_message,
};
use vereda_sync::device::{
    DeviceConfig, DeviceCredential, DeviceLimits, DeviceMachine, Disconnect, Effect, Event, Input, MemoryStore,
    StoreError,
};

use crate::world::{Person, RELAY_EPOCH, START, World};

pub struct Rig {
    pub world: World,
    pub machine: DeviceMachine,
    pub store: MemoryStore,
    pub rng: ChaCha20Rng,
    pub now: Now,
    /// What the device sent and the test has not looked at.
    pub sent: VecDeque<Up>,
    /// Frames as they went over the wire.
    pub frames: Vec<Vec<u8>>,
    pub events: Vec<Event>,
    /// Connect, probe and close, as they came.
    pub orders: Vec<Effect>,
    pub failure: Option<StoreError>,
    pub relay_key: u8,
    pub relay_epoch: u64,
    pub held: u64,
    /// The end of the relay's log, as its next welcome says.
    pub end: Position,
    pub packer: Packer,
    unpacker: Unpacker,
    auth: Option<Auth>,
}

impl Rig {
    /// Chipo's device, offline, with an empty store.
    pub fn new(world: World) -> Self {
        let person = world.chipo.clone();
        Self::of(world, &person, MemoryStore::new())
    }

    pub fn of(world: World, person: &Person, mut store: MemoryStore) -> Self {
        let config = config(&world, person);
        let machine = DeviceMachine::open(config, &mut store).unwrap();
        Self {
            world,
            machine,
            store,
            rng: ChaCha20Rng::seed_from_u64(1),
            now: Now { monotonic: Monotonic(Duration::from_secs(100)), wall: START },
            sent: VecDeque::new(),
            frames: Vec::new(),
            events: Vec::new(),
            orders: Vec::new(),
            failure: None,
            relay_key: 99,
            relay_epoch: RELAY_EPOCH,
            held: 0,
            end: Position(1 << 32),
            packer: Packer::new(),
            unpacker: Unpacker::new(),
            auth: None,
        }
    }

    /// A device that holds everything the relay has, and is live.
    pub fn caught_up(world: World) -> Self {
        let mut rig = Self::new(world);
        rig.connect();
        rig.catch_up();
        rig.sent.clear();
        rig.events.clear();
        rig
    }

    /// The process dies and is started anew over what was committed.
    pub fn restart(self) -> Self {
        let mut store = self.store;
        store.crash();
        let person = self.world.chipo.clone();
        Self::of(self.world, &person, store)
    }

    pub fn input(&mut self, input: Input) {
        self.machine.handle_input(self.now, input, &mut self.store, &mut self.rng);
        self.commit();
    }

    pub fn commit(&mut self) {
        let committed = self.machine.commit(&mut self.store);
        if committed.failure.is_some() {
            self.failure = committed.failure;
        }
        for effect in committed.effects {
            match effect {
                Effect::Send(frame) => {
                    self.sent.push_back(decode_up(&frame, &mut self.unpacker).unwrap());
                    self.frames.push(frame);
                }
                Effect::Event(event) => self.events.push(event),
                order => self.orders.push(order),
            }
        }
    }

    pub fn down(&mut self, message: &Down) {
        let frame = encode_down(message, &mut self.packer).unwrap();
        self.input(Input::Frame(frame));
    }

    /// As [`Self::down`], but the process dies before it commits.
    pub fn down_uncommitted(&mut self, message: &Down) {
        let frame = encode_down(message, &mut self.packer).unwrap();
        self.machine.handle_input(self.now, Input::Frame(frame), &mut self.store, &mut self.rng);
    }

    /// Connects up to and with the challenge.
    pub fn challenge(&mut self) {
        self.input(Input::Start);
        self.challenge_again();
    }

    /// As [`Self::challenge`], where the machine itself asked for a connection.
    pub fn challenge_again(&mut self) {
        assert_eq!(self.orders.pop(), Some(Effect::Connect));
        (self.packer, self.unpacker) = (Packer::new(), Unpacker::new());
        self.sent.clear();
        self.input(Input::Connected);
        let relay = crate::world::key(self.relay_key).device_id();
        let challenge = [5; 32].into();
        self.down(&Down::Challenge { versions: VERSIONS.to_vec(), relay, relay_epoch: self.relay_epoch, challenge });
    }

    /// Takes the device's proof and checks it.
    pub fn take_auth(&mut self) -> Auth {
        let Some(Up::Auth(auth)) = self.sent.pop_front() else { panic!("the first frame is no proof") };
        let message = auth_message(&self.opening(), &auth);
        verify(context::AUTH_SIGNATURE, &auth.device, &message, &auth.signature).unwrap();
        self.auth = Some(auth.clone());
        auth
    }

    pub fn welcome(&mut self) {
        let auth = self.auth.clone().unwrap();
        let fields = WelcomeFields {
            device: auth.device,
            nonce: *auth.nonce,
            version: 1,
            time: START,
            held: self.held,
            end: self.end,
        };
        let message = welcome_message(&self.opening(), &fields);
        let signature = self.world.relay.sign(context::WELCOME_SIGNATURE, &message);
        self.down(&Down::Welcome { version: 1, time: START, held: self.held, end: self.end, signature });
    }

    /// Connects up to and with the welcome; what the device sent after its pull stays to be looked at.
    pub fn connect(&mut self) -> (Position, Position) {
        self.challenge();
        self.go_on()
    }

    /// Connects and catches up after a new incarnation was opened, which ended the connection.
    pub fn connect_after_incarnation(&mut self) {
        self.sleep();
        self.connect_again();
        self.catch_up();
    }

    pub fn connect_again(&mut self) -> (Position, Position) {
        self.challenge_again();
        self.go_on()
    }

    fn go_on(&mut self) -> (Position, Position) {
        self.take_auth();
        let Some(Up::Pull { policy, content, .. }) = self.sent.pop_front() else { panic!("no pull") };
        self.welcome();
        (policy, content)
    }

    /// Sends all policy there is.
    pub fn catch_up(&mut self) {
        let entries = self.world.entries.clone();
        let cursor = Position(entries.len() as u64);
        self.down(&Down::Policy { entries, cursor });
        self.down(&Down::CaughtUp { cursor });
    }

    pub fn policy(&mut self, entries: &[&PolicyEntry], cursor: u64) {
        let entries = entries.iter().map(|entry| (*entry).clone()).collect();
        self.down(&Down::Policy { entries, cursor: Position(cursor) });
    }

    pub fn excluded(&self) -> Vec<vereda_base::Link> {
        self.machine.excluded(&self.store, &self.world.case).unwrap().into_iter().collect()
    }

    pub fn content(&mut self, chunks: &[&Chunk], cursor: u64) {
        let chunks = chunks.iter().map(|chunk| (*chunk).clone()).collect();
        self.down(&Down::Content { chunks, cursor: Position(cursor) });
    }

    pub fn after(&mut self, wait: Duration) {
        self.now.monotonic = self.now.monotonic.saturating_add(wait);
        self.now.wall = self.now.wall.saturating_add(wait);
    }

    /// Lets the time pass that the machine asked for.
    pub fn sleep(&mut self) {
        let (at, _) = self.machine.poll_timeout().unwrap();
        let wait = at.0.saturating_sub(self.now.monotonic.0);
        self.after(wait);
        self.input(Input::Timeout);
    }

    pub fn lose(&mut self) {
        self.input(Input::Closed);
    }

    /// Seals a chunk of the case on this device and puts it into the outbox.
    pub fn write(&mut self) -> Chunk {
        let chunk = self.seal();
        self.machine.enqueue_chunk(&mut self.store, &chunk).unwrap();
        self.commit();
        chunk
    }

    pub fn seal(&self) -> Chunk {
        let case = self.world.case;
        let place = self.machine.next_place(&self.store, &case).unwrap();
        let heads = self.machine.heads(&self.store, &case).unwrap();
        self.world.chunk_of(&case, &self.world.chipo, place.incarnation, place.seq, place.prev, &heads)
    }

    pub fn stored(&self) -> Vec<Chunk> {
        let mut chunks = Vec::new();
        let case = self.world.case;
        self.machine
            .chunks_since(&self.store, &case, 0, &mut |_, chunk| {
                chunks.push(chunk);
                ControlFlow::Continue(())
            })
            .unwrap();
        chunks
    }

    pub fn disconnects(&self) -> Vec<Disconnect> {
        let reason = |event: &Event| match event {
            Event::Disconnected { reason, .. } => Some(*reason),
            _ => None,
        };
        self.events.iter().filter_map(reason).collect()
    }

    pub fn saw(&self, event: &Event) -> bool {
        self.events.contains(event)
    }

    fn opening(&self) -> Opening {
        let relay = crate::world::key(self.relay_key).device_id();
        Opening { relay, relay_epoch: self.relay_epoch, challenge: [5; 32] }
    }
}

pub fn config(world: &World, person: &Person) -> DeviceConfig {
    DeviceConfig {
        key: person.key.clone(),
        incarnation: Incarnation(1),
        user: person.user,
        agency: world.agency,
        relay: world.relay.device_id(),
        credential: DeviceCredential::Member,
        limits: DeviceLimits::default(),
    }
}

pub fn wall(seconds: i64) -> Timestamp {
    Timestamp(START.0 + seconds * 1_000)
}
