//! Names into the directory.

use vereda_base::ChainId;
use vereda_document::Edit;
use vereda_policy::{Heads, Role, membership};
use vereda_records::{FieldPath, Value};
use vereda_sync::device::DeviceStore;

use crate::{
    device::{Ambient, Device, DeviceError},
    directory,
};

impl<S: DeviceStore> Device<S> {
    /// Makes sure that the directory is here and open.
    pub(crate) fn open_directory(&mut self) -> Result<ChainId, DeviceError> {
        let directory = self.books.directory_document.ok_or(DeviceError::NoDirectory)?;
        self.created_document(&directory)?;
        Ok(directory)
    }

    /// Writes a name; the caller commits.
    pub(crate) fn write_name(
        &mut self,
        ambient: &mut Ambient<'_>,
        chain: &ChainId,
        name: &str,
    ) -> Result<(), DeviceError> {
        self.write_into_directory(ambient, &directory::field(chain), name)
    }

    /// Writes a name into a field of the directory, also where it stands there already: whoever wrote that may have no
    /// right to. The caller commits.
    pub(crate) fn write_into_directory(
        &mut self,
        ambient: &mut Ambient<'_>,
        field: &str,
        name: &str,
    ) -> Result<(), DeviceError> {
        let id = self.open_directory()?;
        let at = ambient.now.wall;
        let set = |value| Edit::Set { path: FieldPath::field(field), value };
        // What equals what stands would not be written.
        let edits = [set(Value::Deleted), set(Value::text(name.trim()))];
        self.write(&id, |replica| replica.edit(&edits, at))?;
        self.write_line(&id)
    }

    /// Enters the name of this device's person once the directory is here and may be written.
    pub(crate) fn enter_name(&mut self, ambient: &mut Ambient<'_>) -> Result<(), DeviceError> {
        let Some(membership) = &self.membership else { return Ok(()) };
        if membership.person.is_empty() {
            return Ok(());
        }
        let (user, person) = (membership.user, membership.person.clone());
        if !self.may_write_names()? {
            return Ok(());
        }
        self.write_name(ambient, &user, &person)?;
        if let Some(membership) = &mut self.membership {
            membership.person.clear();
            membership.save(&mut self.store)?;
        }
        self.commit()?;
        self.bring_books()
    }

    /// Says names of teams and the agency again, as one of their Managers, that only former ones wrote, and that of this
    /// device's person, if only a removed device did; commits.
    pub(crate) fn restate_names(&mut self, ambient: &mut Ambient<'_>) -> Result<(), DeviceError> {
        if self.books.names_of_former.is_empty() || !self.may_write_names()? {
            return Ok(());
        }
        let heads = Heads::newest(None);
        let manages = |group: &&ChainId| {
            self.view(|view, device| membership(view, &device, group, &heads)) == Some(Role::Manager)
        };
        let own: Vec<ChainId> = self.books.names_of_former.iter().filter(manages).copied().collect();
        let named: Vec<(ChainId, String)> =
            own.into_iter().filter_map(|group| Some((group, self.name_of(&group)?.to_owned()))).collect();
        if named.is_empty() {
            return Ok(());
        }
        let written = named.into_iter().try_for_each(|(group, name)| self.write_name(ambient, &group, &name));
        if let Err(error) = written.and_then(|()| self.commit()) {
            self.roll_back();
            return Err(error);
        }
        self.bring_books()
    }

    /// Says whether the directory is here and this device may write to it.
    pub(crate) fn may_write_names(&mut self) -> Result<bool, DeviceError> {
        let Ok(directory) = self.open_directory() else { return Ok(false) };
        match &self.machine {
            Some(machine) => Ok(machine.cites(&self.store, &directory)?.is_some()),
            None => Ok(false),
        }
    }
}
