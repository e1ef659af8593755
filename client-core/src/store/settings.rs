//! Every setting of SQLite that matters, set and read back: defaults differ among builds.

use rusqlite::Connection;

/// Settings in the order in which they are made; the second value is what reading them back must show.
const SETTINGS: &[(&str, &str, &str)] = &[
    ("locking_mode", "EXCLUSIVE", "exclusive"),
    ("journal_mode", "WAL", "wal"),
    ("synchronous", "FULL", "2"),
    ("wal_autocheckpoint", "1000", "1000"),
    ("temp_store", "MEMORY", "2"),
    ("mmap_size", "0", "0"),
    ("cache_size", "-8192", "-8192"),
    ("secure_delete", "ON", "1"),
    ("foreign_keys", "ON", "1"),
    ("trusted_schema", "OFF", "0"),
    ("cell_size_check", "ON", "1"),
    ("recursive_triggers", "OFF", "0"),
];

/// Bytes of one page; only takes effect before the first table is made.
pub(super) const PAGE_BYTES: u32 = 4_096;

/// Makes and reads back all settings.
pub(super) fn apply(connection: &Connection) -> Result<(), SettingError> {
    for (name, value, expected) in SETTINGS {
        connection.pragma_update_and_check(None, name, value, |_| Ok(())).or_else(without_answer)?;
        let found = connection.pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0));
        let found = match found {
            Ok(rusqlite::types::Value::Integer(number)) => number.to_string(),
            Ok(rusqlite::types::Value::Text(text)) => text.to_lowercase(),
            // SQLite built without memory mapping answers nothing at all, which is what is wanted.
            Err(rusqlite::Error::QueryReturnedNoRows) if *name == "mmap_size" => (*expected).to_owned(),
            Ok(_) => String::new(),
            Err(error) => return Err(error.into()),
        };
        if found != *expected {
            return Err(SettingError::Refused { setting: name, expected });
        }
    }
    Ok(())
}

fn without_answer(error: rusqlite::Error) -> Result<(), rusqlite::Error> {
    match error {
        rusqlite::Error::QueryReturnedNoRows => Ok(()),
        other => Err(other),
    }
}

/// Why a setting could not be made.
#[derive(Debug)]
pub(super) enum SettingError {
    /// SQLite took another value.
    Refused { setting: &'static str, expected: &'static str },
    /// SQLite failed.
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for SettingError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}
