//! The content lane: whether a chunk stands, waits or is set aside.

use vereda_base::{ChainId, ChunkId, Digest, Link, limits};
use vereda_crypto::{Verified, context, hash};
use vereda_policy::{
    Authorized, CiteRegress, ContentRefusal, LedgerError, adopt_content, authorize_content, check_cites_advance,
    content_reliance,
};
use vereda_protocol::{Chunk, Header, Logged, Position};

use super::{
    effect::Event,
    frontiers::Reliant,
    machine::{DeviceMachine, Halt},
    operations::op_waits,
    removals::place_of,
    shelf::ChainView,
    store::{DeviceStore, StoreError},
    tables::{
        AWAITED, Awaited, CHUNKS, Cause, DOCUMENTS, DocumentRow, EXCLUDED, ExcludedRow, Held, LINKS, LinkRow,
        QUARANTINE, QuarantineReason, QuarantinedChunk, UNKEPT, WAITING_CHUNKS, WaitingChunk, load, place_key, read,
        save,
    },
    tally::{Kept, Room},
};

/// What a chunk was found to be.
#[derive(Debug)]
pub(super) enum Judged {
    /// It stands and continues what is stored.
    Stands(Box<Authorized<Header>>),
    /// A chunk with this link is stored.
    Known(LinkRow),
    /// It cannot be judged yet.
    Waits(Awaited),
    /// It is known not to stand.
    Excluded,
    /// It breaks a rule. With the link of the chunk that contradicts it, if one does.
    Breaks(QuarantineReason, Option<Link>),
}

/// Who hands a chunk in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// The relay, which says that it stands; when it did so before.
    Relay(Option<Held>),
    /// This device itself: whether it stands is for the relay to say.
    Here,
}

impl DeviceMachine {
    /// Judges a chunk from outside, at this position of the relay's log or before, and does with it what it deserves.
    pub(super) fn take_chunk(&mut self, chunk: Chunk, upto: Position, store: &mut dyn DeviceStore) -> Result<(), Halt> {
        self.take_handed(chunk, upto, Origin::Relay(None), store)
    }

    /// As [`Self::take_chunk`], of a chunk that may have been here before.
    pub(super) fn take_handed(
        &mut self,
        chunk: Chunk,
        upto: Position,
        origin: Origin,
        store: &mut dyn DeviceStore,
    ) -> Result<(), Halt> {
        let Ok(header) = chunk.header.clone().verify() else {
            let document = vereda_base::decode::<Header>(chunk.header.bytes(), limits::MAX_HEADER_BYTES)
                .map_or(ChainId([0; 32]), |header| header.document);
            return self.quarantine(&chunk, document, QuarantineReason::BadHeader, None, store);
        };
        let document = header.value().document;
        if self.shelf.find(&*store, &document)?.is_some_and(|state| state.is_erased()) {
            // It was made before that: nothing of it is to be kept, and its author did nothing wrong.
            return Ok(());
        }
        match self.judge(&header, &chunk, origin, &*store)? {
            Judged::Stands(header) => self.keep_chunk(&header, &chunk, origin, store),
            Judged::Known(row) => self.take_known_chunk(&header, &chunk, row, store),
            Judged::Excluded => Ok(()),
            Judged::Waits(awaited) => {
                if let Awaited::Leaf { chain, removal, .. } = awaited {
                    self.want_leaf(chain, removal, place_of(header.value()), store)?;
                }
                let id = chunk.id();
                let bound = self.config.limits.keep.waiting_chunks;
                let row = vereda_base::encode(&WaitingChunk { awaited, chunk: vereda_base::encode(&chunk) });
                let (group, key) = (document.as_bytes().as_slice(), id.as_bytes().as_slice());
                match self.keep_within(&Kept { table: WAITING_CHUNKS, group, key, value: &row }, bound, store)? {
                    Room::Kept => Ok(store.put(AWAITED, awaited.bytes(), id.as_bytes(), &[])?),
                    Room::GroupFull => self.note_gap(&document, upto, store),
                    Room::TableFull => Err(Halt::Overfull),
                }
            }
            Judged::Breaks(reason, other) => {
                let cause = match reason {
                    QuarantineReason::BeyondFrontier => Some(Cause::Rights),
                    QuarantineReason::BuiltOnExcluded => Some(Cause::BuiltOn),
                    _ => None,
                };
                if let Some(cause) = cause {
                    self.note_excluded(header.value(), cause, store)?;
                }
                self.quarantine(&chunk, document, reason, other, store)
            }
        }
    }

