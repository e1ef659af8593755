//! Where a device's vaults lie: making, listing, unlocking them.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use rand_core::CryptoRng;
use vereda_base::Timestamp;
use vereda_crypto::KdfParams;

use super::{
    CreateVaultError, UnlockSecret, UnlockVaultError, Vault, VaultId, VaultListing,
    file::{make_private, make_private_folder, sync_folder},
    folder::{self, VaultFolder},
    lock::VaultLock,
    opening::{lay_out, open},
};

/// What a vault's folder is called until it is complete.
const UNFINISHED: &str = "unfinished-";

/// The folder of a device's vaults, and the folder for what must stay out of backups.
#[derive(Debug, Clone)]
pub struct VaultHome {
    vaults: PathBuf,
    state: PathBuf,
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
            let header = fs::read(folder::header(&entry.path())).unwrap_or_default();
            listings.push(VaultListing::of(id, &header));
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
        let id = VaultId::make(rng);
        let folder = self.vaults.join(format!("{UNFINISHED}{id}"));
        make_private_folder(&folder)?;
        // Held before the folder can be seen under its name, and through the renaming: nobody sweeps or unlocks it.
        let lock = VaultLock::take(&folder)?.ok_or(CreateVaultError::InUse)?;
        make_private(&folder::database(&folder))?;
        let unfinished = VaultFolder::new(folder.clone(), &self.state, &id, lock);
        let (header, data_key) = lay_out(&unfinished, &id, secret, kdf, label, rng)?;
        sync_folder(&folder)?;
        fs::rename(&folder, self.folder(&id))?;
        sync_folder(&self.vaults)?;
        let place = VaultFolder::new(self.folder(&id), &self.state, &id, unfinished.into_lock());
        Ok(open(Box::new(place), id, header, data_key, rng)?)
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
        if !folder::header(&folder).exists() {
            return Err(UnlockVaultError::NoSuchVault { id });
        }
        make_private_folder(&self.state)?;
        let lock = VaultLock::take(&folder)?.ok_or(UnlockVaultError::InUse { id })?;
        Vault::unlock_at(Box::new(VaultFolder::new(folder, &self.state, &id, lock)), id, secret, now, rng)
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
