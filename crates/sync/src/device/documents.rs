//! What the application asks and adds, within the transaction that is open.

use std::ops::ControlFlow;

use vereda_base::{ChainId, Incarnation, Link, OpId};
use vereda_crypto::{Verified, VerifyError};
use vereda_policy::{
    AppendContext, Body, ChainKind, Cite, ContentRefusal, Evaluator, Heads, Op, OpRefusal, Role, Wrap, WrapRefusal,
    authorize, check_wraps, cite_content,
};
use vereda_protocol::Chunk;

use super::{
    content::{Judged, Origin, load_chunk},
    machine::{DeviceMachine, Halt},
    outbox::{IntentId, OutboxItem},
    policy_lane,
    sending::Queued,
    shelf,
    store::{DeviceStore, StoreError},
    tables::{
        DOCUMENTS, DocumentRow, LINKS, LinkRow, OPS, OUTBOX, OpRow, QUARANTINE, QuarantineReason, QuarantinedChunk,
        StoredWrap, load, load_all, place_key, save,
    },
};

/// Where a device's next chunk of a document stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The present incarnation.
    pub incarnation: Incarnation,
    /// Its next seq.
    pub seq: u64,
    /// The chunk before; at seq 0 the last one known of an earlier incarnation.
    pub prev: Option<Link>,
}

impl DeviceMachine {
    /// Adds an operation that was signed offline, a `Create`: to what is known here, and to the outbox.
    ///
    /// # Errors
    /// [`EnqueueError`]; the transaction is to be rolled back where the store failed, and is unchanged otherwise.
    pub fn enqueue_op(
        &mut self,
        store: &mut dyn DeviceStore,
        op: &Verified<Op>,
        wraps: Vec<Wrap>,
    ) -> Result<OpId, EnqueueError> {
        let Body::Create(create) = &op.value().body else {
            return Err(EnqueueError::NotCreate);
        };
        check_wraps(&create.epoch.wraps, &wraps)?;
        let view = self.shelf.view(&*store);
        let authorized = authorize(&view, op, &AppendContext::beginning());
        self.noting(view.finish())?;
        let authorized = authorized?;
        let (id, chain) = (authorized.id(), authorized.chain());
        let row = OpRow::new(op.signed().clone(), None);
        let item = OutboxItem::Op { op: op.signed().clone(), wraps };
        let done = self.shelf.apply(&*store, &authorized, None);
        let done = done.and_then(|()| save(store, OPS, chain.as_bytes(), &place_key(&chain, 0), &row));
        let done = done.and_then(|()| self.note_chain(chain, store));
        let done = done.and_then(|()| self.enqueue(store, &chain, &item, Queued::Op { chain, op: id }));
        self.noting(done)?;
        self.after_enqueue(store);
        Ok(id)
    }

    /// Adds what shall be done to a chain to the outbox: it is signed once the relay is reached, and ends as
    /// [`super::Event::IntentDone`] or [`super::Event::IntentFailed`].
    ///
    /// # Errors
    /// [`EnqueueError`] as for [`Self::enqueue_op`].
    pub fn enqueue_intent(
        &mut self,
        store: &mut dyn DeviceStore,
        chain: ChainId,
        body: Body,
        wraps: Vec<Wrap>,
    ) -> Result<IntentId, EnqueueError> {
        match &body {
            Body::Create(_) => return Err(EnqueueError::Create),
            Body::Repair(repair) => {
                check_wraps(&repair.wraps, &wraps)?;
            }
            Body::Rotate(rotate) => {
                check_wraps(&rotate.epoch.wraps, &wraps)?;
            }
            _ => {}
        }
        let id = match self.cache(&*store) {
            Ok(cache) => {
                cache.meta.next_intent += 1;
                IntentId(cache.meta.next_intent)
            }
            Err(error) => return self.noting(Err(error)),
        };
        let item = OutboxItem::Intent { id, chain, body, wraps, signed: None };
        let done = self.enqueue(store, &chain, &item, Queued::Intent { chain, id });
        self.noting(done)?;
        self.after_enqueue(store);
        Ok(id)
    }

