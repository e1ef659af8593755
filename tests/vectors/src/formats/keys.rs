//! What is derived from the keys of epochs and devices.

use anyhow::{Result, bail};
use vereda_base::{ChainId, DeviceId};
use vereda_crypto::{DeviceKey, DocumentEpochKey, GroupEpochSecret, Key32, WrapKeyPair};

use super::Format;
use crate::{vector::Vector, world::epoch_scope};

pub(super) const FORMAT: Format = Format {
    name: "keys",
    about: "Keys of epochs and devices, and what is derived from each. Keys of chunks are in chunks.json",
    make,
    read,
};

const DOCUMENT: &str = "document epoch";
const GROUP: &str = "group epoch";
const DEVICE: &str = "device";

fn make() -> Result<Vec<Vector>> {
    let (key, chain, creator) = ([0x71; 32], [0x72; 32], [0x75; 32]);
    Ok(vec![
        document_epoch(key, chain, 3, creator),
        group_epoch(key, chain, 3, creator),
        device([0x73; 32], [0x74; 32]),
    ])
}

fn read(vectors: &[Vector]) -> Result<()> {
    for vector in vectors {
        let now = match vector.name.as_str() {
            DOCUMENT | GROUP => {
                let make = if vector.name == DOCUMENT { document_epoch } else { group_epoch };
                let (key, chain, creator) = (vector.array("key")?, vector.array("chain")?, vector.array("creator")?);
                make(key, chain, vector.number("epoch")?, creator)
            }
            DEVICE => device(vector.array("signing seed")?, vector.array("wrapping seed")?),
            other => bail!("unknown vector {other:?}"),
        };
        if let Some(difference) = vector.difference(&now) {
            bail!("{difference}");
        }
    }
    Ok(())
}

fn document_epoch(key: [u8; 32], chain: [u8; 32], epoch: u64, creator: [u8; 32]) -> Vector {
    let (secret, id) = (DocumentEpochKey::from_key(Key32::new(key)), ChainId(chain));
    inputs(DOCUMENT, "a document's key in one epoch", key, chain, epoch)
        .with("commitment", secret.commitment().0)
        .with("creator", creator)
        .with("scope", epoch_scope(&DeviceId(creator), &secret.commitment()).0)
        .with("previous key seal", secret.derive_previous_key_seal(id, epoch).expose())
        .with("ephemeral key", secret.derive_ephemeral_key(id, epoch).expose())
        .with("name key", secret.derive_name_key(id, epoch).expose())
}

fn group_epoch(key: [u8; 32], chain: [u8; 32], epoch: u64, creator: [u8; 32]) -> Vector {
    let (secret, id) = (GroupEpochSecret::from_key(Key32::new(key)), ChainId(chain));
    let pair = secret.derive_wrap_key_pair(id, epoch);
    inputs(GROUP, "the secret of a user, team or agency in one epoch", key, chain, epoch)
        .with("commitment", secret.commitment().0)
        .with("creator", creator)
        .with("scope", epoch_scope(&DeviceId(creator), &secret.commitment()).0)
        .with("previous key seal", secret.derive_previous_key_seal(id, epoch).expose())
        .with("wrap key", secret.derive_wrap_key(id, epoch).expose())
        .with("name key", secret.derive_name_key(id, epoch).expose())
        .with("wrap key pair, seed", pair.seed().expose())
        .with("wrap key pair, public", pair.public().as_bytes())
}

fn inputs(name: &str, about: &str, key: [u8; 32], chain: [u8; 32], epoch: u64) -> Vector {
    Vector::new(name, about).with("key", key).with("chain", chain).with_number("epoch", epoch)
}

fn device(signing: [u8; 32], wrapping: [u8; 32]) -> Vector {
    let pair = WrapKeyPair::from_seed(&Key32::new(wrapping));
    Vector::new(DEVICE, "a device's two key pairs; its id is the public signing key")
        .with("signing seed", signing)
        .with("device id", DeviceKey::from_seed(&signing).device_id().0)
        .with("wrapping seed", wrapping)
        .with("wrapping key", pair.public().as_bytes())
}
