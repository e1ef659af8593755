//! Where one vault lies: a folder of a file system, or what a browser gives a site to keep.

use std::{io, path::Path};

use minicbor::{Decode, Encode};

/// The small files of a vault beside its database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum VaultFile {
    /// Version, label, how the data key is wrapped.
    Header,
    /// Wrong attempts, and when the next is allowed.
    Attempts,
    /// What pairs the store with this place; where there is a choice, kept where no backup reaches.
    Pairing,
}

/// Which file a database is, as far as its place can tell: another one is a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct FileIdentity {
    /// The device that it lies on.
    #[n(0)]
    pub device: u64,
    /// Its number there.
    #[n(1)]
    pub inode: u64,
}

/// The place of one vault, which nobody else has open as long as this lives.
pub trait VaultPlace: Send {
    /// Reads a file; `None` where there is none.
    ///
    /// # Errors
    /// As the place fails.
    fn read(&self, file: VaultFile) -> io::Result<Option<Vec<u8>>>;

    /// Puts a file in the old one's place, durably: after a crash the one or the other is there, whole.
    ///
    /// # Errors
    /// As the place fails; [`io::ErrorKind::StorageFull`] or [`io::ErrorKind::QuotaExceeded`] where there is no room.
    fn replace(&self, file: VaultFile, bytes: &[u8]) -> io::Result<()>;

    /// Names the database.
    fn database(&self) -> &Path;

    /// Names SQLite's file system layer that the database lies on; `None` for the machine's own.
    fn vfs(&self) -> Option<&str>;

    /// Tells which file the database is.
    ///
    /// # Errors
    /// As the place fails.
    fn identity(&self) -> io::Result<FileIdentity>;
}
