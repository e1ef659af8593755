//! Symmetric sealing: XChaCha20-Poly1305 with a fresh random nonce, and commitments to keys.
//!
//! Source: draft-irtf-cfrg-xchacha-03. Poly1305 does not commit to the key; where a recipient must know that everyone
//! opens with one key, a [`commitment`] travels beside the ciphertext and is compared before opening.

use std::fmt;

use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305,
    aead::{Aead, Payload},
};
use minicbor::{Decode, Decoder, Encode, Encoder, bytes::ByteArray};
use rand_core::CryptoRng;
use subtle::ConstantTimeEq;
use vereda_base::Digest;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::{context, hash};

/// What the authentication tag adds to a plaintext, in bytes.
pub const TAG_BYTES: usize = 16;

/// A secret of 32 bytes. Wiped when dropped, shown nowhere, compared in constant time.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Key32([u8; 32]);

impl Key32 {
    /// Takes 32 bytes; the caller wipes his own copy.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Copies a slice, if it has 32 bytes.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Draws a key.
    pub fn make(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut key = Self([0; 32]);
        rng.fill_bytes(&mut key.0);
        key
    }

    /// Borrows the bytes; the name is meant to be seen in review.
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl ConstantTimeEq for Key32 {
    fn ct_eq(&self, other: &Self) -> subtle::Choice {
        self.0.ct_eq(&other.0)
    }
}

impl PartialEq for Key32 {
    fn eq(&self, other: &Self) -> bool {
        self.ct_eq(other).into()
    }
}

impl Eq for Key32 {}

impl fmt::Debug for Key32 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key32(…)")
    }
}

/// A nonce of 24 bytes: public, drawn anew for every sealing, long enough never to repeat by chance.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nonce24(pub [u8; 24]);

impl Nonce24 {
    /// Draws a nonce.
    pub fn make(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut bytes = [0; 24];
        rng.fill_bytes(&mut bytes);
        Self(bytes)
    }

    /// Borrows the bytes.
    pub const fn as_bytes(&self) -> &[u8; 24] {
        &self.0
    }
}

impl fmt::Debug for Nonce24 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Nonce24(")?;
        self.0.iter().take(4).try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str("…)")
    }
}

impl<C> Encode<C> for Nonce24 {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.bytes(&self.0)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Nonce24 {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        Ok(Self(*d.decode::<ByteArray<24>>()?))
    }
}

/// Seals a plaintext: the result is the ciphertext with its tag, [`TAG_BYTES`] longer. A (key, nonce) pair seals once.
pub fn seal(key: &Key32, nonce: &Nonce24, aad: &[u8], plaintext: &[u8]) -> Vec<u8> {
    let cipher = XChaCha20Poly1305::new(key.expose().into());
    match cipher.encrypt(&nonce.0.into(), Payload { msg: plaintext, aad }) {
        Ok(ciphertext) => ciphertext,
        Err(_) => unreachable_seal(plaintext.len()),
    }
}

#[allow(clippy::panic, reason = "only a plaintext over 256 GiB fails to seal; everything sealed here is bounded")]
fn unreachable_seal(bytes: usize) -> Vec<u8> {
    panic!("sealing of {bytes} bytes failed")
}

/// Opens what [`seal`] made under the same key, nonce and associated data.
///
/// # Errors
/// [`OpenError`] if key, nonce, associated data or ciphertext are not those of the sealing.
pub fn open(key: &Key32, nonce: &Nonce24, aad: &[u8], ciphertext: &[u8]) -> Result<Vec<u8>, OpenError> {
    XChaCha20Poly1305::new(key.expose().into())
        .decrypt(&nonce.0.into(), Payload { msg: ciphertext, aad })
        .map_err(|_| OpenError { found: ciphertext.len() })
}

/// Why a ciphertext was refused. By design it does not say which of its inputs was wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("ciphertext of {found} bytes is not authentic under this key")]
pub struct OpenError {
    /// Length of the ciphertext with its tag, in bytes.
    pub found: usize,
}

