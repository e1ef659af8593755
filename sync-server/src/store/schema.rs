//! The database's shape, in numbered steps that lead forward only.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension, config::DbConfig};
use vereda_sync::relay::StoreError;

use super::{fault, row};

/// The newest shape.
pub const SCHEMA_VERSION: u32 = 3;

/// Marks a database of a relay ("vrly").
const APPLICATION_ID: i32 = 0x7672_6c79;

/// Step n leads from shape n to shape n + 1.
const STEPS: &[&str] = &[
    "
    -- Ids, by the small number that stands for them in the other tables. The index holds their beginnings.
    CREATE TABLE name (id INTEGER PRIMARY KEY, value BLOB NOT NULL) STRICT;
    CREATE INDEX name_value ON name (substr(value, 1, 6));
    CREATE TABLE meta (one INTEGER PRIMARY KEY CHECK (one = 1), relay_epoch INTEGER NOT NULL) STRICT;
    -- Who writes chunks: an incarnation of a device.
    CREATE TABLE author (
        id INTEGER PRIMARY KEY,
        device INTEGER NOT NULL REFERENCES name (id),
        incarnation INTEGER NOT NULL,
        UNIQUE (device, incarnation)
    ) STRICT;
    -- The log. Kind 0: an operation and its receipt; 1: a wrap, party is the name of its recipient; 2: a chunk, party is
    -- its author. Chain and party are written by this program alone, from the tables above: not checked once more.
    CREATE TABLE log (
        position INTEGER PRIMARY KEY,
        kind INTEGER NOT NULL CHECK (kind BETWEEN 0 AND 2),
        chain INTEGER NOT NULL,
        party INTEGER,
        bytes INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX log_policy ON log (position) WHERE kind < 2;
    CREATE INDEX log_op ON log (chain, position) WHERE kind = 0;
    CREATE INDEX log_chain ON log (chain, position) WHERE kind < 2;
    CREATE TABLE data (position INTEGER PRIMARY KEY REFERENCES log (position), content BLOB NOT NULL) STRICT;
    CREATE TABLE chain (
        chain INTEGER PRIMARY KEY REFERENCES name (id),
        agency INTEGER REFERENCES name (id)
    ) STRICT;
    CREATE TABLE member (
        subject INTEGER NOT NULL,
        naming INTEGER NOT NULL,
        chain INTEGER NOT NULL,
        PRIMARY KEY (subject, naming, chain)
    ) STRICT, WITHOUT ROWID;
    -- The chunks of a document, by the first 48 bits of their links.
    CREATE TABLE link (
        document INTEGER NOT NULL,
        beginning INTEGER NOT NULL,
        position INTEGER NOT NULL,
        PRIMARY KEY (document, beginning, position)
    ) STRICT, WITHOUT ROWID;
    -- The newest chunk of each author in each document.
    CREATE TABLE version (
        author INTEGER NOT NULL,
        document INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        position INTEGER NOT NULL,
        PRIMARY KEY (author, document)
    ) STRICT, WITHOUT ROWID;
    -- The newest head of each chain that a device cited.
    CREATE TABLE cited (
        device INTEGER NOT NULL,
        chain INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        PRIMARY KEY (device, chain)
    ) STRICT, WITHOUT ROWID;
    -- Public keys derived from founding secrets. With a device: claimed. With an agency: spent.
    CREATE TABLE founding (secret BLOB PRIMARY KEY, device BLOB, agency BLOB) STRICT, WITHOUT ROWID;
    -- How many user chains were begun with an invite that nobody took up yet.
    CREATE TABLE guest (invite BLOB PRIMARY KEY, users INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE INDEX founding_device ON founding (device) WHERE device IS NOT NULL;
",
    "
    -- Further kinds of the log. 3: the leaves of the removal before it; 4: a chunk in review; 5: a document in review, chain
    -- is the document. Of 4 and 5 nothing is in the data once they are decided on.
    CREATE TABLE log_2 (
        position INTEGER PRIMARY KEY,
        kind INTEGER NOT NULL CHECK (kind BETWEEN 0 AND 5),
        chain INTEGER NOT NULL,
        party INTEGER,
        bytes INTEGER NOT NULL
    ) STRICT;
    INSERT INTO log_2 SELECT position, kind, chain, party, bytes FROM log;
    DROP TABLE log;
    ALTER TABLE log_2 RENAME TO log;
    CREATE INDEX log_policy ON log (position) WHERE kind <> 2;
    CREATE INDEX log_op ON log (chain, position) WHERE kind = 0;
    CREATE INDEX log_chain ON log (chain, position) WHERE kind <> 2;
    -- The newest operation of each device in each chain.
    CREATE TABLE written (
        device INTEGER NOT NULL,
        chain INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        position INTEGER NOT NULL,
        PRIMARY KEY (device, chain)
    ) STRICT, WITHOUT ROWID;
    -- The leaves that name a place in a chain, by their position in the log.
    CREATE TABLE frontier (
        chain INTEGER NOT NULL,
        position INTEGER NOT NULL,
        PRIMARY KEY (chain, position)
    ) STRICT, WITHOUT ROWID;
    -- Chunks that are in review, or were. Standing 0: awaits a decision; 1: was turned away; 2: was taken in.
    CREATE TABLE review (
        link BLOB PRIMARY KEY,
        document INTEGER NOT NULL,
        author INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        position INTEGER NOT NULL,
        bytes INTEGER NOT NULL,
        standing INTEGER NOT NULL CHECK (standing BETWEEN 0 AND 2)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX review_document ON review (document, position) WHERE standing = 0;
    CREATE INDEX review_author ON review (author, document, seq);
    -- Documents that are in review, or were.
    CREATE TABLE review_create (
        document INTEGER PRIMARY KEY,
        device INTEGER NOT NULL,
        position INTEGER NOT NULL,
        bytes INTEGER NOT NULL,
        standing INTEGER NOT NULL CHECK (standing BETWEEN 0 AND 2)
    ) STRICT;
    CREATE INDEX review_create_device ON review_create (device) WHERE standing = 0;
",
    "
    -- All entries of a chain in log order: an index ends with the row's number, which is the position.
    CREATE INDEX log_entry ON log (chain);
",
];

/// The step that brought the table of who wrote where: it is filled from the operations that are there.
const STEP_WRITTEN: u32 = 2;

/// Opens a database and brings it to the newest shape.
pub(super) fn open(path: &Path, vfs: Option<&str>) -> Result<Connection, OpenError> {
    let connection = match vfs {
        Some(vfs) => Connection::open_with_flags_and_vfs(path, OpenFlags::default(), vfs),
        None => Connection::open(path),
    };
    let connection = connection.map_err(|error| OpenError::Store(fault(&error, "file")))?;
    let found = check_owner(&connection)?;
    configure(&connection).map_err(|error| OpenError::Store(fault(&error, "file")))?;
    check_durable(&connection)?;
    migrate(&connection, found).map_err(|error| OpenError::Store(fault(&error, "file")))?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// Reads, before anything is written, whose database this is and of which shape.
fn check_owner(connection: &Connection) -> Result<u32, OpenError> {
    let read = |pragma: &str| connection.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get::<_, i64>(0));
    let store = |error: &rusqlite::Error| OpenError::Store(fault(error, "file"));
    let version = read("user_version").map_err(|error| store(&error))?;
    let owner = read("application_id").map_err(|error| store(&error))?;
    let is_new = version == 0 && owner == 0;
    if !is_new && owner != i64::from(APPLICATION_ID) {
        return Err(OpenError::NotARelay);
    }
    let version = u32::try_from(version).map_err(|_| OpenError::NotARelay)?;
    if version > SCHEMA_VERSION {
        return Err(OpenError::Newer { found: version, known: SCHEMA_VERSION });
    }
    Ok(version)
}

/// Nothing is left to defaults: they differ between builds of SQLite.
fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    // Of a new database only. Chunks are mostly some hundred bytes to some kilobytes long: on pages of 4 KiB many would
    // leave half of theirs empty.
    connection.pragma_update(None, "page_size", 8_192)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "cache_size", -8_192)?;
    connection.pragma_update(None, "wal_autocheckpoint", 2_048)?;
    connection.pragma_update(None, "journal_size_limit", 64 << 20)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    Ok(())
}

/// An acknowledgement means that the disk has it: read back what was asked for.
fn check_durable(connection: &Connection) -> Result<(), OpenError> {
    let store = |error: &rusqlite::Error| OpenError::Store(fault(error, "file"));
    let journal: String =
        connection.query_row("PRAGMA journal_mode", [], |row| row.get(0)).map_err(|error| store(&error))?;
    let synchronous: i64 =
        connection.query_row("PRAGMA synchronous", [], |row| row.get(0)).map_err(|error| store(&error))?;
    if journal.eq_ignore_ascii_case("wal") && synchronous == 2 { Ok(()) } else { Err(OpenError::NotDurable) }
}

fn migrate(connection: &Connection, from: u32) -> rusqlite::Result<()> {
    // A table that others refer to is rebuilt with a new one in its place: meanwhile nothing may look after that.
    connection.pragma_update(None, "foreign_keys", false)?;
    for (step, version) in STEPS.iter().zip(1u32..).skip(from as usize) {
        connection.execute_batch("BEGIN IMMEDIATE")?;
        let done = connection
            .execute_batch(step)
            .and_then(|()| if version == STEP_WRITTEN { fill_written(connection) } else { Ok(()) })
            .and_then(|()| connection.pragma_update(None, "application_id", APPLICATION_ID))
            .and_then(|()| connection.pragma_update(None, "user_version", version))
            .and_then(|()| connection.execute_batch("COMMIT"));
        if let Err(error) = done {
            let _ = connection.execute_batch("ROLLBACK");
            return Err(error);
        }
    }
    connection.pragma_update(None, "foreign_keys", true)
}

/// Enters the newest operation of each device in each chain.
fn fill_written(connection: &Connection) -> rusqlite::Result<()> {
    let mut read = connection.prepare(
        "SELECT log.position, log.chain, data.content FROM log JOIN data ON data.position = log.position
         WHERE log.kind = 0 ORDER BY log.position",
    )?;
    let mut name =
        connection.prepare("SELECT id FROM name WHERE substr(value, 1, 6) = substr(?1, 1, 6) AND value = ?1")?;
    let mut make = connection.prepare("INSERT INTO name (value) VALUES (?1)")?;
    let mut write = connection.prepare(
        "INSERT INTO written (device, chain, seq, position) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (device, chain) DO UPDATE SET seq = excluded.seq, position = excluded.position",
    )?;
    let mut rows = read.query([])?;
    while let Some(row) = rows.next()? {
        let (position, chain): (i64, i64) = (row.get(0)?, row.get(1)?);
        let Some((device, seq)) = row::author_and_seq(row.get_ref(2)?.as_blob()?) else {
            return Err(rusqlite::Error::InvalidQuery);
        };
        let found = name.query_row([device.0], |row| row.get::<_, i64>(0)).optional()?;
        let device = match found {
            Some(device) => device,
            None => make.insert([device.0])?,
        };
        write.execute([device, chain, seq.cast_signed(), position])?;
    }
    Ok(())
}

/// Why a database was not opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Written by a newer program.
    #[error(
        "the database has shape {found}, this program knows {known} at most: update vereda-relay; nothing was changed"
    )]
    Newer {
        /// The shape found.
        found: u32,
        /// The newest shape known.
        known: u32,
    },
    /// Another program's database.
    #[error("the file is not a relay's database; nothing was changed")]
    NotARelay,
    /// The file system does not let SQLite promise what an acknowledgement says.
    #[error("the database cannot be set to full synchronisation here: put the data folder on a local disk")]
    NotDurable,
    /// The database failed.
    #[error(transparent)]
    Store(StoreError),
}

/// Makes the first shape of a database again, as far as it says the same: to test the way forward.
#[cfg(test)]
pub(super) fn set_back_to_first(connection: &Connection) {
    let back = "
        PRAGMA foreign_keys = OFF;
        CREATE TABLE log_1 (
            position INTEGER PRIMARY KEY,
            kind INTEGER NOT NULL CHECK (kind BETWEEN 0 AND 2),
            chain INTEGER NOT NULL,
            party INTEGER,
            bytes INTEGER NOT NULL
        ) STRICT;
        INSERT INTO log_1 SELECT position, kind, chain, party, bytes FROM log;
        DROP TABLE log;
        ALTER TABLE log_1 RENAME TO log;
        CREATE INDEX log_policy ON log (position) WHERE kind < 2;
        CREATE INDEX log_op ON log (chain, position) WHERE kind = 0;
        CREATE INDEX log_chain ON log (chain, position) WHERE kind < 2;
        DROP TABLE written;
        DROP TABLE frontier;
        DROP TABLE review;
        DROP TABLE review_create;
        PRAGMA user_version = 1;";
    connection.execute_batch(back).unwrap();
}
