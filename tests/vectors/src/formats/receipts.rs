//! The relay's receipts.

use anyhow::Result;
use vereda_crypto::{Signable, Signed};
use vereda_policy::Receipt;

use super::Format;
use crate::{vector::Vector, world::World};

pub(super) const FORMAT: Format = Format {
    name: "receipts",
    about: "The relay's receipts for the operations in operations.json: CBOR array of payload and signature",
    make,
    read,
};

fn make() -> Result<Vec<Vector>> {
    let world = World::new()?;
    let vectors = world.events.iter().map(|event| {
        let receipt = event.receipt.clone().verify()?;
        let said = receipt.value();
        Ok(Vector::new(event.name, event.about)
            .with("relay", said.relay.0)
            .with_number("relay epoch", said.relay_epoch)
            .with("chain", said.chain.0)
            .with_number("seq", said.seq)
            .with("operation", said.op.0)
            .with_number("time", u64::try_from(said.time.0)?)
            .with("bytes", vereda_base::encode(receipt.signed())))
    });
    vectors.collect()
}

fn read(vectors: &[Vector]) -> Result<()> {
    for vector in vectors {
        let signed: Signed<Receipt> = vereda_base::decode(vector.bytes("bytes")?, Receipt::MAX_BYTES + 96)?;
        let receipt = signed.verify()?;
        let said = receipt.value();
        vector.expect("relay", said.relay.0)?;
        vector.expect_number("relay epoch", said.relay_epoch)?;
        vector.expect("chain", said.chain.0)?;
        vector.expect_number("seq", said.seq)?;
        vector.expect("operation", said.op.0)?;
        vector.expect_number("time", u64::try_from(said.time.0)?)?;
    }
    Ok(())
}
