//! How far a connection came, and what it may take of the relay until it is a device's.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
    task::Waker,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::limits::Limits;

/// Bytes read from a connection before its device proved itself. What a device sends beyond waits in the network: nobody
/// fills the relay's memory with frames that never end.
pub(crate) const MAX_UNPROVEN_BYTES: usize = 64 << 10;

/// At 0 it is an HTTP request.
const WEBSOCKET: u8 = 1;
const PROVEN: u8 = 2;

/// How far one connection came. Shared by its stream, its session and the writer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Standing(Arc<State>);

#[derive(Debug, Default)]
struct State {
    stage: AtomicU8,
    reader: Mutex<Option<Waker>>,
}

impl Standing {
    /// The upgrade is done: the time for it no longer runs.
    pub(crate) fn note_websocket(&self) {
        self.0.stage.fetch_max(WEBSOCKET, Ordering::AcqRel);
    }

    /// The device proved itself: what it sends is read on.
    pub(crate) fn note_proven(&self) {
        self.0.stage.store(PROVEN, Ordering::Release);
        let reader = self.0.reader.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    pub(crate) fn is_websocket(&self) -> bool {
        self.0.stage.load(Ordering::Acquire) >= WEBSOCKET
    }

    pub(crate) fn is_proven(&self) -> bool {
        self.0.stage.load(Ordering::Acquire) == PROVEN
    }

    /// Wakes the reader once the device proved itself. To be asked again afterwards: it may have happened meanwhile.
    pub(crate) fn wake_when_proven(&self, reader: &Waker) {
        *self.0.reader.lock().unwrap_or_else(PoisonError::into_inner) = Some(reader.clone());
    }
}

/// Connections by address.
type Counts = Arc<Mutex<BTreeMap<IpAddr, usize>>>;

/// Counts connections.
#[derive(Debug, Clone)]
pub(crate) struct Admissions {
    places: Arc<Semaphore>,
    by_address: Counts,
    max_per_address: Option<usize>,
}

/// One connection's place; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    _place: OwnedSemaphorePermit,
    address: Option<(IpAddr, Counts)>,
}

impl Admissions {
    pub(crate) fn new(limits: &Limits) -> Self {
        let places = limits.max_connections.min(Semaphore::MAX_PERMITS);
        Self {
            places: Arc::new(Semaphore::new(places)),
            by_address: Arc::default(),
            max_per_address: limits.max_per_address,
        }
    }

    /// Gives a connection a place, if there is one.
    pub(crate) fn admit(&self, from: IpAddr) -> Option<Place> {
        let place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        let Some(max) = self.max_per_address else { return Some(Place { _place: place, address: None }) };
        let network = network_of(from);
        let mut counts = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(network).or_default();
        if *count >= max {
            return None;
        }
        *count += 1;
        Some(Place { _place: place, address: Some((network, Arc::clone(&self.by_address))) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some((network, counts)) = &self.address else { return };
        let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
        let emptied = counts.get_mut(network).is_some_and(|count| {
            *count = count.saturating_sub(1);
            *count == 0
        });
        if emptied {
            counts.remove(network);
        }
    }
}

/// What counts as one address: whoever has one IPv6 address has its 64-bit network.
fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admissions(max_connections: usize, max_per_address: Option<usize>) -> Admissions {
        Admissions::new(&Limits { max_connections, max_per_address, ..Limits::default() })
    }

    #[test]
    fn a_place_is_given_back_when_the_connection_ends() {
        let admissions = admissions(2, None);
        let address = IpAddr::from([127, 0, 0, 1]);
        let first = admissions.admit(address).unwrap();
        let _second = admissions.admit(address).unwrap();
        assert!(admissions.admit(address).is_none());
        drop(first);
        assert!(admissions.admit(address).is_some());
    }

    #[test]
    fn an_ipv6_network_counts_as_one_address_and_leaves_room_for_others() {
        let admissions = admissions(9, Some(1));
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let first = admissions.admit(ip("2001:db8:1:1::1")).unwrap();
        assert!(admissions.admit(ip("2001:db8:1:1:ffff::2")).is_none());
        let _other = admissions.admit(ip("2001:db8:1:2::1")).unwrap();
        let _v4 = admissions.admit(ip("192.0.2.1")).unwrap();
        assert!(admissions.admit(ip("::ffff:192.0.2.1")).is_none(), "the same machine, written otherwise");
        drop(first);
        assert!(admissions.admit(ip("2001:db8:1:1:ffff::2")).is_some());
    }
}
