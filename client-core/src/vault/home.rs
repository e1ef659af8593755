//! Where a device's vaults lie: making, listing, unlocking them.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use rand_core::CryptoRng;
use vereda_base::Timestamp;
use vereda_crypto::{KdfError, KdfParams, Key32};

use super::{
    AllowedAt, ChangeSecretError, PairingError, UnlockSecret, Vault, VaultId,
    attempts::Attempts,
    file::{make_private_folder, sync_folder},
    header::{self, Header, ReadHeaderError},
    lock::VaultLock,
    pairing::Pairing,
};
use crate::store::{OpenStoreError, SealedStore};

/// What a vault's folder is called until it is complete.
const UNFINISHED: &str = "unfinished-";

/// The folder of a device's vaults, and the folder for what must stay out of backups.
#[derive(Debug, Clone)]
pub struct VaultHome {
    vaults: PathBuf,
    state: PathBuf,
}

/// A vault as it can be seen without unlocking it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VaultListing {
    /// The vault.
    pub id: VaultId,
    /// The label that its user chose, if any.
    pub label: Option<String>,
    /// Whether a passphrase unlocks it, rather than a key.
    pub takes_passphrase: bool,
}

impl VaultHome {
    /// Names the two folders; they are made when they are needed. `state` must not lie in `vaults`, nor be copied with
    /// it.
    pub fn new(vaults: impl Into<PathBuf>, state: impl Into<PathBuf>) -> Self {
        Self { vaults: vaults.into(), state: state.into() }
    }

    /// Lists the vaults, without unlocking any: random ids, and labels where users chose one.
    ///
    /// # Errors
    /// [`ListVaultsError`] if the folder cannot be read. A vault whose header cannot be read is listed without label.
    pub fn list(&self) -> Result<Vec<VaultListing>, ListVaultsError> {
        let mut listings = Vec::new();
        let entries = match fs::read_dir(&self.vaults) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(listings),
            Err(error) => return Err(error.into()),
        };
        for entry in entries {
            let entry = entry?;
            let Some(id) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            let header = Header::read(&entry.path()).ok();
            let takes_passphrase = header.as_ref().is_none_or(Header::takes_passphrase);
            listings.push(VaultListing { id, label: header.and_then(|header| header.label), takes_passphrase });
        }
        listings.sort_by_key(|listing| listing.id);
        Ok(listings)
    }

    /// Makes a vault with a new data key and unlocks it. After a crash it is there whole or not at all.
    ///
    /// # Errors
    /// [`CreateVaultError`] by cause.
    pub fn create(
        &self,
        secret: &UnlockSecret,
        kdf: KdfParams,
        label: Option<String>,
        rng: &mut dyn CryptoRng,
    ) -> Result<Vault, CreateVaultError> {
        make_private_folder(&self.vaults)?;
        make_private_folder(&self.state)?;
        self.sweep()?;
        let mut id = VaultId([0; 16]);
        rng.fill_bytes(&mut id.0);
        let data_key = Key32::make(rng);
        let folder = self.vaults.join(format!("{UNFINISHED}{id}"));
        make_private_folder(&folder)?;
        // Held before the folder can be seen under its name, and through the renaming: nobody sweeps or unlocks it.
        let lock = VaultLock::take(&folder)?.ok_or(CreateVaultError::InUse)?;
        let header = Header::wrap(&id, label, &data_key, secret, kdf, rng)?;
        header.write(&folder)?;
        let database = folder.join("store.sqlite3");
        header::make_private(&database)?;
        drop(SealedStore::create(&database, &data_key, rng)?);
        sync_folder(&folder)?;
        fs::rename(&folder, self.folder(&id))?;
        sync_folder(&self.vaults)?;
        Ok(self.open(id, header, data_key, lock, rng)?)
    }

    /// Unlocks a vault.
    ///
    /// # Errors
    /// [`UnlockVaultError`] by cause; [`UnlockVaultError::TooSoon`] after several wrong attempts.
    pub fn unlock(
        &self,
        id: VaultId,
        secret: &UnlockSecret,
        now: Timestamp,
        rng: &mut dyn CryptoRng,
    ) -> Result<Vault, UnlockVaultError> {
        let folder = self.folder(&id);
        if !header::path(&folder).exists() {
            return Err(UnlockVaultError::NoSuchVault { id });
        }
        make_private_folder(&self.state)?;
        let lock = VaultLock::take(&folder)?.ok_or(UnlockVaultError::InUse { id })?;
        let header = Header::read(&folder)?;
        let mut attempts = Attempts::read(&folder)?;
        attempts.begin(now)?.map_err(|allowed_at| UnlockVaultError::TooSoon { allowed_at })?;
        let data_key = header.unwrap(&id, secret)?.ok_or(UnlockVaultError::WrongSecret { wrong: attempts.wrong() })?;
        attempts.forget()?;
        self.open(id, header, data_key, lock, rng)
    }

    fn open(
        &self,
        id: VaultId,
        header: Header,
        data_key: Key32,
        lock: VaultLock,
        rng: &mut dyn CryptoRng,
    ) -> Result<Vault, UnlockVaultError> {
        let folder = self.folder(&id);
        let database = folder.join("store.sqlite3");
        let mut store = SealedStore::open(&database, &data_key, rng)?;
        let pairing = Pairing::new(self.state.join(format!("{id}.cbor")), database);
        let paired = pairing.check(&mut store, rng)?;
        Ok(Vault { id, folder, header, data_key, store, pairing, paired, _lock: lock })
    }

    fn folder(&self, id: &VaultId) -> PathBuf {
        self.vaults.join(id.to_string())
    }

    /// Removes what a crash left of vaults in the making: nothing was ever kept in them.
    fn sweep(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.vaults)? {
            let path = entry?.path();
            if is_unfinished(&path) && VaultLock::take(&path)?.is_some() {
                fs::remove_dir_all(&path)?;
            }
        }
        Ok(())
    }
}

