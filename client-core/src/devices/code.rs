//! The code that both screens show while a device is linked.

use std::{fmt, str::FromStr};

use vereda_crypto::{context, hash};

use super::letters;
use crate::link::{DeviceAnswer, DeviceOffer};

/// Letters of a code: 60 bits.
const LETTERS: usize = 12;

/// 60 bits over everything in both links. Whoever swaps a link on its way must find another with the same code while the
/// offer lasts, in one attempt: 2⁶⁰ hashes in ten minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkingCode([u8; 8]);

impl LinkingCode {
    /// Derives the code of two links.
    #[must_use]
    pub fn of(offer: &DeviceOffer, answer: &DeviceAnswer) -> Self {
        let parts = [vereda_base::encode(offer), vereda_base::encode(answer)];
        let [first, second] = &parts;
        let full = hash(context::LINKING_CODE, &[first, second]);
        let mut bytes = [0; 8];
        bytes.iter_mut().zip(full).for_each(|(to, from)| *to = from);
        // 60 of the 64 bits.
        bytes[7] &= 0xf0;
        Self(bytes)
    }
}

impl fmt::Display for LinkingCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&letters::write(&self.0, LETTERS))
    }
}

impl FromStr for LinkingCode {
    type Err = ParseCodeError;

    fn from_str(text: &str) -> Result<Self, ParseCodeError> {
        letters::read(text, LETTERS).and_then(|bytes| bytes.try_into().ok()).map(Self).ok_or(ParseCodeError)
    }
}

/// A text that is no code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a code is three groups of four letters and digits")]
pub struct ParseCodeError;
