//! Applying a configuration to the agency.

use serde::Serialize;
use vereda_base::ChainId;
use vereda_policy::Role;
use vereda_records::Configuration;
use vereda_sync::device::DeviceStore;

use super::content;
use crate::device::{Ambient, Device, DeviceError};

/// Why a configuration was not applied; nothing was kept.
#[derive(Debug, thiserror::Error)]
pub enum ApplyConfigurationError {
    /// Not by this person.
    #[error("only a Manager of the agency may change its configuration")]
    NotAllowed,
    /// The agency's configuration document is not here yet.
    #[error("the agency's configuration is not here yet: sync first")]
    NotHere,
    /// Anything below.
    #[error(transparent)]
    Device(#[from] DeviceError),
}

/// What a configuration holds, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct AppliedConfiguration {
    /// Its version.
    pub version: u64,
    /// Forms and subforms.
    pub forms: usize,
    /// Fields in them.
    pub fields: usize,
    /// Lookups.
    pub lookups: usize,
    /// Roles.
    pub roles: usize,
    /// Locations.
    pub locations: usize,
}

impl AppliedConfiguration {
    /// Counts what a configuration holds.
    pub fn of(configuration: &Configuration) -> Self {
        let forms = configuration.forms.iter().chain(&configuration.subforms);
        Self {
            version: configuration.version,
            forms: configuration.forms.len() + configuration.subforms.len(),
            fields: forms.map(|form| form.fields.len()).sum(),
            lookups: configuration.lookups.len(),
            roles: configuration.roles.len(),
            locations: configuration.locations.len(),
        }
    }
}

impl<S: DeviceStore> Device<S> {
    /// Makes a configuration the agency's; durable when this returns, and with every member once synced.
    ///
    /// # Errors
    /// [`ApplyConfigurationError`] by cause; nothing is kept then.
    pub fn apply_configuration(
        &mut self,
        ambient: &mut Ambient<'_>,
        mut configuration: Configuration,
    ) -> Result<AppliedConfiguration, ApplyConfigurationError> {
        let (_, agency) = self.home().ok_or(DeviceError::NoAgency)?;
        let document = self.books.configuration_document.ok_or(ApplyConfigurationError::NotHere)?;
        if self.role_over(&agency, ambient.now.wall) < Some(Role::Manager) {
            return Err(ApplyConfigurationError::NotAllowed);
        }
        let before = self.record(&document)?;
        let has_one = content::read(&before).is_some();
        configuration.version = if has_one { self.books.configuration.version.saturating_add(1) } else { 1 };
        let after = content::write(&before, &configuration, &content_name(ambient));
        let written = self.write_configuration(ambient, &document, &before, &after);
        if written.is_err() {
            self.roll_back();
        }
        written?;
        Ok(AppliedConfiguration::of(&configuration))
    }

    fn write_configuration(
        &mut self,
        ambient: &mut Ambient<'_>,
        document: &ChainId,
        before: &vereda_records::Record,
        after: &vereda_records::Record,
    ) -> Result<(), DeviceError> {
        self.write_record(ambient, document, before, after)?;
        self.write_line(document)?;
        self.commit()?;
        self.bring_books()
    }
}

/// A name of its own for the parts of each configuration applied.
fn content_name(ambient: &mut Ambient<'_>) -> String {
    let nonce = crate::device::draw_nonce(ambient.rng);
    nonce.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
