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
            chain: scope(&state.creator(), &commitment),
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
        let state = view.chain(&group)?;
        let scope = scope(&state.creator(), &state.epoch(wrap.recipient_epoch)?.commitment);
        match &wrap.key {
            WrappedKey::Hpke(bytes) => {
                let pair = secret.derive_wrap_key_pair(scope, wrap.recipient_epoch);
                unwrap_secret(&pair, info, bytes).ok()
            }
            WrappedKey::Group(bytes) => {
                let key = secret.derive_wrap_key(scope, wrap.recipient_epoch);
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

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;
    use vereda_crypto::DeviceKey;
    use vereda_policy::{
        AppendContext, ChainMap, Create, DocumentKind, Draft, Member, Parent, ParentAuthority, Role, chain_of,
    };
    use vereda_sync::device::MemoryStore;

    use super::*;

    struct Person {
        key: DeviceKey,
        keyring: Keyring,
        user: ChainId,
    }

    fn begin(chains: &mut ChainMap, key: &DeviceKey, create: Create) -> ChainId {
        let op = Draft::new(chains, key.device_id(), None).sign_create(key, create).unwrap();
        chains.append(&op, &AppendContext::unreceipted()).unwrap();
        chain_of(op.value())
    }

    fn join(chains: &mut ChainMap, store: &mut MemoryStore, rng: &mut ChaCha20Rng) -> Person {
        let (key, pair) = (DeviceKey::generate(rng), WrapKeyPair::generate(rng));
        let made = make_user_epoch(&key.device_id(), pair.public(), rng).unwrap();
        let mut keyring = Keyring::load(key.device_id(), pair.clone(), store).unwrap();
        let user = begin(chains, &key, Create::user([1; 16], pair.public().clone(), made.epoch));
        keyring.keep(store, user, 0, made.key).unwrap();
        Person { key, keyring, user }
    }

    #[test]
    fn wraps_copied_into_a_chain_of_another_author_open_nothing_there() {
        let (mut chains, mut store, mut rng) = (ChainMap::new(), MemoryStore::default(), ChaCha20Rng::seed_from_u64(1));
        let amina = join(&mut chains, &mut store, &mut rng);
        let mallory = join(&mut chains, &mut store, &mut rng);
        let member = |subject, role| vec![Member { subject, role }];
        // Both manage the agency, so that either may put a document before the other.
        let made = make_user_epoch(&amina.key.device_id(), WrapKeyPair::generate(&mut rng).public(), &mut rng).unwrap();
        let both = [&amina, &mallory].map(|person| Member { subject: person.user, role: Role::Manager });
        let agency = begin(&mut chains, &amina.key, Create::agency([1; 16], both.to_vec(), made.epoch));
        let parent = vec![Parent { chain: agency, authority: ParentAuthority::Full }];
        let made = make_document_epoch(&amina.keyring, &chains, &[amina.user], &mut rng).unwrap();
        let [wrap] = made.wraps.as_slice() else { panic!("one wrap") };
        let kind = DocumentKind::Case;
        let create = |nonce| {
            let members = member(amina.user, Role::Manager);
            Create::document(kind, [nonce; 16], parent.clone(), members, made.epoch.clone())
        };
        let case = begin(&mut chains, &amina.key, create(2));
        assert_eq!(amina.keyring.open(&chains, &case, 0, wrap), Some(made.key));
        // Whoever let himself into this one would be given Amina's key by her own device.
        let copied = begin(&mut chains, &mallory.key, create(3));
        assert_eq!(amina.keyring.open(&chains, &copied, 0, wrap), None);
    }
}
