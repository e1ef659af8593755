//! A device: an unlocked store, the state machine that syncs it, and what is kept open of it in memory.
//!
//! Everything that changes something is one transaction, committed before the call returns. A call that fails leaves
//! nothing behind, in the store or in memory.

mod books;
mod engine;
mod error;
mod incarnating;
mod leaving;
mod loading;
mod making;
mod opening;
mod pauses;
mod rebuilding;
mod repairing;
mod resealing;
mod rotating;
mod sealing;
mod skipping;
mod vaulted;
mod working;

use std::collections::{BTreeMap, BTreeSet};

use rand_core::CryptoRng;
use vereda_base::{ChainId, DeviceId, Incarnation, Link, Monotonic, Now};
use vereda_policy::{ChainState, Chains};
use vereda_records::Configuration;
use vereda_sync::device::{
    DeviceConfig, DeviceLimits, DeviceMachine, DeviceStore, Disconnect, Effect, Event, Input, StoreError,
};

pub(crate) use books::{Books, Line};
pub use error::{DeviceError, DocumentError};
pub use incarnating::IncarnatedStore;
pub(crate) use loading::read_header;
pub(crate) use making::draw_nonce;
use pauses::Pauses;
use rotating::Rotations;
pub(crate) use sealing::Stuck;
pub use working::Step;

use crate::{
    document::{Awaited, OpenDocument},
    facts::{DeviceKeys, Membership, load_deceived, load_incarnation, save_incarnation},
    keyring::Keyring,
    tables::{EDITS, OPENING},
};

/// What a device needs of the world for one call: the time, and randomness.
pub struct Ambient<'a> {
    /// Both clocks.
    pub now: Now,
    /// Fresh randomness.
    pub rng: &'a mut dyn CryptoRng,
}

/// A device.
pub struct Device<S: DeviceStore> {
    pub(crate) store: S,
    pub(crate) incarnation: Incarnation,
    pub(crate) keys: DeviceKeys,
    pub(crate) membership: Option<Membership>,
    pub(crate) machine: Option<DeviceMachine>,
    pub(crate) keyring: Keyring,
    pub(crate) books: Books,
    /// Replicas in memory, those used last at the end of `recent`.
    open: BTreeMap<ChainId, OpenDocument>,
    recent: Vec<ChainId>,
    /// How often one was read from the store.
    loads: u64,
    /// Documents with edits that no chunk holds yet.
    pub(crate) unsealed: BTreeSet<ChainId>,
    /// Of these, the ones that rights or keys did not allow to seal when it was last tried.
    unsealable: BTreeSet<ChainId>,
    /// Documents whose edits the outbox refused as they stand.
    pub(crate) stuck: BTreeMap<ChainId, Stuck>,
    /// Documents with chunks that their projection does not show yet.
    stale: BTreeSet<ChainId>,
    /// Stale documents whose key is not here yet.
    locked: BTreeSet<ChainId>,
    /// Documents set aside: the program died while it opened them.
    set_aside: BTreeSet<ChainId>,
    /// Documents of which chunks were passed over, and what they wait for.
    skipping: BTreeMap<ChainId, Awaited>,
    /// Chains of which keys are missing.
    keyless: BTreeSet<ChainId>,
    /// Epochs that this process called bad.
    called_bad: BTreeSet<(ChainId, u64, usize)>,
    /// Wraps or operations came in: keys may open that did not before.
    keys_may_open: bool,
    /// Chains that grew: members may lack wraps.
    repair_from: Option<Monotonic>,
    repairing: BTreeSet<ChainId>,
    /// Chains in which somebody lacks a wrap, until something changes.
    deferred: BTreeSet<ChainId>,
    /// Chains of which keys are held and that were not looked at yet for whoever lacks a wrap.
    unswept: BTreeSet<ChainId>,
    rotations: Rotations,
    pauses: Pauses,
    /// Until then no beacon is signed, as one was lately.
    pub(crate) beacon_from: Option<Monotonic>,
    /// Chunks that the relay wants sealed again.
    resealing: BTreeSet<(ChainId, Link)>,
    /// Documents of which chunks were found not to stand.
    excluding: BTreeSet<ChainId>,
    /// Documents with edits to be made again under a new incarnation, with the own chunks that can not stand.
    remaking: BTreeMap<ChainId, BTreeSet<Link>>,
    /// This device stopped being a member of something whose keys it holds, or that was erased.
    has_lost: bool,
    /// Chains whose keys are held that an earlier process may have learnt to be erased: yet to be looked at.
    maybe_erased: BTreeSet<ChainId>,
    pub(crate) contact: Contact,
    effects: Vec<Effect>,
    changed: BTreeSet<ChainId>,
}

