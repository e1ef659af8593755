//! A real device machine that listens to whatever the test's relay says.

use std::{collections::VecDeque, ops::ControlFlow, time::Duration};

use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use vereda_base::{ChainId, Link, Monotonic, Now};
use vereda_policy::{ChainKind, Chains};
use vereda_protocol::{Auth, Chunk, Down, Packer, PolicyEntry, Position, Unpacker, Up, decode_up, encode_down};
use vereda_sync::{
    device::{
        DeviceConfig, DeviceCredential, DeviceLimits, DeviceMachine, Disconnect, Effect, Event, Input, MemoryStore,
        QuarantineReason, RelayFault, SyncState,
    },
    people::{NOW, Person, Put, link_of},
};

use crate::colluder::{Colluder, Stage};

/// A device and the other end of its connection.
pub struct Victim {
    /// The machine.
    pub machine: DeviceMachine,
    /// Its store.
    pub store: MemoryStore,
    /// Whose device it is.
    pub person: Person,
    /// What the device sent and nobody looked at.
    pub sent: VecDeque<Up>,
    /// What it told its application.
    pub events: Vec<Event>,
    /// The end of its relay's log, as the next welcome says.
    pub end: Position,
    /// How many of its chunks its relay holds, as the next welcome says.
    pub held: u64,
    relay: vereda_base::DeviceId,
    agency: ChainId,
    orders: Vec<Effect>,
    now: Now,
    rng: ChaCha20Rng,
    packer: Packer,
    unpacker: Unpacker,
    cursor: u64,
}

impl Victim {
    /// Chipo's device, connected and caught up.
    pub fn of(stage: &Stage) -> Self {
        Self::of_person(stage, &stage.chipo)
    }

    /// A person's device, connected and caught up.
    pub fn of_person(stage: &Stage, person: &Person) -> Self {
        let mut victim = Self::new(&stage.relay, person);
        victim.connect(&stage.relay);
        victim.catch_up(&stage.relay);
        victim.sent.clear();
        victim.events.clear();
        victim
    }

    /// As [`Self::of`], but what came last is heard anew: a device to which it is news.
    pub fn of_before(stage: &Stage, news: &[PolicyEntry]) -> Self {
        let mut earlier = stage.relay.clone();
        earlier.entries.retain(|entry| !news.contains(entry));
        let mut victim = Self::new(&stage.relay, &stage.chipo);
        victim.connect(&earlier);
        victim.catch_up(&earlier);
        let first: Vec<PolicyEntry> =
            news.iter().filter(|entry| matches!(entry, PolicyEntry::Op { .. })).cloned().collect();
        victim.policy(first);
        victim.sent.clear();
        victim.events.clear();
        victim
    }

    /// Tells how far the relay says to have served.
    pub const fn cursor(&self) -> Position {
        Position(self.cursor)
    }

    /// A person's device with an empty store, offline; it takes the colluder for its relay.
    pub fn new(relay: &Colluder, person: &Person) -> Self {
        let first = relay.chains.iter().filter(|state| state.kind() == ChainKind::Agency);
        let agency = first.min_by_key(|state| state.op(0).and_then(|op| op.time)).unwrap().id();
        Self::over(MemoryStore::new(), relay.key.device_id(), agency, person)
    }

    fn over(mut store: MemoryStore, relay: vereda_base::DeviceId, agency: ChainId, person: &Person) -> Self {
        let config = DeviceConfig {
            key: person.key.clone(),
            incarnation: person.incarnation,
            user: person.user(),
            agency,
            relay,
            credential: DeviceCredential::Member,
            limits: DeviceLimits::default(),
        };
        let machine = DeviceMachine::open(config, &mut store).unwrap();
        Self {
            machine,
            store,
            person: person.clone(),
            sent: VecDeque::new(),
            events: Vec::new(),
            end: Position(1 << 40),
            held: 0,
            relay,
            agency,
            orders: Vec::new(),
            now: Now { monotonic: Monotonic(Duration::from_secs(100)), wall: NOW },
            rng: ChaCha20Rng::seed_from_u64(1),
            packer: Packer::new(),
            unpacker: Unpacker::new(),
            cursor: 0,
        }
    }

    /// Puts a copy of its store back in place of the store.
    #[must_use]
    pub fn put_back(self, copy: MemoryStore) -> Self {
        Self { store: copy, ..self }.restart()
    }

    /// Ends its process as a kill does, and starts it again over what it had committed.
    #[must_use]
    pub fn restart(self) -> Self {
        let mut store = self.store;
        store.crash();
        let (cursor, held) = (self.cursor, self.held);
        Self { cursor, held, ..Self::over(store, self.relay, self.agency, &self.person) }
    }

    /// Connects up to and with the welcome. Gives the cursors it asked from.
    pub fn connect(&mut self, relay: &Colluder) -> (Position, Position) {
        let auth = self.greet(relay).expect("a proof");
        let Some(Up::Pull { policy, content, .. }) = self.sent.pop_front() else { panic!("no pull") };
        let welcome = relay.welcome_with(&auth, self.held, self.end);
        self.hear(&welcome);
        (policy, content)
    }

