//! The sealed store against meddling, damage and full disks.

use std::{fs, ops::ControlFlow, path::PathBuf};

use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use tempfile::TempDir;

use super::*;

const CASES: Table = Table("cases");
const OTHER: Table = Table("other");
const NAME: &[u8] = b"Amina Warsame, born in Baidoa";

/// A folder with a store in it.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("store.sqlite3")
    }

    fn create(&self) -> SealedStore {
        SealedStore::create(&self.path(), None, &key(), &mut rng(1)).unwrap()
    }

    fn open(&self) -> Result<SealedStore, OpenStoreError> {
        SealedStore::open(&self.path(), None, &key(), &mut rng(2))
    }

    /// Runs SQL on the file, as somebody with the file but not the key can.
    fn meddle(&self, sql: &str) {
        Connection::open(self.path()).unwrap().execute_batch(sql).unwrap();
    }

    /// All bytes of all files in the folder.
    fn bytes(&self) -> Vec<u8> {
        fs::read_dir(self.0.path()).unwrap().flat_map(|entry| fs::read(entry.unwrap().path()).unwrap()).collect()
    }
}

fn key() -> Key32 {
    Key32::new([9; 32])
}

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

fn count(store: &SealedStore, table: Table) -> Result<usize, StoreError> {
    let mut rows = 0;
    store.scan(table, None, &mut |_, _| {
        rows += 1;
        ControlFlow::Continue(())
    })?;
    Ok(rows)
}

/// A store in a folder that lives as long as it; crashing drops the store without a word.
mod backend {
    use super::*;

    pub struct InFolder {
        pub store: Option<SealedStore>,
        pub folder: Folder,
    }

    impl InFolder {
        pub fn new() -> Self {
            let folder = Folder::new();
            Self { store: Some(folder.create()), folder }
        }

        pub fn reopened(mut self) -> Self {
            drop(self.store.take());
            self.store = Some(self.folder.open().unwrap());
            self
        }
    }

    impl DeviceStore for InFolder {
        fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
            self.store.as_ref().unwrap().get(table, key)
        }
        fn put(&mut self, table: Table, group: &[u8], key: &[u8], value: &[u8]) -> Result<(), StoreError> {
            self.store.as_mut().unwrap().put(table, group, key, value)
        }
        fn delete(&mut self, table: Table, key: &[u8]) -> Result<(), StoreError> {
            self.store.as_mut().unwrap().delete(table, key)
        }
        fn scan(&self, table: Table, group: Option<&[u8]>, each: &mut EachRow<'_>) -> Result<(), StoreError> {
            self.store.as_ref().unwrap().scan(table, group, each)
        }
        fn commit(&mut self) -> Result<(), StoreError> {
            self.store.as_mut().unwrap().commit()
        }
        fn rollback(&mut self) {
            self.store.as_mut().unwrap().rollback();
        }
    }

    vereda_sync::device_store_conformance!(InFolder::new(), |store: InFolder| store.reopened());
}

#[test]
fn no_byte_of_the_files_the_log_included_shows_keys_values_groups_or_tables() {
    let folder = Folder::new();
    let mut store = folder.create();
    for index in 0..200u32 {
        let key = [NAME, &index.to_be_bytes()].concat();
        store.put(CASES, b"team of Baidoa", &key, &NAME.repeat(20)).unwrap();
        store.commit().unwrap();
    }
    store.delete(CASES, &[NAME, &[0, 0, 0, 7]].concat()).unwrap();
    store.commit().unwrap();
    let open = folder.bytes();
    store.checkpoint().unwrap();
    drop(store);
    for bytes in [open, folder.bytes()] {
        assert!(bytes.len() > 100_000);
        for secret in [NAME, b"Amina", b"Baidoa", b"team of", b"cases"] {
            assert!(!contains(&bytes, secret));
        }
    }
}

#[test]
fn lengths_are_hidden_up_to_padding() {
    let folder = Folder::new();
    let mut store = folder.create();
    let mut sizes = Vec::new();
    for (index, len) in [0, 1, 100, 200, 5_000, 5_030].into_iter().enumerate() {
        store.put(CASES, b"", &[index as u8], &vec![1; len]).unwrap();
    }
    store.commit().unwrap();
    let mut select = store.connection.prepare("SELECT length(sealed) FROM rows ORDER BY id").unwrap();
    let mut rows = select.query([]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        sizes.push(row.get::<_, u32>(0).unwrap());
    }
    assert_eq!(sizes, [297, 297, 297, 297, 5_161, 5_161]);
}

