//! Three days without a network, and a process that is killed in the middle of the second.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value as Json, json};
use vereda_records::{Configuration, Record, edit::apply};

use super::{
    leaf::leaves,
    person::Person,
    plan::{Days, Planned},
    screen::Screen,
    stage::Stage,
};

/// Edits that are under way at a time.
const WINDOW: usize = 8;

/// What became of the process that was killed.
#[derive(Debug, Clone, Copy)]
pub struct Killed {
    /// Edits of that day that it had acknowledged.
    pub acknowledged: usize,
    /// Edits of that day found after it was opened again.
    pub found: usize,
}

/// Lets everybody work the days of their plan; the process of `victim` is killed on the second day.
///
/// # Errors
/// When an edit is refused, or something acknowledged is missing.
pub fn pass(
    screen: &Screen,
    stage: &mut Stage,
    plans: &[Days],
    configuration: &Configuration,
    victim: usize,
) -> Result<Killed> {
    let total: usize = plans.iter().flatten().map(Vec::len).sum();
    let done = AtomicUsize::new(0);
    let picture = || format!("working: {} of {total} edits", done.load(Ordering::Relaxed));
    screen.watch(picture, || {
        thread::scope(|scope| {
            let done = &done;
            let mut working = Vec::new();
            for (index, (person, days)) in stage.people.iter_mut().zip(plans).enumerate() {
                working.push(scope.spawn(move || work(person, days, configuration, index == victim, done)));
            }
            let mut killed = None;
            for thread in working {
                let one = thread.join().map_err(|_| anyhow::anyhow!("working stopped by a defect"))??;
                killed = killed.or(one);
            }
            killed.context("nobody's process was killed")
        })
    })
}

fn work(
    person: &mut Person,
    days: &Days,
    configuration: &Configuration,
    is_victim: bool,
    done: &AtomicUsize,
) -> Result<Option<Killed>> {
    let mut killed = None;
    for (day, edits) in days.iter().enumerate() {
        let mut rest = edits.as_slice();
        if is_victim && day == 1 {
            let outcome = be_killed(person, edits, configuration, done)?;
            rest = edits.get(outcome.found..).unwrap_or_default();
            killed = Some(outcome);
        }
        write(person, rest, rest.len(), done)?;
        keep(person, rest)?;
    }
    Ok(killed)
}

/// Sends edits and takes their acknowledgements, several under way at a time, until `stop` of them are acknowledged.
/// Returns the ids of those that are still under way.
fn write(person: &mut Person, edits: &[Planned], stop: usize, done: &AtomicUsize) -> Result<Vec<u64>> {
    let first = person.role.first;
    let session = person.session()?;
    let mut sent = Vec::new();
    for taken in 0..stop {
        while sent.len() < edits.len().min(taken + WINDOW) {
            let Planned { case, edit } = edits.get(sent.len()).context("no such edit")?;
            sent.push(session.send(json!({"do": "case.edit", "case": case, "edits": [edit]}))?);
        }
        let answer = session.answer(*sent.get(taken).context("no such edit")?)?;
        let is_kept = answer.get("ok") == Some(&Json::Bool(true)) && answer.get("changed") == Some(&Json::Bool(true));
        ensure!(is_kept, "an edit on {first}'s device was not taken: {answer}");
        done.fetch_add(1, Ordering::Relaxed);
    }
    Ok(sent.split_off(stop.min(sent.len())))
}

/// Works half of a day, is killed with edits under way, comes back, and looks for what had been acknowledged.
fn be_killed(
    person: &mut Person,
    edits: &[Planned],
    configuration: &Configuration,
    done: &AtomicUsize,
) -> Result<Killed> {
    let half = edits.len() / 2;
    let under_way = write(person, edits, half, done)?;
    let late = person.session()?.kill()?;
    let late = under_way.iter().filter(|id| late.contains(id)).count();
    let acknowledged = half + late;
    let sent = half + under_way.len();
    person.open()?;
    let touched: BTreeMap<String, Record> = edits
        .iter()
        .map(|planned| Ok((planned.case.clone(), person.show(configuration, &planned.case)?)))
        .collect::<Result<_>>()?;
    let found = (acknowledged..=sent).find(|count| {
        let Ok(cases) = after(&person.cases, edits.get(..*count).unwrap_or_default()) else { return false };
        touched.iter().all(|(case, shown)| {
            cases.get(case).is_some_and(|kept| leaves(configuration, kept) == leaves(configuration, shown))
        })
    });
    let found = found.with_context(|| {
        format!(
            "after the kill {}'s device does not show the {acknowledged} edits that it had acknowledged",
            person.role.first
        )
    })?;
    done.fetch_add(found - half, Ordering::Relaxed);
    keep(person, edits.get(..found).unwrap_or_default())?;
    Ok(Killed { acknowledged, found })
}

/// Notes that edits stand in the person's cases.
fn keep(person: &mut Person, edits: &[Planned]) -> Result<()> {
    person.cases = after(&person.cases, edits)?;
    Ok(())
}

fn after(cases: &BTreeMap<String, Record>, edits: &[Planned]) -> Result<BTreeMap<String, Record>> {
    let mut cases = cases.clone();
    for Planned { case, edit } in edits {
        apply(cases.get_mut(case).context("a case that the person has not")?, edit)?;
    }
    Ok(cases)
}