/// How the device stands with its relay.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Contact {
    pub(crate) is_live: bool,
    pub(crate) is_caught_up: bool,
    pub(crate) is_wanted: bool,
    pub(crate) last_loss: Option<Disconnect>,
    pub(crate) needs_incarnation: bool,
    /// The relay does not hold what an invite promised.
    pub(crate) is_deceived: bool,
}

impl<S: IncarnatedStore> Device<S> {
    /// Opens the device that a store holds; makes its keys at first use.
    ///
    /// # Errors
    /// [`DeviceError`] by cause.
    pub fn open(mut store: S, ambient: &mut Ambient<'_>) -> Result<Self, DeviceError> {
        let incarnation = store.incarnation();
        let keys = DeviceKeys::load_or_make(&mut store, ambient.rng)?;
        let before = load_incarnation(&store)?;
        if before.is_none() {
            save_incarnation(&mut store, incarnation)?;
        }
        let membership = Membership::load(&store)?;
        let mut keyring = Keyring::load(keys.signing.device_id(), keys.wrapping.clone(), &store)?;
        keyring.guard(&mut store, ambient.rng)?;
        store.commit()?;
        let mut device = Self {
            store,
            incarnation,
            keys,
            membership: None,
            machine: None,
            keyring,
            books: Books::default(),
            open: BTreeMap::new(),
            recent: Vec::new(),
            loads: 0,
            unsealed: BTreeSet::new(),
            unsealable: BTreeSet::new(),
            stuck: BTreeMap::new(),
            locked: BTreeSet::new(),
            stale: BTreeSet::new(),
            set_aside: BTreeSet::new(),
            skipping: BTreeMap::new(),
            keyless: BTreeSet::new(),
            called_bad: BTreeSet::new(),
            keys_may_open: true,
            repair_from: None,
            repairing: BTreeSet::new(),
            deferred: BTreeSet::new(),
            unswept: BTreeSet::new(),
            rotations: Rotations::default(),
            pauses: Pauses::default(),
            beacon_from: None,
            resealing: BTreeSet::new(),
            excluding: BTreeSet::new(),
            remaking: BTreeMap::new(),
            has_lost: false,
            maybe_erased: BTreeSet::new(),
            contact: Contact::default(),
            effects: Vec::new(),
            changed: BTreeSet::new(),
        };
        device.contact.is_deceived = load_deceived(&device.store)?;
        device.load_sets()?;
        if let Some(membership) = membership {
            device.begin_machine(membership)?;
            device.commit()?;
        }
        device.find_keyless()?;
        device.find_repairs();
        device.find_resealing()?;
        device.find_lost()?;
        device.find_remaking()?;
        device.bring_books()?;
        device.find_stale()?;
        if before.is_some_and(|before| before != incarnation) {
            device.remake_edits(before.unwrap_or(incarnation))?;
        }
        Ok(device)
    }

    /// Begins a new incarnation if the relay showed that the store was restored from a copy, or where edits are to be
    /// made again because what they rested on does not stand.
    ///
    /// # Errors
    /// [`DeviceError`] by cause.
    pub fn renew_if_restored(&mut self, ambient: &mut Ambient<'_>) -> Result<bool, DeviceError> {
        if !std::mem::take(&mut self.contact.needs_incarnation) {
            return self.remake_lost(ambient);
        }
        let before = self.incarnation;
        self.begin_incarnation(ambient)?;
        self.remake_edits(before)?;
        Ok(true)
    }
}

impl<S: DeviceStore> Device<S> {
    /// Names this device.
    pub fn id(&self) -> DeviceId {
        self.keys.signing.device_id()
    }

    /// Borrows the store.
    pub const fn store(&self) -> &S {
        &self.store
    }

    /// Gives the store back, to lock it.
    pub fn into_store(self) -> S {
        self.store
    }

    /// Names the user and the agency, once there is one.
    pub fn home(&self) -> Option<(ChainId, ChainId)> {
        self.membership.as_ref().map(|membership| (membership.user, membership.agency))
    }

    /// Tells the relay's address; empty before there is one.
    pub fn relay_url(&self) -> &str {
        self.membership.as_ref().map_or("", |membership| membership.relay_url.as_str())
    }

