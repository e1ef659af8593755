//! Passphrases into keys: Argon2id, then HKDF-SHA256 with the keystore's secret where the platform has one.
//!
//! Source: RFC 9106, RFC 5869. Normalising the passphrase (NFKC) is the caller's part: bytes come in.

use std::time::Duration;

use argon2::{Algorithm, Argon2, Params, Version};
use hkdf::Hkdf;
use minicbor::{Decode, Decoder, Encode};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::{Key32, context};

/// The cost of a guess. Never below [`KdfParams::FLOOR`], whatever a file says, nor so high that opening the file
/// stalls the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode)]
#[cbor(array)]
pub struct KdfParams {
    #[n(0)]
    memory_kib: u32,
    #[n(1)]
    passes: u32,
    #[n(2)]
    lanes: u32,
}

impl KdfParams {
    /// The least allowed: 19 MiB, two passes, one lane.
    pub const FLOOR: Self = Self { memory_kib: 19 << 10, passes: 2, lanes: 1 };
    /// The most allowed: 1 GiB, 64 passes, 16 lanes.
    pub const CEILING: Self = Self { memory_kib: 1 << 20, passes: 64, lanes: 16 };

    /// Takes parameters within floor and ceiling.
    ///
    /// # Errors
    /// [`KdfParamsError`] if one is outside.
    pub const fn new(memory_kib: u32, passes: u32, lanes: u32) -> Result<Self, KdfParamsError> {
        let (low, high) = (Self::FLOOR, Self::CEILING);
        let fits = low.memory_kib <= memory_kib
            && memory_kib <= high.memory_kib
            && low.passes <= passes
            && passes <= high.passes
            && low.lanes <= lanes
            && lanes <= high.lanes;
        if fits { Ok(Self { memory_kib, passes, lanes }) } else { Err(KdfParamsError { memory_kib, passes, lanes }) }
    }

    /// Memory, in KiB.
    pub const fn memory_kib(self) -> u32 {
        self.memory_kib
    }

    /// Passes over the memory.
    pub const fn passes(self) -> u32 {
        self.passes
    }

    /// Lanes: independent columns of the memory. They are computed one after the other here.
    pub const fn lanes(self) -> u32 {
        self.lanes
    }
}

impl<'b, C> Decode<'b, C> for KdfParams {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        if d.array()? != Some(3) {
            return Err(minicbor::decode::Error::message("argon2id parameters are no array of three"));
        }
        Self::new(d.u32()?, d.u32()?, d.u32()?).map_err(minicbor::decode::Error::message)
    }
}

/// Parameters outside floor and ceiling.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("argon2id parameters out of bounds: {memory_kib} KiB, {passes} passes, {lanes} lanes")]
pub struct KdfParamsError {
    /// Memory found, in KiB.
    pub memory_kib: u32,
    /// Passes found.
    pub passes: u32,
    /// Lanes found.
    pub lanes: u32,
}

/// Derives the key-encryption key of a vault: HKDF-SHA256(Argon2id(passphrase, salt) ‖ keystore secret).
///
/// With and without a keystore secret are different keys, even where that secret is empty.
///
/// # Errors
/// [`KdfError`] if memory is short or the passphrase is longer than 4 GiB.
pub fn derive_kek(
    passphrase: &[u8],
    salt: &[u8; 32],
    params: KdfParams,
    keystore_secret: Option<&[u8]>,
) -> Result<Key32, KdfError> {
    let refused = KdfError { memory_kib: params.memory_kib };
    let argon_params = Params::new(params.memory_kib, params.passes, params.lanes, Some(32));
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, argon_params.map_err(|_| refused.clone())?);
    let mut stretched = Zeroizing::new([0; 32]);
    argon.hash_password_into(passphrase, salt, stretched.as_mut()).map_err(|_| refused.clone())?;

    let secret = keystore_secret.unwrap_or_default();
    let mut material = Zeroizing::new(Vec::with_capacity(stretched.len() + secret.len()));
    material.extend_from_slice(stretched.as_ref());
    material.extend_from_slice(secret);
    let mut key = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(Some(salt), &material)
        .expand_multi_info(
            &[context::VAULT_KEK.as_str().as_bytes(), &[u8::from(keystore_secret.is_some())]],
            key.as_mut(),
        )
        .map_err(|_| refused)?;
    Ok(Key32::new(*key))
}

/// Why no key was derived from a passphrase.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("argon2id with {memory_kib} KiB failed, memory may be short")]
pub struct KdfError {
    /// Memory asked for, in KiB.
    pub memory_kib: u32,
}

/// Finds the costliest parameters that `measure` says fit in `target`: memory first, doubled up to `max_memory_kib`,
/// then passes. Never below [`KdfParams::FLOOR`], even where that takes longer. Measures a dozen times at most.
pub fn calibrate(mut measure: impl FnMut(KdfParams) -> Duration, target: Duration, max_memory_kib: u32) -> KdfParams {
    let max_memory_kib = max_memory_kib.min(KdfParams::CEILING.memory_kib);
    let mut best = KdfParams::FLOOR;
    let mut took = measure(best);
    while took.saturating_mul(2) <= target && best.memory_kib < max_memory_kib {
        let more = KdfParams { memory_kib: best.memory_kib.saturating_mul(2).min(max_memory_kib), ..best };
        let duration = measure(more);
        if duration > target {
            break;
        }
        (best, took) = (more, duration);
    }
    let per_pass = (took / best.passes).max(Duration::from_nanos(1));
    let affordable = target.as_nanos() / per_pass.as_nanos();
    let mut passes = u32::try_from(affordable).unwrap_or(u32::MAX).min(KdfParams::CEILING.passes);
    // An estimate that proves too slow is corrected a few times, downwards only.
    for _ in 0..4 {
        if passes <= best.passes {
            break;
        }
        let more = KdfParams { passes, ..best };
        if measure(more) <= target {
            return more;
        }
        passes = passes.saturating_sub(passes.div_ceil(8));
    }
    best
}

#[cfg(test)]
mod tests;
