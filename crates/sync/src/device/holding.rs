//! What was here before a removal that does not name it: an honest relay lets a removal name all that it has committed, so
//! this proves that it lied, when it handed the work over or when it gave the removal its receipt.
//!
//! It may have withheld the removal, together with whoever was removed, and have handed over what he made since; or it let a
//! removal cut off what there was. By the removal's receipt the two differ: what was here earlier than that says goes on
//! standing here, all else that it does not name stands no more, and is kept.

use vereda_base::ChainId;
use vereda_policy::{Chains, Reliance};
use vereda_protocol::Logged;

use super::{
    config::{Amount, Bound},
    effect::Event,
    frontiers::Made,
    machine::DeviceMachine,
    store::{DeviceStore, StoreError},
    tables::{EVIDENCE, Evidence, Held, OPS, OpRow, load, place_key},
    tally::Kept,
};

/// No bound: of rows that only what was stored before, and stood, gives rise to.
pub(super) const UNBOUNDED: Bound = Bound { group: None, whole: Amount { rows: u64::MAX, bytes: u64::MAX } };

/// How something that a removal does not name lies to it in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// It was here before the removal had its receipt.
    Before,
    /// It was here before the removal was; by its receipt that is older.
    BeforeArrival,
    /// It was not here before, as far as is known.
    After,
}

impl DeviceMachine {
    /// Counts something that the relay hands over or confirms, and tells when that is.
    pub(super) fn note_handed(&mut self, store: &dyn DeviceStore) -> Result<Held, StoreError> {
        let now = self.now;
        // A clock that runs behind must not make what comes now seem older than a removal.
        let told = self.relay_time(now.monotonic);
        let at = told.map_or(now.wall, |told| told.max(now.wall));
        let handed = &mut self.cache(store)?.meta.handed;
        let after = handed.unwrap_or_default();
        *handed = Some(after.saturating_add(1));
        Ok(Held { at, after })
    }

    /// Finds how something that a removal does not name lies to it in time.
    pub(super) fn order_of(
        &self,
        view: &dyn Chains,
        store: &dyn DeviceStore,
        reliance: &Reliance,
        made: &Made,
    ) -> Result<Order, StoreError> {
        let Some(held) = made.held else { return Ok(Order::After) };
        let state = view.chain(&reliance.chain);
        let received = state.and_then(|state| state.op(reliance.seq).and_then(|record| record.time));
        if received.is_some_and(|received| held.at < received) {
            return Ok(Order::Before);
        }
        // Of its own work this device may be told that it was taken in before it is handed what ended its rights.
        let row = load::<OpRow>(store, OPS, &place_key(&reliance.chain, reliance.seq))?;
        let came = row.and_then(|row| row.held).filter(|_| made.place.device() != self.device);
        Ok(if came.is_some_and(|came| held.after < came.after) { Order::BeforeArrival } else { Order::After })
    }

    /// Notes that the relay let a removal not name what it had handed over before.
    pub(super) fn note_severed(
        &mut self,
        removal: &Reliance,
        what: Logged,
        store: &mut dyn DeviceStore,
    ) -> Result<(), StoreError> {
        let (chain, nowhere) = (removal.chain, ChainId([0; 32]));
        let place = place_key(&chain, removal.seq);
        // Beside what may speak against the operation itself.
        let key = [place.as_slice(), b"severed"].concat();
        if store.get(EVIDENCE, &key)?.is_some() {
            return Ok(());
        }
        let Some(row) = load::<OpRow>(&*store, OPS, &place)? else { return Ok(()) };
        let value = vereda_base::encode(&Evidence::Severed { row, what });
        let kept = Kept { table: EVIDENCE, group: nowhere.as_bytes(), key: &key, value: &value };
        self.keep_within(&kept, UNBOUNDED, store)?;
        self.tell(Event::RelaySevers { chain });
        Ok(())
    }
}
