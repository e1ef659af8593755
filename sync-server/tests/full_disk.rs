//! A disk that is full: nothing is acknowledged, everyone is told, and work goes on when there is room.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use vereda_base::{Monotonic, Now};
use vereda_crypto::DeviceKey;
use vereda_protocol::{
    ChunkOutcome, Credential, Down, Opening, Packer, Unpacker, Up, decode_down, encode_up, founding_credential,
};
use vereda_relay::{entropy::SystemEntropy, store::SqliteStore};
use vereda_sync::{
    people::{NOW, Person, link_of},
    relay::{
        Committed, Effect, Input, RelayConfig, RelayMachine, RelayStore, SessionId, StoreError, founding_digest,
        store::Founding,
    },
};

struct Desk {
    machine: RelayMachine,
    store: SqliteStore,
    packer: Packer,
    unpacker: Unpacker,
}

impl Desk {
    fn input(&mut self, input: Input) -> Committed {
        let now = Now { monotonic: Monotonic(Duration::from_secs(1)), wall: NOW };
        self.machine.handle_input(now, input, &mut self.store, &mut SystemEntropy);
        self.machine.serve(now, &self.store);
        self.machine.commit(&mut self.store)
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

#[test]
fn a_full_disk_closes_every_session_with_its_reason_and_work_goes_on_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = SqliteStore::open(&folder.path().join("relay.db")).unwrap();
    store.set_founding(&founding_digest(&[1; 32]), &Founding::Open).unwrap();
    store.commit().unwrap();
    let key = DeviceKey::from_seed(&[200; 32]);
    let machine = RelayMachine::open(key, RelayConfig::default(), &mut store, &mut SystemEntropy).unwrap();
    let mut desk = Desk { machine, store, packer: Packer::new(), unpacker: Unpacker::new() };
    let mut person = Person::new(1);
    desk.connect(SessionId(1), &person.clone(), |opening| founding_credential(opening, &person.device(), &[1; 32]));
    let (user, agency) = (person.create_user(), person.create_agency());
    let case = person.create_case(agency.chain());
    for put in [&user, &agency, &case] {
        let put = Up::PutOp { request: 1, op: put.op.signed().clone(), wraps: put.wraps.clone() };
        assert_eq!(desk.up(SessionId(1), &put).failure, None);
    }
    let end = desk.store.end().unwrap();
    let pages = desk.store.page_count().unwrap();
    desk.store.limit_pages(pages).unwrap();
    let chunk = person.chunk(case.chain(), 0, None, &[], 100_000);
    let put = Up::PutChunk(chunk.clone());
    let committed = desk.up(SessionId(1), &put);
    assert_eq!(committed.failure, Some(StoreError::Full));
    assert!(matches!(committed.effects.as_slice(), [Effect::Send(SessionId(1), _), Effect::Close(SessionId(1))]));
    assert_eq!((desk.machine.session_count(), desk.store.end().unwrap()), (0, end));
    desk.store.limit_pages(u32::MAX - 2).unwrap();
    desk.connect(SessionId(2), &person, |_| Credential::Member);
    let committed = desk.up(SessionId(2), &put);
    let durable = Down::ChunkResult { link: link_of(&chunk), outcome: ChunkOutcome::Durable };
    assert_eq!(desk.downs(committed), [durable]);
}
