//! Keys at rest: under a subkey of their own, so that making it anew destroys those that are not carried over. Deleted
//! rows linger in flash; what they hold is worthless without the subkey.

use vereda_base::ChainId;
use vereda_crypto::{Key32, Nonce24, context, keyed_hash, open, seal};

const NONCE_BYTES: usize = 24;

/// Names the row of a chain's key in one epoch.
pub(super) fn write_name(chain: &ChainId, epoch: u64) -> [u8; 40] {
    let mut row = [0; 40];
    let bytes = chain.0.iter().copied().chain(epoch.to_be_bytes());
    row.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
    row
}

/// Reads the name of a row.
pub(super) fn read_name(row: &[u8]) -> Option<(ChainId, u64)> {
    let (chain, epoch) = row.split_first_chunk::<32>()?;
    Some((ChainId(*chain), u64::from_be_bytes(epoch.try_into().ok()?)))
}

/// Seals a key for its row. The nonce is hashed out of row and key: the same key in the same row gives the same bytes,
/// which tells nothing, and no two others share a nonce.
pub(super) fn seal_key(subkey: &Key32, row: &[u8], key: &Key32) -> Vec<u8> {
    let mut nonce = [0; NONCE_BYTES];
    let hash = keyed_hash(subkey, context::DOCUMENT_KEYS_SUBKEY, &[row, key.expose()]);
    nonce.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
    let mut sealed = nonce.to_vec();
    sealed.extend_from_slice(&seal(subkey, &Nonce24(nonce), row, key.expose()));
    sealed
}

/// Opens the key of a row.
pub(super) fn open_key(subkey: &Key32, row: &[u8], sealed: &[u8]) -> Option<Key32> {
    let (nonce, ciphertext) = sealed.split_first_chunk::<NONCE_BYTES>()?;
    let key = zeroize::Zeroizing::new(open(subkey, &Nonce24(*nonce), row, ciphertext).ok()?);
    Key32::from_slice(&key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_opens_in_its_own_row_under_its_own_subkey_only() {
        let (subkey, key) = (Key32::new([1; 32]), Key32::new([2; 32]));
        let row = write_name(&ChainId([3; 32]), 4);
        assert_eq!(read_name(&row), Some((ChainId([3; 32]), 4)));
        let sealed = seal_key(&subkey, &row, &key);
        assert_eq!(open_key(&subkey, &row, &sealed), Some(key));
        assert_eq!(open_key(&subkey, &write_name(&ChainId([3; 32]), 5), &sealed), None);
        assert_eq!(open_key(&Key32::new([9; 32]), &row, &sealed), None);
    }
}
