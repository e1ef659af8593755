//! The printed key of a person: a secret on paper from which the keys of a restricted device are derived.

use std::{fmt, str::FromStr};

use rand_core::CryptoRng;
use vereda_base::{DeviceId, Sensitive};
use vereda_crypto::{DeviceKey, Key32, WrapKeyPair, context, derive_key, hash};
use zeroize::Zeroizing;

use super::letters;
use crate::facts::DeviceKeys;

/// Bytes of the secret: 160 bits.
const SECRET: usize = 20;
/// Letters of secret and checksum: 180 bits.
const LETTERS: usize = 36;

/// 160 random bits with a checksum of 20, as nine groups of four letters and digits. Whoever holds it can bring a device of
/// his own in; `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct RecoveryKey(Zeroizing<[u8; SECRET]>);

impl RecoveryKey {
    /// Draws a key.
    pub(super) fn make(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut secret = Zeroizing::new([0; SECRET]);
        rng.fill_bytes(&mut *secret);
        Self(secret)
    }

    /// Writes the key as it is printed.
    #[must_use]
    pub fn expose(&self) -> Sensitive<String> {
        let bytes = Zeroizing::new([self.0.as_slice(), &checksum(&self.0)].concat());
        Sensitive::new(letters::write(&bytes, LETTERS))
    }

    /// Names the restricted device.
    #[must_use]
    pub fn device(&self) -> DeviceId {
        self.derive().signing.device_id()
    }

    /// Derives the keys of the restricted device.
    pub(crate) fn derive(&self) -> DeviceKeys {
        let root = Key32::new(hash(context::RECOVERY_SECRET, &[self.0.as_slice()]));
        let signing = derive_key(context::RECOVERY_SIGNING_KEY, &root, &[]);
        let wrapping = derive_key(context::RECOVERY_WRAP_KEY_PAIR, &root, &[]);
        DeviceKeys { signing: DeviceKey::from_seed(signing.expose()), wrapping: WrapKeyPair::from_seed(&wrapping) }
    }
}

impl fmt::Debug for RecoveryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoveryKey(…)")
    }
}

impl FromStr for RecoveryKey {
    type Err = ParseRecoveryKeyError;

    fn from_str(text: &str) -> Result<Self, ParseRecoveryKeyError> {
        let bytes = Zeroizing::new(letters::read(text, LETTERS).ok_or(ParseRecoveryKeyError::Form)?);
        let (secret, check) = bytes.split_first_chunk::<SECRET>().ok_or(ParseRecoveryKeyError::Form)?;
        if check != checksum(secret) {
            return Err(ParseRecoveryKeyError::Checksum);
        }
        Ok(Self(Zeroizing::new(*secret)))
    }
}

/// Twenty bits, four zeros behind.
fn checksum(secret: &[u8; SECRET]) -> [u8; 3] {
    let [first, second, third, ..] = hash(context::RECOVERY_CHECK, &[secret]);
    [first, second, third & 0xf0]
}

/// Why a text is no recovery key. Never holds the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseRecoveryKeyError {
    /// Another kind of text.
    #[error("a recovery key is nine groups of four letters and digits, without U")]
    Form,
    /// A letter is wrong.
    #[error("the recovery key has a mistake in it: compare it with the paper letter by letter")]
    Checksum,
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;

    fn key(seed: u64) -> RecoveryKey {
        RecoveryKey::make(&mut ChaCha20Rng::seed_from_u64(seed))
    }

    #[test]
    fn a_printed_key_reads_back_and_gives_the_same_device() {
        let text = key(1).expose();
        assert_eq!(text.expose().split('-').map(str::len).collect::<Vec<_>>(), [4; 9]);
        let again: RecoveryKey = text.expose().to_lowercase().replace('-', " ").parse().unwrap();
        assert!(again == key(1));
        assert_eq!(again.derive().signing.device_id(), key(1).derive().signing.device_id());
        assert_ne!(again.derive().signing.device_id(), key(2).derive().signing.device_id());
        assert_ne!(again.derive().wrapping.public(), key(2).derive().wrapping.public());
    }

    #[test]
    fn one_wrong_letter_anywhere_is_noticed() {
        let text = key(3).expose().expose().clone();
        for place in (0..text.len()).filter(|place| text.as_bytes()[*place] != b'-') {
            let mut wrong = text.clone().into_bytes();
            wrong[place] = if wrong[place] == b'7' { b'8' } else { b'7' };
            let wrong = String::from_utf8(wrong).unwrap();
            assert_eq!(wrong.parse::<RecoveryKey>(), Err(ParseRecoveryKeyError::Checksum), "at {place}");
        }
        assert_eq!(text[..44].parse::<RecoveryKey>(), Err(ParseRecoveryKeyError::Form));
    }

    #[test]
    fn debug_does_not_show_the_key() {
        assert_eq!(format!("{:?}", key(1)), "RecoveryKey(…)");
    }
}
