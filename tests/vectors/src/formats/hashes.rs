//! Hashes and derived keys, under every context.

use anyhow::{Context as _, Result};
use vereda_crypto::{Context, Key32, context, derive_key, hash, keyed_hash};

use super::Format;
use crate::vector::Vector;

pub(super) const FORMAT: Format = Format {
    name: "hashes",
    about: "BLAKE3-256 in key-derivation mode under each context, over the parts 'abc' and ''. A released context keeps \
            its text for ever",
    make,
    read,
};

const PARTS: [&[u8]; 2] = [b"abc", b""];

fn make() -> Result<Vec<Vector>> {
    Ok(context::ALL.iter().map(|context| example(*context, &Key32::new([7; 32]))).collect())
}

fn read(vectors: &[Vector]) -> Result<()> {
    for vector in vectors {
        let known = context::ALL.iter().find(|context| context.as_str() == vector.name);
        let context = *known.with_context(|| format!("the context {:?} is gone", vector.name))?;
        let now = example(context, &Key32::new(vector.array("key")?));
        for part in ["hash", "keyed hash", "derived key"] {
            vector.expect(part, now.bytes(part)?)?;
        }
    }
    Ok(())
}

fn example(context: Context, key: &Key32) -> Vector {
    Vector::new(context.as_str(), "hash, hash with a key, key from a key")
        .with("key", key.expose())
        .with("hash", hash(context, &PARTS))
        .with("keyed hash", keyed_hash(key, context, &PARTS))
        .with("derived key", derive_key(context, key, &PARTS).expose())
}
