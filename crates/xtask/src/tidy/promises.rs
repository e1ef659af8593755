//! Rule: promises are kept by tests that exist.
//!
//! Wherever a page writes `path/to/file.rs::name`, that file has a test of that name; and every row of the table of
//! promises in the threat model names at least one. What no test guards yet stands in a section of its own there.

use super::{
    breach::Breach,
    tokens::{Token, tokens},
    tree::Tree,
};

const THREAT_MODEL: &str = "docs/threat-model.md";
const SECTION: &str = "## Promises";

/// Checks every page.
pub(crate) fn check(tree: &Tree) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for (path, text) in tree.with_ending("md") {
        for (at, line) in text.lines().enumerate() {
            for (file, name) in references(line) {
                if !tree.text(file).is_some_and(|source| has_test(source, name)) {
                    let remedy = "name a test that exists, by its path from the root; or move the promise to what is \
                                  not guarded yet";
                    breaches.push(Breach::new(path, at + 1, format!("no test `{file}::{name}`"), remedy));
                }
            }
        }
    }
    breaches.extend(unguarded(tree));
    breaches
}

fn unguarded(tree: &Tree) -> Vec<Breach> {
    let text = tree.text(THREAT_MODEL).unwrap_or_default();
    let section: Vec<(usize, &str)> = text
        .lines()
        .enumerate()
        .skip_while(|(_, line)| !line.starts_with(SECTION))
        .skip(1)
        .take_while(|(_, line)| !line.starts_with("## "))
        .collect();
    let is_rule = |at: usize| section.get(at).is_some_and(|(_, line)| line.starts_with("| ---"));
    // The head of a table is the row above its rule.
    let rows: Vec<_> = section
        .iter()
        .enumerate()
        .filter(|&(at, (_, line))| line.starts_with('|') && !is_rule(at) && !is_rule(at + 1))
        .map(|(_, row)| *row)
        .collect();
    let remedy = "name the test that guards it, as `path.rs::name`; or move the row to what is not guarded yet";
    let mut breaches: Vec<_> = rows
        .iter()
        .filter(|(_, line)| references(line).is_empty())
        .map(|(at, _)| Breach::new(THREAT_MODEL, at + 1, "a promise without a test", remedy))
        .collect();
    if rows.is_empty() {
        let remedy = "keep a section `## Promises` with a table: promise, guarding test";
        breaches.push(Breach::new(THREAT_MODEL, 1, "no table of promises", remedy));
    }
    breaches
}

/// Finds each `path.rs::name` in backticks.
fn references(line: &str) -> Vec<(&str, &str)> {
    let quoted = line.split('`').skip(1).step_by(2);
    quoted
        .filter_map(|text| text.split_once(".rs::").map(|(path, name)| (text.get(..path.len() + 3), name)))
        .filter_map(|(path, name)| path.map(|path| (path, name)))
        .collect()
}

fn has_test(source: &str, name: &str) -> bool {
    let Some(tokens) = tokens(source) else { return false };
    tokens.windows(2).enumerate().any(|(at, pair)| {
        let names = pair.iter().map(|token| token.text.as_str()).eq(["fn", name]);
        names && is_test(tokens.get(..at).unwrap_or_default())
    })
}

/// Tells whether the attributes that end these tokens mark a test: `#[test]` or `#[runtime::test(…)]`.
fn is_test(before: &[Token]) -> bool {
    let start = before.iter().rposition(|token| ["}", ";", "{"].contains(&token.text.as_str()));
    let attributes = before.get(start.map_or(0, |at| at + 1)..).unwrap_or_default();
    attributes.windows(2).any(|pair| match pair {
        [before, token] => token.text == "test" && ["[", ":"].contains(&before.text.as_str()),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: (&str, &str) = (
        "crates/sync/tests/a.rs",
        "fn helper() {}\n#[test]\nfn edits_survive() {}\n#[tokio::test(flavor = \"multi_thread\")]\nasync fn b() {}\n\
         proptest! { #[test] fn converges(x in 0..3) {} }\n#[cfg(test)]\nfn c() {}",
    );

    fn found(rows: &str) -> Vec<String> {
        let page = format!(
            "# Threat model\n\n## Promises\n\n| Promise | Test |\n| --- | --- |\n{rows}\n## Not yet\n| a | b |\n"
        );
        check(&Tree::of(&[SOURCE, (THREAT_MODEL, &page)])).into_iter().map(|breach| breach.found).collect()
    }

    #[test]
    fn a_promise_names_a_test_that_exists() {
        for name in ["edits_survive", "b", "converges"] {
            assert_eq!(found(&format!("| Kept | `crates/sync/tests/a.rs::{name}` |\n")), [""; 0], "{name}");
        }
    }

    #[test]
    fn a_promise_without_a_test_is_a_breach() {
        assert_eq!(found("| Kept | soon |\n"), ["a promise without a test"]);
        let second = "\n### Relay\n\n| Promise | Test |\n| --- | --- |\n| Kept | soon |\n";
        assert_eq!(found(second), ["a promise without a test"]);
        assert_eq!(found(""), ["no table of promises"]);
    }

    #[test]
    fn a_promise_whose_test_does_not_exist_is_a_breach() {
        for name in ["gone", "helper", "c"] {
            let row = format!("| Kept | `crates/sync/tests/a.rs::{name}` |\n");
            assert_eq!(found(&row), [format!("no test `crates/sync/tests/a.rs::{name}`")]);
        }
        assert_eq!(found("| Kept | `crates/none.rs::a` |\n"), ["no test `crates/none.rs::a`"]);
    }
}
