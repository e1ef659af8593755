//! A file system layer for SQLite that loses what was not synced when the power goes.
//!
//! SIGKILL says nothing about fsync: what a killed process wrote is still in the kernel's cache. Here a write counts as
//! durable once its file was synced. When the power goes, each write since then is kept, dropped or torn at sectors of
//! 512 bytes, as a seed decides, and every handle that was open fails from then on. That is what a disk may do; names
//! of files, and the order of whole sectors within what was synced, it keeps.
//!
//! ```no_run
//! let disk = vereda_faultfs::FaultFs::register("seed-7", 7);
//! disk.lose_power_after(40);
//! // open a database with the VFS named `disk.name()`, work until it fails …
//! disk.restore_power();
//! // … open it again and look what is left
//! ```

mod disk;
mod vfs;

use std::sync::Arc;

use vfs::Shared;

/// A registered layer. It stays registered for the life of the process.
#[derive(Debug, Clone)]
pub struct FaultFs(Arc<Shared>);

impl FaultFs {
    /// Registers a layer over SQLite's default one, under a name that must be unused. The seed decides what is lost.
    pub fn register(name: &str, seed: u64) -> Self {
        Self(vfs::register(name, seed))
    }

    /// Tells the name to open databases with.
    pub fn name(&self) -> &str {
        self.0.name()
    }

    /// Lets the power go when so many more writes, truncations, syncs and deletions were made.
    pub fn lose_power_after(&self, operations: u64) {
        self.0.disk().lose_power_after(operations);
    }

    /// Lets the power go now.
    pub fn lose_power(&self) {
        self.0.disk().lose_power();
    }

    /// Says whether the power is gone.
    #[must_use]
    pub fn is_dark(&self) -> bool {
        self.0.disk().is_dark()
    }

    /// Brings the power back. Handles opened before stay dead.
    pub fn restore_power(&self) {
        self.0.disk().restore_power();
    }

    /// Makes syncs do nothing, as a disk that lies does, or as a store that does not sync: to show that a test notices.
    pub fn ignore_syncs(&self, ignore: bool) {
        self.0.disk().ignore_syncs(ignore);
    }

    /// Counts the operations so far: writes, truncations, syncs and deletions.
    pub fn operations(&self) -> u64 {
        self.0.disk().operations()
    }
}
