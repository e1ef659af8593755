//! Making and unlocking a vault, wherever it lies.

use std::io;

use rand_core::CryptoRng;
use vereda_base::Timestamp;
use vereda_crypto::{KdfError, KdfParams, Key32};

use super::{
    AllowedAt, ChangeSecretError, PairingError, UnlockSecret, Vault, VaultId,
    attempts::Attempts,
    header::{self, Header, ReadHeaderError},
    pairing,
    place::VaultPlace,
};
use crate::store::{OpenStoreError, SealedStore};

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

impl VaultListing {
    /// Lists a vault by the bytes of its header. One that cannot be read has no label, and takes a passphrase.
    pub fn of(id: VaultId, header: &[u8]) -> Self {
        let header = Header::decode(header).ok();
        let takes_passphrase = header.as_ref().is_none_or(Header::takes_passphrase);
        Self { id, label: header.and_then(|header| header.label), takes_passphrase }
    }
}

impl Vault {
    /// Makes a vault with a new data key in an empty place and unlocks it. Its header comes last: a place without one holds
    /// what a crash left, and nothing was ever kept in it.
    ///
    /// # Errors
    /// [`CreateVaultError`] by cause.
    pub fn create_at(
        place: Box<dyn VaultPlace>,
        id: VaultId,
        secret: &UnlockSecret,
        kdf: KdfParams,
        label: Option<String>,
        rng: &mut dyn CryptoRng,
    ) -> Result<Self, CreateVaultError> {
        let (header, data_key) = lay_out(&*place, &id, secret, kdf, label, rng)?;
        Ok(open(place, id, header, data_key, rng)?)
    }

    /// Unlocks the vault of a place.
    ///
    /// # Errors
    /// [`UnlockVaultError`] by cause; [`UnlockVaultError::TooSoon`] after several wrong attempts.
    pub fn unlock_at(
        place: Box<dyn VaultPlace>,
        id: VaultId,
        secret: &UnlockSecret,
        now: Timestamp,
        rng: &mut dyn CryptoRng,
    ) -> Result<Self, UnlockVaultError> {
        let header = Header::read(&*place)?.ok_or(UnlockVaultError::NoSuchVault { id })?;
        let mut attempts = Attempts::read(&*place)?;
        attempts.begin(now)?.map_err(|allowed_at| UnlockVaultError::TooSoon { allowed_at })?;
        let data_key = header.unwrap(&id, secret)?.ok_or(UnlockVaultError::WrongSecret { wrong: attempts.wrong() })?;
        attempts.forget()?;
        open(place, id, header, data_key, rng)
    }
}

/// Makes the store of a vault with a new data key, then its header.
pub(super) fn lay_out(
    place: &dyn VaultPlace,
    id: &VaultId,
    secret: &UnlockSecret,
    kdf: KdfParams,
    label: Option<String>,
    rng: &mut dyn CryptoRng,
) -> Result<(Header, Key32), CreateVaultError> {
    let data_key = Key32::make(rng);
    let header = Header::wrap(id, label, &data_key, secret, kdf, rng)?;
    drop(SealedStore::create(place.database(), place.vfs(), &data_key, rng)?);
    header.write(place)?;
    Ok((header, data_key))
}

/// Opens a vault whose data key is known.
pub(super) fn open(
    place: Box<dyn VaultPlace>,
    id: VaultId,
    header: Header,
    data_key: Key32,
    rng: &mut dyn CryptoRng,
) -> Result<Vault, UnlockVaultError> {
    let mut store = SealedStore::open(place.database(), place.vfs(), &data_key, rng)?;
    let paired = pairing::check(&*place, &mut store, rng)?;
    Ok(Vault { id, header, data_key, store, paired, place })
}

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
