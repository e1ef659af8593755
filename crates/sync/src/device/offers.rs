//! What a relay offers to have a removal name: fetched page by page where it is much, checked against what is held here,
//! signed next; and how often.

use std::{collections::BTreeMap, time::Duration};

use vereda_base::{Digest, Monotonic, limits};
use vereda_policy::{Frontier, FrontierTree, Op};
use vereda_protocol::{OfferedLeaf, Up};

use super::{
    cutting::is_removal,
    effect::{Event, IntentFailure},
    machine::{DeviceMachine, Halt},
    outbox::{IntentId, OutboxItem},
    store::DeviceStore,
    tables::{Evidence, OUTBOX, load, place_key, save},
};

/// Offers for one removal that are signed at once, one after another.
const MAX_ROUNDS: u32 = 6;
/// The least and the longest delay before the next one is signed.
const FIRST_DELAY: Duration = Duration::from_secs(60);
const LONGEST_DELAY: Duration = Duration::from_secs(3_600);

/// An offer of which pages are still to come.
#[derive(Debug)]
pub(super) struct Paging {
    place: u64,
    request: u64,
    frontier: Frontier,
    leaves: Vec<OfferedLeaf>,
    /// The key of the last of them.
    last: Option<Digest>,
}

/// How often the relay found that a removal names too little, since this program was started.
#[derive(Debug, Default)]
pub(super) struct Rounds(BTreeMap<IntentId, (u32, Option<Monotonic>)>);

impl Rounds {
    /// Counts one more. Gives when the removal may be signed again.
    fn count(&mut self, id: IntentId, now: Monotonic) -> Monotonic {
        let (rounds, _) = self.0.get(&id).copied().unwrap_or_default();
        let delay = rounds.checked_sub(MAX_ROUNDS - 1).map_or(Duration::ZERO, |beyond| {
            // After each delay what is held here, and then the offer to that, are signed at once.
            let delay = FIRST_DELAY.saturating_mul(1 << (beyond / 2).min(6)).min(LONGEST_DELAY);
            if beyond.is_multiple_of(2) { delay } else { Duration::ZERO }
        });
        let until = (!delay.is_zero()).then(|| now.saturating_add(delay));
        self.0.insert(id, (rounds.saturating_add(1), until));
        until.unwrap_or(now)
    }

    /// Tells until when a removal is to wait.
    fn until(&self, id: IntentId) -> Option<Monotonic> {
        self.0.get(&id).and_then(|(_, until)| *until)
    }

    pub(super) fn forget(&mut self, id: IntentId) {
        self.0.remove(&id);
    }

    /// Tells when the first of those that wait may be signed again.
    pub(super) fn next(&self) -> Option<Monotonic> {
        self.0.values().filter_map(|(_, until)| *until).min()
    }

    /// Ends the delays that are over.
    pub(super) fn release(&mut self, now: Monotonic) {
        for (_, until) in self.0.values_mut() {
            *until = until.filter(|until| *until > now);
        }
    }
}

impl DeviceMachine {
    /// Says whether a removal waits since the relay found again and again that it names too little: somebody whom it
    /// concerns goes on working, or the relay has this device sign without end. When it is tried again.
    pub fn waits_for_frontier(&self, id: IntentId) -> Option<Monotonic> {
        self.rounds.until(id).filter(|until| *until > self.now.monotonic)
    }

    /// Begins to fetch an offer that fits no frame.
    pub(super) fn begin_paging(
        &mut self,
        place: u64,
        request: u64,
        item: &OutboxItem,
        frontier: Frontier,
    ) -> Result<(), Halt> {
        let OutboxItem::Intent { body, signed: Some(_), .. } = item else {
            return Err(Halt::Violation);
        };
        if !is_removal(body) || frontier.count == 0 || frontier.count as usize > limits::MAX_FRONTIER_LEAVES {
            return Err(Halt::Violation);
        }
        if let Some(session) = self.session() {
            session.paging = Some(Paging { place, request, frontier, leaves: Vec::new(), last: None });
        }
        self.send(&Up::AskOffer { request, from: 0 }).map(|_| ())
    }

