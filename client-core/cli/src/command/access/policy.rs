//! `vereda policy`.

use clap::{Subcommand, ValueEnum};
use serde::Deserialize;
use serde_json::json;
use vereda_base::Timestamp;
use vereda_client_core::{
    access::{AccessView, DecisionView, RetentionKind, SubjectView},
    device::{Ambient, Device},
    vault::Vault,
};

use super::{Wait, decide, find_place};
use crate::{
    command::Common,
    fault::{Fault, Outcome},
    opened::Opened,
    output::{note, print, print_json, print_line},
    table::{Table, one_line},
    views::{count, moment, name, short, word_of},
};

/// Shows who has access to what, and how your decisions stand
#[derive(Debug, Subcommand)]
pub(crate) enum Policy {
    /// Shows who has access to a case or section, or belongs to a team
    ///
    /// First the people: in which role, through which team, since when, let in there by whom. Then
    /// the grants behind that, of a case also those in its sections: by whom, until when, and why;
    /// and what is pending. Of a section that is closed to you, but to which you may end access,
    /// it shows who has it.
    ///
    /// Examples:
    ///   vereda policy show 5f0c
    ///   vereda policy show North --json
    #[command(verbatim_doc_comment)]
    Show {
        /// A case, a section, a team's name or id, or the word `agency`
        id: String,
    },
    /// Lists decisions of this device that are not final, or were refused
    ///
    /// Example: vereda policy pending
    Pending,
    /// Puts a refused decision away, by its number in `policy pending`
    ///
    /// Example: vereda policy dismiss 12
    Dismiss {
        /// The number
        decision: u64,
    },
    /// Sets for the whole agency for how many days something is kept or may wait
    ///
    /// Example: vereda policy retention review 30
    Retention {
        /// Of what
        #[arg(value_enum)]
        what: What,
        /// For how many days
        days: u32,
        #[command(flatten)]
        wait: Wait,
    },
}

/// What is kept, or may wait.
#[derive(Debug, Clone, Copy, ValueEnum, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum What {
    /// How long after a removal review takes what the removed device still hands in
    Review,
    /// How old the newest sign of life of a manager may be before devices warn
    Beacon,
}

impl Policy {
    pub(in crate::command) fn run(self, common: &Common) -> Outcome {
        match self {
            Self::Show { id } => show(common, &id),
            Self::Pending => pending(common),
            Self::Dismiss { decision } => {
                let opened = Opened::open(common)?;
                opened.device().with(|device, _| device.dismiss_decision(decision))?;
                opened.close()?;
                if common.json { print_json(&json!({"dismissed": decision})) } else { print_line("Put away.") }
            }
            Self::Retention { what, days, wait } => {
                decide(common, &wait, |device, ambient| set_retention(device, ambient, what, days))
            }
        }
    }
}

/// Sets for how many days something is kept or may wait.
pub(crate) fn set_retention(device: &mut Device<Vault>, ambient: &mut Ambient<'_>, what: What, days: u32) -> Outcome {
    let kind = match what {
        What::Review => RetentionKind::Review,
        What::Beacon => RetentionKind::Beacon,
    };
    Ok(device.set_retention(ambient, kind, days)?)
}

fn show(common: &Common, id: &str) -> Outcome {
    let opened = Opened::open(common)?;
    let (view, now) = opened.device().with(|device, ambient| {
        let chain = find_place(device, id)?;
        Ok::<_, Fault>((device.who_has_access(&chain, ambient.now.wall)?, ambient.now.wall))
    })?;
    opened.close()?;
    if common.json {
        return print_json(&json!(view));
    }
    print(&describe(&view, now))
}

fn describe(view: &AccessView, now: Timestamp) -> String {
    let mut out = format!("{}\n", heading(&view.subject));
    if view.is_erased {
        out.push_str("Erased.\n");
    }
    for governor in &view.governors {
        let say = match governor.authority {
            "full" => "governs it: its managers decide who has access",
            "revoke_only" => "may end access to it: its managers, whether they read it or not",
            _ => "has no say in it",
        };
        out.push_str(&format!("{} {say}.\n", heading(&governor.subject)));
    }
    if !view.is_readable && matches!(view.subject.kind, "case" | "section") {
        out.push_str("It is closed to you. End somebody's access with: vereda revoke ID PERSON\n");
    }
    out.push_str(&describe_people(view));
    out.push_str(&describe_grants(view, now));
    let mut invites = Table::new(&["OPEN INVITE", "ROLE", "UNTIL"]);
    for invite in &view.invites {
        invites.row([short(&invite.invite), invite.role.to_owned(), until(invite.expires, now)]);
    }
    if !invites.is_empty() {
        out.push_str(&format!("\n{}", invites.render()));
    }
    if !view.pending.is_empty() {
        out.push_str(&format!("\n{}", describe_decisions(&view.pending, now)));
    }
    for section in &view.sections {
        out.push_str(&format!("\n{}", describe(section, now)));
    }
    for section in &view.closed_sections {
        out.push_str(&format!("\n{}\nIt is closed to you; who has access, its members know.\n", heading(section)));
    }
    if !view.governs.is_empty() {
        let sections: Vec<String> = view.governs.iter().map(|section| short(&section.id)).collect();
        out.push_str(&format!(
            "\nSections closed to you, to which the managers may end access: {}\n",
            sections.join(", ")
        ));
    }
    out
}

