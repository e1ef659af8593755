//! The connection: attempts and delays, mutual proof of identity, silence.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use minicbor::bytes::ByteArray;
use rand_core::CryptoRng;
use vereda_base::{ChainId, DeviceId, Digest, Link, Monotonic, OpId, Timestamp};
use vereda_crypto::{Signature, context, verify};
use vereda_policy::{ChainKind, Chains};
use vereda_protocol::{
    Auth, Credential, DOWN_WINDOW_BYTES, Down, OfferedLeaf, Opening, Packer, Position, UP_WINDOW_BYTES, Unpacker, Up,
    VERSIONS, WelcomeFields, auth_message, decode_down, encode_up, founding_credential, invite_auth_message, negotiate,
    welcome_message,
};

use super::{
    config::{DeviceCredential, DeviceLimits},
    effect::{Disconnect, Effect, Event, WakeReason},
    machine::{DeviceMachine, Halt},
    offers::Paging,
    sending::InFlight,
    store::{DeviceStore, StoreError},
};

/// How far a connection is.
#[derive(Debug)]
pub(super) enum Phase {
    /// There is none.
    Offline { retry_at: Option<Monotonic> },
    /// It is being made.
    Connecting { deadline: Monotonic },
    /// The relay's challenge is awaited.
    Greeting { deadline: Monotonic },
    /// The first flight was sent.
    Session(Box<Session>),
}

/// One connection from the challenge on.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) packer: Packer,
    pub(super) unpacker: Unpacker,
    opening: Opening,
    nonce: [u8; 32],
    pub(super) welcomed: bool,
    pub(super) caught_up: bool,
    welcome_by: Monotonic,
    last_heard: Monotonic,
    probed: Option<Monotonic>,
    /// The relay's clock at the welcome, and ours.
    clock: Option<(Timestamp, Monotonic)>,
    /// Bytes worked off that the relay was not credited for yet.
    pub(super) worked_off: u64,
    /// Bytes that the relay allows to be sent.
    pub(super) allowed: u64,
    pub(super) in_flight: BTreeMap<u64, InFlight>,
    pub(super) in_flight_bytes: u64,
    pub(super) next_request: u64,
    pub(super) backfilling: Option<ChainId>,
    /// Heads that the relay named when an intent of ours came second.
    pub(super) moved: BTreeMap<ChainId, OpId>,
    /// What the relay offered for removals of ours, by place in the outbox.
    pub(super) offers: BTreeMap<u64, Vec<OfferedLeaf>>,
    /// An offer of which pages are to come.
    pub(super) paging: Option<Paging>,
    /// Requests for leaves that were not answered.
    pub(super) leaves_due: u32,
    /// Leaves that it was asked for: removal and leaf key.
    pub(super) asked: BTreeSet<(OpId, Digest)>,
    /// Own chunks in review of which it was asked what became of them, and has not answered.
    pub(super) asked_review: BTreeSet<Link>,
}

impl Session {
    /// Tells when to wake next, and why.
    pub(super) fn deadline(&self, limits: &DeviceLimits) -> (Monotonic, WakeReason) {
        match self.probed {
            _ if !self.welcomed => (self.welcome_by, WakeReason::AnswerOverdue),
            Some(at) => (at.saturating_add(limits.answer), WakeReason::AnswerOverdue),
            None => (self.last_heard.saturating_add(limits.keepalive), WakeReason::Keepalive),
        }
    }

    /// Estimates the relay's clock.
    pub(super) fn relay_time(&self, now: Monotonic) -> Option<Timestamp> {
        let (time, at) = self.clock?;
        Some(time.saturating_add(now.0.saturating_sub(at.0)))
    }
}

impl DeviceMachine {
    pub(super) fn start(&mut self, rng: &mut dyn CryptoRng) -> Result<(), Halt> {
        self.online = true;
        if !self.is_connected() {
            self.connect(rng);
        }
        Ok(())
    }

