//! Rule: every manifest names the licence and takes the shared lints.

use super::{
    breach::Breach,
    exceptions::{Exception, OWN_LINTS, excepts},
    metadata::Metadata,
    tree::Tree,
};

const LICENCE: &str = "Apache-2.0";

/// Checks the manifests of the workspace.
pub(crate) fn check(tree: &Tree, metadata: &Metadata) -> Vec<Breach> {
    check_with(tree, metadata, OWN_LINTS)
}

fn check_with(tree: &Tree, metadata: &Metadata, own_lints: &[Exception]) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for package in &metadata.packages {
        let path = package.manifest.as_str();
        if package.license.as_deref() != Some(LICENCE) {
            let found = format!("the licence is {}", package.license.as_deref().unwrap_or("not named"));
            breaches.push(Breach::new(path, 1, found, "write `license.workspace = true`"));
        }
        if !excepts(own_lints, path) && !inherits_lints(tree.text(path).unwrap_or_default()) {
            let remedy = "write `[lints]` and `workspace = true`; or list it in exceptions.rs (OWN_LINTS)";
            breaches.push(Breach::new(path, 1, "does not take the shared lints", remedy));
        }
    }
    for entry in own_lints {
        if tree.text(entry.path).is_none_or(inherits_lints) {
            breaches.push(Breach::new(
                entry.path,
                1,
                "is listed for lints of its own but has none",
                "remove the entry",
            ));
        }
    }
    breaches
}

fn inherits_lints(manifest: &str) -> bool {
    let mut lines = manifest.lines().map(str::trim).skip_while(|&line| line != "[lints]").skip(1);
    lines.find(|line| !line.is_empty() && !line.starts_with('#')) == Some("workspace = true")
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "[package]\nname = \"vereda-sync\"\n\n[lints]\nworkspace = true\n";

    #[test]
    fn a_manifest_without_the_shared_lints_is_a_breach() {
        let metadata = Metadata::of(&[("vereda-sync", &[])]);
        let path = "crates/sync/Cargo.toml";
        let check = |text: &str, own: &[Exception], expected: usize| {
            assert_eq!(check_with(&Tree::of(&[(path, text)]), &metadata, own).len(), expected, "{text}");
        };
        check(GOOD, &[], 0);
        check("[package]\nname = \"vereda-sync\"\n", &[], 1);
        check("[lints]\n[lints.rust]\nunsafe_code = \"allow\"\n", &[], 1);
        check("[package]\n", &[Exception { path, reason: "generated code" }], 0);
        check(GOOD, &[Exception { path, reason: "generated code" }], 1);
    }

    #[test]
    fn a_manifest_without_the_licence_is_a_breach() {
        let mut metadata = Metadata::of(&[("vereda-sync", &[])]);
        let tree = Tree::of(&[("crates/sync/Cargo.toml", GOOD)]);
        for licence in [None, Some("MIT".to_owned())] {
            metadata.packages[0].license = licence;
            assert_eq!(check_with(&tree, &metadata, &[]).len(), 1);
        }
    }
}
