//! `cargo xtask tidy`: the rules of the house that no compiler checks.
//!
//! Each rule is a pure function from a [`Tree`] (and, for dependencies, the output of `cargo metadata`) to
//! [`Breach`]es, proven by a test that feeds it one.

use anyhow::{Context, Result};
use clap::Args;

use crate::{Outcome, cargo, progress::say};

mod absences;
mod ambience;
mod breach;
mod documentation;
mod edges;
mod exceptions;
mod files;
mod manifests;
mod metadata;
mod pages;
mod promises;
mod tokens;
mod tree;

use breach::Breach;
use metadata::Metadata;
use tree::Tree;

/// Checks the rules of the house: dependencies, clocks and hash order, absences, documentation, pages, manifests.
///
/// Each breach names file, line, rule and remedy. Exceptions stand, each with its reason, in
/// crates/xtask/src/tidy/exceptions.rs.
///
/// Examples:
///   cargo xtask tidy
///   cargo xtask tidy --rules           # one line per rule, and every exception
///   cargo xtask tidy --only edges
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Tidy {
    /// Lists the rules and the exceptions to them instead of checking.
    #[arg(long)]
    rules: bool,
    /// Checks only this rule.
    #[arg(long, value_name = "RULE")]
    only: Option<String>,
}

impl Tidy {
    /// Checks every rule, or lists them.
    ///
    /// # Errors
    /// When the sources cannot be read or `cargo metadata` fails.
    pub(crate) fn run(self) -> Result<Outcome> {
        if self.rules {
            for rule in RULES {
                say(&format!("{:14} {}", rule.name, rule.summary));
            }
            for (list, entries) in exceptions::ALL {
                for entry in *entries {
                    say(&format!("exception: {list}: {}: {}", entry.path, entry.reason));
                }
            }
            return Ok(Outcome::Holds);
        }
        check_rules(|rule| self.only.as_deref().is_none_or(|only| only == rule.name))
    }
}

/// Checks every rule and prints each breach.
///
/// # Errors
/// When the sources cannot be read or `cargo metadata` fails.
pub(crate) fn check() -> Result<Outcome> {
    check_rules(|_| true)
}

/// Asks cargo for the graph of this platform only, so that nothing is downloaded that is never built here.
fn read_metadata() -> Result<Vec<u8>> {
    let platform = cargo::host_platform()?;
    cargo::cargo_output(&["metadata", "--format-version", "1", "--filter-platform", &platform])
}

struct Rule {
    name: &'static str,
    summary: &'static str,
    check: fn(&Tree, &Metadata) -> Vec<Breach>,
}

const RULES: &[Rule] = &[
    Rule {
        name: "edges",
        summary: "crates depend only on what the table of dependency edges lists",
        check: edges::check,
    },
    Rule {
        name: "ambience",
        summary: "no clock and no hash order in sync and policy; one door per binary for time and entropy",
        check: |tree, _| ambience::check(tree),
    },
    Rule {
        name: "absences",
        summary: "the relay names no key; no unsafe, ignored test, todo or sleeping test",
        check: |tree, _| absences::check(tree),
    },
    Rule {
        name: "files",
        summary: "no mod.rs, no file over 500 lines, no function over 70",
        check: |tree, _| files::check(tree),
    },
    Rule {
        name: "documentation",
        summary: "public items of the libraries are documented",
        check: |tree, _| documentation::check(tree),
    },
    Rule {
        name: "pages",
        summary: "README, map, glossary and decisions are complete and their links resolve",
        check: pages::check,
    },
    Rule {
        name: "promises",
        summary: "promises and invariants name a test that exists",
        check: |tree, _| promises::check(tree),
    },
    Rule { name: "manifests", summary: "licence and shared lints in every manifest", check: manifests::check },
];

fn check_rules(wanted: impl Fn(&Rule) -> bool) -> Result<Outcome> {
    let root = cargo::root()?;
    let tree = Tree::read(&root).context("the sources cannot be read")?;
    let metadata = Metadata::parse(&read_metadata()?, &root)?;
    let mut breaches = Vec::new();
    let mut checked = 0_usize;
    for rule in RULES.iter().filter(|rule| wanted(rule)) {
        breaches.extend((rule.check)(&tree, &metadata).into_iter().map(|breach| (rule.name, breach)));
        checked += 1;
    }
    for (rule, breach) in &breaches {
        say(&breach.report(rule));
    }
    let files = tree.files().count();
    say(&format!("{checked} rules over {files} files: {} breaches", breaches.len()));
    anyhow::ensure!(checked > 0, "no rule has this name; `cargo xtask tidy --rules` lists them");
    Ok(if breaches.is_empty() { Outcome::Holds } else { Outcome::Broken })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_has_a_name_of_its_own() {
        let mut names: Vec<_> = RULES.iter().map(|rule| rule.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), RULES.len());
    }
}