    pub(super) fn wake(&mut self, store: &mut dyn DeviceStore, rng: &mut dyn CryptoRng) -> Result<(), Halt> {
        let Some((at, reason)) = self.poll_timeout() else {
            return Ok(());
        };
        if self.now.monotonic < at {
            return Ok(());
        }
        match reason {
            WakeReason::Reconnect => self.connect(rng),
            WakeReason::AnswerOverdue => {
                self.push(Effect::Close);
                self.lost(Disconnect::Silent);
            }
            WakeReason::Keepalive => {
                let now = self.now.monotonic;
                if let Some(session) = self.session() {
                    session.probed = Some(now);
                    self.push(Effect::Probe);
                }
            }
            WakeReason::IntentDue => {
                self.rounds.release(self.now.monotonic);
                return self.pump(store);
            }
        }
        Ok(())
    }

    /// The websocket is open: waits for the challenge.
    pub(super) fn greet(&mut self) -> Result<(), Halt> {
        if matches!(self.phase, Phase::Connecting { .. }) {
            self.phase = Phase::Greeting { deadline: self.answer_by() };
        }
        Ok(())
    }

    pub(super) fn heard(&mut self) {
        let now = self.now.monotonic;
        if let Some(session) = self.session() {
            session.last_heard = now;
            session.probed = None;
        }
    }

    /// Ends the connection from this side.
    pub(super) fn disconnect(&mut self, reason: Disconnect) {
        if self.is_connected() {
            self.push(Effect::Close);
            self.lost(reason);
        } else {
            self.phase = Phase::Offline { retry_at: None };
            self.last_reason = reason;
        }
    }

    /// Notes that the connection is gone, and when the next attempt is due.
    pub(super) fn lost(&mut self, reason: Disconnect) {
        if !self.is_connected() {
            return;
        }
        // What was said before the relay proved itself ends this attempt, not all of them: whoever is on the way can
        // say it. That it was convicted is known here.
        let is_final = reason.is_final() && (self.is_live() || reason == Disconnect::RelayForked);
        let again = self.online && !is_final;
        let retry_at = again.then(|| self.now.monotonic.saturating_add(self.backoff()));
        self.phase = Phase::Offline { retry_at };
        self.attempts = self.attempts.saturating_add(1);
        self.offline_since = Some(self.now.wall);
        self.last_reason = reason;
        self.push(Effect::Event(Event::Disconnected { reason, retry_at }));
    }

    pub(super) fn take_frame(
        &mut self,
        bytes: &[u8],
        store: &mut dyn DeviceStore,
        rng: &mut dyn CryptoRng,
    ) -> Result<(), Halt> {
        self.heard();
        match &mut self.phase {
            // A frame that was under way when the connection was given up.
            Phase::Offline { .. } | Phase::Connecting { .. } => Ok(()),
            Phase::Greeting { .. } => {
                let mut unpacker = Unpacker::new();
                match decode_down(bytes, &mut unpacker).map_err(|_| Halt::Violation)? {
                    Down::Challenge { versions, relay, relay_epoch, challenge } => {
                        let opening = Opening { relay, relay_epoch, challenge: *challenge };
                        self.take_challenge(&versions, opening, unpacker, store, rng)
                    }
                    Down::Goodbye(why) => {
                        self.disconnect(Disconnect::Goodbye(why));
                        Ok(())
                    }
                    _ => Err(Halt::Violation),
                }
            }
            Phase::Session(session) => {
                let message = decode_down(bytes, &mut session.unpacker).map_err(|_| Halt::Violation)?;
                if session.welcomed {
                    self.take_message(message, store)?;
                } else {
                    self.take_first_message(message, store)?;
                }
                self.work_off(bytes.len() as u64)
            }
        }
    }

    fn connect(&mut self, rng: &mut dyn CryptoRng) {
        self.jitter = rng.next_u64();
        self.phase = Phase::Connecting { deadline: self.answer_by() };
        self.push(Effect::Connect);
    }

    /// Doubles from the floor up to the ceiling; half of it is chance, so that devices that lost the relay together do
    /// not come back together.
    fn backoff(&self) -> Duration {
        let limits = &self.config.limits;
        let doubled = limits.backoff_floor.saturating_mul(1u32.checked_shl(self.attempts).unwrap_or(u32::MAX));
        let whole = doubled.min(limits.backoff_ceiling);
        let half = whole / 2;
        let chance = self.jitter as f64 / u64::MAX as f64;
        half + half.mul_f64(chance)
    }

