//! Stores that earlier versions of this program wrote stay readable. A file here is never made anew: a new schema gets
//! a file of its own beside the old ones.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{fs, ops::ControlFlow, path::Path};

use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use vereda_client_core::store::SealedStore;
use vereda_crypto::Key32;
use vereda_sync::device::{DeviceStore, Table};

const CASES: Table = Table("client projections");
const FACTS: Table = Table("client facts");

fn key() -> Key32 {
    Key32::new([5; 32])
}

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(1)
}

/// What stood in the store when its file was made.
fn expected(table: Table, group: Option<&[u8]>) -> Vec<(Vec<u8>, Vec<u8>)> {
    let row = |key: &[u8], value: &[u8]| (key.to_vec(), value.to_vec());
    match (table, group) {
        (FACTS, _) => vec![row(b"empty", b""), row(b"", b"no key")],
        (_, Some(b"open")) => vec![row(b"2", &[7; 5_000]), row(b"4", b"written anew")],
        _ => vec![row(b"2", &[7; 5_000]), row(b"3", b"closed"), row(b"4", b"written anew")],
    }
}

fn rows(store: &SealedStore, table: Table, group: Option<&[u8]>) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut rows = Vec::new();
    store
        .scan(table, group, &mut |key, value| {
            rows.push((key.to_vec(), value.to_vec()));
            ControlFlow::Continue(())
        })
        .unwrap();
    rows
}

fn check(store: &SealedStore) {
    for (table, group) in [(CASES, None), (CASES, Some(&b"open"[..])), (FACTS, None)] {
        assert_eq!(rows(store, table, group), expected(table, group), "{table:?}");
        for (key, value) in expected(table, group) {
            assert_eq!(store.get(table, &key).unwrap(), Some(value), "{table:?}");
        }
    }
    assert_eq!(store.get(CASES, b"1").unwrap(), None);
}

/// Writes what is expected, as the first version did.
fn write(store: &mut SealedStore) {
    for key in [b"1", b"2"] {
        store.put(CASES, b"open", key, &[7; 5_000]).unwrap();
    }
    store.put(CASES, b"open", b"3", b"open").unwrap();
    store.commit().unwrap();
    store.put(CASES, b"closed", b"3", b"closed").unwrap();
    store.delete(CASES, b"1").unwrap();
    store.put(CASES, b"open", b"4", b"written").unwrap();
    store.put(CASES, b"open", b"4", b"written anew").unwrap();
    store.put(FACTS, b"", b"empty", b"").unwrap();
    store.put(FACTS, b"group", b"", b"no key").unwrap();
    store.commit().unwrap();
}

#[test]
fn a_store_of_the_first_schema_opens_whole_and_is_written_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stores/v1.store"), &path).unwrap();
    let mut store = SealedStore::open(&path, None, &key(), &mut rng()).unwrap();
    check(&store);
    store.put(FACTS, b"", b"later", b"on").unwrap();
    store.commit().unwrap();
    drop(store);
    let mut store = SealedStore::open(&path, None, &key(), &mut rng()).unwrap();
    assert_eq!(store.get(FACTS, b"later").unwrap().as_deref(), Some(&b"on"[..]));
    store.delete(FACTS, b"later").unwrap();
    store.commit().unwrap();
    check(&store);
}

#[test]
fn a_store_of_today_reads_as_the_old_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let mut store = SealedStore::create(&path, None, &key(), &mut rng()).unwrap();
    write(&mut store);
    check(&store);
}
