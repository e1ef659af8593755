//! `vereda-simulator`: runs simulated worlds, one per seed, and prints what broke in which.

use std::{io::Write, process::ExitCode, sync::Mutex};

use anyhow::{Context, Result, anyhow};
use clap::Parser;
use vereda_simulator::{
    plan::Plan,
    run::{Report, run, run_all},
    world::Counts,
};

/// Runs simulated worlds: real devices and a real relay on a faulty network, disk and clock, one world per seed.
///
/// Seeds from 10000 on give worlds where people decide on access, from 20000 on such where the relay lies as well, from
/// 30000 on again an honest one and rough faults. From 40000 on worlds are wide: people also erase, and move sections; from
/// 50000 on the relay lies in them, in more ways.
///
/// Exit codes: 0 all is well, 1 something that was checked does not hold, 2 the command could not be carried out.
#[derive(Parser)]
#[command(max_term_width = 120)]
struct Arguments {
    /// Seeds to run, the last one excluded.
    #[arg(long, value_name = "FROM..TO", default_value = "0..200")]
    seeds: String,
    /// Prints one JSON object for each failing seed, and one at the end, on standard output.
    #[arg(long)]
    json: bool,
    /// Shows everything that happens in each world; seeds then run one after the other.
    #[arg(long, visible_alias = "verbose")]
    trace: bool,
    /// Threads; as many as there are cores, when not given.
    #[arg(long)]
    threads: Option<usize>,
}

#[derive(Default)]
struct Tally {
    done: u64,
    failed: u64,
    counts: Counts,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match simulate(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            say(&format!("could not be carried out: {error:#}"));
            ExitCode::from(2)
        }
    }
}

fn simulate(arguments: &Arguments) -> Result<bool> {
    let (from, to) = arguments.seeds.split_once("..").ok_or_else(|| anyhow!("expected two numbers, as in 0..2000"))?;
    let from: u64 = from.parse().context("the first seed")?;
    let to: u64 = to.parse().context("the last seed")?;
    let seeds: Vec<u64> = (from..to).collect();
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let threads = arguments.threads.unwrap_or(cores);
    let tally = Mutex::new(Tally::default());
    let each = |report: &Report| {
        if let Ok(mut tally) = tally.lock() {
            take(report, &mut tally, seeds.len() as u64, arguments.json);
        }
    };
    if arguments.trace {
        seeds.iter().for_each(|seed| each(&run(Plan::of(*seed), true)));
    } else {
        run_all(&seeds, threads, &each);
    }
    let tally = tally.into_inner().map_err(|_| anyhow!("a thread panicked"))?;
    if arguments.json {
        let counts = counts_json(&tally.counts);
        print(&serde_json::json!({"seeds": tally.done, "failed": tally.failed, "counts": counts}).to_string())?;
    }
    Ok(tally.failed == 0)
}

fn take(report: &Report, tally: &mut Tally, of: u64, json: bool) {
    tally.done += 1;
    let (sum, one) = (&mut tally.counts, &report.counts);
    sum.edits += one.edits;
    sum.crashes += one.crashes;
    sum.cuts += one.cuts;
    sum.full_disks += one.full_disks;
    sum.frames += one.frames;
    sum.jumps += one.jumps;
    sum.decisions += one.decisions;
    sum.reviewed += one.reviewed;
    sum.turned_away += one.turned_away;
    sum.undecidable += one.undecidable;
    sum.remade += one.remade;
    sum.lies += one.lies;
    sum.named += one.named;
    if !report.breaches.is_empty() {
        tally.failed += 1;
        tell_failure(report, json);
    }
    if tally.done.is_multiple_of(100) || tally.done == of {
        let counts = &tally.counts;
        say(&format!(
            "{}/{of} seeds, {} failed: {} edits acknowledged, {} crashes, {} cuts, {} failed commits, {} clock jumps, {} \
             frames; {} decisions, {} chunks in review, {} edits turned away, {} undecidable, {} times made again; \
             {} lies, {} devices that named the relay",
            tally.done,
            tally.failed,
            counts.edits,
            counts.crashes,
            counts.cuts,
            counts.full_disks,
            counts.jumps,
            counts.frames,
            counts.decisions,
            counts.reviewed,
            counts.turned_away,
            counts.undecidable,
            counts.remade,
            counts.lies,
            counts.named
        ));
    }
}

fn tell_failure(report: &Report, json: bool) {
    let seed = report.seed;
    say(&format!("seed {seed} FAILED"));
    for line in report.trace.iter().rev().take(60).rev() {
        say(line);
    }
    for breach in &report.breaches {
        say(&format!("  {:?}: {}", breach.checker, breach.what));
    }
    say(&format!("  replay with: cargo xtask simulate --seeds {seed}..{} -- --trace", seed + 1));
    if json {
        let breaches: Vec<_> = report
            .breaches
            .iter()
            .map(|breach| serde_json::json!({"checker": format!("{:?}", breach.checker), "what": breach.what}))
            .collect();
        let object = serde_json::json!({"seed": seed, "breaches": breaches, "counts": counts_json(&report.counts)});
        // Standard output may be closed.
        drop(print(&object.to_string()));
    }
}

fn counts_json(counts: &Counts) -> serde_json::Value {
    serde_json::json!({
        "edits": counts.edits,
        "crashes": counts.crashes,
        "cuts": counts.cuts,
        "failed_commits": counts.full_disks,
        "clock_jumps": counts.jumps,
        "frames": counts.frames,
        "decisions": counts.decisions,
        "chunks_in_review": counts.reviewed,
        "edits_turned_away": counts.turned_away,
        "edits_undecidable": counts.undecidable,
        "times_made_again": counts.remade,
        "lies": counts.lies,
        "relay_named": counts.named,
    })
}

fn say(line: &str) {
    // Nobody may be reading.
    drop(writeln!(std::io::stderr(), "{line}"));
}

fn print(line: &str) -> Result<()> {
    Ok(writeln!(std::io::stdout(), "{line}")?)
}
