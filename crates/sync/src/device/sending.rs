//! The outbox at work: what is sent when, and what the answers do.

use vereda_base::{ChainId, Link, OpId, limits};
use vereda_crypto::Signed;
use vereda_policy::{
    AppendContext, Body, Chains, Draft, DraftError, Op, OpRefusal, Receipt, authorize, op_id_of_bytes,
};
use vereda_protocol::{Chunk, OpOutcome, RefusalCode, Up};

use super::{
    content::load_chunk,
    effect::{Event, IntentFailure},
    machine::{DeviceMachine, Halt},
    outbox::{IntentId, OutboxItem},
    session::{Phase, Session},
    store::{DeviceStore, StoreError},
    tables::{LINKS, LinkRow, OUTBOX, REFUSED, RefusedRow, load, save},
};

/// An item of the outbox, as much of it as is kept in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Queued {
    Op { chain: ChainId, op: OpId },
    Intent { chain: ChainId, id: IntentId },
    Chunk { link: Link },
}

impl Queued {
    /// Reads an item's place and kind.
    pub(super) fn of(key: &[u8], item: &OutboxItem) -> Option<(u64, Self)> {
        let place = u64::from_be_bytes(key.try_into().ok()?);
        let queued = match item {
            OutboxItem::Op { op, .. } => {
                let id = op_id_of_bytes(op.bytes());
                // Only a `Create` is signed offline: its id is its chain's.
                Self::Op { chain: ChainId(id.0), op: id }
            }
            OutboxItem::Intent { id, chain, .. } => Self::Intent { chain: *chain, id: *id },
            OutboxItem::Chunk { link } => Self::Chunk { link: *link },
        };
        Some((place, queued))
    }
}

/// An item that was sent in this session and not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct InFlight {
    bytes: u64,
    /// Names the answer, for operations.
    request: Option<u64>,
}

/// What signing an intent came to.
enum Signing {
    Ready(Box<Signed<Op>>),
    /// Something must arrive first.
    NotYet,
    /// It stands in the chain already.
    Done(OpId),
    Failed(IntentFailure),
}

impl DeviceMachine {
    /// Sends as much of the outbox as the window takes: first what is signed already, in order, then intents, one after
    /// another. So whatever this device sends was signed in the order of sending, and its cites never regress.
    pub(super) fn pump(&mut self, store: &mut dyn DeviceStore) -> Result<(), Halt> {
        if self.pump_signed(store)? {
            self.pump_intents(store)?;
        }
        Ok(())
    }

    /// Sends operations and chunks; tells whether none is left over.
    fn pump_signed(&mut self, store: &mut dyn DeviceStore) -> Result<bool, Halt> {
        let mut from = 0;
        while self.has_room() {
            let is_signed = |(_, queued): &(&u64, &Queued)| !matches!(queued, Queued::Intent { .. });
            let next = self.cache(store)?.queue.range(from..).find(is_signed).map(|(place, queued)| (*place, *queued));
            let Some((place, queued)) = next else {
                return Ok(true);
            };
            from = place.saturating_add(1);
            if !self.is_in_flight(place) {
                self.send_item(place, queued, store)?;
            }
        }
        Ok(false)
    }

    /// Signs and sends intents until one has to be waited for: what follows it may build on it.
    fn pump_intents(&mut self, store: &mut dyn DeviceStore) -> Result<(), Halt> {
        let mut from = 0;
        while self.has_room() {
            let is_intent = |(_, queued): &(&u64, &Queued)| matches!(queued, Queued::Intent { .. });
            let next = self.cache(store)?.queue.range(from..).find(is_intent).map(|(place, queued)| (*place, *queued));
            let Some((place, queued)) = next else {
                return Ok(());
            };
            from = place.saturating_add(1);
            if self.is_in_flight(place) || !self.send_item(place, queued, store)? {
                return Ok(());
            }
        }
        Ok(())
    }

    fn has_room(&self) -> bool {
        let window = self.config.limits.window_bytes;
        let room =
            |session: &Session| session.in_flight_bytes < window && session.allowed >= limits::MAX_FRAME_BYTES as u64;
        matches!(&self.phase, Phase::Session(session) if room(session))
    }

    fn is_in_flight(&self, place: u64) -> bool {
        matches!(&self.phase, Phase::Session(session) if session.in_flight.contains_key(&place))
    }

