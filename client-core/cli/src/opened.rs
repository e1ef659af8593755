//! Vaults of this machine, and one that is open.

use std::{path::PathBuf, sync::Arc, time::Duration};

use vereda_base::{Sensitive, Timestamp};
use vereda_client_core::{
    device::{Ambient, Device},
    native::{calibration::calibrated, clock::Clock, driver::SharedDevice, entropy::SystemEntropy, tls},
    sync_machine::DeviceStore,
    vault::{KdfParams, UnlockSecret, UnlockVaultError, Vault, VaultHome, VaultId, VaultListing},
};

use crate::{
    command::Common,
    contact::lock,
    fault::{Fault, FaultKind, Outcome},
    passphrase::PassphraseSource,
};

/// How long one guess of the passphrase shall take on this machine.
const GUESS: Duration = Duration::from_millis(400);

/// Where the vaults of this machine lie.
pub(crate) struct Place {
    home: VaultHome,
    clock: Clock,
}

impl Place {
    /// Finds the folders: those given, or the user's.
    pub(crate) fn of(common: &Common) -> Outcome<Self> {
        let (vaults, state) = match &common.home {
            Some(home) => (home.join("vaults"), home.join("state")),
            None => {
                let data = folder("XDG_DATA_HOME", ".local/share")?;
                let state = folder("XDG_STATE_HOME", ".local/state")?;
                (data.join("vereda"), state.join("vereda"))
            }
        };
        Ok(Self { home: VaultHome::new(vaults, state), clock: Clock::start() })
    }

    /// Lists the vaults.
    pub(crate) fn list(&self) -> Outcome<Vec<VaultListing>> {
        let mut vaults = self.home.list().map_err(Fault::failed)?;
        vaults.sort_by(|one, other| one.label.cmp(&other.label));
        Ok(vaults)
    }

    /// Makes a vault.
    pub(crate) fn create(&self, name: &str, fast: bool, source: &PassphraseSource) -> Outcome<VaultId> {
        if name.trim().is_empty() || name.chars().any(char::is_control) {
            return Err(Fault::usage("a vault's name is a word or two"));
        }
        if self.list()?.iter().any(|vault| vault.label.as_deref() == Some(name)) {
            return Err(Fault::unusable(format!("there is a vault {name} already")));
        }
        let secret = UnlockSecret::Passphrase(source.obtain_new()?);
        let kdf = if fast { KdfParams::FLOOR } else { self.calibrated() };
        let made = self.home.create(&secret, kdf, Some(name.to_owned()), &mut SystemEntropy).map_err(Fault::failed)?;
        let id = made.id();
        made.lock(&mut SystemEntropy).map_err(Fault::failed)?;
        Ok(id)
    }

    /// Changes the passphrase of the vault that `common` names.
    pub(crate) fn change_passphrase(&self, common: &Common, file: Option<PathBuf>) -> Outcome {
        let mut vault = self.unlock(common)?;
        let new = PassphraseSource::of_file(file).obtain_new()?;
        let secret = UnlockSecret::Passphrase(new);
        vault.change_secret(&secret, self.calibrated(), &mut SystemEntropy).map_err(Fault::failed)?;
        vault.lock(&mut SystemEntropy).map_err(Fault::failed)
    }

    /// Unlocks the vault that `common` names.
    fn unlock(&self, common: &Common) -> Outcome<Vault> {
        let listing = self.choose(common.vault.as_deref())?;
        let passphrase: Sensitive<String> = common.passphrase.obtain()?;
        let now = self.clock.now().wall;
        let secret = UnlockSecret::Passphrase(passphrase);
        self.home.unlock(listing.id, &secret, now, &mut SystemEntropy).map_err(|error| fault(&error, &listing, now))
    }

