//! The sealed store itself.

use std::{cell::Cell, fmt, io, ops::ControlFlow, path::Path};

use rand_core::CryptoRng;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, config::DbConfig, params};
use vereda_crypto::Key32;
use vereda_sync::device::store::{DeviceStore, EachRow, StoreError, Table};

use super::{
    migration::{self, APPLICATION_ID, SCHEMA_VERSION},
    row::{frame, unframe},
    sealer::{RowPlace, RowSealer, VaultSealer},
    settings::{self, PAGE_BYTES, SettingError},
};

/// [`DeviceStore`] over SQLite, every row sealed under the vault's data key.
pub struct SealedStore {
    connection: Connection,
    sealer: Box<dyn RowSealer>,
    next_id: i64,
    /// Why the open transaction cannot be committed: what failed in it was rolled back at once.
    failed: Option<StoreError>,
    writes: Cell<u64>,
}

impl SealedStore {
    /// Makes a new store at `path`, where there must be none, on SQLite's file system layer `vfs`; `None` is the machine's
    /// own.
    ///
    /// # Errors
    /// [`OpenStoreError`] by cause.
    pub fn create(
        path: &Path,
        vfs: Option<&str>,
        data_key: &Key32,
        rng: &mut dyn CryptoRng,
    ) -> Result<Self, OpenStoreError> {
        Self::create_on(path, vfs, Box::new(VaultSealer::new(data_key, rng)))
    }

    /// Opens the store at `path` on SQLite's file system layer `vfs`, bringing its schema forward.
    ///
    /// # Errors
    /// [`OpenStoreError::Newer`] for what a newer program made, which is left untouched; the others by cause.
    pub fn open(
        path: &Path,
        vfs: Option<&str>,
        data_key: &Key32,
        rng: &mut dyn CryptoRng,
    ) -> Result<Self, OpenStoreError> {
        Self::open_on(path, vfs, Box::new(VaultSealer::new(data_key, rng)))
    }

    /// Makes or opens a store that seals nothing, for the control run of a search for planted values.
    ///
    /// # Errors
    /// [`OpenStoreError`] by cause.
    #[cfg(feature = "canary-control")]
    pub fn open_unsealed_for_control(path: &Path) -> Result<Self, OpenStoreError> {
        let sealer = Box::new(super::sealer::ControlSealer);
        if path.exists() { Self::open_on(path, None, sealer) } else { Self::create_on(path, None, sealer) }
    }

    /// Moves everything from the write-ahead log into the database file.
    ///
    /// # Errors
    /// [`StoreError`] by cause.
    pub fn checkpoint(&mut self) -> Result<(), StoreError> {
        let done = self.connection.pragma_update_and_check(None, "wal_checkpoint", "TRUNCATE", |_| Ok(()));
        done.map_err(|error| store_error(&error, "checkpoint"))
    }

