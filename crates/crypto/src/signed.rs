//! Ed25519 signatures under a context, and the proof type of what was verified.
//!
//! What is signed is not the payload but its hash under the context (RFC 8032 pure Ed25519 over 32 bytes), so that a
//! signature made for one purpose is worthless for another. Verification is strict: small-order keys and commitments,
//! and non-canonical scalars, are refused.

use std::{fmt, marker::PhantomData};

use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use minicbor::{Decode, Decoder, Encode, Encoder, bytes::ByteArray};
use rand_core::CryptoRng;
use vereda_base::{CanonicalError, DeviceId, LogSafe, Sensitive};

use crate::{Context, Key32, hash};

/// A device's signing key. Wiped when dropped; `Debug` shows the public half only.
#[derive(Clone)]
pub struct DeviceKey(SigningKey);

impl DeviceKey {
    /// Draws a key.
    pub fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        Self::from_seed(Key32::make(rng).expose())
    }

    /// Derives the key of a seed.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// Copies the seed, to store it sealed.
    pub fn seed(&self) -> Sensitive<[u8; 32]> {
        Sensitive::new(self.0.to_bytes())
    }

    /// Derives the device's id: its public key.
    pub fn device_id(&self) -> DeviceId {
        DeviceId(self.0.verifying_key().to_bytes())
    }

    /// Signs a payload under a context.
    pub fn sign(&self, context: Context, payload: &[u8]) -> Signature {
        Signature(self.0.sign(&hash(context, &[payload])).to_bytes())
    }
}

impl fmt::Debug for DeviceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DeviceKey").field(&self.device_id()).finish()
    }
}

/// An Ed25519 signature: a CBOR byte string of 64 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signature(pub [u8; 64]);

impl Signature {
    /// Borrows the 64 bytes.
    pub const fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signature(")?;
        self.0.iter().take(4).try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str("…)")
    }
}

impl LogSafe for Signature {}

impl<C> Encode<C> for Signature {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.bytes(&self.0)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Signature {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        Ok(Self(*d.decode::<ByteArray<64>>()?))
    }
}

/// Verifies a signature over a payload under a context, strictly.
///
/// # Errors
/// [`SignatureError`] if `device` is no usable public key or did not sign this payload under this context.
pub fn verify(
    context: Context,
    device: &DeviceId,
    payload: &[u8],
    signature: &Signature,
) -> Result<(), SignatureError> {
    VerifyingKey::from_bytes(device.as_bytes())
        .and_then(|key| key.verify_strict(&hash(context, &[payload]), &signature.0.into()))
        .map_err(|_| SignatureError { device: *device })
}

/// A signature that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("signature is not valid under device {device}")]
pub struct SignatureError {
    /// The key it was checked against.
    pub device: DeviceId,
}

/// What can be signed as a whole: a type in canonical CBOR that names its signer.
pub trait Signable: Encode<()> + for<'b> Decode<'b, ()> {
    /// The context of its signature, no other type's.
    const CONTEXT: Context;
    /// Bound on its canonical form, in bytes.
    const MAX_BYTES: usize;

    /// Names the device whose signature counts.
    fn signer(&self) -> DeviceId;
}

/// A payload with a signature that nobody checked yet: the CBOR array `[payload bytes, signature]`.
///
/// Keeps the exact bytes that were signed. The value inside is reached only through [`Signed::verify`].
pub struct Signed<T> {
    payload: Vec<u8>,
    signature: Signature,
    of: PhantomData<fn() -> T>,
}

impl<T: Signable> Signed<T> {
    /// Signs a value with the key of the device that it names.
    ///
    /// # Errors
    /// [`SignError`] if the value names another device, or has a form that no recipient would accept.
    pub fn sign(key: &DeviceKey, value: &T) -> Result<Self, SignError> {
        let (expected, found) = (value.signer(), key.device_id());
        if expected != found {
            return Err(SignError::OtherSigner { expected, found });
        }
        let payload = vereda_base::encode(value);
        vereda_base::decode::<T>(&payload, T::MAX_BYTES).map_err(SignError::Payload)?;
        let signature = key.sign(T::CONTEXT, &payload);
        Ok(Self { payload, signature, of: PhantomData })
    }

    /// Decodes the payload and checks the signature of the device it names.
    ///
    /// # Errors
    /// [`VerifyError`] if the payload is too long or not canonical, or the signature does not hold.
    pub fn verify(self) -> Result<Verified<T>, VerifyError> {
        let value: T = vereda_base::decode(&self.payload, T::MAX_BYTES)?;
        verify(T::CONTEXT, &value.signer(), &self.payload, &self.signature)?;
        Ok(Verified { value, signed: self })
    }
}

