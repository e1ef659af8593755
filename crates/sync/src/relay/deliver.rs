//! Handing new entries to the sessions that are caught up.

use std::{collections::BTreeSet, sync::Arc};

use vereda_base::{Digest, OpId, Timestamp};
use vereda_policy::{ChainKind, Wrap, may_read};
use vereda_protocol::{Down, Goodbye, PolicyEntry, Position, UP_WINDOW_BYTES};

use super::{
    admit::AcceptedChunk,
    append::Appended,
    authenticate::invite_until,
    chains::Known,
    machine::RelayMachine,
    reach::{Reach, newly_visible},
    session::{Admission, Session, SessionId},
    store::{RelayStore, StoreError},
};

impl RelayMachine {
    /// Hands an operation and its wraps to those who may see them.
    pub(super) fn deliver_op(
        &mut self,
        author: SessionId,
        appended: &Appended,
        wraps: &[Wrap],
        now: Timestamp,
        store: &dyn RelayStore,
    ) -> Result<(), StoreError> {
        let Appended { op, receipt, known, position, wraps: placed, accepted } = appended;
        self.refresh_named(known, *position, now, store)?;
        if let Some(invite) = accepted {
            self.end_guests(known, invite);
        }
        self.note_own(author, *position, placed.iter().map(|(position, _)| *position));
        for id in self.concerned(known) {
            if id == author || !self.may_see(id, known, now, store)? || !self.keeps_up(id, *position) {
                continue;
            }
            let visible = self.visible_by(id, known, *position, now, store)?;
            let entry = PolicyEntry::Op { op: op.clone(), receipt: receipt.clone() };
            let bytes = op.bytes().len() + receipt.bytes().len();
            self.push_entries(id, *position, bytes, [entry].into_iter().chain(visible));
        }
        // The author has his operation, but not what it made visible for him: the documents of a team that he joined.
        let visible = self.visible_by(author, known, *position, now, store)?;
        if !visible.is_empty() && self.keeps_up(author, *position) {
            self.push_entries(author, *position, 0, visible);
        }
        let (chain, op) = (known.state.id(), vereda_policy::op_id_of_bytes(op.bytes()));
        for ((position, proof), wrap) in placed.iter().zip(wraps) {
            let concerned: Vec<SessionId> = self.audience.of_subject(&wrap.recipient).collect();
            for id in concerned {
                if id != author && self.keeps_up(id, *position) {
                    let entry = PolicyEntry::Wrap { chain, op, wrap: wrap.clone(), proof: proof.clone() };
                    self.push_entries(id, *position, 1_500, [entry]);
                }
            }
        }
        Ok(())
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
        for id in self.concerned(&known) {
            let own = |session: &Session| {
                session.open().is_some_and(|open| open.device == device && open.incarnation == incarnation)
            };
            if self.sessions.get(&id).is_none_or(own)
                || !self.may_see(id, &known, now, store)?
                || !self.keeps_up(id, position)
            {
                continue;
            }
            let Some(open) = self.sessions.get_mut(&id).and_then(Session::open_mut) else { continue };
            let pending = &mut open.stream.pending;
            pending.bytes += chunk.ciphertext.len() + chunk.header.bytes().len();
            pending.chunks.push(Arc::clone(&chunk));
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
        if !pending.chunks.is_empty() {
            let chunks = pending.chunks.into_iter().map(Arc::unwrap_or_clone).collect();
            self.send_stream(id, &Down::Content { chunks, cursor: content });
        }
        if let Some(cursor) = passed {
            self.send(id, &Down::CaughtUp { cursor });
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
        const MAX_ENTRIES: usize = 4_096;
        while entries.len() > MAX_ENTRIES {
            let rest = entries.split_off(MAX_ENTRIES);
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
        let before = Position(position.0.saturating_sub(1));
        open.stream.restart(before, before, position);
        self.consider(id);
        false
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

    fn push_entries(
        &mut self,
        id: SessionId,
        position: Position,
        bytes: usize,
        entries: impl IntoIterator<Item = PolicyEntry>,
    ) {
        let Some(open) = self.sessions.get_mut(&id).and_then(Session::open_mut) else { return };
        let given = open.stream.given.0;
        if open.stream.pending.entries.is_empty() {
            open.stream.pending.before = open.cursor(Position(position.0.saturating_sub(1)), given);
        }
        open.stream.pending.entries.extend(entries);
        open.stream.pending.policy = position;
        open.stream.pending.bytes += bytes;
        self.dirty.insert(id);
    }

    /// The sessions that an entry of a chain may concern.
    fn concerned(&self, known: &Known) -> BTreeSet<SessionId> {
        let state = &known.state;
        if state.kind() != ChainKind::Document {
            let of_agency = known.agency.iter().flat_map(|agency| self.audience.of_agency(agency));
            return of_agency.chain(self.audience.of_subject(&Digest(state.id().0))).collect();
        }
        let mut sessions = BTreeSet::new();
        for member in state.members().iter().filter(|member| member.until_seq.is_none()) {
            sessions.extend(self.audience.of_subject(&Digest(member.subject.0)));
        }
        sessions
    }

    /// Says whether a session may see a chain now.
    fn may_see(
        &mut self,
        id: SessionId,
        known: &Known,
        now: Timestamp,
        store: &dyn RelayStore,
    ) -> Result<bool, StoreError> {
        let Some(open) = self.sessions.get(&id).and_then(Session::open) else { return Ok(false) };
        let view = self.chains.view(store);
        let may = if known.state.kind() == ChainKind::Document {
            open.is_member() && may_read(&view, &open.device, &known.state.id(), Some(now))
        } else {
            true
        };
        view.finish(may)
    }

    /// Finds out again where the devices belong that the operation at `position` concerns.
    fn refresh_named(
        &mut self,
        known: &Known,
        position: Position,
        now: Timestamp,
        store: &dyn RelayStore,
    ) -> Result<(), StoreError> {
        if known.state.kind() == ChainKind::Document {
            return Ok(());
        }
        let seq = known.seq_at(position).unwrap_or_default();
        let mut sessions = BTreeSet::new();
        for member in known.state.members().iter().filter(|member| member.from_seq == seq) {
            sessions.extend(self.audience.of_subject(&Digest(member.subject.0)));
        }
        for device in known.state.devices().iter().filter(|device| device.from_seq == seq) {
            sessions.extend(self.audience.of_device(&device.device));
        }
        sessions.into_iter().try_for_each(|id| self.refresh(id, now, store))
    }

    /// Lets go of whoever came by an invite that another took up.
    fn end_guests(&mut self, known: &Known, invite: &OpId) {
        let sessions: Vec<SessionId> = known.agency.iter().flat_map(|agency| self.audience.of_agency(agency)).collect();
        for id in sessions {
            let admission = self.sessions.get(&id).and_then(Session::open).map(|open| open.admission);
            if matches!(admission, Some(Admission::Invited { invite: of, .. }) if of == *invite) {
                self.end_session(id, Goodbye::InviteSpent);
            }
        }
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
                self.refresh(id, now, store)?;
            }
        }
        Ok(())
    }

    fn refresh(&mut self, id: SessionId, now: Timestamp, store: &dyn RelayStore) -> Result<(), StoreError> {
        let end = self.end(store)?;
        let Some(open) = self.sessions.get_mut(&id).and_then(Session::open_mut) else { return Ok(()) };
        let view = self.chains.view(store);
        let reach = Reach::find(&view, &open.device, now)?;
        let reach = view.finish(reach)?;
        if open.is_member() && reach.agencies.is_empty() {
            // The last way that it had here has ended.
            self.end_session(id, Goodbye::UnknownDevice);
            return Ok(());
        }
        self.audience.remove(id, open);
        open.reach = reach.groups;
        let before = std::mem::replace(&mut open.until, reach.until);
        if let Some(before) = before {
            self.expiring.remove(&(before, id));
        }
        let joins = !open.is_member() && !reach.agencies.is_empty();
        if joins {
            // It has its cursors as it gave them: what a member may see is served from there on.
            open.admission = Admission::Member;
            let (policy, content) = open.stream.given;
            open.stream.restart(policy, content, end);
        }
        if open.is_member() {
            open.agencies = reach.agencies;
        } else if let Admission::Invited { chain, invite, .. } = open.admission {
            let until = invite_until(&mut self.chains, store, &chain, &invite)?;
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
