//! W6: one device with many cases: unlocking, opening, saving, filtering, catching up.

use anyhow::Result;
use vereda_base::ChainId;

use crate::{
    device::ask::{Ask, Expected},
    quantiles::Quantiles,
    report::{Measurement, Report, Unit, progress},
    stage::Stage,
};

use super::middle;

const NAME: &str = "W6";
const UNLOCKS: usize = 3;
/// Cases that are opened and edited one after another.
const TOUCHED: usize = 100;
/// Cases that others change.
const CAUGHT_UP: usize = 200;
/// What people look for: names of several languages, the beginning of one, nothing that is there.
const WORDS: [&str; 5] = ["amina", "ana", "female", "a", "no such word"];

pub(super) fn run(stage: &mut Stage, report: &mut Report) -> Result<()> {
    let cases = stage.cases.len();
    let spread = |count: usize| -> Vec<ChainId> {
        stage.cases.iter().step_by((cases / count.max(1)).max(1)).take(count).copied().collect()
    };
    let (touched, caught_up) = (spread(TOUCHED.min(cases)), spread(CAUGHT_UP.min(cases)));
    progress("W6: unlocking");
    let mut unlocks = Vec::new();
    for _ in 0..UNLOCKS {
        unlocks.push(stage.first.unlock()?);
    }
    let new = |metric: &str, value, unit| Measurement::new(NAME, cases, metric, value, unit);
    let ms = |seconds: f64| seconds * 1e3;
    let list = middle(unlocks.iter().map(|unlocked| unlocked.list));
    report.take(new("unlock to list", ms(list), Unit::Milliseconds).limit(300.0))?;
    let vault = middle(unlocks.iter().map(|unlocked| unlocked.vault));
    report.take(new("of that the vault", ms(vault), Unit::Milliseconds))?;
    let listing = middle(unlocks.iter().map(|unlocked| unlocked.list - unlocked.device));
    report.take(new("of that the list", ms(listing), Unit::Milliseconds))?;
    if let Some(resident) = stage.first.part()?.resident_memory() {
        report.take(new("resident with the list", resident, Unit::Bytes).limit(150e6))?;
    }
    progress("W6: opening, filtering, saving");
    let part = stage.first.part()?;
    let shown: Quantiles = part.ask(&Ask::Show { cases: touched.clone() })?;
    report.take(new("open", ms(shown.median), Unit::Milliseconds).limit(30.0))?;
    report.take(new("open, slowest of 100", ms(shown.p99), Unit::Milliseconds))?;
    let words = WORDS.into_iter().cycle().take(25).map(str::to_owned).collect();
    let filtered: Quantiles = part.ask(&Ask::Filter { words })?;
    report.take(new("filter the list", ms(filtered.median), Unit::Milliseconds))?;
    let saved: Quantiles = part.ask(&Ask::Edit { cases: touched, edits: 3, seed: 61 })?;
    report.take(new("save", ms(saved.median), Unit::Milliseconds).limit(10.0))?;
    report.take(new("save, slowest of 100", ms(saved.p99), Unit::Milliseconds))?;
    progress("W6: catching up");
    stage.first.meet(Expected::default())?;
    stage.first.leave(&stage.runtime)?;
    stage.second.unlock()?;
    let _: Quantiles = stage.second.part()?.ask(&Ask::Edit { cases: caught_up.clone(), edits: 1, seed: 62 })?;
    stage.second.meet(Expected::default())?;
    stage.second.leave(&stage.runtime)?;
    stage.second.lock()?;
    stage.first.unlock()?;
    stage.first.wire.reset();
    let met = stage.first.meet(Expected { changed: caught_up, cases })?;
    let passed = stage.first.leave(&stage.runtime)?;
    report.take(new("catch-up of 200 cases", met.everything, Unit::Seconds))?;
    report.take(new("catch-up of 200 cases, bytes", passed.bytes() as f64, Unit::Bytes))?;
    if let Some(peak) = stage.first.part()?.peak_memory() {
        report.take(new("peak memory", peak, Unit::Bytes).limit(150e6))?;
    }
    stage.first.lock()?;
    report.take(new("device disk", stage.first.disk()? as f64, Unit::Bytes))
}
