//! Recovery: a printed key is made while a device is at hand, and brings a new device in when none is.
//!
//! The key is a device of its person, restricted by policy: it adds and removes devices, reads his epoch's wrap, and is a
//! member nowhere. Recovering drives it as a device of its own over a store in memory, which is dropped afterwards.

use rand_core::CryptoRng;
use vereda_base::{ChainId, Incarnation};
use vereda_policy::{AddDevice, Body, Cite, DeviceKind};
use vereda_sync::device::{DeviceStore, IntentId, MemoryStore, StoreError, Table, store::EachRow};

use super::{LinkError, RecoveryKey};
use crate::{
    device::{Ambient, Device, DeviceError, IncarnatedStore},
    directory,
    facts::{Introduction, Membership, save_device_name},
    link::RecoveryLink,
};

/// What is printed. The key is shown this once and stored nowhere.
#[derive(Debug)]
pub struct RecoverySheet {
    /// Where the key is good.
    pub link: RecoveryLink,
    /// The key.
    pub key: RecoveryKey,
    /// Its way into the person's chain.
    pub intent: IntentId,
}

/// Why a recovery key was not made, or brought nobody in; nothing was kept.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    /// The person's chain is not at the relay yet.
    #[error("a recovery key is made once this device is a member: sync first")]
    NotMember,
    /// The vault has a user already.
    #[error("this vault belongs to somebody in an agency already: make another vault")]
    Taken,
    /// The name is empty or too long.
    #[error("a name is 1 to {} characters on one line", directory::MAX_NAME_CHARS)]
    Name,
    /// The relay has not let the device in yet.
    #[error("the relay has not taken the new device in: the recovery key may have been removed")]
    NotIn,
    /// The person's keys did not come.
    #[error("the keys are not here: no device passed them on to the recovery key before it was needed")]
    NoKeys,
    /// Anything below.
    #[error(transparent)]
    Device(#[from] DeviceError),
}

impl From<LinkError> for RecoveryError {
    fn from(error: LinkError) -> Self {
        match error {
            LinkError::Device(error) => Self::Device(error),
            _ => Self::Taken,
        }
    }
}

impl<S: DeviceStore> Device<S> {
    /// Makes a recovery key of this person; good once the relay was reached and a device of his has passed his keys on to
    /// it, which this one does by itself.
    ///
    /// # Errors
    /// [`RecoveryError`] by cause; nothing is kept then.
    pub fn make_recovery_key(&mut self, ambient: &mut Ambient<'_>) -> Result<RecoverySheet, RecoveryError> {
        let Some(membership) = &self.membership else { return Err(DeviceError::NoAgency.into()) };
        let (relay, user, agency) = (membership.relay(), membership.user, membership.agency);
        let is_known = matches!(membership.introduction, Introduction::Known);
        let cite = |chain: ChainId| Some(Cite { chain, head: self.chain(&chain)?.head() });
        let heads: Option<Vec<Cite>> = [user, agency].into_iter().map(cite).collect();
        let Some(heads) = heads.filter(|_| is_known) else { return Err(RecoveryError::NotMember) };
        let key = RecoveryKey::make(ambient.rng);
        let derived = key.derive();
        let public = derived.wrapping.public().clone();
        let add = AddDevice::with_key(user, &derived.signing, public, DeviceKind::Recovery);
        let queued = self.intend(user, Body::AddDevice(add), Vec::new());
        let queued = queued.and_then(|intent| self.commit().map(|()| intent));
        if queued.is_err() {
            self.roll_back();
        }
        Ok(RecoverySheet { link: RecoveryLink { relay, heads, agency, user }, key, intent: queued? })
    }

    /// Begins to bring this new vault in as a device of the key's person: gives the device of the key, which is to be
    /// driven until [`Device::is_done`], and then handed to [`Self::finish_recovery`].
    ///
    /// # Errors
    /// [`RecoveryError`] by cause; nothing is kept then.
    pub fn begin_recovery(
        &mut self,
        ambient: &mut Ambient<'_>,
        link: &RecoveryLink,
        key: &RecoveryKey,
    ) -> Result<Device<RecoveryStore>, RecoveryError> {
        if self.membership.is_some() {
            return Err(RecoveryError::Taken);
        }
        if self.linking()?.is_some() {
            // These keys signed for whoever made the offer.
            self.renew_keys(ambient.rng)?;
            self.drop_linking()?;
        }
        let mut store = RecoveryStore { memory: MemoryStore::new(), incarnation: Incarnation(ambient.rng.next_u64()) };
        key.derive().save(&mut store).map_err(DeviceError::from)?;
        let of_user = link.heads.iter().filter(|cite| cite.chain == link.user).copied().collect();
        let membership = Membership {
            user: link.user,
            agency: link.agency,
            relay_url: link.relay.url.clone(),
            relay_key: link.relay.key,
            introduction: Introduction::Known,
            // A recovery key is shown its person's chain and little else.
            heads: of_user,
            person: String::new(),
        };
        membership.save(&mut store).map_err(DeviceError::from)?;
        let mut device = Device::open(store, ambient)?;
        let public = self.keys.wrapping.public().clone();
        let add = AddDevice::with_key(link.user, &self.keys.signing, public, DeviceKind::Full);
        device.intend(link.user, Body::AddDevice(add), Vec::new())?;
        device.commit()?;
        Ok(device)
    }

