//! XChaCha20-Poly1305 and commitments.

use anyhow::Result;
use vereda_crypto::{Key32, Nonce24, commitment, commits_to, open, seal};

use super::Format;
use crate::vector::Vector;

pub(super) const FORMAT: Format = Format {
    name: "sealing",
    about: "XChaCha20-Poly1305: ciphertext and tag; and the commitment to the key",
    make,
    read,
};

fn make() -> Result<Vec<Vector>> {
    let check = |name: &str, data: &[u8], plaintext: &[u8]| {
        let (key, nonce) = (Key32::new([0x81; 32]), Nonce24([0x82; 24]));
        Vector::new(name, "sealed under a fixed nonce")
            .with("key", key.expose())
            .with("nonce", nonce.as_bytes())
            .with("associated data", data)
            .with("plaintext", plaintext)
            .with("bytes", seal(&key, &nonce, data, plaintext))
            .with("commitment", commitment(&key).0)
    };
    Ok(vec![check("nothing", b"", b""), check("some", b"bound to this", &[0x83; 70])])
}

fn read(vectors: &[Vector]) -> Result<()> {
    for vector in vectors {
        let (key, nonce) = (Key32::new(vector.array("key")?), Nonce24(vector.array("nonce")?));
        let plaintext = open(&key, &nonce, vector.bytes("associated data")?, vector.bytes("bytes")?)?;
        vector.expect("plaintext", plaintext)?;
        vector.expect("commitment", commitment(&key).0)?;
        anyhow::ensure!(commits_to(&commitment(&key), &key), "a key is not what it commits to");
    }
    Ok(())
}
