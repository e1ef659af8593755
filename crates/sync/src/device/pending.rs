//! What the application still has to do for the machine, found again after a restart; and what it is done with.

use std::collections::{BTreeMap, BTreeSet};

use vereda_base::{ChainId, Link, Monotonic, Timestamp};

use super::{
    machine::DeviceMachine,
    session::Phase,
    store::{DeviceStore, StoreError},
    tables::{Cause, EXCLUDED, ExcludedRow, LINKS, LinkRow, RESEAL, ResealRow, WRAPS, load, load_all},
};

impl DeviceMachine {
    /// Estimates the relay's clock; `None` before it told its time in this session.
    pub fn relay_time(&self, now: Monotonic) -> Option<Timestamp> {
        match &self.phase {
            Phase::Session(session) => session.relay_time(now),
            _ => None,
        }
    }

    /// Lists the chunks of this device that wait for [`Self::reseal_chunk`], each with its document.
    ///
    /// # Errors
    /// [`StoreError`] by cause.
    pub fn to_reseal(&self, store: &dyn DeviceStore) -> Result<Vec<(ChainId, Link)>, StoreError> {
        let mut waiting = Vec::new();
        for (key, _) in load_all::<ResealRow>(store, RESEAL, None)? {
            let Some(link) = key.try_into().ok().map(Link) else { continue };
            let row = load::<LinkRow>(store, LINKS, link.as_bytes())?;
            waiting.extend(row.map(|row| (row.document, link)));
        }
        Ok(waiting)
    }

    /// Lists the chunks of this device that can not stand and whose edits are to be made again, by document.
    ///
    /// # Errors
    /// [`StoreError`] by cause.
    pub fn to_remake(&self, store: &dyn DeviceStore) -> Result<BTreeMap<ChainId, BTreeSet<Link>>, StoreError> {
        let mut lost: BTreeMap<ChainId, BTreeSet<Link>> = BTreeMap::new();
        for (key, row) in load_all::<ExcludedRow>(store, EXCLUDED, None)? {
            if row.own
                && matches!(row.cause, Cause::Rights | Cause::BuiltOn)
                && let Ok(link) = key.try_into()
            {
                lost.entry(row.document).or_default().insert(Link(link));
            }
        }
        Ok(lost)
    }

    /// Forgets the wraps of a chain whose keys this device is to hold no longer. A new right brings new ones.
    ///
    /// # Errors
    /// [`StoreError`] by cause; the transaction is then to be rolled back.
    pub fn forget_wraps(&mut self, store: &mut dyn DeviceStore, chain: &ChainId) -> Result<(), StoreError> {
        self.touch();
        let mut keys = Vec::new();
        store.scan(WRAPS, Some(chain.as_bytes()), &mut |key, _| {
            keys.push(key.to_vec());
            std::ops::ControlFlow::Continue(())
        })?;
        keys.iter().try_for_each(|key| store.delete(WRAPS, key))
    }
}
