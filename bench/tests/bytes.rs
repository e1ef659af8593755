//! What goes over the wire, held to bounds on a few cases. Bytes and round trips are the same on every machine; times
//! are not, and no test looks at them.

#![cfg(test)]

use std::process::Command;

use serde_json::Value;

/// Runs workloads on 20 cases and gives what was measured.
fn measured(workloads: &[&str]) -> Vec<Value> {
    let output = Command::new(env!("CARGO_BIN_EXE_vereda-bench"))
        .args(workloads)
        .args(["--json", "--cases", "20", "--history", "4"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn value(rows: &[Value], workload: &str, metric: &str) -> f64 {
    let row = rows.iter().find(|row| row["workload"] == workload && row["metric"] == metric);
    row.unwrap_or_else(|| panic!("no {metric} of {workload}"))["value"].as_f64().unwrap()
}

#[test]
fn reconnecting_takes_one_flight_and_few_bytes() {
    let rows = measured(&["reconnect"]);
    let check = |workload: &str, bytes: f64| {
        let found = value(&rows, workload, "bytes");
        assert!(found <= bytes, "{workload}: {found} bytes");
        // The websocket's opening, and the flight.
        assert_eq!(value(&rows, workload, "round trips"), 2.0, "{workload}");
    };
    check("W5b", 1_000.0);
    check("W5a", 1_500.0);
}

#[test]
fn coming_home_costs_little_more_than_the_changes_themselves() {
    let rows = measured(&["return", "new-device"]);
    let row = |workload: &str| rows.iter().find(|row| row["workload"] == workload && row["metric"] == "bytes").unwrap();
    let above = |workload: &str| {
        let row = row(workload);
        row["value"].as_f64().unwrap() - row["physical"].as_f64().unwrap()
    };
    // 8 cases edited by each device, each chunk up and down: header, padding, frame; and two sessions. Keys are drawn anew
    // in each run, so that a body falls into one step of padding or the next: around 700.
    assert!(above("W1") / 32.0 <= 800.0, "{} bytes above the bodies of each chunk", above("W1") / 32.0);
    // The configuration and the agency's own chains are in it too.
    assert!(above("W2") / 20.0 <= 4_000.0, "{} bytes above the bodies of each case", above("W2") / 20.0);
}