    /// Makes this vault a device of the person, with his keys, once the device of the key has brought it in.
    ///
    /// # Errors
    /// [`RecoveryError`] by cause; nothing is kept then. It can be begun again with the same key.
    pub fn finish_recovery(
        &mut self,
        link: &RecoveryLink,
        of_key: &Device<RecoveryStore>,
        name: &str,
    ) -> Result<ChainId, RecoveryError> {
        if self.membership.is_some() {
            return Err(RecoveryError::Taken);
        }
        if !directory::is_name(name) {
            return Err(RecoveryError::Name);
        }
        if !of_key.has_device(&self.id()) {
            return Err(RecoveryError::NotIn);
        }
        let state = of_key.chain(&link.user).ok_or(RecoveryError::NotIn)?;
        if !of_key.keyring.holds_newest(&state) {
            return Err(RecoveryError::NoKeys);
        }
        let promised = link.heads.iter().filter(|cite| cite.chain != link.user).copied();
        let heads = promised.chain([Cite { chain: link.user, head: state.head() }]).collect();
        let begun = self.begin_recovered(link, heads, of_key, name);
        if begun.is_err() {
            self.roll_back();
        }
        begun?;
        Ok(link.user)
    }

    fn begin_recovered(
        &mut self,
        link: &RecoveryLink,
        heads: Vec<Cite>,
        of_key: &Device<RecoveryStore>,
        name: &str,
    ) -> Result<(), DeviceError> {
        let membership = Membership {
            user: link.user,
            agency: link.agency,
            relay_url: link.relay.url.clone(),
            relay_key: link.relay.key,
            introduction: Introduction::Linked,
            heads,
            person: String::new(),
        };
        membership.save(&mut self.store)?;
        save_device_name(&mut self.store, name)?;
        for (epoch, key) in of_key.keyring.keys_of(&link.user) {
            self.keyring.keep(&mut self.store, link.user, epoch, key)?;
        }
        self.begin_machine(membership)?;
        self.commit()
    }

    /// Says whether this is the device of a recovery key: it does nothing by itself.
    pub(crate) fn is_recovery_key(&self) -> bool {
        let standing = self.home().and_then(|(user, _)| self.chain(&user)?.device(&self.id()).cloned());
        standing.is_some_and(|standing| standing.kind == DeviceKind::Recovery)
    }
}

impl Device<RecoveryStore> {
    /// Says whether the new device stands in the person's chain and the person's keys are here.
    pub fn is_done(&self, new: &vereda_base::DeviceId) -> bool {
        let Some((user, _)) = self.home() else { return false };
        self.has_device(new) && self.chain(&user).is_some_and(|state| self.keyring.holds_newest(&state))
    }
}

/// The store of a recovery key's device: in memory, for as long as recovering takes.
#[derive(Debug)]
pub struct RecoveryStore {
    memory: MemoryStore,
    incarnation: Incarnation,
}

impl DeviceStore for RecoveryStore {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.memory.get(table, key)
    }

    fn put(&mut self, table: Table, group: &[u8], key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.memory.put(table, group, key, value)
    }

    fn delete(&mut self, table: Table, key: &[u8]) -> Result<(), StoreError> {
        self.memory.delete(table, key)
    }

    fn scan(&self, table: Table, group: Option<&[u8]>, each: &mut EachRow<'_>) -> Result<(), StoreError> {
        self.memory.scan(table, group, each)
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        self.memory.commit()
    }

    fn rollback(&mut self) {
        self.memory.rollback();
    }
}

impl IncarnatedStore for RecoveryStore {
    fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    fn renew_incarnation(&mut self, rng: &mut dyn CryptoRng) -> Result<Incarnation, String> {
        self.incarnation = Incarnation(rng.next_u64());
        Ok(self.incarnation)
    }
}