/// The people of all roles, each person once, with the way that lets him do most.
fn describe_people(view: &AccessView) -> String {
    let mut table = Table::folding(&["PERSON", "ROLE", "THROUGH", "SINCE", "LET IN BY"]);
    let mut shown = std::collections::BTreeSet::new();
    for role in ["manager", "editor", "reader"] {
        for entry in view.entries.iter().filter(|entry| !entry.has_expired) {
            for person in entry.people.iter().filter(|person| person.role == role) {
                if shown.insert(person.user) {
                    table.row([
                        person.name.clone().map_or_else(|| short(&person.user), |name| one_line(&name)),
                        role.to_owned(),
                        person.through.last().map_or_else(|| "herself or himself".to_owned(), who),
                        person.since.map_or_else(|| "not yet sent".to_owned(), moment),
                        name(person.by.name.clone()),
                    ]);
                }
            }
        }
    }
    if table.is_empty() { String::new() } else { format!("\n{}", table.render()) }
}

fn describe_grants(view: &AccessView, now: Timestamp) -> String {
    let mut table = Table::folding(&["GRANTED TO", "ROLE", "BY", "SINCE", "UNTIL", "WHY"]);
    for entry in &view.entries {
        let until = match entry.until {
            Some(end) if entry.has_expired => format!("{}, over", moment(end)),
            Some(end) => until(end, now),
            None => String::new(),
        };
        let why = if entry.is_purpose_closed { "(sealed)".to_owned() } else { why(&entry.purpose, &entry.consent) };
        let by = format!("{} of {}", entry.by_way_of, name(entry.by.name.clone()));
        let since = entry.since.map_or_else(|| "not yet sent".to_owned(), moment);
        let to = if entry.subject.kind == "person" { who(&entry.subject) } else { heading(&entry.subject) };
        table.row([to, entry.role.to_owned(), by, since, until, why]);
    }
    format!("\n{}", table.render())
}

/// A moment to come, with the days until then.
fn until(end: Timestamp, now: Timestamp) -> String {
    let hours = end.0.saturating_sub(now.0).max(0) / 3_600_000;
    let left = match hours {
        0..48 => count(usize::try_from(hours).unwrap_or_default(), "hour"),
        _ => count(usize::try_from(hours / 24).unwrap_or_default(), "day"),
    };
    format!("{} ({left} left)", moment(end))
}

fn why(purpose: &Option<String>, consent: &Option<String>) -> String {
    match (purpose, consent) {
        (purpose, Some(consent)) => format!("{} [{consent}]", purpose.clone().unwrap_or_default()),
        (purpose, None) => purpose.clone().unwrap_or_default(),
    }
}

fn pending(common: &Common) -> Outcome {
    let opened = Opened::open(common)?;
    let (decisions, now) =
        opened.device().with(|device, ambient| Ok::<_, Fault>((device.decisions()?, ambient.now.wall)))?;
    opened.close()?;
    if common.json {
        return print_json(&json!({"decisions": decisions}));
    }
    if decisions.is_empty() {
        return print_line("Every decision of this device is final.");
    }
    print(&describe_decisions(&decisions, now))?;
    if decisions.iter().any(|decision| decision.reason.is_some()) {
        note("Put a refused one away with: vereda policy dismiss NUMBER");
    }
    Ok(())
}

fn describe_decisions(decisions: &[DecisionView], now: Timestamp) -> String {
    let mut table = Table::folding(&["DECISION", "WHAT", "WHERE", "WHOM", "STATE"]);
    for decision in decisions {
        let place = decision.name.clone().map_or_else(|| short(&decision.chain), |name| one_line(&name));
        let whom = match (&decision.subject_name, &decision.subject) {
            (Some(name), _) => one_line(name),
            (None, Some(subject)) => short(subject),
            (None, None) => String::new(),
        };
        let what = decision.role.map_or_else(
            || decision.action.replace('_', " "),
            |role| format!("{}, {role}", decision.action.replace('_', " ")),
        );
        let state = match &decision.reason {
            Some(reason) => format!("refused: {reason}"),
            None => {
                let state = decision.waits.map_or_else(|| word_of(&decision.state), |why| format!("put off: {why}"));
                let mut parts = vec![state];
                parts.extend(decision.until.map(|end| format!("until {}", until(end, now))));
                parts.push(why(&decision.purpose, &decision.consent));
                parts.retain(|part| !part.is_empty());
                parts.join("; ")
            }
        };
        table.row([decision.decision.to_string(), what, place, whom, state]);
    }
    table.render()
}

fn heading(subject: &SubjectView) -> String {
    let kind = match subject.kind {
        "person" => "Person",
        "team" => "Team",
        "agency" => "Agency",
        "case" => "Case",
        "section" => "Section",
        "document" => "Document",
        _ => "Somebody unknown here:",
    };
    match (&subject.name, subject.kind) {
        // Titles are not unique, and commands take the id.
        (Some(name), "case" | "section") => format!("{kind} {} {}", short(&subject.id), one_line(name)),
        _ => format!("{kind} {}", who(subject)),
    }
}

fn who(subject: &SubjectView) -> String {
    subject.name.as_deref().map_or_else(|| short(&subject.id), one_line)
}
