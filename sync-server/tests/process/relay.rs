//! A relay's process with a data folder of its own, on a free port.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, Command, ExitStatus, Output, Stdio},
};

use tempfile::TempDir;

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_vereda-relay");

pub struct RelayProcess {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
    pub address: String,
    pub url: String,
    pub key: String,
}

impl RelayProcess {
    /// Starts one, and waits until it listens.
    pub fn start(data: &Path) -> Self {
        Self::start_with(data, &[])
    }

    pub fn start_with(data: &Path, more: &[&str]) -> Self {
        let mut child = Command::new(PROGRAM)
            .args(["--log", "debug", "serve", "--json", "--listen", "127.0.0.1:0", "--data"])
            .arg(data)
            .args(more)
            .stdout(Stdio::piped())
            .stderr(std::fs::File::options().create(true).append(true).open(data.with_extension("log")).unwrap())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines.next().expect("a line").unwrap();
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line["event"], "listening");
        let text = |key: &str| line[key].as_str().unwrap().to_owned();
        Self { child, lines, address: text("address"), url: text("url"), key: text("relay") }
    }

    /// Asks it to stop, and waits until it has.
    #[cfg(unix)]
    pub fn stop(mut self) -> ExitStatus {
        let kill = Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status().unwrap();
        assert!(kill.success());
        assert_eq!(self.lines.next().expect("a line").unwrap(), "{\"event\":\"stopped\"}");
        self.child.wait().unwrap()
    }

    /// Ends it without a word.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn health(&self) -> serde_json::Value {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(stream, "GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap()
    }
}

impl Drop for RelayProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn data() -> (TempDir, std::path::PathBuf) {
    let parent = tempfile::tempdir().unwrap();
    let data = parent.path().join("data");
    (parent, data)
}

pub fn run(args: &[&str]) -> Output {
    Command::new(PROGRAM).args(args).output().unwrap()
}

pub fn founding_secret(relay: &RelayProcess, data: &Path) -> [u8; 32] {
    let output = run(&["founding-link", "--json", "--address", &relay.url, "--data", data.to_str().unwrap()]);
    assert!(output.status.success(), "{output:?}");
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let link = json["link"].as_str().unwrap();
    assert!(link.starts_with("vereda://found?relay=ws%3A%2F%2F127.0.0.1%3A"), "{link}");
    assert!(link.contains(&format!("&key={}", relay.key)));
    let mut secret = [0; 32];
    hex::decode_to_slice(link.split("&secret=").nth(1).unwrap(), &mut secret).unwrap();
    secret
}
