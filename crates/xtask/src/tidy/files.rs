//! Rule: one noun a file, so no `mod.rs` and no file longer than the limit.

use super::{
    breach::Breach,
    exceptions::{Exception, LONG_FILES, excepts},
    tokens::tokens,
    tree::Tree,
};

const MAX_LINES: usize = 500;

/// Checks every Rust file.
pub(crate) fn check(tree: &Tree) -> Vec<Breach> {
    check_with(tree, LONG_FILES)
}

fn check_with(tree: &Tree, long: &[Exception]) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for (path, text) in tree.with_ending("rs") {
        if path.rsplit('/').next() == Some("mod.rs") {
            breaches.push(Breach::new(
                path,
                1,
                "a file named mod.rs",
                "name it after its noun: `foo.rs` beside `foo/`",
            ));
        }
        let length = text.lines().count();
        if length > MAX_LINES && !excepts(long, path) {
            let found = format!("{length} lines, over {MAX_LINES}");
            let remedy = "find the second noun and give it a file; or list it in exceptions.rs with the reason";
            breaches.push(Breach::new(path, MAX_LINES, found, remedy));
        }
        if tokens(text).is_none() {
            breaches.push(Breach::new(path, 1, "is not Rust", "repair the syntax: no rule can read it"));
        }
    }
    for entry in long {
        if tree.text(entry.path).is_none_or(|text| text.lines().count() <= MAX_LINES) {
            breaches.push(Breach::new(entry.path, 1, "is listed as long but is not", "remove the entry"));
        }
    }
    breaches
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str, long: &[Exception]) -> Vec<String> {
        check_with(&Tree::of(&[(path, text)]), long).into_iter().map(|breach| breach.found).collect()
    }

    #[test]
    fn a_file_named_mod_is_a_breach() {
        assert_eq!(found("crates/sync/src/relay/mod.rs", "", &[]), ["a file named mod.rs"]);
    }

    #[test]
    fn a_long_file_is_a_breach_unless_it_is_listed() {
        let long = "fn f() {}\n".repeat(501);
        assert_eq!(found("a.rs", &long, &[]), ["501 lines, over 500"]);
        assert_eq!(found("a.rs", &long, &[Exception { path: "a.rs", reason: "one table" }]), [""; 0]);
        assert_eq!(found("a.rs", &"fn f() {}\n".repeat(500), &[]), [""; 0]);
    }

    #[test]
    fn a_stale_entry_is_a_breach() {
        let listed = [Exception { path: "a.rs", reason: "one table" }];
        assert_eq!(found("a.rs", "fn f() {}", &listed), ["is listed as long but is not"]);
    }

    #[test]
    fn a_file_that_is_not_rust_is_a_breach() {
        assert_eq!(found("a.rs", "fn f( {", &[]), ["is not Rust"]);
    }
}
