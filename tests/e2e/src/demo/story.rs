//! The demo from its first to its last sentence.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::Instant,
};

use anyhow::{Context, Result};
use serde_json::Value as Json;

use super::{
    Options, Verdict,
    agency::{self, Applied, BILAL, Source, Team},
    caseload::{self, Caseload},
    days::{self, Killed},
    farewell,
    hunt::{Hunt, Planted, hunt},
    ledger::Ledger,
    person::CAST,
    plan::{self, Days},
    reckoning::{Reckoning, reckon},
    reunion::{Reunion, meet},
    screen::{Screen, bytes, count, list, seconds},
    short,
    stage::Stage,
};

/// Conflicts are listed up to so many.
const MAX_CONFLICTS: usize = 8;
/// Reasons of losses are listed up to so many.
const MAX_REASONS: usize = 20;

/// Plays and tells everything.
///
/// # Errors
/// When it cannot go on.
pub fn tell(screen: &mut Screen, options: &Options, source: &Source, folder: &Path) -> Result<Verdict> {
    let mut verdict = Verdict::default();
    screen.copy("Vereda: three caseworkers, three days offline, one relay that cannot read");

    let mut stage = begin(screen, folder, !options.is_headless)?;
    let teams = found(screen, &mut stage)?;
    let applied = configure(screen, &mut stage, source, &mut verdict)?;
    let configuration = &applied.configuration;
    let caseload = register(screen, &mut stage, &teams, &applied, options, &mut verdict)?;

    let mut ledger = Ledger::default();
    let plans = plan::draw(&stage.people, &teams, &caseload, configuration, options.seed, &mut ledger)?;
    let killed = work(screen, &mut stage, &plans, &applied, &ledger)?;
    verdict.note("edits", ledger.edits());
    verdict.note("acknowledged_before_kill", killed.acknowledged);

    let reunion = reunite(screen, &mut stage, &teams, &caseload, &mut verdict)?;
    let found = reckon(&mut stage, &teams, configuration, &caseload, &ledger)?;
    tell_reckoning(screen, &teams, &ledger, &reunion, &found);
    verdict.note("merged_edits", found.merged);
    verdict.note("conflicts", found.conflicts.len());
    verdict.note("history_steps", found.steps);
    verdict.broken.extend(found.broken.iter().cloned());

    let planted = plant(&teams, &caseload, &plans);
    let hunt = search(screen, &mut stage, &planted)?;
    verdict.note("planted_values", hunt.values);
    verdict.note("planted_values_found", hunt.finds.len());
    verdict.note("searched_bytes", hunt.relay_bytes + hunt.traffic_bytes + hunt.device_bytes);
    verdict.broken.extend(hunt.broken());

    let example = farewell::example(&found.conflicts);
    farewell::part(screen, stage, &teams, &caseload, (!options.is_headless).then_some(example), &mut verdict)?;
    verdict.note("seconds", (screen.elapsed().as_secs_f64() * 10.0).round() / 10.0);
    conclude(screen, &verdict);
    Ok(verdict)
}

impl Verdict {
    /// Notes a figure.
    pub(super) fn note(&mut self, name: &str, value: impl Into<Json>) {
        self.figures.insert(name.to_owned(), value.into());
    }
}

fn begin(screen: &mut Screen, folder: &Path, is_lasting: bool) -> Result<Stage> {
    screen.chapter("A relay and three devices");
    let stage =
        screen.watch(|| "starting a relay and three devices".to_owned(), || Stage::build(folder, is_lasting))?;
    let names = CAST.each_ref().map(|role| role.first);
    screen.say(&format!(
        "The relay runs as process {}. {} have a device each: a process of its own with a vault of its own, sealed \
         under a passphrase. Every byte between a device and the relay is recorded.",
        stage.relay_id(),
        list(&names)
    ));
    Ok(stage)
}

fn found(screen: &mut Screen, stage: &mut Stage) -> Result<Vec<Team>> {
    screen.chapter("An agency with two teams, by invite links");
    let teams = screen.watch(|| "founding, inviting, joining".to_owned(), || agency::form(stage))?;
    screen.say("Amina founded the agency and leads both teams. The others joined by the links that she sent.");
    for team in &teams {
        let names: Vec<&str> =
            team.people.iter().filter_map(|&person| CAST.get(person)).map(|role| role.first).collect();
        screen.row(&format!("{}: {}", team.name, list(&names)));
    }
    Ok(teams)
}

