//! Real processes of the built binaries, spoken to by lines of JSON.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// Longer than anything here takes on a busy machine; reaching it is a failure, never a measure.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Waits a little before asking something that cannot tell by itself once more.
pub fn ask_again_soon() {
    thread::sleep(Duration::from_millis(5));
}

/// Finds a binary of this workspace beside the running executable.
///
/// # Errors
/// When it was not built; says how to build it.
pub fn binary(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    own.ancestors()
        .skip(1)
        .take(3)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
        .with_context(|| format!("the program {name} is not built: run `cargo build --workspace --bins` first"))
}

/// Runs a program of this workspace to its end; returns what it printed on standard output.
///
/// # Errors
/// When it cannot be started or fails; the error holds what it said on standard error.
pub fn run<A: AsRef<OsStr>>(name: &str, args: &[A]) -> Result<String> {
    let output = Command::new(binary(name)?)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("starting {name}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{name} ended with {}: {}", output.status, said.trim());
    Ok(String::from_utf8(output.stdout)?)
}

/// Starts a program of this workspace that outlives this one unless it is stopped. What it prints goes to `log`.
///
/// # Errors
/// When it cannot be started.
pub fn start_detached<A: AsRef<OsStr>>(name: &str, args: &[A], log: &Path) -> Result<Child> {
    let log = std::fs::OpenOptions::new().create(true).append(true).open(log)?;
    let mut command = Command::new(binary(name)?);
    command.args(args).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    #[cfg(unix)]
    // A group of its own: an interrupt typed at the terminal does not reach it.
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command.spawn().with_context(|| format!("starting {name}"))
}

/// Asks a process to end with SIGTERM and waits.
///
/// # Errors
/// When it does not end within [`PATIENCE`].
pub fn stop(child: &mut Child) -> Result<ExitStatus> {
    let id = i32::try_from(child.id())?;
    #[allow(unsafe_code, reason = "kill(2) on our own child has no safe wrapper in std")]
    // SAFETY: a plain system call on the id of a child that has not been reaped.
    let sent = unsafe { libc::kill(id, libc::SIGTERM) };
    ensure!(sent == 0, "cannot signal process {id}");
    wait_for(child)
}

fn wait_for(child: &mut Child) -> Result<ExitStatus> {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        ensure!(started.elapsed() < PATIENCE, "the process does not end");
        ask_again_soon();
    }
}

/// A process whose standard output is read line by line. Killed when dropped.
pub struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    seen: Vec<String>,
    written: Vec<u8>,
}

