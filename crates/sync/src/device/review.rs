//! The review lane: what others made after their rights had ended, for those who decide on it; and what became of this
//! device's own.

use std::collections::BTreeSet;

use minicbor::{Decode, Encode};
use vereda_base::{ChainId, Link, OpId, Timestamp, limits};
use vereda_crypto::Signed;
use vereda_policy::{
    Body, ChainState, Chains, Decision, Op, Wrap, WrapProof, chain_of, find_adoption, verify_op, verify_wrap,
};
use vereda_protocol::{Chunk, Header, RefusalCode, Up};

use super::{
    content::{is_well_formed, matches_ciphertext},
    effect::Event,
    machine::{DeviceMachine, Halt},
    outbox::OutboxItem,
    owners::is_document_decided,
    sending::Queued,
    store::{DeviceStore, StoreError},
    tables::{
        Cause, EXCLUDED, ExcludedRow, LINKS, LinkRow, OPS, OUTBOX, OpRow, REFUSED, REVIEW_DOCUMENTS, REVIEWED_OPS,
        REVIEWS, RefusedRow, UNKEPT_REVIEWS, load, load_all, place_key, read, save,
    },
    tally::{Kept, Room},
};

/// A chunk of somebody whose rights had ended: it awaits a decision of this device's user, or of others who may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Review {
    /// Its document.
    pub document: ChainId,
    /// The chunk's link.
    pub link: Link,
    /// When the relay received it.
    pub received: Timestamp,
    /// The chunk. Its signature was verified.
    pub chunk: Chunk,
}

/// A document that was begun by somebody whose rights had ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReviewDocument {
    /// Its `Create`. The signature was verified.
    pub create: Signed<Op>,
    /// Of its wraps those for groups that this device belongs to; they stand in the list.
    pub wraps: Vec<Wrap>,
    /// When the relay received it.
    pub received: Timestamp,
    /// Its chunks in review, sorted as [`DeviceMachine::reviews`] does.
    pub chunks: Vec<Review>,
}

#[derive(Debug, Encode, Decode)]
#[cbor(array)]
struct ReviewRow {
    #[n(0)]
    received: Timestamp,
    #[cbor(n(1), with = "minicbor::bytes")]
    chunk: Vec<u8>,
}

#[derive(Debug, Encode, Decode)]
#[cbor(array)]
struct ReviewDocumentRow {
    #[n(0)]
    received: Timestamp,
    #[n(1)]
    create: Signed<Op>,
    #[n(2)]
    wraps: Vec<Wrap>,
}

impl DeviceMachine {
    /// Lists the chunks that await a decision: by document, and within it each after what it builds on of its author's,
    /// the oldest first.
    ///
    /// # Errors
    /// [`StoreError`] by cause.
    pub fn reviews(&self, store: &dyn DeviceStore) -> Result<Vec<Review>, StoreError> {
        let mut reviews = Vec::new();
        for (key, row) in load_all::<ReviewRow>(store, REVIEWS, None)? {
            let chunk: Chunk = read(REVIEWS, &row.chunk)?;
            let header: Header = read(REVIEWS, chunk.header.bytes())?;
            let link = Link(key.try_into().unwrap_or([0; 32]));
            let order = (header.document, row.received, header.device, header.incarnation, header.seq, link);
            reviews.push((order, Review { document: header.document, link, received: row.received, chunk }));
        }
        reviews.sort_by_key(|(order, _)| *order);
        Ok(reviews.into_iter().map(|(_, review)| review).collect())
    }

    /// Lists the documents that await a decision, the oldest first.
    ///
    /// # Errors
    /// [`StoreError`] by cause.
    pub fn review_documents(&self, store: &dyn DeviceStore) -> Result<Vec<ReviewDocument>, StoreError> {
        let reviews = self.reviews(store)?;
        let mut documents = Vec::new();
        for (key, row) in load_all::<ReviewDocumentRow>(store, REVIEW_DOCUMENTS, None)? {
            let of_this = |review: &&Review| review.document.as_bytes().as_slice() == key.as_slice();
            let chunks = reviews.iter().filter(of_this).cloned().collect();
            let ReviewDocumentRow { received, create, wraps } = row;
            documents.push((received, key, ReviewDocument { create, wraps, received, chunks }));
        }
        documents.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        Ok(documents.into_iter().map(|(_, _, document)| document).collect())
    }

