//! Passphrases into keys.

use anyhow::Result;
use vereda_crypto::{KdfParams, derive_kek};

use super::Format;
use crate::vector::Vector;

pub(super) const FORMAT: Format = Format {
    name: "passphrase",
    about: "HKDF-SHA256(Argon2id(passphrase, salt) || keystore secret), at the least cost allowed",
    make,
    read,
};

const PARAMS_MAX_BYTES: usize = 32;

fn make() -> Result<Vec<Vector>> {
    let check = |name: &str, keystore: Option<&[u8]>| -> Result<Vector> {
        let (passphrase, salt, params) = ("correct horse battery staple".as_bytes(), [0xb1; 32], KdfParams::FLOOR);
        let vector = Vector::new(name, "a passphrase, its parameters and the key")
            .with("passphrase", passphrase)
            .with("salt", salt)
            .with("parameters", vereda_base::encode(&params))
            .with("key", derive_kek(passphrase, &salt, params, keystore)?.expose());
        Ok(match keystore {
            Some(secret) => vector.with("keystore secret", secret),
            None => vector,
        })
    };
    Ok(vec![check("without keystore", None)?, check("with keystore", Some(&[0xb2; 32]))?])
}

fn read(vectors: &[Vector]) -> Result<()> {
    for vector in vectors {
        let params: KdfParams = vereda_base::decode(vector.bytes("parameters")?, PARAMS_MAX_BYTES)?;
        let keystore = vector.bytes("keystore secret").ok();
        let key = derive_kek(vector.bytes("passphrase")?, &vector.array("salt")?, params, keystore)?;
        vector.expect("key", key.expose())?;
    }
    Ok(())
}
