//! The demo from beginning to end, with real processes.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stderr, reason = "a test fails by panicking")]

use std::path::PathBuf;

use serde_json::Value as Json;
use vereda_e2e::demo::{Options, Verdict, play};

const CASES: usize = 12;

/// Returns a file of third-party data beside the workspace. Its absence fails the test, unless
/// `VEREDA_WITHOUT_SHARED_DATA=1` says that it is known, and never where `CI=true`.
fn shared_data(path: &str) -> Option<PathBuf> {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(path);
    if file.is_file() {
        return Some(file);
    }
    let is = |name: &str, value: &str| std::env::var(name).is_ok_and(|found| found == value);
    assert!(
        is("VEREDA_WITHOUT_SHARED_DATA", "1") && !is("CI", "true"),
        "this test reads {}, which is missing; set VEREDA_WITHOUT_SHARED_DATA=1 to go on without it",
        file.display()
    );
    eprintln!("DID NOT RUN: {} is missing", file.display());
    None
}

fn play_with(config: Option<PathBuf>) -> Verdict {
    let verdict = play(&Options { is_headless: true, config, cases: CASES, seed: 3, is_json: true }).unwrap();
    assert_eq!(verdict.broken, [] as [String; 0]);
    let figure = |name: &str| verdict.figures[name].as_u64().unwrap();
    assert_eq!(figure("cases"), CASES as u64);
    assert!(figure("edits") > 50 && figure("conflicts") >= 3 && figure("acknowledged_before_kill") > 2);
    assert!(figure("merged_edits") < figure("edits"));
    assert!(figure("planted_values") > 300);
    verdict
}

#[test]
fn three_days_offline_end_alike_on_every_device_with_the_starter_configuration() {
    play_with(None);
}

#[test]
fn three_days_offline_end_alike_on_every_device_with_primeros_configuration() {
    let Some(file) = shared_data("primero/configuration_2.15.json") else { return };
    let verdict = play_with(Some(file));
    let expected = [
        ("forms", 64),
        ("fields", 476),
        ("lookups", 60),
        ("roles", 12),
        ("agencies", 1),
        ("user_groups", 3),
        ("reports", 13),
        ("contacts", 1),
    ];
    for (name, number) in expected {
        assert_eq!(verdict.figures[name], Json::from(number), "{name}");
    }
    assert!(verdict.figures["losses"].as_u64().unwrap() > 0);
}

#[test]
fn a_configuration_that_cannot_be_read_is_refused_before_anything_starts() {
    let config = Some(PathBuf::from("no such file"));
    let refused = play(&Options { is_headless: true, config, cases: CASES, seed: 3, is_json: true });
    assert!(refused.unwrap_err().to_string().contains("no such file"));
}