#[test]
fn a_row_that_was_altered_moved_or_put_back_in_another_place_is_noticed_with_its_table() {
    let check = |sql: &str| {
        let folder = Folder::new();
        let mut store = folder.create();
        store.put(CASES, b"g", b"a", NAME).unwrap();
        store.put(CASES, b"g", b"b", b"other").unwrap();
        store.put(OTHER, b"g", b"c", b"good").unwrap();
        store.commit().unwrap();
        drop(store);
        folder.meddle(sql);
        let store = folder.open().unwrap();
        let tampered = StoreError::Tampered { table: "cases" };
        assert_eq!(count(&store, CASES), Err(tampered.clone()), "{sql}");
        assert!(tampered.to_string().contains("cases") && tampered.to_string().contains("restore the vault"));
        // The rest of the store still reads.
        assert_eq!(store.get(OTHER, b"c").unwrap(), Some(b"good".to_vec()));
    };
    check("UPDATE rows SET sealed = CAST(substr(sealed, 1, 40) || x'00' || substr(sealed, 42) AS BLOB) WHERE id = 1");
    check("UPDATE rows SET sealed = zeroblob(length(sealed)) WHERE id = 1");
    check("UPDATE rows SET sealed = x'' WHERE id = 1");
    check("UPDATE rows SET sealed = x'0102' WHERE id = 1");
    check("UPDATE rows SET sealed = (SELECT sealed FROM rows WHERE id = 2) WHERE id = 1");
    check("UPDATE rows SET id = 77 WHERE id = 1");
    check("UPDATE rows SET grp = x'00' WHERE id = 1");
    check("UPDATE rows SET key = x'00' WHERE id = 1");
}

#[test]
fn another_key_opens_no_row() {
    let folder = Folder::new();
    let mut store = folder.create();
    store.put(CASES, b"g", b"a", NAME).unwrap();
    store.commit().unwrap();
    drop(store);
    let store = SealedStore::open(&folder.path(), None, &Key32::new([8; 32]), &mut rng(3)).unwrap();
    assert_eq!(store.get(CASES, b"a").unwrap(), None);
    assert_eq!(count(&store, CASES).unwrap(), 0);
}

#[test]
fn a_truncated_or_overwritten_database_is_said_to_be_damaged() {
    let check = |damage: &dyn Fn(&mut Vec<u8>)| {
        let folder = Folder::new();
        let mut store = folder.create();
        for index in 0..300u32 {
            store.put(CASES, b"g", &index.to_be_bytes(), NAME).unwrap();
        }
        store.commit().unwrap();
        store.checkpoint().unwrap();
        drop(store);
        let mut bytes = fs::read(folder.path()).unwrap();
        damage(&mut bytes);
        fs::write(folder.path(), bytes).unwrap();
        match folder.open() {
            Err(OpenStoreError::Damaged) => {}
            Err(other) => panic!("{other:?}"),
            Ok(store) => match count(&store, CASES) {
                Err(StoreError::Damaged { table: "cases" } | StoreError::Tampered { table: "cases" }) => {}
                other => panic!("{other:?}"),
            },
        }
    };
    check(&|bytes| bytes.clear());
    check(&|bytes| bytes.truncate(50));
    check(&|bytes| bytes.truncate(4_096));
    check(&|bytes| bytes.truncate(bytes.len() / 2));
    check(&|bytes| bytes[..100].fill(7));
    check(&|bytes| bytes[4_096..].fill(7));
    check(&|bytes| {
        let half = bytes.len() / 2;
        bytes[half..].fill(0);
    });
}

#[test]
fn a_store_of_a_newer_program_is_refused_and_left_as_it_is() {
    let folder = Folder::new();
    drop(folder.create());
    folder.meddle("PRAGMA user_version = 900");
    let before = folder.bytes();
    let error = folder.open().unwrap_err();
    assert!(matches!(error, OpenStoreError::Newer { found: 900, supported: SCHEMA_VERSION }));
    assert!(error.to_string().contains("update the program"));
    assert_eq!(folder.bytes(), before);
}

