//! How rows are hashed, sealed and opened.

use rand_core::CryptoRng;
use vereda_crypto::{Key32, Nonce24, context, derive_key, keyed_hash, open, padding, seal};

/// Version of a row's sealed form.
const ROW_VERSION: u8 = 1;
const NONCE_BYTES: usize = 24;

/// Hashes names, seals and opens rows. Private to the store: there is one in use and one for control runs.
pub(super) trait RowSealer: Send {
    /// Hides the name of a table.
    fn table(&self, table: &str) -> Vec<u8>;
    /// Hides a group of a table.
    fn group(&self, table: &str, group: &[u8]) -> Vec<u8>;
    /// Hides a key of a table.
    fn key(&self, table: &str, key: &[u8]) -> Vec<u8>;
    /// Seals a row.
    fn seal(&mut self, place: &RowPlace<'_>, plain: &[u8]) -> Vec<u8>;
    /// Opens a row; `None` if it is not what was sealed at this place.
    fn open(&self, place: &RowPlace<'_>, sealed: &[u8]) -> Option<Vec<u8>>;
    /// Rounds a row's length up.
    fn padded_len(&self, len: usize) -> usize;
}

/// What a row's seal binds it to.
#[derive(Debug, Clone, Copy)]
pub(super) struct RowPlace<'a> {
    pub(super) table: &'a str,
    pub(super) key: &'a [u8],
    pub(super) group: &'a [u8],
    pub(super) id: i64,
}

impl RowPlace<'_> {
    fn associated_data(&self) -> Vec<u8> {
        let mut data = vec![ROW_VERSION];
        for part in [self.table.as_bytes(), self.key, self.group] {
            data.extend_from_slice(&(part.len() as u64).to_le_bytes());
            data.extend_from_slice(part);
        }
        data.extend_from_slice(&self.id.to_le_bytes());
        data
    }
}

/// XChaCha20-Poly1305 under keys derived from the vault's data key.
pub(super) struct VaultSealer {
    names: Key32,
    rows: Key32,
    nonces: Key32,
    sealed: u64,
}

impl VaultSealer {
    /// Derives the keys; `rng` seeds the nonces of this opening.
    pub(super) fn new(data_key: &Key32, rng: &mut dyn CryptoRng) -> Self {
        Self {
            names: derive_key(context::ROW_KEY, data_key, &[]),
            rows: derive_key(context::ROW_SEAL, data_key, &[]),
            nonces: Key32::make(rng),
            sealed: 0,
        }
    }

    /// Hashes a nonce out of this opening's secret seed and a counter: as good as drawn, and never twice.
    fn nonce(&mut self) -> Nonce24 {
        self.sealed += 1;
        let hash = keyed_hash(&self.nonces, context::ROW_SEAL, &[&self.sealed.to_le_bytes()]);
        let mut nonce = [0; NONCE_BYTES];
        nonce.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
        Nonce24(nonce)
    }

    fn name(&self, kind: u8, parts: [&[u8]; 2], bytes: usize) -> Vec<u8> {
        let mut hash = keyed_hash(&self.names, context::ROW_KEY, &[&[kind], parts[0], parts[1]]).to_vec();
        hash.truncate(bytes);
        hash
    }
}

impl RowSealer for VaultSealer {
    fn table(&self, table: &str) -> Vec<u8> {
        self.name(0, [table.as_bytes(), &[]], 8)
    }

    fn group(&self, table: &str, group: &[u8]) -> Vec<u8> {
        self.name(1, [table.as_bytes(), group], 16)
    }

    fn key(&self, table: &str, key: &[u8]) -> Vec<u8> {
        self.name(2, [table.as_bytes(), key], 32)
    }

    fn seal(&mut self, place: &RowPlace<'_>, plain: &[u8]) -> Vec<u8> {
        let nonce = self.nonce();
        let ciphertext = seal(&self.rows, &nonce, &place.associated_data(), plain);
        let mut sealed = Vec::with_capacity(1 + NONCE_BYTES + ciphertext.len());
        sealed.push(ROW_VERSION);
        sealed.extend_from_slice(nonce.as_bytes());
        sealed.extend_from_slice(&ciphertext);
        sealed
    }

    fn open(&self, place: &RowPlace<'_>, sealed: &[u8]) -> Option<Vec<u8>> {
        let (version, rest) = sealed.split_first()?;
        let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_BYTES>()?;
        if *version != ROW_VERSION {
            return None;
        }
        open(&self.rows, &Nonce24(*nonce), &place.associated_data(), ciphertext).ok()
    }

