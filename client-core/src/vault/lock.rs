//! One process at a time has a vault open.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    path::Path,
};

use super::file::private;

/// Held as long as a vault is open. The operating system releases it when the process ends, however it ends.
#[derive(Debug)]
pub(super) struct VaultLock(#[allow(dead_code, reason = "held, not read")] File);

impl VaultLock {
    /// Takes the lock in a vault's folder; `None` if another process holds it.
    pub(super) fn take(folder: &Path) -> io::Result<Option<Self>> {
        let file = private(OpenOptions::new().write(true).create(true).truncate(false)).open(folder.join("lock"))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_is_turned_away_until_the_first_lets_go() {
        let folder = tempfile::tempdir().unwrap();
        let first = VaultLock::take(folder.path()).unwrap();
        assert!(first.is_some());
        assert!(VaultLock::take(folder.path()).unwrap().is_none());
        drop(first);
        assert!(VaultLock::take(folder.path()).unwrap().is_some());
    }
}
