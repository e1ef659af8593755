//! The part of a device: a process with a vault of its own that does what lines on its input ask.

pub(crate) mod ask;
mod meet;
mod start;
mod work;

use std::{
    io::BufRead,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::Value as Json;
use tokio::{runtime::Runtime, task::JoinHandle};
use vereda_base::ChainId;
use vereda_client_core::{
    device::{Ambient, Device},
    native::{clock::Clock, driver::SharedDevice, entropy::SystemEntropy, tls},
    vault::{KdfParams, UnlockSecret, Vault, VaultHome},
};
use vereda_crypto::Key32;

use self::ask::{Ask, Unlocked};
use crate::{part::Answer, report::print_line, stopwatch::Stopwatch};

/// Drives a device until standard input ends.
pub(crate) fn drive(folder: &Path) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut player = Player { folder: folder.to_owned(), runtime, open: None, team: None };
    for line in std::io::stdin().lock().lines() {
        let ask: Ask = serde_json::from_str(&line?).context("a request that does not read")?;
        let answer = match player.answer(ask) {
            Ok(answer) => Answer::Ok(answer),
            Err(error) => Answer::Refused(format!("{error:#}")),
        };
        print_line(&serde_json::to_string(&answer)?)?;
    }
    player.close()
}

struct Player {
    folder: PathBuf,
    runtime: Runtime,
    open: Option<Open>,
    team: Option<ChainId>,
}

/// A device that is unlocked.
struct Open {
    device: SharedDevice<Vault>,
    /// Keeps it connected.
    driver: JoinHandle<()>,
}

impl Player {
    fn answer(&mut self, ask: Ask) -> Result<Json> {
        match ask {
            Ask::Unlock => json(self.unlock()?),
            Ask::Start => json(start::start(&self.home(), &secret()?)?),
            Ask::Stretch => json(start::stretch(&self.folder)?),
            Ask::Found { link } => {
                self.team = Some(work::found(self.device()?, &link)?);
                json(())
            }
            Ask::Invite => {
                let team = self.team.or(work::own_team(self.device()?)?).context("in no team")?;
                json(self.runtime.block_on(work::invite(self.device()?, team))?)
            }
            Ask::Join { link, name } => json(work::join(self.device()?, &link, &name)?),
            Ask::Fill { cases, drawn } => json(work::fill(self.device()?, cases, drawn)?),
            Ask::Edit { cases, edits, seed } => json(work::edit(self.device()?, &cases, edits, seed)?),
            Ask::Meet { expect } => json(self.runtime.block_on(meet::meet(self.device()?, expect))?),
            Ask::Leave => json(self.device()?.with(|device, ambient| device.go_offline(ambient))?),
            Ask::Show { cases } => json(work::show(self.device()?, &cases)?),
            Ask::Filter { words } => json(work::filter(self.device()?, &words)?),
            Ask::Digest => json(work::digest(self.device()?)?),
            Ask::Measure => json(work::measure(self.device()?)?),
        }
    }

    fn unlock(&mut self) -> Result<Unlocked> {
        let (home, secret) = (self.home(), secret()?);
        let known = home.list()?.first().map(|listing| listing.id);
        let (mut rng, clock) = (SystemEntropy, Clock::start());
        let watch = Stopwatch::start();
        let vault = match known {
            Some(id) => home.unlock(id, &secret, clock.now().wall, &mut rng)?,
            None => home.create(&secret, KdfParams::FLOOR, None, &mut rng)?,
        };
        let vault_seconds = watch.seconds();
        let device = Device::open(vault, &mut Ambient { now: clock.now(), rng: &mut rng })?;
        let device_seconds = watch.seconds();
        let cases = device.list_cases(None)?.len();
        let unlocked = Unlocked { vault: vault_seconds, device: device_seconds, list: watch.seconds(), cases };
        let device = SharedDevice::new(device, clock);
        let tls = tls::make_client_config(None)?;
        let driven = device.clone();
        let driver = self.runtime.spawn(async move { driven.stay_connected(Arc::clone(&tls)).await });
        self.open = Some(Open { device, driver });
        Ok(unlocked)
    }

    fn home(&self) -> VaultHome {
        VaultHome::new(self.folder.join("vaults"), self.folder.join("state"))
    }

    fn device(&self) -> Result<&SharedDevice<Vault>> {
        Ok(&self.open.as_ref().context("the vault is locked")?.device)
    }

    /// Locks the vault in good order.
    fn close(self) -> Result<()> {
        let Some(Open { device, driver }) = self.open else { return Ok(()) };
        driver.abort();
        // Aborted or panicked: either way it no longer holds the device.
        drop(self.runtime.block_on(driver));
        let device = device.into_inner().context("the device is still in use")?;
        device.into_store().lock(&mut SystemEntropy)?;
        Ok(())
    }
}

/// Its secrecy is of no matter here; that it needs no stretching is.
fn secret() -> Result<UnlockSecret> {
    Ok(UnlockSecret::Key(Key32::from_slice(&[7; 32]).context("32 bytes")?))
}

fn json(answer: impl Serialize) -> Result<Json> {
    Ok(serde_json::to_value(answer)?)
}
