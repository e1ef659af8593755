//! The database's schema, by numbered steps forward.

use rusqlite::Connection;

/// Newest schema known to this program.
pub const SCHEMA_VERSION: u32 = MIGRATIONS.len() as u32;

/// Marks the file as a vault's store: "VrdS".
pub(super) const APPLICATION_ID: i32 = 0x5672_6453;

/// Step n leads from schema n to schema n + 1. A released step is never changed.
const MIGRATIONS: &[&str] = &["
    CREATE TABLE rows (
        id INTEGER PRIMARY KEY,
        tbl BLOB NOT NULL,
        grp BLOB NOT NULL,
        key BLOB NOT NULL,
        sealed BLOB NOT NULL
    ) STRICT;
    CREATE UNIQUE INDEX rows_by_key ON rows (key);
    CREATE INDEX rows_by_table ON rows (tbl, id);
    CREATE INDEX rows_by_group ON rows (grp, id);
"];

/// Reads the schema's version.
pub(super) fn version(connection: &Connection) -> Result<u32, rusqlite::Error> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Reads whose file it is.
pub(super) fn application(connection: &Connection) -> Result<i32, rusqlite::Error> {
    connection.pragma_query_value(None, "application_id", |row| row.get(0))
}

/// Takes all steps that are due, each in a transaction of its own.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), rusqlite::Error> {
    for (step, sql) in MIGRATIONS.iter().enumerate().skip(version(connection)? as usize) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(sql)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", step as u32 + 1)?;
        transaction.commit()?;
        // So that the version stands in the file itself, where an older program looks before it opens anything.
        connection.pragma_update_and_check(None, "wal_checkpoint", "TRUNCATE", |_| Ok(()))?;
    }
    Ok(())
}
