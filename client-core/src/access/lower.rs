//! Lowering a member's role.

use vereda_base::ChainId;
use vereda_policy::{Body, Revoke, Role};
use vereda_sync::device::DeviceStore;

use super::{DecideError, decisions::open_frontier};
use crate::device::{Ambient, Device};

/// What lowering takes.
#[derive(Debug, Clone, Copy)]
pub struct LowerRequest {
    /// The document, team or agency.
    pub chain: ChainId,
    /// Whose role is lowered.
    pub subject: ChainId,
    /// What is left of it.
    pub to: Role,
}

/// Why nothing was lowered; nothing was kept.
#[derive(Debug, thiserror::Error)]
pub enum LowerError {
    /// The role is not above that.
    #[error("{subject} has no role above that there")]
    NotAbove {
        /// Whose role.
        subject: ChainId,
    },
    /// Policy, or anything below.
    #[error(transparent)]
    Decide(#[from] DecideError),
}

impl<S: DeviceStore> Device<S> {
    /// Lowers a member's role; it lasts as long as the higher one would have. Final when the relay is reached.
    ///
    /// # Errors
    /// [`LowerError`] by cause; nothing is kept then.
    pub fn lower(&mut self, ambient: &mut Ambient<'_>, request: LowerRequest) -> Result<(), LowerError> {
        let LowerRequest { chain, subject, to } = request;
        let held = self.chain(&chain).and_then(|state| state.role_of(&subject, state.head_seq()));
        if held.is_some_and(|held| held <= to) {
            return Err(LowerError::NotAbove { subject });
        }
        let body = Body::Revoke(Revoke { subject, keeps: Some(to), successor: None, frontier: open_frontier() });
        Ok(self.decide(ambient, vec![(chain, body)])?)
    }
}
