//! The device's store as the engine sees it: ordered tables of sealed rows behind one narrow trait.
//!
//! Exactly one transaction is open at a time: it begins with the first write after a commit. Reads see it. What was not
//! committed is gone after a rollback, a crash or a drop.

use std::ops::ControlFlow;

pub mod conformance;
pub mod memory;

pub use memory::MemoryStore;

/// A table, named by a constant of whoever owns it. The name is part of what a row's seal covers: never rename one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Table(pub &'static str);

/// Sees one row of a scan: key and value. Breaking ends the scan.
pub type EachRow<'a> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'a;

/// Ordered key-value tables with transactions. A row belongs to one group of its table.
pub trait DeviceStore {
    /// Reads one row.
    ///
    /// # Errors
    /// [`StoreError`] by cause.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Writes a row, replacing value and group of the row with that key. A replaced row keeps the place in the table's
    /// order that its first put gave it.
    ///
    /// # Errors
    /// [`StoreError`] by cause; the transaction is then to be rolled back.
    fn put(&mut self, table: Table, group: &[u8], key: &[u8], value: &[u8]) -> Result<(), StoreError>;

    /// Removes a row; nothing happens where there is none.
    ///
    /// # Errors
    /// [`StoreError`] by cause; the transaction is then to be rolled back.
    fn delete(&mut self, table: Table, key: &[u8]) -> Result<(), StoreError>;

    /// Shows the rows of a table, or of one of its groups, in the order of their first puts.
    ///
    /// # Errors
    /// [`StoreError`] by cause; rows seen before it are good.
    fn scan(&self, table: Table, group: Option<&[u8]>, each: &mut EachRow<'_>) -> Result<(), StoreError>;

    /// Makes everything since the last commit durable, or nothing of it.
    ///
    /// # Errors
    /// [`StoreError`] by cause; then everything since the last commit is gone.
    fn commit(&mut self) -> Result<(), StoreError>;

    /// Drops everything since the last commit.
    fn rollback(&mut self);
}

/// Why the store failed. Names the table and what to do; never a row.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// No room on the disk.
    #[error("the disk is full: free some space; nothing was half-written, and what is stored can still be read")]
    Full,
    /// The store may be read only.
    #[error("the store can only be read at present: free some space on the disk and unlock again")]
    ReadOnly,
    /// A row does not open, or opens to something that is not what was sealed in its place.
    #[error(
        "a row of table {table} was altered outside of this program: restore the vault from a copy, or remove this \
         device and join again"
    )]
    Tampered {
        /// The table.
        table: &'static str,
    },
    /// The database is truncated or its structure is damaged.
    #[error(
        "the database is damaged where table {table} is read: restore the vault from a copy, or remove this device and \
         join again"
    )]
    Damaged {
        /// The table that was read.
        table: &'static str,
    },
    /// A row opens, but holds nothing that this program understands.
    #[error("a row of table {table} has a form unknown to this program: update it")]
    Unknown {
        /// The table.
        table: &'static str,
    },
    /// Anything else that the operating system or the database reports.
    #[error("the store failed at table {table} with code {code}: check the disk and try again")]
    Failed {
        /// The table.
        table: &'static str,
        /// Code of the database or the operating system.
        code: i32,
    },
}
