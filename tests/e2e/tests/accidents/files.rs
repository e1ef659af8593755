//! Files that somebody altered, cut off, or made with a newer program; of devices and of relays.

use std::fs;

use rusqlite::Connection;

use super::stage::{Stage, assert_says, relay_ends};

/// Spoils the device's database, expects the sentence, puts the file back: all is there.
fn check_device(stage: &Stage, spoil: impl Fn(&std::path::Path), code: i32, parts: &[&str]) {
    let database = stage.database();
    let whole = fs::read(&database).unwrap();
    spoil(&database);
    let spoilt = fs::read(&database).unwrap();
    assert_ne!(spoilt, whole);
    let ended = stage.amina.command(&["case", "show", &stage.case]).unwrap();
    assert_says(&ended, code, parts);
    assert!(ended.printed.is_empty());
    assert_eq!(fs::read(&database).unwrap(), spoilt, "what was found was changed");
    fs::write(&database, whole).unwrap();
}

#[test]
fn a_device_says_plainly_when_its_database_is_altered_cut_off_or_of_a_newer_program() {
    let stage = Stage::build();
    let sql = |statement: &'static str| {
        move |path: &std::path::Path| {
            let connection = Connection::open(path).unwrap();
            connection.execute_batch(statement).unwrap();
            connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
        }
    };
    let altered = "UPDATE rows SET sealed = CAST(substr(sealed, 1, 40) || x'00' || substr(sealed, 42) AS BLOB)";
    check_device(&stage, sql(altered), 1, &["was altered outside of this program", "restore the vault from a copy"]);
    let moved = "UPDATE rows SET sealed = (SELECT sealed FROM rows ORDER BY id DESC LIMIT 1)";
    check_device(&stage, sql(moved), 1, &["was altered outside of this program", "remove this device and join again"]);
    check_device(
        &stage,
        sql("PRAGMA user_version = 900"),
        1,
        &["store version 900, this program knows", "update the program", "nothing was touched"],
    );
    for keep in [0, 50, 4_096] {
        let cut =
            |path: &std::path::Path| fs::OpenOptions::new().write(true).open(path).unwrap().set_len(keep).unwrap();
        check_device(&stage, cut, 1, &["database is damaged", "restore the vault from a copy"]);
    }
    let half = |path: &std::path::Path| {
        let file = fs::OpenOptions::new().write(true).open(path).unwrap();
        file.set_len(file.metadata().unwrap().len() / 2).unwrap();
    };
    check_device(&stage, half, 1, &["database is damaged", "restore the vault from a copy"]);
    stage.nothing_is_lost();
}

#[test]
fn a_damaged_header_of_a_vault_is_said_plainly() {
    let stage = Stage::build();
    let header = stage.amina.vault().unwrap().join("vault.cbor");
    let whole = fs::read(&header).unwrap();
    fs::write(&header, &whole[..20]).unwrap();
    let ended = stage
        .amina
        .command(&["--vault", stage.amina.vault().unwrap().file_name().unwrap().to_str().unwrap(), "case", "list"])
        .unwrap();
    assert_says(&ended, 1, &["header is damaged", "restore the vault from a copy"]);
    fs::write(&header, whole).unwrap();
    stage.nothing_is_lost();
}

#[test]
fn a_relay_says_plainly_when_its_database_is_of_a_newer_program_cut_off_or_none() {
    let mut stage = Stage::build();
    stage.relay.terminate().unwrap();
    let database = stage.relay.data().join("relay.db");
    let whole = fs::read(&database).unwrap();
    let check = |spoilt: Vec<u8>, parts: &[&str]| {
        fs::write(&database, &spoilt).unwrap();
        let ended = relay_ends(&stage.relay.data(), &["serve", "--listen", "127.0.0.1:0"]);
        assert_says(&ended, 1, parts);
        assert!(fs::read(&database).unwrap() == spoilt, "what was found was changed");
        fs::write(&database, &whole).unwrap();
    };
    let mut newer = whole.clone();
    newer[60..64].copy_from_slice(&900_u32.to_be_bytes());
    check(newer, &["shape 900", "update vereda-relay", "nothing was changed"]);
    let mut other = whole.clone();
    other[68..72].copy_from_slice(b"else");
    check(other, &["not a relay's database", "nothing was changed"]);
    check(whole[..whole.len() / 2].to_vec(), &["damaged"]);
    check(b"no database at all, but long enough to be taken for one by a careless reader".repeat(9), &["damaged"]);
    stage.relay.restart().unwrap();
    stage.nothing_is_lost();
}

#[test]
fn a_relay_without_its_key_or_already_served_is_refused() {
    let mut stage = Stage::build();
    let serve = ["serve", "--listen", "127.0.0.1:0"];
    assert_says(&relay_ends(&stage.relay.data(), &serve), 1, &["another process serves the relay in"]);
    stage.relay.terminate().unwrap();
    let key = stage.relay.data().join("relay.key");
    let whole = fs::read(&key).unwrap();
    fs::write(&key, "no key").unwrap();
    assert_says(
        &relay_ends(&stage.relay.data(), &serve),
        1,
        &["relay.key holds no relay's key", "restore it from a backup"],
    );
    fs::write(&key, whole).unwrap();
    stage.relay.restart().unwrap();
    stage.nothing_is_lost();
}
