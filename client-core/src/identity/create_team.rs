//! Making a team of the agency.

use vereda_base::ChainId;
use vereda_policy::{Body, Create, Grant, Member, Role};
use vereda_sync::device::DeviceStore;

use crate::{
    device::{Ambient, Device, DeviceError},
    directory,
    keyring::make_group_epoch,
};

/// Why no team was made; nothing was kept.
#[derive(Debug, thiserror::Error)]
pub enum CreateTeamError {
    /// The name is empty or too long.
    #[error("a name is 1 to {} characters on one line", directory::MAX_NAME_CHARS)]
    Name,
    /// There is a team of this name.
    #[error("there is a team of this name already")]
    Twice,
    /// Not by this person.
    #[error("only a Manager of the agency may make teams")]
    NotAllowed,
    /// Anything below.
    #[error(transparent)]
    Device(#[from] DeviceError),
}

impl<S: DeviceStore> Device<S> {
    /// Makes a team with this device's user as its first Manager, and brings it into the agency as Editor. The team is
    /// complete offline; its place in the agency becomes final when the relay is reached.
    ///
    /// # Errors
    /// [`CreateTeamError`] by cause; nothing is kept then.
    pub fn create_team(&mut self, ambient: &mut Ambient<'_>, name: &str) -> Result<ChainId, CreateTeamError> {
        if !directory::is_name(name) {
            return Err(CreateTeamError::Name);
        }
        let (_, agency) = self.home().ok_or(DeviceError::NoAgency)?;
        if self.role_over(&agency, ambient.now.wall) < Some(Role::Manager) {
            return Err(CreateTeamError::NotAllowed);
        }
        if self.find_team(name).is_ok() {
            return Err(CreateTeamError::Twice);
        }
        let made = self.begin_team(ambient, name);
        if made.is_err() {
            self.roll_back();
        }
        Ok(made?)
    }

    fn begin_team(&mut self, ambient: &mut Ambient<'_>, name: &str) -> Result<ChainId, DeviceError> {
        let (user, agency) = self.home().ok_or(DeviceError::NoAgency)?;
        // Opened first: opening may commit, and the team is to come whole or not at all.
        self.open_directory()?;
        let members = vec![Member { subject: user, role: Role::Manager }];
        let epoch = self.with_keyring(ambient, |keyring, view, rng| make_group_epoch(keyring, view, &[user], rng))?;
        let team = self.begin_chain(ambient, epoch, |nonce, epoch| Create::team(nonce, agency, members, epoch))?;
        let grant = Grant { subject: team, role: Role::Editor, expires: None, sealed_purpose: None };
        self.intend(agency, Body::Grant(grant), Vec::new())?;
        self.write_name(ambient, &team, name)?;
        self.commit()?;
        self.bring_books()?;
        Ok(team)
    }
}
