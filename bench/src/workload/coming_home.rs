//! W1: two devices edited overlapping cases offline, 20 one-field commits each; both connect, until both hold the same.

use anyhow::{Result, ensure};

use crate::{
    device::ask::{Ask, Expected, Met},
    fixture::{Drawn, edited, seed_of_edits},
    physical::exchanged,
    quantiles::Quantiles,
    report::{Measurement, Report, Unit, progress},
    stage::Stage,
    stopwatch::Stopwatch,
};

use super::{EDITS, per_500};

const NAME: &str = "W1";
/// A twentieth of the leading server's peak.
const RELAY_PEAK: f64 = 1_531e6 / 20.0;

pub(super) fn run(stage: &mut Stage, drawn: Drawn, report: &mut Report) -> Result<()> {
    let cases = stage.cases.len();
    let (first, second) = edited(cases);
    let of_first = stage.cases.get(first).unwrap_or_default().to_vec();
    let of_second = stage.cases.get(second).unwrap_or_default().to_vec();
    progress("W1: both devices edit offline");
    stage.first.unlock()?;
    stage.second.unlock()?;
    let edit = |cases: &Vec<_>, device| Ask::Edit {
        cases: cases.clone(),
        edits: EDITS,
        seed: seed_of_edits(drawn.seed, device),
    };
    let save: Quantiles = stage.first.part()?.ask(&edit(&of_first, 1))?;
    let _: Quantiles = stage.second.part()?.ask(&edit(&of_second, 2))?;
    for station in [&mut stage.first, &mut stage.second] {
        station.lock()?;
        station.unlock()?;
    }
    stage.renew_relay()?;
    progress("W1: both devices come back");
    stage.first.wire.reset();
    stage.second.wire.reset();
    let watch = Stopwatch::start();
    let expect = |changed: Vec<_>| Ask::Meet { expect: Expected { changed, cases } };
    stage.first.part()?.tell(&expect(of_second))?;
    stage.second.part()?.tell(&expect(of_first))?;
    stage.first.part()?.hear::<Met>()?;
    stage.second.part()?.hear::<Met>()?;
    let seconds = watch.seconds();
    let cpu = stage.relay()?.cpu_seconds();
    let relay_peak = stage.relay()?.peak_memory();
    let device_peak = [stage.first.part()?.peak_memory(), stage.second.part()?.peak_memory()].into_iter().flatten();
    let device_peak = device_peak.fold(0.0, f64::max);
    ensure!(stage.first.digest()? == stage.second.digest()?, "the devices do not hold the same");
    let mut passed = Vec::new();
    for station in [&mut stage.first, &mut stage.second] {
        passed.push(station.leave(&stage.runtime)?);
        station.lock()?;
    }
    let sum = |of: fn(&crate::wire::Passed) -> u64| passed.iter().map(of).sum::<u64>() as f64;
    let least = exchanged(cases, drawn, EDITS)?;
    let new = |metric: &str, value, unit| Measurement::new(NAME, cases, metric, value, unit);
    report.take(new("time", seconds, Unit::Seconds))?;
    let (bytes, bodies) = (sum(|passed| passed.bytes()), least.bodies as f64);
    report.take(new("bytes", bytes, Unit::Bytes).limit(per_500(830e3, cases)).physical(bodies))?;
    report.take(new("bytes for a byte of bodies", bytes / bodies, Unit::Ratio).limit(1.15))?;
    report.take(new("bytes up", sum(|passed| passed.up), Unit::Bytes).physical(bodies / 2.0))?;
    report.take(new("bytes down", sum(|passed| passed.down), Unit::Bytes).physical(bodies / 2.0))?;
    report.take(new("bytes of raw changes", least.raw as f64, Unit::Bytes))?;
    report.take(new("round trips", sum(|passed| passed.round_trips), Unit::Count))?;
    report.take(new("one save offline", save.median * 1e3, Unit::Milliseconds).limit(10.0))?;
    if let Some(cpu) = cpu {
        report.take(new("relay processor time", cpu, Unit::Seconds))?;
    }
    if let Some(peak) = relay_peak {
        report.take(new("relay peak memory", peak, Unit::Bytes).limit(RELAY_PEAK))?;
    }
    report.take(new("device peak memory", device_peak, Unit::Bytes))?;
    let device_disk = stage.first.disk()?.max(stage.second.disk()?);
    report.take(new("device disk", device_disk as f64, Unit::Bytes))?;
    let relay_disk = stage.relay_disk()?;
    report.take(new("relay disk", relay_disk as f64, Unit::Bytes))
}
