//! The policy lane: operations, wraps, and documents that became visible.

use vereda_base::{ChainId, OpId, limits};
use vereda_policy::{Chains as _, Wrap, WrapProof, verify_wrap};
use vereda_protocol::{Chunk, Down, Goodbye, Header, Logged, PolicyEntry, Position, Up};

use super::{
    effect::{Disconnect, Event},
    machine::{DeviceMachine, Halt},
    store::{DeviceStore, StoreError},
    tables::{
        Awaited, BACKFILL, BackfillRow, EVIDENCE, Evidence, OpRow, StoredWrap, WAITING_OPS, WAITING_WRAPS, WRAPS,
        load_all, read, save, wrap_key,
    },
    tally::{Kept, Room},
};

/// A wrap whose operation is not here yet.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
#[cbor(array)]
struct WaitingWrap {
    #[n(0)]
    op: OpId,
    #[n(1)]
    wrap: Wrap,
    #[n(2)]
    proof: WrapProof,
}

impl DeviceMachine {
    /// Works off what a relay that proved itself says.
    pub(super) fn take_message(&mut self, message: Down, store: &mut dyn DeviceStore) -> Result<(), Halt> {
        match message {
            Down::Challenge { .. } | Down::Welcome { .. } => return Err(Halt::Violation),
            // A cursor moves over what was filtered out together with what was not, or when all was served.
            Down::Policy { entries, .. } if entries.is_empty() => return Err(Halt::Violation),
            Down::Content { chunks, .. } if chunks.is_empty() => return Err(Halt::Violation),
            Down::Policy { entries, cursor } => {
                self.note_logged_policy(&entries, store)?;
                self.take_entries(entries, store)?;
                self.check_heads(store)?;
                let meta = &mut self.cache(store)?.meta;
                meta.policy = meta.policy.max(cursor);
            }
            Down::Content { chunks, cursor } => {
                self.take_content(chunks, cursor, store)?;
            }
            Down::CaughtUp { cursor } => {
                let meta = &mut self.cache(store)?.meta;
                meta.policy = meta.policy.max(cursor);
                meta.content = meta.content.max(cursor);
                if let Some(session) = self.session() {
                    session.caught_up = true;
                }
                self.leaves_wanted = true;
                self.ask_leaves(store)?;
                self.ask_review(store)?;
                self.check_heads(store)?;
                self.check_waiting(store)?;
                self.tell(Event::CaughtUp);
            }
            Down::BackfillPart { document, entries, chunks, cursor } => {
                self.take_entries(entries, store)?;
                for chunk in chunks {
                    self.take_chunk(chunk, cursor, store)?;
                }
                self.work_woken(store)?;
                self.take_backfill_cursor(document, cursor, store)?;
            }
            Down::OpResult { request, outcome } => {
                return self.take_op_result(request, outcome, store);
            }
            Down::ChunkResult { link, outcome } => {
                if let Some(session) = self.session() {
                    session.asked_review.remove(&link);
                }
                return self.take_chunk_result(link, outcome, store);
            }
            Down::Offer { request, from, leaves } => self.take_page(request, from, leaves, store)?,
            Down::Leaves { chain, removal, answers } => self.take_leaves(chain, removal, &answers, store)?,
            Down::Credit(bytes) => {
                if let Some(session) = self.session() {
                    session.allowed = session.allowed.saturating_add(bytes);
                }
            }
            Down::Goodbye(Goodbye::Forgotten) => return Ok(self.take_forgotten(store)?),
            Down::Goodbye(why) => {
                self.disconnect(Disconnect::Goodbye(why));
                return Ok(());
            }
        }
        self.ask_unkept(store)?;
        self.ask_backfill(store)?;
        self.pump(store)
    }

    fn take_content(&mut self, chunks: Vec<Chunk>, cursor: Position, store: &mut dyn DeviceStore) -> Result<(), Halt> {
        let last = chunks.last().and_then(logged_chunk);
        for chunk in chunks {
            self.take_chunk(chunk, cursor, store)?;
        }
        self.work_woken(store)?;
        let meta = &mut self.cache(store)?.meta;
        meta.content = meta.content.max(cursor);
        meta.last_content = last.or(meta.last_content);
        Ok(())
    }

