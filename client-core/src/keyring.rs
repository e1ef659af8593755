//! The keys that this device holds: of its user, teams, agency and documents, by chain and epoch (protocol, keys).
//!
//! A wrap opens with the device's own wrapping key or with the secret of a group that it belongs to; the key that comes
//! out counts only if the epoch's commitment in the chain is to it.

mod epoch;
mod next_epoch;
mod opening;
mod row;
mod wrapping;

use std::collections::{BTreeMap, BTreeSet};

use rand_core::CryptoRng;
use vereda_base::{ChainId, DeviceId, Digest};
use vereda_crypto::{DocumentEpochKey, GroupEpochSecret, Key32, WrapKeyPair, commitment};
use vereda_policy::{ChainState, EpochState};
use vereda_sync::device::{DeviceStore, StoreError};

pub(crate) use epoch::{NewEpoch, make_document_epoch, make_group_epoch, make_user_epoch, scope, scope_of};
pub(crate) use next_epoch::{NextEpochError, make_next_epoch};
pub(crate) use wrapping::wrap_for;

use crate::tables::{FACTS, KEYS, NEXT_KEYS};

const SUBKEY: &[u8] = b"keys subkey";

/// Keys in memory, each also in a sealed row. Wiped when dropped.
#[derive(Debug)]
pub(crate) struct Keyring {
    device: DeviceId,
    pair: WrapKeyPair,
    /// Seals the rows; `None` in a store of the first version until [`Self::guard`].
    subkey: Option<Key32>,
    keys: BTreeMap<(ChainId, u64), Key32>,
}

impl Keyring {
    /// Loads the keys that the store holds.
    ///
    /// # Errors
    /// [`StoreError`] by cause.
    pub(crate) fn load(device: DeviceId, pair: WrapKeyPair, store: &impl DeviceStore) -> Result<Self, StoreError> {
        let subkey = store.get(FACTS, SUBKEY)?.and_then(|bytes| Key32::from_slice(&bytes));
        let mut keys = BTreeMap::new();
        store.scan(KEYS, None, &mut |name, value| {
            // Rows of the first version hold the key itself.
            let key = match &subkey {
                Some(subkey) => row::open_key(subkey, name, value),
                None => Key32::from_slice(value),
            };
            if let (Some(name), Some(key)) = (row::read_name(name), key) {
                keys.insert(name, key);
            }
            std::ops::ControlFlow::Continue(())
        })?;
        Ok(Self { device, pair, subkey, keys })
    }

