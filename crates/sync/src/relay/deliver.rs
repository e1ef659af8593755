//! Handing new entries to the sessions that are caught up.

use std::{collections::BTreeSet, sync::Arc};

use vereda_base::{ChainId, Digest, Timestamp};
use vereda_policy::{ChainKind, DocumentKind, Wrap};
use vereda_protocol::{Chunk, Down, Goodbye, PolicyEntry, Position, UP_WINDOW_BYTES};

use super::{
    admit::AcceptedChunk,
    append::Appended,
    authenticate::invite_until,
    chains::Known,
    machine::RelayMachine,
    reach::{Reach, newly_visible},
    serve::{size_of_entry, split_frame},
    session::{Admission, Open, Session, SessionId},
    sight::Sight,
    store::{About, Head, RelayStore, StoreError},
};

impl RelayMachine {
    /// Hands an operation, its wraps and its leaves to those who may see them. Without an author it is one that was adopted.
    pub(super) fn deliver_op(
        &mut self,
        author: Option<SessionId>,
        appended: &Appended,
        wraps: &[Wrap],
        now: Timestamp,
        store: &dyn RelayStore,
    ) -> Result<(), StoreError> {
        let Appended { op, receipt, known, position, wraps: placed, ends_invites, frontier } = appended;
        // Who belonged to the chain until now hears of its own removal.
        let mut concerned = self.concerned(known, *position);
        self.refresh_named(known, *position, now, store)?;
        concerned.extend(self.concerned(known, *position));
        if *ends_invites {
            self.end_guests(now, store)?;
        }
        if let Some(author) = author {
            self.note_own(author, *position, placed.iter().map(|(position, _)| *position));
        }
        let chain = known.state.id();
        for id in &concerned {
            let sees = |sight: &mut Sight<'_, '_>| Ok(sight.sees_op(&chain, *position));
            if Some(*id) == author || !self.ask(*id, now, store, sees)? || !self.keeps_up(*id, *position) {
                continue;
            }
            let visible = self.visible_by(*id, known, *position, now, store)?;
            let entry = PolicyEntry::Op { op: op.clone(), receipt: receipt.clone() };
            self.push_entries(*id, *position, [entry].into_iter().chain(visible));
        }
        if let Some(author) = author {
            // The author has his operation, but not what it made visible for him: the documents of a team that he joined.
            let visible = self.visible_by(author, known, *position, now, store)?;
            if !visible.is_empty() && self.keeps_up(author, *position) {
                self.push_entries(author, *position, visible);
            }
        }
        self.deliver_wraps(author, appended, wraps, now, store)?;
        let Some((position, frontier)) = frontier else { return Ok(()) };
        for id in concerned {
            let (leaves, rest) = self.ask(id, now, store, |sight| {
                Ok(if sight.sees_chain(&chain) { sight.leaves(frontier, 0) } else { Default::default() })
            })?;
            if rest.is_some() {
                // Too much to be handed out at once: it is served from the log, as there is room.
                self.fall_behind(id, *position);
            } else if !leaves.is_empty() && self.keeps_up(id, *position) {
                self.push_entries(id, *position, leaves);
            }
        }
        Ok(())
    }

    fn deliver_wraps(
        &mut self,
        author: Option<SessionId>,
        appended: &Appended,
        wraps: &[Wrap],
        now: Timestamp,
        store: &dyn RelayStore,
    ) -> Result<(), StoreError> {
        let Appended { op, known, wraps: placed, .. } = appended;
        let (chain, op) = (known.state.id(), vereda_policy::op_id_of_bytes(op.bytes()));
        for ((position, proof), wrap) in placed.iter().zip(wraps) {
            let mut concerned: BTreeSet<SessionId> = self.audience.of_subject(&wrap.recipient).collect();
            if wrap.recipient.0 == chain.0 {
                concerned.extend(self.concerned(known, *position));
            }
            let about = About::Wrap { chain, recipient: wrap.recipient };
            let head = Head { position: *position, bytes: 0, about };
            for id in concerned {
                if Some(id) != author
                    && self.ask(id, now, store, |sight| sight.sees(&head))?
                    && self.keeps_up(id, *position)
                {
                    let entry = PolicyEntry::Wrap { chain, op, wrap: wrap.clone(), proof: proof.clone() };
                    self.push_entries(id, *position, [entry]);
                }
            }
        }
        Ok(())
    }

