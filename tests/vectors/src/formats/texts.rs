//! Texts that stand sealed in operations.

use anyhow::{Context as _, Result, bail, ensure};
use vereda_base::ChainId;
use vereda_client_core::access::{About, open_text_under, seal_text_under};
use vereda_crypto::Key32;

use super::Format;
use crate::{vector::Vector, world::rng};

pub(super) const FORMAT: Format = Format {
    name: "texts",
    about: "Texts sealed in operations: why somebody was granted access, why work was turned away. Name keys are in keys.json",
    make,
    read,
};

const PURPOSE: &str = "purpose";
const REASON: &str = "reason";

fn make() -> Result<Vec<Vector>> {
    let purpose = ("Médico de guardia, ساعات", "Consent form 12, signed by the caregiver");
    Ok(vec![
        sealed(
            PURPOSE,
            "why a case was shared, and where the consent to it is recorded",
            &vereda_base::encode(&purpose),
        )?,
        sealed(REASON, "why a piece of work was turned away", &vereda_base::encode(&"entered for another child"))?,
    ])
}

fn sealed(name: &str, about: &str, text: &[u8]) -> Result<Vector> {
    let (key, chain, epoch) = ([0x91; 32], [0x92; 32], 5);
    let bytes = seal_text_under(&Key32::new(key), (&ChainId(chain), epoch), of(name)?, text, &mut rng(0x93))?;
    Ok(Vector::new(name, about)
        .with("name key", key)
        .with("chain", chain)
        .with_number("epoch", epoch)
        .with("text", text)
        .with("bytes", bytes))
}

fn of(name: &str) -> Result<About> {
    Ok(match name {
        PURPOSE => About::Purpose,
        REASON => About::Reason,
        other => bail!("unknown vector {other:?}"),
    })
}

fn read(vectors: &[Vector]) -> Result<()> {
    for vector in vectors {
        let (key, chain, epoch) = (vector.array("name key")?, ChainId(vector.array("chain")?), vector.number("epoch")?);
        let bytes = vector.bytes("bytes")?;
        let open = |about| open_text_under(|named| (named == epoch).then(|| Key32::new(key)), &chain, about, bytes);
        let text = open(of(&vector.name)?).with_context(|| format!("{:?} does not open", vector.name))?;
        ensure!(text == vector.bytes("text")?, "{:?} opens to another text", vector.name);
        let other = if vector.name == PURPOSE { About::Reason } else { About::Purpose };
        ensure!(open(other).is_none(), "{:?} opens as something else", vector.name);
    }
    Ok(())
}
