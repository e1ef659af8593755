//! The relay's machine: sessions, inputs, effects.

use std::collections::{BTreeMap, BTreeSet};

use rand_core::CryptoRng;
use vereda_base::{DeviceId, Monotonic, Now, Timestamp, limits::MAX_FRAME_BYTES};
use vereda_crypto::{DeviceKey, context};
use vereda_protocol::{
    Auth, Down, Goodbye, Logged, Opening, Position, UP_WINDOW_BYTES, Up, VERSIONS, WelcomeFields, decode_up,
    encode_down, welcome_message,
};

use super::{
    append::Signer,
    audience::Audience,
    authenticate::authenticate,
    chains::ChainCache,
    effect::{Committed, Effect, Input, RelayConfig, WakeReason},
    offer::Offers,
    recall::has_handed,
    session::{Session, SessionId, Stage},
    store::{RelayStore, StoreError},
};

/// The relay's machine. See the module's page for how it is driven.
#[derive(Debug)]
pub struct RelayMachine {
    pub(super) config: RelayConfig,
    pub(super) signer: Signer,
    pub(super) sessions: BTreeMap<SessionId, Session>,
    pub(super) audience: Audience,
    pub(super) chains: ChainCache,
    pub(super) effects: Vec<Effect>,
    /// Sessions that lag and can be served.
    pub(super) lagging: BTreeSet<SessionId>,
    /// Whose turn it was last.
    pub(super) served_last: SessionId,
    /// Sessions with something to go out at the commit.
    pub(super) dirty: BTreeSet<SessionId>,
    /// The log's end; `None` until it was read.
    pub(super) end: Option<Position>,
    deadlines: BTreeSet<(Monotonic, SessionId)>,
    /// Offers that are fetched in pages.
    pub(super) offers: Offers,
    /// When a role or an invite by which a session belongs somewhere ends by itself.
    pub(super) expiring: BTreeSet<(Timestamp, SessionId)>,
    failure: Option<StoreError>,
}

impl RelayMachine {
    /// Takes a store up. A new store gets its relay epoch, committed before this returns.
    ///
    /// # Errors
    /// [`StoreError`] by cause.
    pub fn open(
        key: DeviceKey,
        config: RelayConfig,
        store: &mut dyn RelayStore,
        rng: &mut dyn CryptoRng,
    ) -> Result<Self, StoreError> {
        let relay_epoch = match store.relay_epoch()? {
            Some(epoch) => epoch,
            None => {
                let epoch = rng.next_u64();
                store.set_relay_epoch(epoch)?;
                store.commit()?;
                epoch
            }
        };
        Ok(Self {
            config,
            signer: Signer { key, relay_epoch },
            sessions: BTreeMap::new(),
            audience: Audience::default(),
            chains: ChainCache::new(config.max_chains),
            effects: Vec::new(),
            lagging: BTreeSet::new(),
            served_last: SessionId(0),
            dirty: BTreeSet::new(),
            end: None,
            deadlines: BTreeSet::new(),
            offers: Offers::default(),
            expiring: BTreeSet::new(),
            failure: None,
        })
    }

    /// Names the relay: its public key.
    pub fn relay(&self) -> DeviceId {
        self.signer.key.device_id()
    }

    /// Tells the relay's epoch.
    pub const fn relay_epoch(&self) -> u64 {
        self.signer.relay_epoch
    }

    /// Counts the sessions, those not yet authenticated included.
    pub fn session_count(&self) -> usize {
        self.sessions.len()
    }

    /// Says whether a session's device proved itself.
    pub fn is_proven(&self, id: SessionId) -> bool {
        self.sessions.get(&id).is_some_and(|session| session.open().is_some())
    }

    /// Takes an input in. Where the store fails, every input until the commit is dropped.
    pub fn handle_input(&mut self, now: Now, input: Input, store: &mut dyn RelayStore, rng: &mut dyn CryptoRng) {
        if self.failure.is_some() {
            return;
        }
        if let Err(error) = self.refresh_expired(now.wall, store) {
            self.failure = Some(error);
            return;
        }
        let done = match input {
            Input::Opened(id) => {
                self.challenge(now, id, rng);
                Ok(())
            }
            Input::Frame(id, frame) => self.take_frame(now, id, &frame, store),
            Input::Broken(id) => {
                self.end_session(id, Goodbye::Violation);
                Ok(())
            }
            Input::Written(id, bytes) => {
                self.note_written(id, bytes);
                Ok(())
            }
            Input::Closed(id) => {
                self.forget(id);
                Ok(())
            }
            Input::Timeout => {
                self.end_overdue(now);
                Ok(())
            }
            Input::Stop => {
                self.end_all(Goodbye::ShuttingDown);
                Ok(())
            }
        };
        self.failure = done.err();
    }

    /// Makes what was written durable and releases the effects.
    pub fn commit(&mut self, store: &mut dyn RelayStore) -> Committed {
        if self.failure.is_none() {
            while let Some(id) = self.dirty.pop_first() {
                self.flush(id);
            }
            self.failure = store.commit().err();
        }
        let failure = self.failure.take();
        if failure.is_some() {
            store.rollback();
            self.effects.clear();
            self.chains.clear();
            self.offers.clear();
            self.end = None;
            self.end_all(Goodbye::StorageFailure);
        }
        Committed { effects: std::mem::take(&mut self.effects), failure }
    }