    /// Adds a chunk that this device sealed: to the document's chunks, and to the outbox. It must stand by everything
    /// that other devices will check.
    ///
    /// # Errors
    /// [`EnqueueError`] as for [`Self::enqueue_op`].
    pub fn enqueue_chunk(&mut self, store: &mut dyn DeviceStore, chunk: &Chunk) -> Result<Link, EnqueueError> {
        let header = chunk.header.clone().verify()?;
        let ours = (self.device, self.config.incarnation);
        if (header.value().device, header.value().incarnation) != ours {
            return Err(EnqueueError::NotOurs);
        }
        let judged = self.judge(&header, chunk, Origin::Here, &*store);
        let authorized = match self.noting(judged)? {
            Judged::Stands(authorized) => authorized,
            Judged::Known(_) | Judged::Excluded => return Err(EnqueueError::Known),
            Judged::Waits(_) => return Err(EnqueueError::Incomplete),
            Judged::Breaks(reason, _) => return Err(EnqueueError::Breaks(reason)),
        };
        let link = header.value().link();
        let done = match self.keep_chunk(&authorized, chunk, Origin::Here, store) {
            Ok(()) => Ok(()),
            Err(Halt::Store(error)) => Err(error),
            Err(Halt::Violation | Halt::Overfull) => Ok(()),
        };
        let item = OutboxItem::Chunk { link };
        let done = done.and_then(|()| {
            self.cache(&*store)?.meta.sealed += 1;
            self.enqueue(store, &header.value().document, &item, Queued::Chunk { link })
        });
        self.noting(done)?;
        self.after_enqueue(store);
        Ok(link)
    }

    /// Lists the documents that this device may read, in the order in which they became known.
    ///
    /// # Errors
    /// [`StoreError`] by cause; so for all that follow.
    pub fn documents(&self, store: &dyn DeviceStore) -> Result<Vec<ChainId>, StoreError> {
        let view = self.shelf.view(store);
        let mut documents = shelf::list(store, ChainKind::Document)?;
        let newest = Heads::newest(None);
        let mut evaluator = Evaluator::new(&view, self.device, &newest);
        documents.retain(|document| evaluator.membership(document).is_some());
        view.finish()?;
        Ok(documents)
    }

    /// Lists the chains of a kind that are known.
    ///
    /// # Errors
    /// [`StoreError`] by cause.
    pub fn list_chains(&self, store: &dyn DeviceStore, kind: ChainKind) -> Result<Vec<ChainId>, StoreError> {
        shelf::list(store, kind)
    }

    /// Tells the document's chunk heads, sorted: what a chunk that takes in everything stored builds on.
    ///
    /// # Errors
    /// [`StoreError`] by cause.
    pub fn heads(&self, store: &dyn DeviceStore, document: &ChainId) -> Result<Vec<Link>, StoreError> {
        Ok(load::<DocumentRow>(store, DOCUMENTS, document.as_bytes())?.unwrap_or_default().heads)
    }

    /// Tells where this device's next chunk of a document stands.
    ///
    /// # Errors
    /// [`StoreError`] by cause.
    pub fn next_place(&self, store: &dyn DeviceStore, document: &ChainId) -> Result<Place, StoreError> {
        let row = load::<DocumentRow>(store, DOCUMENTS, document.as_bytes())?.unwrap_or_default();
        let own = || row.authors.iter().filter(|author| author.device == self.device);
        let incarnation = self.config.incarnation;
        Ok(match own().find(|author| author.incarnation == incarnation) {
            Some(author) if author.last.is_some() => Place { incarnation, seq: author.next_seq, prev: author.last },
            _ => {
                let standing = own().filter(|author| author.last.is_some());
                let prev = standing.max_by_key(|author| author.position).and_then(|author| author.last);
                Place { incarnation, seq: 0, prev }
            }
        })
    }

