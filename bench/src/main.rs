//! The workloads of an app in the field, measured on the real thing: a relay process over its database, device
//! processes over their vaults, a websocket on loopback. What they cost stands beside the goals and, where it can be
//! computed in the same run, beside what no design could do without.
//!
//! Devices are unlocked by a key that is handed in: how long a passphrase is stretched is a choice, not a cost. A proxy
//! between devices and relay counts bytes, both ways, with the websocket's opening and framing; TLS would come on top.
//! Times on a shared machine drift by half; bytes, memory and round trips do not.

mod crowd;
mod device;
mod fixture;
mod part;
mod physical;
mod quantiles;
mod relay;
mod report;
mod stage;
mod stopwatch;
mod wire;
mod workload;

use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;

use crate::{fixture::Sizes, report::Report, workload::Workload};

/// Runs workloads and prints what they cost beside the goals.
///
/// return      W1: two devices come back from the field and hold the same
/// new-device  W2: a fresh device joins and pulls everything
/// reconnect   W5: a device reconnects with one change to learn (W5a) and with none (W5b), at 0 and 300 ms round trip,
///             with 500 and 5,000 cases
/// device      W6: one device with 5,000 cases
/// start       W7: what a start costs, with 500 and 5,000 cases
/// revoke      one of 150 members leaves a team with 3,000 cases
///
/// Examples:
///   vereda-bench return new-device
///   vereda-bench reconnect --json
///   vereda-bench --quick
#[derive(Debug, Parser)]
#[command(name = "vereda-bench", verbatim_doc_comment)]
struct Bench {
    /// Workloads to run; all of them when none is named
    workloads: Vec<Workload>,
    /// Cases, in place of 500, of 3,000 and of 5,000
    #[arg(long, value_name = "N")]
    cases: Option<usize>,
    /// One-field commits that each case begins with
    #[arg(long, value_name = "N", default_value_t = 20)]
    history: usize,
    /// Draws the cases and edits
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Prints one JSON object a line, and nothing else, on standard output
    #[arg(long)]
    json: bool,
    /// A few cases only, to see that everything works
    #[arg(long, conflicts_with = "cases")]
    quick: bool,
    /// Where data folders are made for the time of the run; the system's folder for temporary files by default
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// Serves a relay in this folder until standard input ends
    #[arg(long, value_name = "FOLDER", hide = true)]
    as_relay: Option<PathBuf>,
    /// Drives a device in this folder by lines on standard input
    #[arg(long, value_name = "FOLDER", hide = true)]
    as_device: Option<PathBuf>,
}

fn main() -> Result<()> {
    let bench = Bench::parse();
    if let Some(folder) = &bench.as_relay {
        return relay::serve(folder);
    }
    if let Some(folder) = &bench.as_device {
        return device::drive(folder);
    }
    let chosen = if bench.workloads.is_empty() { Workload::ALL.to_vec() } else { bench.workloads };
    let sizes = Sizes::of(bench.cases, bench.quick, bench.history, bench.seed);
    let folder = bench.folder.unwrap_or_else(std::env::temp_dir);
    let mut report = Report::new(bench.json);
    let done = workload::run(&chosen, sizes, &folder, &mut report);
    // What was measured before a failure is worth showing.
    report.finish();
    done
}
