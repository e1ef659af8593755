//! Whether everything became of the three days that must: every value, every conflict, every step of every history.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use serde_json::{Value as Json, json};
use vereda_records::Configuration;

use super::{
    agency::{BILAL, Team, text},
    caseload::Caseload,
    leaf::{Leaf, Leaves, label, leaves},
    ledger::{Conflict, Ledger, Outcome},
    person::{CAST, Person},
    reunion::each,
    short,
    stage::Stage,
};

/// What was found.
#[derive(Default)]
pub struct Reckoning {
    /// Cases in which people wrote.
    pub edited: usize,
    /// Of them, those in which more than one wrote.
    pub together: usize,
    /// Edits that ended in no conflict.
    pub merged: usize,
    /// Texts that several wrote in and that hold what all wrote.
    pub woven: usize,
    /// Every conflict.
    pub conflicts: Vec<Told>,
    /// Steps of histories that were compared.
    pub steps: usize,
    /// Cases that those outside their team know nothing of.
    pub unknown: usize,
    /// What is not as it must be.
    pub broken: Vec<String>,
}

/// A conflict as it is told.
pub struct Told {
    /// The case.
    pub case: String,
    /// Where in it.
    pub place: String,
    /// The field's label.
    pub label: String,
    /// Who answered differently.
    pub people: Vec<&'static str>,
    /// One of the answers, where it is a plain text.
    pub answer: Option<String>,
}

/// Conflicts by case and place, as a device lists them.
type Listed = BTreeMap<(String, String), Conflict>;

/// Compares what the devices show with what must be.
///
/// # Errors
/// When a device does not answer.
pub fn reckon(
    stage: &mut Stage,
    teams: &[Team],
    configuration: &Configuration,
    caseload: &Caseload,
    ledger: &Ledger,
) -> Result<Reckoning> {
    let mut found = Reckoning::default();
    let listed = each(&mut stage.people, conflicts_of)?;
    let mut due: Vec<Listed> = stage.people.iter().map(|_| Listed::new()).collect();
    for (team, cases) in teams.iter().zip(&caseload.cases) {
        for (number, (case, base)) in cases.iter().enumerate() {
            let base = leaves(configuration, base);
            let outcome = ledger.outcome(case, &base);
            // Another device each time: all are equal, as their digests say.
            let reader = team.people.get(number % team.people.len()).copied().context("a team without people")?;
            let person = stage.people.get_mut(reader).context("nobody")?;
            let shown = leaves(configuration, &person.show(configuration, case)?);
            check_values(&mut found, case, &outcome, &base, &shown);
            check_texts(&mut found, ledger, case, &outcome, &shown);
            if ledger.people_in(case) > 0 {
                found.edited += 1;
                found.together += usize::from(ledger.people_in(case) > 1);
                check_history(&mut found, person, ledger, case)?;
            }
            for (place, conflict) in outcome.conflicts {
                let names = conflict.people.iter().filter_map(|&person| CAST.get(person)).map(|role| role.first);
                let answers = conflict.values.iter().filter_map(|value| serde_json::from_str::<String>(value).ok());
                found.conflicts.push(Told {
                    case: case.clone(),
                    place: place.clone(),
                    label: label(configuration, &place),
                    people: names.collect(),
                    answer: answers.min_by_key(|answer| (!answer.is_ascii(), answer.len())),
                });
                for &person in team.people {
                    let copy = Conflict { values: conflict.values.clone(), people: conflict.people.clone() };
                    due.get_mut(person).context("nobody")?.insert((case.clone(), place.clone()), copy);
                }
            }
        }
    }
    let all: BTreeSet<(String, String)> = due.iter().flat_map(|due| due.keys().cloned()).collect();
    found.merged = ledger.edits_beside(|case, place| all.contains(&(case.to_owned(), place.to_owned())));
    for ((role, due), listed) in CAST.iter().zip(&due).zip(&listed) {
        check_conflicts(&mut found, role.first, due, listed);
    }
    check_unknown(&mut found, stage, teams, caseload)?;
    Ok(found)
}

