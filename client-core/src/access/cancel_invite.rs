//! Withdrawing an invite.

use vereda_base::{ChainId, DeviceId};
use vereda_policy::{Body, CancelInvite, ChainKind, InviteState};
use vereda_sync::device::DeviceStore;

use super::DecideError;
use crate::device::{Ambient, Device, DeviceError};

/// Why no invite was withdrawn; nothing was kept.
#[derive(Debug, thiserror::Error)]
pub enum CancelInviteError {
    /// None of this name is known.
    #[error("there is no invite of this id here; one that the relay does not have yet cannot be withdrawn: sync first")]
    NoInvite,
    /// Policy, or anything below.
    #[error(transparent)]
    Decide(#[from] DecideError),
}

impl<S: DeviceStore> Device<S> {
    /// Withdraws an invite, made on this device or on another, by its one-time key. Final when the relay is reached: until
    /// then it may still be taken up.
    ///
    /// # Errors
    /// [`CancelInviteError`] by cause; nothing is kept then.
    pub fn cancel_invite(
        &mut self,
        ambient: &mut Ambient<'_>,
        invite: &DeviceId,
    ) -> Result<ChainId, CancelInviteError> {
        let found = self.find_invite(invite).map_err(DecideError::from)?;
        let (chain, invite) = found.ok_or(CancelInviteError::NoInvite)?;
        self.decide(ambient, vec![(chain, Body::CancelInvite(CancelInvite { invite: invite.op }))])?;
        Ok(chain)
    }

    fn find_invite(&self, key: &DeviceId) -> Result<Option<(ChainId, InviteState)>, DeviceError> {
        for kind in [ChainKind::Team, ChainKind::Agency] {
            for chain in self.list_chains(kind)? {
                let Some(state) = self.chain(&chain) else { continue };
                if let Some(invite) = state.invites().iter().find(|invite| invite.key == *key) {
                    return Ok(Some((chain, *invite)));
                }
            }
        }
        Ok(None)
    }
}
