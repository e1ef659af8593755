//! What every [`RelayStore`] must do, as tests that each backend runs.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "the suite is tests, kept here for every backend"
)]

use vereda_base::{ChainId, Digest, Incarnation, OpId};
use vereda_crypto::Verified;
use vereda_policy::{AppendContext, Authorized, ChainMap, Op, Place, Receipt, Role, check_wraps, wrap_list};
use vereda_protocol::{OfferedLeaf, Position};

use super::{
    About, Entry, Founding, Naming, NewEntry, RelayStore, ReviewLoad, ReviewStanding, Reviewed, ReviewedDocument, Scope,
};
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
            fn places_of_a_device_are_listed_with_the_last_that_stands() {
                suite::places_of_a_device_are_listed_with_the_last_that_stands(&mut $open);
            }

            #[test]
            fn leaves_are_found_by_the_chains_that_they_name() {
                suite::leaves_are_found_by_the_chains_that_they_name(&mut $open);
            }

            #[test]
            fn what_is_in_review_stands_beside_the_log_until_it_is_decided_on() {
                suite::what_is_in_review_stands_beside_the_log_until_it_is_decided_on(&mut $open);
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
    assert_eq!(positions(Scope::Chain(document), 4, 100, 2), [5, 6]);
    assert_eq!(positions(Scope::Chain(ChainId([1; 32])), 0, 100, 100), [0; 0]);
    assert_eq!(positions(Scope::ChainPolicy(document), 0, 100, 100), [3, 4]);
    assert_eq!(positions(Scope::ChainPolicy(document), 3, 100, 100), [4]);
    let heads = store.heads(Scope::Content, Position(4), Position(5), 9).unwrap();
    let (device, incarnation) = (writer.person.device(), writer.person.incarnation);
    assert_eq!(heads[0].about, About::Chunk { document, device, incarnation });
    assert!(heads[0].bytes > 256);
    let heads = store.heads(Scope::Policy, Position(2), Position(4), 9).unwrap();
    assert_eq!(heads[0].about, About::Op { chain: document });
    assert_eq!(heads[1].about, About::Wrap { chain: document, recipient: Digest(writer.person.user().0) });
}

/// See the name.
pub fn places_of_a_device_are_listed_with_the_last_that_stands(store: &mut dyn RelayStore) {
    let mut writer = Writer::new();
    let user = writer.person.create_user();
    writer.put(store, &user);
    let (first, second) = (writer.create_case(), writer.create_case());
    writer.put(store, &first);
    writer.put(store, &second);
    let grant = writer.person.grant(first.chain(), user.chain(), Role::Manager);
    writer.put(store, &grant);
    let chunk = writer.person.chunk(first.chain(), 0, None, &[], 300);
    let next = writer.person.chunk(first.chain(), 1, Some(link_of(&chunk)), &[], 300);
    writer.accept(store, &chunk);
    writer.accept(store, &next);
    writer.person.incarnation = Incarnation(u64::MAX - 1);
    let other = writer.person.chunk(second.chain(), 0, None, &[], 300);
    writer.accept(store, &other);
    let device = writer.person.device();
    let content = |document, incarnation, seq, chunk| OfferedLeaf {
        place: Place::Content { document, device, incarnation },
        seq,
        id: Digest(link_of(chunk).0),
    };
    let ops =
        |put: &Put, seq| OfferedLeaf { place: Place::Ops { chain: put.chain(), device }, seq, id: Digest(put.id().0) };
    let in_first = vec![content(first.chain(), Person::new(1).incarnation, 1, &next), ops(&grant, 1)];
    let in_second = vec![content(second.chain(), Incarnation(u64::MAX - 1), 0, &other), ops(&second, 0)];
    let places = |within: Option<&ChainId>| {
        let mut places = store.places(&device, within).unwrap();
        places.sort_by_key(|leaf| leaf.place);
        places
    };
    let sorted = |lists: &[&[OfferedLeaf]]| {
        let mut places = lists.concat();
        places.sort_by_key(|leaf| leaf.place);
        places
    };
    assert_eq!(places(Some(&first.chain())), sorted(&[&in_first]));
    assert_eq!(places(Some(&second.chain())), sorted(&[&in_second]));
    assert_eq!(places(Some(&ChainId([9; 32]))), []);
    assert_eq!(places(None), sorted(&[&in_first, &in_second, &[ops(&user, 0)]]));
    assert_eq!(store.places(&Person::new(2).device(), None), Ok(Vec::new()));
}

