//! Running cargo and the programs it builds.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

use crate::{Outcome, progress};

/// Returns the folder of the workspace, wherever the command was started.
///
/// # Errors
/// When this program was moved away from the sources it was built from.
pub(crate) fn root() -> Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = here.parent().and_then(Path::parent).context("crates/xtask has no workspace above it")?;
    if !root.join("Cargo.toml").is_file() {
        bail!("no Cargo.toml in {}; run this through `cargo xtask` in the repository", root.display());
    }
    Ok(root.to_path_buf())
}

/// Runs `cargo` with these arguments in the workspace, its output shown.
///
/// # Errors
/// When cargo cannot be started; a failure of cargo itself is [`Outcome::Broken`].
pub(crate) fn cargo<S: AsRef<str>>(arguments: &[S]) -> Result<Outcome> {
    let words: Vec<&str> = arguments.iter().map(AsRef::as_ref).collect();
    progress::say(&format!("  $ cargo {}", words.join(" ")));
    let mut command = Command::new(program());
    command.args(&words).current_dir(root()?);
    run(command, "cargo")
}

/// Returns what `cargo` prints on standard output with these arguments.
///
/// # Errors
/// When cargo cannot be started or fails; its own diagnosis is shown.
pub(crate) fn cargo_output(arguments: &[&str]) -> Result<Vec<u8>> {
    let output = Command::new(program())
        .args(arguments)
        .current_dir(root()?)
        .stderr(Stdio::inherit())
        .output()
        .context("cargo cannot be started")?;
    if !output.status.success() {
        bail!("`cargo {}` failed: {}", arguments.join(" "), output.status);
    }
    Ok(output.stdout)
}

/// Returns the folder that debug builds go to.
///
/// # Errors
/// When `cargo metadata` fails or names no target folder.
pub(crate) fn debug_folder() -> Result<PathBuf> {
    let metadata: serde_json::Value =
        serde_json::from_slice(&cargo_output(&["metadata", "--no-deps", "--format-version", "1"])?)?;
    let target = metadata.get("target_directory").and_then(|value| value.as_str());
    Ok(Path::new(target.context("cargo metadata names no target folder")?).join("debug"))
}

/// Returns the target triple of this machine.
///
/// # Errors
/// When rustc cannot be asked or names none.
pub(crate) fn host_platform() -> Result<String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("-vV").output().context("rustc cannot be started")?;
    let text = String::from_utf8(output.stdout).context("rustc speaks no UTF-8")?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc names no host")?.to_owned())
}

/// Runs a command in the foreground.
///
/// # Errors
/// When it cannot be started; its own failure is [`Outcome::Broken`].
pub(crate) fn run(mut command: Command, name: &str) -> Result<Outcome> {
    let status = command.status().with_context(|| format!("{name} cannot be started"))?;
    Ok(if status.success() { Outcome::Holds } else { Outcome::Broken })
}

fn program() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}