    /// Lists this device's own chunks that await a Manager's decision at the relay, each with its document.
    ///
    /// # Errors
    /// [`StoreError`] by cause.
    pub fn own_in_review(&self, store: &dyn DeviceStore) -> Result<Vec<(ChainId, Link)>, StoreError> {
        let mut own = Vec::new();
        for link in links_in_review(store)? {
            let place = load::<LinkRow>(store, LINKS, link.as_bytes())?.map(|row| row.document);
            let document = match place {
                Some(document) => Some(document),
                None => self.find_excluded(store, &link)?.map(|row| row.document),
            };
            own.extend(document.map(|document| (document, link)));
        }
        Ok(own)
    }

    /// Takes a chunk that somebody here may decide on.
    pub(super) fn take_review(
        &mut self,
        chunk: &Chunk,
        received: Timestamp,
        store: &mut dyn DeviceStore,
    ) -> Result<(), Halt> {
        let verified = chunk.header.clone().verify().map_err(|_| Halt::Violation)?;
        let header = verified.value();
        if !matches_ciphertext(header, chunk) {
            return Err(Halt::Violation);
        }
        // Nobody could take it in. It must not keep anybody from what comes after it.
        if !is_well_formed(header) {
            return Ok(());
        }
        let (document, link) = (header.document, header.link());
        let decided = self.shelf.find(&*store, &document)?.is_some_and(|state| state.decided(&link).is_some());
        if decided {
            return Ok(());
        }
        let row = vereda_base::encode(&ReviewRow { received, chunk: vereda_base::encode(chunk) });
        let (group, bound) = (document.as_bytes().as_slice(), self.config.limits.keep.reviews);
        let kept = Kept { table: REVIEWS, group, key: link.as_bytes(), value: &row };
        let room = self.keep_within(&kept, bound, store)?;
        self.note_unkept(room, &document, store)?;
        self.tell(Event::ReviewChanged { document });
        Ok(())
    }

    /// Takes a document that somebody here may decide on.
    pub(super) fn take_review_document(
        &mut self,
        create: Signed<Op>,
        wraps: Vec<(Wrap, WrapProof)>,
        received: Timestamp,
        store: &mut dyn DeviceStore,
    ) -> Result<(), Halt> {
        let op = verify_op(create).map_err(|_| Halt::Violation)?;
        let Body::Create(body) = &op.value().body else {
            return Err(Halt::Violation);
        };
        if wraps.iter().any(|(wrap, proof)| verify_wrap(&body.epoch.wraps, wrap, proof).is_err()) {
            return Err(Halt::Violation);
        }
        let document = chain_of(op.value());
        let view = self.shelf.view(&*store);
        // What this device began itself is here, and awaits a decision all the same.
        let stands = view.chain(&document).is_some_and(|state| state.op(0).is_some_and(|op| op.time.is_some()));
        let decided = stands || is_document_decided(&view, body, &document);
        view.finish()?;
        if decided {
            return Ok(());
        }
        let wraps = wraps.into_iter().map(|(wrap, _)| wrap).collect();
        let row = vereda_base::encode(&ReviewDocumentRow { received, create: op.signed().clone(), wraps });
        let bound = self.config.limits.keep.reviews;
        let kept = Kept { table: REVIEW_DOCUMENTS, group: &[], key: document.as_bytes(), value: &row };
        let room = self.keep_within(&kept, bound, store)?;
        self.note_unkept(room, &document, store)?;
        self.tell(Event::ReviewChanged { document });
        Ok(())
    }

    /// Notes that something to decide on found no room: it is asked for again once others were decided on.
    fn note_unkept(&self, room: Room, document: &ChainId, store: &mut dyn DeviceStore) -> Result<(), StoreError> {
        if room == Room::Kept { Ok(()) } else { store.put(UNKEPT_REVIEWS, &[], document.as_bytes(), &[]) }
    }