    /// Hands a chunk in review to those who may decide on it.
    pub(super) fn deliver_review(
        &mut self,
        position: Position,
        document: ChainId,
        owners: Vec<ChainId>,
        entry: impl Fn(&Open) -> PolicyEntry,
        now: Timestamp,
        store: &dyn RelayStore,
    ) -> Result<(), StoreError> {
        let mut concerned = BTreeSet::new();
        if let Some(known) = self.chains.load(store, &document)? {
            concerned = self.concerned(&known, position);
        }
        for owner in &owners {
            concerned.extend(self.audience.of_subject(&Digest(owner.0)));
        }
        for id in concerned {
            let decides = |sight: &mut Sight<'_, '_>| {
                Ok(if owners.is_empty() {
                    sight.decides(&document)
                } else {
                    owners.iter().any(|owner| sight.decides(owner))
                })
            };
            if self.ask(id, now, store, decides)? && self.keeps_up(id, position) {
                let Some(open) = self.sessions.get(&id).and_then(Session::open) else { continue };
                let entry = entry(open);
                self.push_entries(id, position, [entry]);
            }
        }
        Ok(())
    }

    /// Lets a session's cursors pass over what it was handed, once it has all of it.
    pub(super) fn pass(&mut self, id: SessionId, end: Position) {
        if let Some(open) = self.sessions.get_mut(&id).and_then(Session::open_mut).filter(|open| open.stream.live)
            && let Some(passed) = &mut open.stream.pending.passed
        {
            *passed = end.max(*passed);
        }
    }

    /// Hands a chunk to those who may read it now.
    pub(super) fn deliver_chunk(
        &mut self,
        accepted: AcceptedChunk,
        position: Position,
        now: Timestamp,
        store: &dyn RelayStore,
    ) -> Result<(), StoreError> {
        let (device, incarnation, document) =
            (accepted.header().device, accepted.header().incarnation, accepted.header().document);
        let Some(known) = self.chains.load(store, &document)? else { return Ok(()) };
        let chunk = Arc::new(accepted.into_chunk());
        let head = Head { position, bytes: 0, about: About::Chunk { document, device, incarnation } };
        for id in self.concerned(&known, position) {
            if !self.ask(id, now, store, |sight| sight.sees(&head))? || !self.keeps_up(id, position) {
                continue;
            }
            let Some(open) = self.sessions.get_mut(&id).and_then(Session::open_mut) else { continue };
            let pending = &mut open.stream.pending;
            pending.bytes += chunk.ciphertext.len() + chunk.header.bytes().len();
            pending.chunks.push((position, Arc::clone(&chunk)));
            pending.content = position;
            self.dirty.insert(id);
        }
        Ok(())
    }

    /// Sends what waits for a session, policy first.
    pub(super) fn flush(&mut self, id: SessionId) {
        let Some(open) = self.sessions.get_mut(&id).and_then(Session::open_mut) else { return };
        let given = open.stream.given;
        let pending = std::mem::take(&mut open.stream.pending);
        let policy = open.cursor(pending.policy, given.0);
        let content = open.cursor(pending.content, given.1);
        let passed = pending.passed.map(|passed| open.cursor(passed, given.0.min(given.1)));
        let credit = (open.taken >= UP_WINDOW_BYTES / 2).then(|| std::mem::take(&mut open.taken));
        if let Some(credit) = credit {
            open.up_credit = open.up_credit.saturating_add(credit);
            self.send(id, &Down::Credit(credit));
        }
        self.send_policy(id, pending.entries, pending.before, policy);
        self.send_chunks(id, pending.chunks, content);
        if let Some(cursor) = passed {
            self.send(id, &Down::CaughtUp { cursor });
        }
    }

