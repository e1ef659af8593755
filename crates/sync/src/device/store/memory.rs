//! A store in memory: for tests, for the simulator, and to look at what is stored.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    ops::ControlFlow,
};

use super::{DeviceStore, EachRow, StoreError, Table};

/// Tables in memory, with the transaction that is open.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    committed: Tables,
    open: Option<Tables>,
}

#[derive(Debug, Clone, Default)]
struct Tables {
    next: u64,
    by_key: BTreeMap<(Table, Vec<u8>), u64>,
    rows: BTreeMap<(Table, u64), Row>,
}

#[derive(Debug, Clone)]
struct Row {
    group: Vec<u8>,
    key: Vec<u8>,
    value: Vec<u8>,
}

impl MemoryStore {
    /// Opens an empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Loses what was not committed, as a power cut does.
    pub fn crash(&mut self) {
        self.open = None;
    }

    /// Counts the committed rows of a table.
    pub fn committed_rows(&self, table: Table) -> usize {
        self.committed.rows.range((table, 0)..=(table, u64::MAX)).count()
    }

    fn present(&self) -> &Tables {
        self.open.as_ref().unwrap_or(&self.committed)
    }

    fn writable(&mut self) -> &mut Tables {
        self.open.get_or_insert_with(|| self.committed.clone())
    }
}

impl DeviceStore for MemoryStore {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let tables = self.present();
        let place = tables.by_key.get(&(table, key.to_vec()));
        Ok(place.and_then(|place| tables.rows.get(&(table, *place))).map(|row| row.value.clone()))
    }

    fn put(&mut self, table: Table, group: &[u8], key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        let tables = self.writable();
        let place = match tables.by_key.entry((table, key.to_vec())) {
            Entry::Occupied(place) => *place.get(),
            Entry::Vacant(place) => {
                tables.next += 1;
                *place.insert(tables.next)
            }
        };
        let row = Row { group: group.to_vec(), key: key.to_vec(), value: value.to_vec() };
        tables.rows.insert((table, place), row);
        Ok(())
    }

    fn delete(&mut self, table: Table, key: &[u8]) -> Result<(), StoreError> {
        let tables = self.writable();
        if let Some(place) = tables.by_key.remove(&(table, key.to_vec())) {
            tables.rows.remove(&(table, place));
        }
        Ok(())
    }

    fn scan(&self, table: Table, group: Option<&[u8]>, each: &mut EachRow<'_>) -> Result<(), StoreError> {
        let rows = self.present().rows.range((table, 0)..=(table, u64::MAX));
        for (_, row) in rows.filter(|(_, row)| group.is_none_or(|group| group == row.group)) {
            if let ControlFlow::Break(()) = each(&row.key, &row.value) {
                break;
            }
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        if let Some(tables) = self.open.take() {
            self.committed = tables;
        }
        Ok(())
    }

    fn rollback(&mut self) {
        self.open = None;
    }
}

crate::device_store_conformance!(MemoryStore::new(), |mut store: MemoryStore| {
    store.crash();
    store
});