    fn padded_len(&self, len: usize) -> usize {
        padding::padded_len(len)
    }
}

/// Leaves everything readable: a search for planted values must find them in a store of this kind, or the search is
/// worth nothing.
#[cfg(feature = "canary-control")]
pub(super) struct ControlSealer;

#[cfg(feature = "canary-control")]
impl RowSealer for ControlSealer {
    fn table(&self, table: &str) -> Vec<u8> {
        table.as_bytes().to_vec()
    }

    fn group(&self, table: &str, group: &[u8]) -> Vec<u8> {
        [table.as_bytes(), &[0], group].concat()
    }

    fn key(&self, table: &str, key: &[u8]) -> Vec<u8> {
        [table.as_bytes(), &[0], key].concat()
    }

    fn seal(&mut self, _: &RowPlace<'_>, plain: &[u8]) -> Vec<u8> {
        plain.to_vec()
    }

    fn open(&self, _: &RowPlace<'_>, sealed: &[u8]) -> Option<Vec<u8>> {
        Some(sealed.to_vec())
    }

    fn padded_len(&self, len: usize) -> usize {
        len
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

    use super::*;
    use crate::store::row::{Row, frame, unframe};

    const TABLE: &str = "9a97aab438e71caf";
    const GROUP: &str = "ff2fb2345f5871f54e40ae7a6c0120fd";
    const KEY: &str = "2c887100e5a5fad4317e9aa10412d5d5a665494545f43cd6b4721597ec8d7b68";
    /// Key `key`, value `value`, in row 7.
    const SEALED: &str = "\
        018fee373034403038ed51f5177ca146c87cb463bf098f105ffc3f3203432d6108e1ad554e902c00cad03da9fe164c8c\
        8cb9b00e22698fca6964fb438c9e6476515d623568aaa7910fe30b1094c227b21cb98fa0cb2cf112de7989accd4622e0\
        6413bd2a5498768ad14ddee4672ddeabadcb0a1bd673fc0c9c8b04372ae2401c71eb12279fc2c3eea447a6bf1f6ccff8\
        65adf6e6701e3f941e00706d13e35d7de6a1e5e425d9b8a6a846abafd9b3c6d6f4fcc0f7978314057ec49142de95bd24\
        2380cd79cfdc7150138eaaecaa6403f9a029d891d64d0f56f3ffaa92e62e96c15ed9f2dc4796df487c0f33126e63ea28\
        168a46b675585b88bbb5e02404bf3bdf52388c6e83e6d133a0eb5c460b8c8fa37f8a5c5eac8b2e9f45a7a286cdf511c3\
        2d06b256d9a4d298d7";

    fn sealer() -> VaultSealer {
        VaultSealer::new(&Key32::new([1; 32]), &mut ChaCha20Rng::seed_from_u64(1))
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn unhex(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    }

    #[test]
    fn rows_of_the_first_version_are_found_and_open() {
        let sealer = sealer();
        let names = [sealer.table("table"), sealer.group("table", b"group"), sealer.key("table", b"key")];
        assert_eq!(names.each_ref().map(|name| hex(name)), [TABLE, GROUP, KEY]);
        let place = RowPlace { table: "table", key: &names[2], group: &names[1], id: 7 };
        let plain = sealer.open(&place, &unhex(SEALED)).unwrap();
        assert_eq!(unframe(&plain), Some(Row { key: b"key", value: b"value" }));
        assert_eq!(Some(plain), frame(b"key", b"value", |length| sealer.padded_len(length)));
    }

    #[test]
    fn a_row_opens_at_its_place_only() {
        let mut sealer = sealer();
        let place = RowPlace { table: "table", key: b"key", group: b"group", id: 7 };
        let sealed = sealer.seal(&place, b"plain");
        assert_eq!(sealer.open(&place, &sealed).as_deref(), Some(&b"plain"[..]));
        assert_ne!(sealer.seal(&place, b"plain"), sealed);
        let elsewhere = [
            RowPlace { table: "other", ..place },
            RowPlace { key: b"other", ..place },
            RowPlace { group: b"other", ..place },
            RowPlace { id: 8, ..place },
        ];
        for place in elsewhere {
            assert_eq!(sealer.open(&place, &sealed), None, "{place:?}");
        }
        let mut newer = sealed;
        newer[0] = 2;
        assert_eq!(sealer.open(&place, &newer), None);
    }
}
