//! The committed golden bytes, and that the check of them can fail.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that fails panics")]

use std::{fs, path::Path};

use vereda_vectors::{FORMATS, Format, Part, VERSION, Vector, check, check::load, committed, file, regenerate};

fn copy_to(root: &Path) {
    fs::create_dir_all(root.join(VERSION)).unwrap();
    for format in FORMATS {
        let name = format!("{VERSION}/{}.json", format.name);
        fs::copy(committed().join(&name), root.join(&name)).unwrap();
    }
}

fn write(root: &Path, format: &Format, vectors: &[Vector]) {
    let text = file::write(format.about, vectors).unwrap();
    fs::write(root.join(VERSION).join(format.name).with_extension("json"), text).unwrap();
}

#[test]
fn the_code_makes_and_reads_the_committed_bytes_of_every_format() {
    let breaches: Vec<String> = check(&committed()).iter().map(ToString::to_string).collect();
    assert!(breaches.is_empty(), "{}", breaches.join("\n"));
}

#[test]
fn a_flipped_bit_is_flagged_with_the_file_to_look_at() {
    let folder = tempfile::tempdir().unwrap();
    copy_to(folder.path());
    let format = vereda_vectors::formats::format("receipts").unwrap();
    let mut vectors = load(folder.path(), VERSION, format).unwrap();
    let Some((_, Part::Bytes(bytes))) = vectors[1].parts.iter_mut().find(|(name, _)| name == "bytes") else {
        panic!("no bytes");
    };
    bytes[40] ^= 4;
    write(folder.path(), format, &vectors);
    let breaches = check(folder.path());
    assert_eq!(breaches.len(), 2, "once as made otherwise, once as unreadable: {breaches:?}");
    for breach in &breaches {
        assert!(breach.to_string().contains("v1/receipts.json"), "{breach}");
    }
    assert!(breaches[0].to_string().contains("byte 40 differs"), "{}", breaches[0]);
}

#[test]
fn reading_alone_notices_a_flipped_bit_in_any_part_of_any_vector() {
    for format in FORMATS {
        let vectors = load(&committed(), VERSION, format).unwrap();
        (format.read)(&vectors).unwrap();
        for (index, vector) in vectors.iter().enumerate() {
            for (place, (name, part)) in vector.parts.iter().enumerate() {
                let mut changed = vectors.clone();
                match (part, &mut changed[index].parts[place].1) {
                    (Part::Bytes(old), Part::Bytes(new)) if !old.is_empty() => {
                        let byte = (index * 31 + place * 7) % old.len();
                        new[byte] ^= 1 << (place % 8);
                    }
                    (Part::Number(_), Part::Number(new)) => *new ^= 1,
                    _ => continue,
                }
                assert!((format.read)(&changed).is_err(), "{}: {:?}, {name:?}", format.name, vector.name);
            }
        }
    }
}

#[test]
fn a_missing_and_a_strange_file_are_flagged() {
    let folder = tempfile::tempdir().unwrap();
    copy_to(folder.path());
    fs::rename(folder.path().join("v1/merkle.json"), folder.path().join("v1/merkel.json")).unwrap();
    let found: Vec<String> = check(folder.path()).iter().map(ToString::to_string).collect();
    assert!(found.iter().any(|found| found.contains("merkle.json")), "{found:?}");
    assert!(found.iter().any(|found| found.contains("merkel.json: belongs to no format")), "{found:?}");
}

#[test]
fn regenerating_changes_nothing_that_the_code_still_makes() {
    let folder = tempfile::tempdir().unwrap();
    copy_to(folder.path());
    assert_eq!(regenerate(folder.path()).unwrap(), [""; 0].map(std::path::PathBuf::from));
    fs::remove_file(folder.path().join("v1/padding.json")).unwrap();
    assert_eq!(regenerate(folder.path()).unwrap(), [folder.path().join("v1/padding.json")]);
    assert!(check(folder.path()).is_empty());
}
