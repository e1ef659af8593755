//! What a relay offers to have a removal name: fetched page by page where it is much, checked against what is held here,
//! signed next; and how often.

use std::{collections::BTreeMap, time::Duration};

use vereda_base::{ChainId, Digest, Monotonic, limits};
use vereda_crypto::Signed;
use vereda_policy::{Frontier, FrontierTree, Op};
use vereda_protocol::{OfferedLeaf, Up};

use super::{
    cutting::{Offered, is_removal},
    effect::{Event, IntentFailure},
    machine::{DeviceMachine, Halt},
    outbox::{IntentId, OutboxItem},
    store::{DeviceStore, StoreError},
    tables::{Evidence, GAPS, OUTBOX, load, place_key, save},
};

/// Offers for one removal that are signed at once, one after another.
const MAX_ROUNDS: u32 = 6;
/// Offers one after another that name what does not come, with minutes between the last of them: after so many the relay
/// does not lag.
const MAX_UNMET: u32 = 12;
/// The least and the longest delay before the next one is signed.
const FIRST_DELAY: Duration = Duration::from_secs(60);
const LONGEST_DELAY: Duration = Duration::from_secs(3_600);
/// How long a chain is awaited that an invite leads to: the link may be here before the relay's news.
const INVITED_TO: Duration = Duration::from_secs(60);

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
pub(super) struct Rounds {
    offers: BTreeMap<IntentId, (u32, Option<Monotonic>)>,
    /// What an offer named that had not come, and how many offers since named such.
    claims: BTreeMap<IntentId, (OfferedLeaf, u32)>,
    /// Until when the chain is awaited that an invite leads to; `None` once that is over.
    invited: BTreeMap<IntentId, Option<Monotonic>>,
}

impl Rounds {
    /// Says whether the chain that an invite leads to may still come.
    pub(super) fn may_come(&mut self, id: IntentId, now: Monotonic) -> bool {
        let until = self.invited.entry(id).or_insert_with(|| Some(now.saturating_add(INVITED_TO)));
        until.is_some_and(|until| until > now)
    }

    /// Counts one more. Gives when the removal may be signed again.
    fn count(&mut self, id: IntentId, now: Monotonic) -> Monotonic {
        let (rounds, _) = self.offers.get(&id).copied().unwrap_or_default();
        let delay = rounds.checked_sub(MAX_ROUNDS - 1).map_or(Duration::ZERO, |beyond| {
            // After each delay what is held here, and then the offer to that, are signed at once.
            let delay = FIRST_DELAY.saturating_mul(1 << (beyond / 2).min(6)).min(LONGEST_DELAY);
            if beyond.is_multiple_of(2) { delay } else { Duration::ZERO }
        });
        let until = (!delay.is_zero()).then(|| now.saturating_add(delay));
        self.offers.insert(id, (rounds.saturating_add(1), until));
        until.unwrap_or(now)
    }

    /// Tells until when a removal is to wait.
    fn until(&self, id: IntentId) -> Option<Monotonic> {
        self.offers.get(&id).and_then(|(_, until)| *until)
    }

    pub(super) fn forget(&mut self, id: IntentId) {
        self.offers.remove(&id);
        self.claims.remove(&id);
        self.invited.remove(&id);
    }

    fn claim(&self, id: IntentId) -> Option<(OfferedLeaf, u32)> {
        self.claims.get(&id).copied()
    }

    fn note_claim(&mut self, id: IntentId, first: OfferedLeaf, count: u32) {
        self.claims.insert(id, (first, count));
    }

    fn forget_claim(&mut self, id: IntentId) {
        self.claims.remove(&id);
    }

    /// Tells when the first of those that wait is due.
    pub(super) fn next(&self) -> Option<Monotonic> {
        self.offers.values().map(|(_, until)| until).chain(self.invited.values()).filter_map(|until| *until).min()
    }

    /// Ends the delays that are over.
    pub(super) fn release(&mut self, now: Monotonic) {
        let offers = self.offers.values_mut().map(|(_, until)| until);
        for until in offers.chain(self.invited.values_mut()) {
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

    /// Takes what a relay would have a removal name: it is signed next, unless it cuts off what is held here, or names what
    /// was not handed over.
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
        let unsigned = || OutboxItem::Intent { id, chain, body: body.clone(), wraps: wraps.clone(), signed: None };
        match self.judge_offer(&chain, &body, &offer, store)? {
            Offered::Fits => self.rounds.forget_claim(id),
            Offered::CutsOff(offer) => {
                self.remove(place, store)?;
                self.keep_evidence(&chain, &offer_key(&chain, &op), &Evidence::Offer { op, offer }, store)?;
                self.tell(Event::IntentFailed { id, reason: IntentFailure::CutsOff });
                return Ok(());
            }
            Offered::Beyond(claim) => {
                // Not signed: what it names comes first, or has never been.
                if self.is_unmet(id, claim, store)? {
                    let evidence = Evidence::Claim { op: op.clone(), claim };
                    self.keep_evidence(&chain, &offer_key(&chain, &op), &evidence, store)?;
                }
                return Ok(save(store, OUTBOX, chain.as_bytes(), &place.to_be_bytes(), &unsigned())?);
            }
        }
        if let Some(session) = self.session() {
            session.offers.insert(place, offer);
        }
        Ok(save(store, OUTBOX, chain.as_bytes(), &place.to_be_bytes(), &unsigned())?)
    }

    /// Counts how often offers one after another named what does not come. Says whether that is more often than a relay
    /// needs to hand it over.
    fn is_unmet(&mut self, id: IntentId, claim: OfferedLeaf, store: &dyn DeviceStore) -> Result<bool, StoreError> {
        let known = self.rounds.claim(id);
        let (first, count) = match known {
            Some((first, count)) if !self.holds(&first, store)? => (first, count.saturating_add(1)),
            _ => (claim, 1),
        };
        self.rounds.note_claim(id, first, count);
        let document = first.place.chain();
        let is_fetched = self.cache(store)?.backfills.iter().any(|row| row.document == document)
            || store.get(GAPS, document.as_bytes())?.is_some();
        Ok(count >= MAX_UNMET && !is_fetched)
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

/// Where the evidence of an offer lies.
fn offer_key(chain: &ChainId, op: &Signed<Op>) -> Vec<u8> {
    place_key(chain, vereda_base::decode::<Op>(op.bytes(), limits::MAX_OP_BYTES).map_or(0, |op| op.seq)).to_vec()
}
