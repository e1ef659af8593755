//! Chunks of this device that the relay wants sealed again: the same changes under the newest key and cites.

use vereda_base::{ChainId, Link};
use vereda_policy::{authorize_content, check_cites_advance};
use vereda_protocol::{Chunk, Header, RefusalCode};

use super::{
    content::{is_well_formed, load_chunk, matches_ciphertext},
    documents::EnqueueError,
    effect::Event,
    machine::{DeviceMachine, Halt},
    outbox::OutboxItem,
    sending::Queued,
    store::{DeviceStore, StoreError},
    tables::{
        CHUNKS, DOCUMENTS, DocumentRow, LINKS, LinkRow, OUTBOX, QuarantineReason, REFUSED, RESEAL, RefusedRow,
        ResealRow, load, place_key, read, save,
    },
};

impl DeviceMachine {
    /// Puts a chunk that this device sealed again in place of the stored one with its link, and into the outbox at the
    /// place that that one had. It is sealed under a newer epoch, or cites newer heads; of whoever may write no longer the
    /// stored one is taken too, to be put before a Manager.
    ///
    /// # Errors
    /// [`EnqueueError`]: [`EnqueueError::NotWaiting`] where the relay does not wait for such a chunk any more,
    /// [`EnqueueError::Known`] where it is no newer than the stored one.
    pub fn reseal_chunk(&mut self, store: &mut dyn DeviceStore, chunk: &Chunk) -> Result<(), EnqueueError> {
        let verified = chunk.header.clone().verify()?;
        let header = verified.value();
        if header.device != self.device {
            return Err(EnqueueError::NotOurs);
        }
        if !matches_ciphertext(header, chunk) {
            return Err(EnqueueError::Breaks(QuarantineReason::BadCiphertext));
        }
        if !is_well_formed(header) {
            return Err(EnqueueError::Breaks(QuarantineReason::BadForm));
        }
        let link = header.link();
        let found = self.find_outgoing(&link, &*store);
        let (row, stored, place) = self.noting(found)?.ok_or(EnqueueError::NotWaiting)?;
        let is_late = self.is_late(&*store, &header.document);
        let is_late = self.noting(is_late)?;
        let view = self.shelf.view(&*store);
        let is_newer = header.epoch > row.epoch || (header.epoch == row.epoch && header.cites != stored.cites);
        let advances = check_cites_advance(&view, &stored.cites, &header.cites).is_ok();
        let allowed = authorize_content(&view, &verified, None);
        self.noting(view.finish())?;
        allowed?;
        if !is_newer && !is_late {
            return Err(EnqueueError::Known);
        }
        if !advances {
            return Err(EnqueueError::Breaks(QuarantineReason::CiteRegressed));
        }
        let done = self.put_resealed(chunk, header, &row, place, store);
        self.noting(done)?;
        let done = self.pump(store);
        self.settle(done);
        Ok(())
    }

    fn put_resealed(
        &mut self,
        chunk: &Chunk,
        header: &Header,
        row: &LinkRow,
        place: u64,
        store: &mut dyn DeviceStore,
    ) -> Result<(), StoreError> {
        self.touch();
        let (document, link) = (header.document, header.link());
        let key = place_key(&document, row.position);
        store.put(CHUNKS, document.as_bytes(), &key, &vereda_base::encode(chunk))?;
        let row = LinkRow { epoch: header.epoch, ..row.clone() };
        save(store, LINKS, document.as_bytes(), link.as_bytes(), &row)?;
        let mut known = load::<DocumentRow>(&*store, DOCUMENTS, document.as_bytes())?.unwrap_or_default();
        known.note_cites(header);
        save(store, DOCUMENTS, &[], document.as_bytes(), &known)?;
        store.delete(RESEAL, link.as_bytes())?;
        // If the old bytes are under way their answer is for the new ones too: both are one chunk.
        save(store, OUTBOX, document.as_bytes(), &place.to_be_bytes(), &OutboxItem::Chunk { link })?;
        let cache = self.cache(&*store)?;
        cache.queue.insert(place, Queued::Chunk { link });
        cache.release_held(&document, &link);
        Ok(())
    }

    /// Takes a refused chunk out of the queue until it is sealed again.
    pub(super) fn await_resealing(
        &mut self,
        link: Link,
        document: ChainId,
        code: RefusalCode,
        store: &mut dyn DeviceStore,
    ) -> Result<(), Halt> {
        let Some(place) = self.find_queued(&link, &*store)? else {
            return Ok(());
        };
        self.remove(place, store)?;
        save(store, RESEAL, document.as_bytes(), link.as_bytes(), &ResealRow { place, code })?;
        self.cache(&*store)?.held.entry(document).or_default().insert(link);
        self.tell(Event::Reseal { link, document });
        Ok(())
    }

    /// Finds a stored chunk of this device that is on its way to the relay, or waits to be sealed again; with its place in
    /// the outbox.
    fn find_outgoing(
        &mut self,
        link: &Link,
        store: &dyn DeviceStore,
    ) -> Result<Option<(LinkRow, Header, u64)>, StoreError> {
        let Some(row) = load::<LinkRow>(store, LINKS, link.as_bytes())?.filter(|row| !row.at_relay) else {
            return Ok(None);
        };
        let place = match load::<ResealRow>(store, RESEAL, link.as_bytes())? {
            Some(row) => Some(row.place),
            None => self.find_queued(link, store)?,
        };
        let (Some(place), Some(chunk)) = (place, load_chunk(store, &row.document, row.position)?) else {
            return Ok(None);
        };
        let header = read(CHUNKS, chunk.header.bytes())?;
        Ok(Some((row, header, place)))
    }

    /// Takes a chunk out of the outbox, and out of what waits to be sealed again.
    pub(super) fn forget_queued(
        &mut self,
        link: Link,
        document: &ChainId,
        store: &mut dyn DeviceStore,
    ) -> Result<(), StoreError> {
        self.remove_chunk(link, store)?;
        store.delete(RESEAL, link.as_bytes())?;
        self.cache(&*store)?.release_held(document, &link);
        Ok(())
    }

    /// As [`Self::forget_queued`]; also forgets that the relay refused it. What is in review stays known.
    pub(super) fn forget_outgoing(
        &mut self,
        link: Link,
        document: &ChainId,
        store: &mut dyn DeviceStore,
    ) -> Result<(), StoreError> {
        self.forget_queued(link, document, store)?;
        let refused = load::<RefusedRow>(&*store, REFUSED, link.as_bytes())?;
        if refused.is_some_and(|row| row.code.is_some_and(|code| code != RefusalCode::Discarded)) {
            store.delete(REFUSED, link.as_bytes())?;
        }
        Ok(())
    }
}
