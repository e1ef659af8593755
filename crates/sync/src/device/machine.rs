//! The device's state machine: one door in, one door out.

use std::collections::{BTreeMap, BTreeSet};

use rand_core::CryptoRng;
use vereda_base::{ChainId, DeviceId, Incarnation, Link, Monotonic, Now, Timestamp};

use super::{
    config::{DeviceConfig, DeviceCredential},
    effect::{Disconnect, Effect, Event, Input, WakeReason},
    offers::Rounds,
    removals::Unsettled,
    sending::Queued,
    session::{Phase, Session},
    shelf::{ChainShelf, ChainView},
    store::{DeviceStore, StoreError},
    tables::{
        Awaited, BACKFILL, BackfillRow, LINKS, LinkRow, META, Meta, OUTBOX, RESEAL, ResealRow, load, load_all, save,
    },
    tally::Tally,
};

/// Attempts after which a device that had no room for more tries again: soon would be no better.
const OVERFULL_ATTEMPTS: u32 = 7;

/// How often, within one commit, what a breach left over is taken up again.
const MAX_LEFT_OVER: u32 = 64;

/// The device's side of sync. Sans-IO: time, randomness and the store come in with each input; effects come out after
/// [`DeviceMachine::commit`].
///
/// Between two commits the driver may hand in many inputs and the application may call `enqueue_*` and write its own
/// rows: all of it is one transaction.
pub struct DeviceMachine {
    pub(super) config: DeviceConfig,
    pub(super) device: DeviceId,
    pub(super) shelf: ChainShelf,
    pub(super) phase: Phase,
    pub(super) online: bool,
    pub(super) attempts: u32,
    /// Drawn when a connection is begun, so that losing it needs no randomness.
    pub(super) jitter: u64,
    pub(super) offline_since: Option<Timestamp>,
    pub(super) last_reason: Disconnect,
    pub(super) now: Now,
    pub(super) cache: Option<Cache>,
    pub(super) tally: Tally,
    /// Chains and chunks that became known in this transaction and may be awaited.
    pub(super) woken: BTreeSet<Awaited>,
    /// What is to be judged again before the transaction is over.
    pub(super) unsettled: Unsettled,
    /// How often removals of this device named too little.
    pub(super) rounds: Rounds,
    /// There may be leaves to ask for.
    pub(super) leaves_wanted: bool,
    /// Something to decide on went, since what found no room was last asked for.
    pub(super) reviews_closed: bool,
    /// A beacon came that was not looked at.
    pub(super) beacons_changed: bool,
    /// What was told of a chain or document since the last commit, and need not be told twice.
    told: BTreeSet<(u8, ChainId)>,
    effects: Vec<Effect>,
    failure: Option<StoreError>,
    /// Something was taken in or queued since the last commit that a rollback would undo.
    touched: bool,
}

/// What is kept of the store in memory; read anew after a transaction failed.
#[derive(Debug)]
pub(super) struct Cache {
    pub(super) meta: Meta,
    pub(super) stored_meta: Option<Meta>,
    pub(super) queue: BTreeMap<u64, Queued>,
    pub(super) backfills: Vec<BackfillRow>,
    /// Chunks that wait to be sealed again, by document: nothing of these is sent.
    pub(super) held: BTreeMap<ChainId, BTreeSet<Link>>,
}

impl Cache {
    /// Notes that a chunk need not be sealed again any more.
    pub(super) fn release_held(&mut self, document: &ChainId, link: &Link) {
        if let Some(links) = self.held.get_mut(document) {
            links.remove(link);
            if links.is_empty() {
                self.held.remove(document);
            }
        }
    }
}

/// Why an input was not worked off.
#[derive(Debug)]
pub(super) enum Halt {
    /// The store failed.
    Store(StoreError),
    /// The relay broke the protocol.
    Violation,
    /// More waits than is kept.
    Overfull,
}

impl From<StoreError> for Halt {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// What a commit brought.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub struct Committed {
    /// What is to be done now, in this order.
    pub effects: Vec<Effect>,
    /// Why nothing since the last commit was kept; the connection is then given up.
    pub failure: Option<StoreError>,
}

impl DeviceMachine {
    /// Makes a machine over a store. It stays offline until [`Input::Start`].
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be read.
    pub fn open(config: DeviceConfig, store: &mut dyn DeviceStore) -> Result<Self, StoreError> {
        let mut machine = Self {
            device: config.key.device_id(),
            config,
            shelf: ChainShelf::default(),
            phase: Phase::Offline { retry_at: None },
            online: false,
            attempts: 0,
            jitter: 0,
            offline_since: None,
            last_reason: Disconnect::Stopped,
            now: Now::default(),
            cache: None,
            tally: Tally::default(),
            woken: BTreeSet::new(),
            unsettled: Unsettled::default(),
            rounds: Rounds::default(),
            leaves_wanted: true,
            reviews_closed: true,
            beacons_changed: true,
            told: BTreeSet::new(),
            effects: Vec::new(),
            failure: None,
            touched: false,
        };
        machine.shelf.load_groups(store)?;
        machine.cache(store)?;
        // What an older version of the program did not understand, this one may.
        match machine.retry_all_ops(store).and_then(|()| machine.fill_all_gaps(store)) {
            Err(Halt::Store(error)) => return Err(error),
            Ok(()) | Err(Halt::Violation | Halt::Overfull) => {}
        }
        Ok(machine)
    }