    /// Connects and says the challenge. Gives the device's proof, if it makes one.
    pub fn greet(&mut self, relay: &Colluder) -> Option<Auth> {
        self.input(Input::Start);
        assert_eq!(self.orders.pop(), Some(Effect::Connect));
        (self.packer, self.unpacker) = (Packer::new(), Unpacker::new());
        self.sent.clear();
        self.input(Input::Connected);
        self.hear(&relay.challenge());
        match self.sent.pop_front() {
            Some(Up::Auth(auth)) => Some(auth),
            None => None,
            other => panic!("the first frame is no proof: {other:?}"),
        }
    }

    /// Lets time pass.
    pub fn pass(&mut self, time: Duration) {
        self.now.monotonic = self.now.monotonic.saturating_add(time);
        self.now.wall = self.now.wall.saturating_add(time);
    }

    /// Loses the connection.
    pub fn lose(&mut self) {
        self.input(Input::Closed);
        self.orders.clear();
    }

    /// Hears a message.
    pub fn hear(&mut self, message: &Down) {
        let frame = encode_down(message, &mut self.packer).unwrap();
        self.input(Input::Frame(frame));
    }

    /// Hears the relay's whole policy.
    pub fn catch_up(&mut self, relay: &Colluder) {
        self.policy(relay.entries.clone());
        self.hear(&Down::CaughtUp { cursor: Position(self.cursor) });
    }

    /// Hears entries of policy.
    pub fn policy(&mut self, entries: Vec<PolicyEntry>) {
        self.cursor += entries.len() as u64;
        self.hear(&Down::Policy { entries, cursor: Position(self.cursor) });
    }

    /// Hears chunks.
    pub fn content(&mut self, chunks: &[&Chunk]) {
        self.cursor += chunks.len() as u64;
        let chunks = chunks.iter().map(|chunk| (*chunk).clone()).collect();
        self.hear(&Down::Content { chunks, cursor: Position(self.cursor) });
    }

    fn input(&mut self, input: Input) {
        self.machine.handle_input(self.now, input, &mut self.store, &mut self.rng);
        self.commit();
    }

    /// Commits, and takes the effects.
    pub fn commit(&mut self) {
        let committed = self.machine.commit(&mut self.store);
        assert_eq!(committed.failure, None);
        for effect in committed.effects {
            match effect {
                Effect::Send(frame) => self.sent.push_back(decode_up(&frame, &mut self.unpacker).unwrap()),
                Effect::Event(event) => self.events.push(event),
                order => self.orders.push(order),
            }
        }
    }

    /// Says whether a chunk stands here.
    pub fn has(&self, chunk: &Chunk) -> bool {
        self.stored(&crate::line::header_of(chunk).document).contains(&link_of(chunk))
    }

    /// Lists the links of a document's chunks that stand here.
    pub fn stored(&self, document: &ChainId) -> Vec<Link> {
        let mut links = Vec::new();
        self.machine
            .chunks_since(&self.store, document, 0, &mut |_, chunk| {
                links.push(link_of(&chunk));
                ControlFlow::Continue(())
            })
            .unwrap();
        links
    }

    /// Says whether an operation has an effect here.
    pub fn obeys(&self, put: &Put) -> bool {
        let view = self.machine.chains(&self.store);
        let state = view.chain(&put.chain());
        state.is_some_and(|state| {
            let record = state.seq_of(&put.id()).and_then(|seq| state.op(seq).copied());
            record.is_some_and(|record| !record.is_void)
        })
    }

    /// Why chunks of a document were set aside.
    pub fn set_aside(&self, document: &ChainId) -> Vec<QuarantineReason> {
        self.machine.quarantined(&self.store, document).unwrap().iter().map(|row| row.reason).collect()
    }

    /// Why a document is not synced.
    pub fn explain(&self, document: &ChainId) -> SyncState {
        self.machine.explain(&self.store, document).unwrap()
    }

    /// Takes the next operation that it sent, with its request.
    pub fn take_put(&mut self) -> Option<(u64, vereda_crypto::Signed<vereda_policy::Op>)> {
        while let Some(up) = self.sent.pop_front() {
            if let Up::PutOp { request, op, .. } = up {
                return Some((request, op));
            }
        }
        None
    }

    /// What speaks against its relay.
    pub fn faults(&self) -> Vec<RelayFault> {
        self.machine.relay_faults(&self.store).unwrap()
    }

    /// Says whether it told its application something.
    pub fn saw(&self, event: &Event) -> bool {
        self.events.contains(event)
    }

    /// Why connections ended, oldest first.
    pub fn disconnects(&self) -> Vec<Disconnect> {
        let reason = |event: &Event| match event {
            Event::Disconnected { reason, .. } => Some(*reason),
            _ => None,
        };
        self.events.iter().filter_map(reason).collect()
    }

    /// Seals a chunk on this device, on all that stands here, and puts it into the outbox.
    pub fn write(&mut self, document: &ChainId) -> Chunk {
        let place = self.machine.next_place(&self.store, document).unwrap();
        let heads = self.machine.heads(&self.store, document).unwrap();
        let cites = self.machine.cites(&self.store, document).unwrap().expect("a right to write");
        let mut header = self.person.header(*document, place.seq, place.prev, &heads, 300);
        (header.cites, header.incarnation) = (cites, place.incarnation);
        let chunk = self.person.seal(&header, 300);
        self.machine.enqueue_chunk(&mut self.store, &chunk).unwrap();
        self.commit();
        chunk
    }
}
