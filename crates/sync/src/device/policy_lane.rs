//! The policy lane: operations, wraps, and documents that became visible.

use vereda_base::{ChainId, OpId};
use vereda_crypto::{Signed, Verified};
use vereda_policy::{
    AppendContext, ChainKind, Chains, ForkProof, Op, OpRefusal, Receipt, Wrap, WrapProof, authorize, chain_of,
    check_receipt, op_id_of_bytes, verify_op, verify_wrap,
};
use vereda_protocol::{Down, PolicyEntry, Position, Up};

use super::{
    effect::{Disconnect, Event},
    machine::{DeviceMachine, Halt},
    store::{DeviceStore, StoreError},
    tables::{
        Awaited, BACKFILL, BackfillRow, CHAINS, EVIDENCE, Evidence, OPS, OpRow, StoredWrap, WAITING_OPS, WAITING_WRAPS,
        WRAPS, load, load_all, place_key, read, save, wrap_key,
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
            Down::Challenge { .. } | Down::Welcome { .. } | Down::Leaves { .. } => return Err(Halt::Violation),
            // A cursor moves over what was filtered out together with what was not, or when all was served.
            Down::Policy { entries, .. } if entries.is_empty() => return Err(Halt::Violation),
            Down::Content { chunks, .. } if chunks.is_empty() => return Err(Halt::Violation),
            Down::Policy { entries, cursor } => {
                self.take_entries(entries, store)?;
                self.check_heads(store)?;
                let meta = &mut self.cache(store)?.meta;
                meta.policy = meta.policy.max(cursor);
            }
            Down::Content { chunks, cursor } => {
                for chunk in chunks {
                    self.take_chunk(chunk, cursor, store)?;
                }
                self.work_woken(store)?;
                let meta = &mut self.cache(store)?.meta;
                meta.content = meta.content.max(cursor);
            }
            Down::CaughtUp { cursor } => {
                let meta = &mut self.cache(store)?.meta;
                meta.policy = meta.policy.max(cursor);
                meta.content = meta.content.max(cursor);
                if let Some(session) = self.session() {
                    session.caught_up = true;
                }
                self.ask_review(store)?;
                self.check_heads(store)?;
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
                return self.take_chunk_result(link, outcome, store);
            }
            Down::Credit(bytes) => {
                if let Some(session) = self.session() {
                    session.allowed = session.allowed.saturating_add(bytes);
                }
            }
            Down::Goodbye(why) => {
                self.disconnect(Disconnect::Goodbye(why));
                return Ok(());
            }
        }
        self.ask_backfill(store)?;
        self.pump(store)
    }

    fn take_entries(&mut self, entries: Vec<PolicyEntry>, store: &mut dyn DeviceStore) -> Result<(), Halt> {
        for entry in entries {
            match entry {
                PolicyEntry::Op { op, receipt } => self.take_op(op, receipt, store)?,
                PolicyEntry::Wrap { chain, op, wrap, proof } => {
                    self.take_wrap(chain, WaitingWrap { op, wrap, proof }, store)?;
                }
                PolicyEntry::Visible { document, upto } => self.take_visible(document, upto, store)?,
                PolicyEntry::Frontier { .. } => return Err(Halt::Violation),
                PolicyEntry::Review { chunk, received } => self.take_review(&chunk, received, store)?,
                PolicyEntry::ReviewDocument { create, wraps, received } => {
                    self.take_review_document(create, wraps, received, store)?;
                }
            }
        }
        self.work_woken(store)
    }

    /// Verifies, evaluates and stores an operation with its receipt; one that relies on what is not here yet waits.
    pub(super) fn take_op(
        &mut self,
        op: Signed<Op>,
        receipt: Signed<Receipt>,
        store: &mut dyn DeviceStore,
    ) -> Result<(), Halt> {
        let receipt = receipt.verify().map_err(|_| Halt::Violation)?;
        let (chain, seq) = (receipt.value().chain, receipt.value().seq);
        let row = OpRow::new(op.clone(), Some(receipt.signed().clone()));
        let op = match verify_op(op) {
            Ok(op) => op,
            Err(error) if error.needs_update() => {
                // Kept for the version that will understand it; what follows in the chain waits behind it.
                self.await_op(&chain, &place_key(&chain, seq), &row, store)?;
                self.tell(Event::UpdateNeeded { chain });
                return Ok(());
            }
            Err(_) => return Err(Halt::Violation),
        };
        if chain_of(op.value()) != chain || op.value().seq != seq {
            return Err(Halt::Violation);
        }
        self.judge_op(op, &receipt, row, store)
    }

    /// Takes up everything that waited for what became known.
    pub(super) fn work_woken(&mut self, store: &mut dyn DeviceStore) -> Result<(), Halt> {
        while let Some(woken) = self.woken.pop_first() {
            if let Awaited::Policy(chain) = woken {
                self.retry_ops(Some(&chain), store)?;
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

    fn judge_op(
        &mut self,
        op: Verified<Op>,
        receipt: &Verified<Receipt>,
        row: OpRow,
        store: &mut dyn DeviceStore,
    ) -> Result<(), Halt> {
        let (chain, seq) = (receipt.value().chain, receipt.value().seq);
        let view = self.shelf.view(&*store);
        let state = view.chain(&chain);
        let standing = state.as_ref().and_then(|state| state.op(seq).copied());
        let checked = check_receipt(&self.config.relay, receipt, &op, state.as_deref());
        let judged = match (&standing, checked) {
            (_, Err(_)) => {
                view.finish()?;
                return Err(Halt::Violation);
            }
            (Some(_), Ok(_)) => None,
            (None, Ok(checked)) => Some((authorize(&view, &op, &AppendContext::device(&checked)), checked.time())),
        };
        view.finish()?;
        let key = place_key(&chain, seq);
        match judged {
            None => self.take_known(&op, receipt, row, store),
            Some((Ok(op), time)) => {
                self.shelf.apply(&*store, &op, Some(time))?;
                let row = OpRow { holders: op.holders().map(<[_]>::to_vec), ..row };
                save(store, OPS, chain.as_bytes(), &key, &row)?;
                self.note_chain(chain, store)?;
                self.take_standing(op.id(), store)
            }
            Some((Err(OpRefusal::Waiting { chain: awaited, .. }), _)) => self.await_op(&awaited, &key, &row, store),
            Some((Err(_), _)) => {
                // Author and relay agree on what policy forbids: kept as evidence, and the chain stops here.
                self.keep_evidence(&chain, &key, &Evidence::Op { row }, store)?;
                self.tell(Event::OpQuarantined { chain, seq });
                Ok(())
            }
        }
    }

    /// Works off an operation for a place that is taken: the same again, or a second story.
    fn take_known(
        &mut self,
        op: &Verified<Op>,
        receipt: &Verified<Receipt>,
        row: OpRow,
        store: &mut dyn DeviceStore,
    ) -> Result<(), Halt> {
        let (chain, seq) = (receipt.value().chain, receipt.value().seq);
        let key = place_key(&chain, seq);
        let id = op_id_of_bytes(op.bytes());
        let Some(known) = load::<OpRow>(store, OPS, &key)? else {
            return Err(Halt::Violation);
        };
        if op_id_of_bytes(known.op.bytes()) == id {
            if known.receipt.is_none() {
                save(store, OPS, chain.as_bytes(), &key, &row)?;
                self.shelf.note_receipt_time(&chain, seq, receipt.value().time);
                self.tell(Event::PolicyChanged { chain });
            }
            return self.take_standing(id, store);
        }
        let Some(Ok(first)) = known.receipt.map(Signed::verify) else {
            return Err(Halt::Violation);
        };
        let proof: Option<ForkProof> = vereda_policy::detect_relay_fork(&first, receipt);
        let Some(proof) = proof else {
            return Err(Halt::Violation);
        };
        self.keep_evidence(&chain, &key, &Evidence::Fork { proof }, store)?;
        self.tell(Event::RelayForked { chain, seq });
        self.disconnect(Disconnect::RelayForked);
        Ok(())
    }

    /// Notes that a chain grew.
    pub(super) fn note_chain(&mut self, chain: ChainId, store: &mut dyn DeviceStore) -> Result<(), StoreError> {
        if store.get(CHAINS, chain.as_bytes())?.is_none() {
            let kind = self.shelf.find(&*store, &chain)?.map_or(ChainKind::Document, |state| state.kind());
            store.put(CHAINS, &[kind as u8], chain.as_bytes(), &[])?;
        }
        self.woken.insert(Awaited::Policy(chain));
        self.tell(Event::PolicyChanged { chain });
        Ok(())
    }

    fn retry_ops(&mut self, awaited: Option<&ChainId>, store: &mut dyn DeviceStore) -> Result<(), Halt> {
        let mut rows = load_all::<OpRow>(store, WAITING_OPS, awaited.map(|chain| chain.as_bytes().as_slice()))?;
        // By chain and seq, so that one after the other finds its place.
        rows.sort_by(|a, b| a.0.cmp(&b.0));
        for (key, row) in rows {
            self.release(WAITING_OPS, &[], &key, store)?;
            if let Some(receipt) = row.receipt {
                self.take_op(row.op, receipt, store)?;
            }
        }
        Ok(())
    }

    /// Keeps an operation until there is news of a chain.
    fn await_op(
        &mut self,
        awaited: &ChainId,
        key: &[u8],
        row: &OpRow,
        store: &mut dyn DeviceStore,
    ) -> Result<(), Halt> {
        let (bound, value) = (self.config.limits.keep.waiting_ops, vereda_base::encode(row));
        let kept = Kept { table: WAITING_OPS, group: awaited.as_bytes(), key, value: &value };
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

    fn take_visible(&mut self, document: ChainId, upto: Position, store: &mut dyn DeviceStore) -> Result<(), Halt> {
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
        store.delete(BACKFILL, document.as_bytes())?;
        if let Some(session) = self.session() {
            session.backfilling = None;
        }
        self.tell(Event::BackfillDone { document });
        self.fill_due_gap(&document, store)
    }
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