    /// Bounds the database's size, in pages, as a full disk does; `None` lifts the bound.
    ///
    /// # Errors
    /// [`StoreError`] by cause.
    pub fn limit_pages(&mut self, pages: Option<u32>) -> Result<(), StoreError> {
        let pages = pages.unwrap_or(u32::MAX - 1);
        let done = self.connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()));
        done.map_err(|error| store_error(&error, "settings"))
    }

    /// Counts the puts and deletes since the store was opened.
    pub const fn writes(&self) -> u64 {
        self.writes.get()
    }

    fn create_on(path: &Path, vfs: Option<&str>, sealer: Box<dyn RowSealer>) -> Result<Self, OpenStoreError> {
        let flags = OpenFlags::SQLITE_OPEN_CREATE;
        let connection = connect(path, flags, vfs)?;
        connection.pragma_update(None, "page_size", PAGE_BYTES)?;
        connection.pragma_update(None, "auto_vacuum", "NONE")?;
        if migration::version(&connection)? != 0 {
            return Err(OpenStoreError::Exists);
        }
        Self::ready(connection, sealer)
    }

    fn open_on(path: &Path, vfs: Option<&str>, sealer: Box<dyn RowSealer>) -> Result<Self, OpenStoreError> {
        check_header(path)?;
        let connection = connect(path, OpenFlags::empty(), vfs)?;
        // Until the version is known nothing may be written, not even at closing.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        let found = migration::version(&connection)?;
        if found > SCHEMA_VERSION {
            return Err(OpenStoreError::Newer { found, supported: SCHEMA_VERSION });
        }
        if found == 0 || migration::application(&connection)? != APPLICATION_ID {
            return Err(OpenStoreError::Damaged);
        }
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
        Self::ready(connection, sealer)
    }

    fn ready(mut connection: Connection, sealer: Box<dyn RowSealer>) -> Result<Self, OpenStoreError> {
        settings::apply(&connection)?;
        connection.set_prepared_statement_cache_capacity(16);
        migration::migrate(&mut connection)?;
        let newest = connection.query_row("SELECT max(id) FROM rows", [], |row| row.get::<_, Option<i64>>(0))?;
        Ok(Self { connection, sealer, next_id: newest.unwrap_or(0) + 1, failed: None, writes: Cell::new(0) })
    }

    fn begin(&mut self, table: Table) -> Result<(), StoreError> {
        self.writes.set(self.writes.get() + 1);
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        if self.connection.is_autocommit() {
            let begun = self.connection.prepare_cached("BEGIN IMMEDIATE").and_then(|mut begin| begin.execute([]));
            begun.map_err(|error| store_error(&error, table.0))?;
        }
        Ok(())
    }

    /// Ends the transaction at once when a write failed: its earlier writes must not be committed without it.
    fn keep<T>(&mut self, done: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(error) = &done {
            self.end_transaction();
            self.failed = Some(error.clone());
        }
        done
    }

    fn end_transaction(&mut self) {
        // SQLite may have rolled back by itself; then there is nothing to end.
        if !self.connection.is_autocommit() {
            let _ = self.connection.execute_batch("ROLLBACK");
        }
    }

    fn write(&mut self, table: Table, group: &[u8], key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        let failed = |error: rusqlite::Error| store_error(&error, table.0);
        let (hidden_key, hidden_group) = (self.sealer.key(table.0, key), self.sealer.group(table.0, group));
        let known = {
            let mut select = self.connection.prepare_cached("SELECT id FROM rows WHERE key = ?1").map_err(failed)?;
            select.query_row(params![hidden_key], |row| row.get::<_, i64>(0)).optional().map_err(failed)?
        };
        let id = known.unwrap_or(self.next_id);
        let place = RowPlace { table: table.0, key: &hidden_key, group: &hidden_group, id };
        let plain = frame(key, value, |len| self.sealer.padded_len(len)).ok_or(StoreError::Full)?;
        let sealed = self.sealer.seal(&place, &plain);
        if known.is_some() {
            let mut update = self
                .connection
                .prepare_cached("UPDATE rows SET grp = ?2, sealed = ?3 WHERE id = ?1")
                .map_err(failed)?;
            update.execute(params![id, hidden_group, sealed]).map_err(failed)?;
        } else {
            self.next_id += 1;
            let mut insert = self
                .connection
                .prepare_cached("INSERT INTO rows (id, tbl, grp, key, sealed) VALUES (?1, ?2, ?3, ?4, ?5)")
                .map_err(failed)?;
            let row = params![id, self.sealer.table(table.0), hidden_group, hidden_key, sealed];
            insert.execute(row).map_err(failed)?;
        }
        Ok(())
    }

    fn open_row(&self, table: Table, row: &rusqlite::Row<'_>) -> Result<Vec<u8>, StoreError> {
        let blob = |index: usize| row.get_ref(index).ok().and_then(|value| value.as_blob().ok());
        let id = row.get::<_, i64>(0).map_err(|error| store_error(&error, table.0))?;
        let tampered = StoreError::Tampered { table: table.0 };
        let (Some(key), Some(group), Some(sealed)) = (blob(1), blob(2), blob(3)) else { return Err(tampered) };
        let place = RowPlace { table: table.0, key, group, id };
        self.sealer.open(&place, sealed).ok_or(tampered)
    }
}

impl DeviceStore for SealedStore {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let failed = |error: rusqlite::Error| store_error(&error, table.0);
        let mut select =
            self.connection.prepare_cached("SELECT id, key, grp, sealed FROM rows WHERE key = ?1").map_err(failed)?;
        let mut rows = select.query(params![self.sealer.key(table.0, key)]).map_err(failed)?;
        let Some(row) = rows.next().map_err(failed)? else { return Ok(None) };
        let plain = self.open_row(table, row)?;
        match unframe(&plain) {
            Some(row) if row.key == key => Ok(Some(row.value.to_vec())),
            _ => Err(StoreError::Tampered { table: table.0 }),
        }
    }

    fn put(&mut self, table: Table, group: &[u8], key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        let done = self.begin(table).and_then(|()| self.write(table, group, key, value));
        self.keep(done)
    }

    fn delete(&mut self, table: Table, key: &[u8]) -> Result<(), StoreError> {
        let done = self.begin(table).and_then(|()| {
            let hidden = self.sealer.key(table.0, key);
            let mut delete = self
                .connection
                .prepare_cached("DELETE FROM rows WHERE key = ?1")
                .map_err(|error| store_error(&error, table.0))?;
            delete.execute(params![hidden]).map(|_| ()).map_err(|error| store_error(&error, table.0))
        });
        self.keep(done)
    }

    fn scan(&self, table: Table, group: Option<&[u8]>, each: &mut EachRow<'_>) -> Result<(), StoreError> {
        let failed = |error: rusqlite::Error| store_error(&error, table.0);
        let (sql, hidden) = match group {
            None => ("SELECT id, key, grp, sealed FROM rows WHERE tbl = ?1 ORDER BY id", self.sealer.table(table.0)),
            Some(group) => {
                ("SELECT id, key, grp, sealed FROM rows WHERE grp = ?1 ORDER BY id", self.sealer.group(table.0, group))
            }
        };
        let mut select = self.connection.prepare_cached(sql).map_err(failed)?;
        let mut rows = select.query(params![hidden]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let plain = self.open_row(table, row)?;
            let row = unframe(&plain).ok_or(StoreError::Tampered { table: table.0 })?;
            if let ControlFlow::Break(()) = each(row.key, row.value) {
                break;
            }
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        if let Some(error) = self.failed.take() {
            self.end_transaction();
            return Err(error);
        }
        if self.connection.is_autocommit() {
            return Ok(());
        }
        let done = self.connection.prepare_cached("COMMIT").and_then(|mut commit| commit.execute([]));
        done.map(|_| ()).map_err(|error| {
            self.end_transaction();
            store_error(&error, "commit")
        })
    }

    fn rollback(&mut self) {
        self.failed = None;
        self.end_transaction();
    }
}

