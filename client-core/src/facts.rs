//! What a device knows of itself: its keys, whose it is, which relay it speaks to.

use std::collections::BTreeMap;

use minicbor::{Decode, Encode, bytes::ByteArray};
use rand_core::CryptoRng;
use vereda_base::{ChainId, DeviceId, Incarnation, OpId, Sensitive, decode, encode};
use vereda_crypto::{DeviceKey, Key32, WrapKeyPair};
use vereda_sync::device::{DeviceCredential, DeviceStore, StoreError};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::{
    link::{RelayAddress, invite_key},
    tables::FACTS,
};

const SEEDS: &[u8] = b"seeds";
const MEMBERSHIP: &[u8] = b"membership";
const INCARNATION: &[u8] = b"incarnation";
const DECEIVED: &[u8] = b"deceived";
const DEVICE_NAME: &[u8] = b"device name";
const FAREWELL: &[u8] = b"farewell";
const MAX_BYTES: usize = 8 << 10;
const MAX_FAREWELL_BYTES: usize = 1 << 20;

/// The keys of this device. Made here, never reused after removal.
#[derive(Debug, Clone)]
pub(crate) struct DeviceKeys {
    /// Signs.
    pub(crate) signing: DeviceKey,
    /// Unwraps.
    pub(crate) wrapping: WrapKeyPair,
}

#[derive(Encode, Decode, Zeroize, ZeroizeOnDrop)]
#[cbor(array)]
struct Seeds {
    #[cbor(n(0), with = "minicbor::bytes")]
    signing: Vec<u8>,
    #[cbor(n(1), with = "minicbor::bytes")]
    wrapping: Vec<u8>,
}

impl DeviceKeys {
    /// Loads the device's keys, or makes them at first use; the caller commits.
    ///
    /// # Errors
    /// [`StoreError`] by cause.
    pub(crate) fn load_or_make(
        store: &mut impl DeviceStore,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Self, StoreError> {
        let stored = store.get(FACTS, SEEDS)?.map(|bytes| decode::<Seeds>(&bytes, MAX_BYTES));
        let unknown = || StoreError::Unknown { table: FACTS.0 };
        let Some(seeds) = stored else { return Self::make(store, rng) };
        let seeds = seeds.map_err(|_| unknown())?;
        let signing = Key32::from_slice(&seeds.signing).ok_or_else(unknown)?;
        let wrapping = Key32::from_slice(&seeds.wrapping).ok_or_else(unknown)?;
        Ok(Self { signing: DeviceKey::from_seed(signing.expose()), wrapping: WrapKeyPair::from_seed(&wrapping) })
    }

    /// Makes new keys in place of those that were used for nothing yet; the caller commits.
    ///
    /// # Errors
    /// [`StoreError`] by cause.
    pub(crate) fn make(store: &mut impl DeviceStore, rng: &mut (impl CryptoRng + ?Sized)) -> Result<Self, StoreError> {
        let (signing, wrapping) = (Key32::make(rng), Key32::make(rng));
        let keys =
            Self { signing: DeviceKey::from_seed(signing.expose()), wrapping: WrapKeyPair::from_seed(&wrapping) };
        keys.save(store)?;
        Ok(keys)
    }

    /// Keeps the keys, in place of those that were used for nothing yet; the caller commits.
    ///
    /// # Errors
    /// [`StoreError`] by cause.
    pub(crate) fn save(&self, store: &mut impl DeviceStore) -> Result<(), StoreError> {
        let signing = self.signing.seed().expose().to_vec();
        let mut row = encode(&Seeds { signing, wrapping: self.wrapping.seed().expose().to_vec() });
        let put = store.put(FACTS, &[], SEEDS, &row);
        row.zeroize();
        put
    }
}

/// Whose device this is and how it reaches its agency.
#[derive(Debug, Clone, Encode, Decode)]
#[cbor(array)]
pub(crate) struct Membership {
    /// The user.
    #[n(0)]
    pub(crate) user: ChainId,
    /// The agency.
    #[n(1)]
    pub(crate) agency: ChainId,
    /// The relay's address.
    #[n(2)]
    pub(crate) relay_url: String,
    /// The relay's key.
    #[n(3)]
    pub(crate) relay_key: DeviceId,
    /// Why the relay should listen.
    #[n(4)]
    pub(crate) introduction: Introduction,
    /// Heads that came with the invite.
    #[n(5)]
    pub(crate) heads: Vec<vereda_policy::Cite>,
    /// The name of the person, until it stands in the directory.
    #[n(6)]
    pub(crate) person: String,
}

/// Why a relay should listen to a device that it does not know yet.
#[derive(Clone, Encode, Decode)]
#[cbor(array)]
pub(crate) enum Introduction {
    /// It knows the device.
    #[n(0)]
    Known,
    /// The device founds an agency.
    #[n(1)]
    Founding(#[n(0)] ByteArray<32>),
    /// The device joins by an invite.
    #[n(2)]
    Invite {
        /// Chain of the invite.
        #[n(0)]
        chain: ChainId,
        /// The `Invite` operation.
        #[n(1)]
        invite: OpId,
        /// Seed of its one-time key.
        #[n(2)]
        seed: ByteArray<32>,
    },
    /// Another device of the user adds it.
    #[n(3)]
    Linked,
}

impl std::fmt::Debug for Introduction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Known => "Known",
            Self::Linked => "Linked",
            Self::Founding(_) => "Founding(…)",
            Self::Invite { .. } => "Invite(…)",
        })
    }
}