fn configure(screen: &mut Screen, stage: &mut Stage, source: &Source, verdict: &mut Verdict) -> Result<Applied> {
    screen.chapter("Forms");
    let applied = screen.watch(|| "applying the configuration".to_owned(), || agency::configure(stage, source))?;
    let name = |file: &Path| file.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let what = match source {
        Source::Primero(file) => format!("Primero's export {}", name(file)),
        Source::Own(file) => format!("The configuration {}", name(file)),
        Source::Starter => "The starter configuration for child protection".to_owned(),
    };
    let taken: Vec<String> = applied.taken.iter().map(|(_, number, noun)| count(*number, noun)).collect();
    let taken: Vec<&str> = taken.iter().map(String::as_str).collect();
    screen.say(&format!("{what} is on all three devices: {}.", list(&taken)));
    tell_losses(screen, &applied.losses);
    for (key, number, _) in &applied.taken {
        verdict.note(key, *number);
    }
    verdict.note("losses", applied.losses.len());
    Ok(applied)
}

fn tell_losses(screen: &Screen, losses: &[(String, String)]) {
    if losses.is_empty() {
        return;
    }
    screen.say(&format!("{} of it could not be taken as they stood, by reason:", count(losses.len(), "place")));
    let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (path, reason) in losses {
        reasons.entry(reason).or_default().push(path);
    }
    let mut reasons: Vec<_> = reasons.into_iter().collect();
    reasons.sort_by_key(|(reason, places)| (std::cmp::Reverse(places.len()), *reason));
    for (reason, places) in reasons.iter().take(MAX_REASONS) {
        let place = match places.as_slice() {
            [one] => (*one).to_owned(),
            several => count(several.len(), "place"),
        };
        screen.row(&format!("{reason} ({place})"));
    }
    if reasons.len() > MAX_REASONS {
        let rest: usize = reasons.iter().skip(MAX_REASONS).map(|(_, places)| places.len()).sum();
        screen.row(&format!("{rest} more: vereda import primero FILE --dry-run lists all"));
    }
}

fn register(
    screen: &mut Screen,
    stage: &mut Stage,
    teams: &[Team],
    applied: &Applied,
    options: &Options,
    verdict: &mut Verdict,
) -> Result<Caseload> {
    screen.chapter("Cases");
    let configuration = &applied.configuration;
    let caseload = caseload::register(screen, stage, teams, configuration, options.cases, options.seed)?;
    caseload::spread(screen, stage, teams, configuration, &caseload)?;
    let parts: Vec<String> = teams
        .iter()
        .zip(&caseload.cases)
        .map(|(team, cases)| format!("{} of the {}", cases.len(), team.name))
        .collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    screen.say(&format!(
        "{} registered, {}: people of five languages in three scripts, with families, services and notes. Every member \
         of a team has all of its cases; {} went over the wire so far.",
        count(options.cases, "case"),
        list(&parts),
        bytes(stage.bytes())
    ));
    verdict.note("cases", caseload.all().count());
    Ok(caseload)
}

fn work(screen: &mut Screen, stage: &mut Stage, plans: &[Days], applied: &Applied, ledger: &Ledger) -> Result<Killed> {
    screen.chapter("Three days without a network");
    stage.cut();
    let before = stage.bytes();
    let started = Instant::now();
    let killed = days::pass(screen, stage, plans, &applied.configuration, BILAL)?;
    let edits: Vec<String> = CAST
        .iter()
        .enumerate()
        .map(|(index, role)| format!("{} makes {}", role.first, count(ledger.edits_of(index), "edit")))
        .collect();
    let edits: Vec<&str> = edits.iter().map(String::as_str).collect();
    screen.say(&format!(
        "The network is cut. In three days of work, done here in {}, {}: {} in all, many in the same cases, some in the \
         same fields. {} pass over the wire.",
        seconds(started.elapsed()),
        list(&edits),
        ledger.edits(),
        bytes(stage.bytes() - before)
    ));
    screen.say(&format!(
        "On the second day Bilal's process is killed (SIGKILL) in the middle of writing. He opens his vault again: the {} \
         that the device had acknowledged that day are all there. He goes on.",
        count(killed.acknowledged, "edit")
    ));
    Ok(killed)
}

