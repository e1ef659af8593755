//! What the relay answers to chunks.

use std::collections::BTreeMap;

use vereda_base::{ChainId, Link};
use vereda_protocol::{ChunkOutcome, Header, Logged, RefusalCode};

use super::{
    content::load_chunk,
    effect::{Disconnect, Event},
    machine::{DeviceMachine, Halt},
    store::{DeviceStore, StoreError},
    tables::{CHUNKS, Cause, LINKS, LinkRow, REFUSED, RefusedRow, load, read, save},
};

impl DeviceMachine {
    /// Works off the answer to a chunk.
    pub(super) fn take_chunk_result(
        &mut self,
        link: Link,
        outcome: ChunkOutcome,
        store: &mut dyn DeviceStore,
    ) -> Result<(), Halt> {
        let Some(row) = load::<LinkRow>(store, LINKS, link.as_bytes())? else {
            return self.take_late_result(link, outcome, store);
        };
        let document = row.document;
        match outcome {
            ChunkOutcome::Durable => self.acknowledge(link, row, store)?,
            ChunkOutcome::Refused(code) => {
                self.take_refusal(link, &row, code, store)?;
                if code == RefusalCode::Fork {
                    return Ok(());
                }
            }
            ChunkOutcome::InReview => self.note_in_review(link, document, store)?,
        }
        self.pump(store)
    }

    /// Works off the refusal of a stored chunk.
    fn take_refusal(
        &mut self,
        link: Link,
        row: &LinkRow,
        code: RefusalCode,
        store: &mut dyn DeviceStore,
    ) -> Result<(), Halt> {
        let document = row.document;
        match code {
            RefusalCode::StaleEpoch | RefusalCode::CiteRegressed => {
                return self.await_resealing(link, document, code, store);
            }
            RefusalCode::Discarded => {
                // That it was in review may have been said in an answer that was lost.
                match load::<RefusedRow>(&*store, REFUSED, link.as_bytes())? {
                    None => self.note_in_review(link, document, store)?,
                    Some(_) => self.forget_queued(link, &document, store)?,
                }
                return self.take_own_decision(link, document, false, store);
            }
            RefusalCode::DependsOnUnadopted => return self.take_unadopted(link, document, store),
            // It was said to stand once, and was asked about: it is kept.
            RefusalCode::ReviewClosed if row.at_relay => return self.take_own_decision(link, document, false, store),
            RefusalCode::NotContiguous | RefusalCode::MissingDeps if self.follows_unsent(row, store)? => {
                // What it builds on was refused for now, and goes before it again.
                if let Some(place) = self.find_queued(&link, store)? {
                    self.landed(place);
                }
                return Ok(());
            }
            _ => {}
        }
        self.remove_chunk(link, store)?;
        let refused = RefusedRow { code: Some(code), is_op: false };
        save(store, REFUSED, document.as_bytes(), link.as_bytes(), &refused)?;
        self.tell(Event::ChunkRefused { link, document, code });
        if code == RefusalCode::Fork {
            // Another store of this device made other chunks: this one is a copy, or was restored from one.
            let sealed = self.cache(store)?.meta.sealed;
            self.tell(Event::StoreRestored { held: sealed, sealed });
            self.disconnect(Disconnect::StoreRestored);
        }
        Ok(())
    }

    /// Notes that a chunk awaits a decision.
    pub(super) fn note_in_review(
        &mut self,
        link: Link,
        document: ChainId,
        store: &mut dyn DeviceStore,
    ) -> Result<(), Halt> {
        self.forget_queued(link, &document, store)?;
        if load::<RefusedRow>(store, REFUSED, link.as_bytes())?.is_some_and(|row| row.code.is_none()) {
            return Ok(());
        }
        let refused = RefusedRow { code: None, is_op: false };
        save(store, REFUSED, document.as_bytes(), link.as_bytes(), &refused)?;
        self.tell(Event::ChunkInReview { link, document });
        Ok(())
    }