impl Membership {
    /// Names the relay.
    pub(crate) fn relay(&self) -> RelayAddress {
        RelayAddress { url: self.relay_url.clone(), key: self.relay_key }
    }

    /// Tells the machine why the relay should listen.
    pub(crate) fn credential(&self) -> DeviceCredential {
        match &self.introduction {
            Introduction::Known | Introduction::Linked => DeviceCredential::Member,
            Introduction::Founding(secret) => DeviceCredential::Founding(Sensitive::new(**secret)),
            Introduction::Invite { chain, invite, seed } => {
                DeviceCredential::Invite { chain: *chain, invite: *invite, key: invite_key(seed) }
            }
        }
    }

    /// Loads what was kept.
    ///
    /// # Errors
    /// [`StoreError`] by cause.
    pub(crate) fn load(store: &impl DeviceStore) -> Result<Option<Self>, StoreError> {
        let bytes = store.get(FACTS, MEMBERSHIP)?;
        let decoded = bytes.map(|bytes| decode(&bytes, MAX_BYTES)).transpose();
        decoded.map_err(|_| StoreError::Unknown { table: FACTS.0 })
    }

    /// Keeps it; the caller commits.
    ///
    /// # Errors
    /// [`StoreError`] by cause.
    pub(crate) fn save(&self, store: &mut impl DeviceStore) -> Result<(), StoreError> {
        store.put(FACTS, &[], MEMBERSHIP, &encode(self))
    }
}

/// Tells whether the relay held back what an invite promised.
///
/// # Errors
/// [`StoreError`] by cause.
pub(crate) fn load_deceived(store: &impl DeviceStore) -> Result<bool, StoreError> {
    Ok(store.get(FACTS, DECEIVED)?.is_some())
}

/// Keeps whether the relay held back what an invite promised; the caller commits.
///
/// # Errors
/// [`StoreError`] by cause.
pub(crate) fn save_deceived(store: &mut impl DeviceStore, is_deceived: bool) -> Result<(), StoreError> {
    if is_deceived { store.put(FACTS, &[], DECEIVED, &encode(&true)) } else { store.delete(FACTS, DECEIVED) }
}

/// Loads the incarnation under which the edits in the store were made.
///
/// # Errors
/// [`StoreError`] by cause.
pub(crate) fn load_incarnation(store: &impl DeviceStore) -> Result<Option<Incarnation>, StoreError> {
    let bytes = store.get(FACTS, INCARNATION)?;
    let decoded = bytes.map(|bytes| decode(&bytes, MAX_BYTES)).transpose();
    decoded.map_err(|_| StoreError::Unknown { table: FACTS.0 })
}

/// Keeps the incarnation; the caller commits.
///
/// # Errors
/// [`StoreError`] by cause.
pub(crate) fn save_incarnation(store: &mut impl DeviceStore, incarnation: Incarnation) -> Result<(), StoreError> {
    store.put(FACTS, &[], INCARNATION, &encode(&incarnation))
}

/// Loads the name of this device, until it stands in the directory.
///
/// # Errors
/// [`StoreError`] by cause.
pub(crate) fn load_device_name(store: &impl DeviceStore) -> Result<Option<String>, StoreError> {
    let bytes = store.get(FACTS, DEVICE_NAME)?;
    let decoded = bytes.map(|bytes| decode(&bytes, MAX_BYTES)).transpose();
    decoded.map_err(|_| StoreError::Unknown { table: FACTS.0 })
}

/// Keeps the name of this device, until it stands in the directory; an empty one for none. The caller commits.
///
/// # Errors
/// [`StoreError`] by cause.
pub(crate) fn save_device_name(store: &mut impl DeviceStore, name: &str) -> Result<(), StoreError> {
    if name.is_empty() {
        return store.delete(FACTS, DEVICE_NAME);
    }
    store.put(FACTS, &[], DEVICE_NAME, &encode(&name.to_owned()))
}

/// Loads the names that were kept when the directory was destroyed here.
///
/// # Errors
/// [`StoreError`] by cause.
pub(crate) fn load_farewell(store: &impl DeviceStore) -> Result<BTreeMap<ChainId, String>, StoreError> {
    let bytes = store.get(FACTS, FAREWELL)?;
    let decoded = bytes.map(|bytes| decode(&bytes, MAX_FAREWELL_BYTES)).transpose();
    Ok(decoded.map_err(|_| StoreError::Unknown { table: FACTS.0 })?.unwrap_or_default())
}

/// Keeps names beyond the directory; the caller commits.
///
/// # Errors
/// [`StoreError`] by cause.
pub(crate) fn save_farewell(store: &mut impl DeviceStore, names: &BTreeMap<ChainId, String>) -> Result<(), StoreError> {
    store.put(FACTS, &[], FAREWELL, &encode(names))
}
