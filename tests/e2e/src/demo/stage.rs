//! A relay in a process of its own, three devices in theirs, and the network between them.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::Child,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::Value as Json;

use super::person::{CAST, Person};
use crate::{
    exchange::Exchange,
    process::{PATIENCE, Process, ask_again_soon, run, start_detached, stop},
};

/// The port that a relay has unless told otherwise.
const USUAL_PORT: u16 = 8480;

/// All that plays.
pub struct Stage {
    /// Where everything lies.
    pub folder: PathBuf,
    /// The people, in the order of [`CAST`].
    pub people: Vec<Person>,
    relay: Process,
    exchange: Exchange,
}

impl Stage {
    /// Starts the relay, and a device for each person. `is_lasting` takes the port that relays usually have, where it is
    /// free: that of a relay that goes on is easier to remember.
    ///
    /// # Errors
    /// When a program fails.
    pub fn build(folder: &Path, is_lasting: bool) -> Result<Self> {
        let data = folder.join("relay").display().to_string();
        let args = ["--log", "trace", "serve", "--data", &data, "--listen", "127.0.0.1:0", "--json"];
        let mut relay = Process::start("vereda-relay", &args, &[], &folder.join("relay.log"))?;
        let line = relay.next_line()?.context("the relay ended at once; relay.log says why")?;
        let listening: Json = serde_json::from_str(&line).context("the relay does not say where it listens")?;
        let address = listening.get("address").and_then(Json::as_str).context("the relay names no address")?;
        let target: SocketAddr = address.parse()?;
        let keys = CAST.each_ref().map(|role| role.key);
        let usual = is_lasting.then(|| Exchange::start(USUAL_PORT, target, &keys)).and_then(Result::ok);
        let (exchange, lines) = usual.map_or_else(|| Exchange::start(0, target, &keys), Ok)?;
        let folder_of_people = folder.join("people");
        let mut people = Vec::new();
        for (role, line) in CAST.iter().zip(lines) {
            people.push(Person::arrive(role, line, &folder_of_people)?);
        }
        Ok(Self { folder: folder.to_owned(), people, relay, exchange })
    }

    /// The relay's process id.
    pub fn relay_id(&self) -> u32 {
        self.relay.id()
    }

    /// Where devices connect to.
    pub fn address(&self) -> SocketAddr {
        self.exchange.address()
    }

    /// Where the relay keeps its data.
    pub fn relay_data(&self) -> PathBuf {
        self.folder.join("relay")
    }

    /// What the relay wrote to its log.
    pub fn relay_log(&self) -> PathBuf {
        self.folder.join("relay.log")
    }

    /// Asks the relay's operator for a link to found an agency with, and makes it lead over the person's line.
    ///
    /// # Errors
    /// When the program fails.
    pub fn founding_link(&self, person: usize) -> Result<String> {
        let address = format!("ws://{}/sync", self.address());
        let data = self.relay_data().display().to_string();
        let answer = run("vereda-relay", &["founding-link", "--data", &data, "--address", &address, "--json"])?;
        let answer: Json = serde_json::from_str(&answer)?;
        let link = answer.get("link").and_then(Json::as_str).context("no founding link")?;
        let role = CAST.get(person).context("nobody")?;
        let led = link.replacen("%2Fsync&", &format!("%2Fsync%3Fdevice%3D{}&", role.key), 1);
        ensure!(led != link, "the founding link has another shape than expected");
        Ok(led)
    }

    /// Makes an invite link that `from` wrote lead over the line of `to`.
    ///
    /// # Errors
    /// When it does not lead over the line of `from`.
    pub fn lead(&self, link: &str, from: usize, to: usize) -> Result<String> {
        let label = |person: usize| CAST.get(person).map(|role| format!("device={}&", role.key)).context("nobody");
        let led = link.replacen(&label(from)?, &label(to)?, 1);
        ensure!(led != link, "the invite link has another shape than expected");
        Ok(led)
    }

    /// Cuts the network of everybody.
    pub fn cut(&self) {
        self.people.iter().for_each(|person| person.line.cut());
    }

    /// Brings the network of everybody back.
    pub fn mend(&self) {
        self.people.iter().for_each(|person| person.line.mend());
    }

    /// Bytes so far over all lines, both ways.
    pub fn bytes(&self) -> u64 {
        let both = self.people.iter().map(|person| person.line.bytes());
        both.map(|(up, down)| up + down).sum()
    }

    /// Stops the relay and starts it again, on the same data, where devices connect to; from here on without lines in
    /// between. It outlives this process unless it is stopped.
    ///
    /// # Errors
    /// When it does not stop or start in good order.
    pub fn hand_over(self) -> Result<(Child, SocketAddr, Vec<Person>)> {
        let Self { folder, people, mut relay, exchange } = self;
        let status = relay.terminate()?;
        ensure!(status.success(), "the relay ended with {status}");
        let address = exchange.address();
        exchange.close()?;
        let data = folder.join("relay").display().to_string();
        let listen = address.to_string();
        let mut child = start_detached(
            "vereda-relay",
            &["serve", "--data", &data, "--listen", &listen],
            &folder.join("relay.log"),
        )?;
        if let Err(error) = wait_for_health(address) {
            stop(&mut child)?;
            return Err(error);
        }
        Ok((child, address, people))
    }
}

fn wait_for_health(address: SocketAddr) -> Result<()> {
    let started = Instant::now();
    while !is_healthy(address) {
        ensure!(started.elapsed() < PATIENCE, "the relay does not come back; relay.log says why");
        ask_again_soon();
    }
    Ok(())
}

fn is_healthy(address: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(address) else { return false };
    let mut answer = String::new();
    stream.set_read_timeout(Some(Duration::from_secs(5))).is_ok()
        && stream.write_all(b"GET /health HTTP/1.1\r\nHost: relay\r\nConnection: close\r\n\r\n").is_ok()
        && stream.read_to_string(&mut answer).is_ok()
        && answer.starts_with("HTTP/1.1 200")
}