    /// Sends chunks as they were appended: in several frames where they are many, each with its place as cursor.
    fn send_chunks(&mut self, id: SessionId, chunks: Vec<(Position, Arc<Chunk>)>, cursor: Position) {
        const MAX_BYTES: usize = 256 << 10;
        let (mut frame, mut bytes) = (Vec::new(), 0);
        let mut chunks = chunks.into_iter().peekable();
        while let Some((position, chunk)) = chunks.next() {
            bytes += chunk.ciphertext.len() + chunk.header.bytes().len();
            frame.push(Arc::unwrap_or_clone(chunk));
            if chunks.peek().is_none() {
                self.send_stream(id, &Down::Content { chunks: std::mem::take(&mut frame), cursor });
            } else if bytes >= MAX_BYTES {
                let chunks = std::mem::take(&mut frame);
                self.send_stream(id, &Down::Content { chunks, cursor: position.min(cursor) });
                bytes = 0;
            }
        }
    }

    /// Sends policy entries: in several frames where they are very many, of which only the last moves the cursor.
    pub(super) fn send_policy(
        &mut self,
        id: SessionId,
        mut entries: Vec<PolicyEntry>,
        before: Position,
        cursor: Position,
    ) {
        while let Some(rest) = split_frame(&mut entries) {
            self.send_stream(id, &Down::Policy { entries: std::mem::replace(&mut entries, rest), cursor: before });
        }
        if !entries.is_empty() {
            self.send_stream(id, &Down::Policy { entries, cursor });
        }
    }

    /// Sends a frame that costs the device's credit.
    pub(super) fn send_stream(&mut self, id: SessionId, message: &Down) {
        let bytes = self.send(id, message);
        if let Some(open) = self.sessions.get_mut(&id).and_then(Session::open_mut) {
            open.down_credit = open.down_credit.saturating_sub_unsigned(bytes as u64);
        }
    }

    /// Says whether a session takes an entry as it is appended. One that has no room falls behind: it is served from the
    /// log again once it has.
    fn keeps_up(&mut self, id: SessionId, position: Position) -> bool {
        let max = self.config.max_unwritten_bytes;
        let Some(session) = self.sessions.get_mut(&id) else { return false };
        let unwritten = session.unwritten;
        let Some(open) = session.open_mut() else { return false };
        if !open.stream.live {
            return false;
        }
        let pending = open.stream.pending.bytes;
        let credit = open.down_credit > i64::try_from(pending).unwrap_or(i64::MAX);
        if credit && unwritten.saturating_add(pending) < max {
            return true;
        }
        self.fall_behind(id, position);
        false
    }

    /// Has a session that is live served from the log again, from the entry at `position` on.
    fn fall_behind(&mut self, id: SessionId, position: Position) {
        let live = |open: &&mut Open| open.stream.live;
        let Some(open) = self.sessions.get_mut(&id).and_then(Session::open_mut).filter(live) else { return };
        let before = Position(position.0.saturating_sub(1));
        open.stream.restart(before, before, position);
        self.consider(id);
    }

    fn visible_by(
        &mut self,
        id: SessionId,
        known: &Known,
        position: Position,
        now: Timestamp,
        store: &dyn RelayStore,
    ) -> Result<Vec<PolicyEntry>, StoreError> {
        let Some(open) = self.sessions.get(&id).and_then(Session::open) else { return Ok(Vec::new()) };
        let view = self.chains.view(store);
        let visible = newly_visible(&view, open, known, position, now)?;
        view.finish(visible)
    }

