//! Comparing and regenerating the committed files.

use std::{
    collections::BTreeSet,
    fmt, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, anyhow};

use crate::{FORMATS, Format, VERSION, VERSIONS, file, vector::Vector};

/// What is wrong with a committed file.
#[derive(Debug)]
pub struct Breach {
    /// The file to look at.
    pub file: PathBuf,
    /// What was found.
    pub found: anyhow::Error,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:#}", self.file.display(), self.found)
    }
}

/// Makes every vector anew and compares, and reads every committed one, of older versions too. `root` holds one folder
/// for each version. Empty where all is well.
pub fn check(root: &Path) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for format in FORMATS {
        let mut note = |file: PathBuf, outcome: Result<()>| {
            if let Err(found) = outcome {
                breaches.push(Breach { file, found });
            }
        };
        note(path(root, VERSION, format), compare(root, format));
        for version in VERSIONS {
            let file = path(root, version, format);
            // A format is younger than the versions that lack its file.
            if *version == VERSION || file.exists() {
                note(file, load(root, version, format).and_then(|vectors| (format.read)(&vectors)));
            }
        }
    }
    breaches.extend(strangers(root));
    breaches
}

/// Writes the files of the present version anew; tells which changed.
///
/// # Errors
/// If a vector cannot be made or a file cannot be written.
pub fn regenerate(root: &Path) -> Result<Vec<PathBuf>> {
    fs::create_dir_all(root.join(VERSION))?;
    let mut changed = Vec::new();
    for format in FORMATS {
        let file = path(root, VERSION, format);
        let text = file::write(format.about, &make(format)?)?;
        if fs::read_to_string(&file).ok().as_deref() != Some(&text) {
            fs::write(&file, text).with_context(|| format!("writing {}", file.display()))?;
            changed.push(file);
        }
    }
    Ok(changed)
}

/// Reads the committed vectors of a format.
///
/// # Errors
/// If the file is missing or malformed.
pub fn load(root: &Path, version: &str, format: &Format) -> Result<Vec<Vector>> {
    let file = path(root, version, format);
    file::read(&fs::read_to_string(&file).context("no such file: was it never made?")?)
}

fn compare(root: &Path, format: &Format) -> Result<()> {
    let (committed, made) = (load(root, VERSION, format)?, make(format)?);
    for (old, new) in committed.iter().zip(&made) {
        if let Some(difference) = old.difference(new) {
            return Err(anyhow!("the code makes something else now: {difference}"));
        }
    }
    if committed.len() != made.len() {
        return Err(anyhow!("{} vectors committed, {} made now", committed.len(), made.len()));
    }
    let text = fs::read_to_string(path(root, VERSION, format))?;
    if text != file::write(format.about, &made)? {
        return Err(anyhow!("the same vectors, written otherwise"));
    }
    Ok(())
}

fn make(format: &Format) -> Result<Vec<Vector>> {
    (format.make)().with_context(|| format!("making the vectors of {}", format.name))
}

fn path(root: &Path, version: &str, format: &Format) -> PathBuf {
    root.join(version).join(format.name).with_extension("json")
}

/// Finds files of no format: nothing would check them.
fn strangers(root: &Path) -> Vec<Breach> {
    let known: BTreeSet<PathBuf> =
        VERSIONS.iter().flat_map(|version| FORMATS.iter().map(|format| path(root, version, format))).collect();
    let files = VERSIONS.iter().filter_map(|version| fs::read_dir(root.join(version)).ok()).flatten().flatten();
    let strange = files.map(|entry| entry.path()).filter(|file| !known.contains(file));
    strange.map(|file| Breach { file, found: anyhow!("belongs to no format") }).collect()
}
