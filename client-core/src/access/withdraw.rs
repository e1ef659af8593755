//! Withdrawing a referral.

use vereda_base::ChainId;
use vereda_policy::{Body, ParentAuthority, Revoke};
use vereda_sync::device::DeviceStore;

use super::{DecideError, Hindrance, decisions::open_frontier};
use crate::device::{Ambient, Device, DeviceError};

/// What withdrawing takes.
#[derive(Debug, Clone, Copy)]
pub struct WithdrawRequest {
    /// The case or section.
    pub document: ChainId,
    /// Whom it was referred to.
    pub from: ChainId,
}

/// Why nothing was withdrawn; nothing was kept.
#[derive(Debug, thiserror::Error)]
pub enum WithdrawError {
    /// They do not have it by a referral, but because they own it.
    #[error("{from} owns {document} and was not referred it: assign the case to another team instead")]
    Owns {
        /// The team.
        from: ChainId,
        /// The case or section.
        document: ChainId,
    },
    /// Policy, or anything below.
    #[error(transparent)]
    Decide(#[from] DecideError),
}

impl<S: DeviceStore> Device<S> {
    /// Ends what somebody was given in a case and in each of its sections that is known here. Final when the relay is
    /// reached.
    ///
    /// # Errors
    /// [`WithdrawError`] by cause; nothing is kept then.
    pub fn withdraw(&mut self, ambient: &mut Ambient<'_>, request: WithdrawRequest) -> Result<(), WithdrawError> {
        let WithdrawRequest { document, from } = request;
        let state = self.chain(&document).ok_or(Hindrance::Unknown { chain: document }).map_err(DecideError::from)?;
        if state.parents().any(|parent| parent.chain == from && parent.authority == ParentAuthority::Full) {
            return Err(WithdrawError::Owns { from, document });
        }
        let body = || Body::Revoke(Revoke { subject: from, keeps: None, successor: None, frontier: open_frontier() });
        let sections = self.sections_of(&document).map_err(DeviceError::from).map_err(DecideError::from)?;
        let mut decisions: Vec<(ChainId, Body)> = Vec::new();
        for chain in sections.into_iter().chain([document]) {
            if self.has_role_in(&from, &chain) {
                decisions.push((chain, body()));
            }
        }
        if decisions.is_empty() {
            return Err(DecideError::from(Hindrance::NothingEnds { subject: from }).into());
        }
        Ok(self.decide(ambient, decisions)?)
    }

    /// Says whether a member has a role of its own in a chain, an expired one included.
    pub(super) fn has_role_in(&self, subject: &ChainId, chain: &ChainId) -> bool {
        let Some(state) = self.chain(chain) else { return false };
        let head = state.head_seq();
        state.members().iter().any(|held| held.subject == *subject && held.stands_at(head, None))
    }
}
