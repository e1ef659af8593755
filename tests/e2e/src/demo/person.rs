//! A caseworker: a vault, a process, a line to the relay, and what the demo knows of the cases on that device.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value as Json, json};
use vereda_records::{Configuration, Record, json::read};

use crate::{
    process::{PATIENCE, Process, Session, ask_again_soon, run},
    proxy::Proxy,
};

/// Who plays.
pub struct Role {
    /// Names the device, in folders and addresses.
    pub key: &'static str,
    /// What colleagues call the person.
    pub first: &'static str,
    /// The full name.
    pub name: &'static str,
}

/// The three caseworkers, in the order of everything that is kept by person.
pub const CAST: [Role; 3] = [
    Role { key: "amina", first: "Amina", name: "Amina Yusuf Warsame" },
    Role { key: "bilal", first: "Bilal", name: "Bilal Haddad Khoury" },
    Role { key: "carmen", first: "Carmen", name: "Carmen Rojas Ibarra" },
];

/// A caseworker at work.
pub struct Person {
    /// Who it is.
    pub role: &'static Role,
    /// The line between this device and the relay.
    pub line: Proxy,
    /// The cases as this device shows them, by their ids.
    pub cases: BTreeMap<String, Record>,
    folder: PathBuf,
    session: Option<Session>,
    typed: Vec<u8>,
}

impl Person {
    /// Makes a vault below `folder` and opens a session on it.
    ///
    /// # Errors
    /// When a program fails.
    pub fn arrive(role: &'static Role, line: Proxy, folder: &Path) -> Result<Self> {
        let folder = folder.join(role.key);
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join("passphrase"), format!("{}\n", passphrase(role)))?;
        let mut person = Self { role, line, cases: BTreeMap::new(), folder, session: None, typed: Vec::new() };
        // The passphrase is guessed by nobody here: no time is spent on making that slow.
        person.command(&["vault", "new", role.key, "--fast"])?;
        person.open()?;
        Ok(person)
    }

    /// Starts the process and unlocks the vault.
    ///
    /// # Errors
    /// When the program fails.
    pub fn open(&mut self) -> Result<()> {
        let mut args = self.arguments();
        args.extend(["--log", "trace", "session", "--stdio"].map(str::to_owned));
        let process = Process::start("vereda", &args, &[], &self.folder.join("session.log"))?;
        self.note_typed();
        self.session = Some(Session::new(process));
        self.call(json!({"do": "status"})).map(drop)
    }

    /// Ends the process in good order; the vault is locked then.
    ///
    /// # Errors
    /// When the process fails.
    pub fn leave(&mut self) -> Result<()> {
        self.call(json!({"do": "quit"}))?;
        self.note_typed();
        let mut session = self.session.take().context("no session")?;
        let status = session.process().wait()?;
        ensure!(status.success(), "{}'s process ended with {status}", self.role.first);
        Ok(())
    }

    /// The running session.
    ///
    /// # Errors
    /// When there is none.
    pub fn session(&mut self) -> Result<&mut Session> {
        self.session.as_mut().with_context(|| format!("{}'s process does not run", self.role.first))
    }

    /// Asks the session; a refusal is an error.
    ///
    /// # Errors
    /// When it refuses or ends.
    pub fn call(&mut self, request: Json) -> Result<Json> {
        let first = self.role.first;
        self.session()?.call(request).with_context(|| format!("on {first}'s device"))
    }

    /// Asks again and again until the answer is as it should be.
    ///
    /// # Errors
    /// When it is not after [`PATIENCE`]; `what` says what was waited for.
    pub fn until(&mut self, what: &str, request: &Json, holds: impl Fn(&Json) -> bool) -> Result<Json> {
        let started = Instant::now();
        loop {
            let answer = self.call(request.clone())?;
            if holds(&answer) {
                return Ok(answer);
            }
            if started.elapsed() > PATIENCE {
                bail!("{}: {what} did not come about in {} s", self.role.first, PATIENCE.as_secs());
            }
            ask_again_soon();
        }
    }

    /// Waits until everything is exchanged with the relay.
    ///
    /// # Errors
    /// When it is not in time.
    pub fn sync(&mut self) -> Result<()> {
        self.call(json!({"do": "sync", "seconds": PATIENCE.as_secs() - 1})).map(drop)
    }

    /// Reads a case as the device shows it.
    ///
    /// # Errors
    /// When the device has none, or shows what is no record.
    pub fn show(&mut self, configuration: &Configuration, case: &str) -> Result<Record> {
        let shown = self.call(json!({"do": "case.show", "case": case}))?;
        let take = |key: &str| shown.get(key).cloned().unwrap_or_default();
        let record = json!({
            "record_type": "case", "form_versions": take("form_versions"), "fields": take("fields"),
        });
        Ok(read(configuration, &record)?)
    }

    /// Runs the program once, as a person types it.
    ///
    /// # Errors
    /// When it fails.
    pub fn command(&self, words: &[&str]) -> Result<String> {
        let mut args = self.arguments();
        args.extend(words.iter().map(|&word| word.to_owned()));
        run("vereda", &args)
    }

    /// Everything that the person typed in sessions that have ended, and the passphrase.
    pub fn typed(&self) -> Vec<u8> {
        let mut typed = self.typed.clone();
        typed.extend_from_slice(passphrase(self.role).as_bytes());
        typed
    }

    /// Where the vaults of this person lie.
    pub fn home(&self) -> PathBuf {
        self.folder.join("home")
    }

    /// What the process wrote to its log.
    pub fn log(&self) -> PathBuf {
        self.folder.join("session.log")
    }

    fn note_typed(&mut self) {
        if let Some(session) = &mut self.session {
            self.typed.extend_from_slice(session.process().written());
        }
    }

    /// The arguments that stand before every command: whose vault it is, and how to open it.
    pub fn arguments(&self) -> Vec<String> {
        let path = |path: PathBuf| path.display().to_string();
        vec![
            "--home".to_owned(),
            path(self.home()),
            "--passphrase-file".to_owned(),
            path(self.folder.join("passphrase")),
        ]
    }
}

/// The passphrase of a person's vault.
pub fn passphrase(role: &Role) -> String {
    format!("{} walks slowly past seven lemon trees", role.key)
}
