//! A vault as the store of a device.

use rand_core::CryptoRng;
use vereda_base::Incarnation;
use vereda_sync::device::{DeviceStore, StoreError, Table, store::EachRow};

use super::IncarnatedStore;
use crate::vault::Vault;

impl DeviceStore for Vault {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.store().get(table, key)
    }

    fn put(&mut self, table: Table, group: &[u8], key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.store_mut().put(table, group, key, value)
    }

    fn delete(&mut self, table: Table, key: &[u8]) -> Result<(), StoreError> {
        self.store_mut().delete(table, key)
    }

    fn scan(&self, table: Table, group: Option<&[u8]>, each: &mut EachRow<'_>) -> Result<(), StoreError> {
        self.store().scan(table, group, each)
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        self.store_mut().commit()
    }

    fn rollback(&mut self) {
        self.store_mut().rollback();
    }
}

impl IncarnatedStore for Vault {
    fn incarnation(&self) -> Incarnation {
        Self::incarnation(self)
    }

    fn renew_incarnation(&mut self, rng: &mut dyn CryptoRng) -> Result<Incarnation, String> {
        self.open_incarnation(rng).map_err(|error| error.to_string())
    }
}
