//! The vault: one user's keys and store on one device, behind a passphrase or a key.
//!
//! ```text
//! DIR/<vault>/vault.cbor      version, label, how the data key is wrapped
//! DIR/<vault>/store.sqlite3   sealed rows
//! DIR/<vault>/attempts.cbor   wrong attempts, and when the next is allowed
//! DIR/<vault>/lock            held by the process that has the vault open
//! STATE/<vault>.cbor          what pairs the store with this place: never part of a backup
//! ```
//!
//! Several users on one device have several vaults, which share nothing.

mod attempts;
#[cfg(not(target_family = "wasm"))]
mod file;
#[cfg(not(target_family = "wasm"))]
mod folder;
mod header;
#[cfg(not(target_family = "wasm"))]
mod home;
mod kdf;
#[cfg(not(target_family = "wasm"))]
mod lock;
mod opening;
mod pairing;
mod place;
mod secret;

pub use attempts::delay_after;
#[cfg(not(target_family = "wasm"))]
pub use home::{ListVaultsError, VaultHome};
pub use kdf::{KdfParams, calibrate};
pub use opening::{CreateVaultError, UnlockVaultError, VaultListing};
pub use place::{FileIdentity, VaultFile, VaultPlace};
pub use secret::UnlockSecret;

use std::{fmt, str::FromStr};

use rand_core::CryptoRng;
use vereda_base::{Incarnation, Timestamp};
use vereda_crypto::{Context, Key32, derive_key};

use crate::store::SealedStore;
use header::Header;
use pairing::Paired;

/// Names a vault: random, tells nothing of its user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct VaultId(pub(crate) [u8; 16]);

impl VaultId {
    /// Makes a name for a new vault.
    pub fn make(rng: &mut dyn CryptoRng) -> Self {
        let mut id = [0; 16];
        rng.fill_bytes(&mut id);
        Self(id)
    }
}

impl fmt::Display for VaultId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

impl FromStr for VaultId {
    type Err = ParseVaultIdError;

    fn from_str(text: &str) -> Result<Self, ParseVaultIdError> {
        let bytes = data_encoding::HEXLOWER.decode(text.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or(ParseVaultIdError { found: text.len() })
    }
}

impl vereda_base::LogSafe for VaultId {}

/// Why a text is not a vault's id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a vault id is 32 hexadecimal digits, found {found} characters")]
pub struct ParseVaultIdError {
    /// Length of the text found, in bytes.
    pub found: usize,
}

/// An unlocked vault. Dropping or locking it wipes its keys from memory and lets other processes in.
pub struct Vault {
    id: VaultId,
    header: Header,
    data_key: Key32,
    store: SealedStore,
    paired: Paired,
    // Last: let go of when everything else is closed.
    place: Box<dyn VaultPlace>,
}

impl Vault {
    /// Names the vault.
    pub const fn id(&self) -> VaultId {
        self.id
    }

    /// Tells the label that the user chose; it is readable without unlocking.
    pub fn label(&self) -> Option<&str> {
        self.header.label.as_deref()
    }

    /// Borrows the store.
    pub const fn store(&self) -> &SealedStore {
        &self.store
    }

    /// Borrows the store for writing.
    pub const fn store_mut(&mut self) -> &mut SealedStore {
        &mut self.store
    }

    /// Tells the store's present incarnation.
    pub const fn incarnation(&self) -> Incarnation {
        self.paired.incarnation
    }

    /// Says whether unlocking opened a new incarnation: the vault is new, or was copied, moved or restored.
    pub const fn is_new_incarnation(&self) -> bool {
        self.paired.is_new
    }

    /// Opens a new incarnation, because others know more of this device than it does itself.
    ///
    /// # Errors
    /// [`PairingError`] if store or state folder cannot be written; the incarnation is then unchanged.
    pub fn open_incarnation(&mut self, rng: &mut dyn CryptoRng) -> Result<Incarnation, PairingError> {
        self.paired = pairing::renew(&*self.place, &mut self.store, rng)?;
        Ok(self.paired.incarnation)
    }

    /// Derives a key for something that is kept outside the store.
    pub fn derive_key(&self, context: Context, parts: &[&[u8]]) -> Key32 {
        derive_key(context, &self.data_key, parts)
    }

    /// Changes what unlocks the vault. The old secret is worthless from then on, unless someone kept a copy of the
    /// vault from before.
    ///
    /// # Errors
    /// [`ChangeSecretError`]; the old secret then still holds.
    pub fn change_secret(
        &mut self,
        secret: &UnlockSecret,
        kdf: KdfParams,
        rng: &mut dyn CryptoRng,
    ) -> Result<(), ChangeSecretError> {
        let header = Header::wrap(&self.id, self.header.label.clone(), &self.data_key, secret, kdf, rng)?;
        header.write(&*self.place)?;
        self.header = header;
        Ok(())
    }

    /// Changes the label that is readable without unlocking; `None` removes it.
    ///
    /// # Errors
    /// [`ChangeSecretError::Io`] if it cannot be written.
    pub fn change_label(&mut self, label: Option<String>) -> Result<(), ChangeSecretError> {
        let header = self.header.with_label(label);
        header.write(&*self.place)?;
        self.header = header;
        Ok(())
    }

    /// Locks the vault: drops what is not committed, wipes the keys, lets other processes in. Pairs the store anew, so
    /// that a copy made before is noticed.
    ///
    /// # Errors
    /// [`PairingError`] if the new pairing cannot be written; the vault is locked all the same.
    pub fn lock(mut self, rng: &mut dyn CryptoRng) -> Result<(), PairingError> {
        use vereda_sync::device::store::DeviceStore as _;
        self.store.rollback();
        pairing::roll(&*self.place, &mut self.store, rng)
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault")
            .field("id", &self.id)
            .field("incarnation", &self.paired.incarnation)
            .finish_non_exhaustive()
    }
}

pub use header::ChangeSecretError;
pub use pairing::PairingError;

/// When the next attempt to unlock is allowed.
pub type AllowedAt = Timestamp;

#[cfg(test)]
#[path = "vault/tests.rs"]
mod tests;