    /// Remembers what a session put itself: it is not sent back, and its cursors may pass over it.
    fn note_own(&mut self, author: SessionId, position: Position, wraps: impl Iterator<Item = Position>) {
        const MAX_OWN: usize = 4_096;
        let Some(open) = self.sessions.get_mut(&author).and_then(Session::open_mut) else { return };
        let last = if open.stream.live {
            let last = wraps.last().unwrap_or(position);
            open.stream.pending.passed = Some(last);
            self.dirty.insert(author);
            return;
        } else {
            position
        };
        open.stream.own.insert(last);
        open.stream.own.extend(wraps);
        while open.stream.own.len() > MAX_OWN {
            open.stream.own.pop_first();
        }
    }

    fn push_entries(&mut self, id: SessionId, position: Position, entries: impl IntoIterator<Item = PolicyEntry>) {
        let Some(open) = self.sessions.get_mut(&id).and_then(Session::open_mut) else { return };
        let given = open.stream.given.0;
        if open.stream.pending.entries.is_empty() {
            open.stream.pending.before = open.cursor(Position(position.0.saturating_sub(1)), given);
        }
        for entry in entries {
            open.stream.pending.bytes += size_of_entry(&entry);
            open.stream.pending.entries.push(entry);
        }
        open.stream.pending.policy = position;
        self.dirty.insert(id);
    }

    /// The sessions that an entry of a chain at `position` may concern.
    fn concerned(&self, known: &Known, position: Position) -> BTreeSet<SessionId> {
        let state = &known.state;
        if state.kind() != ChainKind::Document {
            let of_agency = known.agency.iter().flat_map(|agency| self.audience.of_agency(agency));
            let ended = state.devices().iter().filter(|device| device.until_seq.is_some());
            let ended = ended.filter(|device| device.until_seq.and_then(|seq| known.position(seq)) == Some(position));
            let ended = ended.filter_map(|device| self.audience.of_device(&device.device));
            return of_agency.chain(self.audience.of_subject(&Digest(state.id().0))).chain(ended).collect();
        }
        let mut sessions = BTreeSet::new();
        let stands = |until: Option<u64>| until.is_none_or(|seq| known.position(seq) == Some(position));
        for member in state.members().iter().filter(|member| stands(member.until_seq)) {
            sessions.extend(self.audience.of_subject(&Digest(member.subject.0)));
        }
        if state.document_kind() == Some(DocumentKind::Section) {
            // Managers of the owning team, who may end roles in it, need not read it.
            for parent in state.parents() {
                sessions.extend(self.audience.of_subject(&Digest(parent.chain.0)));
            }
        }
        sessions
    }

