//! Ending a member's roles.

use vereda_base::ChainId;
use vereda_policy::{Body, ChainKind, Revoke};
use vereda_sync::device::DeviceStore;

use super::{DecideError, decisions::open_frontier};
use crate::device::{Ambient, Device};

/// What revoking takes.
#[derive(Debug, Clone, Copy)]
pub struct RevokeRequest {
    /// The document, team or agency.
    pub chain: ChainId,
    /// Whose roles end.
    pub subject: ChainId,
    /// Who becomes Manager with it; needed where the agency would be left without one.
    pub successor: Option<ChainId>,
}

/// Why nothing was revoked; nothing was kept.
#[derive(Debug, thiserror::Error)]
pub enum RevokeError {
    /// A successor is named where none is needed.
    #[error("only an agency's last Manager needs a successor")]
    NoSuccessorHere,
    /// Policy, or anything below.
    #[error(transparent)]
    Decide(#[from] DecideError),
}

impl<S: DeviceStore> Device<S> {
    /// Ends a member's roles in a document, team or agency. Final when the relay is reached: what the member's devices
    /// wrote before they were removed stands as far as the relay has it; what comes later goes to review.
    ///
    /// # Errors
    /// [`RevokeError`] by cause; nothing is kept then.
    pub fn revoke(&mut self, ambient: &mut Ambient<'_>, request: RevokeRequest) -> Result<(), RevokeError> {
        let RevokeRequest { chain, subject, successor } = request;
        let is_agency = self.chain(&chain).is_some_and(|state| state.kind() == ChainKind::Agency);
        if successor.is_some() && !is_agency {
            return Err(RevokeError::NoSuccessorHere);
        }
        let body = Body::Revoke(Revoke { subject, keeps: None, successor, frontier: open_frontier() });
        Ok(self.decide(ambient, vec![(chain, body)])?)
    }
}
