//! A relay in a process of its own and devices in theirs, set up to work: what the tests of whole programs begin with.

use std::{
    ffi::OsStr,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value as Json, json};

use crate::process::{Process, Session, binary};

/// What a relay logs unless asked for another filter.
const LOG: &str = "vereda_relay=trace,vereda_sync=trace,info";

/// How a program ended, and what it said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Its exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// Its standard output.
    pub printed: String,
    /// Its standard error.
    pub said: String,
}

/// Runs a program to its end, however it ends.
///
/// # Errors
/// When it cannot be started.
pub fn run_to_end<A: AsRef<OsStr>>(program: &Path, args: &[A], env: &[(&str, &OsStr)]) -> Result<Ended> {
    let output = Command::new(program)
        .args(args)
        .envs(env.iter().copied())
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("starting {}", program.display()))?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok(Ended { code: output.status.code(), printed: text(output.stdout), said: text(output.stderr) })
}

/// A relay's process with its data folder.
pub struct Relay {
    folder: PathBuf,
    listen: SocketAddr,
    process: Option<Process>,
}

impl Relay {
    /// Starts a relay on a free port, with its data and its log (at trace level) below `folder`.
    ///
    /// # Errors
    /// When the program fails.
    pub fn start(folder: &Path) -> Result<Self> {
        Self::start_with(folder, LOG)
    }

    /// As [`Self::start`], at an address of the caller's.
    ///
    /// # Errors
    /// When the program fails.
    pub fn start_at(folder: &Path, listen: SocketAddr) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let mut relay = Self { folder: folder.to_owned(), listen, process: None };
        relay.restart()?;
        Ok(relay)
    }

    /// As [`Self::start`], with another filter of its log.
    ///
    /// # Errors
    /// When the program fails.
    pub fn start_with(folder: &Path, log: &str) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let mut relay = Self { folder: folder.to_owned(), listen: ([127, 0, 0, 1], 0).into(), process: None };
        relay.restart_with(log)?;
        Ok(relay)
    }

    /// Starts it again on its data and its port.
    ///
    /// # Errors
    /// When the program fails.
    pub fn restart(&mut self) -> Result<()> {
        self.restart_with(LOG)
    }

    /// As [`Self::restart`], with another filter of its log.
    ///
    /// # Errors
    /// When the program fails.
    pub fn restart_with(&mut self, log: &str) -> Result<()> {
        let (data, listen) = (self.data().display().to_string(), self.listen.to_string());
        let args = ["--log", log, "serve", "--data", &data, "--listen", &listen, "--json"];
        let mut process = Process::start("vereda-relay", &args, &[], &self.log())?;
        let line = process.next_line()?.context("the relay ended at once; its log says why")?;
        let listening: Json = serde_json::from_str(&line).context("the relay does not say where it listens")?;
        self.listen = text(&listening, "address")?.parse()?;
        self.process = Some(process);
        Ok(())
    }

    /// Kills it with SIGKILL.
    ///
    /// # Errors
    /// When it cannot be reaped.
    pub fn kill(&mut self) -> Result<()> {
        let mut process = self.process.take().context("the relay does not run")?;
        process.kill().map(drop)
    }

    /// Ends it in good order.
    ///
    /// # Errors
    /// When it does not end so.
    pub fn terminate(&mut self) -> Result<()> {
        let status = self.process.take().context("the relay does not run")?.terminate()?;
        ensure!(status.success(), "the relay ended with {status}");
        Ok(())
    }

    /// Where devices connect to.
    pub const fn address(&self) -> SocketAddr {
        self.listen
    }

    /// The data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// What it wrote to its log.
    pub fn log(&self) -> PathBuf {
        self.folder.join("relay.log")
    }

    /// Prints a link to found an agency with, that leads to `address`: the relay's own, or one before it.
    ///
    /// # Errors
    /// When the program fails.
    pub fn founding_link(&self, address: SocketAddr) -> Result<String> {
        let (data, url) = (self.data().display().to_string(), format!("ws://{address}/sync"));
        let args = ["founding-link", "--data", &data, "--address", &url, "--json"];
        let ended = run_to_end(&binary("vereda-relay")?, &args, &[])?;
        ensure!(ended.code == Some(0), "no founding link: {}", ended.said);
        text(&serde_json::from_str(&ended.printed)?, "link")
    }

    /// Tells the last position of its log, whether it runs or not.
    ///
    /// # Errors
    /// When the program fails.
    pub fn log_position(&self) -> Result<u64> {
        let args = ["status", "--data", &self.data().display().to_string(), "--json"];
        let ended = run_to_end(&binary("vereda-relay")?, &args, &[])?;
        ensure!(ended.code == Some(0), "no status: {}", ended.said);
        let status: Json = serde_json::from_str(&ended.printed)?;
        status.get("log_position").and_then(Json::as_u64).context("no position")
    }

    /// Asks what anybody may know.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn health(&self) -> Result<Json> {
        let mut stream = TcpStream::connect(self.listen)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.write_all(b"GET /health HTTP/1.1\r\nHost: relay\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (_, body) = answer.split_once("\r\n\r\n").context("no body")?;
        Ok(serde_json::from_str(body)?)
    }
}