    /// Takes an input. Whatever goes wrong shows in the next [`DeviceMachine::commit`].
    pub fn handle_input(&mut self, now: Now, input: Input, store: &mut dyn DeviceStore, rng: &mut dyn CryptoRng) {
        self.now = now;
        if self.failure.is_some() {
            return;
        }
        self.touched |= matches!(input, Input::Frame(_));
        let done = match input {
            Input::Start => self.start(rng),
            Input::Stop => {
                self.online = false;
                self.disconnect(Disconnect::Stopped);
                Ok(())
            }
            Input::Connected => self.greet(),
            Input::Frame(bytes) => self.take_frame(&bytes, store, rng),
            Input::Alive => {
                self.heard();
                Ok(())
            }
            Input::Closed => {
                self.lost(Disconnect::Lost);
                Ok(())
            }
            Input::Timeout => self.wake(store, rng),
        };
        self.settle(done);
    }

    /// Makes everything since the last commit durable and hands out what may be done because of it; or, where that
    /// fails, undoes it all and gives the connection up.
    pub fn commit(&mut self, store: &mut dyn DeviceStore) -> Committed {
        // A breach may have come after a removal in one frame: what that is to be judged by must not be forgotten.
        for _ in 0..MAX_LEFT_OVER {
            if self.failure.is_some() || self.unsettled.is_empty() {
                break;
            }
            let done = self.work_woken(store);
            self.settle(done);
        }
        let failure = match self.failure.take() {
            Some(failure) => Some(failure),
            None => self.write_meta(store).and_then(|()| store.commit()).err(),
        };
        if failure.is_some() {
            self.undo(store);
        }
        self.touched = false;
        self.told.clear();
        Committed { effects: std::mem::take(&mut self.effects), failure }
    }

    /// Undoes everything since the last commit. If the machine had a part in it the connection is given up, which the
    /// next commit tells.
    pub fn rollback(&mut self, store: &mut dyn DeviceStore) {
        self.failure = None;
        self.undo(store);
        self.touched = false;
    }

    /// Tells when the machine wants [`Input::Timeout`], and why.
    pub fn poll_timeout(&self) -> Option<(Monotonic, WakeReason)> {
        match &self.phase {
            Phase::Offline { retry_at } => retry_at.map(|at| (at, WakeReason::Reconnect)),
            Phase::Connecting { deadline } | Phase::Greeting { deadline } => {
                Some((*deadline, WakeReason::AnswerOverdue))
            }
            Phase::Session(session) => {
                let deadline = session.deadline(&self.config.limits);
                let due = self.rounds.next().filter(|_| session.caught_up);
                Some(due.filter(|due| *due < deadline.0).map_or(deadline, |due| (due, WakeReason::IntentDue)))
            }
        }
    }

    /// Says whether the relay proved itself and the session stands.
    #[must_use]
    pub const fn is_live(&self) -> bool {
        matches!(&self.phase, Phase::Session(session) if session.welcomed)
    }

