//! Evidence of forks.

use anyhow::{Context as _, Result};
use vereda_base::{OpId, Timestamp};
use vereda_crypto::Verified;
use vereda_policy::{Body, Draft, ForkProof, Forker, Grant, Receipt, Role, detect_device_fork, detect_relay_fork};

use super::Format;
use crate::{
    vector::Vector,
    world::{START, World},
};

pub(super) const FORMAT: Format = Format {
    name: "forks",
    about: "Two signed statements that exclude one another, in canonical CBOR, and whom they convict of what",
    make,
    read,
};

/// Two operations and the array around them.
const MAX_BYTES: usize = 2 * (64 << 10) + 512;

fn make() -> Result<Vec<Vector>> {
    let world = World::new()?;
    let receipt = world.event("grant")?.receipt.clone().verify()?;
    let other = Receipt { op: OpId([0xf1; 32]), ..*receipt.value() };
    let relay = detect_relay_fork(&receipt, &Verified::sign(&world.relay, other)?).context("no fork of the relay")?;

    let draft = Draft::new(&world.chains, world.amina.key.device_id(), None);
    let grant = |expires| {
        let body = Body::Grant(Grant { subject: world.amina.user, role: Role::Editor, expires, sealed_purpose: None });
        draft.sign_append(&world.amina.key, &world.case, body)
    };
    let device = detect_device_fork(&grant(None)?, &grant(Some(Timestamp(START.0 + 1)))?);
    let device = device.context("no fork of the device")?;
    Ok(vec![
        example("relay", "two receipts for one place in a chain", &relay)?,
        example("device", "two operations of one device after one predecessor", &device)?,
    ])
}

fn read(vectors: &[Vector]) -> Result<()> {
    for vector in vectors {
        let proof: ForkProof = vereda_base::decode(vector.bytes("bytes")?, MAX_BYTES)?;
        let now = example(&vector.name, &vector.about, &proof)?;
        if let Some(difference) = vector.difference(&now) {
            anyhow::bail!("{difference}");
        }
    }
    Ok(())
}

fn example(name: &str, about: &str, proof: &ForkProof) -> Result<Vector> {
    let (forker, chain, seq) = match proof.verify()? {
        Forker::Relay { relay, chain, seq } => (relay, chain, seq),
        Forker::Device { device, chain, seq } => (device, chain, seq),
    };
    Ok(Vector::new(name, about)
        .with("forker", forker.0)
        .with("chain", chain.0)
        .with_number("seq", seq)
        .with("bytes", vereda_base::encode(proof)))
}
