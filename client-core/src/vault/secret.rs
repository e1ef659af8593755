//! What unlocks a vault.

use unicode_normalization::UnicodeNormalization;
use vereda_base::Sensitive;
use vereda_crypto::Key32;
use zeroize::Zeroizing;

/// A passphrase, or a key that a keystore holds.
#[derive(Debug, Clone)]
pub enum UnlockSecret {
    /// What the user types. Composed and decomposed spellings, and full-width letters, count as the same.
    Passphrase(Sensitive<String>),
    /// A random key, kept by whoever hands it in.
    Key(Key32),
}

impl UnlockSecret {
    /// Takes a passphrase.
    pub fn passphrase(text: impl Into<String>) -> Self {
        Self::Passphrase(Sensitive::new(text.into()))
    }
}

/// Normalises a passphrase (Unicode NFKC): what one keyboard composes, another does not.
pub(super) fn normalise(passphrase: &str) -> Zeroizing<String> {
    // Reserved beforehand, so that no copy is left behind by growing: NFKC at most multiplies by 18 (UAX #15).
    let mut text = Zeroizing::new(String::with_capacity(passphrase.len().saturating_mul(18)));
    text.extend(passphrase.nfkc());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_passphrase_are_one_passphrase() {
        let check = |a: &str, b: &str| assert_eq!(*normalise(a), *normalise(b));
        check("caf\u{e9}", "cafe\u{301}");
        check("\u{ff21}bc", "Abc");
        check("\u{fb01}sh", "fish");
    }
}