    /// Asks what a session may see.
    pub(super) fn ask<T: Default>(
        &mut self,
        id: SessionId,
        now: Timestamp,
        store: &dyn RelayStore,
        question: impl FnOnce(&mut Sight<'_, '_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let Some(open) = self.sessions.get(&id).and_then(Session::open) else { return Ok(T::default()) };
        let view = self.chains.view(store);
        let answer = question(&mut Sight::new(&view, open, now))?;
        view.finish(answer)
    }

    /// Finds out again where the devices belong that the operation at `position` concerns: of a document, those of whoever is
    /// let in by documents alone, or by nothing so far.
    fn refresh_named(
        &mut self,
        known: &Known,
        position: Position,
        now: Timestamp,
        store: &dyn RelayStore,
    ) -> Result<(), StoreError> {
        let is_document = known.state.kind() == ChainKind::Document;
        let seq = known.seq_at(position).unwrap_or_default();
        let mut sessions = BTreeSet::new();
        let changes = |from: u64, until: Option<u64>| from == seq || until == Some(seq);
        for member in known.state.members().iter().filter(|member| changes(member.from_seq, member.until_seq)) {
            sessions.extend(self.audience.of_subject(&Digest(member.subject.0)));
        }
        for device in known.state.devices().iter().filter(|device| changes(device.from_seq, device.until_seq)) {
            sessions.extend(self.audience.of_device(&device.device));
        }
        if is_document {
            let by_group = |id: &SessionId| {
                let open = self.sessions.get(id).and_then(Session::open);
                open.is_some_and(|open| open.is_member() && !open.is_by_documents)
            };
            sessions.retain(|id| !by_group(id));
        }
        let before = Position(position.0.saturating_sub(1));
        sessions.into_iter().try_for_each(|id| self.refresh(id, before, now, store))
    }

    /// Lets go of whoever came by an invite that is open no longer: another took it up, or it was called off, or whoever
    /// made it was put out.
    fn end_guests(&mut self, now: Timestamp, store: &dyn RelayStore) -> Result<(), StoreError> {
        let invited = |(id, session): (&SessionId, &Session)| match session.open()?.admission {
            Admission::Invited { chain, invite, .. } => Some((*id, chain, invite)),
            _ => None,
        };
        let guests: Vec<_> = self.sessions.iter().filter_map(invited).collect();
        for (id, chain, invite) in guests {
            if invite_until(&mut self.chains, store, &chain, &invite, now)?.is_none() {
                self.end_session(id, Goodbye::InviteSpent);
            }
        }
        Ok(())
    }

    /// Finds out again where the devices belong of which a role or an invite has ended by itself, before anything else is
    /// handed to them.
    pub(super) fn refresh_expired(&mut self, now: Timestamp, store: &dyn RelayStore) -> Result<(), StoreError> {
        while let Some((until, id)) = self.expiring.first().copied().filter(|(until, _)| *until <= now) {
            self.expiring.remove(&(until, id));
            let Some(open) = self.sessions.get_mut(&id).and_then(Session::open_mut) else { continue };
            open.until = None;
            if matches!(open.admission, Admission::Invited { .. }) {
                self.end_session(id, Goodbye::InviteSpent);
            } else {
                let end = self.end(store)?;
                self.refresh(id, end, now, store)?;
            }
        }
        Ok(())
    }

    /// Finds out again where a session's device belongs; it was handed everything up to `handed` that was for it.
    fn refresh(
        &mut self,
        id: SessionId,
        handed: Position,
        now: Timestamp,
        store: &dyn RelayStore,
    ) -> Result<(), StoreError> {
        let end = self.end(store)?;
        let Some(open) = self.sessions.get_mut(&id).and_then(Session::open_mut) else { return Ok(()) };
        let view = self.chains.view(store);
        let reach = Reach::find(&view, &open.device, now)?;
        let reach = view.finish(reach)?;
        self.audience.remove(id, open);
        open.is_by_documents = reach.is_by_documents;
        open.reach = reach.groups;
        if open.is_member() && reach.agencies.is_empty() {
            // The last way that it had here has ended. Its cursors stay where they are from now on: should it come back, it is
            // served from there.
            open.admission = Admission::Removed;
            open.agencies.clear();
            let stream = &mut open.stream;
            stream.given = if stream.live { (handed, handed) } else { (stream.policy, stream.content) };
        }
        let before = std::mem::replace(&mut open.until, reach.until);
        if let Some(before) = before {
            self.expiring.remove(&(before, id));
        }
        let joins = !open.is_member() && !reach.agencies.is_empty();
        if joins {
            // It has its cursors as it gave them: what a member may see is served from there on.
            open.admission = if reach.is_recovery { Admission::Recovery } else { Admission::Member };
            let (policy, content) = open.stream.given;
            open.stream.restart(policy, content, end);
        }
        if open.is_member() {
            open.agencies = reach.agencies;
        } else if let Admission::Invited { chain, invite, .. } = open.admission {
            let until = invite_until(&mut self.chains, store, &chain, &invite, now)?;
            open.until = open.until.into_iter().chain(until).min();
        }
        if let Some(until) = open.until {
            self.expiring.insert((until, id));
        }
        self.audience.add(id, open);
        if joins {
            self.flush(id);
            self.consider(id);
        }
        Ok(())
    }
}
