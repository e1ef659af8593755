//! Lists of wraps, and the proofs with which a recipient gets his own.

use anyhow::{Result, ensure};
use vereda_base::{Digest, limits};
use vereda_crypto::{GROUP_WRAP_BYTES, WRAP_BYTES};
use vereda_policy::{Wrap, WrapList, WrapProof, WrappedKey, check_wraps, verify_wrap, wrap_list};

use super::Format;
use crate::vector::Vector;

pub(super) const FORMAT: Format = Format {
    name: "wraps",
    about: "Lists as an operation commits to them (CBOR of root and count), each wrap of the list in its order and the \
            proof of its place; the wrapped keys themselves are in wrapping.json",
    make,
    read,
};

fn make() -> Result<Vec<Vector>> {
    let wrap = |recipient: u8, key: WrappedKey| Wrap { recipient: Digest([recipient; 32]), recipient_epoch: 1, key };
    let hpke = |seed: u8| WrappedKey::Hpke(vec![seed; WRAP_BYTES]);
    let group = |seed: u8| WrappedKey::Group(vec![seed; GROUP_WRAP_BYTES]);
    Ok(vec![
        example("nobody", "an empty list", vec![]),
        example("one by hpke", "a list of one", vec![wrap(1, hpke(2))]),
        example(
            "three",
            "a list of three, sorted by recipient",
            vec![wrap(9, group(1)), wrap(3, hpke(2)), wrap(5, group(3))],
        ),
    ])
}

fn read(vectors: &[Vector]) -> Result<()> {
    for vector in vectors {
        let list: WrapList = vereda_base::decode(vector.bytes("bytes")?, 64)?;
        let wraps = vector
            .all_bytes("wrap ")
            .map(|bytes| Ok(vereda_base::decode::<Wrap>(bytes, limits::MAX_WRAP_BYTES + 64)?))
            .collect::<Result<Vec<_>>>()?;
        let proofs = vector
            .all_bytes("proof ")
            .map(|bytes| Ok(vereda_base::decode::<WrapProof>(bytes, 2_560)?))
            .collect::<Result<Vec<_>>>()?;
        ensure!(check_wraps(&list, &wraps)? == proofs, "vector {:?}: other proofs", vector.name);
        for (wrap, proof) in wraps.iter().zip(&proofs) {
            verify_wrap(&list, wrap, proof)?;
        }
    }
    Ok(())
}

fn example(name: &str, about: &str, wraps: Vec<Wrap>) -> Vector {
    let (list, proven) = wrap_list(wraps);
    let vector = Vector::new(name, about).with("bytes", vereda_base::encode(&list));
    proven.iter().enumerate().fold(vector, |vector, (index, (wrap, proof))| {
        vector
            .with(format!("wrap {index}"), vereda_base::encode(wrap))
            .with(format!("proof {index}"), vereda_base::encode(proof))
    })
}
