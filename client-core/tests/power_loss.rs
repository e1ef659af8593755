//! The sealed store when the power goes: what was committed is there, whole and in order.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{ops::ControlFlow, path::Path};

use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use vereda_client_core::store::{OpenStoreError, SealedStore};
use vereda_crypto::Key32;
use vereda_faultfs::FaultFs;
use vereda_sync::device::{DeviceStore, StoreError, Table};

const LEDGER: Table = Table("ledger");
const HEAD: Table = Table("head");
const ROWS_A_COMMIT: u64 = 3;

fn open(path: &Path, disk: &FaultFs, new: bool) -> Result<SealedStore, OpenStoreError> {
    let mut rng = ChaCha20Rng::seed_from_u64(disk.operations());
    let (vfs, key) = (Some(disk.name()), Key32::new([5; 32]));
    if new { SealedStore::create(path, vfs, &key, &mut rng) } else { SealedStore::open(path, vfs, &key, &mut rng) }
}

/// Commits groups of rows and the count of groups, as sync commits entries and its cursor.
fn commit(store: &mut SealedStore, number: u64) -> Result<(), StoreError> {
    for row in 0..ROWS_A_COMMIT {
        let key = [number.to_be_bytes(), row.to_be_bytes()].concat();
        store.put(LEDGER, b"", &key, &vec![number as u8; 900])?;
    }
    if number.is_multiple_of(4) {
        store.delete(LEDGER, &[1u64.to_be_bytes(), 0u64.to_be_bytes()].concat())?;
        store.put(LEDGER, b"", &[1u64.to_be_bytes(), 0u64.to_be_bytes()].concat(), b"again")?;
    }
    store.put(HEAD, b"", b"head", &number.to_be_bytes())?;
    store.commit()
}

/// Tells up to which group everything is there; panics if a group is there in part or anything fails to open.
fn found(store: &SealedStore) -> u64 {
    let head = store.get(HEAD, b"head").unwrap();
    let head = head.map_or(0, |bytes| u64::from_be_bytes(bytes.try_into().unwrap()));
    let mut rows = 0;
    store
        .scan(LEDGER, None, &mut |_, _| {
            rows += 1;
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(rows, head * ROWS_A_COMMIT);
    head
}

/// Works until the power goes; tells what was committed and what is found afterwards.
fn outcome(name: &str, seed: u64, cut: u64, lying: bool) -> (u64, u64) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.sqlite3");
    let disk = FaultFs::register(&format!("sealed-{name}-{seed}-{cut}"), seed);
    let mut store = open(&path, &disk, true).unwrap();
    disk.ignore_syncs(lying);
    disk.lose_power_after(cut);
    let mut committed = 0;
    for number in 1..60 {
        if commit(&mut store, number).is_err() {
            break;
        }
        committed = number;
        if number.is_multiple_of(10) && store.checkpoint().is_err() {
            break;
        }
    }
    assert!(disk.is_dark());
    drop(store);
    disk.restore_power();
    let store = open(&path, &disk, false).unwrap();
    (committed, found(&store))
}

#[test]
fn what_was_committed_is_there_whole_and_in_order_at_every_cut() {
    for cut in 0..90 {
        let (committed, found) = outcome("honest", cut, cut * 2, false);
        // The last one may be there unconfirmed: the power went before the store could say so.
        assert!(found == committed || found == committed + 1, "cut {cut}: {committed} committed, {found} found");
    }
}

#[test]
fn a_power_cut_again_and_again_on_one_store_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.sqlite3");
    let disk = FaultFs::register("sealed-again", 3);
    drop(open(&path, &disk, true).unwrap());
    let mut committed = 0;
    for round in 0..40u64 {
        disk.lose_power_after(5 + round * 7 % 41);
        if let Ok(mut store) = open(&path, &disk, false) {
            committed = committed.max(found(&store));
            while commit(&mut store, committed + 1).is_ok() {
                committed += 1;
            }
        }
        assert!(disk.is_dark());
        disk.restore_power();
        let now = found(&open(&path, &disk, false).unwrap());
        assert!(now >= committed, "round {round}: {committed} committed, {now} found");
        committed = now;
    }
    assert!(committed > 20, "{committed}");
}

#[test]
fn a_disk_that_lies_about_syncs_is_found_out() {
    let lost = (0..20u64).any(|seed| {
        std::panic::catch_unwind(|| outcome("lying", seed, 60 + seed, true))
            .map_or(true, |(committed, found)| found < committed)
    });
    assert!(lost);
}