    /// Works off the answer to an operation.
    pub(super) fn take_op_result(
        &mut self,
        request: u64,
        outcome: OpOutcome,
        store: &mut dyn DeviceStore,
    ) -> Result<(), Halt> {
        let Some(session) = self.session() else {
            return Ok(());
        };
        let found = session.in_flight.iter().find(|(_, flight)| flight.request == Some(request));
        // Answered already: the operation came back in the policy lane first.
        let Some(place) = found.map(|(place, _)| *place) else {
            return Ok(());
        };
        self.landed(place);
        let Some(item) = load::<OutboxItem>(store, OUTBOX, &place.to_be_bytes())? else {
            return Ok(());
        };
        match (item, outcome) {
            (OutboxItem::Op { op, .. } | OutboxItem::Intent { signed: Some(op), .. }, OpOutcome::Appended(receipt)) => {
                self.take_appended(place, op, receipt, store)?;
            }
            (OutboxItem::Intent { id, chain, body, wraps, .. }, OpOutcome::HeadMoved(head)) => {
                // Signed anew once the chain's news are here; until then the same bytes would fail again.
                if let Some(session) = self.session() {
                    session.moved.insert(chain, head);
                    session.offers.remove(&place);
                }
                let unsigned = OutboxItem::Intent { id, chain, body, wraps, signed: None };
                save(store, OUTBOX, chain.as_bytes(), &place.to_be_bytes(), &unsigned)?;
            }
            (
                OutboxItem::Intent { id, chain, body, wraps, signed: Some(op) },
                OpOutcome::Refused(RefusalCode::CiteRegressed),
            ) if self.has_newer_cites(&chain, &op, store)? => {
                // Signed in an earlier session; chunks made since then relied on newer policy.
                let unsigned = OutboxItem::Intent { id, chain, body, wraps, signed: None };
                save(store, OUTBOX, chain.as_bytes(), &place.to_be_bytes(), &unsigned)?;
            }
            (OutboxItem::Intent { id, .. }, OpOutcome::Refused(code)) => {
                self.remove(place, store)?;
                let reason = match code {
                    RefusalCode::Outdated => IntentFailure::Outdated,
                    code => IntentFailure::Refused(code),
                };
                self.tell(Event::IntentFailed { id, reason });
            }
            (item @ OutboxItem::Intent { .. }, OpOutcome::FrontierMoved(offer)) => {
                self.take_offer(place, item, offer, store)?;
            }
            (item @ OutboxItem::Intent { .. }, OpOutcome::FrontierPaged(frontier)) => {
                self.begin_paging(place, request, &item, frontier)?;
            }
            (item @ OutboxItem::Op { .. }, OpOutcome::InReview) => self.keep_op_in_review(place, &item, store)?,
            (OutboxItem::Op { op, .. }, OpOutcome::HeadMoved(_)) => {
                self.refuse_op(place, &op, RefusalCode::NotContiguous, store)?;
            }
            (OutboxItem::Op { op, .. }, OpOutcome::Refused(code)) => self.refuse_op(place, &op, code, store)?,
            _ => return Err(Halt::Violation),
        }
        self.pump(store)
    }

    /// Takes an operation that stands in its chain out of the outbox, however that became known.
    pub(super) fn take_standing(&mut self, id: OpId, store: &mut dyn DeviceStore) -> Result<(), Halt> {
        let found = self.cache(store)?.queue.iter().find_map(|(place, queued)| match queued {
            Queued::Op { op, .. } if *op == id => Some((*place, None)),
            _ => None,
        });
        let found = match found {
            None => self.find_intent(&id, store)?,
            found => found,
        };
        let Some((place, intent)) = found else {
            return Ok(());
        };
        self.landed(place);
        self.remove(place, store)?;
        match intent {
            Some(id_of_intent) => self.tell(Event::IntentDone { id: id_of_intent, op: id }),
            None => {
                // Perhaps it was in review.
                store.delete(REFUSED, &id.0)?;
                self.tell(Event::OpDone { op: id });
            }
        }
        Ok(())
    }

    /// Says whether the operation would cite other heads if it were signed now.
    fn has_newer_cites(&self, chain: &ChainId, op: &Signed<Op>, store: &dyn DeviceStore) -> Result<bool, StoreError> {
        let view = self.shelf.view(store);
        let Ok(old) = vereda_base::decode::<Op>(op.bytes(), limits::MAX_OP_BYTES) else {
            return Ok(false);
        };
        let groups = self.known_groups(store)?;
        let again = Draft::new(&view, self.device, None).with_groups(&groups).append(chain, old.body);
        let newer = again.is_ok_and(|again| again.cites != old.cites);
        view.finish()?;
        Ok(newer)
    }

