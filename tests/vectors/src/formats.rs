//! The formats, one file of vectors each.

mod bodies;
mod chunks;
mod forks;
mod frames;
mod frontiers;
mod hashes;
mod keys;
mod links;
mod merkle;
mod operations;
mod padding;
mod passphrase;
mod proofs;
mod receipts;
mod replicas;
mod sealing;
mod sessions;
mod texts;
mod vaults;
mod wrapping;
mod wraps;

use anyhow::Result;

use crate::vector::Vector;

/// A format: how its vectors are made, and how committed ones are read.
#[derive(Debug, Clone, Copy)]
pub struct Format {
    /// Name of its file, without ending.
    pub name: &'static str,
    /// Says what its file holds and how it is read.
    pub about: &'static str,
    /// Makes the vectors from fixed inputs.
    pub make: fn() -> Result<Vec<Vector>>,
    /// Reads vectors by today's decoders, and holds every part against what they give.
    pub read: fn(&[Vector]) -> Result<()>,
}

/// Every format.
pub const FORMATS: &[Format] = &[
    hashes::FORMAT,
    keys::FORMAT,
    sealing::FORMAT,
    padding::FORMAT,
    passphrase::FORMAT,
    merkle::FORMAT,
    wrapping::FORMAT,
    operations::FORMAT,
    proofs::FORMAT,
    receipts::FORMAT,
    forks::FORMAT,
    wraps::FORMAT,
    chunks::FORMAT,
    bodies::FORMAT,
    replicas::FORMAT,
    sessions::FORMAT,
    frames::FORMAT,
    frontiers::FORMAT,
    links::FORMAT,
    texts::FORMAT,
    vaults::FORMAT,
];

/// Finds a format by the name of its file.
pub fn format(name: &str) -> Option<&'static Format> {
    FORMATS.iter().find(|format| format.name == name)
}
