//! What every [`RelayStore`] must do, as tests that each backend runs.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "the suite is tests, kept here for every backend"
)]

use vereda_base::{ChainId, Digest, Incarnation, OpId};
use vereda_crypto::Verified;
use vereda_policy::{AppendContext, Authorized, ChainMap, Op, Receipt, check_wraps};
use vereda_protocol::Position;

use super::{About, Entry, Founding, Naming, NewEntry, RelayStore, Scope};
use crate::{
    people::{NOW, Person, Put, link_of},
    relay::admit::AcceptedChunk,
};

/// Makes a module of tests out of two expressions: `$open` opens an empty store, `$reopen` turns a store into the same
/// store after a crash of the process.
///
/// ```ignore
/// vereda_sync::relay_store_conformance!(MemoryStore::new(), |store| reopen(store));
/// ```
#[macro_export]
macro_rules! relay_store_conformance {
    ($open:expr, $reopen:expr) => {
        #[cfg(test)]
        mod relay_store_conformance {
            use $crate::relay::store::conformance as suite;

            #[allow(unused_imports)]
            use super::*;

            #[test]
            fn operations_and_wraps_are_found_by_chain_and_in_log_order() {
                suite::operations_and_wraps_are_found_by_chain_and_in_log_order(&mut $open);
            }

            #[test]
            fn chunks_are_found_by_link_and_version() {
                suite::chunks_are_found_by_link_and_version(&mut $open);
            }

            #[test]
            fn pages_of_the_log_are_bounded_by_position_scope_and_count() {
                suite::pages_of_the_log_are_bounded_by_position_scope_and_count(&mut $open);
            }

            #[test]
            fn small_rows_read_back() {
                suite::small_rows_read_back(&mut $open);
            }

            #[test]
            fn a_rollback_takes_back_everything_since_the_last_commit() {
                suite::a_rollback_takes_back_everything_since_the_last_commit(&mut $open);
            }

            #[test]
            fn a_crash_loses_what_was_not_committed_and_nothing_else() {
                let mut store = $open;
                suite::write_before_a_crash(&mut store);
                let reopen = $reopen;
                suite::read_after_a_crash(&mut reopen(store));
            }
        }
    };
}

/// See the name.
pub fn operations_and_wraps_are_found_by_chain_and_in_log_order(store: &mut dyn RelayStore) {
    let mut writer = Writer::new();
    let user = writer.person.create_user();
    let case = writer.create_case();
    let first = writer.put(store, &user);
    let second = writer.put(store, &case);
    assert_eq!((first, second), (Position(1), Position(3)));
    assert_eq!(store.end(), Ok(Position(4)));
    let stored = store.chain(&case.chain()).unwrap().unwrap();
    assert_eq!((stored.agency, stored.ops.len()), (None, 1));
    assert_eq!((stored.ops[0].position, &stored.ops[0].op), (second, case.op.signed()));
    assert_eq!(store.chain(&ChainId([9; 32])), Ok(None));
    store.set_agency(&case.chain(), &user.chain()).unwrap();
    assert_eq!(store.chain(&case.chain()).unwrap().unwrap().agency, Some(user.chain()));
    let Some(Entry::Wrap { chain, op, wrap, proof }) = store.entry(Position(4)).unwrap() else {
        unreachable!("a wrap was stored")
    };
    assert_eq!((chain, op, &wrap), (case.chain(), case.id(), &case.wraps[0]));
    assert_eq!(proof.index, 0);
    let Some(Entry::Op { op, receipt }) = store.entry(Position(1)).unwrap() else {
        unreachable!("an operation was stored")
    };
    assert_eq!(&op, user.op.signed());
    assert_eq!(receipt.verify().unwrap().value().op, user.id());
    assert_eq!(store.entry(Position(5)), Ok(None));
    assert_eq!(store.entry(Position(0)), Ok(None));
}

