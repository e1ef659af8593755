//! Every key that a device ever held, read off its disk as it was written: what was destroyed since is held here.

use std::collections::BTreeMap;

use minicbor::{Decode, Encode};
use vereda_base::{ChainId, Digest, decode};
use vereda_crypto::{Key32, Nonce24, WrapKeyPair, commitment, open};
use vereda_sync::device::Table;

/// Keys by chain and epoch, as the device stores them.
const KEYS: Table = Table("client keys");
/// Keys of epochs that the device wanted to begin.
const NEXT_KEYS: Table = Table("client next keys");
/// Facts: the device's own keys, and the subkey under which the others lie.
const FACTS: Table = Table("client facts");
const NONCE_BYTES: usize = 24;

/// All that a device ever held.
#[derive(Debug, Clone, Default)]
pub struct HeldKeys {
    subkeys: Vec<Key32>,
    pairs: Vec<WrapKeyPair>,
    keys: BTreeMap<(ChainId, u64), Key32>,
    next: BTreeMap<Digest, Key32>,
}

#[derive(Encode, Decode)]
#[cbor(array)]
struct Seeds {
    #[cbor(n(0), with = "minicbor::bytes")]
    signing: Vec<u8>,
    #[cbor(n(1), with = "minicbor::bytes")]
    wrapping: Vec<u8>,
}

impl HeldKeys {
    /// Takes in a row that the device writes.
    pub fn note_row(&mut self, table: Table, key: &[u8], value: &[u8]) {
        match table {
            FACTS if key == b"keys subkey" => self.subkeys.extend(Key32::from_slice(value)),
            FACTS if key == b"seeds" => {
                let seed = decode::<Seeds>(value, 1 << 10).ok().and_then(|seeds| Key32::from_slice(&seeds.wrapping));
                self.pairs.extend(seed.map(|seed| WrapKeyPair::from_seed(&seed)));
            }
            KEYS => {
                let Some((chain, epoch)) = key.split_first_chunk::<32>() else { return };
                let Ok(epoch) = epoch.try_into().map(u64::from_be_bytes) else { return };
                if let Some(found) = self.open_row(key, value) {
                    self.keys.entry((ChainId(*chain), epoch)).or_insert(found);
                }
            }
            NEXT_KEYS => {
                let sealed = value.get(32..).unwrap_or_default();
                if let Some(found) = self.open_row(key, sealed) {
                    self.next.insert(commitment(&found), found);
                }
            }
            _ => {}
        }
    }

    /// The key of a chain's epoch.
    pub fn key(&self, chain: &ChainId, epoch: u64) -> Option<&Key32> {
        self.keys.get(&(*chain, epoch))
    }

    /// All keys, by chain and epoch.
    pub const fn keys(&self) -> &BTreeMap<(ChainId, u64), Key32> {
        &self.keys
    }

    /// The key to a commitment, of those that the device made for epochs it wanted to begin.
    pub fn next(&self, commitment: &Digest) -> Option<&Key32> {
        self.next.get(commitment)
    }

    /// The device's own wrapping keys.
    pub fn pairs(&self) -> &[WrapKeyPair] {
        &self.pairs
    }

    /// Takes over all keys of another: for the mutation that leaks them.
    pub fn take_over(&mut self, other: &Self) {
        for (name, key) in &other.keys {
            self.keys.entry(*name).or_insert_with(|| key.clone());
        }
    }

    fn open_row(&self, row: &[u8], sealed: &[u8]) -> Option<Key32> {
        let (nonce, ciphertext) = sealed.split_first_chunk::<NONCE_BYTES>()?;
        let opened = |subkey: &Key32| open(subkey, &Nonce24(*nonce), row, ciphertext).ok();
        Key32::from_slice(&self.subkeys.iter().rev().find_map(opened)?)
    }
}