fn check_values(found: &mut Reckoning, case: &str, outcome: &Outcome, base: &Leaves, shown: &Leaves) {
    for (place, value) in &outcome.settled {
        let is_right = match (shown.get(place), value) {
            (None, Json::Null | Json::Bool(false)) => true,
            (Some(leaf), value) => leaf.plain() == *value,
            (None, _) => false,
        };
        if !is_right {
            found.broken.push(format!("{} does not hold at {place} what was written there", short(case)));
        }
    }
    for (place, conflict) in &outcome.conflicts {
        let value = shown.get(place).map_or(Json::Null, Leaf::plain).to_string();
        // A code that is not picked any more shows as nothing.
        let is_unpicked = value == "null" && conflict.values.contains("false");
        if !is_unpicked && !conflict.values.contains(&value) {
            found.broken.push(format!("{} shows at {place} what nobody wrote there", short(case)));
        }
    }
    let known = |place: &&String| {
        base.contains_key(*place)
            || outcome.settled.contains_key(*place)
            || outcome.conflicts.contains_key(*place)
            || outcome.woven.contains(*place)
    };
    for place in shown.keys().filter(|place| !known(place)) {
        found.broken.push(format!("{} holds something at {place}, where nobody wrote", short(case)));
    }
}

fn check_texts(found: &mut Reckoning, ledger: &Ledger, case: &str, outcome: &Outcome, shown: &Leaves) {
    let texts: Vec<&String> =
        shown.values().filter_map(|leaf| if let Leaf::Text(text) = leaf { Some(text) } else { None }).collect();
    for added in ledger.texts_of(case) {
        if !texts.iter().any(|text| text.contains(added)) {
            found.broken.push(format!("{} lacks a sentence that was added to a note", short(case)));
        }
    }
    found.woven += outcome.woven.len();
}

/// Every value that a person wrote must stand in the history under the person's name, in order.
fn check_history(found: &mut Reckoning, person: &mut Person, ledger: &Ledger, case: &str) -> Result<()> {
    let answer = person.call(json!({"do": "case.history", "case": case}))?;
    let mut history: BTreeMap<(String, String), Vec<&Json>> = BTreeMap::new();
    for step in answer.get("history").and_then(Json::as_array).into_iter().flatten() {
        let author = step.pointer("/author/name").and_then(Json::as_str).unwrap_or_default();
        let value = step.get("value").unwrap_or(&Json::Null);
        history.entry((author.to_owned(), text(step, "place")?)).or_default().push(value);
    }
    for (writer, place, values) in ledger.writes_of(case) {
        let role = CAST.get(writer).context("nobody")?;
        let steps = history.get(&(role.name.to_owned(), place.clone())).map(Vec::as_slice).unwrap_or_default();
        if !steps.ends_with(&values.iter().collect::<Vec<_>>()) {
            found.broken.push(format!("the history of {} lacks at {place} what {} wrote", short(case), role.first));
        }
        found.steps += values.len();
    }
    Ok(())
}

fn check_conflicts(found: &mut Reckoning, name: &str, due: &Listed, listed: &Listed) {
    for ((case, place), conflict) in due {
        match listed.get(&(case.clone(), place.clone())) {
            Some(other) if other == conflict => {}
            Some(_) => found
                .broken
                .push(format!("{name}'s device lists other values in conflict at {place} of {}", short(case))),
            None => found.broken.push(format!("{name}'s device lists no conflict at {place} of {}", short(case))),
        }
    }
    for (case, place) in listed.keys().filter(|key| !due.contains_key(*key)) {
        found
            .broken
            .push(format!("{name}'s device lists a conflict at {place} of {} where there is none", short(case)));
    }
}

