//! An agency of two teams, formed by invite links.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::{Value as Json, json};
use vereda_records::Configuration;

use super::{person::CAST, stage::Stage};

/// Leads both teams.
pub const AMINA: usize = 0;
/// Works in North.
pub const BILAL: usize = 1;
/// Works in South and helps out in North.
pub const CARMEN: usize = 2;

/// The agency's name.
pub const AGENCY: &str = "Demonstration Agency for Children";

/// A team: who is in it, and what it is called on the relay.
pub struct Team {
    /// Its name.
    pub name: &'static str,
    /// Its id.
    pub id: String,
    /// Its people, by their place in the cast.
    pub people: &'static [usize],
}

/// Founds the agency and its teams and brings everybody in.
///
/// # Errors
/// When somebody is refused, or not let in in time.
pub fn form(stage: &mut Stage) -> Result<Vec<Team>> {
    let founding = stage.founding_link(AMINA)?;
    let amina = amina(stage)?;
    amina.call(json!({"do": "agency.create", "founding": founding, "name": AGENCY, "person": CAST[AMINA].name}))?;
    let mut teams = vec![
        Team { name: "North team", id: String::new(), people: &[AMINA, BILAL, CARMEN] },
        Team { name: "South team", id: String::new(), people: &[AMINA, CARMEN] },
    ];
    for team in &mut teams {
        let made = amina.call(json!({"do": "team.create", "name": team.name}))?;
        team.id = text(&made, "team")?;
    }
    amina.sync()?;
    for (person, team) in [(BILAL, 0), (CARMEN, 1), (CARMEN, 0)] {
        let team = teams.get(team).context("no team")?;
        join(stage, person, team)?;
    }
    Ok(teams)
}

/// What applying the configuration came to.
#[derive(Debug)]
pub struct Applied {
    /// The configuration in force.
    pub configuration: Configuration,
    /// What was taken: the key of the account, the number, its noun.
    pub taken: Vec<(&'static str, usize, &'static str)>,
    /// Every loss or doubt: where, and why.
    pub losses: Vec<(String, String)>,
}

/// Where the forms come from.
#[derive(Debug, Clone)]
pub enum Source {
    /// The starter configuration for child protection.
    Starter,
    /// A configuration in the form that `vereda` writes.
    Own(PathBuf),
    /// An export of Primero's.
    Primero(PathBuf),
}

impl Source {
    /// Finds out what a file is.
    ///
    /// # Errors
    /// When it cannot be read or is no JSON.
    pub fn of(file: &Path) -> Result<Self> {
        let bytes = std::fs::read(file).with_context(|| format!("reading {}", file.display()))?;
        let json: Json = serde_json::from_slice(&bytes).with_context(|| format!("{} is no JSON", file.display()))?;
        let file = std::path::absolute(file)?;
        Ok(if json.get("forms").is_some_and(Json::is_array) { Self::Own(file) } else { Self::Primero(file) })
    }
}

/// Applies a configuration, and waits until every device has it.
///
/// # Errors
/// When the file cannot be used, or the configuration does not arrive.
pub fn configure(stage: &mut Stage, source: &Source) -> Result<Applied> {
    let request = match source {
        Source::Starter => json!({"do": "config.apply", "starter": true}),
        Source::Own(file) => json!({"do": "config.apply", "file": file}),
        Source::Primero(file) => json!({"do": "config.apply", "primero": file}),
    };
    let answer = amina(stage)?.call(request)?;
    let account = answer.get("account").cloned().unwrap_or_else(|| answer.clone());
    for person in &mut stage.people {
        person.sync()?;
    }
    let mut configurations = Vec::new();
    for person in &mut stage.people {
        let has_one = |shown: &Json| shown.pointer("/configuration/forms/0").is_some();
        let shown = person.until("the configuration", &json!({"do": "config.show", "full": true}), has_one)?;
        configurations.push(shown.get("configuration").cloned().unwrap_or_default());
    }
    let first = configurations.first().context("nobody has a configuration")?;
    ensure!(configurations.iter().all(|other| other == first), "the devices have different configurations");
    let configuration = Configuration::from_json(first.to_string().as_bytes())?;
    let nouns = [
        ("forms", "form"),
        ("fields", "field"),
        ("lookups", "lookup"),
        ("roles", "role"),
        ("agencies", "agency"),
        ("user_groups", "user group"),
        ("reports", "report"),
        ("contacts", "contact"),
    ];
    let number = |key: &str| account.get(key).and_then(Json::as_u64).and_then(|count| usize::try_from(count).ok());
    let taken = nouns.iter().filter_map(|(key, noun)| Some((*key, number(key)?, *noun))).collect();
    let losses = account.get("losses").and_then(Json::as_array).into_iter().flatten();
    let losses = losses.map(|loss| Ok((text(loss, "path")?, text(loss, "reason")?))).collect::<Result<_>>()?;
    Ok(Applied { configuration, taken, losses })
}

/// Reads a text of an answer.
///
/// # Errors
/// When there is none.
pub fn text(answer: &Json, key: &str) -> Result<String> {
    let found = answer.get(key).and_then(Json::as_str);
    Ok(found.with_context(|| format!("an answer without {key}"))?.to_owned())
}

fn join(stage: &mut Stage, person: usize, team: &Team) -> Result<()> {
    let role = CAST.get(person).context("nobody")?;
    let invite = json!({"do": "invite", "chain": team.id, "role": "editor", "hours": 48});
    let invite = text(&amina(stage)?.call(invite)?, "invite")?;
    let link_of = |answer: &Json| {
        let invites = answer.get("invites").and_then(Json::as_array)?;
        let own = invites.iter().find(|view| view.get("invite").and_then(Json::as_str) == Some(&invite))?;
        Some(own.get("link")?.as_str()?.to_owned())
    };
    let answer =
        amina(stage)?.until("the invite link", &json!({"do": "invites"}), |answer| link_of(answer).is_some())?;
    let link = stage.lead(&link_of(&answer).context("no link")?, AMINA, person)?;
    let joining = stage.people.get_mut(person).context("nobody")?;
    joining.call(json!({"do": "join", "link": link, "name": role.name}))?;
    joining.until(&format!("a place in {}", team.name), &json!({"do": "people"}), |answer| {
        let teams = answer.get("teams").and_then(Json::as_array).into_iter().flatten();
        let mut own = teams.filter(|team| team.get("is_own") == Some(&Json::Bool(true)));
        own.any(|own| own.get("team").and_then(Json::as_str) == Some(&team.id))
    })?;
    joining.until("the keys", &json!({"do": "status"}), |answer| {
        answer.get("membership").and_then(Json::as_str) == Some("member")
            && answer.get("settled") == Some(&Json::Bool(true))
            && answer.get("locked").and_then(Json::as_u64) == Some(0)
    })?;
    Ok(())
}

fn amina(stage: &mut Stage) -> Result<&mut super::person::Person> {
    stage.people.get_mut(AMINA).context("nobody plays Amina")
}
