//! The small numbers that stand in the database for ids and for authors of chunks, kept in memory while they are used.

use std::{cell::RefCell, collections::BTreeMap};

use vereda_base::{DeviceId, Incarnation};
use vereda_sync::relay::StoreError;

use super::{
    SqliteStore,
    packed::{Name, Number},
    row::to_id,
};

/// Ids kept in memory with their numbers.
const MAX_NAMES: usize = 65_536;

/// What is known of the tables `name` and `author` without asking.
#[derive(Debug, Default)]
pub(super) struct Names {
    numbers: RefCell<BTreeMap<[u8; 32], i64>>,
    ids: RefCell<BTreeMap<i64, [u8; 32]>>,
    authors: RefCell<BTreeMap<(DeviceId, Incarnation), i64>>,
    by_author: RefCell<BTreeMap<i64, (DeviceId, Incarnation)>>,
}

impl Names {
    /// Forgets everything: what a transaction gave out may be gone with it.
    pub(super) fn clear(&self) {
        self.numbers.borrow_mut().clear();
        self.ids.borrow_mut().clear();
        self.authors.borrow_mut().clear();
        self.by_author.borrow_mut().clear();
    }

    fn keep(&self, id: [u8; 32], number: i64) {
        bounded(&mut self.numbers.borrow_mut()).insert(id, number);
        bounded(&mut self.ids.borrow_mut()).insert(number, id);
    }

    fn keep_author(&self, author: (DeviceId, Incarnation), number: i64) {
        bounded(&mut self.authors.borrow_mut()).insert(author, number);
        bounded(&mut self.by_author.borrow_mut()).insert(number, author);
    }
}

fn bounded<K: Ord, V>(map: &mut BTreeMap<K, V>) -> &mut BTreeMap<K, V> {
    if map.len() >= MAX_NAMES {
        map.clear();
    }
    map
}

impl SqliteStore {
    /// Finds the number of an id; `None` where it never stood in here.
    pub(super) fn name(&self, id: &[u8; 32]) -> Result<Option<i64>, StoreError> {
        if let Some(number) = self.names.numbers.borrow().get(id) {
            return Ok(Some(*number));
        }
        let sql = "SELECT id FROM name WHERE substr(value, 1, 6) = substr(?1, 1, 6) AND value = ?1";
        let found = self.one("name", sql, [id], |row| row.get(0))?;
        if let Some(number) = found {
            self.names.keep(*id, number);
        }
        Ok(found)
    }

    /// Finds the number of an id, or gives it one.
    pub(super) fn make_name(&mut self, id: &[u8; 32]) -> Result<i64, StoreError> {
        self.begin()?;
        if let Some(number) = self.name(id)? {
            return Ok(number);
        }
        self.execute("name", "INSERT INTO name (value) VALUES (?1)", [id])?;
        let number = self.connection.last_insert_rowid();
        self.names.keep(*id, number);
        Ok(number)
    }

    /// Finds the number of a device's incarnation; `None` where it wrote nothing.
    pub(super) fn author(&self, device: &DeviceId, incarnation: Incarnation) -> Result<Option<i64>, StoreError> {
        if let Some(number) = self.names.authors.borrow().get(&(*device, incarnation)) {
            return Ok(Some(*number));
        }
        let Some(name) = self.name(device.as_bytes())? else { return Ok(None) };
        let sql = "SELECT id FROM author WHERE device = ?1 AND incarnation = ?2";
        let found = self.one("author", sql, [name, incarnation.0.cast_signed()], |row| row.get(0))?;
        if let Some(number) = found {
            self.names.keep_author((*device, incarnation), number);
        }
        Ok(found)
    }

    /// Finds the number of a device's incarnation, or gives it one.
    pub(super) fn make_author(&mut self, device: &DeviceId, incarnation: Incarnation) -> Result<i64, StoreError> {
        self.begin()?;
        if let Some(number) = self.author(device, incarnation)? {
            return Ok(number);
        }
        let name = self.make_name(device.as_bytes())?;
        let sql = "INSERT INTO author (device, incarnation) VALUES (?1, ?2)";
        self.execute("author", sql, [name, incarnation.0.cast_signed()])?;
        let number = self.connection.last_insert_rowid();
        self.names.keep_author((*device, incarnation), number);
        Ok(number)
    }

    /// Finds an author by its number.
    pub(super) fn author_of(&self, number: i64) -> Result<(DeviceId, Incarnation), StoreError> {
        if let Some(author) = self.names.by_author.borrow().get(&number) {
            return Ok(*author);
        }
        let sql = "SELECT device, incarnation FROM author WHERE id = ?1";
        let found = self.one("author", sql, [number], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))?;
        let (device, incarnation) = found.ok_or(StoreError::Damaged { table: "author" })?;
        let author = (DeviceId(self.id(device)?), Incarnation(incarnation.cast_unsigned()));
        self.names.keep_author(author, number);
        Ok(author)
    }
}

impl Number for SqliteStore {
    fn number(&mut self, id: &[u8; 32]) -> Result<i64, StoreError> {
        self.make_name(id)
    }
}

impl Name for SqliteStore {
    fn id(&self, number: i64) -> Result<[u8; 32], StoreError> {
        if let Some(id) = self.names.ids.borrow().get(&number) {
            return Ok(*id);
        }
        let found = self.one("name", "SELECT value FROM name WHERE id = ?1", [number], |row| to_id(row, 0))?;
        let id = found.ok_or(StoreError::Damaged { table: "name" })?;
        self.names.keep(id, number);
        Ok(id)
    }
}