    /// Takes a page of an offer. They are in order of key, none comes twice, and all together are what was announced.
    pub(super) fn take_page(
        &mut self,
        request: u64,
        from: u64,
        leaves: Vec<OfferedLeaf>,
        store: &mut dyn DeviceStore,
    ) -> Result<(), Halt> {
        let Some(session) = self.session() else {
            return Ok(());
        };
        // Of a removal that was given up meanwhile, or of another.
        let Some(mut paging) = session.paging.take_if(|paging| paging.request == request) else {
            return Ok(());
        };
        let place = paging.place;
        let Some(item) = load::<OutboxItem>(&*store, OUTBOX, &place.to_be_bytes())? else {
            return Ok(());
        };
        if leaves.is_empty() {
            // The relay holds it no longer: it is asked anew.
            self.count_round(&item);
            let OutboxItem::Intent { id, chain, body, wraps, .. } = item else {
                return Err(Halt::Violation);
            };
            let unsigned = OutboxItem::Intent { id, chain, body, wraps, signed: None };
            return Ok(save(store, OUTBOX, chain.as_bytes(), &place.to_be_bytes(), &unsigned)?);
        }
        let whole = paging.frontier.count as usize;
        if from != paging.leaves.len() as u64 || paging.leaves.len() + leaves.len() > whole {
            return Err(Halt::Violation);
        }
        for leaf in leaves {
            let key = leaf.place.key();
            if paging.last.is_some_and(|last| last >= key) {
                return Err(Halt::Violation);
            }
            paging.last = Some(key);
            paging.leaves.push(leaf);
        }
        if paging.leaves.len() < whole {
            let from = paging.leaves.len() as u64;
            if let Some(session) = self.session() {
                session.paging = Some(paging);
            }
            return self.send(&Up::AskOffer { request, from }).map(|_| ());
        }
        if FrontierTree::new(paging.leaves.iter().map(OfferedLeaf::leaf)).frontier() != paging.frontier {
            return Err(Halt::Violation);
        }
        self.take_offer(place, item, paging.leaves, store)
    }

    /// Takes what a relay would have a removal name: it is signed next, unless it cuts off what is held here.
    pub(super) fn take_offer(
        &mut self,
        place: u64,
        item: OutboxItem,
        offer: Vec<OfferedLeaf>,
        store: &mut dyn DeviceStore,
    ) -> Result<(), Halt> {
        self.count_round(&item);
        let OutboxItem::Intent { id, chain, body, wraps, signed: Some(op) } = item else {
            return Err(Halt::Violation);
        };
        if !is_removal(&body) || offer.len() > limits::MAX_FRONTIER_LEAVES {
            return Err(Halt::Violation);
        }
        let lacking = self.cuts_off(&chain, &body, &offer, store)?;
        if let Some(offer) = lacking {
            self.remove(place, store)?;
            let key =
                place_key(&chain, vereda_base::decode::<Op>(op.bytes(), limits::MAX_OP_BYTES).map_or(0, |op| op.seq));
            self.keep_evidence(&chain, &key, &Evidence::Offer { op, offer }, store)?;
            self.tell(Event::IntentFailed { id, reason: IntentFailure::CutsOff });
            return Ok(());
        }
        if let Some(session) = self.session() {
            session.offers.insert(place, offer);
        }
        let unsigned = OutboxItem::Intent { id, chain, body, wraps, signed: None };
        Ok(save(store, OUTBOX, chain.as_bytes(), &place.to_be_bytes(), &unsigned)?)
    }

    fn count_round(&mut self, item: &OutboxItem) {
        if let OutboxItem::Intent { id, .. } = item {
            let now = self.now.monotonic;
            let until = self.rounds.count(*id, now);
            if until > now {
                self.tell(Event::IntentWaits { id: *id, until });
            }
        }
    }

    /// Says whether an intent waits for pages of an offer, or for its turn after too many of them. What was offered before
    /// such a delay is not what there is after it.
    pub(super) fn awaits_offer(&mut self, place: u64, id: IntentId) -> bool {
        let waits = self.waits_for_frontier(id).is_some();
        let Some(session) = self.session() else {
            return true;
        };
        if waits {
            session.offers.remove(&place);
        }
        waits || session.paging.as_ref().is_some_and(|paging| paging.place == place)
    }
}