/// See the name.
pub fn leaves_are_found_by_the_chains_that_they_name(store: &mut dyn RelayStore) {
    let mut writer = Writer::new();
    let document = writer.begin(store);
    let device = writer.person.device();
    let other = ChainId([8; 32]);
    let leaf = |chain, seq| OfferedLeaf { place: Place::Ops { chain, device }, seq, id: Digest([7; 32]) };
    let append = |store: &mut dyn RelayStore, removal, leaves: &[OfferedLeaf]| {
        store.append(&NewEntry::Frontier { chain: &document, removal: &OpId([removal; 32]), leaves }).unwrap()
    };
    let first = append(store, 1, &[leaf(document, 1), leaf(other, u64::from(u32::MAX))]);
    let second = append(store, 2, &[leaf(other, 4)]);
    let none = append(store, 3, &[]);
    assert_eq!(store.frontiers_naming(&document), Ok(vec![first]));
    assert_eq!(store.frontiers_naming(&other), Ok(vec![first, second]));
    assert_eq!(store.frontiers_naming(&ChainId([9; 32])), Ok(Vec::new()));
    let leaves = vec![leaf(other, 4)];
    let entry = Entry::Frontier { chain: document, removal: OpId([2; 32]), leaves };
    assert_eq!(store.entry(second), Ok(Some(entry)));
    let heads = store.heads(Scope::Policy, Position(4), none, 9).unwrap();
    assert_eq!(heads.len(), 3);
    assert!(heads.iter().all(|head| head.about == About::Frontier { chain: document }));
    assert_eq!(store.heads(Scope::Chain(document), Position(4), none, 9).unwrap(), heads);
}

