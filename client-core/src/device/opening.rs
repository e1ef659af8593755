//! Keys opened: from wraps, from the keys that follow them, and those of epochs that this device began.

use std::collections::BTreeMap;

use vereda_base::{ChainId, Digest};
use vereda_crypto::{Key32, commitment};
use vereda_policy::{BadRotate, Body, EpochFault, Heads, membership};
use vereda_sync::device::{DeviceStore, OutboxItem, StoreError, StoredWrap};

use super::{Device, DeviceError};

/// What was found wrong with epochs, by chain and number.
type Faults = BTreeMap<(ChainId, u64), EpochFault>;

impl<S: DeviceStore> Device<S> {
    /// Counts the key epochs of a chain, and those of them whose key is here.
    pub fn epochs_of(&self, chain: &ChainId) -> (usize, usize) {
        let Some(state) = self.chain(chain) else { return (0, 0) };
        let held = state.epochs().iter().filter(|epoch| self.keyring.key(chain, epoch.number).is_some());
        (state.epochs().len(), held.count())
    }

    /// Opens every key that opens now, until none is left: one key opens the next. What turns out to be false is called
    /// so.
    pub(super) fn open_keys(&mut self) -> Result<(), DeviceError> {
        let mut did = self.settle_next_keys()?;
        let mut faults = Faults::new();
        loop {
            let mut found = BTreeMap::new();
            faults.clear();
            for (chain, wrap) in self.unopened_wraps()? {
                match self.open_one(&chain, &wrap) {
                    Some(Ok((epoch, key))) if self.keyring.key(&chain, epoch).is_none() => {
                        found.insert((chain, epoch), key);
                    }
                    Some(Err(fault)) => {
                        faults.insert((chain, wrap.epoch), fault);
                    }
                    _ => {}
                }
            }
            if found.is_empty() {
                break;
            }
            did = true;
            for ((chain, epoch), key) in found {
                self.take_key(chain, epoch, key)?;
            }
        }
        did |= self.call_bad(&faults)?;
        self.forget_complete();
        if did { self.commit() } else { Ok(()) }
    }

    /// Notes a chain as one of which keys are missing; its wraps are looked at again.
    pub(super) fn note_keyless(&mut self, chain: &ChainId) {
        if self.keyless.insert(*chain) {
            self.keys_may_open = true;
        }
    }

    fn open_one(&self, chain: &ChainId, stored: &StoredWrap) -> Option<Result<(u64, Key32), EpochFault>> {
        if stored.wrap.recipient == Digest(chain.0) {
            return self.keyring.open_previous(&*self.chain(chain)?, stored.epoch, &stored.wrap);
        }
        let opened = self.view(|view, _| self.keyring.open(view, chain, stored.epoch, &stored.wrap))?;
        Some(opened.map(|key| (stored.epoch, key)))
    }

    fn take_key(&mut self, chain: ChainId, epoch: u64, key: Key32) -> Result<(), DeviceError> {
        self.keyring.keep(&mut self.store, chain, epoch, key)?;
        self.repairing.insert(chain);
        if self.locked.remove(&chain) || self.chunk_count(&chain)? > 0 {
            self.stale.insert(chain);
        }
        Ok(())
    }

    /// Lists the wraps of chains of which keys are missing; those of keys that are held too where they hold the one
    /// before, to compare it.
    fn unopened_wraps(&self) -> Result<Vec<(ChainId, StoredWrap)>, StoreError> {
        let Some(machine) = &self.machine else { return Ok(Vec::new()) };
        let mut wraps = Vec::new();
        for chain in &self.keyless {
            let is_wanted = |wrap: &StoredWrap| {
                wrap.wrap.recipient == Digest(chain.0) || self.keyring.key(chain, wrap.epoch).is_none()
            };
            let stored = machine.wraps(&self.store, chain)?.into_iter().filter(is_wanted);
            wraps.extend(stored.map(|wrap| (*chain, wrap)));
        }
        Ok(wraps)
    }

    fn forget_complete(&mut self) {
        let complete = |chain: &&ChainId| self.chain(chain).is_some_and(|state| !self.keyring.lacks_some(&state));
        let complete: Vec<ChainId> = self.keyless.iter().filter(complete).copied().collect();
        for chain in complete {
            self.keyless.remove(&chain);
        }
    }

    /// Keeps the keys of epochs that this device began, once they stand; forgets those that never will.
    fn settle_next_keys(&mut self) -> Result<bool, DeviceError> {
        let keys = self.keyring.next_keys(&self.store)?;
        if keys.is_empty() {
            return Ok(false);
        }
        let queued: Vec<Digest> = self.outbox()?.into_iter().filter_map(|item| commitment_of(&item)).collect();
        let mut did = false;
        for (chain, key) in keys {
            let name = commitment(&key);
            let epoch = self.chain(&chain).and_then(|state| {
                state.epochs().iter().find(|epoch| epoch.commitment == name).map(|epoch| epoch.number)
            });
            match epoch {
                Some(epoch) => self.take_key(chain, epoch, key)?,
                None if queued.contains(&name) => continue,
                None => {}
            }
            self.keyring.drop_next(&mut self.store, &name)?;
            did = true;
        }
        Ok(did)
    }

    /// Says of epochs that they are not what they claim, each once; says whether any was.
    fn call_bad(&mut self, faults: &Faults) -> Result<bool, DeviceError> {
        let mut did = false;
        for ((chain, epoch), fault) in faults {
            let Some(state) = self.chain(chain) else { continue };
            let Some(called) = state.epoch(*epoch) else { continue };
            let has_key = fault.is_of_a_wrap() && self.keyring.key(chain, *epoch).is_some();
            let may = self.view(|view, device| {
                let is_in = || membership(view, &device, chain, &Heads::newest(None)).is_some();
                called.may_be_called_bad(&device, *fault) && is_in()
            });
            // Once, until somebody is given the key anew.
            if has_key || !may || !self.called_bad.insert((*chain, *epoch, called.targets.len())) {
                continue;
            }
            let said = |item: &OutboxItem| match item {
                OutboxItem::Intent { chain: of, body: Body::BadRotate(bad), .. } => of == chain && bad.epoch == *epoch,
                _ => false,
            };
            if !self.outbox()?.iter().any(said) {
                tracing::warn!(%chain, epoch, ?fault, "an epoch is not what it claims");
                self.intend(*chain, Body::BadRotate(BadRotate { epoch: *epoch, fault: *fault }), Vec::new())?;
                did = true;
            }
        }
        Ok(did)
    }
}

/// Tells to which key the epoch commits that an item of the outbox would begin.
fn commitment_of(item: &OutboxItem) -> Option<Digest> {
    match item {
        OutboxItem::Intent { body: Body::Rotate(rotate), .. } => Some(rotate.epoch.commitment),
        _ => None,
    }
}