    /// Takes up the chunks that waited for a chain or a chunk.
    pub(super) fn retry_chunks(&mut self, awaited: &[u8; 32], store: &mut dyn DeviceStore) -> Result<(), Halt> {
        let mut ids = Vec::new();
        store.scan(AWAITED, Some(awaited), &mut |key, _| {
            ids.push(key.to_vec());
            std::ops::ControlFlow::Continue(())
        })?;
        for id in ids {
            store.delete(AWAITED, &id)?;
            let Some(row) = load::<WaitingChunk>(&*store, WAITING_CHUNKS, &id)? else {
                continue;
            };
            let chunk: Chunk = read(WAITING_CHUNKS, &row.chunk)?;
            // Its signature held when it was found to wait.
            let header = vereda_base::decode::<Header>(chunk.header.bytes(), limits::MAX_HEADER_BYTES);
            let document = header.map_or(ChainId([0; 32]), |header| header.document);
            self.release(WAITING_CHUNKS, document.as_bytes(), &id, store)?;
            let upto = self.cache(&*store)?.meta.content;
            self.take_chunk(chunk, upto, store)?;
            if store.get(WAITING_CHUNKS, &id)?.is_none() {
                self.fill_gap(&document, store)?;
            }
        }
        Ok(())
    }

    /// Judges a chunk whose header's signature holds.
    pub(super) fn judge(
        &self,
        verified: &Verified<Header>,
        chunk: &Chunk,
        origin: Origin,
        store: &dyn DeviceStore,
    ) -> Result<Judged, StoreError> {
        let header = verified.value();
        if !matches_ciphertext(header, chunk) {
            return Ok(Judged::Breaks(QuarantineReason::BadCiphertext, None));
        }
        if !is_well_formed(header) {
            return Ok(Judged::Breaks(QuarantineReason::BadForm, None));
        }
        let link = header.link();
        if let Some(row) = load::<LinkRow>(store, LINKS, link.as_bytes())? {
            return Ok(Judged::Known(row));
        }
        let view = self.shelf.view(store);
        let adopted = adopt_content(&view, verified, &link).ok();
        let judged = match adopted {
            Some(adopted) => self.judge_place(header, true, store)?.unwrap_or(Judged::Stands(Box::new(adopted))),
            None if load::<ExcludedRow>(store, EXCLUDED, link.as_bytes())?.is_some() => Judged::Excluded,
            None => self.judge_unadopted(&view, verified, origin, store)?,
        };
        view.finish()?;
        Ok(judged)
    }

    fn judge_unadopted(
        &self,
        view: &ChainView<'_>,
        verified: &Verified<Header>,
        origin: Origin,
        store: &dyn DeviceStore,
    ) -> Result<Judged, StoreError> {
        let header = verified.value();
        let authorized = match authorize_content(view, verified, None) {
            Ok(authorized) => authorized,
            Err(ContentRefusal::Waiting { chain, .. }) => return Ok(Judged::Waits(Awaited::Policy(chain))),
            Err(_) => return Ok(Judged::Breaks(QuarantineReason::NotAuthorized, None)),
        };
        if let Origin::Relay(held) = origin {
            match self.judge_rights(view, store, header, held, false)? {
                Reliant::Stands | Reliant::Held(_) => {}
                // It may have been taken in by what waits in its chain.
                Reliant::Beyond(_) if op_waits(store, &header.document)? => {
                    return Ok(Judged::Waits(Awaited::Policy(header.document)));
                }
                Reliant::Beyond(_) => return Ok(Judged::Breaks(QuarantineReason::BeyondFrontier, None)),
                Reliant::Waits(awaited) => return Ok(Judged::Waits(awaited)),
            }
        }
        if let Some(judged) = self.judge_place(header, false, store)? {
            return Ok(judged);
        }
        let document = load::<DocumentRow>(store, DOCUMENTS, header.document.as_bytes())?.unwrap_or_default();
        Ok(match check_cites_advance(view, document.cites_of(header), &header.cites) {
            Err(LedgerError::Waiting(waiting)) => Judged::Waits(Awaited::Policy(waiting.chain)),
            Err(LedgerError::Regress(CiteRegress { .. })) => Judged::Breaks(QuarantineReason::CiteRegressed, None),
            Ok(()) => Judged::Stands(Box::new(authorized)),
        })
    }

