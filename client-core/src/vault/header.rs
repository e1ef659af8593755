//! The vault's header: how its data key is wrapped.

use std::io;

use minicbor::{Decode, Encode, bytes::ByteArray};
use rand_core::CryptoRng;
use vereda_base::Digest;
use vereda_crypto::{
    KdfError, KdfParams, Key32, Nonce24, commitment, commits_to, context, derive_kek, derive_key, open, seal,
};

use super::{
    UnlockSecret, VaultId,
    place::{VaultFile, VaultPlace},
    secret::normalise,
};

/// The version written here.
pub(super) const HEADER_VERSION: u16 = 1;
const MAX_BYTES: usize = 4_096;

/// See [`super`].
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub(super) struct Header {
    #[n(0)]
    version: u16,
    #[n(1)]
    pub(super) label: Option<String>,
    #[n(2)]
    salt: ByteArray<32>,
    /// How the passphrase is stretched; `None` where a key is handed in.
    #[n(3)]
    kdf: Option<KdfParams>,
    /// Commitment to the key-encryption key, compared before opening.
    #[n(4)]
    commitment: Digest,
    #[n(5)]
    nonce: Nonce24,
    #[cbor(n(6), with = "minicbor::bytes")]
    wrapped_data_key: Vec<u8>,
}

impl Header {
    /// Wraps a data key under a secret.
    pub(super) fn wrap(
        id: &VaultId,
        label: Option<String>,
        data_key: &Key32,
        secret: &UnlockSecret,
        kdf: KdfParams,
        rng: &mut dyn CryptoRng,
    ) -> Result<Self, ChangeSecretError> {
        let mut salt = [0; 32];
        rng.fill_bytes(&mut salt);
        let kdf = matches!(secret, UnlockSecret::Passphrase(_)).then_some(kdf);
        let kek = derive(secret, &salt, kdf)?.ok_or(ChangeSecretError::OtherKind)?;
        let nonce = Nonce24::make(rng);
        let wrapped_data_key = seal(&kek, &nonce, &associated_data(id, &salt, kdf), data_key.expose());
        let commitment = commitment(&kek);
        Ok(Self { version: HEADER_VERSION, label, salt: salt.into(), kdf, commitment, nonce, wrapped_data_key })
    }

    /// Opens the data key; `None` if the secret is wrong or the header was altered.
    pub(super) fn unwrap(&self, id: &VaultId, secret: &UnlockSecret) -> Result<Option<Key32>, KdfError> {
        let Some(kek) = derive(secret, &self.salt, self.kdf)? else { return Ok(None) };
        if !commits_to(&self.commitment, &kek) {
            return Ok(None);
        }
        let data = associated_data(id, &self.salt, self.kdf);
        let opened = open(&kek, &self.nonce, &data, &self.wrapped_data_key).ok().map(zeroize::Zeroizing::new);
        Ok(opened.and_then(|bytes| Key32::from_slice(&bytes)))
    }

    /// Changes the label.
    pub(super) fn with_label(&self, label: Option<String>) -> Self {
        Self { label, ..self.clone() }
    }

    /// Says whether a passphrase unlocks the vault, rather than a key.
    pub(super) const fn takes_passphrase(&self) -> bool {
        self.kdf.is_some()
    }

    /// Reads the header of a vault; `None` where there is none.
    pub(super) fn read(place: &dyn VaultPlace) -> Result<Option<Self>, ReadHeaderError> {
        place.read(VaultFile::Header)?.map(|bytes| Self::decode(&bytes)).transpose()
    }

    /// Reads a header's bytes.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, ReadHeaderError> {
        // The version stands first in every version.
        let mut decoder = minicbor::Decoder::new(bytes);
        let version = decoder.array().ok().flatten().and_then(|_| decoder.u16().ok());
        match version {
            Some(found) if found > HEADER_VERSION => Err(ReadHeaderError::Newer { found }),
            Some(HEADER_VERSION) => vereda_base::decode(bytes, MAX_BYTES).map_err(|_| ReadHeaderError::Damaged),
            _ => Err(ReadHeaderError::Damaged),
        }
    }

    /// Puts the header in place, whole or not at all.
    pub(super) fn write(&self, place: &dyn VaultPlace) -> io::Result<()> {
        place.replace(VaultFile::Header, &vereda_base::encode(self))
    }
}

/// Stretches the secret; `None` where the vault takes the other kind.
fn derive(secret: &UnlockSecret, salt: &[u8; 32], kdf: Option<KdfParams>) -> Result<Option<Key32>, KdfError> {
    match (secret, kdf) {
        (UnlockSecret::Passphrase(text), Some(kdf)) => {
            derive_kek(normalise(text.expose()).as_bytes(), salt, kdf, None).map(Some)
        }
        (UnlockSecret::Key(key), None) => Ok(Some(derive_key(context::VAULT_KEK, key, &[salt]))),
        _ => Ok(None),
    }
}

fn associated_data(id: &VaultId, salt: &[u8; 32], kdf: Option<KdfParams>) -> Vec<u8> {
    let version = HEADER_VERSION.to_le_bytes();
    let kdf = kdf.map(|kdf| vereda_base::encode(&kdf)).unwrap_or_default();
    vereda_crypto::hash(context::VAULT_SEAL, &[&version, &id.0, salt, &kdf]).to_vec()
}

/// Why a header could not be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadHeaderError {
    #[error("header version {found}")]
    Newer { found: u16 },
    #[error("damaged header")]
    Damaged,
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Why a vault's secret was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeSecretError {
    /// Too little memory to stretch the passphrase.
    #[error(transparent)]
    Kdf(#[from] KdfError),
    /// A passphrase without parameters, or a key with them.
    #[error("the vault takes another kind of secret")]
    OtherKind,
    /// The header cannot be written.
    #[error("the vault's header cannot be written: {0}")]
    Io(#[from] io::Error),
}