    /// Works off the answer to a chunk that does not stand here any more.
    fn take_late_result(&mut self, link: Link, outcome: ChunkOutcome, store: &mut dyn DeviceStore) -> Result<(), Halt> {
        let Some(row) = self.find_excluded(store, &link)?.filter(|row| row.own) else {
            return Err(Halt::Violation);
        };
        let document = row.document;
        match outcome {
            ChunkOutcome::InReview => self.note_in_review(link, document, store)?,
            ChunkOutcome::Refused(RefusalCode::Discarded) => {
                self.take_own_decision(link, document, false, store)?;
            }
            ChunkOutcome::Refused(_) => {}
            // Whether it stands is said by the document's chain.
            ChunkOutcome::Durable => self.take_own_decision(link, document, true, store)?,
        }
        self.pump(store)
    }

    /// Takes out of what stands a chunk that builds on one in review or turned away, and with it all own ones in review:
    /// nothing new may build on those.
    fn take_unadopted(&mut self, link: Link, document: ChainId, store: &mut dyn DeviceStore) -> Result<(), Halt> {
        let mut causes = BTreeMap::from([(link, Cause::BuiltOn)]);
        for (own, in_review) in self.own_in_review(store)? {
            if own == document {
                causes.insert(in_review, Cause::InReview);
            }
        }
        self.exclude(&document, &causes, store)?;
        self.work_woken(store)
    }

    /// Says whether a chunk builds on an own one that the relay does not hold yet.
    fn follows_unsent(&mut self, row: &LinkRow, store: &dyn DeviceStore) -> Result<bool, StoreError> {
        let Some(chunk) = load_chunk(store, &row.document, row.position)? else {
            return Ok(false);
        };
        let header: Header = read(CHUNKS, chunk.header.bytes())?;
        for link in header.deps.iter().chain(&header.prev) {
            let waits = self.cache(store)?.held.get(&row.document).is_some_and(|held| held.contains(link));
            if waits || self.find_queued(link, store)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Notes that the relay holds a chunk, and takes it out of the outbox.
    pub(super) fn acknowledge(&mut self, link: Link, row: LinkRow, store: &mut dyn DeviceStore) -> Result<(), Halt> {
        let document = row.document;
        if row.at_relay {
            return self.take_own_decision(link, document, true, store);
        }
        self.note_logged(Logged::Chunk { document, link }, &*store)?;
        self.count_confirmed(&row, store)?;
        // Of whoever is no member any more it was in review, or is in the frontier of his removal.
        let is_late = row.taken_in.is_none() && self.standing_in(&document, &*store)?.is_none();
        let taken_in = if is_late { Some(true) } else { row.taken_in };
        // What was taken in after a removal is not in its frontier.
        let held =
            if taken_in.is_some() { None } else { Some(row.held.map_or_else(|| self.note_handed(&*store), Ok)?) };
        save(store, LINKS, document.as_bytes(), link.as_bytes(), &LinkRow { at_relay: true, taken_in, held, ..row })?;
        self.forget_queued(link, &document, store)?;
        self.take_own_decision(link, document, true, store)?;
        self.tell(Event::Acknowledged { link, document });
        Ok(())
    }

    /// Counts a chunk that the relay confirmed, where it is of the present incarnation.
    fn count_confirmed(&mut self, row: &LinkRow, store: &dyn DeviceStore) -> Result<(), StoreError> {
        let Some(chunk) = load_chunk(store, &row.document, row.position)? else {
            return Ok(());
        };
        let header: Header = read(CHUNKS, chunk.header.bytes())?;
        if (header.device, header.incarnation) == (self.device, self.config.incarnation)
            && let Some(confirmed) = &mut self.cache(store)?.meta.confirmed
        {
            *confirmed = confirmed.saturating_add(1);
        }
        Ok(())
    }
}
