//! The keys that this device holds: of its user, teams, agency and documents, by chain and epoch (protocol, keys).
//!
//! A wrap opens with the device's own wrapping key or with the secret of a group that it belongs to; the key that comes
//! out counts only if the epoch's commitment in the chain is to it.

mod epoch;
mod wrapping;

use std::collections::BTreeMap;

use vereda_base::{ChainId, DeviceId, Digest};
use vereda_crypto::{
    DocumentEpochKey, GroupEpochSecret, Key32, WrapInfo, WrapKeyPair, commits_to, open_from_group, unwrap_secret,
};
use vereda_policy::{ChainState, Chains, Wrap, WrappedKey};
use vereda_sync::device::{DeviceStore, StoreError};

pub(crate) use epoch::{NewEpoch, make_document_epoch, make_group_epoch, make_user_epoch, scope};
pub(crate) use wrapping::wrap_for;

use crate::tables::KEYS;

/// Keys in memory, each also in a sealed row. Wiped when dropped.
#[derive(Debug)]
pub(crate) struct Keyring {
    device: DeviceId,
    pair: WrapKeyPair,
    keys: BTreeMap<(ChainId, u64), Key32>,
}

impl Keyring {
    /// Loads the keys that the store holds.
    ///
    /// # Errors
    /// [`StoreError`] by cause.
    pub(crate) fn load(device: DeviceId, pair: WrapKeyPair, store: &impl DeviceStore) -> Result<Self, StoreError> {
        let mut keys = BTreeMap::new();
        store.scan(KEYS, None, &mut |row, value| {
            if let (Some(name), Some(key)) = (read_row(row), Key32::from_slice(value)) {
                keys.insert(name, key);
            }
            std::ops::ControlFlow::Continue(())
        })?;
        Ok(Self { device, pair, keys })
    }

    /// Keeps a key.
    ///
    /// # Errors
    /// [`StoreError`] by cause.
    pub(crate) fn keep(
        &mut self,
        store: &mut impl DeviceStore,
        chain: ChainId,
        epoch: u64,
        key: Key32,
    ) -> Result<(), StoreError> {
        store.put(KEYS, chain.as_bytes(), &write_row(&chain, epoch), key.expose())?;
        self.keys.insert((chain, epoch), key);
        Ok(())
    }

    /// Forgets what was not committed: reads the rows anew.
    ///
    /// # Errors
    /// [`StoreError`] by cause.
    pub(crate) fn reload(&mut self, store: &impl DeviceStore) -> Result<(), StoreError> {
        self.keys = Self::load(self.device, self.pair.clone(), store)?.keys;
        Ok(())
    }

    /// Finds a key.
    pub(crate) fn key(&self, chain: &ChainId, epoch: u64) -> Option<&Key32> {
        self.keys.get(&(*chain, epoch))
    }

    /// Finds a document's key.
    pub(crate) fn document_key(&self, document: &ChainId, epoch: u64) -> Option<DocumentEpochKey> {
        self.key(document, epoch).cloned().map(DocumentEpochKey::from_key)
    }

    /// Finds a group's secret.
    pub(crate) fn group_secret(&self, group: &ChainId, epoch: u64) -> Option<GroupEpochSecret> {
        self.key(group, epoch).cloned().map(GroupEpochSecret::from_key)
    }

    /// Tells whether the key of a chain's newest epoch is held.
    pub(crate) fn holds_newest(&self, state: &ChainState) -> bool {
        state.newest_epoch().is_some_and(|epoch| self.key(&state.id(), epoch.number).is_some())
    }

    /// Opens a wrap of a chain's epoch, if it is for this device or a group whose secret is held, and the key is the one
    /// that the chain commits to.
    pub(crate) fn open(&self, view: &dyn Chains, chain: &ChainId, epoch: u64, wrap: &Wrap) -> Option<Key32> {
        let state = view.chain(chain)?;
        let commitment = state.epoch(epoch)?.commitment;
        let info = WrapInfo {
            chain: scope(&commitment),
            epoch,
            recipient: wrap.recipient.0,
            recipient_epoch: wrap.recipient_epoch,
        };
        let key = if wrap.recipient == Digest(self.device.0) {
            match &wrap.key {
                WrappedKey::Hpke(bytes) => unwrap_secret(&self.pair, &info, bytes).ok()?,
                WrappedKey::Group(_) => return None,
            }
        } else {
            self.open_as_group(view, &info, wrap)?
        };
        commits_to(&commitment, &key).then_some(key)
    }

    fn open_as_group(&self, view: &dyn Chains, info: &WrapInfo, wrap: &Wrap) -> Option<Key32> {
        let group = ChainId(wrap.recipient.0);
        let secret = self.group_secret(&group, wrap.recipient_epoch)?;
        let commitment = view.chain(&group)?.epoch(wrap.recipient_epoch)?.commitment;
        match &wrap.key {
            WrappedKey::Hpke(bytes) => {
                let pair = secret.derive_wrap_key_pair(scope(&commitment), wrap.recipient_epoch);
                unwrap_secret(&pair, info, bytes).ok()
            }
            WrappedKey::Group(bytes) => {
                let key = secret.derive_wrap_key(scope(&commitment), wrap.recipient_epoch);
                open_from_group(&key, info, bytes).ok()
            }
        }
    }
}

fn write_row(chain: &ChainId, epoch: u64) -> [u8; 40] {
    let mut row = [0; 40];
    let bytes = chain.0.iter().copied().chain(epoch.to_be_bytes());
    row.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
    row
}

fn read_row(row: &[u8]) -> Option<(ChainId, u64)> {
    let (chain, epoch) = row.split_first_chunk::<32>()?;
    Some((ChainId(*chain), u64::from_be_bytes(epoch.try_into().ok()?)))
}