    fn find_intent(&mut self, id: &OpId, store: &dyn DeviceStore) -> Result<Option<(u64, Option<IntentId>)>, Halt> {
        let intents: Vec<(u64, IntentId)> = self
            .cache(store)?
            .queue
            .iter()
            .filter_map(|(place, queued)| match queued {
                Queued::Intent { id, .. } => Some((*place, *id)),
                _ => None,
            })
            .collect();
        for (place, intent) in intents {
            if let Some(OutboxItem::Intent { signed: Some(op), .. }) = load(store, OUTBOX, &place.to_be_bytes())?
                && op_id_of_bytes(op.bytes()) == *id
            {
                return Ok(Some((place, Some(intent))));
            }
        }
        Ok(None)
    }

    fn take_appended(
        &mut self,
        place: u64,
        op: Signed<Op>,
        receipt: Signed<Receipt>,
        store: &mut dyn DeviceStore,
    ) -> Result<(), Halt> {
        let id = op_id_of_bytes(op.bytes());
        self.take_op(op, receipt, store)?;
        // It stands at the end of the relay's log.
        let meta = &mut self.cache(&*store)?.meta;
        meta.last_policy = meta.last;
        self.take_standing(id, store)?;
        // Also where policy here does not see it yet: the relay holds it.
        if self.cache(store)?.queue.contains_key(&place) {
            self.remove(place, store)?;
        }
        self.work_woken(store)
    }

    /// Sends one item; tells whether what follows may go on.
    fn send_item(&mut self, place: u64, queued: Queued, store: &mut dyn DeviceStore) -> Result<bool, Halt> {
        match queued {
            Queued::Chunk { link } => {
                let row = load::<LinkRow>(store, LINKS, link.as_bytes())?;
                if let Some(row) = &row
                    && self.cache(store)?.held.contains_key(&row.document)
                {
                    return Ok(true);
                }
                let chunk = match row {
                    Some(row) => load_chunk(store, &row.document, row.position)?,
                    None => None,
                };
                match chunk {
                    Some(chunk) => self.send_chunk(place, chunk)?,
                    None => self.remove(place, store)?,
                }
                Ok(true)
            }
            Queued::Op { .. } => {
                if let Some(OutboxItem::Op { op, wraps }) = load(store, OUTBOX, &place.to_be_bytes())? {
                    self.send_op(place, op, wraps)?;
                }
                Ok(true)
            }
            Queued::Intent { id, chain } => {
                if !self.session().is_some_and(|session| session.caught_up) {
                    return Ok(false);
                }
                let item = load::<OutboxItem>(store, OUTBOX, &place.to_be_bytes())?;
                let Some(OutboxItem::Intent { body, wraps, signed, .. }) = item else {
                    return Ok(true);
                };
                if self.awaits_offer(place, id) {
                    return Ok(false);
                }
                match self.sign_intent(place, &chain, &body, signed, store)? {
                    Signing::NotYet => Ok(false),
                    Signing::Done(op) => {
                        self.remove(place, store)?;
                        self.tell(Event::IntentDone { id, op });
                        Ok(true)
                    }
                    Signing::Failed(IntentFailure::UnknownChain)
                        if matches!(body, Body::Accept(_)) && self.rounds.may_come(id, self.now.monotonic) =>
                    {
                        Ok(false)
                    }
                    Signing::Failed(reason) => {
                        self.remove(place, store)?;
                        self.tell(Event::IntentFailed { id, reason });
                        Ok(true)
                    }
                    Signing::Ready(op) => {
                        let signed = Some((*op).clone());
                        let item = OutboxItem::Intent { id, chain, body, wraps: wraps.clone(), signed };
                        save(store, OUTBOX, chain.as_bytes(), &place.to_be_bytes(), &item)?;
                        self.send_op(place, *op, wraps)?;
                        Ok(false)
                    }
                }
            }
        }
    }