    /// Judges whether a chunk continues its author's sequence and builds on what is stored; `None` if so.
    fn judge_place(
        &self,
        header: &Header,
        adopted: bool,
        store: &dyn DeviceStore,
    ) -> Result<Option<Judged>, StoreError> {
        let document = load::<DocumentRow>(store, DOCUMENTS, header.document.as_bytes())?.unwrap_or_default();
        let author = document.author(header);
        let next_seq = author.map_or(0, |author| author.next_seq);
        // Of its own work it is told so by the relay.
        if author.is_none() && header.device != self.device {
            let begun = document.authors.iter().filter(|author| author.device == header.device).count();
            if begun >= limits::MAX_INCARNATIONS {
                return Ok(Some(Judged::Breaks(QuarantineReason::TooManyIncarnations, None)));
            }
        }
        if author.is_some_and(|author| author.forked) {
            return Ok(Some(Judged::Breaks(QuarantineReason::Fork, author.and_then(|author| author.last))));
        }
        if !adopted && author.is_some_and(|author| author.closed) {
            return Ok(Some(Judged::Breaks(QuarantineReason::BuiltOnExcluded, None)));
        }
        if header.seq < next_seq {
            let other = find_at_place(store, header)?;
            return Ok(Some(Judged::Breaks(QuarantineReason::Fork, other)));
        }
        if header.seq > next_seq {
            // Without its predecessor it cannot be awaited: only the first of an incarnation may lack one.
            let awaited = header.prev.map(|prev| Judged::Waits(Awaited::Chunk(prev)));
            return Ok(Some(awaited.unwrap_or(Judged::Breaks(QuarantineReason::NotContiguous, None))));
        }
        if header.seq > 0 && header.prev != author.and_then(|author| author.last) {
            return Ok(Some(Judged::Breaks(QuarantineReason::NotContiguous, author.and_then(|author| author.last))));
        }
        for link in header.deps.iter().chain(&header.prev) {
            match load::<LinkRow>(store, LINKS, link.as_bytes())? {
                None if self.stays_out(link, adopted, store)? => {
                    return Ok(Some(Judged::Breaks(QuarantineReason::BuiltOnExcluded, None)));
                }
                None => return Ok(Some(Judged::Waits(Awaited::Chunk(*link)))),
                Some(row) if row.document != header.document => {
                    return Ok(Some(Judged::Breaks(QuarantineReason::BadForm, None)));
                }
                Some(_) => {}
            }
        }
        Ok(None)
    }

    /// Says whether a chunk that another builds on will not come to stand.
    fn stays_out(&self, link: &Link, adopted: bool, store: &dyn DeviceStore) -> Result<bool, StoreError> {
        let row = load::<ExcludedRow>(store, EXCLUDED, link.as_bytes())?;
        // What is in review may yet be taken in, and so is what something adopted builds on.
        Ok(row.is_some_and(|row| !adopted && row.cause != Cause::InReview))
    }

