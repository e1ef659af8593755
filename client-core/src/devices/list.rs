//! The devices of this person, and of those he answers for.

use serde::Serialize;
use vereda_base::{ChainId, DeviceId, Timestamp};
use vereda_policy::{ChainKind, ChainState, DeviceKind, DeviceStanding, Role};
use vereda_sync::device::DeviceStore;

use crate::{
    device::{Device, DeviceError},
    directory::FindError,
};

/// A device of a person.
#[derive(Debug, Clone, Serialize)]
pub struct DeviceView {
    /// The device.
    pub device: DeviceId,
    /// Its name, if known.
    pub name: Option<String>,
    /// The person.
    pub user: ChainId,
    /// The person's name, if known.
    pub person: Option<String>,
    /// `full`, or `recovery` for a printed key.
    pub kind: &'static str,
    /// It is the one that shows this.
    pub is_this: bool,
    /// It is one of this person's.
    pub is_own: bool,
    /// Since when, in milliseconds since 1970; `None` before the relay has it.
    pub since: Option<Timestamp>,
    /// Until when, in milliseconds since 1970; `None` while it stands.
    pub until: Option<Timestamp>,
    /// It was removed.
    pub is_removed: bool,
    /// This person may remove it: his own, or as Manager of the agency that its person belongs to and joined.
    pub may_remove: bool,
}

impl<S: DeviceStore> Device<S> {
    /// Lists this person's devices, oldest first, removed ones too.
    ///
    /// # Errors
    /// [`DeviceError`] by cause.
    pub fn own_devices(&self) -> Result<Vec<DeviceView>, DeviceError> {
        let (user, _) = self.home().ok_or(DeviceError::NoAgency)?;
        Ok(self.devices_of(&user))
    }

    /// Lists this person's devices, and where he is Manager of the agency those of all people known here, whoever has left it
    /// included. Removed ones too.
    ///
    /// # Errors
    /// [`DeviceError`] by cause.
    pub fn devices(&self, now: Timestamp) -> Result<Vec<DeviceView>, DeviceError> {
        let (own, agency) = self.home().ok_or(DeviceError::NoAgency)?;
        let mut users = vec![own];
        if self.role_over(&agency, now) == Some(Role::Manager) {
            users.extend(self.list_chains(ChainKind::User)?.into_iter().filter(|user| *user != own));
        }
        Ok(users.iter().flat_map(|user| self.devices_of(user)).collect())
    }

    /// Finds one of the devices that [`Self::devices`] lists and that stand: by name, or by any beginning of its id.
    ///
    /// # Errors
    /// [`FindError`] if nothing fits, or several do; [`DeviceError`] by cause.
    pub fn find_device(&self, now: Timestamp, text: &str) -> Result<Result<DeviceView, FindError>, DeviceError> {
        let standing = self.devices(now)?.into_iter().filter(|device| !device.is_removed);
        Ok(only_one(standing.collect(), text))
    }

    /// As [`Self::find_device`], removed ones too.
    ///
    /// # Errors
    /// [`FindError`] if nothing fits, or several do; [`DeviceError`] by cause.
    pub fn find_past_device(&self, now: Timestamp, text: &str) -> Result<Result<DeviceView, FindError>, DeviceError> {
        Ok(only_one(self.devices(now)?, text))
    }

    /// Says whether a device stands in this person's chain.
    pub fn has_device(&self, device: &DeviceId) -> bool {
        let user = self.home().and_then(|(user, _)| self.chain(&user));
        user.is_some_and(|state| state.device(device).is_some_and(|standing| standing.stands_at(state.head_seq())))
    }

    fn devices_of(&self, user: &ChainId) -> Vec<DeviceView> {
        let Some(state) = self.chain(user) else { return Vec::new() };
        let may_remove = self.home().is_some_and(|(own, _)| own == *user) || self.may_remove_devices_of(user);
        state.devices().iter().map(|standing| self.view_device(&state, standing, may_remove)).collect()
    }

    fn view_device(&self, state: &ChainState, standing: &DeviceStanding, may_remove: bool) -> DeviceView {
        let time = |seq: u64| state.op(seq).and_then(|op| op.time);
        let (user, device) = (state.id(), standing.device);
        DeviceView {
            device,
            name: self.device_name(&device).map(str::to_owned),
            user,
            person: self.name_of(&user).map(str::to_owned),
            kind: match standing.kind {
                DeviceKind::Full => "full",
                DeviceKind::Recovery => "recovery",
            },
            is_this: device == self.id(),
            is_own: self.home().is_some_and(|(own, _)| own == user),
            since: time(standing.from_seq),
            until: standing.until_seq.and_then(time),
            is_removed: standing.until_seq.is_some(),
            may_remove: may_remove && standing.until_seq.is_none(),
        }
    }
}

fn only_one(devices: Vec<DeviceView>, text: &str) -> Result<DeviceView, FindError> {
    let wanted = text.trim().to_lowercase();
    let is_named = |device: &&DeviceView| device.name.as_ref().is_some_and(|name| name.to_lowercase() == wanted);
    let fits = |device: &&DeviceView| wanted.len() >= 3 && device.device.to_string().starts_with(&wanted);
    let named: Vec<&DeviceView> = devices.iter().filter(is_named).collect();
    let found = if named.is_empty() { devices.iter().filter(fits).collect() } else { named };
    match found.as_slice() {
        [one] => Ok((*one).clone()),
        [] => Err(FindError::Nothing { what: "device" }),
        several => Err(FindError::Several { found: several.len() }),
    }
}
