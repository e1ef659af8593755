//! The contract of every relay store over real files, and what only a database does.

use std::{cell::RefCell, path::PathBuf};

use rusqlite::Connection;
use tempfile::TempDir;
use vereda_sync::relay_store_conformance;

use super::*;

thread_local! {
    /// Folders of this test, which go when it ends.
    static FOLDERS: RefCell<Vec<TempDir>> = const { RefCell::new(Vec::new()) };
}

fn folder() -> PathBuf {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    FOLDERS.with_borrow_mut(|folders| folders.push(folder));
    path
}

fn open() -> SqliteStore {
    SqliteStore::open(&folder().join("relay.db")).unwrap()
}

/// Opens the files as they are, as if the process were gone without a word.
fn crash(store: SqliteStore) -> SqliteStore {
    let from = PathBuf::from(store.connection.path().unwrap());
    let to = folder();
    for file in std::fs::read_dir(from.parent().unwrap()).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
    SqliteStore::open(&to.join("relay.db")).unwrap()
}

relay_store_conformance!(open(), |store: SqliteStore| crash(store));

#[test]
fn a_newer_database_is_refused_with_that_sentence_and_untouched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("relay.db");
    drop(SqliteStore::open(&path).unwrap());
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 7).unwrap();
    let before = std::fs::read(&path).unwrap();
    let error = SqliteStore::open(&path).unwrap_err();
    assert_eq!(error, OpenError::Newer { found: 7, known: SCHEMA_VERSION });
    assert!(error.to_string().contains("update vereda-relay"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn the_database_of_another_program_is_refused_and_untouched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.db");
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE t (a); PRAGMA user_version = 3").unwrap();
    let before = std::fs::read(&path).unwrap();
    assert_eq!(SqliteStore::open(&path).unwrap_err(), OpenError::NotARelay);
    assert_eq!(std::fs::read(&path).unwrap(), before);
    std::fs::write(&path, b"not a database at all, but long enough to be taken for one by a careless reader").unwrap();
    assert!(matches!(SqliteStore::open(&path).unwrap_err(), OpenError::Store(StoreError::Damaged { .. })));
}

#[test]
fn synchronisation_is_full_and_foreign_keys_hold() {
    let kept = open();
    let read =
        |pragma: &str| -> i64 { kept.connection.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get(0)).unwrap() };
    assert_eq!((read("synchronous"), read("foreign_keys")), (2, 1));
    assert!(kept.connection.execute("INSERT INTO data VALUES (99, x'00')", []).is_err());
}

#[test]
fn a_full_disk_is_told_and_leaves_nothing_half_written() {
    let mut kept = open();
    kept.set_relay_epoch(1).unwrap();
    kept.commit().unwrap();
    let pages = kept.page_count().unwrap();
    kept.limit_pages(pages).unwrap();
    let full = (0u32..10_000).find_map(|n| {
        let mut id = [0; 32];
        id[..4].copy_from_slice(&n.to_le_bytes());
        kept.note_member(&Digest(id), Naming::Group, &ChainId(id)).err()
    });
    assert_eq!(full, Some(StoreError::Full));
    kept.rollback();
    assert_eq!(kept.naming(&Digest([0; 32]), Naming::Group), Ok(Vec::new()));
    kept.limit_pages(u32::MAX - 2).unwrap();
    kept.note_member(&Digest([0; 32]), Naming::Group, &ChainId([0; 32])).unwrap();
    kept.commit().unwrap();
    assert_eq!(kept.naming(&Digest([0; 32]), Naming::Group), Ok(vec![ChainId([0; 32])]));
}

#[test]
fn a_database_of_the_first_shape_is_brought_forward_with_all_that_it_holds() {
    use vereda_sync::people::Person;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("relay.db");
    let mut kept = SqliteStore::open(&path).unwrap();
    vereda_sync::relay::store::conformance::operations_and_wraps_are_found_by_chain_and_in_log_order(&mut kept);
    kept.commit().unwrap();
    let device = Person::new(1).device();
    let (places, end) = (kept.places(&device, None).unwrap(), kept.end().unwrap());
    let entries: Vec<_> = (1..=end.0).map(|position| kept.entry(Position(position)).unwrap()).collect();
    drop(kept);
    assert_eq!(places.len(), 2);
    schema::set_back_to_first(&Connection::open(&path).unwrap());
    let kept = SqliteStore::open(&path).unwrap();
    assert_eq!((kept.places(&device, None), kept.end()), (Ok(places), Ok(end)));
    let found: Vec<_> = (1..=end.0).map(|position| kept.entry(Position(position)).unwrap()).collect();
    assert_eq!(found, entries);
    assert_eq!(kept.heads(Scope::Policy, Position(0), end, 99).unwrap().len(), entries.len());
    let heads = kept.heads(Scope::Policy, Position(0), end, 99).unwrap();
    let of_first = heads.iter().filter(|head| head.about.chain() == heads[0].about.chain()).count();
    let page = kept.heads(Scope::Chain(heads[0].about.chain()), Position(0), end, 99).unwrap();
    assert_eq!(page.len(), of_first, "the index of the newest shape is filled");
    assert!(kept.connection.execute("INSERT INTO data VALUES (99, x'00')", []).is_err(), "foreign keys hold again");
}

#[test]
fn a_page_of_the_log_reads_its_own_rows_however_long_the_log_is() {
    use rusqlite::StatementStatus;

    let (mut kept, chain) = (open(), ChainId([7; 32]));
    let kinds = |position: usize| if position.is_multiple_of(100) { row::OP } else { row::CHUNK };
    let mut steps = Vec::new();
    for upto in [1_000, 10_000] {
        for position in kept.end.0 as usize..upto {
            let row = Row { kind: kinds(position), chain, data: vec![0; 8] };
            kept.append_row(&row, Some(1)).unwrap();
        }
        kept.commit().unwrap();
        let number = kept.name(chain.as_bytes()).unwrap().unwrap();
        let read = |scope| {
            let mut statement = kept.connection.prepare(page_of(scope)).unwrap();
            match scope {
                Scope::Policy | Scope::Content => assert_eq!(count(statement.query([0, 9_999, 8]).unwrap()), 8),
                _ => assert_eq!(count(statement.query([0, 9_999, 8, number]).unwrap()), 8),
            }
            assert_eq!(statement.get_status(StatementStatus::Sort), 0, "{scope:?} is read in its order");
            statement.get_status(StatementStatus::VmStep)
        };
        let scopes = [Scope::Policy, Scope::Content, Scope::Chain(chain), Scope::ChainPolicy(chain)];
        steps.push(scopes.map(read));
    }
    assert_eq!(steps[0], steps[1]);
    assert!(steps[0].iter().all(|steps| *steps < 300), "{steps:?}");
}

fn count(mut rows: rusqlite::Rows<'_>) -> usize {
    let mut count = 0;
    while rows.next().unwrap().is_some() {
        count += 1;
    }
    count
}