    /// Makes sure that the keys lie under a subkey; the caller commits.
    ///
    /// # Errors
    /// [`StoreError`] by cause.
    pub(crate) fn guard(
        &mut self,
        store: &mut impl DeviceStore,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(), StoreError> {
        if self.subkey.is_some() { Ok(()) } else { self.renew_subkey(store, rng) }
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
        self.write(store, &chain, epoch, &key)?;
        self.keys.insert((chain, epoch), key);
        Ok(())
    }

    /// Destroys the keys of chains: what lingers of their rows opens no more.
    ///
    /// # Errors
    /// [`StoreError`] by cause.
    pub(crate) fn destroy(
        &mut self,
        store: &mut impl DeviceStore,
        chains: &BTreeSet<ChainId>,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(), StoreError> {
        for (chain, epoch) in self.keys.keys().filter(|(chain, _)| chains.contains(chain)) {
            store.delete(KEYS, &row::write_name(chain, *epoch))?;
        }
        self.keys.retain(|(chain, _), _| !chains.contains(chain));
        for (chain, key) in self.next_keys(store)? {
            if chains.contains(&chain) {
                store.delete(NEXT_KEYS, &commitment(&key).0)?;
            }
        }
        self.renew_subkey(store, rng)
    }

    /// Keeps the key of an epoch that this device wants to begin: it counts once the epoch stands.
    ///
    /// # Errors
    /// [`StoreError`] by cause.
    pub(crate) fn keep_next(
        &self,
        store: &mut impl DeviceStore,
        chain: &ChainId,
        key: &Key32,
    ) -> Result<(), StoreError> {
        let name = commitment(key).0;
        let value =
            self.subkey.as_ref().map_or_else(|| key.expose().to_vec(), |subkey| row::seal_key(subkey, &name, key));
        store.put(NEXT_KEYS, chain.as_bytes(), &name, &[chain.as_bytes().as_slice(), &value].concat())
    }

    /// Lists the keys of epochs that this device wants to begin.
    ///
    /// # Errors
    /// [`StoreError`] by cause.
    pub(crate) fn next_keys(&self, store: &impl DeviceStore) -> Result<Vec<(ChainId, Key32)>, StoreError> {
        let mut keys = Vec::new();
        store.scan(NEXT_KEYS, None, &mut |name, value| {
            let read = value.split_first_chunk::<32>().and_then(|(chain, sealed)| {
                let key = match &self.subkey {
                    Some(subkey) => row::open_key(subkey, name, sealed),
                    None => Key32::from_slice(sealed),
                };
                Some((ChainId(*chain), key?))
            });
            keys.extend(read);
            std::ops::ControlFlow::Continue(())
        })?;
        Ok(keys)
    }

    /// Forgets the key of an epoch that stands by now, or never will.
    ///
    /// # Errors
    /// [`StoreError`] by cause.
    pub(crate) fn drop_next(&self, store: &mut impl DeviceStore, name: &Digest) -> Result<(), StoreError> {
        store.delete(NEXT_KEYS, &name.0)
    }

    /// Forgets what was not committed: reads the rows anew.
    ///
    /// # Errors
    /// [`StoreError`] by cause.
    pub(crate) fn reload(&mut self, store: &impl DeviceStore) -> Result<(), StoreError> {
        *self = Self::load(self.device, self.pair.clone(), store)?;
        Ok(())
    }

    /// Finds a key.
    pub(crate) fn key(&self, chain: &ChainId, epoch: u64) -> Option<&Key32> {
        self.keys.get(&(*chain, epoch))
    }

    /// Lists the chains of which a key is held.
    pub(crate) fn chains(&self) -> BTreeSet<ChainId> {
        self.keys.keys().map(|(chain, _)| *chain).collect()
    }

    /// Lists the keys of a chain, with their epochs.
    pub(crate) fn keys_of(&self, chain: &ChainId) -> Vec<(u64, Key32)> {
        let keys = self.keys.range((*chain, 0)..=(*chain, u64::MAX));
        keys.map(|((_, epoch), key)| (*epoch, key.clone())).collect()
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

    /// Tells whether some key of a chain is missing that could be held: those of epochs found bad can where another
    /// carries them.
    pub(crate) fn lacks_some(&self, state: &ChainState) -> bool {
        let is_missing = |epoch: &EpochState| self.key(&state.id(), epoch.number).is_none();
        let is_carried = |number| state.epochs().iter().any(|epoch| epoch.carries.contains(&number));
        let could_be = |epoch: &EpochState| epoch.fault.is_none() || is_carried(epoch.number);
        state.epochs().iter().any(|epoch| is_missing(epoch) && could_be(epoch))
    }

    fn write(&self, store: &mut impl DeviceStore, chain: &ChainId, epoch: u64, key: &Key32) -> Result<(), StoreError> {
        let name = row::write_name(chain, epoch);
        match &self.subkey {
            Some(subkey) => store.put(KEYS, chain.as_bytes(), &name, &row::seal_key(subkey, &name, key)),
            None => store.put(KEYS, chain.as_bytes(), &name, key.expose()),
        }
    }

    /// Makes the subkey anew and seals all keys that are held under it.
    fn renew_subkey(
        &mut self,
        store: &mut impl DeviceStore,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(), StoreError> {
        let next = self.next_keys(store)?;
        let subkey = Key32::make(rng);
        store.put(FACTS, &[], SUBKEY, subkey.expose())?;
        self.subkey = Some(subkey);
        for ((chain, epoch), key) in &self.keys {
            self.write(store, chain, *epoch, key)?;
        }
        next.iter().try_for_each(|(chain, key)| self.keep_next(store, chain, key))
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;
    use vereda_crypto::DeviceKey;
    use vereda_policy::{
        AppendContext, ChainMap, Create, DocumentKind, Draft, EpochFault, Member, Parent, ParentAuthority, Role,
        chain_of,
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
        let of_agency = vereda_policy::Epoch { targets: vec![Some(0), None], ..made.epoch };
        let agency = begin(&mut chains, &amina.key, Create::agency([1; 16], both.to_vec(), of_agency));
        let parent = vec![Parent { chain: agency, authority: ParentAuthority::Full }];
        let made = make_document_epoch(&amina.keyring, &chains, &[amina.user], &mut rng).unwrap();
        let [wrap] = made.wraps.as_slice() else { panic!("one wrap") };
        let kind = DocumentKind::Case;
        let create = |nonce| {
            let members = member(amina.user, Role::Manager);
            Create::document(kind, [nonce; 16], parent.clone(), members, made.epoch.clone())
        };
        let case = begin(&mut chains, &amina.key, create(2));
        assert_eq!(amina.keyring.open(&chains, &case, 0, wrap), Some(Ok(made.key)));
        // Whoever let himself into this one would be given Amina's key by her own device.
        let copied = begin(&mut chains, &mallory.key, create(3));
        assert_eq!(amina.keyring.open(&chains, &copied, 0, wrap), Some(Err(EpochFault::Wrap)));
    }
}
