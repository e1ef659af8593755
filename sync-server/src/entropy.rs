//! The one place that draws entropy from the operating system.

use std::convert::Infallible;

use rand_core::{TryCryptoRng, TryRng};

/// Entropy of the operating system, asked anew for every draw.
///
/// # Panics
/// If the operating system has no entropy to give: nothing may be signed then.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEntropy;

impl TryRng for SystemEntropy {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    #[allow(clippy::disallowed_methods, reason = "the one place that draws entropy")]
    #[allow(clippy::panic, reason = "without entropy nothing may be signed; no operating system gets here")]
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        match getrandom::fill(bytes) {
            Ok(()) => Ok(()),
            Err(error) => panic!("the operating system has no entropy: {error}"),
        }
    }
}

impl TryCryptoRng for SystemEntropy {}
