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
