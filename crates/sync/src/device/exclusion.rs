//! Chunks that were stored and do not stand any more, and chunks that never stood.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::ControlFlow,
};

use vereda_base::{ChainId, Link, limits};
use vereda_protocol::{Chunk, Header};

use super::{
    content::{Origin, load_chunk},
    effect::Event,
    holding::UNBOUNDED,
    machine::{DeviceMachine, Halt},
    store::{DeviceStore, StoreError},
    tables::{
        Awaited, CHUNKS, Cause, DOCUMENTS, DocumentRow, EXCLUDED, ExcludedRow, LINKS, LinkRow, QUARANTINE,
        QuarantinedChunk, load, load_all, read, save,
    },
    tally::Kept,
};

/// A stored chunk as [`DeviceMachine::scan_standing`] shows it.
pub(super) struct Standing {
    pub(super) position: u64,
    pub(super) link: Link,
    pub(super) header: Header,
}

impl DeviceMachine {
    /// Lists the chunks of a document that do not stand, apart from own ones whose edits were made again.
    ///
    /// # Errors
    /// [`StoreError`] by cause.
    pub fn excluded(&self, store: &dyn DeviceStore, document: &ChainId) -> Result<BTreeSet<Link>, StoreError> {
        let rows = load_all::<ExcludedRow>(store, EXCLUDED, Some(document.as_bytes()))?;
        let rows = rows.into_iter().filter(|(_, row)| row.cause != Cause::Remade);
        Ok(rows.filter_map(|(key, _)| key.try_into().ok().map(Link)).collect())
    }

    /// Takes chunks of this device, whose edits were made again, out of what stands and out of the outbox, with all that
    /// builds on them. Links of others, and unknown ones, are passed over.
    ///
    /// # Errors
    /// [`StoreError`] by cause; the transaction is then to be rolled back.
    pub fn drop_own(
        &mut self,
        store: &mut dyn DeviceStore,
        document: &ChainId,
        links: &BTreeSet<Link>,
    ) -> Result<(), StoreError> {
        self.touch();
        let mut causes = BTreeMap::new();
        for link in links {
            if let Some(row) = load::<ExcludedRow>(&*store, EXCLUDED, link.as_bytes())? {
                if row.own {
                    let row = ExcludedRow { cause: Cause::Remade, ..row };
                    save(store, EXCLUDED, document.as_bytes(), link.as_bytes(), &row)?;
                    self.forget_outgoing(*link, document, store)?;
                }
            } else if self.is_own_chunk(link, &*store)? {
                causes.insert(*link, Cause::Remade);
                self.forget_outgoing(*link, document, store)?;
            }
        }
        let done = if causes.is_empty() { Ok(()) } else { self.exclude(document, &causes, store) };
        let done = done.and_then(|()| self.work_woken(store)).and_then(|()| self.pump(store));
        match done {
            Err(Halt::Store(error)) => {
                self.fail(&error);
                Err(error)
            }
            done => {
                self.settle(done);
                Ok(())
            }
        }
    }

    /// Takes stored chunks out of what stands, each for its cause, and everything stored that builds on them.
    pub(super) fn exclude(
        &mut self,
        document: &ChainId,
        causes: &BTreeMap<Link, Cause>,
        store: &mut dyn DeviceStore,
    ) -> Result<(), Halt> {
        let Some(row) = load::<DocumentRow>(&*store, DOCUMENTS, document.as_bytes())? else {
            return Ok(());
        };
        let mut rebuilt = row.emptied();
        let mut out: BTreeMap<Link, (Standing, Cause)> = BTreeMap::new();
        // Each follows what it builds on, so one look is enough.
        self.scan_standing(&*store, document, &row, &mut |standing| {
            let header = &standing.header;
            let builds_on = || header.deps.iter().chain(&header.prev).any(|link| out.contains_key(link));
            match causes.get(&standing.link).copied().or_else(|| builds_on().then_some(Cause::BuiltOn)) {
                Some(cause) => {
                    out.insert(standing.link, (standing, cause));
                }
                None => rebuilt.take_in(header, standing.link, standing.position),
            }
        })?;
        if out.is_empty() {
            return Ok(());
        }
        for (Standing { position, header, .. }, _) in out.values() {
            if let Err(place) = rebuilt.skipped.binary_search(position) {
                rebuilt.skipped.insert(place, *position);
            }
            if let Some(author) = rebuilt.author_mut(header) {
                author.closed = true;
            }
        }
        save(store, DOCUMENTS, &[], document.as_bytes(), &rebuilt)?;
        for (link, (standing, cause)) in out {
            self.put_out(link, &standing, cause, store)?;
        }
        Ok(())
    }

    fn put_out(
        &mut self,
        link: Link,
        standing: &Standing,
        cause: Cause,
        store: &mut dyn DeviceStore,
    ) -> Result<(), Halt> {
        let document = standing.header.document;
        let place = load::<LinkRow>(&*store, LINKS, link.as_bytes())?;
        let at_relay = place.as_ref().is_some_and(|place| place.at_relay);
        let epoch = place.as_ref().map_or(standing.header.epoch, |place| place.epoch);
        let held = place.and_then(|place| place.held);
        let own = standing.header.device == self.device;
        store.delete(LINKS, link.as_bytes())?;
        let row = ExcludedRow { position: Some(standing.position), cause, epoch, at_relay, own, document, held };
        let (group, value) = (document.as_bytes().as_slice(), vereda_base::encode(&row));
        self.keep_within(&Kept { table: EXCLUDED, group, key: link.as_bytes(), value: &value }, UNBOUNDED, store)?;
        if own {
            self.forget_queued(link, &document, store)?;
        }
        self.woken.insert(Awaited::Chunk(link));
        if cause != Cause::Remade {
            self.tell(Event::Excluded { document });
        }
        if own && matches!(cause, Cause::Rights | Cause::BuiltOn) {
            self.tell(Event::Remake { document });
        }
        Ok(())
    }