    fn choose(&self, named: Option<&str>) -> Outcome<VaultListing> {
        let vaults = self.list()?;
        let Some(name) = named else {
            return match vaults.as_slice() {
                [only] => Ok(only.clone()),
                [] => Err(Fault::not_found("there is no vault here yet: make one with `vereda vault new NAME`")),
                _ => Err(Fault::usage("there are several vaults here: say which with --vault NAME")),
            };
        };
        let by_label: Vec<_> = vaults.iter().filter(|vault| vault.label.as_deref() == Some(name)).collect();
        let by_id = |vault: &&VaultListing| name.len() >= 4 && vault.id.to_string().starts_with(name);
        let fitting = if by_label.is_empty() { vaults.iter().filter(by_id).collect() } else { by_label };
        match fitting.as_slice() {
            [one] => Ok((*one).clone()),
            [] => Err(Fault::not_found("there is no vault of this name here: `vereda vault list` shows them")),
            _ => Err(Fault::not_found("several vaults fit this name: give the id")),
        }
    }

    fn calibrated(&self) -> KdfParams {
        calibrated(&self.clock, GUESS)
    }
}

fn fault(error: &UnlockVaultError, vault: &VaultListing, now: Timestamp) -> Fault {
    match error {
        UnlockVaultError::InUse { .. } => {
            let label = vault.label.clone().unwrap_or_else(|| vault.id.to_string());
            Fault::failed(format!("vault {label} is in use by another process: close it there first"))
        }
        UnlockVaultError::TooSoon { allowed_at } => {
            let seconds = allowed_at.0.saturating_sub(now.0).max(0) / 1_000 + 1;
            Fault::new(FaultKind::Locked, format!("too many wrong attempts: try again in {seconds} s"))
        }
        UnlockVaultError::WrongSecret { .. } => Fault::new(FaultKind::Locked, "wrong passphrase"),
        UnlockVaultError::NoSuchVault { .. } => Fault::not_found(error),
        _ => Fault::failed(error),
    }
}

fn folder(variable: &str, otherwise: &str) -> Outcome<PathBuf> {
    if let Some(given) = std::env::var_os(variable).filter(|given| !given.is_empty()) {
        return Ok(PathBuf::from(given));
    }
    let home = std::env::var_os("HOME").ok_or_else(|| Fault::usage("no home folder: say --home FOLDER"))?;
    Ok(PathBuf::from(home).join(otherwise))
}

/// An open vault with its device, and the runtime that its network needs.
pub(crate) struct Opened {
    device: SharedDevice<Vault>,
    label: String,
    runtime: tokio::runtime::Runtime,
    tls: Arc<tls::ClientConfig>,
    clock: Clock,
    allow_plain: bool,
}

impl Opened {
    /// Unlocks the vault that `common` names and opens its device.
    pub(crate) fn open(common: &Common) -> Outcome<Self> {
        let tls = tls::make_client_config(common.ca.as_deref()).map_err(Fault::unusable)?;
        let place = Place::of(common)?;
        let vault = place.unlock(common)?;
        let label = vault.label().map_or_else(|| vault.id().to_string(), str::to_owned);
        let mut ambient = Ambient { now: place.clock.now(), rng: &mut SystemEntropy };
        let device = Device::open(vault, &mut ambient)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let (clock, allow_plain) = (place.clock, common.allow_plain);
        let device = share(device, clock, allow_plain);
        Ok(Self { device, label, runtime, tls, clock, allow_plain })
    }

    /// Makes another device one that can be connected as this one is.
    pub(crate) fn share<S: DeviceStore>(&self, device: Device<S>) -> SharedDevice<S> {
        share(device, self.clock, self.allow_plain)
    }

    /// The device.
    pub(crate) const fn device(&self) -> &SharedDevice<Vault> {
        &self.device
    }

    /// The vault's name.
    pub(crate) fn label(&self) -> &str {
        &self.label
    }

    /// Ends what runs in the background and locks the vault.
    pub(crate) fn close(self) -> Outcome {
        // Frames on their way get a moment; whatever counts was confirmed before.
        self.runtime.shutdown_timeout(Duration::from_millis(300));
        lock(self.device)
    }

    /// The runtime.
    pub(crate) const fn runtime(&self) -> &tokio::runtime::Runtime {
        &self.runtime
    }

    /// The TLS configuration.
    pub(crate) fn tls(&self) -> Arc<tls::ClientConfig> {
        Arc::clone(&self.tls)
    }
}

fn share<S: DeviceStore>(device: Device<S>, clock: Clock, allow_plain: bool) -> SharedDevice<S> {
    let device = SharedDevice::new(device, clock);
    if allow_plain {
        device.allow_plain();
    }
    device
}