impl Process {
    /// Starts a program of this workspace. Standard error goes to `log`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start<A: AsRef<OsStr>>(name: &str, args: &[A], env: &[(&str, &OsStr)], log: &Path) -> Result<Self> {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(log)?;
        let mut child = Command::new(binary(name)?)
            .args(args)
            .envs(env.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .with_context(|| format!("starting {name}"))?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().context("no standard output")?;
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Self { child, stdin, lines, seen: Vec::new(), written: Vec::new() })
    }

    /// Writes one line to the process.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn write_line(&mut self, line: &str) -> Result<()> {
        let stdin = self.stdin.as_mut().context("standard input is closed")?;
        writeln!(stdin, "{line}")?;
        stdin.flush()?;
        self.written.extend_from_slice(line.as_bytes());
        self.written.push(b'\n');
        Ok(())
    }

    /// Closes the standard input, by which a session ends in good order.
    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Waits for the next line; `None` when the process has closed its output.
    ///
    /// # Errors
    /// When nothing comes for [`PATIENCE`].
    pub fn next_line(&mut self) -> Result<Option<String>> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => {
                self.seen.push(line.clone());
                Ok(Some(line))
            }
            Err(RecvTimeoutError::Disconnected) => Ok(None),
            Err(RecvTimeoutError::Timeout) => bail!("no line for {} s", PATIENCE.as_secs()),
        }
    }

    /// Reads lines as they come, for so long; returns them, and whether the output is still open.
    pub fn lines_for(&mut self, duration: Duration) -> (Vec<String>, bool) {
        let started = Instant::now();
        let mut lines = Vec::new();
        loop {
            match self.lines.recv_timeout(duration.saturating_sub(started.elapsed())) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    lines.push(line);
                }
                Err(RecvTimeoutError::Timeout) => return (lines, true),
                Err(RecvTimeoutError::Disconnected) => return (lines, false),
            }
        }
    }

    /// Every line read so far.
    pub fn seen(&self) -> &[String] {
        &self.seen
    }

    /// Every line written so far.
    pub fn written(&self) -> &[u8] {
        &self.written
    }

    /// Process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills with SIGKILL and reaps; then reads what was still in the pipe.
    ///
    /// # Errors
    /// When it cannot be reaped.
    pub fn kill(&mut self) -> Result<Vec<String>> {
        self.stdin = None;
        // Already gone is as good.
        drop(self.child.kill());
        self.child.wait()?;
        let mut rest = Vec::new();
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            self.seen.push(line.clone());
            rest.push(line);
        }
        Ok(rest)
    }

    /// Asks it to stop with SIGTERM and waits.
    ///
    /// # Errors
    /// When it does not end within [`PATIENCE`].
    pub fn terminate(&mut self) -> Result<ExitStatus> {
        stop(&mut self.child)
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it does not end within [`PATIENCE`].
    pub fn wait(&mut self) -> Result<ExitStatus> {
        wait_for(&mut self.child)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A `vereda session`: requests and answers by id, with everything else (events) kept aside.
pub struct Session {
    process: Process,
    next_id: u64,
    answers: BTreeMap<u64, Value>,
    events: Vec<Value>,
}

impl Session {
    /// Wraps a started process.
    pub fn new(process: Process) -> Self {
        Self { process, next_id: 1, answers: BTreeMap::new(), events: Vec::new() }
    }

    /// Sends a request without waiting; returns its id.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn send(&mut self, mut request: Value) -> Result<u64> {
        let id = self.next_id;
        self.next_id += 1;
        request.as_object_mut().context("a request is an object")?.insert("id".to_owned(), id.into());
        self.process.write_line(&request.to_string())?;
        Ok(id)
    }

    /// Waits for the answer to a request.
    ///
    /// # Errors
    /// When the process ends or keeps silent.
    pub fn answer(&mut self, id: u64) -> Result<Value> {
        loop {
            if let Some(answer) = self.answers.remove(&id) {
                return Ok(answer);
            }
            let line = self.process.next_line()?.context("the session ended without an answer")?;
            self.take_line(&line);
        }
    }

    /// Sends and waits; an answer that is not `ok` is an error.
    ///
    /// # Errors
    /// When the session refuses or ends.
    pub fn call(&mut self, request: Value) -> Result<Value> {
        let what = request.get("do").and_then(Value::as_str).unwrap_or_default().to_owned();
        let id = self.send(request)?;
        let answer = self.answer(id)?;
        let why = answer.get("error").and_then(Value::as_str).unwrap_or("without a reason");
        ensure!(answer.get("ok") == Some(&Value::Bool(true)), "{what} was refused: {why}");
        Ok(answer)
    }

    /// Takes in answers and events for so long; says whether the session still runs.
    pub fn listen_for(&mut self, duration: Duration) -> bool {
        let (lines, is_open) = self.process.lines_for(duration);
        lines.iter().for_each(|line| self.take_line(line));
        is_open
    }

    /// Asks again and again until the answer is as it should be; in between it listens.
    ///
    /// # Errors
    /// When it is not after [`PATIENCE`]; the error shows the last answer.
    pub fn until(&mut self, request: &Value, holds: impl Fn(&Value) -> bool) -> Result<Value> {
        let started = Instant::now();
        loop {
            let answer = self.call(request.clone())?;
            if holds(&answer) {
                return Ok(answer);
            }
            ensure!(started.elapsed() < PATIENCE, "{request} does not become as it should be: {answer}");
            self.listen_for(Duration::from_millis(10));
        }
    }

    /// Waits for an event that is as it should be, among those that came and those to come.
    ///
    /// # Errors
    /// When there is none after [`PATIENCE`], or the session ends.
    pub fn event(&mut self, holds: impl Fn(&Value) -> bool) -> Result<Value> {
        let started = Instant::now();
        loop {
            if let Some(event) = self.events.iter().find(|event| holds(event)) {
                return Ok(event.clone());
            }
            ensure!(started.elapsed() < PATIENCE, "the event does not come; there were {:?}", self.events);
            ensure!(self.listen_for(Duration::from_millis(10)), "the session ended; there were {:?}", self.events);
        }
    }

    /// Kills with SIGKILL; returns the ids of all requests that were answered `ok`, also those read after the kill.
    ///
    /// # Errors
    /// When it cannot be reaped.
    pub fn kill(&mut self) -> Result<Vec<u64>> {
        for line in self.process.kill()? {
            self.take_line(&line);
        }
        Ok(self.acknowledged())
    }

    /// Ids of requests answered `ok` so far that nobody has taken by [`Session::answer`].
    pub fn acknowledged(&self) -> Vec<u64> {
        let is_ok = |answer: &Value| answer.get("ok") == Some(&Value::Bool(true));
        self.answers.iter().filter(|(_, answer)| is_ok(answer)).map(|(id, _)| *id).collect()
    }

    /// Lines that answered no request.
    pub fn events(&self) -> &[Value] {
        &self.events
    }

    /// The process underneath.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    fn take_line(&mut self, line: &str) {
        let Ok(value) = serde_json::from_str::<Value>(line) else { return };
        match value.get("id").and_then(Value::as_u64) {
            Some(id) => drop(self.answers.insert(id, value)),
            None => self.events.push(value),
        }
    }
}
