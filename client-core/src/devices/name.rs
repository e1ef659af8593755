//! Names of devices, in the agency's directory as those of people are.

use vereda_base::DeviceId;
use vereda_sync::device::DeviceStore;

use crate::{
    device::{Ambient, Device, DeviceError},
    directory,
    facts::{load_device_name, save_device_name},
};

/// Why a device was not named; nothing was kept.
#[derive(Debug, thiserror::Error)]
pub enum NameDeviceError {
    /// The name is empty or too long.
    #[error("a name is 1 to {} characters on one line", directory::MAX_NAME_CHARS)]
    Name,
    /// The device is not one of this person's.
    #[error("this device is not one of yours")]
    NotOwn,
    /// Anything below.
    #[error(transparent)]
    Device(#[from] DeviceError),
}

impl<S: DeviceStore> Device<S> {
    /// Names one of this person's devices.
    ///
    /// # Errors
    /// [`NameDeviceError`] by cause; nothing is kept then.
    pub fn name_device(
        &mut self,
        ambient: &mut Ambient<'_>,
        device: &DeviceId,
        name: &str,
    ) -> Result<(), NameDeviceError> {
        if !directory::is_name(name) {
            return Err(NameDeviceError::Name);
        }
        let (user, _) = self.home().ok_or(DeviceError::NoAgency)?;
        if self.chain(&user).is_none_or(|state| state.device(device).is_none()) {
            return Err(NameDeviceError::NotOwn);
        }
        // Opened first: opening may commit.
        self.open_directory()?;
        let written = self.write_into_directory(ambient, &directory::device_field(device), name);
        if let Err(error) = written.and_then(|()| self.commit()) {
            self.roll_back();
            return Err(error.into());
        }
        Ok(self.bring_books()?)
    }

    /// Names a device, if its name is known.
    pub fn device_name(&self, device: &DeviceId) -> Option<&str> {
        self.books.device_names.get(device).map(String::as_str)
    }

    /// Enters the name of this device once the directory is here and may be written.
    pub(crate) fn enter_device_name(&mut self, ambient: &mut Ambient<'_>) -> Result<(), DeviceError> {
        if self.membership.is_none() {
            return Ok(());
        }
        let Some(name) = load_device_name(&self.store)? else { return Ok(()) };
        if !self.may_write_names()? {
            return Ok(());
        }
        self.write_into_directory(ambient, &directory::device_field(&self.id()), &name)?;
        save_device_name(&mut self.store, "")?;
        self.commit()?;
        self.bring_books()
    }
}
