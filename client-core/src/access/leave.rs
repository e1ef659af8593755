//! Leaving a team, the agency, or a document.

use std::collections::BTreeSet;

use vereda_base::ChainId;
use vereda_policy::{Body, ChainKind, Membership, Revoke, Role};
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
    /// Nobody would be left who lets others in.
    #[error(
        "the person of this vault is the last Manager of team {team}: its cases would be lost; make another one first"
    )]
    LastManager {
        /// The team.
        team: ChainId,
    },
    /// A successor is named where none is needed.
    #[error("a successor is named only where the agency is left: make another Manager of {chain} first, then leave it")]
    NoSuccessorHere {
        /// What is left.
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
        let is_agency = self.chain(chain).is_some_and(|state| state.kind() == ChainKind::Agency);
        if successor.is_some() && !is_agency {
            return Err(LeaveError::NoSuccessorHere { chain: *chain });
        }
        if self.is_last_manager(&user, chain) {
            return Err(LeaveError::LastManager { team: *chain });
        }
        let body = Body::Revoke(Revoke { subject: user, keeps: None, successor, frontier: open_frontier() });
        Ok(self.decide(ambient, vec![(*chain, body)])?)
    }

    /// Says whether a user is the only one left who lets others into a team. With him the last who can pass its keys on may go.
    fn is_last_manager(&self, user: &ChainId, chain: &ChainId) -> bool {
        let Some(team) = self.chain(chain).filter(|state| state.kind() == ChainKind::Team) else { return false };
        let head = team.head_seq();
        let lets_in =
            |held: &&Membership| held.role == Role::Manager && held.expires.is_none() && held.stands_at(head, None);
        let managers: BTreeSet<ChainId> = team.members().iter().filter(lets_in).map(|held| held.subject).collect();
        managers == BTreeSet::from([*user])
    }
}
