//! A process of its own that plays a part: spoken to by lines, watched from outside.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Ticks of the kernel's accounting in a second: the same on every architecture of Linux.
const TICKS: f64 = 100.0;

/// What a part answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer<T> {
    /// What was asked for.
    Ok(T),
    /// Why not.
    Refused(String),
}

/// A process.
pub(crate) struct Part {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Part {
    /// Starts this program again to play a part in a folder.
    pub(crate) fn start(flag: &str, folder: &Path) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg(flag)
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting a process")?;
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().context("a process without output")?);
        Ok(Self { child, input, output })
    }

    /// Says something without waiting.
    pub(crate) fn tell(&mut self, line: &impl Serialize) -> Result<()> {
        let input = self.input.as_mut().context("the process was told to end")?;
        writeln!(input, "{}", serde_json::to_string(line)?)?;
        Ok(input.flush()?)
    }

    /// Waits for the answer to what was said.
    pub(crate) fn hear<T: DeserializeOwned>(&mut self) -> Result<T> {
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            bail!("a process ended before it answered");
        }
        match serde_json::from_str(&line).context("an answer that does not read")? {
            Answer::Ok(answer) => Ok(answer),
            Answer::Refused(reason) => bail!(reason),
        }
    }

    /// Says something and waits for the answer.
    pub(crate) fn ask<T: DeserializeOwned>(&mut self, line: &impl Serialize) -> Result<T> {
        self.tell(line)?;
        self.hear()
    }

    /// Processor time so far, in seconds, to a hundredth; none where the system does not tell.
    pub(crate) fn cpu_seconds(&self) -> Option<f64> {
        let text = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).ok()?;
        // The name in parentheses may hold anything; after it stand the state and 10 numbers before the two wanted.
        let (_, rest) = text.rsplit_once(')')?;
        let mut fields = rest.split_whitespace().skip(11);
        let mut ticks = || fields.next()?.parse::<f64>().ok();
        Some((ticks()? + ticks()?) / TICKS)
    }

    /// The most memory that was resident so far, in bytes; none where the system does not tell.
    pub(crate) fn peak_memory(&self) -> Option<f64> {
        self.status("VmHWM:")
    }

    /// Memory that is resident now, in bytes; none where the system does not tell.
    pub(crate) fn resident_memory(&self) -> Option<f64> {
        self.status("VmRSS:")
    }

    fn status(&self, key: &str) -> Option<f64> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix(key))?;
        let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kib * 1_024.0)
    }

    /// Ends the process in good order.
    pub(crate) fn end(mut self) -> Result<()> {
        self.input = None;
        let status = self.child.wait()?;
        if !status.success() {
            bail!("a process ended with {status}");
        }
        Ok(())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.input = None;
        // Gone already after a good end; after a failure nobody waits for it.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Adds up the sizes of the files in a folder, in bytes.
pub(crate) fn size_of(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let meta = entry.metadata()?;
        bytes += if meta.is_dir() { size_of(&entry.path())? } else { meta.len() };
    }
    Ok(bytes)
}
