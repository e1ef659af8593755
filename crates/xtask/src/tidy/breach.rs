//! A breach of a rule, as its author should read it.

/// Where, what and what to do instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Breach {
    /// Path from the root of the repository.
    pub(crate) path: String,
    /// Line, from 1.
    pub(crate) line: usize,
    /// What was found.
    pub(crate) found: String,
    /// What to do instead.
    pub(crate) remedy: &'static str,
}

impl Breach {
    /// Makes a breach.
    pub(crate) fn new(path: &str, line: usize, found: impl Into<String>, remedy: &'static str) -> Self {
        Self { path: path.to_owned(), line, found: found.into(), remedy }
    }

    /// Returns the message: file, line, rule, finding and remedy.
    pub(crate) fn report(&self, rule: &str) -> String {
        format!("{}:{}: [{rule}] {}\n       remedy: {}", self.path, self.line, self.found, self.remedy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_names_file_line_rule_finding_and_remedy() {
        let breach = Breach::new("crates/sync/src/relay.rs", 12, "`Instant` in sync", "take `now` as an argument");
        assert_eq!(
            breach.report("ambience"),
            "crates/sync/src/relay.rs:12: [ambience] `Instant` in sync\n       remedy: take `now` as an argument"
        );
    }
}
