//! `vereda policy`.

use clap::{Subcommand, ValueEnum};
use serde_json::json;
use vereda_client_core::access::{AccessView, DecisionView, RetentionKind, SubjectView};

use super::{Wait, decide, find_place};
use crate::{
    command::Common,
    fault::{Fault, Outcome},
    opened::Opened,
    output::{note, print, print_json, print_line},
    table::{Table, one_line},
    views::{moment, name, short, word_of},
};

/// Shows who has access to what, and how your decisions stand
#[derive(Debug, Subcommand)]
pub(crate) enum Policy {
    /// Shows who has access to a case or section, or belongs to a team
    ///
    /// In which role, by what, since and until when, why, and what is pending. A team is one
    /// row: who belongs to it, `vereda policy show TEAM` says.
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
#[derive(Debug, Clone, Copy, ValueEnum)]
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
            Self::Retention { what, days, wait } => decide(common, &wait, |device, ambient| {
                let kind = match what {
                    What::Review => RetentionKind::Review,
                    What::Beacon => RetentionKind::Beacon,
                };
                Ok(device.set_retention(ambient, kind, days)?)
            }),
        }
    }
}

fn show(common: &Common, id: &str) -> Outcome {
    let opened = Opened::open(common)?;
    let view = opened.device().with(|device, ambient| {
        let chain = find_place(device, id)?;
        Ok::<_, Fault>(device.who_has_access(&chain, ambient.now.wall)?)
    })?;
    opened.close()?;
    if common.json {
        return print_json(&json!(view));
    }
    print(&describe(&view))
}

fn describe(view: &AccessView) -> String {
    let mut out = format!("{}\n", heading(&view.subject));
    if view.is_erased {
        out.push_str("Erased.\n");
    }
    for governor in &view.governors {
        let say = match governor.authority {
            "full" => "governs it",
            "revoke_only" => "may end access to it",
            _ => "has no say in it",
        };
        out.push_str(&format!("{} {say}.\n", heading(&governor.subject)));
    }
    let mut table = Table::folding(&["WHO", "ROLE", "BY", "SINCE", "UNTIL", "WHY"]);
    for entry in &view.entries {
        let until = entry.until.map(moment).unwrap_or_default();
        let until = if entry.has_expired { format!("{until}, over") } else { until };
        let why = match (&entry.purpose, &entry.consent) {
            _ if entry.is_purpose_closed => "(sealed)".to_owned(),
            (purpose, Some(consent)) => format!("{} [{consent}]", purpose.clone().unwrap_or_default()),
            (purpose, None) => purpose.clone().unwrap_or_default(),
        };
        let by = format!("{} of {}", entry.by_way_of, name(entry.by.name.clone()));
        let since = entry.since.map_or_else(|| "not yet sent".to_owned(), moment);
        table.row([who(&entry.subject), entry.role.to_owned(), by, since, until, why]);
    }
    out.push_str(&table.render());
    let mut invites = Table::new(&["OPEN INVITE", "ROLE", "UNTIL"]);
    for invite in &view.invites {
        invites.row([short(&invite.invite), invite.role.to_owned(), moment(invite.expires)]);
    }
    if !invites.is_empty() {
        out.push_str(&format!("\n{}", invites.render()));
    }
    if !view.pending.is_empty() {
        out.push_str(&format!("\n{}", describe_decisions(&view.pending)));
    }
    for section in &view.sections {
        out.push_str(&format!("\nSection of it: {}", describe(section)));
    }
    out
}

fn pending(common: &Common) -> Outcome {
    let opened = Opened::open(common)?;
    let decisions = opened.device().with(|device, _| device.decisions())?;
    opened.close()?;
    if common.json {
        return print_json(&json!({"decisions": decisions}));
    }
    if decisions.is_empty() {
        return print_line("Every decision of this device is final.");
    }
    print(&describe_decisions(&decisions))?;
    if decisions.iter().any(|decision| decision.reason.is_some()) {
        note("Put a refused one away with: vereda policy dismiss NUMBER");
    }
    Ok(())
}

fn describe_decisions(decisions: &[DecisionView]) -> String {
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
            None => decision.waits.map_or_else(|| word_of(&decision.state), |why| format!("put off: {why}")),
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
        "document" => "Document",
        _ => "Somebody unknown here:",
    };
    format!("{kind} {}", who(subject))
}

fn who(subject: &SubjectView) -> String {
    subject.name.as_deref().map_or_else(|| short(&subject.id), one_line)
}