    fn answer_by(&self) -> Monotonic {
        self.now.monotonic.saturating_add(self.config.limits.answer)
    }

    fn take_challenge(
        &mut self,
        versions: &[u16],
        opening: Opening,
        unpacker: Unpacker,
        store: &mut dyn DeviceStore,
        rng: &mut dyn CryptoRng,
    ) -> Result<(), Halt> {
        if opening.relay != self.config.relay {
            self.disconnect(Disconnect::RelayIdentity);
            return Ok(());
        }
        if negotiate(versions).is_err() {
            self.disconnect(Disconnect::Version);
            return Ok(());
        }
        let meta = self.cache(store)?.meta.clone();
        if meta.relay_epoch.is_some_and(|known| known != opening.relay_epoch) {
            self.disconnect(Disconnect::RelayRestored);
            return Ok(());
        }
        if self.is_convicted(opening.relay_epoch, &*store)? {
            self.disconnect(Disconnect::RelayForked);
            return Ok(());
        }
        let mut nonce = [0; 32];
        rng.fill_bytes(&mut nonce);
        let auth = self.make_auth(&opening, nonce, meta.relay_epoch, store)?;
        let now = self.now.monotonic;
        self.phase = Phase::Session(Box::new(Session {
            packer: Packer::new(),
            unpacker,
            opening,
            nonce,
            welcomed: false,
            caught_up: false,
            welcome_by: self.answer_by(),
            last_heard: now,
            probed: None,
            clock: None,
            worked_off: 0,
            allowed: UP_WINDOW_BYTES,
            in_flight: BTreeMap::new(),
            in_flight_bytes: 0,
            next_request: 1,
            backfilling: None,
            asked_review: BTreeSet::new(),
            moved: BTreeMap::new(),
            offers: BTreeMap::new(),
            paging: None,
            leaves_due: 0,
            asked: BTreeSet::new(),
        }));
        self.send(&Up::Auth(auth))?;
        let lasts = meta.lasts();
        self.send(&Up::Pull { policy: meta.policy, content: meta.content, lasts })?;
        self.pump(store)
    }

    fn make_auth(
        &self,
        opening: &Opening,
        nonce: [u8; 32],
        relay_epoch: Option<u64>,
        store: &dyn DeviceStore,
    ) -> Result<Auth, StoreError> {
        let mut auth = Auth {
            versions: VERSIONS.to_vec(),
            device: self.device,
            incarnation: self.config.incarnation,
            nonce: ByteArray::from(nonce),
            relay_epoch,
            credential: self.credential(opening, store)?,
            signature: Signature([0; 64]),
        };
        auth.signature = self.config.key.sign(context::AUTH_SIGNATURE, &auth_message(opening, &auth));
        Ok(auth)
    }

    /// Chooses why the relay should listen: what was configured as long as it is needed, then membership.
    fn credential(&self, opening: &Opening, store: &dyn DeviceStore) -> Result<Credential, StoreError> {
        let view = self.shelf.view(store);
        let credential = match &self.config.credential {
            DeviceCredential::Member => Credential::Member,
            DeviceCredential::Founding(secret) => {
                let is_founding = super::shelf::list(store, ChainKind::Agency)?
                    .iter()
                    .filter_map(|agency| view.chain(agency))
                    .all(|agency| agency.op(0).is_none_or(|op| op.time.is_none()));
                if is_founding {
                    founding_credential(opening, &self.device, secret.expose())
                } else {
                    Credential::Member
                }
            }
            DeviceCredential::Invite { chain, invite, key } => {
                let user = self.config.user;
                let joined = |member: &vereda_policy::Membership| member.subject == user && member.until_seq.is_none();
                if view.chain(chain).is_some_and(|state| state.members().iter().any(joined)) {
                    Credential::Member
                } else {
                    let message = invite_auth_message(opening, &self.device, chain, invite);
                    let proof = key.sign(context::INVITE_AUTH_SIGNATURE, &message);
                    Credential::Invite { chain: *chain, invite: *invite, proof }
                }
            }
        };
        view.finish()?;
        Ok(credential)
    }

