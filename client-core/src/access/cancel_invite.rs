//! Withdrawing an invite.

use vereda_base::{ChainId, DeviceId};
use vereda_policy::{Body, CancelInvite, ChainKind, InviteState};
use vereda_sync::device::{DeviceStore, StoreError};

use super::DecideError;
use crate::{
    device::{Ambient, Device, DeviceError},
    directory::FindError,
};

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
        let known = self.known_invites().map_err(DeviceError::from).map_err(DecideError::from)?;
        let found = known.into_iter().find(|(_, known)| known.key == *invite);
        let (chain, invite) = found.ok_or(CancelInviteError::NoInvite)?;
        self.decide(ambient, vec![(chain, Body::CancelInvite(CancelInvite { invite: invite.op }))])?;
        Ok(chain)
    }

    /// Finds an invite that the relay has by any beginning of its one-time key.
    ///
    /// # Errors
    /// [`FindError`] if nothing fits, or several do.
    pub fn find_invite(&self, text: &str) -> Result<DeviceId, FindError> {
        let wanted = text.to_lowercase();
        let known = self.known_invites()?.into_iter().map(|(_, invite)| invite.key);
        let fitting: Vec<DeviceId> =
            known.filter(|key| wanted.len() >= 3 && key.to_string().starts_with(&wanted)).collect();
        match fitting.as_slice() {
            [one] => Ok(*one),
            [] => Err(FindError::Nothing { what: "invite" }),
            several => Err(FindError::Several { found: several.len() }),
        }
    }

    fn known_invites(&self) -> Result<Vec<(ChainId, InviteState)>, StoreError> {
        let mut known = Vec::new();
        for kind in [ChainKind::Team, ChainKind::Agency] {
            for chain in self.list_chains(kind)? {
                let Some(state) = self.chain(&chain) else { continue };
                known.extend(state.invites().iter().map(|invite| (chain, invite.clone())));
            }
        }
        Ok(known)
    }
}