/// Who is not in a team knows nothing of its cases.
fn check_unknown(found: &mut Reckoning, stage: &mut Stage, teams: &[Team], caseload: &Caseload) -> Result<()> {
    for (team, cases) in teams.iter().zip(&caseload.cases).filter(|(team, _)| !team.people.contains(&BILAL)) {
        let person = stage.people.get_mut(BILAL).context("nobody")?;
        for case in cases.keys() {
            let session = person.session()?;
            let id = session.send(json!({"do": "case.show", "case": case}))?;
            let answer = session.answer(id)?;
            if answer.get("code").and_then(Json::as_str) == Some("not_found") {
                found.unknown += 1;
            } else {
                let name = person.role.first;
                found.broken.push(format!(
                    "{name}'s device knows {} of the {}, which {name} is not in",
                    short(case),
                    team.name
                ));
            }
        }
    }
    for (index, person) in stage.people.iter_mut().enumerate() {
        let own = teams.iter().zip(&caseload.cases).filter(|(team, _)| team.people.contains(&index));
        let due: BTreeSet<&str> = own.flat_map(|(_, cases)| cases.keys()).map(String::as_str).collect();
        let answer = person.call(json!({"do": "case.list"}))?;
        let cases = answer.get("cases").and_then(Json::as_array).into_iter().flatten();
        let listed: BTreeSet<&str> = cases.filter_map(|line| line.get("case")?.as_str()).collect();
        if listed != due {
            found
                .broken
                .push(format!("{}'s device lists other cases than those of the person's teams", person.role.first));
        }
    }
    Ok(())
}

fn conflicts_of(person: &mut Person) -> Result<Listed> {
    let answer = person.call(json!({"do": "case.conflicts"}))?;
    let mut listed = Listed::new();
    for view in answer.get("conflicts").and_then(Json::as_array).into_iter().flatten() {
        let mut conflict = Conflict::default();
        for value in view.get("values").and_then(Json::as_array).into_iter().flatten() {
            conflict.values.insert(value.get("value").unwrap_or(&Json::Null).to_string());
            let author = value.pointer("/author/name").and_then(Json::as_str);
            conflict.people.extend(CAST.iter().position(|role| Some(role.name) == author));
        }
        listed.insert((text(view, "case")?, text(view, "place")?), conflict);
    }
    Ok(listed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(leaves: &[(&str, Json)]) -> Leaves {
        leaves.iter().map(|(place, value)| ((*place).to_owned(), Leaf::Whole(value.clone()))).collect()
    }

    fn conflict(values: [&str; 2]) -> Conflict {
        Conflict { values: values.map(|value| format!("{value:?}")).into(), people: [0, 1].into() }
    }

    #[test]
    fn a_value_that_is_missing_other_or_nobodys_is_found() {
        let check = |leaves: &[(&str, Json)], broken: usize| {
            let mut found = Reckoning::default();
            let mut outcome = Outcome::default();
            outcome.settled.extend([("a".to_owned(), json!("x")), ("gone".to_owned(), Json::Null)]);
            outcome.conflicts.insert("b".to_owned(), conflict(["y", "z"]));
            check_values(&mut found, "0123456789", &outcome, &Leaves::new(), &shown(leaves));
            assert_eq!(found.broken.len(), broken, "{:?}", found.broken);
        };
        check(&[("a", json!("x")), ("b", json!("z"))], 0);
        check(&[("a", json!("y")), ("b", json!("z"))], 1);
        check(&[("b", json!("z"))], 1);
        check(&[("a", json!("x")), ("b", json!("x"))], 1);
        check(&[("a", json!("x")), ("b", json!("y")), ("gone", json!("x"))], 1);
        check(&[("a", json!("x")), ("b", json!("y")), ("c", json!("x"))], 1);
    }

    #[test]
    fn a_conflict_that_is_missing_other_or_too_many_is_found() {
        let list = |conflicts: &[(&str, [&str; 2])]| -> Listed {
            let one = |(place, values): &(&str, [&str; 2])| (("c".to_owned(), (*place).to_owned()), conflict(*values));
            conflicts.iter().map(one).collect()
        };
        let check = |listed: &[(&str, [&str; 2])], broken: usize| {
            let mut found = Reckoning::default();
            check_conflicts(&mut found, "Amina", &list(&[("a", ["x", "y"])]), &list(listed));
            assert_eq!(found.broken.len(), broken, "{:?}", found.broken);
        };
        check(&[("a", ["x", "y"])], 0);
        check(&[], 1);
        check(&[("a", ["x", "z"])], 1);
        check(&[("a", ["x", "y"]), ("b", ["x", "y"])], 1);
    }
}
