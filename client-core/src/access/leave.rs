//! Leaving a team, the agency, or a document.

use vereda_base::ChainId;
use vereda_policy::{Body, Revoke};
use vereda_sync::device::DeviceStore;

use super::{DecideError, decisions::open_frontier};
use crate::device::{Ambient, Device, DeviceError};

/// Why the person did not leave; nothing was kept.
#[derive(Debug, thiserror::Error)]
pub enum LeaveError {
    /// The person is not in there by himself.
    #[error("the person of this vault is not in {chain} himself, if at all through a team: leave that")]
    NotAMember {
        /// What was named.
        chain: ChainId,
    },
    /// Policy, or anything below.
    #[error(transparent)]
    Decide(#[from] DecideError),
}

impl<S: DeviceStore> Device<S> {
    /// Ends the roles of this device's person in a team, the agency or a document; needs nobody's leave, but an agency's
    /// last Manager names a successor. Final when the relay is reached.
    ///
    /// # Errors
    /// [`LeaveError`] by cause; nothing is kept then.
    pub fn leave(
        &mut self,
        ambient: &mut Ambient<'_>,
        chain: &ChainId,
        successor: Option<ChainId>,
    ) -> Result<(), LeaveError> {
        let (user, _) = self.home().ok_or(DeviceError::NoAgency).map_err(DecideError::from)?;
        if self.chain(chain).is_some() && !self.has_role_in(&user, chain) {
            return Err(LeaveError::NotAMember { chain: *chain });
        }
        let body = Body::Revoke(Revoke { subject: user, keeps: None, successor, frontier: open_frontier() });
        Ok(self.decide(ambient, vec![(*chain, body)])?)
    }
}
