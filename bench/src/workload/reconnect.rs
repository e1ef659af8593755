//! W5: a device that has everything but one change (W5a), or everything (W5b), reconnects; at once and over a slow
//! line.

use anyhow::Result;
use vereda_base::ChainId;

use crate::{
    device::ask::{Ask, Expected, Met},
    quantiles::Quantiles,
    report::{Measurement, Report, Unit, progress},
    stage::Stage,
    wire::Passed,
};

use super::middle;

/// Reconnections of each kind.
const ROUNDS: usize = 3;
const ROUND_TRIP_MS: u64 = 300;

pub(super) fn run(stage: &mut Stage, report: &mut Report) -> Result<()> {
    stage.renew_relay()?;
    // What came in since, from whoever joined, is no part of the measure.
    settle(stage)?;
    for (name, limit, has_change) in [("W5b", 1_000.0, false), ("W5a", 1_500.0, true)] {
        for delay in [0, ROUND_TRIP_MS] {
            progress(&format!("{name}: reconnecting with {} cases at {delay} ms", stage.cases.len()));
            let mut rounds = Vec::new();
            for round in 0..ROUNDS {
                let seed = round as u64 + delay;
                let changed = if has_change { vec![change_one(stage, seed)?] } else { Vec::new() };
                rounds.push(reconnect(stage, changed, delay)?);
            }
            tell(stage.cases.len(), name, limit, delay, &rounds, report)?;
        }
    }
    Ok(())
}

fn tell(
    cases: usize,
    name: &'static str,
    limit: f64,
    delay: u64,
    rounds: &[(Met, Passed)],
    report: &mut Report,
) -> Result<()> {
    let of = |value: fn(&(Met, Passed)) -> f64| middle(rounds.iter().map(value));
    let new = |metric: String, value, unit| Measurement::new(name, cases, metric, value, unit);
    let milliseconds = of(|(met, _)| met.everything) * 1e3;
    report.take(new(format!("time at {delay} ms"), milliseconds, Unit::Milliseconds))?;
    if delay == 0 {
        report.take(new("bytes".to_owned(), of(|(_, passed)| passed.bytes() as f64), Unit::Bytes).limit(limit))?;
        report.take(new("bytes up".to_owned(), of(|(_, passed)| passed.up as f64), Unit::Bytes))?;
        report.take(new("bytes down".to_owned(), of(|(_, passed)| passed.down as f64), Unit::Bytes))?;
    } else {
        let trips = of(|(_, passed)| passed.round_trips as f64);
        // One opens the websocket.
        return report.take(new("round trips".to_owned(), trips, Unit::Count).limit(2.0));
    }
    Ok(())
}

/// Lets both devices take in what is there.
fn settle(stage: &mut Stage) -> Result<()> {
    for station in [&mut stage.first, &mut stage.second] {
        station.unlock()?;
        station.meet(Expected::default())?;
    }
    stage.second.leave(&stage.runtime)?;
    stage.first.leave(&stage.runtime)?;
    Ok(())
}

/// Changes one field on the second device and brings it to the relay.
fn change_one(stage: &mut Stage, seed: u64) -> Result<ChainId> {
    let place = usize::try_from(seed).unwrap_or_default() % stage.cases.len();
    let case = *stage.cases.get(place).unwrap_or(&ChainId([0; 32]));
    let _: Quantiles = stage.second.part()?.ask(&Ask::Edit { cases: vec![case], edits: 1, seed })?;
    stage.second.meet(Expected::default())?;
    stage.second.leave(&stage.runtime)?;
    Ok(case)
}

fn reconnect(stage: &mut Stage, changed: Vec<ChainId>, delay: u64) -> Result<(Met, Passed)> {
    stage.first.wire.reset();
    stage.first.wire.delay(delay);
    let met = stage.first.meet(Expected { changed, cases: 0 })?;
    // Leaving takes a round trip and some bytes of its own; the bytes count.
    let round_trips = stage.first.wire.passed().round_trips;
    let passed = stage.first.leave(&stage.runtime)?;
    stage.first.wire.delay(0);
    Ok((met, Passed { round_trips, ..passed }))
}