    /// Says whether something that this device made of a document in its present incarnation does not stand: nothing that it
    /// makes in it would be taken as long as that is so.
    ///
    /// # Errors
    /// [`StoreError`] by cause.
    pub fn is_closed(&self, store: &dyn DeviceStore, document: &ChainId) -> Result<bool, StoreError> {
        let row = load::<DocumentRow>(store, DOCUMENTS, document.as_bytes())?.unwrap_or_default();
        let own = (self.device, self.config.incarnation);
        Ok(row.authors.iter().any(|author| author.closed && (author.device, author.incarnation) == own))
    }

    /// Finds the policy heads that this device's next chunk of a document cites; `None` where it may not write.
    ///
    /// # Errors
    /// [`StoreError`] by cause.
    pub fn cites(&self, store: &dyn DeviceStore, document: &ChainId) -> Result<Option<Vec<Cite>>, StoreError> {
        let view = self.shelf.view(store);
        let cites = cite_content(&view, &self.device, document, Role::Editor, None);
        view.finish()?;
        Ok(cites)
    }

    /// Says whether this device may write in a document no more: its role has ended, or has passed by the relay's clock
    /// where that is known. What was written before is handed in as it is, and the relay puts it before a Manager.
    ///
    /// # Errors
    /// [`StoreError`] by cause.
    pub fn is_late(&self, store: &dyn DeviceStore, document: &ChainId) -> Result<bool, StoreError> {
        let view = self.shelf.view(store);
        let now = self.relay_time(self.now.monotonic);
        let cites = cite_content(&view, &self.device, document, Role::Editor, now);
        view.finish()?;
        Ok(cites.is_none())
    }

    /// Counts a document's stored chunks; also the local position that the next one gets.
    ///
    /// # Errors
    /// [`StoreError`] by cause.
    pub fn chunk_count(&self, store: &dyn DeviceStore, document: &ChainId) -> Result<u64, StoreError> {
        Ok(load::<DocumentRow>(store, DOCUMENTS, document.as_bytes())?.unwrap_or_default().count)
    }

    /// Counts the stored chunks of all documents, in one look through the store.
    ///
    /// # Errors
    /// [`StoreError`] by cause.
    pub fn chunk_counts(&self, store: &dyn DeviceStore) -> Result<Vec<(ChainId, u64)>, StoreError> {
        let rows = load_all::<DocumentRow>(store, DOCUMENTS, None)?;
        let counted = rows.into_iter().filter_map(|(key, row)| Some((ChainId(key.try_into().ok()?), row.count)));
        Ok(counted.collect())
    }

