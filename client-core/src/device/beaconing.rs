//! Beacons: what this device knows, said now and then by a Manager's, so that others notice what is held back from them
//! (protocol.md §1).

use std::time::Duration;

use vereda_base::Timestamp;
use vereda_policy::{Beacon, BeaconState, Body, ChainKind, Cite, Heads, Retention, Role, membership};
use vereda_sync::device::{DeviceStore, OutboxItem};

use super::{Ambient, Device, DeviceError};

/// How often a Manager's device says what it knows.
const EVERY: Duration = Duration::from_secs(24 * 3_600);
/// How old the newest may be before devices warn, where the agency set nothing.
const DEFAULT_DAYS: u32 = 14;
/// Heads in one beacon: those of the agency and of its teams and people, as many as fit an operation.
const MAX_HEADS: usize = vereda_base::limits::MAX_LIST;

/// How old what is known to be whole is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct BeaconAge {
    /// When the newest beacon was made, in milliseconds since 1970, by its author's clock; `None` where there is none.
    pub newest: Option<Timestamp>,
    /// Its age in whole days.
    pub days: u32,
    /// The agency's limit, in days.
    pub limit_days: u32,
    /// It is older than that: news may be held back from this device.
    pub is_old: bool,
}

impl<S: DeviceStore> Device<S> {
    /// Says what this device knows, where its person is a Manager of the agency and it was not said for a day; commits.
    /// Says whether it did.
    pub(super) fn send_beacon(&mut self, ambient: &mut Ambient<'_>) -> Result<bool, DeviceError> {
        let Some((_, agency)) = self.home() else { return Ok(false) };
        let now = self.relay_now(ambient);
        if self.last_beacon.is_some_and(|last| now < last.saturating_add(EVERY)) {
            return Ok(false);
        }
        let role = self.view(|view, device| membership(view, &device, &agency, &Heads::newest(Some(now))));
        let Some(state) = self.chain(&agency).filter(|_| role == Some(Role::Manager)) else { return Ok(false) };
        let newest = state.beacons().iter().map(|beacon| beacon.time).max();
        self.last_beacon = newest.map(|newest| newest.min(now));
        if self.last_beacon.is_some_and(|last| now < last.saturating_add(EVERY)) {
            return Ok(false);
        }
        let is_queued = |item: &OutboxItem| matches!(item, OutboxItem::Intent { body: Body::Beacon(_), .. });
        if self.outbox()?.iter().any(is_queued) {
            return Ok(false);
        }
        let mut heads = Vec::new();
        for kind in [ChainKind::Agency, ChainKind::Team, ChainKind::User] {
            let chains = self.list_chains(kind)?;
            heads.extend(
                chains.iter().filter_map(|chain| Some(Cite { chain: *chain, head: self.chain(chain)?.head() })),
            );
        }
        heads.truncate(MAX_HEADS);
        heads.sort_unstable();
        self.intend(agency, Body::Beacon(Beacon { time: now, heads }), Vec::new())?;
        self.last_beacon = Some(now);
        self.commit()?;
        Ok(true)
    }

    /// Tells how old the newest beacon of the agency is; `None` before there is an agency here.
    ///
    /// # Errors
    /// [`DeviceError`] by cause.
    pub fn beacon_age(&self, now: Timestamp) -> Result<Option<BeaconAge>, DeviceError> {
        let Some(state) = self.home().and_then(|(_, agency)| self.chain(&agency)) else { return Ok(None) };
        let limit_days = state.retention(Retention::Beacon).unwrap_or(DEFAULT_DAYS);
        let begun = state.op(0).and_then(|op| op.time);
        Ok(Some(age(state.beacons(), begun, limit_days, now)))
    }
}

/// Where there was never a beacon, the agency's beginning counts.
fn age(beacons: &[BeaconState], begun: Option<Timestamp>, limit_days: u32, now: Timestamp) -> BeaconAge {
    let newest = beacons.iter().map(|beacon| beacon.time).max();
    let since = newest.or(begun).unwrap_or(now);
    let day = i64::try_from(EVERY.as_millis()).unwrap_or(i64::MAX);
    let days = now.0.saturating_sub(since.0).max(0).checked_div(day).unwrap_or(0);
    let days = u32::try_from(days).unwrap_or(u32::MAX);
    BeaconAge { newest, days, limit_days, is_old: days > limit_days }
}

#[cfg(test)]
mod tests {
    use vereda_base::DeviceId;

    use super::*;

    #[test]
    fn the_newest_beacon_is_old_once_it_is_older_than_the_limit() {
        let day = 24 * 3_600_000;
        let beacon = |day_of: i64| BeaconState {
            device: DeviceId([1; 32]),
            seq: 1,
            time: Timestamp(day_of * day),
            heads: Vec::new(),
        };
        let check = |beacons: &[i64], begun, now: i64, expected: (u32, bool)| {
            let beacons: Vec<BeaconState> = beacons.iter().map(|day_of| beacon(*day_of)).collect();
            let found = age(&beacons, begun, 3, Timestamp(now * day));
            assert_eq!((found.days, found.is_old), expected, "{beacons:?} {begun:?} {now}");
        };
        check(&[1, 4, 2], None, 7, (3, false));
        check(&[1, 4, 2], None, 8, (4, true));
        check(&[], Some(Timestamp(0)), 9, (9, true));
        check(&[], None, 9, (0, false));
        check(&[12], None, 9, (0, false));
    }
}