#[test]
fn a_newer_version_that_lies_only_in_the_log_is_refused_too() {
    let folder = Folder::new();
    let store = folder.create();
    store.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).unwrap();
    store.connection.pragma_update(None, "user_version", 900).unwrap();
    drop(store);
    let (database, log) = (fs::read(folder.path()).unwrap(), folder.0.path().join("store.sqlite3-wal"));
    let logged = fs::read(&log).unwrap();
    assert!(matches!(folder.open().unwrap_err(), OpenStoreError::Newer { found: 900, .. }));
    assert_eq!((fs::read(folder.path()).unwrap(), fs::read(log).unwrap()), (database, logged));
}

#[test]
fn a_file_that_is_no_store_is_refused() {
    let folder = Folder::new();
    Connection::open(folder.path()).unwrap().execute_batch("CREATE TABLE t (a)").unwrap();
    assert!(matches!(folder.open().unwrap_err(), OpenStoreError::Damaged));
    assert!(matches!(Folder::new().open().unwrap_err(), OpenStoreError::Io(_)));
}

#[test]
fn a_store_is_not_made_over_another() {
    let folder = Folder::new();
    drop(folder.create());
    let error = SealedStore::create(&folder.path(), None, &key(), &mut rng(4)).unwrap_err();
    assert!(matches!(error, OpenStoreError::Exists));
}

#[test]
fn a_full_disk_half_writes_nothing_and_reading_goes_on() {
    let folder = Folder::new();
    let mut store = folder.create();
    store.put(CASES, b"g", b"kept", NAME).unwrap();
    store.commit().unwrap();
    store.limit_pages(Some(20)).unwrap();
    let mut refused = None;
    for index in 0..100u32 {
        if let Err(error) = store.put(CASES, b"g", &index.to_be_bytes(), &[1; 2_000]) {
            refused = Some(error);
            break;
        }
    }
    assert_eq!(refused, Some(StoreError::Full));
    // Whoever goes on regardless gets no half of it.
    assert_eq!(store.put(CASES, b"g", b"more", b""), Err(StoreError::Full));
    assert_eq!(store.commit(), Err(StoreError::Full));
    assert_eq!(count(&store, CASES).unwrap(), 1);
    assert_eq!(store.get(CASES, b"kept").unwrap(), Some(NAME.to_vec()));
    store.limit_pages(None).unwrap();
    store.put(CASES, b"g", b"after", b"room again").unwrap();
    store.commit().unwrap();
    drop(store);
    assert_eq!(count(&folder.open().unwrap(), CASES).unwrap(), 2);
}

#[test]
fn nonces_never_repeat_even_where_a_value_does() {
    let folder = Folder::new();
    let mut store = folder.create();
    for index in 0..500u32 {
        store.put(CASES, b"g", &index.to_be_bytes(), b"same").unwrap();
    }
    store.commit().unwrap();
    let mut select = store.connection.prepare("SELECT substr(sealed, 2, 24) FROM rows").unwrap();
    let nonces = select.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
    let distinct: std::collections::BTreeSet<Vec<u8>> = nonces.map(Result::unwrap).collect();
    assert_eq!(distinct.len(), 500);
}

#[test]
fn a_second_connection_to_an_open_store_is_turned_away() {
    let folder = Folder::new();
    let mut store = folder.create();
    store.put(CASES, b"g", b"a", NAME).unwrap();
    store.commit().unwrap();
    assert!(matches!(folder.open().unwrap_err(), OpenStoreError::Store(StoreError::Failed { .. })));
}

#[test]
fn the_settings_that_safety_rests_on_read_back() {
    let folder = Folder::new();
    let store = folder.create();
    let read = |name: &str| {
        store.connection.pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0)).unwrap()
    };
    assert_eq!(read("synchronous"), rusqlite::types::Value::Integer(2));
    assert_eq!(read("journal_mode"), rusqlite::types::Value::Text("wal".into()));
    assert_eq!(read("page_size"), rusqlite::types::Value::Integer(4_096));
    assert_eq!(read("auto_vacuum"), rusqlite::types::Value::Integer(0));
}

#[cfg(feature = "canary-control")]
#[test]
fn a_control_store_shows_everything() {
    let folder = Folder::new();
    let mut store = SealedStore::open_unsealed_for_control(&folder.path()).unwrap();
    store.put(CASES, b"g", b"a", NAME).unwrap();
    store.commit().unwrap();
    drop(store);
    assert!(contains(&folder.bytes(), NAME));
    let store = SealedStore::open_unsealed_for_control(&folder.path()).unwrap();
    assert_eq!(store.get(CASES, b"a").unwrap(), Some(NAME.to_vec()));
}
