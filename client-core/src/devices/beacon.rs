//! Beacons: a Manager's device says now and then which heads it knew, so that whoever the relay holds news back from
//! notices by their age (protocol, access).

use std::{collections::BTreeSet, time::Duration};

use serde::Serialize;
use vereda_base::{ChainId, DeviceId, Timestamp};
use vereda_policy::{Beacon, BeaconState, Body, ChainKind, ChainState, Cite, Heads, Retention, Role, membership};
use vereda_sync::device::{DeviceStore, OutboxItem};

use crate::device::{Ambient, Device, DeviceError};

const DAY: Duration = Duration::from_secs(24 * 3_600);
/// What a device waits beyond a day, times its turn: those that come later find others' beacons and need not sign.
const TURN: Duration = Duration::from_secs(3_600);
/// Fresh beacons of other devices that are enough: each of them sees the other's.
const ENOUGH: usize = 2;
/// How old the newest beacon may be where the agency never said, in days.
const DEFAULT_DAYS: u32 = 7;

/// The newest beacon by a device other than this one.
#[derive(Debug, Clone, Serialize)]
pub struct BeaconView {
    /// The device; none where there never was a beacon.
    pub device: Option<DeviceId>,
    /// When, by its clock or the relay's, whichever was behind, in milliseconds since 1970; where there never was one, when
    /// the agency began.
    pub time: Timestamp,
    /// Whole days since.
    pub days: u32,
    /// How many the agency allows.
    pub limit: u32,
    /// It is older than that, and there is a device that should have signed one.
    pub is_too_old: bool,
}

impl<S: DeviceStore> Device<S> {
    /// Shows the newest beacon by a device other than this one; `None` before the agency is known.
    pub fn beacon(&self, now: Timestamp) -> Option<BeaconView> {
        let (_, agency) = self.home()?;
        let state = self.chain(&agency)?;
        let began = state.op(0)?.time?;
        let newest = self.others_beacons(&state, now).into_iter().max_by_key(|(_, time)| *time);
        let time = newest.map_or(began, |(_, time)| time);
        let days = whole_days(time, now);
        let limit = state.retention(Retention::Beacon).unwrap_or(DEFAULT_DAYS);
        let is_too_old = days > limit && self.has_other_signers(&state, now);
        Some(BeaconView { device: newest.map(|(device, _)| device), time, days, limit, is_too_old })
    }

    /// Signs a beacon if this is a Manager's device whose own is a day old, and too few others have; commits.
    pub(crate) fn sign_beacon(&mut self, ambient: &Ambient<'_>) -> Result<(), DeviceError> {
        let now = ambient.now.wall;
        let Some((_, agency)) = self.home() else { return Ok(()) };
        let Some(state) = self.chain(&agency) else { return Ok(()) };
        if self.contact.is_deceived || !self.is_beacon_due(&state, now) || !self.may_sign(&agency, &self.id(), now) {
            return Ok(());
        }
        let is_queued = |item: &OutboxItem| matches!(item, OutboxItem::Intent { body: Body::Beacon(_), chain, .. } if *chain == agency);
        if self.outbox()?.iter().any(is_queued) {
            return Ok(());
        }
        // Where the relay refuses it, it does so again.
        if self.beacon_from.is_some_and(|from| ambient.now.monotonic < from) {
            return Ok(());
        }
        self.beacon_from = Some(ambient.now.monotonic.saturating_add(TURN));
        let heads = self.received_heads(&agency)?;
        self.intend(agency, Body::Beacon(Beacon { time: now, heads }), Vec::new())?;
        self.commit()
    }

    fn is_beacon_due(&self, state: &ChainState, now: Timestamp) -> bool {
        let own = state.beacons().iter().find(|beacon| beacon.device == self.id());
        let Some(began) = state.op(0).and_then(|op| op.time) else { return false };
        let last = own.map_or(began, |beacon| heard(state, beacon));
        let wait = DAY.saturating_add(TURN.saturating_mul(u32::try_from(self.turn()).unwrap_or(0)));
        let others = self.others_beacons(state, now);
        let fresh = others.iter().filter(|(_, time)| time.saturating_add(DAY) > now).count();
        last.saturating_add(wait) <= now && fresh < ENOUGH
    }

    /// Lists the beacons of other devices that may still sign one, with when they were made: of whoever is no Manager any more
    /// none counts.
    fn others_beacons(&self, state: &ChainState, now: Timestamp) -> Vec<(DeviceId, Timestamp)> {
        let agency = state.id();
        let others = state.beacons().iter().filter(|beacon| beacon.device != self.id());
        let standing = others.filter(|beacon| self.may_sign(&agency, &beacon.device, now));
        standing.map(|beacon| (beacon.device, heard(state, beacon))).collect()
    }

    /// Lists the heads of the agency and its teams, as far as the relay has received what they end with.
    fn received_heads(&self, agency: &ChainId) -> Result<Vec<Cite>, DeviceError> {
        let mut chains: BTreeSet<ChainId> = self.list_chains(ChainKind::Team)?.into_iter().collect();
        chains.insert(*agency);
        let head = |chain: ChainId| {
            let state = self.chain(&chain)?;
            let received = state.ops().iter().rev().find(|op| op.time.is_some())?;
            Some(Cite { chain, head: received.id })
        };
        Ok(chains.into_iter().filter_map(head).take(vereda_base::limits::MAX_LIST).collect())
    }

    fn may_sign(&self, agency: &ChainId, device: &DeviceId, now: Timestamp) -> bool {
        let newest = Heads::newest(Some(now));
        self.view(|view, _| membership(view, device, agency, &newest)) == Some(Role::Manager)
    }

    fn has_other_signers(&self, state: &ChainState, now: Timestamp) -> bool {
        let agency = state.id();
        let devices = self.view(|view, _| vereda_policy::reading_devices(view, &agency, Some(now)));
        devices.into_iter().any(|device| device != self.id() && self.may_sign(&agency, &device, now))
    }
}

/// Tells when a beacon was made: by its device's clock, and no later than the relay received it. So a clock that is ahead
/// makes no news out of old ones.
fn heard(state: &ChainState, beacon: &BeaconState) -> Timestamp {
    let received = state.op(beacon.seq).and_then(|op| op.time);
    received.map_or(beacon.time, |received| received.min(beacon.time))
}

fn whole_days(from: Timestamp, to: Timestamp) -> u32 {
    const MILLISECONDS: i64 = 24 * 3_600 * 1_000;
    u32::try_from(to.0.saturating_sub(from.0).max(0) / MILLISECONDS).unwrap_or(u32::MAX)
}
