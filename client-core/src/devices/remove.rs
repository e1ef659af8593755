//! Removing a device: one of this person's own, or as Manager of the agency one of anybody's in it.

use vereda_base::{ChainId, DeviceId, Timestamp};
use vereda_crypto::Verified;
use vereda_policy::{
    AppendContext, Body, ChainKind, Draft, DraftError, FrontierTree, OpRefusal, RemoveDevice, authorize,
    cite_governing, receipt_time,
};
use vereda_sync::device::{DeviceStore, StoreError};

use crate::device::{Ambient, Device, DeviceError};

/// Why a device was not removed; nothing was kept.
#[derive(Debug, thiserror::Error)]
pub enum RemoveDeviceError {
    /// No person known here has, or had, this device.
    #[error("no person known here has this device")]
    Unknown,
    /// It was removed before.
    #[error("this device was removed already")]
    Removed,
    /// A person keeps a device; a Manager may take it.
    #[error("this is your last device: link another first, or have a Manager of the agency remove it")]
    Last,
    /// Not by this person.
    #[error("only the person himself, or a Manager of the agency that he joined, may remove this device")]
    NotAllowed,
    /// Its person belongs to nothing here any more.
    #[error(
        "this person has left the agency: what the device writes is not taken in any more, and only the person himself can \
         remove it"
    )]
    Left,
    /// Policy forbids it otherwise.
    #[error(transparent)]
    Policy(#[from] OpRefusal),
    /// Anything below.
    #[error(transparent)]
    Device(#[from] DeviceError),
}

impl<S: DeviceStore> Device<S> {
    /// Removes a device: final when the relay is reached. What it made until then stands as far as the relay has it; what
    /// it still hands in goes to review, and whatever it could read gets new keys before anything is written again.
    ///
    /// # Errors
    /// [`RemoveDeviceError`] by cause; nothing is kept then.
    pub fn remove_device(&mut self, ambient: &mut Ambient<'_>, device: &DeviceId) -> Result<(), RemoveDeviceError> {
        let user = self.user_with(device)?.ok_or(RemoveDeviceError::Unknown)?;
        let stands = |state: &vereda_policy::ChainState| {
            state.device(device).is_some_and(|standing| standing.stands_at(state.head_seq()))
        };
        if !self.chain(&user).is_some_and(|state| stands(&state)) {
            return Err(RemoveDeviceError::Removed);
        }
        // The machine fills in the frontier that the relay agrees to.
        let body = Body::RemoveDevice(RemoveDevice { device: *device, frontier: FrontierTree::new([]).frontier() });
        self.check_removal(&user, &body, ambient.now.wall).map_err(|error| match error {
            RemoveDeviceError::NotAllowed if self.has_left(&user) => RemoveDeviceError::Left,
            error => error,
        })?;
        let queued = self.intend(user, body, Vec::new()).and_then(|_| self.commit());
        if queued.is_err() {
            self.roll_back();
        }
        Ok(queued?)
    }

    /// Finds the person of a device, past ones included.
    pub(super) fn user_with(&self, device: &DeviceId) -> Result<Option<ChainId>, DeviceError> {
        let users = self.list_chains(ChainKind::User)?;
        Ok(users.into_iter().find(|user| self.chain(user).is_some_and(|state| state.device(device).is_some())))
    }

    /// Says whether a device was removed by its person or a Manager.
    pub(crate) fn was_device_removed(&self, device: &DeviceId) -> bool {
        // Where the store fails, the next use of it says so.
        let user = self.user_with(device).ok().flatten().and_then(|user| self.chain(&user));
        user.is_some_and(|state| state.device(device).is_some_and(|standing| standing.until_seq.is_some()))
    }

    /// Says whether this device's person may, as Manager of the agency, remove the devices of somebody else.
    pub(super) fn may_remove_devices_of(&self, user: &ChainId) -> bool {
        let groups = self.list_groups().unwrap_or_default();
        self.view(|view, own| cite_governing(view, &own, user, &groups, None).is_some())
    }

    /// Says whether somebody belonged to a team or agency and is in none now.
    fn has_left(&self, user: &ChainId) -> bool {
        let groups = self.list_groups().unwrap_or_default();
        let states: Vec<_> = groups.iter().filter_map(|group| self.chain(group)).collect();
        let held = || states.iter().flat_map(|state| state.members()).filter(|held| held.subject == *user);
        held().next().is_some() && held().all(|held| held.until_seq.is_some())
    }

    fn list_groups(&self) -> Result<Vec<ChainId>, StoreError> {
        let mut groups = self.list_chains(ChainKind::Agency)?;
        groups.extend(self.list_chains(ChainKind::Team)?);
        Ok(groups)
    }

    /// Checks a removal as the relay would, as far as this device knows.
    fn check_removal(&self, user: &ChainId, body: &Body, now: Timestamp) -> Result<(), RemoveDeviceError> {
        let groups = self.list_groups().map_err(DeviceError::from)?;
        self.view(|view, own| {
            let draft = Draft::new(view, own, Some(now)).with_groups(&groups).append(user, body.clone());
            let draft = draft.map_err(|error| match error {
                DraftError::NoPath { .. } => RemoveDeviceError::NotAllowed,
                error => DeviceError::from(error).into(),
            })?;
            let op = Verified::sign(&self.keys.signing, draft).map_err(DeviceError::from)?;
            let time = receipt_time(view.chain(user).as_deref(), now);
            match authorize(view, &op, &AppendContext::relay(time)) {
                // What is missing proves nothing against it.
                Ok(_) | Err(OpRefusal::Waiting { .. }) => Ok(()),
                Err(OpRefusal::LastDevice { .. }) => Err(RemoveDeviceError::Last),
                Err(refusal) => Err(refusal.into()),
            }
        })
    }
}