impl fmt::Debug for SealedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedStore").field("next_id", &self.next_id).finish_non_exhaustive()
    }
}

fn connect(path: &Path, flags: OpenFlags, vfs: Option<&str>) -> Result<Connection, OpenStoreError> {
    let flags = flags | OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = match vfs {
        Some(vfs) => Connection::open_with_flags_and_vfs(path, flags, vfs)?,
        None => Connection::open_with_flags(path, flags)?,
    };
    // The vault's own lock keeps others out; waiting would only hide a second process.
    connection.busy_timeout(std::time::Duration::ZERO)?;
    // Before anything is read: a browser's file system has no memory to share, so that its log opens in no other way.
    connection.pragma_update_and_check(None, "locking_mode", "EXCLUSIVE", |_| Ok(()))?;
    Ok(connection)
}

/// Looks at the file's own header, before SQLite can touch anything. A browser's files can only be looked at by SQLite.
#[cfg(target_family = "wasm")]
fn check_header(_: &Path) -> Result<(), OpenStoreError> {
    Ok(())
}

/// Looks at the file's own header, before SQLite can touch anything.
#[cfg(not(target_family = "wasm"))]
fn check_header(path: &Path) -> Result<(), OpenStoreError> {
    use std::io::Read;

    const HEADER_BYTES: usize = 100;
    let mut header = Vec::with_capacity(HEADER_BYTES);
    std::fs::File::open(path)?.take(HEADER_BYTES as u64).read_to_end(&mut header)?;
    let number = |at: usize| header.get(at..at + 4).and_then(|bytes| bytes.first_chunk::<4>()).copied();
    let (Some(found), Some(application)) = (number(60), number(68)) else { return Err(OpenStoreError::Damaged) };
    if !header.starts_with(b"SQLite format 3\0") || i32::from_be_bytes(application) != APPLICATION_ID {
        return Err(OpenStoreError::Damaged);
    }
    let found = u32::from_be_bytes(found);
    if found > SCHEMA_VERSION {
        return Err(OpenStoreError::Newer { found, supported: SCHEMA_VERSION });
    }
    Ok(())
}

fn store_error(error: &rusqlite::Error, table: &'static str) -> StoreError {
    let Some(cause) = error.sqlite_error() else { return StoreError::Tampered { table } };
    match cause.code {
        ErrorCode::DiskFull => StoreError::Full,
        ErrorCode::ReadOnly => StoreError::ReadOnly,
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => StoreError::Damaged { table },
        _ => StoreError::Failed { table, code: cause.extended_code },
    }
}

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenStoreError {
    /// A newer program made it; it is left untouched.
    #[error(
        "the vault has store version {found}, this program knows {supported}: update the program; nothing was touched"
    )]
    Newer {
        /// Version found.
        found: u32,
        /// Newest version known here.
        supported: u32,
    },
    /// Truncated, overwritten, or never a store.
    #[error("the vault's database is damaged: restore the vault from a copy, or remove this device and join again")]
    Damaged,
    /// There is one already.
    #[error("there is a store already")]
    Exists,
    /// SQLite does not take a setting that safety rests on.
    #[error("the database does not take the setting {setting} = {expected}")]
    Setting {
        /// The setting.
        setting: &'static str,
        /// The value needed.
        expected: &'static str,
    },
    /// The store failed while it was opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file cannot be read.
    #[error("the vault's database cannot be read: {0}")]
    Io(#[from] io::Error),
}

impl From<rusqlite::Error> for OpenStoreError {
    fn from(error: rusqlite::Error) -> Self {
        match store_error(&error, "schema") {
            StoreError::Damaged { .. } | StoreError::Tampered { .. } => Self::Damaged,
            other => Self::Store(other),
        }
    }
}

impl From<SettingError> for OpenStoreError {
    fn from(error: SettingError) -> Self {
        match error {
            SettingError::Refused { setting, expected } => Self::Setting { setting, expected },
            SettingError::Sqlite(error) => error.into(),
        }
    }
}

#[cfg(test)]
#[path = "sealed/tests.rs"]
mod tests;
