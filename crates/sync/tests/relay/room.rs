//! A relay and its clients in one place: frames go through the real coding, effects only after a commit.

use std::{collections::BTreeMap, time::Duration};

use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use vereda_base::{ChainId, Monotonic, Now, OpId};
use vereda_crypto::{DeviceKey, context};
use vereda_policy::{Body, Frontier, FrontierTree, Revoke, Role, rotations_due};
use vereda_protocol::{
    Auth, Chunk, ChunkOutcome, Credential, Down, Goodbye, OfferedLeaf, OpOutcome, Opening, Packer, PolicyEntry,
    Position, RefusalCode, Unpacker, Up, WelcomeFields, decode_down, encode_up, founding_credential, welcome_message,
};
use vereda_sync::people::{NOW, Person, Put, link_of, nothing_stands};
use vereda_sync::relay::{
    Effect, Input, MemoryStore, RelayConfig, RelayMachine, RelayStore, SessionId, StoreError, founding_digest,
    store::Founding,
};

pub const FOUNDING: [u8; 32] = [42; 32];

pub struct Room {
    pub machine: RelayMachine,
    pub store: MemoryStore,
    pub now: Now,
    pub rng: ChaCha20Rng,
    pub clients: BTreeMap<SessionId, Client>,
    /// Whether frames count as written as soon as they are sent.
    pub drains: bool,
    opened: u64,
}

#[derive(Default)]
pub struct Client {
    packer: Packer,
    unpacker: Unpacker,
    pub inbox: Vec<Down>,
    pub bytes: usize,
    pub frames: usize,
    pub unwritten: usize,
    pub closed: bool,
    pub cursors: (Position, Position),
}

impl Room {
    pub fn new() -> Self {
        let mut store = MemoryStore::new();
        store.set_founding(&founding_digest(&FOUNDING), &Founding::Open).unwrap();
        store.commit().unwrap();
        Self::over(store)
    }

    pub fn over(store: MemoryStore) -> Self {
        Self::over_with(store, RelayConfig::default())
    }

