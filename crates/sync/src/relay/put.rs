//! What devices hand over, and what they ask.

use vereda_base::{ChainId, Digest, Link, Now, OpId, Timestamp, limits::MAX_NAMED};
use vereda_crypto::{Signed, Verified};
use vereda_policy::{Op, Wrap, WrapProof};
use vereda_protocol::{Chunk, ChunkOutcome, Down, Goodbye, OpOutcome, PolicyEntry, RefusalCode};

use super::{
    admit::{self, Admittance, outcome_of},
    append::{self, Verdict},
    decision::{self, Decided, document_of},
    machine::RelayMachine,
    serve::document_entry,
    session::{Session, SessionId},
    sight::owners,
    store::{NewEntry, RelayStore, StoreError},
};

/// Answers about leaves in one frame: each may take two proofs.
const MAX_ANSWERS: usize = 256;

impl RelayMachine {
    pub(super) fn put_op(
        &mut self,
        now: Now,
        id: SessionId,
        request: u64,
        op: Signed<Op>,
        wraps: &[Wrap],
        store: &mut dyn RelayStore,
    ) -> Result<(), StoreError> {
        let Some(open) = self.sessions.get(&id).and_then(Session::open) else { return Ok(()) };
        let who = (open, &self.signer, &self.config);
        let passed = match append::check_op(&mut self.chains, store, who, op, wraps, now.wall)? {
            Verdict::Append(passed) => passed,
            Verdict::Review(create, proofs) => {
                self.review_document(&create, wraps, proofs, now.wall, store)?;
                self.send(id, &Down::OpResult { request, outcome: OpOutcome::InReview });
                return Ok(());
            }
            Verdict::Offer(leaves) => {
                self.offer(id, request, leaves);
                return Ok(());
            }
            Verdict::Moved(chain, head) => {
                let outcome = self.hand_news(now.wall, id, chain, head, store)?;
                self.send(id, &Down::OpResult { request, outcome });
                return Ok(());
            }
            Verdict::Answer(outcome) => {
                self.send(id, &Down::OpResult { request, outcome });
                return Ok(());
            }
        };
        let appended = append::append_op(&mut self.chains, store, open, &passed, wraps)?;
        let (body, chain) = (passed.body().clone(), appended.known.state.id());
        let prepared = passed.prepared;
        let decided = decision::carry_out(&mut self.chains, store, &self.signer, &body, &chain, prepared, now.wall)?;
        let end = store.end()?;
        self.end = Some(end);
        let outcome = OpOutcome::Appended(appended.receipt.clone());
        self.send(id, &Down::OpResult { request, outcome });
        self.deliver_op(Some(id), &appended, wraps, now.wall, store)?;
        self.deliver_decided(decided, now.wall, store)?;
        self.pass(id, end);
        Ok(())
    }

    /// Answers whoever decides at an old head of a chain that he sees or has a say in: he signs anew when its news are with
    /// him. Of a document that he does not read he is handed none, so he is told that they are there for him.
    fn hand_news(
        &mut self,
        now: Timestamp,
        id: SessionId,
        chain: ChainId,
        head: OpId,
        store: &dyn RelayStore,
    ) -> Result<OpOutcome, StoreError> {
        let moved = OpOutcome::HeadMoved(head);
        if self.ask(id, now, store, |sight| Ok(sight.sees_chain(&chain)))? {
            return Ok(moved);
        }
        let upto = store.end()?;
        if let Some(open) = self.sessions.get(&id).and_then(Session::open) {
            let cursor = open.stream.given.0;
            self.send_stream(
                id,
                &Down::Policy { entries: vec![PolicyEntry::Visible { document: chain, upto }], cursor },
            );
        }
        Ok(moved)
    }

    pub(super) fn put_chunk(
        &mut self,
        now: Now,
        id: SessionId,
        chunk: Chunk,
        store: &mut dyn RelayStore,
    ) -> Result<(), StoreError> {
        let Some(device) = self.sessions.get(&id).and_then(Session::open).map(|open| open.device) else {
            return Ok(());
        };
        let header = match admit::verify_header(&chunk) {
            Ok(header) => header,
            Err(Some((link, code))) => {
                self.send(id, &Down::ChunkResult { link, outcome: ChunkOutcome::Refused(code) });
                return Ok(());
            }
            Err(None) => {
                self.end_session(id, Goodbye::Violation);
                return Ok(());
            }
        };
        let link = header.value().link();
        let config = &self.config;
        let found = admit::check_chunk(&mut self.chains, store, config, &device, &header, chunk, now.wall)?;
        let outcome = match found {
            Admittance::Answer(outcome) => outcome,
            Admittance::New(accepted) => {
                let position = store.append(&NewEntry::Chunk(&accepted))?;
                admit::note_cites(&mut self.chains, store, &device, &accepted.header().cites)?;
                self.end = Some(position);
                self.deliver_chunk(*accepted, position, now.wall, store)?;
                ChunkOutcome::Durable
            }
            Admittance::Review(accepted) => {
                self.review_chunk(*accepted, now.wall, store)?;
                ChunkOutcome::InReview
            }
        };
        self.send(id, &Down::ChunkResult { link, outcome });
        Ok(())
    }

