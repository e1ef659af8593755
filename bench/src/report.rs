//! What was measured: one JSON object a line, or a table for people.
#![allow(clippy::print_stderr, reason = "progress is for whoever watches")]

use std::io::Write;

use anyhow::Result;
use serde::Serialize;

/// Tells whoever watches how far the run is.
pub(crate) fn progress(text: &str) {
    eprintln!("{text}");
}

/// Prints a line on standard output, at once.
pub(crate) fn print_line(line: &str) -> Result<()> {
    let mut output = std::io::stdout().lock();
    writeln!(output, "{line}")?;
    Ok(output.flush()?)
}

/// One measured number.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Measurement {
    pub(crate) workload: &'static str,
    pub(crate) cases: usize,
    pub(crate) metric: String,
    pub(crate) value: f64,
    pub(crate) unit: Unit,
    /// The goal, where there is one.
    pub(crate) limit: Option<f64>,
    /// What no design could do without, where it is computed in the same run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) physical: Option<f64>,
}

/// What a number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) enum Unit {
    #[serde(rename = "B")]
    Bytes,
    #[serde(rename = "s")]
    Seconds,
    #[serde(rename = "ms")]
    Milliseconds,
    #[serde(rename = "1")]
    Count,
    #[serde(rename = "1")]
    Ratio,
}

impl Measurement {
    pub(crate) fn new(workload: &'static str, cases: usize, metric: impl Into<String>, value: f64, unit: Unit) -> Self {
        Self { workload, cases, metric: metric.into(), value, unit, limit: None, physical: None }
    }

    pub(crate) const fn limit(mut self, limit: f64) -> Self {
        self.limit = Some(limit);
        self
    }

    pub(crate) const fn physical(mut self, physical: f64) -> Self {
        self.physical = Some(physical);
        self
    }
}

/// Takes measurements as they come.
pub(crate) struct Report {
    is_json: bool,
    rows: Vec<Measurement>,
}

impl Report {
    pub(crate) const fn new(is_json: bool) -> Self {
        Self { is_json, rows: Vec::new() }
    }

    /// Takes a measurement; as JSON it is printed at once.
    pub(crate) fn take(&mut self, measurement: Measurement) -> Result<()> {
        if self.is_json {
            print_line(&serde_json::to_string(&measurement)?)?;
        }
        self.rows.push(measurement);
        Ok(())
    }

    /// Prints the table.
    pub(crate) fn finish(self) {
        if self.is_json {
            return;
        }
        // A reader that is gone needs no table.
        drop(self.table().lines().try_for_each(print_line));
    }

    fn table(&self) -> String {
        let mut rows = vec![["workload", "cases", "what", "measured", "goal", "physical", ""].map(str::to_owned)];
        rows.extend(self.rows.iter().map(|row| {
            let shown = |value: Option<f64>| value.map_or_else(String::new, |value| show(value, row.unit));
            let verdict = match row.limit {
                Some(limit) if row.value > limit => "over",
                Some(_) => "ok",
                None => "",
            };
            [
                row.workload.to_owned(),
                row.cases.to_string(),
                row.metric.clone(),
                show(row.value, row.unit),
                shown(row.limit),
                shown(row.physical),
                verdict.to_owned(),
            ]
        }));
        let mut widths = [0; 7];
        for row in &rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let mut table = String::new();
        for row in &rows {
            let cells = row.iter().zip(widths).enumerate().map(|(column, (cell, width))| {
                if matches!(column, 1 | 3..=5) { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
            });
            table.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
            table.push('\n');
        }
        table
    }
}

fn show(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Bytes if value >= 10e6 => format!("{:.1} MB", value / 1e6),
        Unit::Bytes if value >= 10e3 => format!("{:.1} kB", value / 1e3),
        Unit::Bytes => format!("{value:.0} B"),
        Unit::Seconds => format!("{value:.2} s"),
        Unit::Milliseconds => format!("{value:.1} ms"),
        Unit::Count => format!("{value:.0}"),
        Unit::Ratio => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_measurement_reads_as_one_object_with_its_goal_or_null() {
        let check = |measurement: Measurement, expected: &str| {
            assert_eq!(serde_json::to_string(&measurement).unwrap(), expected);
        };
        let bytes = Measurement::new("W5b", 500, "bytes", 700.0, Unit::Bytes);
        check(
            bytes.clone(),
            r#"{"workload":"W5b","cases":500,"metric":"bytes","value":700.0,"unit":"B","limit":null}"#,
        );
        check(
            bytes.limit(1_000.0).physical(96.0),
            r#"{"workload":"W5b","cases":500,"metric":"bytes","value":700.0,"unit":"B","limit":1000.0,"physical":96.0}"#,
        );
    }

    #[test]
    fn the_table_says_what_is_over_its_goal() {
        let mut report = Report::new(false);
        report.take(Measurement::new("W5b", 500, "bytes", 700.0, Unit::Bytes).limit(1_000.0)).unwrap();
        report.take(Measurement::new("W6", 5_000, "open", 40.0, Unit::Milliseconds).limit(30.0)).unwrap();
        let table = report.table();
        let words: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(words[1], ["W5b", "500", "bytes", "700", "B", "1000", "B", "ok"]);
        assert_eq!(words[2], ["W6", "5000", "open", "40.0", "ms", "30.0", "ms", "over"]);
    }
}