/// See the name.
pub fn chunks_are_found_by_link_and_version(store: &mut dyn RelayStore) {
    let mut writer = Writer::new();
    let document = writer.begin(store);
    let (device, incarnation) = (writer.person.device(), writer.person.incarnation);
    assert_eq!(store.version(&device, incarnation, &document), Ok(None));
    let first = writer.person.chunk(document, 0, None, &[], 300);
    let next = writer.person.chunk(document, 1, Some(link_of(&first)), &[link_of(&first)], 700);
    let position = writer.accept(store, &first);
    writer.accept(store, &next);
    assert_eq!(store.chunk_at(&document, &link_of(&first)), Ok(Some(position)));
    assert_eq!(store.chunk_at(&ChainId([1; 32]), &link_of(&first)), Ok(None));
    assert_eq!(store.version(&device, incarnation, &document), Ok(Some((1, link_of(&next)))));
    assert_eq!(store.version(&device, Incarnation(7), &document), Ok(None));
    assert_eq!(store.held(&device, incarnation), Ok(2));
    assert_eq!(store.held(&device, Incarnation(7)), Ok(0));
    assert_eq!(store.entry(position), Ok(Some(Entry::Chunk(first))));
}

/// See the name.
pub fn pages_of_the_log_are_bounded_by_position_scope_and_count(store: &mut dyn RelayStore) {
    let mut writer = Writer::new();
    let document = writer.begin(store);
    for seq in 0..4 {
        let chunk = writer.person.chunk(document, seq, None, &[], 256);
        writer.accept(store, &chunk);
    }
    let positions = |scope, after: u64, upto: u64, limit| -> Vec<u64> {
        let heads = store.heads(scope, Position(after), Position(upto), limit).unwrap();
        heads.iter().map(|head| head.position.0).collect()
    };
    assert_eq!(positions(Scope::Policy, 0, 100, 100), [1, 2, 3, 4]);
    assert_eq!(positions(Scope::Content, 0, 100, 100), [5, 6, 7, 8]);
    assert_eq!(positions(Scope::Content, 5, 7, 100), [6, 7]);
    assert_eq!(positions(Scope::Content, 0, 100, 2), [5, 6]);
    assert_eq!(positions(Scope::Chain(document), 0, 6, 100), [3, 4, 5, 6]);
    assert_eq!(positions(Scope::Chain(ChainId([1; 32])), 0, 100, 100), [0; 0]);
    let heads = store.heads(Scope::Content, Position(4), Position(5), 9).unwrap();
    let (device, incarnation) = (writer.person.device(), writer.person.incarnation);
    assert_eq!(heads[0].about, About::Chunk { document, device, incarnation });
    assert!(heads[0].bytes > 256);
    let heads = store.heads(Scope::Policy, Position(2), Position(4), 9).unwrap();
    assert_eq!(heads[0].about, About::Op { chain: document });
    assert_eq!(heads[1].about, About::Wrap { chain: document, recipient: Digest(writer.person.user().0) });
}

/// See the name.
pub fn small_rows_read_back(store: &mut dyn RelayStore) {
    let person = Person::new(1);
    assert_eq!(store.relay_epoch(), Ok(None));
    store.set_relay_epoch(u64::MAX - 3).unwrap();
    assert_eq!(store.relay_epoch(), Ok(Some(u64::MAX - 3)));
    let (subject, secret) = (Digest([3; 32]), Digest([4; 32]));
    for (naming, chain) in [(Naming::Group, 9), (Naming::Group, 8), (Naming::Document, 7), (Naming::Group, 9)] {
        store.note_member(&subject, naming, &ChainId([chain; 32])).unwrap();
    }
    assert_eq!(store.naming(&subject, Naming::Group), Ok(vec![ChainId([8; 32]), ChainId([9; 32])]));
    assert_eq!(store.naming(&subject, Naming::Document), Ok(vec![ChainId([7; 32])]));
    assert_eq!(store.naming(&Digest([5; 32]), Naming::Group), Ok(Vec::new()));
    assert_eq!(store.cited(&person.device(), &ChainId([9; 32])), Ok(None));
    store.set_cited(&person.device(), &ChainId([9; 32]), 4).unwrap();
    store.set_cited(&person.device(), &ChainId([9; 32]), 6).unwrap();
    assert_eq!(store.cited(&person.device(), &ChainId([9; 32])), Ok(Some(6)));
    assert_eq!(store.founding(&secret), Ok(None));
    store.set_founding(&secret, &Founding::Open).unwrap();
    assert_eq!(store.founding(&secret), Ok(Some(Founding::Open)));
    store.set_founding(&secret, &Founding::Claimed(person.device())).unwrap();
    assert_eq!(store.founding_of(&person.device()), Ok(Some(secret)));
    store.set_founding(&secret, &Founding::Spent(ChainId([9; 32]))).unwrap();
    assert_eq!(store.founding(&secret), Ok(Some(Founding::Spent(ChainId([9; 32])))));
    assert_eq!(store.founding_of(&person.device()), Ok(None));
}

