//! Rule: no ambient time, entropy or hash order.
//!
//! In `sync` and `policy` not even the names may stand, tests included: what they decide must be the same for every
//! device, run and seed. Elsewhere clippy bans the calls, and only the listed doors may lift that ban.

use super::{
    breach::Breach,
    exceptions::{DOORS, Exception, excepts},
    tokens::{find, group, tokens},
    tree::Tree,
};

const PURE: &[&str] = &["crates/sync/", "crates/policy/"];
const CLOCKS: &[&str] = &["Instant", "SystemTime"];
const HASHED: &[&str] = &["HashMap", "HashSet", "RandomState", "DefaultHasher"];
const BANS: &[&str] = &["disallowed_methods", "disallowed_types"];

/// Checks every Rust file.
pub(crate) fn check(tree: &Tree) -> Vec<Breach> {
    check_with(tree, DOORS)
}

fn check_with(tree: &Tree, doors: &[Exception]) -> Vec<Breach> {
    let mut breaches = Vec::new();
    let mut used = Vec::new();
    for (path, text) in tree.with_ending("rs") {
        let Some(tokens) = tokens(text) else { continue };
        if PURE.iter().any(|folder| path.starts_with(folder)) {
            for token in &tokens {
                let name = token.text.as_str();
                if CLOCKS.contains(&name) {
                    let remedy = "take `now` as an argument; `std::time::Duration` is allowed";
                    breaches.push(Breach::new(path, token.line, format!("`{name}` is a clock"), remedy));
                } else if HASHED.contains(&name) {
                    let remedy = "use `BTreeMap` or `BTreeSet`: their order is the same everywhere";
                    breaches.push(Breach::new(path, token.line, format!("`{name}` has a random order"), remedy));
                }
            }
        }
        for lifted in ["allow", "expect"] {
            for rest in find(&tokens, &[lifted, "("]) {
                let lifts = group(rest.get(1..).unwrap_or_default()).iter().find(|t| BANS.contains(&t.text.as_str()));
                let Some(token) = lifts else { continue };
                if excepts(doors, path) {
                    used.push(path.to_owned());
                } else {
                    let remedy = "take time and entropy as arguments; a new door is listed in exceptions.rs (DOORS)";
                    breaches.push(Breach::new(path, token.line, format!("lifts the ban `{}`", token.text), remedy));
                }
            }
        }
    }
    let stale = doors.iter().filter(|door| !used.iter().any(|path| path == door.path));
    breaches.extend(stale.map(|door| Breach::new(door.path, 1, "is listed as a door but is none", "remove the entry")));
    breaches
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &str, text: &str) -> Vec<usize> {
        check_with(&Tree::of(&[(path, text)]), &[]).iter().map(|breach| breach.line).collect()
    }

    #[test]
    fn a_clock_in_sync_is_a_breach_however_it_is_named() {
        let check =
            |text: &str, expected: &[usize]| assert_eq!(lines("crates/sync/src/a.rs", text), expected, "{text}");
        check("use std::time::Instant;", &[1]);
        check("use std::time::{\n    Duration,\n    SystemTime as Other,\n};", &[3]);
        check("fn f() {\n    std::time::Instant::now();\n}", &[2]);
        check("#[cfg(test)]\nmod tests {\n    use std::time::Instant;\n}", &[3]);
        check("use std::time::Duration; // not Instant", &[]);
    }

    #[test]
    fn hash_order_in_policy_is_a_breach() {
        let path = "crates/policy/src/a.rs";
        assert_eq!(lines(path, "use std::collections::{BTreeMap,\n HashMap};"), [2]);
        assert_eq!(lines(path, "type A = std::collections::HashSet<u8>;"), [1]);
        assert_eq!(lines(path, "use std::hash::RandomState;"), [1]);
        assert_eq!(lines(path, "use std::collections::BTreeMap;"), [0; 0]);
    }

    #[test]
    fn other_crates_may_name_them() {
        assert_eq!(lines("client-core/src/a.rs", "use std::{collections::HashMap, time::Instant};"), [0; 0]);
    }

    #[test]
    fn only_a_listed_door_lifts_the_ban_on_clocks() {
        let text = "#[expect(clippy::disallowed_methods, reason = \"x\")]\nfn f() {}";
        assert_eq!(lines("client-core/src/a.rs", text), [1]);
        let door = [Exception { path: "client-core/src/a.rs", reason: "the one door" }];
        assert_eq!(check_with(&Tree::of(&[("client-core/src/a.rs", text)]), &door), []);
    }

    #[test]
    fn a_door_that_is_none_is_a_breach() {
        let door = [Exception { path: "client-core/src/a.rs", reason: "the one door" }];
        assert_eq!(check_with(&Tree::of(&[("client-core/src/a.rs", "fn f() {}")]), &door).len(), 1);
    }
}
