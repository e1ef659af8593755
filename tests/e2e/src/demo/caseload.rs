//! The cases: drawn, registered by those who work on them, and on every device that may see them.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value as Json, json};
use vereda_records::{Configuration, FieldPath, Record, Value, json::write, sample::Generator};

use super::{
    agency::{Team, text},
    leaf::leaves,
    person::Person,
    screen::Screen,
    stage::Stage,
};

/// A case to be registered.
struct Draft {
    number: usize,
    team: usize,
    record: Record,
}

/// What was registered.
pub struct Caseload {
    /// The cases of each team, as they were drawn, by their ids.
    pub cases: Vec<BTreeMap<String, Record>>,
    /// The ids of each team's cases in the order in which they were drawn, which is the same for equal seeds.
    pub order: Vec<Vec<String>>,
    /// Answers that were drawn for a field somewhere: what people might write there too.
    pub answers: BTreeMap<(String, Option<String>), Vec<Value>>,
}

impl Caseload {
    /// All cases.
    pub fn all(&self) -> impl Iterator<Item = (&String, &Record)> {
        self.cases.iter().flatten()
    }
}

/// Draws cases, seven of ten for the first team, and registers them through the people of their teams in turn.
///
/// # Errors
/// When a case is refused or differs from what was registered.
pub fn register(
    screen: &Screen,
    stage: &mut Stage,
    teams: &[Team],
    configuration: &Configuration,
    cases: usize,
    seed: u64,
) -> Result<Caseload> {
    let mut generator = Generator::new(seed);
    let mut drafts: Vec<Vec<Draft>> = stage.people.iter().map(|_| Vec::new()).collect();
    let mut answers = BTreeMap::new();
    for index in 0..cases {
        let team = usize::from(index % 10 >= 7);
        let record = generator.case(configuration);
        collect(&mut answers, &record);
        let people = teams.get(team).context("no team")?.people;
        let person = people.get(index % people.len()).copied().context("a team without people")?;
        drafts.get_mut(person).context("nobody")?.push(Draft { number: index, team, record });
    }
    let done = AtomicUsize::new(0);
    let lines: Vec<_> = stage.people.iter().map(|person| person.line.share()).collect();
    let picture = || {
        let bytes: u64 = lines.iter().map(|line| line.bytes()).map(|(up, down)| up + down).sum();
        let done = done.load(Ordering::Relaxed);
        format!("registering: {done} of {cases} cases, {} on the wire", super::screen::bytes(bytes))
    };
    let mut registered = screen.watch(picture, || {
        thread::scope(|scope| {
            let working: Vec<_> = stage
                .people
                .iter_mut()
                .zip(drafts)
                .map(|(person, drafts)| scope.spawn(|| enter(person, teams, configuration, drafts, &done)))
                .collect();
            let mut all = Vec::new();
            for thread in working {
                all.extend(thread.join().map_err(|_| anyhow::anyhow!("registering stopped by a defect"))??);
            }
            Ok(all)
        })
    })?;
    let mut caseload = Caseload {
        cases: teams.iter().map(|_| BTreeMap::new()).collect(),
        order: teams.iter().map(|_| Vec::new()).collect(),
        answers,
    };
    registered.sort_by_key(|(number, ..)| *number);
    for (_, team, case, record) in registered {
        caseload.order.get_mut(team).context("no team")?.push(case.clone());
        caseload.cases.get_mut(team).context("no team")?.insert(case, record);
    }
    Ok(caseload)
}

/// Waits until every device has the cases of its teams, and reads what it shows.
///
/// # Errors
/// When a case is missing on a device or differs from what was registered.
pub fn spread(
    screen: &Screen,
    stage: &mut Stage,
    teams: &[Team],
    configuration: &Configuration,
    caseload: &Caseload,
) -> Result<()> {
    let due: usize = teams.iter().zip(&caseload.cases).map(|(team, cases)| team.people.len() * cases.len()).sum();
    let done = AtomicUsize::new(0);
    let picture = || format!("on the devices: {} of {due}", done.load(Ordering::Relaxed));
    screen.watch(picture, || {
        for person in &mut stage.people {
            person.sync()?;
        }
        thread::scope(|scope| {
            let mut working = Vec::new();
            for (index, person) in stage.people.iter_mut().enumerate() {
                let own = teams.iter().zip(&caseload.cases).filter(move |(team, _)| team.people.contains(&index));
                let cases: Vec<_> = own.flat_map(|(_, cases)| cases).collect();
                working.push(scope.spawn(|| receive(person, configuration, cases, &done)));
            }
            for thread in working {
                thread.join().map_err(|_| anyhow::anyhow!("reading stopped by a defect"))??;
            }
            Ok(())
        })
    })
}

fn enter(
    person: &mut Person,
    teams: &[Team],
    configuration: &Configuration,
    drafts: Vec<Draft>,
    done: &AtomicUsize,
) -> Result<Vec<(usize, usize, String, Record)>> {
    let mut entered = Vec::new();
    for Draft { number, team, record } in drafts {
        let id = &teams.get(team).context("no team")?.id;
        let fields = write(configuration, &record).get("fields").cloned().unwrap_or_default();
        let answer = person.call(json!({"do": "case.create", "team": id, "fields": fields}))?;
        entered.push((number, team, text(&answer, "case")?, record));
        done.fetch_add(1, Ordering::Relaxed);
    }
    Ok(entered)
}

fn receive(
    person: &mut Person,
    configuration: &Configuration,
    cases: Vec<(&String, &Record)>,
    done: &AtomicUsize,
) -> Result<()> {
    let is_whole =
        |answer: &Json| answer.get("cases").and_then(Json::as_array).is_some_and(|listed| listed.len() == cases.len());
    person.until("the cases", &json!({"do": "case.list"}), is_whole)?;
    for (case, drawn) in cases {
        let shown = person.show(configuration, case)?;
        ensure!(
            leaves(configuration, &shown) == leaves(configuration, drawn),
            "case {} differs on {}'s device from what was registered",
            super::short(case),
            person.role.first
        );
        person.cases.insert(case.clone(), shown);
        done.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// Collects the answers that are replaced as a whole.
fn collect(answers: &mut BTreeMap<(String, Option<String>), Vec<Value>>, record: &Record) {
    let mut take = |field: &str, subfield: Option<&str>, value: &Value| {
        let is_whole = matches!(
            value,
            Value::Text(_) | Value::Integer(_) | Value::Date(_) | Value::Choice(_) | Value::Location(_)
        );
        if is_whole {
            let known = answers.entry((field.to_owned(), subfield.map(str::to_owned))).or_default();
            if !known.contains(value) {
                known.push(value.clone());
            }
        }
    };
    for (name, value) in &record.fields {
        take(name, None, value);
        for entry in record.entries(name) {
            for (inner, value) in &entry.fields {
                take(name, Some(inner), value);
            }
        }
    }
}

/// Lists the places of a record whose answers are replaced as a whole, in the record and in its entries.
pub fn whole_places(record: &Record) -> Vec<FieldPath> {
    let mut answers = BTreeMap::new();
    collect(&mut answers, record);
    let mut places = Vec::new();
    for (field, subfield) in answers.into_keys() {
        match subfield {
            None => places.push(FieldPath::field(field)),
            Some(subfield) => {
                let holding = record.entries(&field).iter().filter(|entry| entry.fields.contains_key(&subfield));
                places.extend(holding.map(|entry| FieldPath::within(&field, entry.id, &subfield)));
            }
        }
    }
    places
}
