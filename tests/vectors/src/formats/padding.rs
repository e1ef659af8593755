//! Padding of bodies.

use anyhow::Result;
use vereda_crypto::{pad, unpad};

use super::Format;
use crate::vector::Vector;

pub(super) const FORMAT: Format = Format {
    name: "padding",
    about: "Length (32 bits, little endian), body, zeros: Padmé with a floor of 256 bytes",
    make,
    read,
};

fn make() -> Result<Vec<Vector>> {
    [0usize, 1, 252, 253, 700]
        .into_iter()
        .map(|length| {
            let body = vec![0x91; length];
            let vector = Vector::new(format!("{length} bytes"), "a body and its frame");
            Ok(vector.with("bytes", pad(&body)?).with("body", body))
        })
        .collect()
}

fn read(vectors: &[Vector]) -> Result<()> {
    vectors.iter().try_for_each(|vector| vector.expect("body", unpad(vector.bytes("bytes")?)?))
}
