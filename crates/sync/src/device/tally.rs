//! Rows that others can make this device keep, counted against bounds: what waits, and what is set aside.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    ops::ControlFlow,
};

use super::{
    config::{Amount, Bound},
    machine::DeviceMachine,
    store::{DeviceStore, StoreError, Table},
};

/// What is kept at present, by table and by group; read from the store when it is first asked for. Forgotten whenever a
/// transaction fails.
#[derive(Debug, Default)]
pub(super) struct Tally {
    tables: BTreeMap<Table, Amount>,
    groups: BTreeMap<(Table, Vec<u8>), Amount>,
}

/// A row that is kept only where there is room.
pub(super) struct Kept<'a> {
    pub(super) table: Table,
    pub(super) group: &'a [u8],
    pub(super) key: &'a [u8],
    pub(super) value: &'a [u8],
}

/// Whether there was room for a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    /// There was: it is kept.
    Kept,
    /// Its group is full.
    GroupFull,
    /// The table is full.
    TableFull,
}

impl Tally {
    fn table(&mut self, store: &dyn DeviceStore, table: Table) -> Result<&mut Amount, StoreError> {
        match self.tables.entry(table) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(unknown) => Ok(unknown.insert(count(store, table, None)?)),
        }
    }

    fn group(&mut self, store: &dyn DeviceStore, table: Table, group: &[u8]) -> Result<&mut Amount, StoreError> {
        match self.groups.entry((table, group.to_vec())) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(unknown) => Ok(unknown.insert(count(store, table, Some(group))?)),
        }
    }
}

impl DeviceMachine {
    /// Writes a row if a bound leaves room for it. One that stands there already is replaced, whatever the bound.
    pub(super) fn keep_within(
        &mut self,
        row: &Kept<'_>,
        bound: Bound,
        store: &mut dyn DeviceStore,
    ) -> Result<Room, StoreError> {
        let Kept { table, group, key, value } = *row;
        let bytes = value.len() as u64;
        let known = store.get(table, key)?.map(|value| value.len() as u64);
        if known.is_none() {
            if !self.tally.table(&*store, table)?.leaves_room(bytes, bound.whole) {
                return Ok(Room::TableFull);
            }
            if let Some(limit) = bound.group
                && !self.tally.group(&*store, table, group)?.leaves_room(bytes, limit)
            {
                return Ok(Room::GroupFull);
            }
        }
        store.put(table, group, key, value)?;
        let counted = [self.tally.tables.get_mut(&table), self.tally.groups.get_mut(&(table, group.to_vec()))];
        for amount in counted.into_iter().flatten() {
            if let Some(known) = known {
                amount.subtract(known);
            }
            amount.add(bytes);
        }
        Ok(Room::Kept)
    }

    /// Removes a row that is counted.
    pub(super) fn release(
        &mut self,
        table: Table,
        group: &[u8],
        key: &[u8],
        store: &mut dyn DeviceStore,
    ) -> Result<(), StoreError> {
        let Some(bytes) = store.get(table, key)?.map(|value| value.len() as u64) else {
            return Ok(());
        };
        store.delete(table, key)?;
        if let Some(amount) = self.tally.tables.get_mut(&table) {
            amount.subtract(bytes);
        }
        let place = (table, group.to_vec());
        if let Some(amount) = self.tally.groups.get_mut(&place) {
            amount.subtract(bytes);
            if amount.rows == 0 {
                self.tally.groups.remove(&place);
            }
        }
        Ok(())
    }
}

impl Amount {
    const fn leaves_room(self, bytes: u64, limit: Self) -> bool {
        self.rows < limit.rows && self.bytes.saturating_add(bytes) <= limit.bytes
    }

    const fn add(&mut self, bytes: u64) {
        self.rows = self.rows.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
    }

    const fn subtract(&mut self, bytes: u64) {
        self.rows = self.rows.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

fn count(store: &dyn DeviceStore, table: Table, group: Option<&[u8]>) -> Result<Amount, StoreError> {
    let mut amount = Amount::default();
    store.scan(table, group, &mut |_, value| {
        amount.add(value.len() as u64);
        ControlFlow::Continue(())
    })?;
    Ok(amount)
}