fn is_unfinished(path: &Path) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(UNFINISHED))
}

/// Why vaults could not be listed.
#[derive(Debug, thiserror::Error)]
#[error("the folder of the vaults cannot be read: {0}")]
pub struct ListVaultsError(#[from] io::Error);

/// Why a vault was not made.
#[derive(Debug, thiserror::Error)]
pub enum CreateVaultError {
    /// The secret could not be stretched, or the header not written.
    #[error(transparent)]
    Secret(#[from] ChangeSecretError),
    /// The store could not be made.
    #[error(transparent)]
    Store(#[from] OpenStoreError),
    /// It was made but could not be opened.
    #[error(transparent)]
    Open(#[from] UnlockVaultError),
    /// Another process works on a vault of the same name.
    #[error("the vault is in use by another process")]
    InUse,
    /// The folder cannot be written.
    #[error("the folder of the vaults cannot be written: {0}")]
    Io(#[from] io::Error),
}

/// Why a vault stays locked.
#[derive(Debug, thiserror::Error)]
pub enum UnlockVaultError {
    /// There is none of that name.
    #[error("there is no vault {id}")]
    NoSuchVault {
        /// The vault.
        id: VaultId,
    },
    /// Another process has it open.
    #[error("vault {id} is in use by another process: close it there first")]
    InUse {
        /// The vault.
        id: VaultId,
    },
    /// The passphrase or key is wrong.
    #[error("wrong passphrase or key; wrong attempts in a row: {wrong}")]
    WrongSecret {
        /// Wrong attempts in a row.
        wrong: u32,
    },
    /// Too many wrong attempts lately.
    #[error("too many wrong attempts: wait before the next one")]
    TooSoon {
        /// When the next attempt is allowed.
        allowed_at: AllowedAt,
    },
    /// A newer program made it; it is left untouched.
    #[error(
        "the vault has header version {found}, this program knows {supported}: update the program; nothing was touched"
    )]
    Newer {
        /// Version found.
        found: u16,
        /// Newest version known here.
        supported: u16,
    },
    /// The header is no header.
    #[error("the vault's header is damaged: restore the vault from a copy, or remove this device and join again")]
    Damaged,
    /// Too little memory to stretch the passphrase.
    #[error(transparent)]
    Kdf(#[from] KdfError),
    /// The store does not open.
    #[error(transparent)]
    Store(#[from] OpenStoreError),
    /// The store could not be paired with its place.
    #[error(transparent)]
    Pairing(#[from] PairingError),
    /// A file cannot be read or written.
    #[error("the vault's files cannot be used: {0}")]
    Io(#[from] io::Error),
}

impl From<ReadHeaderError> for UnlockVaultError {
    fn from(error: ReadHeaderError) -> Self {
        match error {
            ReadHeaderError::Newer { found } => Self::Newer { found, supported: header::HEADER_VERSION },
            ReadHeaderError::Damaged => Self::Damaged,
            ReadHeaderError::Io(error) => Self::Io(error),
        }
    }
}
