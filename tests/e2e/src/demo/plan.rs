//! What each person will write in three days without a network: drawn before anybody begins, so that what must come of
//! it is known.

use anyhow::{Context, Result};
use vereda_records::{
    Configuration, Edit, FieldPath, Record, Rule, Value,
    edit::apply,
    sample::{Generator, LATEST_DAY},
    validate,
};

use super::{
    agency::Team,
    caseload::{Caseload, whole_places},
    dice::Dice,
    ledger::Ledger,
    person::Person,
};

/// Days without a network.
pub const DAYS: usize = 3;
/// How often an edit is drawn again that the case does not allow.
const TRIES: usize = 40;

/// An edit that somebody will make.
#[derive(Debug, Clone)]
pub struct Planned {
    /// The case.
    pub case: String,
    /// The edit.
    pub edit: Edit,
}

/// The edits of one person, day by day.
pub type Days = [Vec<Planned>; DAYS];

/// A place at which a person will write a value of his own.
struct Contested {
    person: usize,
    case: String,
    path: FieldPath,
    value: Value,
}

/// Draws three days of everybody, and enters into the ledger what must come of them.
///
/// # Errors
/// When there is nothing to work on.
pub fn draw(
    people: &[Person],
    teams: &[Team],
    caseload: &Caseload,
    configuration: &Configuration,
    seed: u64,
    ledger: &mut Ledger,
) -> Result<Vec<Days>> {
    let mut dice = Dice::new(seed);
    let total: usize = caseload.cases.iter().map(std::collections::BTreeMap::len).sum();
    let edits_a_day = (total * 2 / 5).max(6);
    let contested = contest(&mut dice, teams, caseload);
    let mut all = Vec::new();
    for (index, person) in people.iter().enumerate() {
        let mut generator = Generator::new(seed.wrapping_add(1 + index as u64));
        let mut own: Vec<&Contested> = contested.iter().filter(|one| one.person == index).collect();
        dice.shuffle(&mut own);
        let mut cases = person.cases.clone();
        // The same half of the cases sees everybody's work, so that overlaps are many.
        let busy = caseload.order.iter().flat_map(|order| order.iter().step_by(2));
        let ids: Vec<String> = busy.filter(|case| cases.contains_key(*case)).cloned().collect();
        let mut days = Days::default();
        for (day, edits) in days.iter_mut().enumerate() {
            let mut slots: Vec<Option<&Contested>> = (0..edits_a_day).map(|_| None).collect();
            slots.extend(own.iter().skip(day).step_by(DAYS).map(|one| Some(*one)));
            dice.shuffle(&mut slots);
            for slot in slots {
                let case = match slot {
                    Some(one) => one.case.clone(),
                    None => dice.pick(&ids).context("a person without cases")?.clone(),
                };
                let record = cases.get_mut(&case).context("a case that the person has not")?;
                let edit = match slot {
                    Some(one) => {
                        let edit = Edit::Set { path: one.path.clone(), value: one.value.clone() };
                        fits(configuration, record, edit)
                    }
                    None => (0..TRIES).find_map(|_| fits(configuration, record, generator.edit(configuration, record))),
                };
                let Some((edit, after)) = edit else { continue };
                ledger.enter(configuration, index, &case, &edit, record, &after);
                *record = after;
                edits.push(Planned { case, edit });
            }
        }
        all.push(days);
    }
    Ok(all)
}

/// Applies an edit, where that breaks no rule and changes something.
fn fits(configuration: &Configuration, record: &Record, edit: Edit) -> Option<(Edit, Record)> {
    let mut after = record.clone();
    apply(&mut after, &edit).ok()?;
    if after == *record {
        return None;
    }
    let known = validate(configuration, record, LATEST_DAY);
    let mut violations = validate(configuration, &after, LATEST_DAY).into_iter();
    let broken = violations.any(|violation| violation.rule != Rule::Required && !known.contains(&violation));
    (!broken).then_some((edit, after))
}

/// Chooses cases, a place in each, and two or three people who will write different values there.
fn contest(dice: &mut Dice, teams: &[Team], caseload: &Caseload) -> Vec<Contested> {
    let mut contested = Vec::new();
    for ((team, cases), order) in teams.iter().zip(&caseload.cases).zip(&caseload.order) {
        let mut ids: Vec<&String> = order.iter().collect();
        dice.shuffle(&mut ids);
        let many = (cases.len() / 6).max(2);
        for (number, case) in ids.into_iter().take(many).enumerate() {
            let Some(record) = cases.get(case) else { continue };
            let mut people = team.people.to_vec();
            // Every second time one of three keeps out.
            if people.len() > 2 && number % 2 == 1 {
                people.remove(dice.below(people.len()));
            }
            let places = whole_places(record);
            let Some((path, values)) = (0..TRIES).find_map(|_| {
                let path = dice.pick(&places)?;
                let values = different(dice, caseload, record, path, people.len())?;
                Some((path.clone(), values))
            }) else {
                continue;
            };
            contested.extend(people.into_iter().zip(values).map(|(person, value)| Contested {
                person,
                case: case.clone(),
                path: path.clone(),
                value,
            }));
        }
    }
    contested
}

/// Picks values for a place, different from one another and from what stands there.
fn different(
    dice: &mut Dice,
    caseload: &Caseload,
    record: &Record,
    path: &FieldPath,
    count: usize,
) -> Option<Vec<Value>> {
    // Closing a case asks for more answers than one.
    if path.field == "status" {
        return None;
    }
    let known = caseload.answers.get(&(path.field.clone(), path.subfield.clone()))?;
    let mut others: Vec<&Value> = known.iter().filter(|value| record.at(path) != Some(*value)).collect();
    dice.shuffle(&mut others);
    (others.len() >= count).then(|| others.into_iter().take(count).cloned().collect())
}
