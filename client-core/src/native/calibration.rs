//! How costly a guess of the passphrase is made on this machine.

use std::time::Duration;

use vereda_crypto::derive_kek;

use super::clock::Clock;
use crate::vault::{KdfParams, calibrate};

/// Chooses Argon2id parameters that take about `target` here.
pub fn calibrated(clock: &Clock, target: Duration) -> KdfParams {
    calibrate(target, &mut |params| {
        let before = clock.now().monotonic.0;
        // Only its duration matters; what cannot be computed counts as fast and is bounded by the caller.
        drop(derive_kek(b"calibration", &[0; 32], params, None));
        clock.now().monotonic.0.saturating_sub(before)
    })
}
