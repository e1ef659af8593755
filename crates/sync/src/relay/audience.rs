//! Which sessions may be concerned by an entry.

use std::collections::{BTreeMap, BTreeSet};

use vereda_base::{ChainId, DeviceId, Digest};

use super::session::{Open, SessionId};

/// Sessions by device, by group that they belong to, and by agency that they see.
#[derive(Debug, Default)]
pub(super) struct Audience {
    devices: BTreeMap<DeviceId, SessionId>,
    subjects: BTreeMap<Digest, BTreeSet<SessionId>>,
    agencies: BTreeMap<ChainId, BTreeSet<SessionId>>,
}

impl Audience {
    /// Enters a session.
    pub(super) fn add(&mut self, id: SessionId, open: &Open) {
        self.devices.insert(open.device, id);
        for subject in subjects(open) {
            self.subjects.entry(subject).or_default().insert(id);
        }
        for agency in &open.agencies {
            self.agencies.entry(*agency).or_default().insert(id);
        }
    }

    /// Takes a session out.
    pub(super) fn remove(&mut self, id: SessionId, open: &Open) {
        if self.devices.get(&open.device) == Some(&id) {
            self.devices.remove(&open.device);
        }
        for subject in subjects(open) {
            take_out(&mut self.subjects, &subject, id);
        }
        for agency in &open.agencies {
            take_out(&mut self.agencies, agency, id);
        }
    }

    /// The device's session.
    pub(super) fn of_device(&self, device: &DeviceId) -> Option<SessionId> {
        self.devices.get(device).copied()
    }

    /// The sessions that belong to a device or a group.
    pub(super) fn of_subject(&self, subject: &Digest) -> impl Iterator<Item = SessionId> {
        self.subjects.get(subject).into_iter().flatten().copied()
    }

    /// The sessions that see an agency's groups.
    pub(super) fn of_agency(&self, agency: &ChainId) -> impl Iterator<Item = SessionId> {
        self.agencies.get(agency).into_iter().flatten().copied()
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

fn subjects(open: &Open) -> impl Iterator<Item = Digest> {
    open.reach.iter().map(|chain| Digest(chain.0)).chain([Digest(open.device.0)])
}

fn take_out<K: Ord>(index: &mut BTreeMap<K, BTreeSet<SessionId>>, key: &K, id: SessionId) {
    let emptied = index.get_mut(key).is_some_and(|sessions| {
        sessions.remove(&id);
        sessions.is_empty()
    });
    if emptied {
        index.remove(key);
    }
}
