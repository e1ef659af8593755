//! The commands and their exit codes.

use super::relay::{RelayProcess, data, run};

#[test]
fn help_shows_examples_and_a_wrong_line_is_told_apart_from_a_failure() {
    let help = run(&["--help"]);
    let text = String::from_utf8(help.stdout).unwrap();
    assert!(help.status.success() && text.contains("Examples:") && text.contains("Exit codes:"), "{text}");
    assert_eq!(run(&["serve"]).status.code(), Some(2), "no data folder");
    assert_eq!(run(&["founding-link", "--data", "/nowhere", "--address", "http://x"]).status.code(), Some(2));
    let (_parent, data) = data();
    let failed = run(&["founding-link", "--data", data.to_str().unwrap(), "--address", "ws://x"]);
    assert_eq!(failed.status.code(), Some(1));
    let reason = String::from_utf8(failed.stderr).unwrap();
    assert!(reason.contains("make one with `vereda-relay init`"), "{reason}");
}

#[test]
fn init_makes_a_relay_once_and_prints_its_links() {
    let (_parent, data) = data();
    let data = data.to_str().unwrap();
    let init = run(&["init", "--data", data]);
    let text = String::from_utf8(init.stdout).unwrap();
    assert!(init.status.success());
    assert!(text.contains("vereda-relay:?relay=wss%3A%2F%2FHOST%2Fsync&key="), "{text}");
    assert!(text.contains("vereda://found?relay=wss%3A%2F%2FHOST%2Fsync&key="), "{text}");
    assert_eq!(run(&["init", "--data", data]).status.code(), Some(1));
    let status = run(&["status", "--json", "--data", data]);
    let status: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!((&status["log_position"], &status["serving"]), (&0.into(), &false.into()));
}

#[test]
fn a_folder_is_served_by_one_process_and_status_says_so() {
    let (_parent, data) = data();
    let relay = RelayProcess::start(&data);
    let second = run(&["serve", "--listen", "127.0.0.1:0", "--data", data.to_str().unwrap()]);
    assert_eq!(second.status.code(), Some(1));
    assert!(String::from_utf8(second.stderr).unwrap().contains("another process serves"));
    let status = run(&["status", "--json", "--data", data.to_str().unwrap()]);
    let status: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!((&status["relay"], &status["serving"]), (&relay.key.as_str().into(), &true.into()));
}
