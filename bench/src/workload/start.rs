//! W7: a device is started anew, with everything it had; first without the relay, then with it.

use anyhow::Result;

use super::middle;
use crate::{
    device::ask::{Ask, Expected, Spent, Started},
    report::{Measurement, Report, Unit, progress},
    stage::Stage,
};

const NAME: &str = "W7";
const STARTS: usize = 5;
/// Until everything is at rest that a start sets going.
const LIMIT_MS: f64 = 2_000.0;

/// A part of a start, and how to find it.
type Part = (&'static str, fn(&Started) -> Spent);

/// What starts took with so many cases.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found {
    cases: usize,
    parts: [(f64, f64); 4],
}

/// Starts the first device several times. Beside what it took stands, where starts with fewer cases came before, by how much
/// more that is for each case: 1 where it grows with the cases and no faster.
pub(super) fn run(stage: &mut Stage, fewer: Option<Found>, report: &mut Report) -> Result<Found> {
    let cases = stage.cases.len();
    progress(&format!("W7: starting with {cases} cases"));
    // What came in since is no part of the measure.
    stage.first.unlock()?;
    stage.first.meet(Expected::default())?;
    stage.first.leave(&stage.runtime)?;
    let mut starts: Vec<Started> = Vec::new();
    let (mut with_relay, mut cpu) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        stage.first.renew()?;
        starts.push(stage.first.part()?.ask(&Ask::Start)?);
        stage.first.unlock()?;
        let before = stage.first.part()?.cpu_seconds();
        with_relay.push(stage.first.meet(Expected::default())?.everything);
        cpu.extend(stage.first.part()?.cpu_seconds().zip(before).map(|(after, before)| after - before));
        stage.first.leave(&stage.runtime)?;
    }
    let mut new = |metric: &str, value, unit, limit: Option<f64>| {
        let measurement = Measurement::new(NAME, cases, metric, value, unit);
        report.take(limit.map_or(measurement.clone(), |limit| measurement.limit(limit)))
    };
    let parts: [Part; 4] = [
        ("the vault", |start| start.vault),
        ("the device", |start| start.device),
        ("the list", |start| start.list),
        ("what is left to steps", |start| start.sweep),
    ];
    let mut found = Found { cases, parts: [(0.0, 0.0); 4] };
    for ((name, part), kept) in parts.into_iter().zip(&mut found.parts) {
        let seconds = middle(starts.iter().map(|start| part(start).seconds));
        let read = middle(starts.iter().map(|start| part(start).read));
        new(name, seconds * 1e3, Unit::Milliseconds, None)?;
        new(&format!("{name}, bytes read"), read, Unit::Bytes, None)?;
        *kept = (seconds, read);
    }
    let all: f64 = found.parts.iter().map(|(seconds, _)| seconds).sum();
    new("all of it", all * 1e3, Unit::Milliseconds, Some(LIMIT_MS))?;
    new("steps", middle(starts.iter().map(|start| start.steps as f64)), Unit::Count, None)?;
    new("longest step", middle(starts.iter().map(|start| start.longest)) * 1e3, Unit::Milliseconds, None)?;
    new("with the relay until at rest", middle(with_relay) * 1e3, Unit::Milliseconds, Some(LIMIT_MS))?;
    if !cpu.is_empty() {
        new("of that processor time", middle(cpu) * 1e3, Unit::Milliseconds, None)?;
    }
    let stretched: f64 = stage.first.part()?.ask(&Ask::Stretch)?;
    new("a passphrase, stretched least, with the vault", stretched * 1e3, Unit::Milliseconds, None)?;
    stage.first.lock()?;
    if let Some(fewer) = fewer {
        let more = cases as f64 / fewer.cases as f64;
        for (((name, _), (seconds, read)), (less, less_read)) in parts.iter().zip(found.parts).zip(fewer.parts) {
            new(&format!("{name}, for each case"), seconds / less / more, Unit::Ratio, None)?;
            new(&format!("{name}, bytes read for each case"), read / less_read / more, Unit::Ratio, None)?;
        }
    }
    Ok(found)
}
