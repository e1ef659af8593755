//! The device's side.

pub mod store;

pub use store::{DeviceStore, MemoryStore, StoreError, Table};