    /// Asks again for what found no room, where something was decided on since, or the program was started anew.
    pub(super) fn ask_unkept(&mut self, store: &mut dyn DeviceStore) -> Result<(), Halt> {
        if !self.reviews_closed || !self.session().is_some_and(|session| session.caught_up) {
            return Ok(());
        }
        self.reviews_closed = false;
        let mut documents = Vec::new();
        store.scan(UNKEPT_REVIEWS, None, &mut |key, _| {
            documents.extend(key.try_into().ok().map(ChainId));
            std::ops::ControlFlow::Continue(())
        })?;
        for document in documents {
            let cache = self.cache(&*store)?;
            let upto = cache.meta.policy.max(cache.meta.content);
            if cache.backfills.iter().any(|row| row.document == document) {
                // It may be past it already: once that has ended.
                self.reviews_closed = true;
                continue;
            }
            store.delete(UNKEPT_REVIEWS, document.as_bytes())?;
            self.take_visible(document, upto, store)?;
        }
        Ok(())
    }

    /// Works off what a chain says it decided on: its newest operation, at `seq`.
    pub(super) fn take_decisions(
        &mut self,
        state: &ChainState,
        body: &Body,
        seq: u64,
        store: &mut dyn DeviceStore,
    ) -> Result<(), Halt> {
        let (links, documents, adopted): (&[Link], Vec<ChainId>, bool) = match body {
            Body::Adopt(adopt) => (&adopt.chunks, adopt.documents.iter().map(|one| one.document).collect(), true),
            Body::Discard(discard) => (&discard.chunks, discard.documents.clone(), false),
            _ => return Ok(()),
        };
        let counts = |decision: Option<Decision>| match decision {
            Some(Decision::Adopted { seq: at }) => adopted && at == seq,
            Some(Decision::Discarded { seq: at }) => !adopted && at == seq,
            None => false,
        };
        let document = state.id();
        let decided: BTreeSet<Link> = links.iter().filter(|link| counts(state.decided(link))).copied().collect();
        if !decided.is_empty() {
            self.close_reviews(&document, &decided, adopted, store)?;
        }
        for link in decided {
            self.take_own_decision(link, document, adopted, store)?;
            if adopted {
                self.reinstate(&document, &link, store)?;
            }
        }
        for document in documents {
            if !self.may_decide(&state.id(), &document, &*store)? {
                continue;
            }
            self.close_document(&document, adopted, store)?;
            if adopted {
                self.note_adoption(&document, store)?;
            }
        }
        Ok(())
    }

    /// Removes what was decided on, and where it was turned away what builds on it.
    fn close_reviews(
        &mut self,
        document: &ChainId,
        decided: &BTreeSet<Link>,
        adopted: bool,
        store: &mut dyn DeviceStore,
    ) -> Result<(), Halt> {
        let mut closed = decided.clone();
        loop {
            let before = closed.len();
            for (key, row) in load_all::<ReviewRow>(&*store, REVIEWS, Some(document.as_bytes()))? {
                let chunk: Chunk = read(REVIEWS, &row.chunk)?;
                let header: Header = read(REVIEWS, chunk.header.bytes())?;
                let link = Link(key.as_slice().try_into().unwrap_or([0; 32]));
                let builds_on = header.deps.iter().chain(&header.prev).any(|link| closed.contains(link));
                if closed.contains(&link) || (!adopted && builds_on) {
                    closed.insert(link);
                    self.reviews_closed = true;
                    self.release(REVIEWS, document.as_bytes(), &key, store)?;
                }
            }
            if closed.len() == before {
                break;
            }
        }
        self.tell(Event::ReviewChanged { document: *document });
        Ok(())
    }

    /// Forgets that a document awaits a decision: it was begun after all. What is in review in it is decided in its own chain.
    pub(super) fn forget_document_review(
        &mut self,
        document: &ChainId,
        store: &mut dyn DeviceStore,
    ) -> Result<(), StoreError> {
        if store.get(REVIEW_DOCUMENTS, document.as_bytes())?.is_some() {
            self.reviews_closed = true;
            self.release(REVIEW_DOCUMENTS, &[], document.as_bytes(), store)?;
            self.tell(Event::ReviewChanged { document: *document });
        }
        Ok(())
    }

