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

/// A process whose standard output is read line by line. Killed when dropped.
pub struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    seen: Vec<String>,
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
        Ok(Self { child, stdin, lines, seen: Vec::new() })
    }

    /// Writes one line to the process.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn write_line(&mut self, line: &str) -> Result<()> {
        let stdin = self.stdin.as_mut().context("standard input is closed")?;
        writeln!(stdin, "{line}")?;
        Ok(stdin.flush()?)
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

    /// Every line read so far.
    pub fn seen(&self) -> &[String] {
        &self.seen
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
        let id = i32::try_from(self.child.id())?;
        #[allow(unsafe_code, reason = "kill(2) on our own child has no safe wrapper in std")]
        // SAFETY: a plain system call on the id of a child that has not been reaped.
        let sent = unsafe { libc::kill(id, libc::SIGTERM) };
        ensure!(sent == 0, "cannot signal process {id}");
        self.wait()
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it does not end within [`PATIENCE`].
    pub fn wait(&mut self) -> Result<ExitStatus> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            ensure!(started.elapsed() < PATIENCE, "the process does not end");
            thread::sleep(Duration::from_millis(5));
        }
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
        let what = request.get("do").cloned();
        let id = self.send(request)?;
        let answer = self.answer(id)?;
        ensure!(answer.get("ok") == Some(&Value::Bool(true)), "{what:?} was refused: {answer}");
        Ok(answer)
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
