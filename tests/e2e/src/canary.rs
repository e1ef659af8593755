//! Searches files and captured traffic for planted values, in every encoding they might leak in.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use aho_corasick::{AhoCorasick, MatchKind};
use anyhow::{Context, Result};
use data_encoding::{BASE32_NOPAD, BASE64_NOPAD, BASE64URL_NOPAD};

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
    /// Prepares the search for UTF-8, UTF-16 (both byte orders), hexadecimal (both cases), base64 (both alphabets, all
    /// three alignments), and for what `Debug` makes of bytes. Values shorter than six bytes are refused: they would be
    /// found by chance.
    ///
    /// # Errors
    /// When a value is too short or the automaton cannot be built.
    pub fn new(values: &[String]) -> Result<Self> {
        Self::with_secrets(values, &[])
    }

    /// As [`Canaries::new`], and searches for secrets that are no text besides: as they are, in all those encodings and
    /// in base32. They are counted after the values.
    ///
    /// # Errors
    /// When one is too short or the automaton cannot be built.
    pub fn with_secrets(values: &[String], secrets: &[[u8; 32]]) -> Result<Self> {
        let mut needles: Vec<Vec<u8>> = Vec::new();
        let mut patterns = Vec::new();
        let mut plant = |index: usize, encodings: Vec<(&'static str, Vec<u8>)>| {
            for (encoding, needle) in encodings {
                needles.push(needle);
                patterns.push((index, encoding));
            }
        };
        for (index, value) in values.iter().enumerate() {
            anyhow::ensure!(value.len() >= 6, "planted value {index} is shorter than 6 bytes");
            plant(index, encodings_of_text(value));
            plant(index, encodings(value.as_bytes()));
        }
        for (index, secret) in secrets.iter().enumerate() {
            plant(values.len() + index, vec![("bytes", secret.to_vec())]);
            plant(values.len() + index, encodings(secret));
            plant(values.len() + index, base32(secret));
        }
        let automaton = AhoCorasick::builder().match_kind(MatchKind::Standard).build(&needles)?;
        Ok(Self { automaton, patterns, count: values.len() + secrets.len() })
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

fn encodings_of_text(value: &str) -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("utf-8", value.as_bytes().to_vec()),
        ("utf-16le", value.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ("utf-16be", value.encode_utf16().flat_map(u16::to_be_bytes).collect()),
    ]
}

fn encodings(bytes: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let numbers: Vec<String> = bytes.iter().map(u8::to_string).collect();
    let mut all = vec![
        ("hex", hex::encode(bytes).into_bytes()),
        ("hex", hex::encode_upper(bytes).into_bytes()),
        ("numbers", numbers.join(", ").into_bytes()),
    ];
    let escaped = bytes.escape_ascii().to_string().into_bytes();
    if escaped != bytes {
        all.push(("escaped", escaped));
    }
    for alignment in 0..3 {
        for alphabet in [&BASE64_NOPAD, &BASE64URL_NOPAD] {
            all.push(("base64", base64_core(alphabet, bytes, alignment)));
        }
    }
    all
}

fn base32(bytes: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let text = BASE32_NOPAD.encode(bytes);
    vec![("base32", text.to_lowercase().into_bytes()), ("base32", text.into_bytes())]
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
    fn what_a_log_makes_of_bytes_is_found_and_so_is_a_secret_in_a_link() {
        let secret: [u8; 32] = std::array::from_fn(|index| (index * 7) as u8);
        let canaries = Canaries::with_secrets(&["ليلى حسن".to_owned()], &[secret]).unwrap();
        let check = |haystack: String, value: usize, encoding: &str| {
            let finds = canaries.search_bytes("here", haystack.as_bytes());
            assert!(finds.iter().any(|find| find.value == value && find.encoding == encoding), "{encoding}");
        };
        check(format!("{:?}", "xليلى حسنx".as_bytes()), 0, "numbers");
        check("ليلى حسن".as_bytes().escape_ascii().to_string(), 0, "escaped");
        check(format!("{secret:?}"), 1, "numbers");
        check(format!("secret={}&", BASE32_NOPAD.encode(&secret)), 1, "base32");
        assert_eq!(canaries.search_bytes("here", &secret).len(), 1);
        assert_eq!(canaries.count(), 2);
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
