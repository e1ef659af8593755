//! What the machine must have before anything is built.

use std::process::{Command, Stdio};

use anyhow::{Result, bail};

use crate::{Outcome, cargo, progress};

/// A program that must answer, and the Debian packages that bring it.
struct Need {
    program: &'static str,
    probe: &'static [&'static str],
    purpose: &'static str,
    packages: &'static [&'static str],
}

const NEEDS: &[Need] = &[Need {
    program: "cc",
    probe: &["--version"],
    purpose: "a C compiler (SQLite, zstd and the TLS library are written in C)",
    packages: &["gcc", "libc6-dev"],
}];

/// Makes sure that the machine has what a build needs, and installs it where this is a Debian machine and we are root.
///
/// # Errors
/// When something is missing and cannot be installed; the message names it and how to get it.
pub(crate) fn prepare() -> Result<Outcome> {
    for need in NEEDS {
        if answers(need.program, need.probe) {
            continue;
        }
        let install = format!("apt-get install --yes {}", need.packages.join(" "));
        if !(is_root() && answers("apt-get", &["--version"])) {
            bail!("{} is missing: {}; on Debian: {install}", need.program, need.purpose);
        }
        progress::say(&format!("{} is missing: {}; installing it", need.program, need.purpose));
        let _ = apt_get(&["update", "--quiet"])?;
        let mut arguments = vec!["install", "--yes", "--no-install-recommends"];
        arguments.extend(need.packages);
        if apt_get(&arguments)? == Outcome::Broken {
            bail!("`{install}` failed");
        }
    }
    Ok(Outcome::Holds)
}

fn answers(program: &str, probe: &[&str]) -> bool {
    let status = Command::new(program).args(probe).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output();
    output.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

fn apt_get(arguments: &[&str]) -> Result<Outcome> {
    let mut command = Command::new("apt-get");
    command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
    cargo::run(command, "apt-get")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_does_not_exist_does_not_answer() {
        assert!(!answers("vereda-no-such-program", &[]));
        assert!(answers("cargo", &["--version"]));
    }
}