    /// Stores a chunk that stands, with everything that follows from it.
    pub(super) fn keep_chunk(
        &mut self,
        header: &Authorized<Header>,
        chunk: &Chunk,
        origin: Origin,
        store: &mut dyn DeviceStore,
    ) -> Result<(), Halt> {
        let header = header.value();
        let (document, link) = (header.document, header.link());
        let mut row = load::<DocumentRow>(&*store, DOCUMENTS, document.as_bytes())?.unwrap_or_default();
        let position = row.count;
        row.append(header, link);
        store.put(CHUNKS, document.as_bytes(), &place_key(&document, position), &vereda_base::encode(chunk))?;
        let (at_relay, held) = match origin {
            Origin::Here => (false, None),
            Origin::Relay(Some(held)) => (true, Some(held)),
            Origin::Relay(None) => (true, Some(self.note_handed(&*store)?)),
        };
        let place = LinkRow { document, position, epoch: header.epoch, at_relay, taken_in: None, held };
        save(store, LINKS, document.as_bytes(), link.as_bytes(), &place)?;
        self.release(EXCLUDED, document.as_bytes(), link.as_bytes(), store)?;
        save(store, DOCUMENTS, &[], document.as_bytes(), &row)?;
        self.woken.insert(Awaited::Chunk(link));
        if at_relay {
            self.note_logged(Logged::Chunk { document, link }, &*store)?;
            self.tell(Event::ChunksStored { document });
        }
        Ok(())
    }

    /// Works off a chunk that is stored already: the relay has it, perhaps sealed again under a newer epoch.
    fn take_known_chunk(
        &mut self,
        header: &Verified<Header>,
        chunk: &Chunk,
        row: LinkRow,
        store: &mut dyn DeviceStore,
    ) -> Result<(), Halt> {
        let (document, link) = (header.value().document, header.value().link());
        let mut row = row;
        if self.may_replace(header, &row, &*store)? {
            row.epoch = header.value().epoch;
            let key = place_key(&document, row.position);
            store.put(CHUNKS, document.as_bytes(), &key, &vereda_base::encode(chunk))?;
            save(store, LINKS, document.as_bytes(), link.as_bytes(), &row)?;
            self.tell(Event::ChunksStored { document });
        }
        self.acknowledge(link, row, store)
    }

    /// Says whether a chunk sealed again takes the place of the stored bytes with its link. Those open here as well as anywhere,
    /// unless their epoch was called bad; and what the new ones hold nobody can tell from outside. So they are taken then
    /// only, and of an author whose rights last: one who was removed would put garbage in place of what others read.
    fn may_replace(
        &self,
        header: &Verified<Header>,
        row: &LinkRow,
        store: &dyn DeviceStore,
    ) -> Result<bool, StoreError> {
        let new = header.value();
        if new.epoch <= row.epoch || new.device == self.device {
            return Ok(false);
        }
        let view = self.shelf.view(store);
        let is_bad = |state: std::sync::Arc<vereda_policy::ChainState>| {
            state.epoch(row.epoch).is_some_and(|epoch| epoch.fault.is_some())
        };
        let may = vereda_policy::Chains::chain(&view, &new.document).is_some_and(is_bad)
            && authorize_content(&view, header, None).is_ok()
            && content_reliance(&view, new).is_ok_and(|relies| relies.is_empty());
        view.finish()?;
        Ok(may)
    }

    fn quarantine(
        &mut self,
        chunk: &Chunk,
        document: ChainId,
        reason: QuarantineReason,
        other: Option<Link>,
        store: &mut dyn DeviceStore,
    ) -> Result<(), Halt> {
        let other = match other {
            Some(link) => load_by_link(&*store, &link)?.map(|chunk| vereda_base::encode(&chunk)),
            None => None,
        };
        let row = QuarantinedChunk { reason, chunk: vereda_base::encode(chunk), other };
        self.set_aside(chunk.id(), document, &row, store)?;
        if reason == QuarantineReason::Fork {
            self.note_fork(chunk, store)?;
        }
        Ok(())
    }

    /// Keeps a chunk as evidence; where there is no room for more of it, that it was there.
    fn set_aside(
        &mut self,
        id: ChunkId,
        document: ChainId,
        row: &QuarantinedChunk,
        store: &mut dyn DeviceStore,
    ) -> Result<(), StoreError> {
        let (bound, value) = (self.config.limits.keep.quarantine, vereda_base::encode(row));
        let (group, key) = (document.as_bytes().as_slice(), id.as_bytes().as_slice());
        let room = self.keep_within(&Kept { table: QUARANTINE, group, key, value: &value }, bound, store)?;
        // Of documents that nobody was told of there may be any number.
        if room != Room::Kept && self.shelf.find(&*store, &document)?.is_some() {
            let unkept = load::<u64>(&*store, UNKEPT, group)?.unwrap_or_default();
            save(store, UNKEPT, &[], group, &unkept.saturating_add(1))?;
        }
        self.tell(Event::Quarantined { chunk: id, document });
        Ok(())
    }