/// See the name.
pub fn a_rollback_takes_back_everything_since_the_last_commit(store: &mut dyn RelayStore) {
    write_before_a_crash(store);
    store.rollback();
    read_after_a_crash(store);
}

/// Commits some, and writes more without a commit.
pub fn write_before_a_crash(store: &mut dyn RelayStore) {
    let mut writer = Writer::new();
    let document = writer.begin(store);
    store.set_relay_epoch(5).unwrap();
    store.commit().unwrap();
    let chunk = writer.person.chunk(document, 0, None, &[], 300);
    writer.accept(store, &chunk);
    let other = writer.create_case();
    writer.put(store, &other);
    store.set_relay_epoch(6).unwrap();
    store.set_cited(&writer.person.device(), &document, 1).unwrap();
    store.note_member(&Digest([1; 32]), Naming::Group, &document).unwrap();
    store.set_agency(&document, &document).unwrap();
    assert_eq!(store.end(), Ok(Position(7)));
}

/// Finds what was committed, and appends where the log ended.
pub fn read_after_a_crash(store: &mut dyn RelayStore) {
    let mut writer = Writer::new();
    let user = writer.person.create_user();
    let case = writer.create_case();
    let document = case.chain();
    assert_eq!(store.end(), Ok(Position(4)));
    assert_eq!(store.relay_epoch(), Ok(Some(5)));
    assert_eq!(store.heads(Scope::Content, Position(0), Position(99), 9), Ok(Vec::new()));
    assert_eq!(store.chain(&document).unwrap().unwrap().agency, None);
    assert_eq!(store.chain(&user.chain()).unwrap().unwrap().ops.len(), 1);
    assert_eq!(store.held(&writer.person.device(), writer.person.incarnation), Ok(0));
    assert_eq!(store.cited(&writer.person.device(), &document), Ok(None));
    assert_eq!(store.naming(&Digest([1; 32]), Naming::Group), Ok(Vec::new()));
    let chunk = writer.person.chunk(document, 0, None, &[], 300);
    assert_eq!(writer.accept(store, &chunk), Position(5));
    store.commit().unwrap();
}

/// One person and a relay's key, who fill a store.
struct Writer {
    person: Person,
    relay: vereda_crypto::DeviceKey,
    chains: ChainMap,
}

impl Writer {
    fn new() -> Self {
        let relay = vereda_crypto::DeviceKey::from_seed(&[200; 32]);
        Self { person: Person::new(1), relay, chains: ChainMap::new() }
    }

    fn create_case(&mut self) -> Put {
        self.person.create_case(self.person.user())
    }

    /// Puts a user and a case of theirs: four entries.
    fn begin(&mut self, store: &mut dyn RelayStore) -> ChainId {
        let user = self.person.create_user();
        let case = self.create_case();
        self.put(store, &user);
        self.put(store, &case);
        case.chain()
    }

    fn put(&mut self, store: &mut dyn RelayStore, put: &Put) -> Position {
        let op: Authorized<Op> = self.chains.append(&put.op, &AppendContext::relay(NOW)).unwrap();
        let receipt = Receipt::for_op(&op, self.relay.device_id(), 5, NOW);
        let receipt = Verified::sign(&self.relay, receipt).unwrap();
        let position = store.append(&NewEntry::Op { op: &op, receipt: &receipt }).unwrap();
        let vereda_policy::Body::Create(create) = &put.op.value().body else { return position };
        let proofs = check_wraps(&create.epoch.wraps, &put.wraps).unwrap();
        let (chain, id): (ChainId, OpId) = (put.chain(), put.id());
        for (wrap, proof) in put.wraps.iter().zip(&proofs) {
            store.append(&NewEntry::Wrap { chain: &chain, op: &id, wrap, proof }).unwrap();
        }
        position
    }

    fn accept(&self, store: &mut dyn RelayStore, chunk: &vereda_protocol::Chunk) -> Position {
        let header = chunk.header.clone().verify().unwrap();
        let chains = &self.person.chains;
        let header = vereda_policy::authorize_content(chains, &header, None).unwrap();
        let accepted = AcceptedChunk::new(header, chunk.clone());
        store.append(&NewEntry::Chunk(&accepted)).unwrap()
    }
}