/// Somebody with a vault on a device.
#[derive(Debug, Clone)]
pub struct Worker {
    /// Names the vault, and the person.
    pub name: String,
    /// Opens the vault.
    pub passphrase: String,
    folder: PathBuf,
}

impl Worker {
    /// Makes a vault below `folder`, whose passphrase costs as little time as is safe at all.
    ///
    /// # Errors
    /// When the program fails.
    pub fn arrive(folder: &Path, name: &str, passphrase: &str) -> Result<Self> {
        let worker = Self { name: name.to_owned(), passphrase: passphrase.to_owned(), folder: folder.to_owned() };
        std::fs::create_dir_all(folder)?;
        let made = worker.command(&["vault", "new", name, "--fast"])?;
        ensure!(made.code == Some(0), "no vault: {}", made.said);
        Ok(worker)
    }

    /// Runs one command on the vault, as a script does.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn command(&self, words: &[&str]) -> Result<Ended> {
        let home = self.home().display().to_string();
        let args: Vec<&str> = ["--home", &home].into_iter().chain(words.iter().copied()).collect();
        run_to_end(&binary("vereda")?, &args, &[("VEREDA_PASSPHRASE", self.passphrase.as_ref())])
    }

    /// Starts a session, its log at trace level. It may not be ready yet.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn start(&self, more: &[&str]) -> Result<Session> {
        self.start_with("trace", more)
    }

    /// As [`Self::start`], with another level of its log.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn start_with(&self, level: &str, more: &[&str]) -> Result<Session> {
        let home = self.home().display().to_string();
        let args: Vec<&str> =
            ["--home", &home, "--log", level, "session", "--stdio"].into_iter().chain(more.iter().copied()).collect();
        let env = [("VEREDA_PASSPHRASE", OsStr::new(&self.passphrase))];
        Ok(Session::new(Process::start("vereda", &args, &env, &self.log())?))
    }

    /// Starts a session and waits until it answers.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn open(&self) -> Result<Session> {
        let mut session = self.start(&[])?;
        session.call(json!({"do": "status"}))?;
        Ok(session)
    }

    /// Where the vaults of this worker's device lie, and what pairs them with it.
    pub fn home(&self) -> PathBuf {
        self.folder.join("home")
    }

    /// The folder of the vault itself.
    ///
    /// # Errors
    /// When there is not exactly one.
    pub fn vault(&self) -> Result<PathBuf> {
        let vaults: Vec<_> = std::fs::read_dir(self.home().join("vaults"))?.collect::<Result<_, _>>()?;
        ensure!(vaults.len() == 1, "{} vaults", vaults.len());
        Ok(vaults.first().context("no vault")?.path())
    }

    /// What its sessions wrote to their log.
    pub fn log(&self) -> PathBuf {
        self.folder.join("session.log")
    }
}

/// Ends a session in good order; the vault is locked then.
///
/// # Errors
/// When it does not end so.
pub fn quit(mut session: Session) -> Result<()> {
    session.call(json!({"do": "quit"}))?;
    let status = session.process().wait()?;
    ensure!(status.success(), "the session ended with {status}");
    Ok(())
}

/// Founds an agency with one team and the starter configuration, and waits until the relay has it. Returns the team.
///
/// # Errors
/// When something is refused, or not in time.
pub fn found(session: &mut Session, link: &str, names: Names<'_>) -> Result<String> {
    session.call(json!({
        "do": "agency.create", "founding": link, "name": names.agency, "person": names.person,
    }))?;
    let team = text(&session.call(json!({"do": "team.create", "name": names.team}))?, "team")?;
    session.call(json!({"do": "config.apply", "starter": true}))?;
    sync(session)?;
    Ok(team)
}