/// Commits to a key: public, tells nothing of the key, and no two keys share it.
pub fn commitment(key: &Key32) -> Digest {
    Digest(hash::keyed_hash(key, context::COMMITMENT, &[]))
}

/// Says in constant time whether a commitment is that of this key.
#[must_use]
pub fn commits_to(expected: &Digest, key: &Key32) -> bool {
    commitment(key).0.ct_eq(&expected.0).into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

    use super::*;

    #[test]
    fn sealing_gives_the_known_answer_of_the_draft() {
        // draft-irtf-cfrg-xchacha-03, A.3.1
        let key = Key32::new(std::array::from_fn(|i| 0x80 + i as u8));
        let nonce = Nonce24(std::array::from_fn(|i| 0x40 + i as u8));
        let aad = hex::decode("50515253c0c1c2c3c4c5c6c7").unwrap();
        let plaintext = b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, \
                          sunscreen would be it.";
        let expected = "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb731c7f1b0b4aa6440bf3a82f4eda7e39\
                        ae64c6708c54c216cb96b72e1213b4522f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9\
                        21f9664c97637da9768812f615c68b13b52ec0875924c1c7987947deafd8780acf49";
        let sealed = seal(&key, &nonce, &aad, plaintext);
        assert_eq!(hex::encode(&sealed), expected);
        assert_eq!(open(&key, &nonce, &aad, &sealed).unwrap(), plaintext);
    }

    #[test]
    fn secrets_are_wiped_when_dropped() {
        fn check<T: ZeroizeOnDrop>() {}
        check::<Key32>();
        check::<ed25519_dalek::SigningKey>();
        check::<XChaCha20Poly1305>();
    }

    #[test]
    fn debug_of_a_key_shows_nothing_of_it() {
        assert_eq!(format!("{:?}", Key32::new([0xab; 32])), "Key32(…)");
    }

    #[test]
    fn a_commitment_names_one_key() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let (one, other) = (Key32::make(&mut rng), Key32::make(&mut rng));
        assert_ne!(one, other);
        assert!(commits_to(&commitment(&one), &one));
        assert!(!commits_to(&commitment(&one), &other));
    }

    #[test]
    fn a_key_has_exactly_32_bytes() {
        assert!(Key32::from_slice(&[0; 31]).is_none());
        assert!(Key32::from_slice(&[0; 33]).is_none());
        assert_eq!(Key32::from_slice(&[9; 32]), Some(Key32::new([9; 32])));
    }

    #[test]
    fn a_nonce_round_trips_as_a_byte_string() {
        let bytes = vereda_base::encode(&Nonce24([3; 24]));
        assert_eq!(bytes.len(), 26);
        assert_eq!(vereda_base::decode::<Nonce24>(&bytes, 26), Ok(Nonce24([3; 24])));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_changed_bit_or_input_is_refused(
            plaintext in prop::collection::vec(any::<u8>(), 0..200), seed: u64, bit: prop::sample::Index,
        ) {
            let mut rng = ChaCha20Rng::seed_from_u64(seed);
            let (key, nonce) = (Key32::make(&mut rng), Nonce24::make(&mut rng));
            let mut sealed = seal(&key, &nonce, b"aad", &plaintext);
            prop_assert_eq!(sealed.len(), plaintext.len() + TAG_BYTES);
            prop_assert_eq!(open(&key, &nonce, b"aad", &sealed).unwrap(), plaintext);
            prop_assert!(open(&key, &nonce, b"aae", &sealed).is_err());
            prop_assert!(open(&key, &Nonce24::make(&mut rng), b"aad", &sealed).is_err());
            prop_assert!(open(&Key32::make(&mut rng), &nonce, b"aad", &sealed).is_err());
            let bit = bit.index(sealed.len() * 8);
            sealed[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(open(&key, &nonce, b"aad", &sealed).is_err());
        }
    }
}
