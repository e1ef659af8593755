//! The end: the relay starts again on what it has, the people find all there, and whoever watched may go on playing.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result};
use serde_json::Value as Json;

use super::{
    Verdict,
    person::Person,
    screen::Screen,
    stage::{Stage, stop},
};
use crate::process::binary;

/// Makes a folder for a demo whose relay goes on.
///
/// # Errors
/// When it cannot be made.
pub fn new_folder() -> Result<PathBuf> {
    let target = binary("vereda-demo")?.parent().and_then(Path::parent).context("no target folder")?.join("demo");
    let second = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let folder = target.join(second.to_string());
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// Starts the relay again where the devices connect to, lets everybody sync by the command that people type, and stops
/// it or tells how to go on.
///
/// # Errors
/// When a program fails.
pub fn part(screen: &mut Screen, stage: Stage, is_headless: bool, verdict: &mut Verdict) -> Result<()> {
    screen.chapter("The relay starts again");
    let folder = stage.folder.clone();
    let (relay, address, mut people) = screen.watch(|| "starting the relay again".to_owned(), || stage.hand_over())?;
    let synced = screen
        .watch(|| "syncing".to_owned(), || people.iter_mut().map(|person| sync(person)).collect::<Result<Vec<Json>>>());
    if is_headless || synced.is_err() {
        stop(relay)?;
    }
    let before: Vec<usize> = people.iter().map(|person| person.cases.len()).collect();
    let after: Vec<usize> = synced?.iter().map(cases).collect();
    if before == after {
        screen.say("Stopped and started on the same folder, it has everything: all three devices sync with it and miss nothing.");
    } else {
        verdict
            .broken
            .push(format!("after the relay's restart the devices hold {after:?} cases instead of {before:?}"));
    }
    if !is_headless {
        write_starters(&folder, &people)?;
        tell_how_to_go_on(screen, &folder, relay, address, &people)?;
    }
    Ok(())
}

fn sync(person: &Person) -> Result<Json> {
    Ok(serde_json::from_str(&person.command(&["sync", "--json"])?)?)
}

fn cases(synced: &Json) -> usize {
    let cases = synced.pointer("/status/cases").and_then(Json::as_u64);
    cases.and_then(|cases| usize::try_from(cases).ok()).unwrap_or_default()
}

/// Writes a small program for each person that runs `vereda` with the person's vault.
fn write_starters(folder: &Path, people: &[Person]) -> Result<()> {
    let program = binary("vereda")?;
    for person in people {
        let words: Vec<String> = person.arguments().iter().map(|word| quoted(word)).collect();
        let text = format!("#!/bin/sh\nexec {} {} \"$@\"\n", quoted(&program.display().to_string()), words.join(" "));
        let path = folder.join(person.role.key);
        fs::write(&path, text)?;
        #[cfg(unix)]
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    }
    Ok(())
}

fn tell_how_to_go_on(
    screen: &mut Screen,
    folder: &Path,
    relay: u32,
    address: std::net::SocketAddr,
    people: &[Person],
) -> Result<()> {
    screen.chapter("Go on yourself");
    screen.say(&format!(
        "The relay keeps running as process {relay} at {address}. In this folder, a command for each person:"
    ));
    screen.copy("");
    screen.copy(&format!("   cd {}", quoted(&folder.display().to_string())));
    for line in [
        "./amina status",
        "./amina case list",
        "./amina case conflicts",
        "./amina case show ID            # the first digits of an id are enough",
        "./amina case history ID",
        "./amina case resolve ID FIELD --value VALUE",
        "./bilal sync && ./bilal case show ID",
        "./carmen people",
        "./carmen --help",
    ] {
        screen.copy(&format!("   {line}"));
    }
    screen.copy("");
    screen.say("Each is the client with the vault and passphrase of that person; in full:");
    screen.copy("");
    let amina = people.first().context("nobody")?;
    screen.copy(&format!("   {} \\", quoted(&binary("vereda")?.display().to_string())));
    for pair in amina.arguments().chunks(2) {
        let pair: Vec<String> = pair.iter().map(|word| quoted(word)).collect();
        screen.copy(&format!("     {} \\", pair.join(" ")));
    }
    screen.copy("     case list");
    screen.copy("");
    screen.say("Stop the relay and throw all of it away:");
    screen.copy("");
    screen.copy(&format!("   kill {relay}"));
    screen.copy(&format!("   rm -r {}", quoted(&folder.display().to_string())));
    Ok(())
}

/// Quotes a word for a shell where it needs that.
fn quoted(word: &str) -> String {
    let is_plain = word.chars().all(|c| c.is_ascii_alphanumeric() || "/._-:=".contains(c));
    if is_plain { word.to_owned() } else { format!("'{}'", word.replace('\'', "'\\''")) }
}