    /// Notes that a chunk that was never stored does not stand, so that what builds on it need not wait. Where there is no
    /// room for that, it waits all the same.
    pub(super) fn note_excluded(
        &mut self,
        header: &Header,
        cause: Cause,
        store: &mut dyn DeviceStore,
    ) -> Result<(), Halt> {
        let (document, link) = (header.document, header.link());
        let own = header.device == self.device;
        let epoch = header.epoch;
        let row = ExcludedRow { position: None, cause, epoch, at_relay: true, own, document, held: None };
        let (group, value) = (document.as_bytes().as_slice(), vereda_base::encode(&row));
        let kept = Kept { table: EXCLUDED, group, key: link.as_bytes(), value: &value };
        self.keep_within(&kept, self.config.limits.keep.waiting_chunks, store)?;
        self.woken.insert(Awaited::Chunk(link));
        Ok(())
    }

    /// Judges anew a chunk that does not stand: it was adopted, or what spoke against it is void.
    pub(super) fn reinstate(
        &mut self,
        document: &ChainId,
        link: &Link,
        store: &mut dyn DeviceStore,
    ) -> Result<(), Halt> {
        let Some(row) = load::<ExcludedRow>(&*store, EXCLUDED, link.as_bytes())? else {
            return Ok(());
        };
        let chunk = match row.position {
            Some(position) => load_chunk(&*store, document, position)?,
            None => self.take_set_aside(document, link, store)?,
        };
        self.release(EXCLUDED, document.as_bytes(), link.as_bytes(), store)?;
        let Some(chunk) = chunk else {
            return Ok(());
        };
        let upto = self.cache(&*store)?.meta.content;
        self.take_handed(chunk, upto, Origin::Relay(row.held), store)
    }

    /// Lets incarnations go on of which nothing is excluded any more; or, to judge what is, all of them.
    pub(super) fn open_authors(
        &mut self,
        document: &ChainId,
        all: bool,
        store: &mut dyn DeviceStore,
    ) -> Result<(), Halt> {
        let Some(mut row) = load::<DocumentRow>(&*store, DOCUMENTS, document.as_bytes())? else {
            return Ok(());
        };
        row.authors.iter_mut().for_each(|author| author.closed = false);
        if !all {
            for (_, excluded) in load_all::<ExcludedRow>(&*store, EXCLUDED, Some(document.as_bytes()))? {
                let Some(position) = excluded.position else { continue };
                let Some(chunk) = load_chunk(&*store, document, position)? else { continue };
                if let Some(author) = row.author_mut(&read(CHUNKS, chunk.header.bytes())?) {
                    author.closed = true;
                }
            }
        }
        Ok(save(store, DOCUMENTS, &[], document.as_bytes(), &row)?)
    }

    /// Takes a chunk back from among those set aside.
    fn take_set_aside(
        &mut self,
        document: &ChainId,
        link: &Link,
        store: &mut dyn DeviceStore,
    ) -> Result<Option<Chunk>, StoreError> {
        for (key, row) in load_all::<QuarantinedChunk>(&*store, QUARANTINE, Some(document.as_bytes()))? {
            let chunk: Chunk = read(QUARANTINE, &row.chunk)?;
            let header = vereda_base::decode::<Header>(chunk.header.bytes(), limits::MAX_HEADER_BYTES);
            if header.is_ok_and(|header| header.link() == *link) {
                self.release(QUARANTINE, document.as_bytes(), &key, store)?;
                return Ok(Some(chunk));
            }
        }
        Ok(None)
    }

    /// Shows the chunks of a document that stand, by position.
    pub(super) fn scan_standing(
        &self,
        store: &dyn DeviceStore,
        document: &ChainId,
        row: &DocumentRow,
        each: &mut dyn FnMut(Standing),
    ) -> Result<(), StoreError> {
        let mut failed = None;
        store.scan(CHUNKS, Some(document.as_bytes()), &mut |key, value| {
            let position = key.last_chunk::<8>().map_or(0, |bytes| u64::from_be_bytes(*bytes));
            if row.skipped.binary_search(&position).is_ok() {
                return ControlFlow::Continue(());
            }
            let header = read::<Chunk>(CHUNKS, value).and_then(|chunk| read::<Header>(CHUNKS, chunk.header.bytes()));
            match header {
                Ok(header) => {
                    each(Standing { position, link: header.link(), header });
                    ControlFlow::Continue(())
                }
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            }
        })?;
        failed.map_or(Ok(()), Err)
    }

    fn is_own_chunk(&self, link: &Link, store: &dyn DeviceStore) -> Result<bool, StoreError> {
        let Some(chunk) = super::content::load_by_link(store, link)? else {
            return Ok(false);
        };
        Ok(read::<Header>(CHUNKS, chunk.header.bytes())?.device == self.device)
    }
}