    /// Tells when to hand in [`Input::Timeout`], and why.
    pub fn poll_timeout(&self) -> Option<(Monotonic, WakeReason)> {
        let (at, id) = *self.deadlines.first()?;
        let reason = if self.is_proven(id) { WakeReason::PullOverdue(id) } else { WakeReason::AuthOverdue(id) };
        Some((at, reason))
    }

    /// The log's end, the open transaction included.
    pub(super) fn end(&mut self, store: &dyn RelayStore) -> Result<Position, StoreError> {
        match self.end {
            Some(end) => Ok(end),
            None => Ok(*self.end.insert(store.end()?)),
        }
    }

    /// Notes a failure of the store: nothing goes out, nothing is stored.
    pub(super) fn fail(&mut self, error: StoreError) {
        self.failure = Some(error);
    }

    /// Says whether the store failed since the last commit.
    pub(super) const fn has_failed(&self) -> bool {
        self.failure.is_some()
    }

    /// Queues a message. Gives the length of its frame.
    pub(super) fn send(&mut self, id: SessionId, message: &Down) -> usize {
        let Some(session) = self.sessions.get_mut(&id) else { return 0 };
        // Everything sent is built within the bound of a frame.
        let Ok(frame) = encode_down(message, &mut session.packer) else {
            self.drop_session(id);
            return 0;
        };
        let bytes = frame.len();
        session.unwritten = session.unwritten.saturating_add(bytes);
        let stuck = session.unwritten > self.config.max_unwritten_bytes.saturating_mul(4).max(MAX_FRAME_BYTES * 2);
        self.effects.push(Effect::Send(id, frame));
        if stuck {
            self.drop_session(id);
        }
        bytes
    }

    /// Ends a session with the reason.
    pub(super) fn end_session(&mut self, id: SessionId, why: Goodbye) {
        if self.sessions.contains_key(&id) {
            self.send(id, &Down::Goodbye(why));
            self.drop_session(id);
        }
    }

    fn drop_session(&mut self, id: SessionId) {
        self.forget(id);
        self.effects.push(Effect::Close(id));
    }

    fn end_all(&mut self, why: Goodbye) {
        let ids: Vec<SessionId> = self.sessions.keys().copied().collect();
        ids.into_iter().for_each(|id| self.end_session(id, why));
        self.audience.clear();
    }

    fn end_overdue(&mut self, now: Now) {
        while let Some((at, id)) = self.deadlines.first().copied().filter(|(at, _)| *at <= now.monotonic) {
            self.deadlines.remove(&(at, id));
            // A slow network is no wrong proof: the device comes again.
            self.end_session(id, Goodbye::TooLate);
        }
    }

    fn forget(&mut self, id: SessionId) {
        self.lagging.remove(&id);
        self.dirty.remove(&id);
        self.offers.forget(id);
        let Some(session) = self.sessions.remove(&id) else { return };
        match session.stage {
            Stage::Challenged { deadline, .. } => {
                self.deadlines.remove(&(deadline, id));
            }
            Stage::Open(open) => {
                self.audience.remove(id, &open);
                if let Some(until) = open.until {
                    self.expiring.remove(&(until, id));
                }
                if let Some(pull_by) = open.pull_by {
                    self.deadlines.remove(&(pull_by, id));
                }
            }
        }
    }

    fn challenge(&mut self, now: Now, id: SessionId, rng: &mut dyn CryptoRng) {
        let mut challenge = [0; 32];
        rng.fill_bytes(&mut challenge);
        let deadline = now.monotonic.saturating_add(self.config.auth_timeout);
        self.deadlines.insert((deadline, id));
        self.sessions.insert(id, Session::new(challenge, deadline));
        let (relay, relay_epoch) = (self.relay(), self.relay_epoch());
        let versions = VERSIONS.to_vec();
        self.send(id, &Down::Challenge { versions, relay, relay_epoch, challenge: challenge.into() });
    }

