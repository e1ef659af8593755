//! Signed operations of policy chains, one at least of each body.

use anyhow::{Context as _, Result};
use vereda_base::Timestamp;
use vereda_policy::{AppendContext, ChainMap, chain_of, decode_op, op_id};

use super::Format;
use crate::{
    vector::Vector,
    world::{START, World},
};

pub(super) const FORMAT: Format = Format {
    name: "operations",
    about: "The operations of a small world, in the order in which the relay appended them, one second apart from 1790000000000 ms on: the form \
            that travels (CBOR array of payload and signature), the payload's hash as id, the body's code",
    make,
    read,
};

fn make() -> Result<Vec<Vector>> {
    let world = World::new()?;
    let vectors = world.events.iter().map(|event| {
        Vector::new(event.name, event.about)
            .with_number("body code", event.op.value().body.code().0.into())
            .with("id", event.op.id().0)
            .with("chain", event.op.chain().0)
            .with("bytes", vereda_base::encode(event.op.signed()))
    });
    Ok(vectors.collect())
}

/// Decodes each operation and authorises it over those before it.
fn read(vectors: &[Vector]) -> Result<()> {
    let mut chains = ChainMap::new();
    for (vector, seconds) in vectors.iter().zip(0..) {
        let op = decode_op(vector.bytes("bytes")?).with_context(|| format!("vector {:?}", vector.name))?;
        vector.expect("id", op_id(op.value()).0)?;
        vector.expect("chain", chain_of(op.value()).0)?;
        vector.expect("bytes", vereda_base::encode(op.signed()))?;
        vector.expect_number("body code", op.value().body.code().0.into())?;
        let time = Timestamp(START.0 + 1_000 * seconds);
        chains
            .append(&op, &AppendContext::relay(time))
            .with_context(|| format!("vector {:?} is no longer allowed", vector.name))?;
    }
    Ok(())
}
