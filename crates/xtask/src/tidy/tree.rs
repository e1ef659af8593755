//! The repository's text files, read once.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

/// Folders that hold nothing of ours.
const SKIPPED: &[&str] = &["target", "node_modules", "corpus", "artifacts", "fixtures"];
/// Endings of the files that rules read.
const READ: &[&str] = &["rs", "md", "toml"];

/// Texts by their path from the root, with `/` between folders.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    files: BTreeMap<String, String>,
    names: Vec<String>,
}

impl Tree {
    /// Reads every Rust, Markdown and TOML file below a folder, hidden folders and build output left out.
    ///
    /// # Errors
    /// When a folder or file cannot be read or is not UTF-8.
    pub(crate) fn read(root: &Path) -> io::Result<Self> {
        let mut tree = Self::default();
        tree.read_folder(root, root)?;
        Ok(tree)
    }

    /// Makes a tree of given texts.
    #[cfg(test)]
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let files: BTreeMap<_, _> = files.iter().map(|&(path, text)| (path.to_owned(), text.to_owned())).collect();
        let names = files.keys().cloned().collect();
        Self { files, names }
    }

    /// Walks all texts by path.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// Walks the texts with this ending.
    pub(crate) fn with_ending(&self, ending: &str) -> impl Iterator<Item = (&str, &str)> {
        self.files().filter(move |(path, _)| path.rsplit('.').next() == Some(ending))
    }

    /// Returns the text at a path.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    /// Tells whether a file, read or not, or a folder stands at this path.
    pub(crate) fn holds(&self, path: &str) -> bool {
        let folder = format!("{}/", path.trim_end_matches('/'));
        self.names.iter().any(|name| name == path || name.starts_with(&folder))
    }

    fn read_folder(&mut self, root: &Path, folder: &Path) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let path: PathBuf = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if path.is_dir() {
                if !name.starts_with('.') && !SKIPPED.contains(&name) {
                    self.read_folder(root, &path)?;
                }
                continue;
            }
            let Some(key) = path.strip_prefix(root).ok().and_then(Path::to_str) else { continue };
            let key = key.replace('\\', "/");
            if path.extension().and_then(|ending| ending.to_str()).is_some_and(|ending| READ.contains(&ending)) {
                self.files.insert(key.clone(), fs::read_to_string(&path)?);
            }
            self.names.push(key);
        }
        Ok(())
    }
}

/// Tells whether a whole file is test code: the tests of a crate, or of a file that keeps them beside it.
pub(crate) fn is_test_file(path: &str) -> bool {
    path.starts_with("tests/") || path.contains("/tests/") || path.ends_with("/tests.rs")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_folders_are_found_by_path() {
        let tree = Tree::of(&[("docs/adr/0001-a.md", "# 1")]);
        let check = |path: &str, expected: bool| assert_eq!(tree.holds(path), expected, "{path}");
        check("docs/adr/0001-a.md", true);
        check("docs/adr", true);
        check("docs/adr/", true);
        check("docs/ad", false);
    }

    #[test]
    fn this_crate_reads_its_own_sources() {
        let tree = Tree::read(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
        assert!(tree.text("src/tidy/tree.rs").is_some());
        assert!(tree.holds("Cargo.toml"));
    }
}
