//! A relay and its devices, set up: an agency with a team, one device that registered all cases, one that has them all.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use vereda_base::ChainId;
use vereda_client_core::link::InviteLink;

use crate::{
    device::ask::{Ask, Digested, Expected, Met, Unlocked},
    fixture::Drawn,
    part::{Part, size_of},
    relay::Serving,
    report::progress,
    wire::{Passed, Wire},
};

/// Everything that takes part.
pub(crate) struct Stage {
    folder: TempDir,
    /// Networks run on it.
    pub(crate) runtime: Runtime,
    relay: Option<Part>,
    serving: Serving,
    /// Registered all cases.
    pub(crate) first: Station,
    /// Joined, and has them all.
    pub(crate) second: Station,
    /// In the order in which they were drawn.
    pub(crate) cases: Vec<ChainId>,
    /// Devices that joined so far.
    joined: usize,
}

/// A device and its network.
pub(crate) struct Station {
    folder: PathBuf,
    part: Option<Part>,
    pub(crate) wire: Wire,
}

impl Station {
    fn new(folder: PathBuf, wire: Wire) -> Self {
        Self { folder, part: None, wire }
    }

    /// Starts the device's process anew and unlocks its vault.
    pub(crate) fn unlock(&mut self) -> Result<Unlocked> {
        self.lock()?;
        std::fs::create_dir_all(&self.folder)?;
        let part = self.part.insert(Part::start("--as-device", &self.folder)?);
        part.ask(&Ask::Unlock)
    }

    /// Starts the device's process anew and leaves its vault locked.
    pub(crate) fn renew(&mut self) -> Result<()> {
        self.lock()?;
        self.part = Some(Part::start("--as-device", &self.folder)?);
        Ok(())
    }

    /// Locks the vault and ends the process.
    pub(crate) fn lock(&mut self) -> Result<()> {
        self.part.take().map_or(Ok(()), Part::end)
    }

    /// The device's process.
    pub(crate) fn part(&mut self) -> Result<&mut Part> {
        self.part.as_mut().context("the device is locked")
    }

    /// Asks for something that has no answer.
    pub(crate) fn order(&mut self, ask: &Ask) -> Result<()> {
        self.part()?.ask::<serde::de::IgnoredAny>(ask).map(drop)
    }

    /// Connects until everything expected is there.
    pub(crate) fn meet(&mut self, expect: Expected) -> Result<Met> {
        self.part()?.ask(&Ask::Meet { expect })
    }

    /// Disconnects and tells what passed on the network.
    pub(crate) fn leave(&mut self, runtime: &Runtime) -> Result<Passed> {
        self.order(&Ask::Leave)?;
        self.wire.rest(runtime)
    }

    /// Computes the digest over all cases.
    pub(crate) fn digest(&mut self) -> Result<Digested> {
        self.part()?.ask(&Ask::Digest)
    }

    /// Bytes on disk; while the device is locked, without what only a process needs.
    pub(crate) fn disk(&self) -> Result<u64> {
        size_of(&self.folder)
    }
}

impl Stage {
    /// Sets everything up in a folder of its own inside `folder`.
    pub(crate) fn set(folder: &Path, cases: usize, drawn: Drawn) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("vereda-bench-").tempdir_in(folder)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let mut relay = start_relay(folder.path())?;
        let serving: Serving = relay.hear()?;
        let station = |name| anyhow::Ok(Station::new(folder.path().join(name), Wire::lay(&runtime, serving.address)?));
        let (first, second, relay) = (station("first")?, station("second")?, Some(relay));
        let mut stage = Self { folder, runtime, relay, serving, first, second, cases: Vec::new(), joined: 0 };
        progress(&format!("{cases} cases with {} edits each are registered", drawn.history));
        stage.first.unlock()?;
        let link = stage.serving.founding_link(stage.first.wire.url()).expose();
        stage.first.order(&Ask::Found { link })?;
        stage.cases = stage.first.part()?.ask(&Ask::Fill { cases, drawn })?;
        progress("the first device brings them to the relay");
        stage.first.meet(Expected::default())?;
        progress("a second device joins and takes them in");
        let link = stage.invite(&stage.second.wire.url())?;
        stage.second.unlock()?;
        stage.join(None, &link, cases)?;
        for station in [&mut stage.first, &mut stage.second] {
            station.order(&Ask::Leave)?;
            station.lock()?;
        }
        Ok(stage)
    }

    /// Makes a link by which a device joins over a network of its own. The first device stays connected.
    fn invite(&mut self, url: &str) -> Result<String> {
        let link: String = self.first.part()?.ask(&Ask::Invite)?;
        let mut link: InviteLink = link.parse()?;
        link.relay.url = url.to_owned();
        Ok(link.expose())
    }

    /// Takes a link up, on the second device or another that is unlocked, and waits for all cases.
    fn join(&mut self, other: Option<&mut Station>, link: &str, cases: usize) -> Result<Met> {
        self.joined += 1;
        let name = format!("Colleague {}", self.joined);
        let station = other.unwrap_or(&mut self.second);
        station.order(&Ask::Join { link: link.to_owned(), name })?;
        station.meet(Expected { cases, changed: Vec::new() })
    }

    /// Lets a fresh device join and pull everything, while the first is connected. Gives the device as it is then.
    pub(crate) fn newcomer(&mut self) -> Result<(Station, Met, Passed)> {
        self.renew_relay()?;
        self.first.unlock()?;
        self.first.meet(Expected::default())?;
        let wire = Wire::lay(&self.runtime, self.serving.address)?;
        let link = self.invite(&wire.url())?;
        let folder = self.folder.path().join(format!("newcomer-{}", self.joined));
        let mut newcomer = Station::new(folder, wire);
        newcomer.unlock()?;
        let cases = self.cases.len();
        let met = self.join(Some(&mut newcomer), &link, cases)?;
        let passed = newcomer.leave(&self.runtime)?;
        self.first.order(&Ask::Leave)?;
        self.first.lock()?;
        Ok((newcomer, met, passed))
    }

    /// Starts the relay's process anew, so that what it used so far no longer counts.
    pub(crate) fn renew_relay(&mut self) -> Result<()> {
        if let Some(relay) = self.relay.take() {
            relay.end()?;
        }
        let mut relay = start_relay(self.folder.path())?;
        self.serving = relay.hear()?;
        self.relay = Some(relay);
        self.first.wire.lead_to(self.serving.address);
        self.second.wire.lead_to(self.serving.address);
        Ok(())
    }

    /// The relay's process.
    pub(crate) fn relay(&self) -> Result<&Part> {
        self.relay.as_ref().context("the relay was ended")
    }

    /// Ends the relay and tells how many bytes it keeps on disk; another process serves them on.
    pub(crate) fn relay_disk(&mut self) -> Result<u64> {
        if let Some(relay) = self.relay.take() {
            relay.end()?;
        }
        let bytes = size_of(&self.folder.path().join("relay"))?;
        self.renew_relay()?;
        Ok(bytes)
    }
}

fn start_relay(folder: &Path) -> Result<Part> {
    let folder = folder.join("relay");
    std::fs::create_dir_all(&folder)?;
    Part::start("--as-relay", &folder)
}
