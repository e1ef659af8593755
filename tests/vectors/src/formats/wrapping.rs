//! Secrets wrapped by HPKE and sealed to groups.

use anyhow::{Result, bail};
use vereda_base::ChainId;
use vereda_crypto::{Key32, WrapInfo, WrapKeyPair, open_from_group, seal_for_group, unwrap_secret, wrap};

use super::Format;
use crate::{vector::Vector, world::rng};

pub(super) const FORMAT: Format = Format {
    name: "wrapping",
    about: "HPKE Base mode with KEM 0x647a (X-Wing), HKDF-SHA256, ChaCha20-Poly1305: encapsulated key, ciphertext, tag. \
            For groups XChaCha20-Poly1305: nonce, ciphertext, tag. Randomness: ChaCha20 from the seed, 32 times",
    make,
    read,
};

const HPKE: &str = "hpke";
const GROUP: &str = "group";
const SEED: u8 = 0xc0;
const INFO_MAX_BYTES: usize = 128;

fn make() -> Result<Vec<Vector>> {
    let info = WrapInfo { chain: ChainId([0xc1; 32]), epoch: 4, recipient: [0xc2; 32], recipient_epoch: 2 };
    let (key, secret) = (Key32::new([0xc3; 32]), Key32::new([0xc4; 32]));
    let begin = |name: &str, about: &str| {
        Vector::new(name, about)
            .with("randomness seed", [SEED; 32])
            .with("key", key.expose())
            .with("info", vereda_base::encode(&info))
            .with("secret", secret.expose())
    };
    let pair = WrapKeyPair::from_seed(&key);
    Ok(vec![
        begin(HPKE, "a secret wrapped to a public key; the key is the recipient's seed")
            .with("recipient", pair.public().as_bytes())
            .with("bytes", wrap(pair.public(), &info, &secret, &mut rng(SEED))?),
        begin(GROUP, "a secret sealed under a key that author and readers share")
            .with("bytes", seal_for_group(&key, &info, &secret, &mut rng(SEED))),
    ])
}

fn read(vectors: &[Vector]) -> Result<()> {
    for vector in vectors {
        let key = Key32::new(vector.array("key")?);
        let info: WrapInfo = vereda_base::decode(vector.bytes("info")?, INFO_MAX_BYTES)?;
        let wrapped = vector.bytes("bytes")?;
        vector.expect("randomness seed", [SEED; 32])?;
        let secret = match vector.name.as_str() {
            HPKE => {
                let pair = WrapKeyPair::from_seed(&key);
                vector.expect("recipient", pair.public().as_bytes())?;
                unwrap_secret(&pair, &info, wrapped)?
            }
            GROUP => open_from_group(&key, &info, wrapped)?,
            other => bail!("unknown vector {other:?}"),
        };
        vector.expect("secret", secret.expose())?;
    }
    Ok(())
}