    fn take_entries(&mut self, entries: Vec<PolicyEntry>, store: &mut dyn DeviceStore) -> Result<(), Halt> {
        for entry in entries {
            match entry {
                PolicyEntry::Op { op, receipt } => self.take_op(op, receipt, store)?,
                PolicyEntry::Wrap { chain, op, wrap, proof } => {
                    self.take_wrap(chain, WaitingWrap { op, wrap, proof }, store)?;
                }
                PolicyEntry::Visible { document, upto } => self.take_visible(document, upto, store)?,
                PolicyEntry::Frontier { chain, removal, leaves } => {
                    self.take_frontier(chain, removal, leaves, store)?;
                }
                PolicyEntry::Review { chunk, received } => self.take_review(&chunk, received, store)?,
                PolicyEntry::ReviewDocument { create, wraps, received } => {
                    self.take_review_document(create, wraps, received, store)?;
                }
            }
        }
        self.work_woken(store)
    }

    /// Takes up everything that waited for what became known.
    pub(super) fn work_woken(&mut self, store: &mut dyn DeviceStore) -> Result<(), Halt> {
        loop {
            self.work_all_woken(store)?;
            if !self.work_unsettled(store)? {
                return self.ask_leaves(store);
            }
        }
    }

    fn work_all_woken(&mut self, store: &mut dyn DeviceStore) -> Result<(), Halt> {
        while let Some(woken) = self.woken.pop_first() {
            if !matches!(woken, Awaited::Chunk(_)) {
                self.retry_ops(Some(woken.bytes()), store)?;
            }
            if let Awaited::Policy(chain) = woken {
                self.retry_leaves(&chain, store)?;
                for (key, waiting) in load_all::<WaitingWrap>(store, WAITING_WRAPS, Some(chain.as_bytes()))? {
                    self.release(WAITING_WRAPS, chain.as_bytes(), &key, store)?;
                    self.take_wrap(chain, waiting, store)?;
                }
            }
            self.retry_chunks(woken.bytes(), store)?;
        }
        Ok(())
    }

    /// Tries all operations that wait.
    pub(super) fn retry_all_ops(&mut self, store: &mut dyn DeviceStore) -> Result<(), Halt> {
        self.retry_ops(None, store)?;
        self.work_woken(store)
    }

    /// Asks for the earlier entries of one newly visible document at a time.
    pub(super) fn ask_backfill(&mut self, store: &mut dyn DeviceStore) -> Result<(), Halt> {
        let next = self.cache(store)?.backfills.first().copied();
        let Some(session) = self.session() else {
            return Ok(());
        };
        let (Some(next), None, true) = (next, session.backfilling, session.caught_up) else {
            return Ok(());
        };
        session.backfilling = Some(next.document);
        self.send(&Up::Backfill { document: next.document, after: next.after, upto: next.upto })?;
        Ok(())
    }

    fn retry_ops(&mut self, awaited: Option<&[u8; 32]>, store: &mut dyn DeviceStore) -> Result<(), Halt> {
        let mut rows = load_all::<OpRow>(store, WAITING_OPS, awaited.map(<[u8; 32]>::as_slice))?;
        // By chain and seq, so that one after the other finds its place.
        rows.sort_by(|a, b| a.0.cmp(&b.0));
        for (key, row) in rows {
            self.release(WAITING_OPS, &[], &key, store)?;
            match (row.receipt, row.held) {
                (Some(receipt), Some(held)) => self.take_handed_op(row.op, receipt, held, store)?,
                (Some(receipt), None) => self.take_op(row.op, receipt, store)?,
                (None, _) => {}
            }
        }
        Ok(())
    }

    /// Keeps an operation until there is news of a chain.
    pub(super) fn await_op(
        &mut self,
        awaited: &[u8; 32],
        key: &[u8],
        row: &OpRow,
        store: &mut dyn DeviceStore,
    ) -> Result<(), Halt> {
        let (bound, value) = (self.config.limits.keep.waiting_ops, vereda_base::encode(row));
        let kept = Kept { table: WAITING_OPS, group: awaited, key, value: &value };
        match self.keep_within(&kept, bound, store)? {
            Room::Kept => Ok(()),
            Room::GroupFull | Room::TableFull => Err(Halt::Overfull),
        }
    }

    /// Keeps what proves a breach, as long as there is room; what it forbids has no effect all the same.
    pub(super) fn keep_evidence(
        &mut self,
        chain: &ChainId,
        key: &[u8],
        evidence: &Evidence,
        store: &mut dyn DeviceStore,
    ) -> Result<(), StoreError> {
        let (bound, value) = (self.config.limits.keep.evidence, vereda_base::encode(evidence));
        let kept = Kept { table: EVIDENCE, group: chain.as_bytes(), key, value: &value };
        self.keep_within(&kept, bound, store).map(|_| ())
    }