    /// Hands an input to the state machine; [`Self::commit`] makes it count.
    ///
    /// # Errors
    /// [`DeviceError`] by cause.
    pub fn handle(&mut self, ambient: &mut Ambient<'_>, input: Input) -> Result<(), DeviceError> {
        match input {
            Input::Start => self.contact.is_wanted = true,
            Input::Stop => self.contact.is_wanted = false,
            _ => {}
        }
        if let Some(machine) = &mut self.machine {
            machine.handle_input(ambient.now, input, &mut self.store, ambient.rng);
        }
        Ok(())
    }

    /// Goes online and stays so: the driver connects, now and whenever the connection is lost.
    ///
    /// # Errors
    /// [`DeviceError`] by cause.
    pub fn go_online(&mut self, ambient: &mut Ambient<'_>) -> Result<(), DeviceError> {
        self.handle(ambient, Input::Start)?;
        self.commit()
    }

    /// Goes online if the application had asked for it before there was a relay to go to.
    ///
    /// # Errors
    /// [`DeviceError`] by cause.
    pub fn go_online_if_wanted(&mut self, ambient: &mut Ambient<'_>) -> Result<(), DeviceError> {
        if self.contact.is_wanted { self.go_online(ambient) } else { Ok(()) }
    }

    /// Goes offline and stays so.
    ///
    /// # Errors
    /// [`DeviceError`] by cause.
    pub fn go_offline(&mut self, ambient: &mut Ambient<'_>) -> Result<(), DeviceError> {
        self.handle(ambient, Input::Stop)?;
        self.commit()
    }

    /// Commits everything since the last commit and queues what may be done because of it.
    ///
    /// # Errors
    /// [`DeviceError`] if nothing of it was kept.
    pub fn commit(&mut self) -> Result<(), DeviceError> {
        let Some(machine) = &mut self.machine else {
            return match self.store.commit() {
                Ok(()) => Ok(()),
                Err(error) => {
                    self.forget_uncommitted();
                    Err(error.into())
                }
            };
        };
        let committed = machine.commit(&mut self.store);
        for effect in &committed.effects {
            if let Effect::Event(event) = effect {
                self.note(event);
            }
        }
        self.effects.extend(committed.effects);
        match committed.failure {
            None => Ok(()),
            Some(error) => {
                self.forget_uncommitted();
                Err(error.into())
            }
        }
    }

    /// Undoes everything since the last commit, in the store and in memory.
    pub fn roll_back(&mut self) {
        match &mut self.machine {
            Some(machine) => machine.rollback(&mut self.store),
            None => self.store.rollback(),
        }
        self.forget_uncommitted();
    }

    /// Takes what the driver is to do.
    pub fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// Tells when the device wants [`Input::Timeout`].
    pub fn poll_timeout(&self) -> Option<Monotonic> {
        self.machine.as_ref()?.poll_timeout().map(|(at, _)| at)
    }

    /// Tells when [`Self::work`] has something to do by itself.
    pub fn poll_work(&self) -> Option<Monotonic> {
        let due = self.repair_from.into_iter().chain(self.rotations.due()).chain(self.pauses.due()).min();
        due.filter(|_| self.contact.is_caught_up)
    }

    /// Says whether nothing is left to do: everything the relay had is here and opened, everything made here is there.
    pub fn is_settled(&self) -> bool {
        self.machine.as_ref().is_some_and(DeviceMachine::is_settled)
            && !self.may_seal()
            && self.stale.is_empty()
            && !self.books.has_new_columns
            && !self.keys_may_open
            && self.effects.is_empty()
            && self.repairing.is_empty()
            && self.unswept.is_empty()
            && self.repair_from.is_none()
            && self.rotations.is_idle()
            && self.remaking.is_empty()
            && !self.has_lost
            && self.maybe_erased.is_empty()
    }

    /// Counts how often a document was read from the store since the device was opened.
    pub const fn documents_read(&self) -> u64 {
        self.loads
    }

    /// Finds a chain.
    pub(crate) fn chain(&self, id: &ChainId) -> Option<std::sync::Arc<ChainState>> {
        let machine = self.machine.as_ref()?;
        machine.chains(&self.store).chain(id)
    }

    /// The configuration in force; one without content where there is none.
    pub fn configuration(&self) -> &Configuration {
        &self.books.configuration
    }

