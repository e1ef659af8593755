//! Rule: crates depend only on what is listed.
//!
//! Three layers, each of which holds even if another is edited carelessly: the table of edges (every dependency of a
//! core crate, every dependency of ours elsewhere), the doors (libraries that only certain crates may name at all),
//! and what must not be reachable by any chain of dependencies.

use super::{
    breach::Breach,
    metadata::{Metadata, Package},
    tree::Tree,
};

mod table;

use table::{DOORS, Edges, External, TABLE, UNREACHABLE};

/// Checks every package of the workspace.
pub(crate) fn check(tree: &Tree, metadata: &Metadata) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for package in &metadata.packages {
        let manifest = tree.text(&package.manifest).unwrap_or_default();
        let mut breach = |name: &str, found: String, remedy: &'static str| {
            breaches.push(Breach::new(&package.manifest, line_of(manifest, name), found, remedy));
        };
        let Some(edges) = TABLE.iter().find(|edges| edges.package == package.name) else {
            let remedy = "list it in crates/xtask/src/tidy/edges/table.rs and place it in docs/architecture.md";
            breach("name", format!("`{}` is not in the table of edges", package.name), remedy);
            continue;
        };
        for dependency in &package.dependencies {
            let name = dependency.name.as_str();
            if !is_listed(edges, name, dependency.is_dev(), metadata) {
                let kind = if dependency.is_dev() { "dev-dependency" } else { "dependency" };
                let remedy = "dependencies point one way (docs/architecture.md); a new edge is a reviewed line in \
                              crates/xtask/src/tidy/edges/table.rs";
                breach(name, format!("{kind} of `{}` on `{name}` is not listed", package.name), remedy);
            }
            if let Some(door) = DOORS.iter().find(|door| door.library == name) {
                let in_tests = dependency.is_dev() && door.tests.contains(&package.name.as_str());
                if !in_tests && !door.crates.contains(&package.name.as_str()) {
                    let found = format!("`{}` names `{name}`, which only {} may", package.name, door.crates.join(", "));
                    breach(name, found, "go through the crate that owns it");
                }
            }
        }
        for reach in UNREACHABLE.iter().filter(|reach| reach.from == package.name) {
            for library in reach.libraries {
                if let Some(chain) = metadata.chain(package, library) {
                    let first = chain.get(1).copied().unwrap_or_default();
                    let remedy = "cut the chain: this crate must work without it";
                    breach(first, format!("reaches `{library}`: {}", chain.join(" → ")), remedy);
                }
            }
        }
    }
    breaches
}

fn is_listed(edges: &Edges, name: &str, is_dev: bool, metadata: &Metadata) -> bool {
    // Tests may switch on a feature of their own crate.
    let is_self = is_dev && name == edges.package;
    if is_self || edges.normal.contains(&name) || (is_dev && edges.dev.contains(&name)) {
        return true;
    }
    edges.external == External::AnyButDoors && !is_ours(name, &metadata.packages)
}

fn is_ours(name: &str, packages: &[Package]) -> bool {
    name.starts_with("vereda") || packages.iter().any(|package| package.name == name)
}

/// Returns the line, from 1, where a manifest declares a dependency.
fn line_of(manifest: &str, name: &str) -> usize {
    let declares = |line: &str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['.', ' ', '=']));
    manifest.lines().position(declares).map_or(1, |at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(packages: &[(&str, &[&str])]) -> Vec<String> {
        check(&Tree::default(), &Metadata::of(packages)).into_iter().map(|breach| breach.found).collect()
    }

    #[test]
    fn a_forbidden_edge_is_a_breach() {
        assert_eq!(
            found(&[("vereda-crypto", &["vereda-sync"])]),
            ["dependency of `vereda-crypto` on `vereda-sync` is not listed"]
        );
        assert_eq!(
            found(&[("vereda-interchange", &["vereda-document"])]),
            ["dependency of `vereda-interchange` on `vereda-document` is not listed"]
        );
    }

    #[test]
    fn sync_knows_no_runtime_no_sql_no_json_and_no_automerge() {
        for library in ["tokio", "rusqlite", "serde_json", "automerge"] {
            let breaches = found(&[("vereda-sync", &[library])]);
            assert!(breaches.iter().any(|found| found.contains("is not listed")), "{library}: {breaches:?}");
            assert!(breaches.iter().any(|found| found.contains("reaches")), "{library}: {breaches:?}");
        }
    }

    #[test]
    fn the_relay_cannot_reach_what_reads_documents_by_any_chain() {
        let breaches = found(&[
            ("vereda-relay", &["vereda-base"]),
            ("vereda-base", &["vereda-records"]),
            ("vereda-records", &["vereda-base"]),
        ]);
        assert!(
            breaches.contains(&"reaches `vereda-records`: vereda-relay → vereda-base → vereda-records".to_owned()),
            "{breaches:?}"
        );
    }

    #[test]
    fn a_library_behind_a_door_is_named_by_its_owner_only() {
        assert_eq!(found(&[("vereda-document", &["automerge"])]), [""; 0]);
        assert_eq!(
            found(&[("vereda-client-core", &["automerge"])]),
            ["`vereda-client-core` names `automerge`, which only vereda-document may"]
        );
        assert_eq!(
            found(&[("vereda-client-core", &["anyhow"])]).len(),
            1,
            "anyhow stands in programs only, never in a library"
        );
    }

    #[test]
    fn dev_dependencies_are_wider_but_listed() {
        assert_eq!(found(&[("vereda-base", &["proptest (dev)"])]), [""; 0]);
        assert_eq!(found(&[("vereda-base", &["vereda-base (dev)"])]), [""; 0]);
        assert_eq!(found(&[("vereda-base", &["proptest"])]).len(), 1);
        assert_eq!(found(&[("vereda-base", &["tempfile (dev)"])]).len(), 1);
    }

    #[test]
    fn an_unlisted_package_is_a_breach() {
        assert_eq!(found(&[("vereda-novelty", &[])]), ["`vereda-novelty` is not in the table of edges"]);
    }

    #[test]
    fn the_breach_names_the_line_of_the_manifest() {
        let tree = Tree::of(&[("crates/sync/Cargo.toml", "[package]\n\n[dependencies]\ntokio.workspace = true\n")]);
        let breaches = check(&tree, &Metadata::of(&[("vereda-sync", &["tokio"])]));
        assert_eq!(breaches[0].line, 4);
    }
}
