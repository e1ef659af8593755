//! Worlds: those in which something was once wrong, and a fresh range.

use std::sync::{Mutex, PoisonError};

use vereda_simulator::{
    plan::Plan,
    run::{Report, run, run_all},
};

/// Worlds in which people decide on access.
const DECIDING: [u64; 6] = [10_001, 10_002, 10_004, 10_005, 10_007, 10_008];

/// Worlds in which the relay lies, some of each kind.
const LIED_TO: [u64; 15] = [
    20_000, 20_005, 20_010, // withholds
    20_016, 20_021, 20_031, // hands on back-dated work
    20_002, 20_007, 20_047, // forks
    20_003, 20_008, 20_013, // goes back
    20_004, 20_009, 20_014, // falsifies
];

/// What is wrong in worlds of these seeds, each with the last of what happened there.
fn failures(seeds: &[u64]) -> Vec<String> {
    let failed = Mutex::new(Vec::new());
    run_all(seeds, 2, &|report: &Report| {
        if !report.breaches.is_empty() {
            let (seed, trace) = (report.seed, report.trace.join("\n"));
            let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
            failed.push(format!("{trace}\nseed {seed}: {:#?}", report.breaches));
        }
    });
    failed.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn hold(seeds: &[u64]) {
    let failures = failures(seeds);
    assert!(failures.is_empty(), "{} worlds failed:\n{}", failures.len(), failures.join("\n\n"));
}

#[test]
fn worlds_that_were_once_wrong_hold() {
    let lines = include_str!("../seeds.txt").lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    let seeds: Vec<u64> = lines.map(|line| line.split_whitespace().next().unwrap().parse().unwrap()).collect();
    assert!(!seeds.is_empty());
    hold(&seeds);
}

#[test]
fn fresh_worlds_hold() {
    hold(&(0..40).collect::<Vec<_>>());
}

#[test]
fn worlds_in_which_people_decide_on_access_hold() {
    hold(&DECIDING);
}

#[test]
fn worlds_in_which_the_relay_lies_hold_or_it_is_named() {
    hold(&LIED_TO);
}

#[test]
fn a_seed_gives_the_same_world_every_time() {
    for seed in [3, 11, 20_002] {
        let [one, other] = [(); 2].map(|()| run(Plan::of(seed), false));
        assert_eq!((one.digest, one.counts, one.trace), (other.digest, other.counts, other.trace), "seed {seed}");
        assert!(one.counts.edits > 0 && one.counts.frames > 0);
    }
}