    /// Signs an intent for the chain's head as it is now, unless what was signed still follows it.
    fn sign_intent(
        &self,
        place: u64,
        chain: &ChainId,
        body: &Body,
        signed: Option<Signed<Op>>,
        store: &dyn DeviceStore,
    ) -> Result<Signing, Halt> {
        let Phase::Session(session) = &self.phase else {
            return Ok(Signing::NotYet);
        };
        let view = self.shelf.view(store);
        let Some(state) = view.chain(chain) else {
            view.finish()?;
            return Ok(Signing::Failed(IntentFailure::UnknownChain));
        };
        if session.moved.get(chain).is_some_and(|head| state.seq_of(head).is_none()) {
            return Ok(Signing::NotYet);
        }
        if let Some(op) = signed {
            let id = op_id_of_bytes(op.bytes());
            if state.seq_of(&id).is_some() {
                return Ok(Signing::Done(id));
            }
            let follows = vereda_base::decode::<Op>(op.bytes(), limits::MAX_OP_BYTES)
                .is_ok_and(|op| op.prev == Some(state.head()));
            if follows {
                return Ok(Signing::Ready(Box::new(op)));
            }
        }
        let time = session.relay_time(self.now.monotonic).unwrap_or(self.now.wall);
        let groups = self.known_groups(store)?;
        let offer = session.offers.get(&place).map(Vec::as_slice);
        let body = self.with_frontier(chain, body, offer, store)?;
        let draft = Draft::new(&view, self.device, None).with_groups(&groups);
        let drafted = draft.sign_append(&self.config.key, chain, body);
        let signing = match drafted {
            Err(DraftError::UnknownChain { .. }) => Signing::Failed(IntentFailure::UnknownChain),
            Err(_) => Signing::Failed(IntentFailure::NotAllowed),
            Ok(op) => {
                match authorize(&view, &op, &AppendContext::relay(vereda_policy::receipt_time(Some(&state), time))) {
                    Ok(op) => Signing::Ready(Box::new(op.signed().clone())),
                    Err(OpRefusal::Waiting { .. }) => Signing::NotYet,
                    // The link may be here before the relay's news, and a bad one is for the relay to refuse.
                    Err(OpRefusal::NoInvite { .. }) => Signing::Ready(Box::new(op.signed().clone())),
                    Err(
                        OpRefusal::Targets { .. }
                        | OpRefusal::Follows { .. }
                        | OpRefusal::NotStale { .. }
                        | OpRefusal::NotPassedOver { .. },
                    ) => Signing::Failed(IntentFailure::Outdated),
                    Err(_) => Signing::Failed(IntentFailure::NotAllowed),
                }
            }
        };
        view.finish()?;
        Ok(signing)
    }

    fn send_chunk(&mut self, place: u64, chunk: Chunk) -> Result<(), Halt> {
        let bytes = self.send(&Up::PutChunk(chunk))?;
        self.fly(place, bytes, None);
        Ok(())
    }

    fn send_op(&mut self, place: u64, op: Signed<Op>, wraps: Vec<vereda_policy::Wrap>) -> Result<(), Halt> {
        let Some(session) = self.session() else {
            return Ok(());
        };
        let request = session.next_request;
        session.next_request += 1;
        let bytes = self.send(&Up::PutOp { request, op, wraps })?;
        self.fly(place, bytes, Some(request));
        Ok(())
    }

    fn fly(&mut self, place: u64, bytes: u64, request: Option<u64>) {
        if let Some(session) = self.session() {
            session.in_flight.insert(place, InFlight { bytes, request });
            session.in_flight_bytes = session.in_flight_bytes.saturating_add(bytes);
        }
    }

    pub(super) fn landed(&mut self, place: u64) {
        if let Some(session) = self.session()
            && let Some(flight) = session.in_flight.remove(&place)
        {
            session.in_flight_bytes = session.in_flight_bytes.saturating_sub(flight.bytes);
        }
    }

    pub(super) fn remove(&mut self, place: u64, store: &mut dyn DeviceStore) -> Result<(), StoreError> {
        self.landed(place);
        if let Some(session) = self.session() {
            session.offers.remove(&place);
        }
        if let Some(Queued::Intent { id, .. }) = self.cache(store)?.queue.remove(&place) {
            self.rounds.forget(id);
        }
        store.delete(OUTBOX, &place.to_be_bytes())
    }

    pub(super) fn remove_chunk(&mut self, link: Link, store: &mut dyn DeviceStore) -> Result<(), StoreError> {
        match self.find_queued(&link, store)? {
            Some(place) => self.remove(place, store),
            None => Ok(()),
        }
    }

    /// Finds a chunk's place in the outbox.
    pub(super) fn find_queued(&mut self, link: &Link, store: &dyn DeviceStore) -> Result<Option<u64>, StoreError> {
        let queue = &self.cache(store)?.queue;
        let of_link = |queued: &Queued| *queued == Queued::Chunk { link: *link };
        Ok(queue.iter().find(|(_, queued)| of_link(queued)).map(|(place, _)| *place))
    }

    fn refuse_op(
        &mut self,
        place: u64,
        op: &Signed<Op>,
        code: RefusalCode,
        store: &mut dyn DeviceStore,
    ) -> Result<(), Halt> {
        let id = op_id_of_bytes(op.bytes());
        self.remove(place, store)?;
        let refused = RefusedRow { code: Some(code), is_op: true };
        save(store, REFUSED, &id.0, &id.0, &refused)?;
        self.tell(Event::OpRefused { op: id, code });
        Ok(())
    }
}
