//! Everybody meets again: how long it takes until all hold the same, over how many bytes.

use std::{
    collections::BTreeMap,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use serde_json::json;

use super::{
    agency::{Team, text},
    caseload::Caseload,
    person::Person,
    screen::{Screen, bytes, seconds},
    stage::Stage,
};
use crate::process::ask_again_soon;

/// Longer than all take to hold the same, by far.
const PATIENCE: Duration = Duration::from_secs(60);

/// What meeting again came to.
pub struct Reunion {
    /// Until every device was settled.
    pub took: Duration,
    /// Bytes from and to each device.
    pub bytes: Vec<(u64, u64)>,
    /// The cases that more than one device holds.
    pub shared: usize,
    /// Those of them that are not the same on all.
    pub unequal: Vec<String>,
}

/// Brings the network back and waits until all is exchanged.
///
/// # Errors
/// When a device does not settle.
pub fn meet(screen: &Screen, stage: &mut Stage, teams: &[Team], caseload: &Caseload) -> Result<Reunion> {
    let before: Vec<_> = stage.people.iter().map(|person| person.line.bytes()).collect();
    let base = stage.bytes();
    let lines: Vec<_> = stage.people.iter().map(|person| person.line.share()).collect();
    let started = Instant::now();
    let picture = || {
        let now: u64 = lines.iter().map(|line| line.bytes()).map(|(up, down)| up + down).sum();
        format!("exchanging: {}, {}", bytes(now.saturating_sub(base)), seconds(started.elapsed()))
    };
    stage.mend();
    let took = screen.watch(picture, || {
        for person in &mut stage.people {
            person.call(json!({"do": "connect"}))?;
        }
        // Twice: what arrives at the relay after a device has settled once is exchanged by the second time.
        for _ in 0..2 {
            each(&mut stage.people, Person::sync)?;
        }
        Ok(started.elapsed())
    })?;
    let after = stage.people.iter().map(|person| person.line.bytes());
    let bytes = after.zip(before).map(|(after, before)| (after.0 - before.0, after.1 - before.1)).collect();
    let unequal = loop {
        let unequal = screen.watch(|| "comparing all replicas".to_owned(), || compare(stage, teams, caseload))?;
        if unequal.is_empty() || started.elapsed() > took + PATIENCE {
            break unequal;
        }
        ask_again_soon();
    };
    let shared = teams.iter().zip(&caseload.cases).filter(|(team, _)| team.people.len() > 1);
    Ok(Reunion { took, bytes, shared: shared.map(|(_, cases)| cases.len()).sum(), unequal })
}

/// Lists the cases whose digests differ between devices that hold them.
fn compare(stage: &mut Stage, teams: &[Team], caseload: &Caseload) -> Result<Vec<String>> {
    let digests: Vec<BTreeMap<String, String>> = each(&mut stage.people, |person| {
        let cases: Vec<String> = person.cases.keys().cloned().collect();
        let digest = |case: String| {
            let answer = person.call(json!({"do": "digest", "case": case}))?;
            Ok((case, text(&answer, "digest")?))
        };
        cases.into_iter().map(digest).collect()
    })?;
    let mut unequal = Vec::new();
    for (team, cases) in teams.iter().zip(&caseload.cases) {
        for case in cases.keys() {
            let mut held = team.people.iter().map(|&person| digests.get(person).and_then(|own| own.get(case)));
            let first = held.next().flatten().context("a case without a digest")?;
            if !held.all(|digest| digest == Some(first)) {
                unequal.push(case.clone());
            }
        }
    }
    Ok(unequal)
}

/// Does something on all devices at the same time.
///
/// # Errors
/// The first that occurs.
pub fn each<T: Send>(people: &mut [Person], act: impl Fn(&mut Person) -> Result<T> + Sync) -> Result<Vec<T>> {
    thread::scope(|scope| {
        let acting: Vec<_> = people.iter_mut().map(|person| scope.spawn(|| act(person))).collect();
        let join = |thread: thread::ScopedJoinHandle<'_, Result<T>>| {
            thread.join().map_err(|_| anyhow::anyhow!("a device's part stopped by a defect"))?
        };
        acting.into_iter().map(join).collect()
    })
}