    /// Verifies a wrap against the list that its operation commits to, and stores it.
    fn take_wrap(&mut self, chain: ChainId, waiting: WaitingWrap, store: &mut dyn DeviceStore) -> Result<(), Halt> {
        let WaitingWrap { op, wrap, proof } = &waiting;
        let key = wrap_key(op, wrap);
        let state = self.shelf.find(&*store, &chain)?;
        let found = state
            .iter()
            .flat_map(|state| state.epochs())
            .find_map(|epoch| epoch.wraps.iter().find(|wraps| wraps.op == *op).map(|wraps| (epoch.number, wraps.list)));
        let Some((epoch, list)) = found else {
            let (bound, value) = (self.config.limits.keep.waiting_wraps, vereda_base::encode(&waiting));
            let kept = Kept { table: WAITING_WRAPS, group: chain.as_bytes(), key: &key, value: &value };
            return match self.keep_within(&kept, bound, store)? {
                Room::Kept => Ok(()),
                Room::GroupFull | Room::TableFull => Err(Halt::Overfull),
            };
        };
        verify_wrap(&list, wrap, proof).map_err(|_| Halt::Violation)?;
        let row = StoredWrap { op: *op, epoch, wrap: wrap.clone() };
        save(store, WRAPS, chain.as_bytes(), &key, &row)?;
        self.tell(Event::WrapStored { chain });
        Ok(())
    }

    pub(super) fn take_visible(
        &mut self,
        document: ChainId,
        upto: Position,
        store: &mut dyn DeviceStore,
    ) -> Result<(), Halt> {
        let row = BackfillRow { document, after: Position(0), upto };
        if upto == Position(0) {
            return Ok(());
        }
        let most = self.config.limits.keep.backfills;
        let backfills = &mut self.cache(store)?.backfills;
        backfills.retain(|known| known.document != document);
        if backfills.len() >= most {
            return Err(Halt::Violation);
        }
        save(store, BACKFILL, &[], document.as_bytes(), &row)?;
        let backfills = &mut self.cache(store)?.backfills;
        backfills.push(row);
        if let Some(session) = self.session()
            && session.backfilling == Some(document)
        {
            // What is under way ends short of the new end; it is asked for anew then.
            session.backfilling = None;
        }
        Ok(())
    }

    fn take_backfill_cursor(
        &mut self,
        document: ChainId,
        cursor: Position,
        store: &mut dyn DeviceStore,
    ) -> Result<(), Halt> {
        let backfills = &mut self.cache(store)?.backfills;
        let Some(row) = backfills.iter_mut().find(|row| row.document == document) else {
            return Ok(());
        };
        row.after = row.after.max(cursor);
        let row = *row;
        if row.after < row.upto {
            return Ok(save(store, BACKFILL, &[], document.as_bytes(), &row)?);
        }
        backfills.retain(|row| row.document != document);
        let view = self.shelf.view(&*store);
        let newest = view.chain(&document).map(|state| state.head());
        view.finish()?;
        self.cache(&*store)?.meta.last_visible = newest.map(|op| Logged::Op { chain: document, op });
        store.delete(BACKFILL, document.as_bytes())?;
        if let Some(session) = self.session() {
            session.backfilling = None;
        }
        self.tell(Event::BackfillDone { document });
        self.fill_due_gap(&document, store)
    }
}

/// Names a chunk as one that the relay handed over.
fn logged_chunk(chunk: &Chunk) -> Option<Logged> {
    let header = vereda_base::decode::<Header>(chunk.header.bytes(), limits::MAX_HEADER_BYTES).ok()?;
    Some(Logged::Chunk { document: header.document, link: header.link() })
}

/// Reads the wraps stored for a chain, oldest first.
pub(super) fn wraps(store: &dyn DeviceStore, chain: &ChainId) -> Result<Vec<StoredWrap>, StoreError> {
    let mut wraps = Ok(Vec::new());
    store.scan(WRAPS, Some(chain.as_bytes()), &mut |_, value| {
        match (&mut wraps, read(WRAPS, value)) {
            (Ok(wraps), Ok(row)) => wraps.push(row),
            (_, Err(error)) => wraps = Err(error),
            _ => {}
        }
        std::ops::ControlFlow::Continue(())
    })?;
    wraps
}
