//! What `cargo metadata` says about the packages of the workspace and what they depend on.

use std::{
    collections::{BTreeMap, VecDeque},
    path::Path,
};

use anyhow::{Context, Result};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
struct Document {
    packages: Vec<RawPackage>,
    workspace_members: Vec<String>,
    resolve: Option<Resolve>,
}

#[derive(Debug, Deserialize)]
struct RawPackage {
    id: String,
    name: String,
    license: Option<String>,
    manifest_path: String,
    dependencies: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
struct Node {
    id: String,
    deps: Vec<NodeDependency>,
}

#[derive(Debug, Deserialize)]
struct NodeDependency {
    pkg: String,
    dep_kinds: Vec<NodeKind>,
}

#[derive(Debug, Deserialize)]
struct NodeKind {
    kind: Option<String>,
}

/// A dependency as a manifest declares it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Dependency {
    /// Name of the package depended on.
    pub(crate) name: String,
    kind: Option<String>,
}

impl Dependency {
    /// Tells whether only tests need it.
    pub(crate) fn is_dev(&self) -> bool {
        self.kind.as_deref() == Some("dev")
    }
}

/// A package of the workspace.
#[derive(Debug)]
pub(crate) struct Package {
    id: String,
    /// Its name.
    pub(crate) name: String,
    /// Its licence expression.
    pub(crate) license: Option<String>,
    /// Path of its manifest from the root of the repository.
    pub(crate) manifest: String,
    /// What its manifest depends on.
    pub(crate) dependencies: Vec<Dependency>,
}

/// The packages of the workspace and the whole graph below them.
#[derive(Debug)]
pub(crate) struct Metadata {
    /// The packages of the workspace.
    pub(crate) packages: Vec<Package>,
    names: BTreeMap<String, String>,
    edges: BTreeMap<String, Vec<String>>,
}

impl Metadata {
    /// Reads the output of `cargo metadata --format-version 1`.
    ///
    /// # Errors
    /// When it is not of that form.
    pub(crate) fn parse(json: &[u8], root: &Path) -> Result<Self> {
        let document: Document = serde_json::from_slice(json).context("the output of cargo metadata is unreadable")?;
        let names = document.packages.iter().map(|package| (package.id.clone(), package.name.clone())).collect();
        let nodes = document.resolve.map(|resolve| resolve.nodes).unwrap_or_default();
        let edges = nodes.into_iter().map(|node| {
            let used = node.deps.into_iter().filter(|dep| dep.dep_kinds.iter().any(|kind| kind.kind.is_none()));
            (node.id, used.map(|dep| dep.pkg).collect())
        });
        let edges = edges.collect();
        let members = document.workspace_members;
        let packages = document.packages.into_iter().filter(|package| members.contains(&package.id)).map(|package| {
            let path = Path::new(&package.manifest_path);
            let manifest = path.strip_prefix(root).unwrap_or(path).to_string_lossy().replace('\\', "/");
            Package {
                id: package.id,
                name: package.name,
                license: package.license,
                manifest,
                dependencies: package.dependencies,
            }
        });
        Ok(Self { packages: packages.collect(), names, edges })
    }

    /// Returns the shortest chain of ordinary dependencies from a package of the workspace to one named so, if any.
    pub(crate) fn chain<'a>(&'a self, from: &'a Package, to: &str) -> Option<Vec<&'a str>> {
        let mut reached_from: BTreeMap<&str, Option<&str>> = BTreeMap::from([(from.id.as_str(), None)]);
        let mut queue = VecDeque::from([from.id.as_str()]);
        while let Some(id) = queue.pop_front() {
            if id != from.id && self.names.get(id).is_some_and(|name| name == to) {
                let mut chain = Vec::new();
                let mut at = Some(id);
                while let Some(id) = at {
                    chain.push(self.names.get(id).map_or(id, String::as_str));
                    at = reached_from.get(id).copied().flatten();
                }
                chain.reverse();
                return Some(chain);
            }
            for next in self.edges.get(id).into_iter().flatten() {
                if !reached_from.contains_key(next.as_str()) {
                    reached_from.insert(next, Some(id));
                    queue.push_back(next);
                }
            }
        }
        None
    }

    /// Makes metadata of packages named with their dependencies; those that end in ` (dev)` are needed by tests only.
    #[cfg(test)]
    pub(crate) fn of(packages: &[(&str, &[&str])]) -> Self {
        let is_dev = |name: &str| name.ends_with(" (dev)");
        let plain = |name: &str| name.trim_end_matches(" (dev)").to_owned();
        let mut names = BTreeMap::new();
        let mut edges = BTreeMap::new();
        let mut members = Vec::new();
        for &(name, dependencies) in packages {
            let ordinary: Vec<String> = dependencies.iter().filter(|name| !is_dev(name)).map(|n| plain(n)).collect();
            names.extend(ordinary.iter().chain([&name.to_owned()]).map(|name| (name.clone(), name.clone())));
            edges.insert(name.to_owned(), ordinary);
            members.push(Package {
                id: name.to_owned(),
                name: name.to_owned(),
                license: Some("Apache-2.0".to_owned()),
                manifest: format!("crates/{}/Cargo.toml", name.trim_start_matches("vereda-")),
                dependencies: dependencies
                    .iter()
                    .map(|name| Dependency { name: plain(name), kind: is_dev(name).then(|| "dev".to_owned()) })
                    .collect(),
            });
        }
        Self { packages: members, names, edges }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_output_of_cargo_is_read() {
        let json = br#"{"packages":[
            {"id":"a 1","name":"a","license":"MIT","manifest_path":"/r/a/Cargo.toml","dependencies":[
                {"name":"b","kind":null,"target":null},{"name":"c","kind":"dev"}]},
            {"id":"b 1","name":"b","license":null,"manifest_path":"/x/Cargo.toml","dependencies":[]}],
            "workspace_members":["a 1"],
            "resolve":{"nodes":[{"id":"a 1","deps":[{"name":"b","pkg":"b 1","dep_kinds":[{"kind":null}]}]},
                {"id":"b 1","deps":[]}]}}"#;
        let metadata = Metadata::parse(json, Path::new("/r")).unwrap();
        let [package] = metadata.packages.as_slice() else { panic!("one member") };
        assert_eq!((package.name.as_str(), package.manifest.as_str()), ("a", "a/Cargo.toml"));
        assert_eq!(package.dependencies.iter().map(Dependency::is_dev).collect::<Vec<_>>(), [false, true]);
        assert_eq!(metadata.chain(package, "b"), Some(vec!["a", "b"]));
        assert_eq!(metadata.chain(package, "c"), None);
    }
}
