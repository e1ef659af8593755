//! W2: a fresh device joins and pulls all cases.

use anyhow::{Result, ensure};

use crate::{
    device::ask::{Ask, Held},
    fixture::Drawn,
    physical::whole,
    report::{Measurement, Report, Unit, progress},
    stage::Stage,
};

use super::{middle, per_500};

const NAME: &str = "W2";
/// Devices that join, one after another.
const ROUNDS: usize = 3;

pub(super) fn run(stage: &mut Stage, drawn: Drawn, report: &mut Report) -> Result<()> {
    let cases = stage.cases.len();
    let (mut lists, mut everything, mut bytes) = (Vec::new(), Vec::new(), Vec::new());
    let mut held = Held::default();
    let (mut device_peak, mut device_disk, mut cpu): (f64, u64, Option<f64>) = (0.0, 0, None);
    for round in 1..=ROUNDS {
        progress(&format!("W2: device {round} of {ROUNDS} joins"));
        let (mut newcomer, met, passed) = stage.newcomer()?;
        lists.push(met.list);
        everything.push(met.everything);
        bytes.push(passed.bytes() as f64);
        held = newcomer.part()?.ask(&Ask::Measure)?;
        device_peak = device_peak.max(newcomer.part()?.peak_memory().unwrap_or_default());
        ensure!(newcomer.digest()?.cases == cases, "the newcomer lacks cases");
        newcomer.lock()?;
        device_disk = newcomer.disk()?;
        cpu = stage.relay()?.cpu_seconds();
    }
    let relay_peak = stage.relay()?.peak_memory();
    let least = whole(cases, drawn)?;
    let wire = middle(bytes);
    let new = |metric: &str, value, unit| Measurement::new(NAME, cases, metric, value, unit);
    report.take(new("time to usable list", middle(lists), Unit::Seconds).limit(1.0))?;
    let time = new("time to everything", middle(everything), Unit::Seconds);
    report.take(time.limit(1.5 * least.load).physical(least.load))?;
    let bodies = least.bodies as f64;
    report.take(new("bytes", wire, Unit::Bytes).limit(per_500(2.3e6, cases)).physical(bodies))?;
    let per_case = |bytes: f64| bytes / cases as f64;
    let beside = per_case(wire - held.chunks as f64);
    report.take(new("bytes of a case beside its chunk", beside, Unit::Bytes).limit(200.0))?;
    report.take(new("chunk of a case", per_case(held.chunks as f64), Unit::Bytes).physical(per_case(bodies)))?;
    report.take(new("operations of a case, stored", per_case(held.operations as f64), Unit::Bytes))?;
    report.take(new("wraps of a case, stored", per_case(held.wraps as f64), Unit::Bytes))?;
    report.take(new("device peak memory", device_peak, Unit::Bytes))?;
    report.take(new("device disk", device_disk as f64, Unit::Bytes))?;
    if let Some(cpu) = cpu {
        report.take(new("relay processor time", cpu, Unit::Seconds))?;
    }
    if let Some(peak) = relay_peak {
        report.take(new("relay peak memory", peak, Unit::Bytes))?;
    }
    let payload = held.chunks as f64;
    let relay_disk = stage.relay_disk()? as f64;
    report.take(new("relay disk", relay_disk, Unit::Bytes).limit(1.3 * payload).physical(payload))
}
