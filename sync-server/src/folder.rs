//! The data folder: the relay's key, its database, and a lock that lets one process at a time write there.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use rand_core::Rng;
use vereda_base::Sensitive;
use vereda_crypto::DeviceKey;
use vereda_sync::relay::{RelayStore, StoreError, founding_digest, store::Founding};

use crate::{
    entropy::SystemEntropy,
    store::{OpenError, SqliteStore},
};

const KEY_FILE: &str = "relay.key";
const DATABASE_FILE: &str = "relay.db";
const LOCK_FILE: &str = "relay.lock";

/// A data folder.
#[derive(Debug, Clone)]
pub struct Folder(PathBuf);

impl Folder {
    /// Names a folder; nothing is touched.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Says where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Says whether a relay was made here.
    pub fn is_relay(&self) -> bool {
        self.0.join(KEY_FILE).exists()
    }

    /// Makes a relay here: draws its key. A folder that holds one already is refused.
    ///
    /// # Errors
    /// [`FolderError`] by cause.
    pub fn init(&self) -> Result<DeviceKey, FolderError> {
        if self.is_relay() {
            return Err(FolderError::Taken { path: self.0.clone() });
        }
        let io = |source| FolderError::Io { path: self.0.clone(), source };
        let mut folder = fs::DirBuilder::new();
        folder.recursive(true);
        // Who works when, and with whom, is nobody else's business on this machine.
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut folder, 0o700);
        folder.create(&self.0).map_err(io)?;
        let key = DeviceKey::generate(&mut SystemEntropy);
        let path = self.0.join(KEY_FILE);
        let whole = self.0.join("relay.key.new");
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&whole).map_err(io)?;
        writeln!(file, "{}", hex::encode(key.seed().expose())).map_err(io)?;
        file.sync_all().map_err(io)?;
        fs::rename(&whole, &path).map_err(io)?;
        sync_folder(&self.0).map_err(io)?;
        Ok(key)
    }

    /// Reads the relay's key.
    ///
    /// # Errors
    /// [`FolderError::Missing`] where no relay was made, [`FolderError::Key`] where the file holds no key.
    pub fn key(&self) -> Result<DeviceKey, FolderError> {
        let path = self.0.join(KEY_FILE);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(FolderError::Missing { path: self.0.clone() });
            }
            Err(source) => return Err(FolderError::Io { path, source }),
        };
        let mut text = String::new();
        file.take(1_024).read_to_string(&mut text).map_err(|source| FolderError::Io { path: path.clone(), source })?;
        let text = Sensitive::new(text);
        let mut seed = [0; 32];
        hex::decode_to_slice(text.expose().trim(), &mut seed).map_err(|_| FolderError::Key { path })?;
        let seed = Sensitive::new(seed);
        Ok(DeviceKey::from_seed(seed.expose()))
    }

    /// Opens the database.
    ///
    /// # Errors
    /// [`OpenError`] by cause.
    pub fn open_store(&self) -> Result<SqliteStore, OpenError> {
        SqliteStore::open(&self.0.join(DATABASE_FILE))
    }

    /// Takes the folder for this process. Another one that serves it is refused.
    ///
    /// # Errors
    /// [`FolderError::InUse`], or [`FolderError::Io`].
    pub fn lock(&self) -> Result<FolderLock, FolderError> {
        let path = self.0.join(LOCK_FILE);
        let io = |source| FolderError::Io { path: path.clone(), source };
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(io)?;
        match file.try_lock() {
            Ok(()) => Ok(FolderLock { _file: file }),
            Err(fs::TryLockError::WouldBlock) => Err(FolderError::InUse { path: self.0.clone() }),
            Err(fs::TryLockError::Error(source)) => Err(io(source)),
        }
    }

    /// Draws a new relay epoch, after the database was restored from a backup: whoever knows the old one stops before it
    /// mistakes other entries for those that it has.
    ///
    /// # Errors
    /// [`FolderError::InUse`] while a process serves it; others by cause.
    pub fn renew_epoch(&self) -> Result<(), FolderError> {
        self.key()?;
        let _lock = self.lock()?;
        let mut store = self.open_store()?;
        store.set_relay_epoch(SystemEntropy.next_u64())?;
        store.commit()?;
        Ok(())
    }

    /// Draws a founding secret, good for one agency, and stores the public half of its key. Also while the relay serves.
    ///
    /// # Errors
    /// [`FolderError`] by cause.
    pub fn make_founding_secret(&self) -> Result<Sensitive<[u8; 32]>, FolderError> {
        self.key()?;
        let mut secret = [0; 32];
        SystemEntropy.fill_bytes(&mut secret);
        let secret = Sensitive::new(secret);
        let mut store = self.open_store()?;
        store.set_founding(&founding_digest(secret.expose()), &Founding::Open)?;
        store.commit()?;
        Ok(secret)
    }
}

/// Holds a data folder for this process.
#[derive(Debug)]
pub struct FolderLock {
    _file: File,
}

/// Why a data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// No relay was made there.
    #[error("there is no relay in {}: make one with `vereda-relay init`", path.display())]
    Missing {
        /// The folder.
        path: PathBuf,
    },
    /// A relay was made there before.
    #[error("there is a relay in {} already", path.display())]
    Taken {
        /// The folder.
        path: PathBuf,
    },
    /// Another process serves it.
    #[error("another process serves the relay in {}", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// The key file holds no key.
    #[error("{} holds no relay's key: restore it from a backup", path.display())]
    Key {
        /// The file.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("{} cannot be used: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The database was not opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes a new name in a folder durable.
fn sync_folder(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    File::open(path)?.sync_all()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relay_is_made_once_and_keeps_its_key() {
        let parent = tempfile::tempdir().unwrap();
        let folder = Folder::new(parent.path().join("data"));
        assert!(matches!(folder.key(), Err(FolderError::Missing { .. })));
        let key = folder.init().unwrap();
        assert_eq!(folder.key().unwrap().device_id(), key.device_id());
        assert!(matches!(folder.init(), Err(FolderError::Taken { .. })));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(folder.path().join(KEY_FILE)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        fs::write(folder.path().join(KEY_FILE), "abc").unwrap();
        assert!(matches!(folder.key(), Err(FolderError::Key { .. })));
    }

    #[test]
    fn one_process_at_a_time_holds_the_folder() {
        let parent = tempfile::tempdir().unwrap();
        let folder = Folder::new(parent.path());
        let lock = folder.lock().unwrap();
        assert!(matches!(folder.lock(), Err(FolderError::InUse { .. })));
        drop(lock);
        folder.lock().unwrap();
    }
}
