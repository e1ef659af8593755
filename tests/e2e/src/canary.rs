//! Searches files and captured traffic for planted values, in every encoding they might leak in.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use aho_corasick::{AhoCorasick, MatchKind};
use anyhow::{Context, Result};
use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD};

/// One find: which planted value, in which encoding, where.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Find {
    /// Index of the planted value.
    pub value: usize,
    /// How it was encoded.
    pub encoding: &'static str,
    /// File name or label of the haystack.
    pub place: String,
    /// Byte offset.
    pub offset: usize,
}

/// A set of planted values, ready to be searched for.
pub struct Canaries {
    automaton: AhoCorasick,
    patterns: Vec<(usize, &'static str)>,
    count: usize,
}

impl Canaries {
    /// Prepares the search for UTF-8, UTF-16 (both byte orders), hexadecimal (both cases) and base64 (both alphabets,
    /// all three alignments). Values shorter than six bytes are refused: they would be found by chance.
    ///
    /// # Errors
    /// When a value is too short or the automaton cannot be built.
    pub fn new(values: &[String]) -> Result<Self> {
        let mut needles: Vec<Vec<u8>> = Vec::new();
        let mut patterns = Vec::new();
        for (index, value) in values.iter().enumerate() {
            anyhow::ensure!(value.len() >= 6, "planted value {index} is shorter than 6 bytes");
            for (encoding, needle) in encodings(value) {
                needles.push(needle);
                patterns.push((index, encoding));
            }
        }
        let automaton = AhoCorasick::builder().match_kind(MatchKind::Standard).build(&needles)?;
        Ok(Self { automaton, patterns, count: values.len() })
    }

    /// How many values are planted.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Searches bytes.
    pub fn search_bytes(&self, place: &str, bytes: &[u8]) -> Vec<Find> {
        self.automaton
            .find_overlapping_iter(bytes)
            .filter_map(|found| {
                let (value, encoding) = *self.patterns.get(found.pattern().as_usize())?;
                Some(Find { value, encoding, place: place.to_owned(), offset: found.start() })
            })
            .collect()
    }

    /// Searches every file below a folder, and the file names themselves. Also says how many bytes were read.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn search_folder(&self, folder: &Path) -> Result<(Vec<Find>, u64)> {
        let mut finds = Vec::new();
        let mut bytes_read = 0;
        for path in files_below(folder)? {
            let bytes = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
            bytes_read += bytes.len() as u64;
            let place = path.display().to_string();
            finds.extend(self.search_bytes(&place, &bytes));
            finds.extend(self.search_bytes(&place, place.as_bytes()));
        }
        Ok((finds, bytes_read))
    }
}

/// Counts how many different values were found, by encoding.
pub fn summary(finds: &[Find]) -> BTreeMap<&'static str, usize> {
    let mut values: BTreeMap<&'static str, std::collections::BTreeSet<usize>> = BTreeMap::new();
    for find in finds {
        values.entry(find.encoding).or_default().insert(find.value);
    }
    values.into_iter().map(|(encoding, set)| (encoding, set.len())).collect()
}

/// Lists every file below a folder, sorted.
///
/// # Errors
/// When a folder cannot be listed.
pub fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next).with_context(|| format!("listing {}", next.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else if path.is_file() {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

fn encodings(value: &str) -> Vec<(&'static str, Vec<u8>)> {
    let bytes = value.as_bytes();
    let mut all = vec![
        ("utf-8", bytes.to_vec()),
        ("utf-16le", value.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ("utf-16be", value.encode_utf16().flat_map(u16::to_be_bytes).collect()),
        ("hex", hex::encode(bytes).into_bytes()),
        ("hex", hex::encode_upper(bytes).into_bytes()),
    ];
    for alignment in 0..3 {
        for alphabet in [&BASE64_NOPAD, &BASE64URL_NOPAD] {
            all.push(("base64", base64_core(alphabet, bytes, alignment)));
        }
    }
    all
}

/// The characters that `bytes` must produce inside a longer base64 text when it starts `alignment` bytes after a
/// multiple of three: the first and last characters, which depend on the neighbours, are left out.
fn base64_core(alphabet: &data_encoding::Encoding, bytes: &[u8], alignment: usize) -> Vec<u8> {
    let mut shifted = vec![0; alignment];
    shifted.extend_from_slice(bytes);
    let text = alphabet.encode(&shifted).into_bytes();
    let first = (alignment * 8).div_ceil(6);
    let last = shifted.len() * 8 / 6;
    text.get(first..last).unwrap_or_default().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canaries() -> Canaries {
        Canaries::new(&["Amina Öztürk".to_owned(), "ليلى حسن".to_owned()]).unwrap()
    }

    #[test]
    fn a_planted_value_is_found_in_every_encoding() {
        let check = |bytes: Vec<u8>, encoding: &str| {
            let mut haystack = b"some bytes before".to_vec();
            haystack.extend(bytes);
            haystack.extend(b"and after");
            let finds = canaries().search_bytes("here", &haystack);
            assert!(finds.iter().any(|find| find.value == 1 && find.encoding == encoding), "{encoding}");
        };
        let value = "ليلى حسن";
        check(value.as_bytes().to_vec(), "utf-8");
        check(value.encode_utf16().flat_map(u16::to_le_bytes).collect(), "utf-16le");
        check(value.encode_utf16().flat_map(u16::to_be_bytes).collect(), "utf-16be");
        check(hex::encode(value).into_bytes(), "hex");
        check(hex::encode_upper(value).into_bytes(), "hex");
        for before in ["", "x", "xy", "xyz"] {
            check(BASE64_NOPAD.encode(format!("{before}{value} tail").as_bytes()).into_bytes(), "base64");
            check(BASE64URL_NOPAD.encode(format!("{before}{value} tail").as_bytes()).into_bytes(), "base64");
        }
    }

    #[test]
    fn bytes_without_a_planted_value_give_no_find() {
        assert_eq!(canaries().search_bytes("here", b"Amina Ozturk, Leila Hassan"), []);
    }

    #[test]
    fn every_file_below_a_folder_is_searched() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("a/b")).unwrap();
        fs::write(folder.path().join("a/b/c"), "…Amina Öztürk…").unwrap();
        let (finds, bytes) = canaries().search_folder(folder.path()).unwrap();
        assert_eq!((finds.len(), bytes), (1, 20));
        assert_eq!(summary(&finds), BTreeMap::from([("utf-8", 1)]));
    }
}