    fn note_written(&mut self, id: SessionId, bytes: usize) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.unwritten = session.unwritten.saturating_sub(bytes);
            self.consider(id);
        }
    }

    fn take_frame(
        &mut self,
        now: Now,
        id: SessionId,
        frame: &[u8],
        store: &mut dyn RelayStore,
    ) -> Result<(), StoreError> {
        let Some(session) = self.sessions.get_mut(&id) else { return Ok(()) };
        let Ok(message) = decode_up(frame, &mut session.unpacker) else {
            self.end_session(id, Goodbye::Violation);
            return Ok(());
        };
        match (&mut session.stage, message) {
            (Stage::Challenged { challenge, .. }, Up::Auth(auth)) => {
                let challenge = *challenge;
                self.authenticate(now, id, challenge, &auth, store)
            }
            (Stage::Challenged { .. }, _) | (Stage::Open(_), Up::Auth(_)) => {
                self.end_session(id, Goodbye::Violation);
                Ok(())
            }
            (Stage::Open(_), message) => self.take_message(now, id, message, frame.len(), store),
        }
    }

    fn authenticate(
        &mut self,
        now: Now,
        id: SessionId,
        challenge: [u8; 32],
        auth: &Auth,
        store: &dyn RelayStore,
    ) -> Result<(), StoreError> {
        let opening = Opening { relay: self.relay(), relay_epoch: self.relay_epoch(), challenge };
        let (version, mut open) = match authenticate(&mut self.chains, store, &opening, auth, now.wall)? {
            Ok(admitted) => admitted,
            Err(goodbye) => {
                self.end_session(id, goodbye);
                return Ok(());
            }
        };
        if let Some(other) = self.audience.of_device(&open.device) {
            // Proofs of two connections may arrive in another order than the connections were opened: the one opened
            // last is the one that the device still listens to.
            if other > id {
                self.end_session(id, Goodbye::Superseded);
                return Ok(());
            }
            self.end_session(other, Goodbye::Superseded);
        }
        let held = store.held(&open.device, open.incarnation)?;
        let end = self.end(store)?;
        let fields = WelcomeFields { device: open.device, nonce: *auth.nonce, version, time: now.wall, held, end };
        let signature = self.signer.key.sign(context::WELCOME_SIGNATURE, &welcome_message(&opening, &fields));
        self.audience.add(id, &open);
        let pull_by = now.monotonic.saturating_add(self.config.pull_timeout);
        open.pull_by = Some(pull_by);
        if let Some(until) = open.until {
            self.expiring.insert((until, id));
        }
        if let Some(session) = self.sessions.get_mut(&id) {
            if let Stage::Challenged { deadline, .. } = session.stage {
                self.deadlines.remove(&(deadline, id));
            }
            self.deadlines.insert((pull_by, id));
            session.stage = Stage::Open(Box::new(open));
        }
        self.send(id, &Down::Welcome { version, time: now.wall, held, end, signature });
        Ok(())
    }

    fn take_message(
        &mut self,
        now: Now,
        id: SessionId,
        message: Up,
        bytes: usize,
        store: &mut dyn RelayStore,
    ) -> Result<(), StoreError> {
        let end = self.end(store)?;
        let Some(open) = self.sessions.get_mut(&id).and_then(Session::open_mut) else { return Ok(()) };
        match message {
            Up::Auth(_) => self.end_session(id, Goodbye::Violation),
            Up::AskLeaves { chain, removal, keys } => {
                return self.answer_leaves(now, id, chain, removal, &keys, store);
            }
            Up::AskReview(links) => return self.answer_review(id, &links, store),
            Up::AskOffer { request, from } => self.hand_out(id, request, from),
            Up::Pull { policy, content, lasts } => {
                for last in lasts {
                    if !self.has_handed(id, &last, now.wall, store)? {
                        self.end_session(id, Goodbye::Forgotten);
                        return Ok(());
                    }
                }
                let Some(open) = self.sessions.get_mut(&id).and_then(Session::open_mut) else { return Ok(()) };
                if let Some(pull_by) = open.pull_by.take() {
                    self.deadlines.remove(&(pull_by, id));
                }
                open.stream.pulled = true;
                open.stream.given = (policy, content);
                open.stream.restart(policy, content, end);
                self.consider(id);
            }
            Up::Backfill { document, after, upto } => {
                return self.take_backfill(now.wall, id, (document, after, upto), store);
            }
            Up::Credit(credit) => {
                open.down_credit = open.down_credit.saturating_add_unsigned(credit);
                self.consider(id);
            }
            Up::PutOp { request, op, wraps } => {
                if self.spend(id, bytes) {
                    return self.put_op(now, id, request, op, &wraps, store);
                }
            }
            Up::PutChunk(chunk) => {
                if self.spend(id, bytes) {
                    return self.put_chunk(now, id, chunk, store);
                }
            }
        }
        Ok(())
    }

    /// Says whether the log holds what a device says that it was handed last, and may have been.
    fn has_handed(
        &mut self,
        id: SessionId,
        logged: &Logged,
        now: Timestamp,
        store: &dyn RelayStore,
    ) -> Result<bool, StoreError> {
        let Some(open) = self.sessions.get(&id).and_then(Session::open) else { return Ok(false) };
        let view = self.chains.view(store);
        let found = has_handed(&view, open, logged, now)?;
        view.finish(found)
    }

    /// Takes credit for a frame; without it the session ends.
    fn spend(&mut self, id: SessionId, bytes: usize) -> bool {
        let Some(open) = self.sessions.get_mut(&id).and_then(Session::open_mut) else { return false };
        let Some(rest) = open.up_credit.checked_sub(bytes as u64) else {
            self.end_session(id, Goodbye::Violation);
            return false;
        };
        open.up_credit = rest;
        open.taken = open.taken.saturating_add(bytes as u64);
        if open.taken >= UP_WINDOW_BYTES / 2 {
            self.dirty.insert(id);
        }
        true
    }
}
