//! Wrapping of 32-byte secrets: by HPKE to a public key, symmetrically to one's own group.
//!
//! HPKE (RFC 9180) in Base mode with KEM 0x647a X-Wing (draft-ietf-hpke-pq, draft-connolly-cfrg-xwing-kem), HKDF-SHA256
//! and ChaCha20-Poly1305. Base mode does not say who wrapped: authenticity comes from the signed operation that names
//! the hash of the wrap.

use std::{fmt, sync::Arc};

use hpke::{
    Deserializable, OpModeR, OpModeS, Serializable, aead::ChaCha20Poly1305, kdf::HkdfSha256, kem::Kem, kem::XWing,
    single_shot_open, single_shot_seal_with_rng,
};
use minicbor::{Decode, Decoder, Encode, Encoder};
use rand_core::CryptoRng;
use vereda_base::ChainId;
use zeroize::{Zeroize, Zeroizing};

use crate::{Context, Key32, Nonce24, context, hash, open, seal};

/// An X-Wing public key, in bytes.
pub const WRAP_PUBLIC_KEY_BYTES: usize = 1_216;
/// A secret wrapped by HPKE, in bytes: encapsulated key, ciphertext and tag.
pub const WRAP_BYTES: usize = ENCAPPED_KEY_BYTES + 32 + 16;
/// A secret sealed to one's own group, in bytes: nonce, ciphertext and tag.
pub const GROUP_WRAP_BYTES: usize = 24 + 32 + 16;

const ENCAPPED_KEY_BYTES: usize = 1_120;

type PrivateKey = <XWing as Kem>::PrivateKey;
type PublicKey = <XWing as Kem>::PublicKey;
type EncappedKey = <XWing as Kem>::EncappedKey;

/// The public half of a wrapping key pair: a CBOR byte string of [`WRAP_PUBLIC_KEY_BYTES`]. Always a usable key: bytes
/// that nobody could wrap to are refused when decoded, so that no member can block a rotation by naming one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WrapPublicKey(Arc<[u8]>);

impl WrapPublicKey {
    /// Takes the bytes of a public key.
    ///
    /// # Errors
    /// [`WrapError::PublicKey`] if they are not one.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, WrapError> {
        PublicKey::from_bytes(bytes).map_err(|_| WrapError::PublicKey { found: bytes.len() })?;
        Ok(Self(bytes.into()))
    }

    /// Borrows the bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for WrapPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WrapPublicKey(")?;
        self.0.iter().take(4).try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str("…)")
    }
}

impl<C> Encode<C> for WrapPublicKey {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.bytes(&self.0)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for WrapPublicKey {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        Self::from_bytes(d.bytes()?).map_err(minicbor::decode::Error::message)
    }
}

/// A wrapping key pair. The private half is wiped when dropped; `Debug` shows the public half only.
#[derive(Clone)]
pub struct WrapKeyPair {
    seed: Key32,
    private: PrivateKey,
    public: WrapPublicKey,
}

impl WrapKeyPair {
    /// Draws a key pair.
    pub fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        Self::from_seed(&Key32::make(rng))
    }

    /// Derives the key pair of a seed (HPKE's `DeriveKeyPair`).
    pub fn from_seed(seed: &Key32) -> Self {
        let (private, public) = XWing::derive_keypair(seed.expose());
        Self { seed: seed.clone(), private, public: WrapPublicKey(public.to_bytes().as_slice().into()) }
    }

    /// Borrows the seed, to store it sealed.
    pub const fn seed(&self) -> &Key32 {
        &self.seed
    }

    /// Borrows the public half.
    pub const fn public(&self) -> &WrapPublicKey {
        &self.public
    }
}

impl fmt::Debug for WrapKeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WrapKeyPair").field(&self.public).finish()
    }
}

/// What a wrapped secret is bound to: it opens nowhere else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct WrapInfo {
    /// The chain whose secret it is.
    #[n(0)]
    pub chain: ChainId,
    /// The epoch of that secret.
    #[n(1)]
    pub epoch: u64,
    /// The recipient: a device or a chain.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub recipient: [u8; 32],
    /// The epoch of the recipient's key; 0 for a device.
    #[n(3)]
    pub recipient_epoch: u64,
}

impl WrapInfo {
    fn bind(&self, context: Context) -> [u8; 32] {
        hash(context, &[&vereda_base::encode(self)])
    }
}

