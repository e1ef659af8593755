//! What was committed survives a power cut, and a store that does not sync is found out.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use rusqlite::{Connection, OpenFlags};
use vereda_faultfs::FaultFs;

/// How a store asks SQLite to sync.
#[derive(Debug, Clone, Copy)]
struct Settings {
    journal: &'static str,
    synchronous: &'static str,
    locking: &'static str,
}

const SAFE: Settings = Settings { journal: "WAL", synchronous: "FULL", locking: "NORMAL" };

/// Works until the power goes after so many operations; tells what was committed and what is there afterwards, or that
/// the database is broken.
fn outcome(name: &str, seed: u64, cut: u64, settings: Settings, lying: bool) -> (i64, Result<i64, rusqlite::Error>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    let disk = FaultFs::register(&format!("{name}-{seed}-{cut}"), seed);
    let open = || {
        let connection = Connection::open_with_flags_and_vfs(&path, OpenFlags::default(), disk.name())?;
        connection.pragma_update_and_check(None, "locking_mode", settings.locking, |_| Ok(()))?;
        connection.pragma_update_and_check(None, "journal_mode", settings.journal, |_| Ok(()))?;
        connection.pragma_update(None, "synchronous", settings.synchronous)?;
        connection.pragma_update_and_check(None, "wal_autocheckpoint", 8, |_| Ok(()))?;
        Ok::<_, rusqlite::Error>(connection)
    };
    let connection = open().unwrap();
    connection.execute_batch("CREATE TABLE t (n INTEGER PRIMARY KEY, filling BLOB)").unwrap();
    disk.ignore_syncs(lying);
    disk.lose_power_after(cut);
    let mut committed = 0;
    for n in 1..200 {
        let done = connection.execute("INSERT INTO t VALUES (?1, randomblob(700))", [n]);
        if done.is_err() {
            break;
        }
        committed = n;
    }
    assert!(disk.is_dark());
    drop(connection);
    disk.restore_power();
    let found = open().and_then(|connection| {
        let verdict: String = connection.pragma_query_value(None, "integrity_check", |row| row.get(0))?;
        if verdict != "ok" {
            return Err(rusqlite::Error::InvalidQuery);
        }
        connection
            .query_row("SELECT coalesce(max(n), 0) FROM t WHERE n = (SELECT count(*) FROM t)", [], |row| row.get(0))
    });
    (committed, found)
}

#[test]
fn what_was_committed_survives_at_every_cut() {
    let check = |settings: Settings, name: &str| {
        for cut in (0..120).step_by(3) {
            let (committed, found) = outcome(name, cut, cut, settings, false);
            let found = found.unwrap();
            // One more may be there: it was committed, and the power went before anybody was told.
            assert!(found == committed || found == committed + 1, "{settings:?} {cut}: {committed}, found {found}");
        }
    };
    check(SAFE, "safe");
    check(Settings { locking: "EXCLUSIVE", ..SAFE }, "exclusive");
    check(Settings { journal: "DELETE", ..SAFE }, "delete");
}

#[test]
fn a_store_that_does_not_sync_and_a_disk_that_lies_are_found_out() {
    let loses = |settings: Settings, lying: bool, name: &str| {
        (0..30u64).any(|seed| {
            let (committed, found) = outcome(name, seed, 40 + seed, settings, lying);
            found.is_ok_and(|found| found < committed)
        })
    };
    assert!(loses(Settings { synchronous: "NORMAL", ..SAFE }, false, "normal"));
    assert!(loses(Settings { synchronous: "OFF", ..SAFE }, false, "off"));
    assert!(loses(SAFE, true, "lying"));
    assert!(!loses(SAFE, false, "honest"));
}
