//! Reviewed exceptions to the rules, each with its reason. An entry that no longer excepts anything is itself a breach.

/// A file, and why a rule does not hold in it.
pub(crate) struct Exception {
    /// Path from the root of the repository.
    pub(crate) path: &'static str,
    /// Why.
    pub(crate) reason: &'static str,
}

const fn exception(path: &'static str, reason: &'static str) -> Exception {
    Exception { path, reason }
}

/// Every list by its name.
pub(crate) const ALL: &[(&str, &[Exception])] = &[
    ("LONG_FILES", LONG_FILES),
    ("LONG_FUNCTIONS", LONG_FUNCTIONS),
    ("UNSAFE_FILES", UNSAFE_FILES),
    ("SLEEPING_TESTS", SLEEPING_TESTS),
    ("DOORS", DOORS),
    ("OWN_LINTS", OWN_LINTS),
];

/// Files that may be longer than the limit.
pub(crate) const LONG_FILES: &[Exception] = &[];

/// Files whose functions may be longer than the limit.
pub(crate) const LONG_FUNCTIONS: &[Exception] = &[];

/// Files that may hold `unsafe`.
pub(crate) const UNSAFE_FILES: &[Exception] = &[
    exception("tests/e2e/src/process.rs", "kill(2) on a child of the test has no safe wrapper in std"),
    exception("tests/faultfs/src/vfs.rs", "a file system layer of SQLite is a table of C functions"),
];

/// Files whose tests may sleep.
pub(crate) const SLEEPING_TESTS: &[Exception] = &[
    exception("tests/e2e/src/process.rs", "std cannot wait for a child's end with a limit, so it asks again and again"),
    exception("tests/e2e/src/proxy.rs", "imitates a slow line: the delay is what it makes"),
];

/// The doors: files that may read a clock or the entropy of the operating system.
pub(crate) const DOORS: &[Exception] = &[
    exception("client-core/src/native/clock.rs", "the one place where an app on a native platform reads the clocks"),
    exception("client-core/src/native/entropy.rs", "the one place where an app on a native platform reads entropy"),
    exception("sync-server/src/clock.rs", "the one place where the relay reads the clocks"),
    exception("sync-server/src/entropy.rs", "the one place where the relay reads entropy"),
    exception("crates/xtask/src/progress.rs", "measures how long a step of the build takes"),
    exception("tests/e2e/src/lib.rs", "drives real processes, so it reads the real clock"),
];

/// Manifests that do not inherit the shared lints.
pub(crate) const OWN_LINTS: &[Exception] = &[];

/// Returns the exception for a path.
pub(crate) fn excepts(exceptions: &[Exception], path: &str) -> bool {
    exceptions.iter().any(|exception| exception.path == path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_exception_gives_a_reason() {
        for (_, list) in ALL {
            for exception in *list {
                assert!(exception.reason.split_whitespace().count() >= 4, "{} needs a reason", exception.path);
            }
        }
    }
}