    pub fn over_with(mut store: MemoryStore, config: RelayConfig) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(7);
        let key = DeviceKey::from_seed(&[200; 32]);
        let machine = RelayMachine::open(key, config, &mut store, &mut rng).unwrap();
        let now = Now { monotonic: Monotonic(Duration::from_secs(5)), wall: NOW };
        Self { machine, store, now, rng, clients: BTreeMap::new(), drains: true, opened: 0 }
    }

    /// Opens a connection: its challenge waits in the inbox.
    pub fn open(&mut self) -> (SessionId, Opening) {
        self.opened += 1;
        let id = SessionId(self.opened);
        self.clients.insert(id, Client::default());
        self.input(Input::Opened(id));
        let down = self.clients.get_mut(&id).unwrap().inbox.remove(0);
        let Down::Challenge { relay, relay_epoch, challenge, .. } = down else { panic!("expected a challenge") };
        (id, Opening { relay, relay_epoch, challenge: *challenge })
    }

    /// Opens a connection and authenticates.
    pub fn connect(&mut self, person: &Person, credential: impl FnOnce(&Opening) -> Credential) -> SessionId {
        let (id, opening) = self.open();
        let auth = person.auth(&opening, credential(&opening));
        self.up(id, Up::Auth(auth.clone()));
        self.check_welcome(id, &opening, &auth);
        id
    }

    pub fn connect_member(&mut self, person: &Person) -> SessionId {
        self.connect(person, |_| Credential::Member)
    }

    fn check_welcome(&self, id: SessionId, opening: &Opening, auth: &Auth) {
        let Some(Down::Welcome { version, time, held, end, signature }) = self.clients[&id].inbox.first() else {
            return;
        };
        let fields = WelcomeFields {
            device: auth.device,
            nonce: *auth.nonce,
            version: *version,
            time: *time,
            held: *held,
            end: *end,
        };
        let message = welcome_message(opening, &fields);
        vereda_crypto::verify(context::WELCOME_SIGNATURE, &opening.relay, &message, signature).unwrap();
    }

    pub fn up(&mut self, id: SessionId, message: Up) {
        let frame = encode_up(&message, &mut self.clients.get_mut(&id).unwrap().packer).unwrap();
        self.input(Input::Frame(id, frame));
    }

    /// Hands a frame in without a commit.
    pub fn up_only(&mut self, id: SessionId, message: Up) {
        let frame = encode_up(&message, &mut self.clients.get_mut(&id).unwrap().packer).unwrap();
        self.machine.handle_input(self.now, Input::Frame(id, frame), &mut self.store, &mut self.rng);
    }

    pub fn input(&mut self, input: Input) {
        self.machine.handle_input(self.now, input, &mut self.store, &mut self.rng);
        assert_eq!(self.settle(), None);
    }

    /// Serves and commits until nothing is left to do.
    pub fn settle(&mut self) -> Option<StoreError> {
        loop {
            match self.serve() {
                (_, Some(failure)) => return Some(failure),
                (false, None) => return None,
                (true, None) => {}
            }
        }
    }

    /// Serves one round and commits. Says whether there is more to do.
    pub fn step(&mut self) -> bool {
        let (more, failure) = self.serve();
        assert_eq!(failure, None);
        more
    }

    fn serve(&mut self) -> (bool, Option<StoreError>) {
        let more = self.machine.serve(self.now, &self.store);
        let committed = self.machine.commit(&mut self.store);
        self.take_effects(committed.effects);
        (more, committed.failure)
    }

    fn take_effects(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Send(id, frame) => {
                    let client = self.clients.get_mut(&id).unwrap();
                    assert!(!client.closed, "a frame after the close");
                    let down = decode_down(&frame, &mut client.unpacker).unwrap();
                    client.note_cursors(&down);
                    client.inbox.push(down);
                    client.bytes += frame.len();
                    client.frames += 1;
                    if self.drains {
                        let written = Input::Written(id, frame.len());
                        self.machine.handle_input(self.now, written, &mut self.store, &mut self.rng);
                    } else {
                        client.unwritten += frame.len();
                    }
                }
                Effect::Close(id) => self.clients.get_mut(&id).unwrap().closed = true,
            }
        }
    }

    pub fn take(&mut self, id: SessionId) -> Vec<Down> {
        std::mem::take(&mut self.clients.get_mut(&id).unwrap().inbox)
    }

    pub fn pull(&mut self, id: SessionId, policy: u64, content: u64) -> Vec<Down> {
        self.up(id, Up::Pull { policy: Position(policy), content: Position(content), lasts: vec![] });
        self.take(id)
    }

    /// Tells how the session ended.
    pub fn goodbye(&mut self, id: SessionId) -> Option<Goodbye> {
        let client = &self.clients[&id];
        match client.inbox.last() {
            Some(Down::Goodbye(why)) if client.closed => Some(*why),
            _ => None,
        }
    }

    pub fn put(&mut self, id: SessionId, put: &Put) -> OpOutcome {
        self.take(id);
        self.up(id, Up::PutOp { request: 9, op: put.op.signed().clone(), wraps: put.wraps.clone() });
        let outcome = |down: &Down| match down {
            Down::OpResult { request: 9, outcome } => Some(outcome.clone()),
            _ => None,
        };
        self.clients[&id].inbox.iter().find_map(outcome).expect("an answer to the operation")
    }

    pub fn put_chunk(&mut self, id: SessionId, chunk: &Chunk) -> ChunkOutcome {
        self.take(id);
        self.up(id, Up::PutChunk(chunk.clone()));
        let link = link_of(chunk);
        let outcome = |down: &Down| match down {
            Down::ChunkResult { link: of, outcome } if *of == link => Some(outcome.clone()),
            _ => None,
        };
        self.clients[&id].inbox.iter().find_map(outcome).expect("an answer to the chunk")
    }

    /// Founds an agency with one Manager, connected and caught up.
    pub fn founded() -> (Self, Person, SessionId, ChainId) {
        let mut room = Self::new();
        let mut manager = Person::new(1);
        let id = room.connect(&manager, |opening| founding(opening, &Person::new(1)));
        room.pull(id, 0, 0);
        let user = manager.create_user();
        assert_appended(&room.put(id, &user));
        let agency = manager.create_agency();
        assert_appended(&room.put(id, &agency));
        room.take(id);
        (room, manager, id, agency.chain())
    }

    /// Lets another person join by an invite of the manager's, connected and caught up.
    pub fn join(
        &mut self,
        manager: (&mut Person, SessionId),
        chain: ChainId,
        role: Role,
        seed: u8,
    ) -> (Person, SessionId) {
        let invite = manager.0.invite(chain, role, seed, NOW.saturating_add(Duration::from_secs(3600)));
        assert_appended(&self.put(manager.1, &invite));
        let mut person = Person::new(seed);
        let id = self.connect(&person, |opening| Person::new(seed).credential(opening, chain, invite.id(), seed));
        let downs = self.pull(id, 0, 0);
        learn(&mut person, &downs);
        assert_appended(&{
            let user = person.create_user();
            manager.0.learn(&user.op);
            self.put(id, &user)
        });
        let accept = person.accept(chain, invite.id(), seed);
        manager.0.learn(&accept.op);
        assert_appended(&self.put(id, &accept));
        (person, id)
    }

    /// Makes a case of a team's or user's, put by its author.
    pub fn case(&mut self, author: (&mut Person, SessionId), holder: ChainId) -> ChainId {
        let case = author.0.create_case(holder);
        assert_appended(&self.put(author.1, &case));
        case.chain()
    }
}