    /// Takes nothing more of an incarnation that made two chunks for one place.
    fn note_fork(&mut self, chunk: &Chunk, store: &mut dyn DeviceStore) -> Result<(), Halt> {
        let Ok(header) = chunk.header.clone().verify() else {
            return Ok(());
        };
        let document = header.value().document;
        let Some(mut row) = load::<DocumentRow>(&*store, DOCUMENTS, document.as_bytes())? else {
            return Ok(());
        };
        if let Some(author) = row.author_mut(header.value()) {
            author.forked = true;
            save(store, DOCUMENTS, &[], document.as_bytes(), &row)?;
        }
        Ok(())
    }

    /// Sets a stored chunk aside as evidence, because the application found its content hostile. Its place among the
    /// document's chunks stays, so that positions and sequences hold.
    ///
    /// # Errors
    /// [`StoreError`] by cause.
    pub fn quarantine_content(&mut self, store: &mut dyn DeviceStore, link: &Link) -> Result<(), StoreError> {
        let Some(chunk) = load_by_link(&*store, link)? else {
            return Ok(());
        };
        let Some(row) = load::<LinkRow>(&*store, LINKS, link.as_bytes())? else {
            return Ok(());
        };
        let kept =
            QuarantinedChunk { reason: QuarantineReason::BadContent, chunk: vereda_base::encode(&chunk), other: None };
        self.set_aside(chunk.id(), row.document, &kept, store)
    }
}

/// Reads a chunk by its local position.
pub(super) fn load_chunk(
    store: &dyn DeviceStore,
    document: &ChainId,
    position: u64,
) -> Result<Option<Chunk>, StoreError> {
    load(store, CHUNKS, &place_key(document, position))
}

/// Reads a chunk by its link.
pub(super) fn load_by_link(store: &dyn DeviceStore, link: &Link) -> Result<Option<Chunk>, StoreError> {
    match load::<LinkRow>(store, LINKS, link.as_bytes())? {
        Some(row) => load_chunk(store, &row.document, row.position),
        None => Ok(None),
    }
}

/// Finds the stored chunk at a header's place. Looks through the whole document: only forks ask for it.
fn find_at_place(store: &dyn DeviceStore, header: &Header) -> Result<Option<Link>, StoreError> {
    let mut found = None;
    store.scan(CHUNKS, Some(header.document.as_bytes()), &mut |_, value| {
        let stored = read::<Chunk>(CHUNKS, value).ok();
        let stored =
            stored.and_then(|chunk| vereda_base::decode::<Header>(chunk.header.bytes(), limits::MAX_HEADER_BYTES).ok());
        let place = |header: &Header| (header.device, header.incarnation, header.seq);
        match stored.filter(|stored| place(stored) == place(header)) {
            Some(stored) => {
                found = Some(stored.link());
                std::ops::ControlFlow::Break(())
            }
            None => std::ops::ControlFlow::Continue(()),
        }
    })?;
    Ok(found)
}

pub(super) fn is_well_formed(header: &Header) -> bool {
    let count = header.change_count as usize;
    header.suite == vereda_policy::SUITE
        && header.deps.len() <= limits::MAX_DEPS
        && header.deps.is_sorted_by(|a, b| a < b)
        && (1..=limits::MAX_CHANGES_PER_CHUNK).contains(&count)
        && header.first_change >= 1
        && header.first_change.checked_add(u64::from(header.change_count)).is_some()
        && header.ciphertext_len as usize <= limits::MAX_CIPHERTEXT_BYTES
        && (header.seq == 0 || header.prev.is_some())
}

/// Says whether a chunk's body is the one that its header names.
pub(super) fn matches_ciphertext(header: &Header, chunk: &Chunk) -> bool {
    let hashed = Digest(hash(context::CIPHERTEXT, &[&chunk.ciphertext]));
    chunk.ciphertext.len() as u64 == u64::from(header.ciphertext_len) && hashed == header.ciphertext_hash
}
