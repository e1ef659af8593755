//! The device's store: SQLite whose every row is sealed.
//!
//! What lies on the disk, the write-ahead log included, are hashes under a key of the vault and ciphertexts of padded
//! length. Who finds the device locked can count rows and see their sizes. Associated data binds a row to its table,
//! its hashed key, its group and its place in the order, so that moving one is noticed.

mod migration;
mod row;
mod sealed;
mod sealer;
mod settings;

pub use migration::SCHEMA_VERSION;
pub use sealed::{OpenStoreError, SealedStore};