fn reunite(
    screen: &mut Screen,
    stage: &mut Stage,
    teams: &[Team],
    caseload: &Caseload,
    verdict: &mut Verdict,
) -> Result<Reunion> {
    screen.chapter("All meet again");
    let reunion = meet(screen, stage, teams, caseload)?;
    screen.say(&format!("The network is back. After {} all is exchanged. Over the wire:", seconds(reunion.took)));
    for (role, (up, down)) in CAST.iter().zip(&reunion.bytes) {
        screen.row(&format!("{}: {} sent, {} received", role.first, bytes(*up), bytes(*down)));
        verdict.note(&format!("{}_bytes_sent", role.key), *up);
        verdict.note(&format!("{}_bytes_received", role.key), *down);
    }
    verdict.note("reunion_seconds", (reunion.took.as_secs_f64() * 100.0).round() / 100.0);
    for case in &reunion.unequal {
        verdict.broken.push(format!("the replicas of {} differ", short(case)));
    }
    Ok(reunion)
}

fn tell_reckoning(screen: &Screen, teams: &[Team], ledger: &Ledger, reunion: &Reunion, found: &Reckoning) {
    let equal = reunion.shared - reunion.unequal.len();
    screen.say(&format!(
        "{equal} of {} have the same digest on every device that holds them.",
        count(reunion.shared, "case")
    ));
    let woven = match found.woven {
        0 => String::new(),
        woven => format!(", also in {} that several wrote in at once", count(woven, "text")),
    };
    screen.say(&format!(
        "{} changed, {} of them by more than one person. {} of {} merged by themselves{woven}. All {} that people wrote \
         stand in the histories under their names, in order.",
        count(found.edited, "case"),
        found.together,
        found.merged,
        count(ledger.edits(), "edit"),
        count(found.steps, "value")
    ));
    let cases: BTreeSet<&String> = found.conflicts.iter().map(|told| &told.case).collect();
    screen.say(&format!(
        "{} in {} wait for somebody to decide: people answered differently without knowing of each other. Every device \
         shows the same answer meanwhile, and keeps all of them.",
        count(found.conflicts.len(), "answer"),
        count(cases.len(), "case")
    ));
    for told in found.conflicts.iter().take(MAX_CONFLICTS) {
        screen.row(&format!("{} {} ({})", short(&told.case), told.label, list(&told.people)));
    }
    if found.conflicts.len() > MAX_CONFLICTS {
        screen.row(&format!("and {} more", found.conflicts.len() - MAX_CONFLICTS));
    }
    let south = teams.iter().find(|team| !team.people.contains(&BILAL)).map_or("", |team| team.name);
    screen.say(&format!(
        "Bilal is not in the {south}: his device knows nothing of its {}.",
        count(found.unknown, "case")
    ));
}

fn plant(teams: &[Team], caseload: &Caseload, plans: &[Days]) -> Planted {
    let mut planted = Planted::new(teams);
    caseload.all().for_each(|(_, record)| planted.take_record(record));
    plans.iter().flatten().flatten().for_each(|one| planted.take_edit(&one.edit));
    planted
}

fn search(screen: &mut Screen, stage: &mut Stage, planted: &Planted) -> Result<Hunt> {
    screen.chapter("What the relay knows");
    let hunt = screen.watch(
        || "searching".to_owned(),
        || {
            stage.people.iter_mut().try_for_each(super::person::Person::leave).context("closing the vaults")?;
            hunt(stage, planted)
        },
    )?;
    let found = match hunt.finds.len() {
        0 => "None was found.".to_owned(),
        finds => format!("THEY WERE FOUND {finds} TIMES."),
    };
    screen.say(&format!(
        "{} that people wrote (names, sentences, numbers, passphrases) were searched for, as UTF-8, UTF-16, hex and \
         base64, in {} of the relay's files and log, in {} of captured traffic with its masks taken off, and in {} of \
         files and logs of the locked devices. {found} The same search finds {} of them in what the people typed.",
        count(hunt.values, "value"),
        bytes(hunt.relay_bytes),
        bytes(hunt.traffic_bytes),
        bytes(hunt.device_bytes),
        if hunt.control == hunt.values { "all".to_owned() } else { hunt.control.to_string() },
    ));
    Ok(hunt)
}

fn conclude(screen: &Screen, verdict: &Verdict) {
    screen.copy("");
    if verdict.broken.is_empty() {
        screen.copy(&format!("All is as it must be. {}", seconds(screen.elapsed())));
        return;
    }
    screen.copy(&format!("NOT as it must be ({}):", count(verdict.broken.len(), "finding")));
    for sentence in verdict.broken.iter().take(40) {
        screen.row(sentence);
    }
}
