//! Headers of vaults.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use vereda_base::Sensitive;
use vereda_client_core::vault::{UnlockSecret, VaultHome};
use vereda_crypto::{KdfParams, Key32};

use super::Format;
use crate::{
    vector::Vector,
    world::{START, rng},
};

pub(super) const FORMAT: Format = Format {
    name: "vaults",
    about: "Headers of vaults (`vault.cbor`): how the data key is wrapped. Randomness: ChaCha20 from the seed, 32 times",
    make,
    read,
};

const SEED: u8 = 0x77;
const HEADER: &str = "vault.cbor";
const PASSPHRASE: &str = "by passphrase";

/// Written decomposed; counts as the composed spelling.
const TYPED: &str = "cafe\u{301} con leche a las seis";

fn make() -> Result<Vec<Vector>> {
    [(PASSPHRASE, Some("Amina")), ("by key", None)]
        .into_iter()
        .map(|(name, label)| {
            let home = Home::make(name, label)?;
            let vector = Vector::new(name, "a vault at the least cost allowed")
                .with("randomness seed", [SEED; 32])
                .with_text("id", &home.id)
                .with_text("label", label.unwrap_or_default());
            let vector = match secret(name) {
                UnlockSecret::Passphrase(_) => vector.with_text("passphrase", TYPED),
                UnlockSecret::Key(key) => vector.with("key", key.expose()),
            };
            Ok(vector.with("bytes", fs::read(home.header())?))
        })
        .collect()
}

/// Puts each header in the place of the one that is made now, which wraps the same data key, and unlocks the vault.
fn read(vectors: &[Vector]) -> Result<()> {
    for vector in vectors {
        let label = vector.text("label")?;
        let home = Home::make(&vector.name, Some(label).filter(|label| !label.is_empty()))?;
        fs::write(home.header(), vector.bytes("bytes")?)?;
        let secret = match vector.bytes("key") {
            Ok(key) => UnlockSecret::Key(Key32::from_slice(key).context("a key has 32 bytes")?),
            Err(_) => UnlockSecret::Passphrase(Sensitive::new(vector.text("passphrase")?.to_owned())),
        };
        vector.expect("randomness seed", [SEED; 32])?;
        let listed = home.home.list()?;
        let listing = listed.first().context("the vault is not listed")?;
        ensure!(listing.id.to_string() == vector.text("id")?, "vector {:?}: another id", vector.name);
        ensure!(listing.label.as_deref().unwrap_or_default() == label, "vector {:?}: another label", vector.name);
        home.home
            .unlock(listing.id, &secret, START, &mut rng(SEED))
            .with_context(|| format!("vector {:?} does not unlock", vector.name))?;
    }
    Ok(())
}

/// A vault in a folder of its own, which goes with it.
struct Home {
    home: VaultHome,
    id: String,
    folder: tempfile::TempDir,
}

impl Home {
    fn make(name: &str, label: Option<&str>) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let home = VaultHome::new(folder.path().join("vaults"), folder.path().join("state"));
        let vault = home.create(&secret(name), KdfParams::FLOOR, label.map(str::to_owned), &mut rng(SEED))?;
        let id = vault.id().to_string();
        vault.lock(&mut rng(SEED))?;
        Ok(Self { home, id, folder })
    }

    fn header(&self) -> std::path::PathBuf {
        self.folder.path().join("vaults").join(&self.id).join(HEADER)
    }
}

fn secret(name: &str) -> UnlockSecret {
    if name == PASSPHRASE {
        UnlockSecret::Passphrase(Sensitive::new(TYPED.to_owned()))
    } else {
        UnlockSecret::Key(Key32::new([0x78; 32]))
    }
}