    pub(crate) fn begin_machine(&mut self, membership: Membership) -> Result<(), DeviceError> {
        let config = DeviceConfig {
            key: self.keys.signing.clone(),
            incarnation: self.incarnation,
            user: membership.user,
            agency: membership.agency,
            relay: membership.relay_key,
            credential: membership.credential(),
            limits: DeviceLimits::default(),
        };
        self.machine = Some(DeviceMachine::open(config, &mut self.store)?);
        self.membership = Some(membership);
        Ok(())
    }

    fn load_sets(&mut self) -> Result<(), StoreError> {
        let (mut unsealed, mut set_aside) = (BTreeSet::new(), BTreeSet::new());
        let document = |key: &[u8]| key.first_chunk::<32>().copied().map(ChainId);
        self.store.scan(EDITS, None, &mut |key, _| {
            unsealed.extend(document(key));
            std::ops::ControlFlow::Continue(())
        })?;
        self.store.scan(OPENING, None, &mut |key, _| {
            set_aside.extend(document(key));
            std::ops::ControlFlow::Continue(())
        })?;
        (self.unsealed, self.set_aside) = (unsealed, set_aside);
        Ok(())
    }

    fn note(&mut self, event: &Event) {
        tracing::debug!(?event, "device");
        match event {
            Event::Welcomed { .. } => {
                self.contact.is_live = true;
                self.contact.last_loss = None;
            }
            Event::CaughtUp => {
                self.contact.is_caught_up = true;
                self.keys_may_open = true;
                self.rotations.groups_changed = true;
                self.pauses.end_all();
                self.repairing.extend(self.membership.as_ref().map(|membership| membership.agency));
            }
            Event::Disconnected { reason, .. } => {
                self.contact.is_live = false;
                self.contact.is_caught_up = false;
                self.contact.last_loss = Some(*reason);
            }
            Event::StoreRestored { .. } => self.contact.needs_incarnation = true,
            Event::ChunksStored { document } | Event::BackfillDone { document } => {
                self.stale.insert(*document);
            }
            Event::PolicyChanged { chain } => self.note_policy(chain),
            Event::WrapStored { chain } => {
                self.keyless.insert(*chain);
                self.keys_may_open = true;
            }
            Event::OpDone { op } => {
                self.keys_may_open = true;
                self.repairing.append(&mut self.deferred);
                self.note_own_document_decided(*op, true);
            }
            Event::OpRefused { op, code: vereda_protocol::RefusalCode::Discarded } => {
                self.note_own_document_decided(*op, false)
            }
            Event::IntentDone { id, .. } => {
                self.keys_may_open = true;
                self.pauses.note_fate(*id, false);
                self.note_fate(*id, None);
            }
            Event::IntentFailed { id, reason } => {
                self.rotations.note_failed(*id, *reason);
                self.pauses.note_fate(*id, true);
                self.keys_may_open = true;
                self.note_fate(*id, Some(reason.to_string()));
                self.look_again(*reason);
            }
            Event::ChunkInReview { link, document } => self.note_own_review(*link, *document, None),
            Event::Decided { link, document, adopted } => self.note_own_review(*link, *document, Some(*adopted)),
            Event::OpInReview { op } => self.note_own_document_in_review(*op),
            Event::Reseal { link, document } => {
                self.resealing.insert((*document, *link));
                self.unsealable.remove(document);
            }
            Event::Excluded { document } => {
                self.excluding.insert(*document);
            }
            Event::Remake { .. } => drop(self.note_remaking()),
            Event::Removed { .. } => self.has_lost = true,
            _ => {}
        }
    }

    /// What was not committed is gone: everything in memory that may hold some of it is read anew when needed.
    fn forget_uncommitted(&mut self) {
        self.open.clear();
        self.recent.clear();
        self.changed.clear();
        // Where the store cannot be read either, the next use of it says so.
        drop(self.reload_membership());
        drop(self.keyring.reload(&self.store));
        drop(self.load_sets());
        drop(self.find_keyless());
        self.find_repairs();
        drop(self.find_resealing());
        drop(self.find_remaking());
        drop(self.find_stale());
        self.keys_may_open = true;
    }

    /// Reads anew whose device this is; of founding or joining that was not committed nothing is left.
    fn reload_membership(&mut self) -> Result<(), StoreError> {
        self.membership = Membership::load(&self.store)?;
        if self.membership.is_none() {
            self.machine = None;
        }
        Ok(())
    }
}
