//! Rule: the pages are complete: the map names every crate, a term is defined once, decisions are numbered, the README
//! has its two commands, and links lead somewhere.

use std::collections::BTreeMap;

use super::{breach::Breach, metadata::Metadata, tree::Tree};

const MAP: &str = "docs/architecture.md";
const GLOSSARY: &str = "docs/glossary.md";
const DECISIONS: &str = "docs/adr/";
const README: &str = "README.md";
const COMMANDS: &[&str] = &["cargo xtask demo", "cargo xtask test"];

/// Checks the pages.
pub(crate) fn check(tree: &Tree, metadata: &Metadata) -> Vec<Breach> {
    let mut breaches = map(tree, metadata);
    breaches.extend(glossary(tree));
    breaches.extend(decisions(tree));
    breaches.extend(readme(tree));
    for (path, text) in tree.with_ending("md") {
        breaches.extend(links(tree, path, text));
    }
    breaches
}

fn map(tree: &Tree, metadata: &Metadata) -> Vec<Breach> {
    let text = tree.text(MAP).unwrap_or_default();
    let missing = metadata.packages.iter().filter(|package| !text.contains(&format!("`{}`", package.name)));
    let breach = |name: &str| Breach::new(MAP, 1, format!("`{name}` is not on the map"), "say what it is, in one line");
    missing.map(|package| breach(&package.name)).collect()
}

/// A term is defined by a line that begins with it in bold: `**Case**: …`.
fn glossary(tree: &Tree) -> Vec<Breach> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut breaches = Vec::new();
    for (at, line) in tree.text(GLOSSARY).unwrap_or_default().lines().enumerate() {
        let Some((term, _)) = line.strip_prefix("**").and_then(|rest| rest.split_once("**")) else { continue };
        if let Some(first) = seen.insert(term.to_lowercase(), at + 1) {
            let found = format!("`{term}` is defined a second time (first on line {first})");
            breaches.push(Breach::new(GLOSSARY, at + 1, found, "one word for one thing: merge the two"));
        }
    }
    if seen.is_empty() {
        breaches.push(Breach::new(GLOSSARY, 1, "defines no term", "begin a line with `**Term**: `"));
    }
    breaches
}

fn decisions(tree: &Tree) -> Vec<Breach> {
    let mut breaches = Vec::new();
    let mut expected = 1;
    for (path, text) in tree.with_ending("md") {
        let Some(name) = path.strip_prefix(DECISIONS) else { continue };
        let number = name.split_once('-').map(|(number, _)| number).unwrap_or_default();
        if number != format!("{expected:04}") {
            let found = format!("expected the decision number {expected:04}");
            breaches.push(Breach::new(path, 1, found, "number decisions without gaps: `0007-short-name.md`"));
        } else if !text.starts_with(&format!("# {expected}. ")) {
            let found = format!("the title does not begin with `# {expected}. `");
            breaches.push(Breach::new(path, 1, found, "repeat the number in the title"));
        }
        expected += 1;
    }
    breaches
}

fn readme(tree: &Tree) -> Vec<Breach> {
    let text = tree.text(README).unwrap_or_default();
    let mut breaches = Vec::new();
    let mut found = Vec::new();
    for (at, line) in text.lines().enumerate().filter(|(_, line)| line.starts_with("cargo ")) {
        if COMMANDS.contains(&line) {
            found.push(line);
        } else {
            let remedy = "the README has two commands; more stand in CONTRIBUTING.md";
            breaches.push(Breach::new(README, at + 1, format!("`{line}` is a further command"), remedy));
        }
    }
    for command in COMMANDS {
        if found.iter().filter(|line| *line == command).count() != 1 {
            let remedy = "let it stand once, on a line of its own in a code block";
            breaches.push(Breach::new(README, 1, format!("`{command}` does not stand there once"), remedy));
        }
    }
    breaches
}

fn links(tree: &Tree, path: &str, text: &str) -> Vec<Breach> {
    let mut breaches = Vec::new();
    let mut fenced = false;
    for (at, line) in text.lines().enumerate() {
        fenced ^= line.trim_start().starts_with("```");
        for target in line.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target) {
            let target = target.split('#').next().unwrap_or_default();
            if fenced || target.is_empty() || target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            if !tree.holds(&resolve(path, target)) {
                let remedy = "name a file of this repository, from the folder of the page";
                breaches.push(Breach::new(path, at + 1, format!("the link `{target}` leads nowhere"), remedy));
            }
        }
    }
    breaches
}

/// Resolves a link against the page that it stands on.
fn resolve(page: &str, target: &str) -> String {
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "." | "" => {}
            ".." => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD_README: &str = "# Vereda\n\n```sh\ncargo xtask demo\ncargo xtask test\n```\n";

    fn found(files: &[(&str, &str)], crates: &[(&str, &[&str])]) -> Vec<String> {
        let mut all = vec![
            (README, GOOD_README),
            (GLOSSARY, "**Case**: one child's file.\n"),
            (MAP, "`vereda-sync` moves sealed chunks.\n"),
        ];
        all.retain(|(path, _)| !files.iter().any(|(other, _)| other == path));
        all.extend(files);
        check(&Tree::of(&all), &Metadata::of(crates)).into_iter().map(|breach| breach.found).collect()
    }

    #[test]
    fn complete_pages_have_no_breach() {
        let adr = [("docs/adr/0001-one-store.md", "# 1. One store\n"), ("docs/adr/0002-two.md", "# 2. Two\n")];
        assert_eq!(found(&adr, &[("vereda-sync", &[])]), [""; 0]);
    }

    #[test]
    fn a_crate_missing_from_the_map_is_a_breach() {
        assert_eq!(found(&[], &[("vereda-new", &[])]), ["`vereda-new` is not on the map"]);
    }

    #[test]
    fn a_term_defined_twice_is_a_breach() {
        let text = "**Case**: a.\n\n**Chunk**: b.\n\n**case**: c.\n";
        assert_eq!(found(&[(GLOSSARY, text)], &[]), ["`case` is defined a second time (first on line 1)"]);
    }

    #[test]
    fn decisions_are_numbered_without_gaps() {
        let check = |path: &str, text: &str, expected: &str| assert_eq!(found(&[(path, text)], &[]), [expected]);
        check("docs/adr/0002-a.md", "# 2. A\n", "expected the decision number 0001");
        check("docs/adr/a.md", "# 1. A\n", "expected the decision number 0001");
        check("docs/adr/0001-a.md", "# A\n", "the title does not begin with `# 1. `");
    }

    #[test]
    fn the_readme_has_exactly_the_two_commands() {
        let check = |text: &str, expected: &str| assert_eq!(found(&[(README, text)], &[]), [expected]);
        check("cargo xtask demo\n", "`cargo xtask test` does not stand there once");
        check(&format!("{GOOD_README}cargo build\n"), "`cargo build` is a further command");
        check(&format!("{GOOD_README}cargo xtask test\n"), "`cargo xtask test` does not stand there once");
    }

    #[test]
    fn a_link_that_leads_nowhere_is_a_breach() {
        let check = |link: &str, valid: bool| {
            let page = format!("See [it]({link}).");
            assert_eq!(found(&[("docs/style.md", &page)], &[]).is_empty(), valid, "{link}");
        };
        check("glossary.md", true);
        check("../README.md#tour", true);
        check("../docs", true);
        check("#here", true);
        check("https://example.org/none.md", true);
        check("none.md", false);
        check("../none/", false);
    }
}