    /// Shows a document's chunks from a local position on, in an order in which each follows what it builds on. They
    /// were verified, and found to stand, before they were stored.
    ///
    /// # Errors
    /// [`StoreError`] by cause.
    pub fn chunks_since(
        &self,
        store: &dyn DeviceStore,
        document: &ChainId,
        position: u64,
        each: &mut dyn FnMut(u64, Chunk) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let skipped = load::<DocumentRow>(store, DOCUMENTS, document.as_bytes())?.unwrap_or_default().skipped;
        for position in position.. {
            if skipped.binary_search(&position).is_ok() {
                continue;
            }
            let Some(chunk) = load_chunk(store, document, position)? else {
                break;
            };
            if each(position, chunk).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Finds a chunk by its link, with its local position and whether the relay holds it; also one that was stored and
    /// does not stand any more.
    ///
    /// # Errors
    /// [`StoreError`] by cause.
    pub fn find_chunk(&self, store: &dyn DeviceStore, link: &Link) -> Result<Option<(u64, bool, Chunk)>, StoreError> {
        let found = match load::<LinkRow>(store, LINKS, link.as_bytes())? {
            Some(row) => Some((row.document, row.position, row.at_relay)),
            None => {
                let row = self.find_excluded(store, link)?;
                row.and_then(|row| Some((row.document, row.position?, row.at_relay)))
            }
        };
        let Some((document, position, at_relay)) = found else {
            return Ok(None);
        };
        Ok(load_chunk(store, &document, position)?.map(|chunk| (position, at_relay, chunk)))
    }

    /// Lists the wraps stored for a chain, oldest first.
    ///
    /// # Errors
    /// [`StoreError`] by cause.
    pub fn wraps(&self, store: &dyn DeviceStore, chain: &ChainId) -> Result<Vec<StoredWrap>, StoreError> {
        policy_lane::wraps(store, chain)
    }

    /// Lists a document's chunks that are set aside, with their evidence.
    ///
    /// # Errors
    /// [`StoreError`] by cause.
    pub fn quarantined(
        &self,
        store: &dyn DeviceStore,
        document: &ChainId,
    ) -> Result<Vec<QuarantinedChunk>, StoreError> {
        Ok(load_all(store, QUARANTINE, Some(document.as_bytes()))?.into_iter().map(|(_, row)| row).collect())
    }

    /// Lists the outbox, in order.
    ///
    /// # Errors
    /// [`StoreError`] by cause.
    pub fn outbox(&self, store: &dyn DeviceStore) -> Result<Vec<OutboxItem>, StoreError> {
        let mut items = load_all(store, OUTBOX, None)?;
        // One that was taken out for a while came back later than its place says.
        items.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(items.into_iter().map(|(_, item)| item).collect())
    }

    pub(super) fn enqueue(
        &mut self,
        store: &mut dyn DeviceStore,
        group: &ChainId,
        item: &OutboxItem,
        queued: Queued,
    ) -> Result<(), StoreError> {
        self.touch();
        let cache = self.cache(&*store)?;
        cache.meta.next_outbox += 1;
        let place = cache.meta.next_outbox;
        cache.queue.insert(place, queued);
        save(store, OUTBOX, group.as_bytes(), &place.to_be_bytes(), item)
    }

    /// Sends at once what may be sent, and takes up what waited for the new item.
    fn after_enqueue(&mut self, store: &mut dyn DeviceStore) {
        let done = self.work_woken(store).and_then(|()| self.pump(store));
        self.settle(done);
    }

    /// Remembers a failure of the store: the transaction cannot be committed any more.
    pub(super) fn noting<T>(&mut self, done: Result<T, StoreError>) -> Result<T, EnqueueError> {
        done.map_err(|error| {
            self.fail(&error);
            error.into()
        })
    }
}

/// Why something was not taken into the outbox.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnqueueError {
    /// The store failed: the transaction is to be rolled back.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Only a `Create` is complete without the relay.
    #[error("only the first operation of a chain can be signed without the relay: others are intents")]
    NotCreate,
    /// A `Create` is signed at once.
    #[error("the first operation of a chain is no intent")]
    Create,
    /// Policy does not allow the operation.
    #[error(transparent)]
    Op(#[from] OpRefusal),
    /// The wraps are not those of the operation's list.
    #[error(transparent)]
    Wraps(#[from] WrapRefusal),
    /// The chunk's header does not verify.
    #[error(transparent)]
    Header(#[from] VerifyError),
    /// The chunk is of another device or incarnation.
    #[error("the chunk is of another device or incarnation")]
    NotOurs,
    /// There is a chunk with this link.
    #[error("the chunk is stored already")]
    Known,
    /// Nobody waits for it to be sealed again: the relay holds the chunk, or it is unknown, or it does not stand.
    #[error("nobody waits for this chunk to be sealed again")]
    NotWaiting,
    /// It relies on policy or chunks that are not here.
    #[error("the chunk relies on what is not here")]
    Incomplete,
    /// It breaks a rule that others will check.
    #[error("the chunk would be set aside by others: {0}")]
    Breaks(QuarantineReason),
    /// Policy does not allow the chunk.
    #[error(transparent)]
    Content(#[from] ContentRefusal),
}