    /// Asks what became of own chunks that the relay holds, although by the removal of this device they do not stand.
    pub(super) fn ask_of_own(
        &mut self,
        document: &ChainId,
        links: &[Link],
        store: &mut dyn DeviceStore,
    ) -> Result<(), Halt> {
        for link in links {
            self.note_in_review(*link, *document, store)?;
        }
        // Else it is asked with all others once everything is here.
        let asks = self.session().is_some_and(|session| session.caught_up);
        if asks { self.ask_what_became(links) } else { Ok(()) }
    }

    fn ask_what_became(&mut self, links: &[Link]) -> Result<(), Halt> {
        for links in links.chunks(limits::MAX_NAMED) {
            self.send(&Up::AskReview(links.to_vec()))?;
            if let Some(session) = self.session() {
                session.asked_review.extend(links);
            }
        }
        Ok(())
    }

    pub(super) fn close_document(
        &mut self,
        document: &ChainId,
        adopted: bool,
        store: &mut dyn DeviceStore,
    ) -> Result<(), Halt> {
        self.reviews_closed = true;
        self.release(REVIEW_DOCUMENTS, &[], document.as_bytes(), store)?;
        for (key, _) in load_all::<ReviewRow>(&*store, REVIEWS, Some(document.as_bytes()))? {
            self.release(REVIEWS, document.as_bytes(), &key, store)?;
        }
        self.tell(Event::ReviewChanged { document: *document });
        for (own, link) in self.own_in_review(&*store)? {
            if own == *document {
                self.take_own_decision(link, own, adopted, store)?;
            }
        }
        self.take_own_document(document, adopted, store)
    }

    /// Notes what became of the operation that begins a document of this device's.
    fn take_own_document(
        &mut self,
        document: &ChainId,
        adopted: bool,
        store: &mut dyn DeviceStore,
    ) -> Result<(), Halt> {
        let row = load::<RefusedRow>(&*store, REFUSED, document.as_bytes())?;
        if row.is_none_or(|row| !row.is_op || row.code.is_some()) {
            return Ok(());
        }
        if adopted {
            store.delete(REFUSED, document.as_bytes())?;
            let first = load::<OpRow>(&*store, OPS, &place_key(document, 0))?;
            if first.is_some_and(|row| row.receipt.is_none()) {
                // The relay answers with its receipt: who was put out is not served the operation itself.
                return Ok(self.hand_over_again(document.as_bytes(), store)?);
            }
        } else {
            let row = RefusedRow { code: Some(RefusalCode::Discarded), is_op: true };
            save(store, REFUSED, document.as_bytes(), document.as_bytes(), &row)?;
        }
        Ok(store.delete(REVIEWED_OPS, document.as_bytes())?)
    }

    /// Takes over how a document was adopted that this device had begun: the adoption says who holds it.
    pub(super) fn note_adoption(&mut self, document: &ChainId, store: &mut dyn DeviceStore) -> Result<(), Halt> {
        let rows = load_all::<OpRow>(&*store, OPS, Some(document.as_bytes()))?;
        let Some((_, first)) = rows.first().filter(|(_, row)| row.adopted.is_none()) else { return Ok(()) };
        let create: Op = read(OPS, first.op.bytes())?;
        let view = self.shelf.view(&*store);
        let adopted = find_adoption(&view, &create, OpId(document.0));
        view.finish()?;
        if adopted.is_none() {
            return Ok(());
        }
        let before = self.standing_in(document, &*store)?;
        for (key, row) in &rows {
            // Evaluated anew they come after the adoption.
            store.delete(OPS, key)?;
            let is_first = *key == place_key(document, 0);
            let row = OpRow { adopted: if is_first { adopted.clone() } else { None }, ..row.clone() };
            save(store, OPS, document.as_bytes(), key, &row)?;
        }
        self.shelf.forget(document);
        let head = self.shelf.find(&*store, document)?.map_or(0, |state| state.head_seq());
        self.note_standing(document, head, before, store)?;
        self.note_chain(*document, store)?;
        self.judge_again(document, None, store)
    }