/// See the name.
pub fn what_is_in_review_stands_beside_the_log_until_it_is_decided_on(store: &mut dyn RelayStore) {
    let mut writer = Writer::new();
    let document = writer.begin(store);
    let (device, incarnation) = (writer.person.device(), writer.person.incarnation);
    let first = writer.person.chunk(document, 0, None, &[], 300);
    let next = writer.person.chunk(document, 1, Some(link_of(&first)), &[], 400);
    let position = writer.review(store, &first);
    let second = writer.review(store, &next);
    assert_eq!(store.chunk_at(&document, &link_of(&first)), Ok(None));
    assert_eq!((store.version(&device, incarnation, &document), store.held(&device, incarnation)), (Ok(None), Ok(0)));
    let awaits = Reviewed {
        link: link_of(&first),
        document,
        device,
        incarnation,
        seq: 0,
        position,
        standing: ReviewStanding::Awaits,
    };
    let last = Reviewed { link: link_of(&next), seq: 1, position: second, ..awaits };
    assert_eq!(store.reviewed(&link_of(&first)), Ok(Some(awaits)));
    assert_eq!(store.in_review(&document), Ok(vec![awaits, last]));
    let waits = |store: &dyn RelayStore, at| store.awaits_decision(&document, at).unwrap();
    assert_eq!([position, second, Position(1)].map(|at| waits(store, at)), [true, true, false]);
    assert_eq!(store.awaits_decision(&ChainId([1; 32]), position), Ok(false));
    assert_eq!(store.reviewed_version(&device, incarnation, &document), Ok(Some(last)));
    assert_eq!(store.entry(position), Ok(Some(Entry::Review { chunk: first.clone(), received: NOW })));
    let heads = store.heads(Scope::Policy, Position(position.0 - 1), position, 9).unwrap();
    assert_eq!(heads[0].about, About::Review { document });
    let create = writer.create_case();
    let (_, proven) = wrap_list(create.wraps.clone());
    let entry = NewEntry::ReviewDocument { create: &create.op, wraps: &proven, received: NOW };
    let place = store.append(&entry).unwrap();
    let found = ReviewedDocument { device, position: place, standing: ReviewStanding::Awaits };
    assert_eq!(store.reviewed_document(&create.chain()), Ok(Some(found)));
    let entry = Entry::ReviewDocument { create: create.op.signed().clone(), wraps: proven, received: NOW };
    assert_eq!(store.entry(place), Ok(Some(entry)));
    assert_eq!(store.chain(&create.chain()), Ok(None));
    let mut reviewing = vec![document, create.chain()];
    reviewing.sort_unstable();
    assert_eq!(store.reviewing(), Ok(reviewing));
    let load = store.review_load(&device).unwrap();
    assert_eq!(load.count, 3);
    assert!(load.bytes > 700, "{load:?}");
    let end = store.end();
    store.decide(&link_of(&first), ReviewStanding::Adopted).unwrap();
    assert_eq!(store.reviewing().unwrap().len(), 2, "the second chunk still awaits");
    store.decide(&link_of(&next), ReviewStanding::Discarded).unwrap();
    assert_eq!(store.reviewing(), Ok(vec![create.chain()]));
    store.decide_document(&create.chain(), ReviewStanding::Discarded).unwrap();
    assert_eq!(store.reviewing(), Ok(Vec::new()));
    assert_eq!((store.in_review(&document), store.review_load(&device).unwrap().count), (Ok(Vec::new()), 0));
    assert_eq!(store.reviewed(&link_of(&first)).unwrap().unwrap().standing, ReviewStanding::Adopted);
    let away = Reviewed { standing: ReviewStanding::Discarded, ..last };
    assert_eq!(store.reviewed_version(&device, incarnation, &document), Ok(Some(away)));
    assert_eq!([position, second].map(|at| waits(store, at)), [false, false]);
    let gone = [position, second, place].map(|position| store.entry(position));
    assert_eq!(gone, [Ok(None), Ok(None), Ok(None)]);
    assert_eq!(store.end(), end);
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
    let next = writer.person.chunk(document, 1, Some(link_of(&chunk)), &[], 300);
    writer.review(store, &next);
    store.append(&NewEntry::Frontier { chain: &document, removal: &OpId([1; 32]), leaves: &[] }).unwrap();
    assert_eq!(store.end(), Ok(Position(9)));
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
    let device = writer.person.device();
    assert_eq!((store.in_review(&document), store.review_load(&device)), (Ok(Vec::new()), Ok(ReviewLoad::default())));
    let chains: Vec<ChainId> = store.places(&device, None).unwrap().iter().map(|leaf| leaf.place.chain()).collect();
    assert_eq!(chains.len(), 2, "the user and the case that were committed: {chains:?}");
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

    fn review(&self, store: &mut dyn RelayStore, chunk: &vereda_protocol::Chunk) -> Position {
        store.append(&NewEntry::Review { chunk: &self.check(chunk), received: NOW }).unwrap()
    }

    fn accept(&self, store: &mut dyn RelayStore, chunk: &vereda_protocol::Chunk) -> Position {
        store.append(&NewEntry::Chunk(&self.check(chunk))).unwrap()
    }

    fn check(&self, chunk: &vereda_protocol::Chunk) -> AcceptedChunk {
        let header = chunk.header.clone().verify().unwrap();
        let chains = &self.person.chains;
        let header = vereda_policy::authorize_content(chains, &header, None).unwrap();
        AcceptedChunk::new(header, chunk.clone())
    }
}
