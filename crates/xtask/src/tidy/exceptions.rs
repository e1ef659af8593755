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

/// Files that may be longer than the limit.
pub(crate) const LONG_FILES: &[Exception] = &[];

/// Files that may hold `unsafe`.
pub(crate) const UNSAFE_FILES: &[Exception] = &[];

/// Files whose tests may sleep.
pub(crate) const SLEEPING_TESTS: &[Exception] = &[];

/// The doors: files that may read a clock or the entropy of the operating system.
pub(crate) const DOORS: &[Exception] =
    &[exception("crates/xtask/src/progress.rs", "measures how long a step of the build takes")];

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
        for list in [LONG_FILES, UNSAFE_FILES, SLEEPING_TESTS, DOORS, OWN_LINTS] {
            for exception in list {
                assert!(exception.reason.split_whitespace().count() >= 4, "{} needs a reason", exception.path);
            }
        }
    }
}