    fn take_first_message(&mut self, message: Down, store: &mut dyn DeviceStore) -> Result<(), Halt> {
        match message {
            Down::Welcome { version, time, held, end, signature } => {
                let device: DeviceId = self.device;
                let now = self.now.monotonic;
                let Some(session) = self.session() else {
                    return Ok(());
                };
                let fields = WelcomeFields { device, nonce: session.nonce, version, time, held, end };
                let message = welcome_message(&session.opening, &fields);
                let relay = session.opening.relay;
                if verify(context::WELCOME_SIGNATURE, &relay, &message, &signature).is_err() {
                    self.disconnect(Disconnect::RelayIdentity);
                    return Ok(());
                }
                if !VERSIONS.contains(&version) {
                    return Err(Halt::Violation);
                }
                session.welcomed = true;
                session.clock = Some((time, now));
                let relay_epoch = session.opening.relay_epoch;
                self.welcome(relay_epoch, held, end, store)
            }
            Down::Goodbye(why) => {
                self.disconnect(Disconnect::Goodbye(why));
                Ok(())
            }
            _ => Err(Halt::Violation),
        }
    }

    fn welcome(&mut self, relay_epoch: u64, held: u64, end: Position, store: &mut dyn DeviceStore) -> Result<(), Halt> {
        let meta = &mut self.cache(store)?.meta;
        let sealed = meta.sealed;
        if held > sealed {
            self.tell(Event::StoreRestored { held, sealed });
            self.disconnect(Disconnect::StoreRestored);
            return Ok(());
        }
        if end < meta.policy.max(meta.content) {
            // It was told to have stored more than there is: by a relay that lied, or whose log was cut off since. What
            // comes at those positions from now on would never be asked for.
            let told = meta.policy.max(meta.content);
            (meta.policy, meta.content) = (Position(0), Position(0));
            self.note_shorter_log(end, told, store)?;
            self.disconnect(Disconnect::LogShorter);
            return Ok(());
        }
        if let Some(confirmed) = meta.confirmed.filter(|confirmed| held < *confirmed) {
            // Its log was cut off and has grown beyond where this device is: what lies between was never asked for.
            (meta.policy, meta.content, meta.confirmed) = (Position(0), Position(0), Some(0));
            self.note_lost(held, confirmed, store)?;
            self.queue_lost(store)?;
            self.disconnect(Disconnect::LogShorter);
            return Ok(());
        }
        meta.relay_epoch = Some(relay_epoch);
        self.attempts = 0;
        self.offline_since = None;
        self.tell(Event::Welcomed { held });
        self.pump(store)
    }

    /// Credits the relay for bytes that were worked off, a quarter of the window at a time.
    fn work_off(&mut self, bytes: u64) -> Result<(), Halt> {
        let quarter = DOWN_WINDOW_BYTES / 4;
        let Some(session) = self.session() else {
            return Ok(());
        };
        session.worked_off = session.worked_off.saturating_add(bytes);
        if session.worked_off < quarter || !session.welcomed {
            return Ok(());
        }
        let credit = std::mem::take(&mut session.worked_off);
        self.send(&Up::Credit(credit)).map(|_| ())
    }

    /// Queues a frame; tells its length.
    pub(super) fn send(&mut self, message: &Up) -> Result<u64, Halt> {
        let Some(session) = self.session() else {
            return Ok(0);
        };
        // What is too long for a frame was refused when it was enqueued.
        let frame = encode_up(message, &mut session.packer).map_err(|_| Halt::Violation)?;
        let bytes = frame.len() as u64;
        // Counted as the relay counts: what it does not give back must not be taken.
        if matches!(message, Up::PutOp { .. } | Up::PutChunk(_)) {
            session.allowed = session.allowed.saturating_sub(bytes);
        }
        self.push(Effect::Send(frame));
        Ok(bytes)
    }
}