    /// Notes what became of an own chunk that was in review; nothing happens where it was not, or is decided already.
    pub(super) fn take_own_decision(
        &mut self,
        link: Link,
        document: ChainId,
        adopted: bool,
        store: &mut dyn DeviceStore,
    ) -> Result<(), Halt> {
        let row = load::<RefusedRow>(&*store, REFUSED, link.as_bytes())?;
        if row.is_none_or(|row| row.is_op || row.code.is_some()) {
            return Ok(());
        }
        if adopted {
            store.delete(REFUSED, link.as_bytes())?;
            if let Some(row) = load::<LinkRow>(&*store, LINKS, link.as_bytes())? {
                let row = LinkRow { at_relay: true, taken_in: Some(true), held: None, ..row };
                save(store, LINKS, document.as_bytes(), link.as_bytes(), &row)?;
            }
            self.take_own_document(&document, true, store)?;
        } else {
            // The row stays as a record.
            let row = RefusedRow { code: Some(RefusalCode::Discarded), is_op: false };
            save(store, REFUSED, document.as_bytes(), link.as_bytes(), &row)?;
            self.exclude(&document, &[(link, Cause::Discarded)].into(), store)?;
            if let Some(row) = self.find_excluded(&*store, &link)?.filter(|row| row.cause != Cause::Remade) {
                let row = ExcludedRow { cause: Cause::Discarded, ..row };
                save(store, EXCLUDED, document.as_bytes(), link.as_bytes(), &row)?;
            }
        }
        self.tell(Event::Decided { link, document, adopted });
        Ok(())
    }

    /// Asks what became of everything of this device's that was in review.
    pub(super) fn ask_review(&mut self, store: &mut dyn DeviceStore) -> Result<(), Halt> {
        self.ask_what_became(&links_in_review(&*store)?)?;
        // There is no question for operations: they are handed over again.
        for (key, _) in load_all::<OutboxItem>(&*store, REVIEWED_OPS, None)? {
            self.hand_over_again(&key, store)?;
        }
        Ok(())
    }

    /// Puts an operation of this device's that is in review, or was, back into the outbox.
    fn hand_over_again(&mut self, key: &[u8], store: &mut dyn DeviceStore) -> Result<(), StoreError> {
        let Some(item) = load::<OutboxItem>(&*store, REVIEWED_OPS, key)? else { return Ok(()) };
        let Some((_, queued)) = Queued::of(&[0; 8], &item) else { return Ok(()) };
        let cache = self.cache(&*store)?;
        cache.meta.next_outbox += 1;
        let place = cache.meta.next_outbox;
        cache.queue.insert(place, queued);
        save(store, OUTBOX, key, &place.to_be_bytes(), &item)?;
        store.delete(REVIEWED_OPS, key)
    }

    /// Keeps an operation of this device's that the relay has in review.
    pub(super) fn keep_op_in_review(
        &mut self,
        place: u64,
        item: &OutboxItem,
        store: &mut dyn DeviceStore,
    ) -> Result<(), Halt> {
        let OutboxItem::Op { op, .. } = item else {
            return Err(Halt::Violation);
        };
        let id = vereda_policy::op_id_of_bytes(op.bytes());
        self.remove(place, store)?;
        let known = load::<RefusedRow>(&*store, REFUSED, &id.0)?;
        save(store, REVIEWED_OPS, &[], &id.0, item)?;
        save(store, REFUSED, &id.0, &id.0, &RefusedRow { code: None, is_op: true })?;
        if known.is_none() {
            self.tell(Event::OpInReview { op: id });
        }
        Ok(())
    }

    /// Finds a chunk that does not stand, with its document.
    pub(super) fn find_excluded(
        &self,
        store: &dyn DeviceStore,
        link: &Link,
    ) -> Result<Option<ExcludedRow>, StoreError> {
        load(store, EXCLUDED, link.as_bytes())
    }
}

/// Lists the links of own chunks in review.
fn links_in_review(store: &dyn DeviceStore) -> Result<Vec<Link>, StoreError> {
    let rows = load_all::<RefusedRow>(store, REFUSED, None)?;
    let waiting = rows.into_iter().filter(|(_, row)| !row.is_op && row.code.is_none());
    Ok(waiting.filter_map(|(key, _)| key.try_into().ok().map(Link)).collect())
}

/// Finds what a document begins with that awaits a decision.
pub(super) fn create_in_review(store: &dyn DeviceStore, document: &ChainId) -> Result<Option<Signed<Op>>, StoreError> {
    let row = load::<ReviewDocumentRow>(store, REVIEW_DOCUMENTS, document.as_bytes())?;
    Ok(row.map(|row| row.create))
}