    /// Says whether nothing is left to do: everything the relay had is here, and everything made here is there.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        let answered = |session: &Session| session.caught_up && session.asked_review.is_empty();
        let caught_up = matches!(&self.phase, Phase::Session(session) if answered(session));
        let empty = |cache: &Cache| cache.queue.is_empty() && cache.backfills.is_empty();
        caught_up && self.cache.as_ref().is_some_and(empty) && !self.touched
    }

    /// Names the device.
    pub const fn device(&self) -> DeviceId {
        self.device
    }

    /// Tells the present incarnation.
    pub const fn incarnation(&self) -> Incarnation {
        self.config.incarnation
    }

    /// Looks at the chains that are known, the present transaction included.
    pub fn chains<'a>(&'a self, store: &'a dyn DeviceStore) -> ChainView<'a> {
        self.shelf.view(store)
    }

    /// Goes on in a new incarnation, after [`Event::StoreRestored`] or where the vault was found to be a copy. Whatever
    /// is sealed from now on begins at seq 0.
    ///
    /// # Errors
    /// [`StoreError`] by cause.
    pub fn open_incarnation(
        &mut self,
        store: &mut dyn DeviceStore,
        incarnation: Incarnation,
    ) -> Result<(), StoreError> {
        self.config.incarnation = incarnation;
        self.cache(store)?;
        self.reset_sealed();
        if !matches!(self.phase, Phase::Offline { .. }) {
            // The relay was told the old incarnation.
            self.lost(Disconnect::Lost);
        } else if self.online {
            self.phase = Phase::Offline { retry_at: Some(self.now.monotonic) };
        }
        Ok(())
    }

    /// Changes why the relay should listen, from the next connection on.
    pub fn set_credential(&mut self, credential: DeviceCredential) {
        self.config.credential = credential;
    }

    /// Names the user that the device belongs to.
    pub const fn user(&self) -> ChainId {
        self.config.user
    }

    /// Reads what is kept in memory of the store, where it was forgotten.
    pub(super) fn cache(&mut self, store: &dyn DeviceStore) -> Result<&mut Cache, StoreError> {
        if self.cache.is_none() {
            let stored_meta = load::<Meta>(store, META, b"meta")?;
            let rows = load_all(store, OUTBOX, None)?;
            let backfills = load_all(store, BACKFILL, None)?.into_iter().map(|(_, row)| row).collect();
            let queue = rows.iter().filter_map(|(key, item)| Queued::of(key, item)).collect();
            let meta = stored_meta.clone().unwrap_or_default();
            let mut held: BTreeMap<ChainId, BTreeSet<Link>> = BTreeMap::new();
            for (key, _) in load_all::<ResealRow>(store, RESEAL, None)? {
                let link = Link(key.try_into().unwrap_or([0; 32]));
                if let Some(row) = load::<LinkRow>(store, LINKS, link.as_bytes())? {
                    held.entry(row.document).or_default().insert(link);
                }
            }
            self.cache = Some(Cache { meta, stored_meta, queue, backfills, held });
            self.reset_sealed();
        }
        self.cache.as_mut().ok_or(StoreError::Unknown { table: META.0 })
    }

    pub(super) fn push(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    /// Queues an event; of many alike for one chain or document in a transaction, the first.
    pub(super) fn tell(&mut self, event: Event) {
        let news = match &event {
            Event::ChunksStored { document } => Some((0, *document)),
            Event::PolicyChanged { chain } => Some((1, *chain)),
            Event::WrapStored { chain } => Some((2, *chain)),
            Event::Excluded { document } => Some((3, *document)),
            Event::Remake { document } => Some((4, *document)),
            Event::ReviewChanged { document } => Some((5, *document)),
            _ => None,
        };
        if news.is_none_or(|news| self.told.insert(news)) {
            self.effects.push(Effect::Event(event));
        }
    }

    /// Notes how an input or a call ended.
    pub(super) fn settle(&mut self, done: Result<(), Halt>) {
        match done {
            Ok(()) => {}
            Err(Halt::Store(error)) => self.failure = Some(error),
            Err(Halt::Violation) => self.give_up(Disconnect::Violation),
            // The cursor stays where it was, so that nothing is lost: it is served again.
            Err(Halt::Overfull) => {
                self.attempts = self.attempts.max(OVERFULL_ATTEMPTS);
                self.give_up(Disconnect::Overfull);
            }
        }
    }

    fn give_up(&mut self, reason: Disconnect) {
        if self.is_connected() {
            self.push(Effect::Close);
        }
        self.lost(reason);
    }

    /// Notes that a call of the application failed in the store.
    pub(super) fn fail(&mut self, error: &StoreError) {
        self.failure.get_or_insert_with(|| error.clone());
        self.touched = true;
    }

    pub(super) fn touch(&mut self) {
        self.touched = true;
    }

    pub(super) const fn is_connected(&self) -> bool {
        !matches!(self.phase, Phase::Offline { .. })
    }

    pub(super) fn session(&mut self) -> Option<&mut Session> {
        match &mut self.phase {
            Phase::Session(session) => Some(session),
            _ => None,
        }
    }

    fn reset_sealed(&mut self) {
        let incarnation = self.config.incarnation.0;
        if let Some(cache) = &mut self.cache
            && cache.meta.incarnation != incarnation
        {
            cache.meta.incarnation = incarnation;
            (cache.meta.sealed, cache.meta.confirmed) = (0, Some(0));
        }
    }

    fn write_meta(&mut self, store: &mut dyn DeviceStore) -> Result<(), StoreError> {
        let Some(cache) = &mut self.cache else {
            return Ok(());
        };
        if cache.stored_meta.as_ref() != Some(&cache.meta) {
            save(store, META, &[], b"meta", &cache.meta)?;
            cache.stored_meta = Some(cache.meta.clone());
        }
        Ok(())
    }

    fn undo(&mut self, store: &mut dyn DeviceStore) {
        store.rollback();
        self.shelf.clear();
        self.cache = None;
        self.tally = Tally::default();
        self.woken.clear();
        self.unsettled.clear();
        self.leaves_wanted = true;
        self.reviews_closed = true;
        self.beacons_changed = true;
        self.told.clear();
        let had_part = self.touched || !self.effects.is_empty();
        self.effects.clear();
        if had_part && self.is_connected() {
            self.push(Effect::Close);
            self.lost(Disconnect::Store);
        }
        // Best effort: where the store cannot even be read, the next use of it says so.
        let _ = self.cache(store);
    }
}
