//! The end: the relay starts again on what it has, the people find all there, and whoever watched may go on playing.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde_json::Value as Json;
use vereda_records::Value;

use super::{
    Verdict, agency::Team, caseload::Caseload, person::Person, reckoning::Told, screen::Screen, short, stage::Stage,
};
use crate::process::{binary, stop};

/// Makes a folder for a demo whose relay goes on.
///
/// # Errors
/// When it cannot be made.
pub fn new_folder() -> Result<PathBuf> {
    let target = binary("vereda-demo")?.parent().and_then(Path::parent).context("no target folder")?.join("demo");
    fs::create_dir_all(&target)?;
    for number in 1.. {
        let folder = target.join(number.to_string());
        match fs::create_dir(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error).with_context(|| format!("making {}", folder.display())),
        }
    }
    anyhow::bail!("no number is free in {}", target.display())
}

/// Starts the relay again where the devices connect to, lets people work through it by the commands that anybody can
/// type, and stops it or tells how to go on, with an example that fits.
///
/// # Errors
/// When a program fails.
pub fn part(
    screen: &mut Screen,
    stage: Stage,
    teams: &[Team],
    caseload: &Caseload,
    example: Option<Vec<String>>,
    verdict: &mut Verdict,
) -> Result<()> {
    screen.chapter("The relay starts again");
    let folder = stage.folder.clone();
    let (mut relay, address, mut people) =
        screen.watch(|| "starting the relay again".to_owned(), || stage.hand_over())?;
    let team = teams.first().context("no team")?;
    let worked = screen.watch(
        || "working through it".to_owned(),
        || {
            let (case, field, value) = note_of(caseload).context("no case has a text to change")?;
            let found = work(&mut people, team, &case, &field, &value)?;
            write_starters(&folder, &mut people).map(|()| found)
        },
    );
    if example.is_none() || worked.is_err() {
        stop(&mut relay)?;
    }
    if worked? {
        screen.say(
            "It is stopped and started on the same folder, and has everything. Amina changes one more case, by the \
             command line; Bilal and Carmen sync and see it.",
        );
    } else {
        verdict.broken.push("an edit made after the relay's restart does not reach everybody".to_owned());
    }
    if let Some(example) = example {
        tell_how_to_go_on(screen, &folder, relay.id(), address, &people, &example)?;
    }
    Ok(())
}

/// Commands to settle a conflict with: one that Bilal sees too, with an answer that is easily typed.
pub fn example(conflicts: &[Told]) -> Vec<String> {
    let fits = |told: &&Told| told.people.contains(&"Bilal") && told.answer.is_some();
    let ease = |told: &&Told| (told.place.contains(['[', '/']), told.answer.as_ref().map_or(usize::MAX, String::len));
    let Some(told) = conflicts.iter().filter(fits).min_by_key(ease) else { return Vec::new() };
    let (case, place) = (short(&told.case), quoted(&told.place));
    let answer = quoted(told.answer.as_deref().unwrap_or_default());
    vec![
        format!("./amina case show {case}"),
        format!("./amina case history {case} {place}"),
        format!("./amina case resolve {case} {place} --value {answer}"),
        "./amina sync && ./bilal sync".to_owned(),
        format!("./bilal case show {case}"),
    ]
}

/// Chooses a case of the first team, a text in it, and another text to stand there.
fn note_of(caseload: &Caseload) -> Option<(String, String, String)> {
    caseload.cases.first()?.iter().find_map(|(case, record)| {
        record.fields.iter().find_map(|(field, value)| {
            let known = caseload.answers.get(&(field.clone(), None))?;
            let other = known.iter().find_map(|other| match other {
                Value::Text(text) if other != value => Some(text.clone()),
                _ => None,
            })?;
            Some((case.clone(), field.clone(), other))
        })
    })
}

/// The first of a team changes a case; says whether everybody in the team has the change afterwards.
fn work(people: &mut [Person], team: &Team, case: &str, field: &str, value: &str) -> Result<bool> {
    let mut own = team.people.iter().filter_map(|&person| people.get(person));
    let first = own.next().context("a team without people")?;
    first.command(&["case", "edit", case, "--set", &format!("{field}={value}")])?;
    first.command(&["sync"])?;
    let mut all = true;
    for person in own {
        person.command(&["sync"])?;
        let shown: Json = serde_json::from_str(&person.command(&["case", "show", case, "--json"])?)?;
        all &= shown.pointer("/fields").and_then(|fields| fields.get(field)) == Some(&Json::from(value));
    }
    Ok(all)
}

/// Writes a small program for each person that runs `vereda` with the person's vault.
fn write_starters(folder: &Path, people: &mut [Person]) -> Result<()> {
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
    example: &[String],
) -> Result<()> {
    screen.chapter("Go on yourself");
    screen.say(&format!(
        "The relay keeps running as process {relay} at {address}. In this folder, a command for each person:"
    ));
    screen.copy("");
    screen.copy(&format!("   cd {}", quoted(&folder.display().to_string())));
    for line in ["./amina status", "./amina case list", "./amina case conflicts"] {
        screen.copy(&format!("   {line}"));
    }
    for line in example {
        screen.copy(&format!("   {line}"));
    }
    screen.copy("   ./carmen people");
    screen.copy("   ./carmen --help");
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
