//! Setting how long something is kept or may wait.

use serde::Serialize;
use vereda_policy::{Body, Retention, SetRetention};
use vereda_sync::device::DeviceStore;

use super::DecideError;
use crate::device::{Ambient, Device, DeviceError};

/// The longest time, in days.
pub const MAX_DAYS: u32 = 3_650;

/// What is kept, or may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RetentionKind {
    /// How long after a removal review takes what the removed device still hands in.
    Review,
    /// How old the newest beacon may be before devices warn.
    Beacon,
}

/// Why nothing was set; nothing was kept.
#[derive(Debug, thiserror::Error)]
pub enum SetRetentionError {
    /// Out of bounds.
    #[error("a time is 1 to {MAX_DAYS} days")]
    Days,
    /// Policy, or anything below.
    #[error(transparent)]
    Decide(#[from] DecideError),
}

impl<S: DeviceStore> Device<S> {
    /// Sets, for the whole agency, for how many days something is kept or may wait. Final when the relay is reached.
    ///
    /// # Errors
    /// [`SetRetentionError`] by cause; nothing is kept then.
    pub fn set_retention(
        &mut self,
        ambient: &mut Ambient<'_>,
        kind: RetentionKind,
        days: u32,
    ) -> Result<(), SetRetentionError> {
        if !(1..=MAX_DAYS).contains(&days) {
            return Err(SetRetentionError::Days);
        }
        let (_, agency) = self.home().ok_or(DeviceError::NoAgency).map_err(DecideError::from)?;
        let what = match kind {
            RetentionKind::Review => Retention::Review,
            RetentionKind::Beacon => Retention::Beacon,
        };
        Ok(self.decide(ambient, vec![(agency, Body::SetRetention(SetRetention { what, days }))])?)
    }
}