/// Signs a removal, over what the relay offers where it offers something, and puts it. Gives it with the leaves.
pub fn remove(
    room: &mut Room,
    author: (&mut Person, SessionId),
    sign: &dyn Fn(&Person, Frontier) -> Put,
) -> (Put, Vec<OfferedLeaf>) {
    let first = sign(author.0, nothing_stands());
    let (put, leaves) = match room.put(author.1, &first) {
        OpOutcome::FrontierMoved(leaves) => {
            let tree = FrontierTree::new(leaves.iter().map(OfferedLeaf::leaf));
            let put = sign(author.0, tree.frontier());
            assert_appended(&room.put(author.1, &put));
            (put, leaves)
        }
        outcome => {
            assert_appended(&outcome);
            (first, Vec::new())
        }
    };
    author.0.learn(&put.op);
    (put, leaves)
}

/// Ends the roles of a member.
pub fn revoke(room: &mut Room, author: (&mut Person, SessionId), chain: ChainId, subject: ChainId) -> Put {
    let sign = |person: &Person, frontier| {
        person.draft(chain, Body::Revoke(Revoke { subject, keeps: None, successor: None, frontier }))
    };
    remove(room, author, &sign).0
}

/// Rotates the groups and then the document, as whoever writes next does.
pub fn rotate(room: &mut Room, author: (&mut Person, SessionId), chain: ChainId) {
    let (device, now) = (author.0.device(), Some(author.0.now));
    for due in rotations_due(&author.0.chains, &device, &chain, now) {
        let put = author.0.rotate(due);
        assert_appended(&room.put(author.1, &put));
    }
}

impl Client {
    fn note_cursors(&mut self, down: &Down) {
        match down {
            Down::Policy { cursor, .. } => self.cursors.0 = *cursor,
            Down::Content { cursor, .. } => self.cursors.1 = *cursor,
            Down::CaughtUp { cursor } => self.cursors = (*cursor, *cursor),
            _ => {}
        }
    }
}

/// Shows the founding secret.
pub fn founding(opening: &Opening, person: &Person) -> Credential {
    founding_credential(opening, &person.device(), &FOUNDING)
}

pub fn assert_appended(outcome: &OpOutcome) {
    assert!(matches!(outcome, OpOutcome::Appended(_)), "{outcome:?}");
}

pub fn refused(code: RefusalCode) -> ChunkOutcome {
    ChunkOutcome::Refused(code)
}

/// Takes the operations that came into what a person knows.
pub fn learn(person: &mut Person, downs: &[Down]) {
    for op in ops(downs) {
        person.learn(&op);
    }
}

pub fn ops(downs: &[Down]) -> Vec<vereda_crypto::Verified<vereda_policy::Op>> {
    let of = |entries: &[PolicyEntry]| -> Vec<_> {
        let op = |entry: &PolicyEntry| match entry {
            PolicyEntry::Op { op, .. } => Some(op.clone().verify().unwrap()),
            _ => None,
        };
        entries.iter().filter_map(op).collect()
    };
    entries(downs).iter().flat_map(|entry| of(std::slice::from_ref(entry))).collect()
}

pub fn op_ids(downs: &[Down]) -> Vec<OpId> {
    ops(downs).iter().map(|op| vereda_policy::op_id_of_bytes(op.bytes())).collect()
}

pub fn entries(downs: &[Down]) -> Vec<PolicyEntry> {
    let of = |down: &Down| match down {
        Down::Policy { entries, .. } | Down::BackfillPart { entries, .. } => entries.clone(),
        _ => Vec::new(),
    };
    downs.iter().flat_map(of).collect()
}

pub fn chunks(downs: &[Down]) -> Vec<Chunk> {
    let of = |down: &Down| match down {
        Down::Content { chunks, .. } | Down::BackfillPart { chunks, .. } => chunks.clone(),
        _ => Vec::new(),
    };
    downs.iter().flat_map(of).collect()
}

pub fn visible(downs: &[Down]) -> Vec<(ChainId, Position)> {
    let of = |entry: PolicyEntry| match entry {
        PolicyEntry::Visible { document, upto } => Some((document, upto)),
        _ => None,
    };
    entries(downs).into_iter().filter_map(of).collect()
}