    fn review_chunk(
        &mut self,
        accepted: admit::AcceptedChunk,
        received: Timestamp,
        store: &mut dyn RelayStore,
    ) -> Result<(), StoreError> {
        let position = store.append(&NewEntry::Review { chunk: &accepted, received })?;
        let header = accepted.header();
        let document = header.document;
        admit::note_cites(&mut self.chains, store, &header.device, &header.cites)?;
        self.end = Some(position);
        let mut above = Vec::new();
        if self.chains.load(store, &document)?.is_none()
            && let Some(row) = store.reviewed_document(&document)?
        {
            let (create, _) = super::review::read_create(store, &row)?;
            above.extend(self.owners(create.value(), store)?);
        }
        let chunk = accepted.into_chunk();
        let entry = |_: &super::session::Open| PolicyEntry::Review { chunk: chunk.clone(), received };
        self.deliver_review(position, document, above, entry, received, store)
    }

    fn review_document(
        &mut self,
        create: &Verified<Op>,
        wraps: &[Wrap],
        proofs: Vec<WrapProof>,
        received: Timestamp,
        store: &mut dyn RelayStore,
    ) -> Result<(), StoreError> {
        let wraps: Vec<(Wrap, WrapProof)> = wraps.iter().cloned().zip(proofs).collect();
        let position = store.append(&NewEntry::ReviewDocument { create, wraps: &wraps, received })?;
        let op = create.value();
        admit::note_cites(&mut self.chains, store, &op.device, &op.cites)?;
        self.end = Some(position);
        let (document, above) = (document_of(create.signed()), self.owners(op, store)?);
        let entry =
            |open: &super::session::Open| document_entry(open, create.signed().clone(), wraps.clone(), received);
        self.deliver_review(position, document, above, entry, received, store)
    }

    fn owners(&mut self, create: &Op, store: &dyn RelayStore) -> Result<Vec<ChainId>, StoreError> {
        let view = self.chains.view(store);
        let owners = owners(&view, create);
        view.finish(owners)
    }

    /// Hands what was taken in to those who may read it, and tells the authors what became of their chunks.
    fn deliver_decided(&mut self, decided: Decided, now: Timestamp, store: &dyn RelayStore) -> Result<(), StoreError> {
        for (appended, wraps) in &decided.documents {
            self.deliver_op(None, appended, wraps, now, store)?;
        }
        for (chunk, position) in decided.chunks {
            self.deliver_chunk(chunk, position, now, store)?;
        }
        for (device, link, standing) in decided.told {
            if let Some(id) = self.audience.of_device(&device) {
                self.send(id, &Down::ChunkResult { link, outcome: outcome_of(standing) });
            }
        }
        Ok(())
    }

    /// Answers what a removal's frontier says of some places. Of a removal that is unknown, or not for the device to see, it
    /// says nothing.
    pub(super) fn answer_leaves(
        &mut self,
        now: Now,
        id: SessionId,
        chain: ChainId,
        removal: OpId,
        keys: &[Digest],
        store: &dyn RelayStore,
    ) -> Result<(), StoreError> {
        if keys.len() > MAX_NAMED {
            self.end_session(id, Goodbye::Violation);
            return Ok(());
        }
        let mut frontier = None;
        if let Some(known) = self.chains.load(store, &chain)?
            && let Some(seq) = known.state.seq_of(&removal).filter(|seq| known.state.removal(*seq).is_some())
            && let Some(position) = known.position(seq)
            && self
                .ask(id, now.wall, store, |sight| Ok(sight.sees_op(&chain, position) || sight.has_authority(&chain)))?
        {
            let leaves = vereda_protocol::Position(position.0.saturating_add(1));
            let view = self.chains.view(store);
            let found = view.frontier(leaves)?;
            frontier = view.finish(found)?.filter(|found| found.removal() == removal);
        }
        let answers: Vec<_> =
            frontier.iter().flat_map(|found| keys.iter().map(|key| (*key, found.prove(key)))).collect();
        let mut parts = answers.chunks(MAX_ANSWERS).map(<[_]>::to_vec).peekable();
        if parts.peek().is_none() {
            self.send(id, &Down::Leaves { chain, removal, answers: Vec::new() });
        }
        for answers in parts {
            self.send(id, &Down::Leaves { chain, removal, answers });
        }
        Ok(())
    }

    /// Tells a device what became of its chunks that were in review. One that is not there came too late, or never came.
    pub(super) fn answer_review(
        &mut self,
        id: SessionId,
        links: &[Link],
        store: &dyn RelayStore,
    ) -> Result<(), StoreError> {
        let Some(device) = self.sessions.get(&id).and_then(Session::open).map(|open| open.device) else {
            return Ok(());
        };
        if links.len() > MAX_NAMED {
            self.end_session(id, Goodbye::Violation);
            return Ok(());
        }
        for link in links {
            let own = store.reviewed(link)?.filter(|reviewed| reviewed.device == device);
            let unknown = ChunkOutcome::Refused(RefusalCode::ReviewClosed);
            let outcome = own.map_or(unknown, |reviewed| outcome_of(reviewed.standing));
            self.send(id, &Down::ChunkResult { link: *link, outcome });
        }
        Ok(())
    }
}