/// What things are called.
#[derive(Debug, Clone, Copy)]
pub struct Names<'a> {
    /// The agency.
    pub agency: &'a str,
    /// Its team.
    pub team: &'a str,
    /// Who founds it.
    pub person: &'a str,
}

impl Default for Names<'_> {
    fn default() -> Self {
        Self { agency: "Child Aid", team: "North", person: "Amina" }
    }
}

/// Invites into a team and waits for the link.
///
/// # Errors
/// When it is refused, or there is no link in time.
pub fn invite(session: &mut Session, team: &str) -> Result<String> {
    invite_for(session, team, 48)
}

/// As [`invite`], for so many hours.
///
/// # Errors
/// When it is refused, or there is no link in time.
pub fn invite_for(session: &mut Session, team: &str, hours: u64) -> Result<String> {
    let invited = session.call(json!({"do": "invite", "chain": team, "role": "editor", "hours": hours}))?;
    let invite = text(&invited, "invite")?;
    let link_of = |answer: &Json| {
        let invites = answer.get("invites")?.as_array()?;
        let own = invites.iter().find(|view| view.get("invite").and_then(Json::as_str) == Some(&invite))?;
        Some(own.get("link")?.as_str()?.to_owned())
    };
    let answer = session.until(&json!({"do": "invites"}), |answer| link_of(answer).is_some())?;
    link_of(&answer).context("no link")
}

/// Joins by a link and waits until the keys are there; a colleague who can pass them on must be online.
///
/// # Errors
/// When it is refused, or not in time.
pub fn join(session: &mut Session, link: &str, name: &str) -> Result<()> {
    session.call(json!({"do": "join", "link": link, "name": name}))?;
    session.until(&json!({"do": "status"}), |status| {
        let is = |key: &str, value: Json| status.get(key) == Some(&value);
        is("membership", json!("member")) && is("settled", json!(true)) && is("locked", json!(0))
    })?;
    Ok(())
}

/// Waits until everything is exchanged with the relay.
///
/// # Errors
/// When it is not in time.
pub fn sync(session: &mut Session) -> Result<()> {
    session.call(json!({"do": "sync", "seconds": 100})).map(drop)
}

/// Makes a case.
///
/// # Errors
/// When it is refused.
pub fn create_case(session: &mut Session, fields: &Json) -> Result<String> {
    text(&session.call(json!({"do": "case.create", "fields": fields}))?, "case")
}

/// Lists the values that one field of a case ever had, oldest first.
///
/// # Errors
/// When it is refused.
pub fn history(session: &mut Session, case: &str, field: &str) -> Result<Vec<Json>> {
    let answer = session.call(json!({"do": "case.history", "case": case, "field": field}))?;
    let entries = answer.get("history").and_then(Json::as_array).context("no history")?;
    Ok(entries.iter().filter_map(|entry| entry.get("value").cloned()).collect())
}

/// Reads the digest over all cases, and over how many it is.
///
/// # Errors
/// When it is refused.
pub fn digest(session: &mut Session) -> Result<(String, u64)> {
    let answer = session.call(json!({"do": "digest"}))?;
    Ok((text(&answer, "digest")?, answer.get("cases").and_then(Json::as_u64).context("no count")?))
}

/// Waits until two devices show the same cases.
///
/// # Errors
/// When they do not in time.
pub fn converge(one: &mut Session, other: &mut Session) -> Result<()> {
    sync(one)?;
    sync(other)?;
    let expected = digest(one)?;
    let is_same = |answer: &Json| answer.get("digest").and_then(Json::as_str) == Some(&expected.0);
    other.until(&json!({"do": "digest"}), is_same)?;
    ensure!(digest(one)? == expected, "the first device goes on changing");
    Ok(())
}

/// Reads a text of an answer.
///
/// # Errors
/// When there is none.
pub fn text(answer: &Json, key: &str) -> Result<String> {
    let found = answer.get(key).and_then(Json::as_str);
    Ok(found.with_context(|| format!("an answer without {key}: {answer}"))?.to_owned())
}