/// Wraps a secret to a public key: [`WRAP_BYTES`] bytes.
///
/// # Errors
/// [`WrapError::Refused`] if the library refuses the key.
pub fn wrap(
    recipient: &WrapPublicKey,
    info: &WrapInfo,
    secret: &Key32,
    mut rng: &mut (impl CryptoRng + ?Sized),
) -> Result<Vec<u8>, WrapError> {
    let key =
        PublicKey::from_bytes(recipient.as_bytes()).map_err(|_| WrapError::PublicKey { found: recipient.0.len() })?;
    let (encapped, ciphertext) = single_shot_seal_with_rng::<ChaCha20Poly1305, HkdfSha256, XWing>(
        &OpModeS::Base,
        &key,
        &info.bind(context::WRAP_INFO),
        secret.expose(),
        &[],
        &mut rng,
    )
    .map_err(|_| WrapError::Refused)?;
    let mut wrapped = Vec::with_capacity(WRAP_BYTES);
    wrapped.extend_from_slice(&encapped.to_bytes());
    wrapped.extend_from_slice(&ciphertext);
    Ok(wrapped)
}

/// Unwraps what [`wrap`] made for this key pair under the same `info`.
///
/// # Errors
/// [`WrapError::Length`] or [`WrapError::Refused`].
pub fn unwrap_secret(pair: &WrapKeyPair, info: &WrapInfo, wrapped: &[u8]) -> Result<Key32, WrapError> {
    let length = WrapError::Length { expected: WRAP_BYTES, found: wrapped.len() };
    if wrapped.len() != WRAP_BYTES {
        return Err(length);
    }
    let (encapped, ciphertext) = wrapped.split_at_checked(ENCAPPED_KEY_BYTES).ok_or(length)?;
    let encapped = EncappedKey::from_bytes(encapped).map_err(|_| WrapError::Refused)?;
    let bound = info.bind(context::WRAP_INFO);
    let secret = single_shot_open::<ChaCha20Poly1305, HkdfSha256, XWing>(
        &OpModeR::Base,
        &pair.private,
        &encapped,
        &bound,
        ciphertext,
        &[],
    )
    .map(Zeroizing::new)
    .map_err(|_| WrapError::Refused)?;
    Key32::from_slice(&secret).ok_or(WrapError::Refused)
}

/// Seals a secret under a key that author and readers share: `nonce ‖ ciphertext ‖ tag`, [`GROUP_WRAP_BYTES`] bytes.
///
/// The key is the group's for its epoch, or that under which an epoch holds the key of the one before.
pub fn seal_for_group(
    wrap_key: &Key32,
    info: &WrapInfo,
    secret: &Key32,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Vec<u8> {
    let nonce = Nonce24::make(rng);
    let mut sealed = nonce.0.to_vec();
    sealed.extend_from_slice(&seal(wrap_key, &nonce, &info.bind(context::KEY_SEAL), secret.expose()));
    sealed
}

/// Opens what [`seal_for_group`] made under the same key and `info`.
///
/// # Errors
/// [`WrapError::Length`] or [`WrapError::Refused`].
pub fn open_from_group(wrap_key: &Key32, info: &WrapInfo, sealed: &[u8]) -> Result<Key32, WrapError> {
    let length = WrapError::Length { expected: GROUP_WRAP_BYTES, found: sealed.len() };
    if sealed.len() != GROUP_WRAP_BYTES {
        return Err(length);
    }
    let (nonce, ciphertext) = sealed.split_first_chunk().ok_or(length)?;
    let bound = info.bind(context::KEY_SEAL);
    let mut secret = open(wrap_key, &Nonce24(*nonce), &bound, ciphertext).map_err(|_| WrapError::Refused)?;
    let key = Key32::from_slice(&secret).ok_or(WrapError::Refused);
    secret.zeroize();
    key
}

/// Why a secret was not wrapped or not unwrapped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WrapError {
    /// The bytes are no X-Wing public key.
    #[error("{found} bytes are no wrapping public key")]
    PublicKey {
        /// Length found, in bytes.
        found: usize,
    },
    /// The wrapped secret has another length than all have.
    #[error("wrapped secret of {found} bytes where {expected} are due")]
    Length {
        /// Length due, in bytes.
        expected: usize,
        /// Length found, in bytes.
        found: usize,
    },
    /// The wrap is not authentic for this key and this `info`.
    #[error("wrapped secret is not authentic for this key and purpose")]
    Refused,
}

#[cfg(test)]
mod tests;
