//! What pairs a store with the place it lies in, so that a copy is noticed.
//!
//! A random value lies in the store and, outside the vault's folder, in the state folder, which no backup should hold.
//! It changes whenever the vault is unlocked and locked. A store whose value is not the one kept outside, or that lies
//! in another file than it did (device and inode), may be a copy: it gets a new incarnation before anything is sealed,
//! so that no position of a chunk is ever used twice. What escapes this, a copy put back in place between two
//! unlockings, the relay notices (see [`vereda_sync::device`]).

use std::io;

use minicbor::{Decode, Encode, bytes::ByteArray};
use rand_core::CryptoRng;
use vereda_base::Incarnation;
use vereda_sync::device::store::{DeviceStore, StoreError, Table};

use super::place::{FileIdentity, VaultFile, VaultPlace};
use crate::store::SealedStore;

const PAIRING: Table = Table("pairing");
const KEY: &[u8] = b"pairing";
const MAX_BYTES: usize = 256;

/// What lies in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
struct Inside {
    #[n(0)]
    incarnation: Incarnation,
    #[n(1)]
    value: ByteArray<16>,
}

/// What lies in the state folder. `next` is set while the value changes: a crash in between leaves the store with
/// either.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
struct Outside {
    #[n(0)]
    value: ByteArray<16>,
    #[n(1)]
    next: Option<ByteArray<16>>,
    #[n(2)]
    file: FileIdentity,
}

/// A store's present incarnation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Paired {
    pub(super) incarnation: Incarnation,
    pub(super) is_new: bool,
}

/// Compares store and place. Keeps the incarnation where they belong together, opens a new one where not; pairs
/// them anew in either case.
pub(super) fn check(
    place: &dyn VaultPlace,
    store: &mut SealedStore,
    rng: &mut dyn CryptoRng,
) -> Result<Paired, PairingError> {
    let (inside, outside) = (read_inside(store)?, read_outside(place)?);
    let file = place.identity()?;
    let known = inside.zip(outside).filter(|(inside, outside)| {
        outside.file == file && (outside.value == inside.value || outside.next == Some(inside.value))
    });
    match known {
        Some((inside, _)) => {
            write_if_room(place, store, &inside, rng)?;
            Ok(Paired { incarnation: inside.incarnation, is_new: false })
        }
        None => renew(place, store, rng),
    }
}

/// Opens a new incarnation.
pub(super) fn renew(
    place: &dyn VaultPlace,
    store: &mut SealedStore,
    rng: &mut dyn CryptoRng,
) -> Result<Paired, PairingError> {
    let incarnation = Incarnation(rng.next_u64());
    write(place, store, incarnation, None, rng)?;
    Ok(Paired { incarnation, is_new: true })
}

/// Changes the value, keeping the incarnation.
pub(super) fn roll(
    place: &dyn VaultPlace,
    store: &mut SealedStore,
    rng: &mut dyn CryptoRng,
) -> Result<(), PairingError> {
    match read_inside(store)? {
        Some(inside) => write_if_room(place, store, &inside, rng),
        None => Ok(()),
    }
}

/// Pairs anew unless there is no room: then the old pair still holds, as after a crash, and whoever unlocks to read
/// can read.
fn write_if_room(
    place: &dyn VaultPlace,
    store: &mut SealedStore,
    inside: &Inside,
    rng: &mut dyn CryptoRng,
) -> Result<(), PairingError> {
    match write(place, store, inside.incarnation, Some(inside.value), rng) {
        Err(error) if error.is_no_room() => {
            store.rollback();
            Ok(())
        }
        done => done,
    }
}

/// Pairs anew. With `old`, a crash at any point leaves a pair that is known; without, one that is not.
fn write(
    place: &dyn VaultPlace,
    store: &mut SealedStore,
    incarnation: Incarnation,
    old: Option<ByteArray<16>>,
    rng: &mut dyn CryptoRng,
) -> Result<(), PairingError> {
    let mut value = [0; 16];
    rng.fill_bytes(&mut value);
    let value = ByteArray::from(value);
    let file = place.identity()?;
    if let Some(old) = old {
        write_outside(place, &Outside { value: old, next: Some(value), file })?;
    }
    store.put(PAIRING, &[], KEY, &vereda_base::encode(&Inside { incarnation, value }))?;
    store.commit()?;
    Ok(write_outside(place, &Outside { value, next: None, file })?)
}

/// Reads the outer value. What cannot be understood pairs with nothing.
fn read_outside(place: &dyn VaultPlace) -> io::Result<Option<Outside>> {
    Ok(place.read(VaultFile::Pairing)?.and_then(|bytes| vereda_base::decode(&bytes, MAX_BYTES).ok()))
}

fn write_outside(place: &dyn VaultPlace, outside: &Outside) -> io::Result<()> {
    place.replace(VaultFile::Pairing, &vereda_base::encode(outside))
}

fn read_inside(store: &SealedStore) -> Result<Option<Inside>, StoreError> {
    let bytes = store.get(PAIRING, KEY)?;
    let decoded = bytes.map(|bytes| vereda_base::decode(&bytes, MAX_BYTES)).transpose();
    decoded.map_err(|_| StoreError::Unknown { table: PAIRING.0 })
}

/// Why store and place could not be paired.
#[derive(Debug, thiserror::Error)]
pub enum PairingError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The state folder cannot be read or written.
    #[error("the folder for the device's state cannot be used: {0}")]
    Io(#[from] io::Error),
}

impl PairingError {
    /// Says whether the disk is full or can only be read.
    fn is_no_room(&self) -> bool {
        match self {
            Self::Store(error) => matches!(error, StoreError::Full | StoreError::ReadOnly),
            Self::Io(error) => matches!(
                error.kind(),
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::ReadOnlyFilesystem
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_lack_of_room_lets_an_old_pair_stand() {
        let check = |error: PairingError, expected| assert_eq!(error.is_no_room(), expected, "{error}");
        check(StoreError::Full.into(), true);
        check(StoreError::Damaged { table: "pairing" }.into(), false);
        check(io::Error::from(io::ErrorKind::StorageFull).into(), true);
        check(io::Error::from(io::ErrorKind::PermissionDenied).into(), false);
    }
}
