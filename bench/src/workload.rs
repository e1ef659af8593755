//! The workloads, in an order in which each finds the data as it needs it.

mod coming_home;
mod everyday;
mod new_device;
mod reconnect;
mod revocation;
mod start;

use std::path::Path;

use anyhow::Result;
use clap::ValueEnum;

use crate::{
    fixture::Sizes,
    report::{Report, progress},
    stage::Stage,
};

/// One-field commits of each case in W1.
pub(crate) const EDITS: usize = 20;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Workload {
    /// W1: two devices come back from the field
    Return,
    /// W2: a fresh device pulls everything
    NewDevice,
    /// W5: a device reconnects
    Reconnect,
    /// W6: one device with many cases
    Device,
    /// W7: what a start costs, with few cases and with many
    Start,
    /// One of 150 members leaves a team with 3,000 cases
    Revoke,
}

impl Workload {
    pub(crate) const ALL: [Self; 6] =
        [Self::Return, Self::NewDevice, Self::Reconnect, Self::Device, Self::Start, Self::Revoke];
}

/// Runs workloads; data is set up once for all of one size.
pub(crate) fn run(chosen: &[Workload], sizes: Sizes, folder: &Path, report: &mut Report) -> Result<()> {
    let asks = |workload| chosen.contains(&workload);
    let is_one_size = sizes.few == sizes.many;
    if asks(Workload::Revoke) {
        let (cases, members) = sizes.team;
        revocation::run(folder, cases, members, report)?;
    }
    let of_few = [Workload::Return, Workload::NewDevice, Workload::Reconnect, Workload::Start];
    let mut few = None;
    if of_few.into_iter().any(asks) {
        let mut stage = Stage::set(folder, sizes.few, sizes.drawn)?;
        if asks(Workload::Start) {
            few = Some(start::run(&mut stage, None, report)?);
        }
        if asks(Workload::NewDevice) {
            new_device::run(&mut stage, sizes.drawn, report)?;
        }
        if asks(Workload::Reconnect) {
            reconnect::run(&mut stage, report)?;
        }
        if asks(Workload::Device) && is_one_size {
            everyday::run(&mut stage, report)?;
        }
        if asks(Workload::Return) {
            coming_home::run(&mut stage, sizes.drawn, report)?;
        }
        if is_one_size {
            return Ok(());
        }
    }
    if asks(Workload::Reconnect) || asks(Workload::Device) || asks(Workload::Start) {
        progress("and once more with many cases");
        let mut stage = Stage::set(folder, sizes.many, sizes.drawn)?;
        if asks(Workload::Start) {
            start::run(&mut stage, few, report)?;
        }
        if asks(Workload::Reconnect) {
            reconnect::run(&mut stage, report)?;
        }
        if asks(Workload::Device) {
            everyday::run(&mut stage, report)?;
        }
    }
    Ok(())
}

/// Scales a goal that is stated for 500 cases and grows with them.
pub(crate) fn per_500(goal: f64, cases: usize) -> f64 {
    goal * cases as f64 / 500.0
}

/// The middle of some values.
pub(crate) fn middle(values: impl IntoIterator<Item = f64>) -> f64 {
    crate::quantiles::Quantiles::of(values.into_iter().collect()).median
}
