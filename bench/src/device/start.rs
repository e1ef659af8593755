//! Starting a device, part by part.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use vereda_client_core::{
    device::{Ambient, Device},
    native::{clock::Clock, entropy::SystemEntropy},
    vault::{KdfParams, UnlockSecret, VaultHome},
};

use super::ask::{Spent, Started};
use crate::stopwatch::Stopwatch;

/// Starts the device of the vault that is there, until nothing is left to do without the relay, and locks it again.
pub(super) fn start(home: &VaultHome, secret: &UnlockSecret) -> Result<Started> {
    let id = home.list()?.first().map(|listing| listing.id).context("no vault is there")?;
    let (mut rng, clock) = (SystemEntropy, Clock::start());
    let mut meter = Meter::start();
    let vault = home.unlock(id, secret, clock.now().wall, &mut rng)?;
    let of_vault = meter.lap();
    let mut device = Device::open(vault, &mut Ambient { now: clock.now(), rng: &mut rng })?;
    let of_device = meter.lap();
    device.list_cases(None)?;
    let list = meter.lap();
    let (mut steps, mut longest) = (0, 0.0_f64);
    loop {
        let watch = Stopwatch::start();
        let step = device.work(&mut Ambient { now: clock.now(), rng: &mut rng })?;
        longest = longest.max(watch.seconds());
        steps += 1;
        if !step.is_more {
            break;
        }
    }
    let sweep = meter.lap();
    device.into_store().lock(&mut rng)?;
    Ok(Started { vault: of_vault, device: of_device, list, sweep, steps, longest })
}

/// Makes a vault under a passphrase that is stretched as little as any may be, and measures how long unlocking it takes.
pub(super) fn stretch(folder: &Path) -> Result<f64> {
    let folder = folder.join("stretched");
    let home = VaultHome::new(folder.join("vaults"), folder.join("state"));
    let (mut rng, clock) = (SystemEntropy, Clock::start());
    let secret = UnlockSecret::passphrase("a passphrase of several words");
    home.create(&secret, KdfParams::FLOOR, None, &mut rng)?.lock(&mut rng)?;
    let id = home.list()?.first().map(|listing| listing.id).context("no vault is there")?;
    let watch = Stopwatch::start();
    let vault = home.unlock(id, &secret, clock.now().wall, &mut rng)?;
    let seconds = watch.seconds();
    vault.lock(&mut rng)?;
    fs::remove_dir_all(&folder)?;
    Ok(seconds)
}

/// Tells what was spent since it was asked last.
struct Meter {
    watch: Stopwatch,
    read: f64,
}

impl Meter {
    fn start() -> Self {
        Self { watch: Stopwatch::start(), read: read_so_far() }
    }

    fn lap(&mut self) -> Spent {
        let now = Self::start();
        let before = std::mem::replace(self, now);
        Spent { seconds: before.watch.seconds(), read: self.read - before.read }
    }
}

/// Bytes that this process read so far, as the system counts them.
fn read_so_far() -> f64 {
    let text = fs::read_to_string("/proc/self/io").unwrap_or_default();
    let read = text.lines().find_map(|line| line.strip_prefix("rchar:"));
    read.and_then(|read| read.trim().parse().ok()).unwrap_or_default()
}
