//! What a device did to access: who removes one looks through what it let in.

use serde::Serialize;
use vereda_base::{ChainId, DeviceId, Timestamp};
use vereda_policy::{Body, ChainKind, ChainState, InviteEnd, Member, Op};
use vereda_sync::device::DeviceStore;

use crate::{
    device::{Device, DeviceError},
    identity::InviteState,
    words,
};

/// What a device did to access, as far as it is known here.
#[derive(Debug, Clone, Default, Serialize)]
pub struct MadeByView {
    /// Invites.
    pub invites: Vec<MadeInvite>,
    /// Roles given, by grants and by moving cases.
    pub grants: Vec<MadeGrant>,
    /// Devices added.
    pub devices: Vec<MadeDevice>,
}

/// An invite.
#[derive(Debug, Clone, Serialize)]
pub struct MadeInvite {
    /// Names it: its one-time public key.
    pub invite: DeviceId,
    /// The team, agency or document.
    pub chain: ChainId,
    /// Its name, if known.
    pub name: Option<String>,
    /// The role offered.
    pub role: &'static str,
    /// How it stands.
    pub state: InviteState,
    /// Who took it up.
    pub accepted_by: Option<ChainId>,
    /// His name, if known.
    pub accepted_by_name: Option<String>,
    /// When it was made, in milliseconds since 1970.
    pub time: Option<Timestamp>,
}

/// A role given.
#[derive(Debug, Clone, Serialize)]
pub struct MadeGrant {
    /// In the team, agency or document.
    pub chain: ChainId,
    /// Its name, if known.
    pub name: Option<String>,
    /// To whom.
    pub subject: ChainId,
    /// His name, if known.
    pub subject_name: Option<String>,
    /// The role.
    pub role: &'static str,
    /// He still has a role there.
    pub stands: bool,
    /// When it was given, in milliseconds since 1970.
    pub time: Option<Timestamp>,
}

/// A device added.
#[derive(Debug, Clone, Serialize)]
pub struct MadeDevice {
    /// The device.
    pub device: DeviceId,
    /// Its name, if known.
    pub name: Option<String>,
    /// It still stands.
    pub stands: bool,
    /// When it was added, in milliseconds since 1970.
    pub time: Option<Timestamp>,
}

impl MadeByView {
    /// Says whether there is nothing to look through.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.invites.is_empty() && self.grants.is_empty() && self.devices.is_empty()
    }
}

impl<S: DeviceStore> Device<S> {
    /// Lists what a device did to access: invites, roles given, devices added. Operations without effect are left out.
    ///
    /// # Errors
    /// [`DeviceError`] by cause.
    pub fn made_by(&self, device: &DeviceId, now: Timestamp) -> Result<MadeByView, DeviceError> {
        let mut made = MadeByView::default();
        let Some(machine) = &self.machine else { return Ok(made) };
        for kind in [ChainKind::User, ChainKind::Agency, ChainKind::Team, ChainKind::Document] {
            for chain in self.list_chains(kind)? {
                // Most chains are documents with their first operation alone, which lets nobody in.
                let Some(state) = self.chain(&chain).filter(|state| state.ops().len() > 1) else { continue };
                for op in machine.operations(&self.store, &chain)? {
                    if op.device == *device && state.op(op.seq).is_some_and(|record| !record.is_void) {
                        self.note_made(&mut made, &state, op, now);
                    }
                }
            }
        }
        Ok(made)
    }

    fn note_made(&self, made: &mut MadeByView, state: &ChainState, op: Op, now: Timestamp) {
        let time = state.op(op.seq).and_then(|record| record.time);
        match op.body {
            Body::Invite(invite) => {
                let end = state.invites().iter().find(|known| known.key == invite.key).and_then(|known| known.end);
                let accepted_by = match end {
                    Some(InviteEnd::Accepted { user, .. }) => Some(user),
                    _ => None,
                };
                made.invites.push(MadeInvite {
                    invite: invite.key,
                    chain: state.id(),
                    name: self.name_of(&state.id()).map(str::to_owned),
                    role: words::role(invite.role),
                    state: match end {
                        Some(InviteEnd::Accepted { .. }) => InviteState::Accepted,
                        None if invite.expires > now => InviteState::Open,
                        _ => InviteState::Closed,
                    },
                    accepted_by,
                    accepted_by_name: accepted_by.and_then(|user| self.name_of(&user).map(str::to_owned)),
                    time,
                });
            }
            Body::Grant(grant) => {
                let member = Member { subject: grant.subject, role: grant.role };
                made.grants.push(self.view_grant(state, member, time));
            }
            Body::Assign(assign) => {
                made.grants.extend(assign.gives.into_iter().map(|member| self.view_grant(state, member, time)));
            }
            Body::AddDevice(add) => made.devices.push(MadeDevice {
                device: add.device,
                name: self.device_name(&add.device).map(str::to_owned),
                stands: state.device(&add.device).is_some_and(|standing| standing.until_seq.is_none()),
                time,
            }),
            _ => {}
        }
    }

    fn view_grant(&self, state: &ChainState, member: Member, time: Option<Timestamp>) -> MadeGrant {
        MadeGrant {
            chain: state.id(),
            name: self.name_of(&state.id()).map(str::to_owned),
            subject: member.subject,
            subject_name: self.name_of(&member.subject).map(str::to_owned),
            role: words::role(member.role),
            stands: state.role_of(&member.subject, state.head_seq()).is_some(),
            time,
        }
    }
}