impl<T> Signed<T> {
    /// Puts together what was stored apart.
    pub const fn from_parts(payload: Vec<u8>, signature: Signature) -> Self {
        Self { payload, signature, of: PhantomData }
    }

    /// Borrows the exact bytes that were signed, unchecked.
    pub fn bytes(&self) -> &[u8] {
        &self.payload
    }

    /// Borrows the signature, unchecked.
    pub const fn signature(&self) -> &Signature {
        &self.signature
    }

    /// Hashes payload and signature, to name these bytes in transport.
    pub fn digest(&self, context: Context) -> [u8; 32] {
        hash(context, &[&self.payload, &self.signature.0])
    }
}

impl<T> Clone for Signed<T> {
    fn clone(&self) -> Self {
        Self { payload: self.payload.clone(), signature: self.signature, of: PhantomData }
    }
}

impl<T> PartialEq for Signed<T> {
    fn eq(&self, other: &Self) -> bool {
        self.payload == other.payload && self.signature == other.signature
    }
}

impl<T> Eq for Signed<T> {}

impl<T> fmt::Debug for Signed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signed({} bytes, {:?})", self.payload.len(), self.signature)
    }
}

impl<T, C> Encode<C> for Signed<T> {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut Encoder<W>,
        ctx: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.array(2)?.bytes(&self.payload)?.encode_with(self.signature, ctx)?.ok()
    }
}

impl<'b, T: Signable, C> Decode<'b, C> for Signed<T> {
    fn decode(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Self, minicbor::decode::Error> {
        if d.array()? != Some(2) {
            return Err(minicbor::decode::Error::message("signed value is no array of two"));
        }
        let payload = d.bytes()?;
        if payload.len() > T::MAX_BYTES {
            return Err(minicbor::decode::Error::message("signed payload too long"));
        }
        Ok(Self { payload: payload.to_vec(), signature: d.decode_with(ctx)?, of: PhantomData })
    }
}

/// A value whose signature was checked, or made, here. There is no other way to come by one:
///
/// ```compile_fail,E0451
/// fn believe<T>(value: T, signed: vereda_crypto::Signed<T>) -> vereda_crypto::Verified<T> {
///     vereda_crypto::Verified { value, signed }
/// }
/// ```
pub struct Verified<T> {
    value: T,
    signed: Signed<T>,
}

impl<T: Signable> Verified<T> {
    /// Signs a value with the key of the device that it names.
    ///
    /// # Errors
    /// [`SignError`] if the value names another device, or has a form that no recipient would accept.
    pub fn sign(key: &DeviceKey, value: T) -> Result<Self, SignError> {
        let signed = Signed::sign(key, &value)?;
        Ok(Self { value, signed })
    }
}

impl<T> Verified<T> {
    /// Borrows the value.
    pub const fn value(&self) -> &T {
        &self.value
    }

    /// Borrows the exact bytes that were signed.
    pub fn bytes(&self) -> &[u8] {
        self.signed.bytes()
    }

    /// Borrows the signature.
    pub const fn signature(&self) -> &Signature {
        self.signed.signature()
    }

    /// Borrows the form that travels and is stored.
    pub const fn signed(&self) -> &Signed<T> {
        &self.signed
    }

    /// Takes the form that travels and is stored.
    pub fn into_signed(self) -> Signed<T> {
        self.signed
    }

    /// Takes the value.
    pub fn into_value(self) -> T {
        self.value
    }
}

impl<T: Clone> Clone for Verified<T> {
    fn clone(&self) -> Self {
        Self { value: self.value.clone(), signed: self.signed.clone() }
    }
}

impl<T> PartialEq for Verified<T> {
    fn eq(&self, other: &Self) -> bool {
        self.signed == other.signed
    }
}

impl<T> Eq for Verified<T> {}

impl<T: fmt::Debug> fmt::Debug for Verified<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Verified").field(&self.value).finish()
    }
}

/// Why a value was not signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// The value names another device than the key's.
    #[error("value names signer {expected}, the key is of {found}")]
    OtherSigner {
        /// The device that the value names.
        expected: DeviceId,
        /// The device of the key.
        found: DeviceId,
    },
    /// The value's own encoding would be refused by every recipient.
    #[error("payload cannot be read back: {0}")]
    Payload(#[source] CanonicalError),
}

/// Why a signed value was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The payload is not canonical CBOR of its type, or too long.
    #[error("signed payload refused: {0}")]
    Payload(#[from] CanonicalError),
    /// The signature does not hold.
    #[error(transparent)]
    Signature(#[from] SignatureError),
}

#[cfg(test)]
mod tests;
