//! A folder of vaults of its own, and the binary run in it.

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Output, Stdio},
};

use serde_json::{Value as Json, json};
use tempfile::TempDir;

pub struct Home {
    folder: TempDir,
}

impl Home {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// A home with a vault in it.
    pub fn with_vault(name: &str) -> Self {
        let home = Self::new();
        home.ok(&["vault", "new", name, "--fast"]);
        home
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vereda"));
        command.args(args).env("VEREDA_HOME", self.path()).env("VEREDA_PASSPHRASE", "correct horse");
        command.env_remove("VEREDA_VAULT").env("COLUMNS", "80").stdin(Stdio::null());
        command
    }

    pub fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs, expecting success; gives standard output.
    pub fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    /// Runs with `--json`, expecting success and one object.
    pub fn json(&self, args: &[&str]) -> Json {
        let mut args = args.to_vec();
        args.push("--json");
        serde_json::from_str(&self.ok(&args)).unwrap()
    }

    /// Runs, expecting an exit code; gives standard error.
    pub fn fails(&self, args: &[&str], code: i32) -> String {
        let output = self.run(args);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {error}");
        error
    }

    pub fn session(&self) -> Session {
        let mut child = self
            .command(&["session", "--stdio"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        let mut session = Session { child, lines, next: 0, events: Vec::new() };
        assert_eq!(session.line().unwrap()["event"], "ready");
        session
    }
}

/// A running session; killed when dropped.
pub struct Session {
    child: Child,
    lines: BufReader<ChildStdout>,
    next: u64,
    pub events: Vec<Json>,
}

impl Session {
    /// Asks, and gives the answer.
    pub fn ask(&mut self, mut request: Json) -> Json {
        self.next += 1;
        request["id"] = json!(self.next);
        writeln!(self.child.stdin.as_mut().unwrap(), "{request}").unwrap();
        loop {
            let line = self.line().expect("the session ended");
            if line["id"] == json!(self.next) {
                return line;
            }
            self.events.push(line);
        }
    }

    /// Asks, expecting `ok`.
    pub fn ok(&mut self, request: Json) -> Json {
        let answer = self.ask(request.clone());
        assert_eq!(answer["ok"], json!(true), "{request}: {answer}");
        answer
    }

    /// Ends it as `kill -9` does.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Closes its input and waits for its end.
    pub fn end(mut self) -> bool {
        drop(self.child.stdin.take());
        self.child.wait().unwrap().success()
    }

    fn line(&mut self) -> Option<Json> {
        let mut line = String::new();
        (self.lines.read_line(&mut line).unwrap() > 0).then(|| serde_json::from_str(&line).unwrap())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}
