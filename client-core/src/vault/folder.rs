//! A vault in a folder of a file system.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use super::{
    VaultId,
    file::replace,
    lock::VaultLock,
    place::{FileIdentity, VaultFile, VaultPlace},
};

/// The folder of one vault, held open, and its file in the state folder.
#[derive(Debug)]
pub(super) struct VaultFolder {
    folder: PathBuf,
    pairing: PathBuf,
    database: PathBuf,
    _lock: VaultLock,
}

impl VaultFolder {
    /// Names the files of a vault whose lock is held.
    pub(super) fn new(folder: PathBuf, state: &Path, id: &VaultId, lock: VaultLock) -> Self {
        let (pairing, database) = (state.join(format!("{id}.cbor")), database(&folder));
        Self { folder, pairing, database, _lock: lock }
    }

    /// Gives up all but the lock.
    pub(super) fn into_lock(self) -> VaultLock {
        self._lock
    }

    fn path(&self, file: VaultFile) -> PathBuf {
        match file {
            VaultFile::Header => header(&self.folder),
            VaultFile::Attempts => self.folder.join("attempts.cbor"),
            VaultFile::Pairing => self.pairing.clone(),
        }
    }
}

/// The place of a vault's header.
pub(super) fn header(folder: &Path) -> PathBuf {
    folder.join("vault.cbor")
}

/// The place of a vault's database.
pub(super) fn database(folder: &Path) -> PathBuf {
    folder.join("store.sqlite3")
}

impl VaultPlace for VaultFolder {
    fn read(&self, file: VaultFile) -> io::Result<Option<Vec<u8>>> {
        match fs::read(self.path(file)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn replace(&self, file: VaultFile, bytes: &[u8]) -> io::Result<()> {
        let path = self.path(file);
        match replace(&path, bytes) {
            // Where there is no room for a second file, in place: a torn count counts as many attempts.
            Err(_) if file == VaultFile::Attempts => {
                let mut file = OpenOptions::new().write(true).open(&path)?;
                file.write_all(bytes)?;
                file.set_len(bytes.len() as u64)?;
                file.sync_all()
            }
            done => done,
        }
    }

    fn database(&self) -> &Path {
        &self.database
    }

    fn vfs(&self) -> Option<&str> {
        None
    }

    #[cfg(unix)]
    fn identity(&self) -> io::Result<FileIdentity> {
        use std::os::unix::fs::MetadataExt;
        let metadata = fs::metadata(&self.database)?;
        Ok(FileIdentity { device: metadata.dev(), inode: metadata.ino() })
    }

    /// Where files have no number of their own, when the file was made stands in for it.
    #[cfg(not(unix))]
    fn identity(&self) -> io::Result<FileIdentity> {
        let made = fs::metadata(&self.database)?.created()?;
        let since = made.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Ok(FileIdentity { device: 0, inode: since.as_millis() as u64 })
    }
}
