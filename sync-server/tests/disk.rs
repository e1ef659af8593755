//! What a chunk takes on the disk, and how fast many are stored.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use vereda_base::{Link, Monotonic, Now};
use vereda_crypto::DeviceKey;
use vereda_policy::Role;
use vereda_protocol::{
    ChunkOutcome, Credential, Down, Opening, Packer, Unpacker, Up, decode_down, encode_up, founding_credential,
};
use vereda_relay::{entropy::SystemEntropy, store::SqliteStore};
use vereda_sync::{
    people::{NOW, Person, link_of},
    relay::{
        Committed, Effect, Input, RelayConfig, RelayMachine, RelayStore, SessionId, founding_digest, store::Founding,
    },
};

const AT: Now = Now { monotonic: Monotonic(Duration::from_secs(1)), wall: NOW };

struct Desk {
    machine: RelayMachine,
    store: SqliteStore,
    packer: Packer,
    unpacker: Unpacker,
}

impl Desk {
    fn input(&mut self, input: Input) -> Committed {
        self.machine.handle_input(AT, input, &mut self.store, &mut SystemEntropy);
        self.settle()
    }

    fn settle(&mut self) -> Committed {
        self.machine.serve(AT, &self.store);
        self.machine.commit(&mut self.store)
    }

    fn take_in(&mut self, id: SessionId, message: &Up) {
        let frame = encode_up(message, &mut self.packer).unwrap();
        self.machine.handle_input(AT, Input::Frame(id, frame), &mut self.store, &mut SystemEntropy);
    }

    fn downs(&mut self, committed: Committed) -> Vec<Down> {
        let frames = committed.effects.into_iter().filter_map(|effect| match effect {
            Effect::Send(_, frame) => Some(frame),
            Effect::Close(_) => None,
        });
        frames.map(|frame| decode_down(&frame, &mut self.unpacker).unwrap()).collect()
    }

    fn up(&mut self, id: SessionId, message: &Up) -> Committed {
        let frame = encode_up(message, &mut self.packer).unwrap();
        self.input(Input::Frame(id, frame))
    }

    fn connect(&mut self, id: SessionId, person: &Person, credential: impl FnOnce(&Opening) -> Credential) {
        (self.packer, self.unpacker) = (Packer::new(), Unpacker::new());
        let opened = self.input(Input::Opened(id));
        let downs = self.downs(opened);
        let [Down::Challenge { relay, relay_epoch, challenge, .. }] = downs.as_slice() else { panic!("{downs:?}") };
        let opening = Opening { relay: *relay, relay_epoch: *relay_epoch, challenge: **challenge };
        let answer = self.up(id, &Up::Auth(person.auth(&opening, credential(&opening))));
        let downs = self.downs(answer);
        assert!(matches!(downs.as_slice(), [Down::Welcome { .. }]), "{downs:?}");
    }
}

const CASES: usize = 50;
/// Chunks of a case: what a week of single edits leaves.
const EDITS: usize = 40;

/// Stores chunks of so many bytes of ciphertext: what each takes on the disk, in all.
fn bytes_a_chunk(ciphertext: usize) -> f64 {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("relay.db");
    let mut store = SqliteStore::open(&path).unwrap();
    store.set_founding(&founding_digest(&[1; 32]), &Founding::Open).unwrap();
    store.commit().unwrap();
    let key = DeviceKey::from_seed(&[200; 32]);
    let machine = RelayMachine::open(key, RelayConfig::default(), &mut store, &mut SystemEntropy).unwrap();
    let mut desk = Desk { machine, store, packer: Packer::new(), unpacker: Unpacker::new() };
    let mut person = Person::new(1);
    let id = SessionId(1);
    desk.connect(id, &person.clone(), |opening| founding_credential(opening, &person.device(), &[1; 32]));
    let (user, agency) = (person.create_user(), person.create_agency());
    let team = person.create_team(agency.chain(), &[(person.user(), Role::Editor)]);
    let cases: Vec<_> = (0..CASES).map(|_| person.create_case(team.chain())).collect();
    for put in [&user, &agency, &team].into_iter().chain(&cases) {
        let put = Up::PutOp { request: 1, op: put.op.signed().clone(), wraps: put.wraps.clone() };
        desk.up(id, &put);
    }
    let size = |desk: &Desk| {
        desk.store.checkpoint().unwrap();
        std::fs::metadata(&path).unwrap().len()
    };
    let before = size(&desk);
    let mut prev: Vec<Option<Link>> = vec![None; CASES];
    let mut chunks = Vec::new();
    for seq in 0..EDITS {
        for (case, prev) in cases.iter().zip(&mut prev) {
            let chunk = person.chunk(case.chain(), seq as u64, *prev, prev.as_slice(), ciphertext);
            *prev = Some(link_of(&chunk));
            chunks.push(chunk);
        }
    }
    for batch in chunks.chunks(100) {
        for chunk in batch {
            desk.take_in(id, &Up::PutChunk(chunk.clone()));
        }
        let committed = desk.settle();
        assert!(committed.failure.is_none());
        let durable = |down: &Down| matches!(down, Down::ChunkResult { outcome: ChunkOutcome::Durable, .. });
        assert_eq!(desk.downs(committed).iter().filter(|down| durable(down)).count(), batch.len());
    }
    let each = (size(&desk) - before) as f64 / chunks.len() as f64;
    println!("{each:.0} B a chunk of {ciphertext} B");
    each
}

/// The floor of the padding and a tag. Signature, nonce, commitment, two hashes and what finds the chunk are 184 B of
/// random bytes at least, and are not spread over more.
#[test]
fn a_single_edit_takes_less_than_twice_its_sealed_size() {
    assert!(bytes_a_chunk(272) < 2.0 * 272.0);
}

#[test]
fn a_day_of_edits_takes_less_than_a_third_more_than_its_sealed_size() {
    assert!(bytes_a_chunk(1_424) < 1.3 * 1_424.0);
}
