//! A whole world in one thread: a relay, people with their devices, a network, disks, clocks; all faults from a seed.

mod access;
mod branch;
mod chaos;
pub(crate) mod crook;
mod devices;
mod lies;
mod people;
mod relay;
mod settling;
mod wires;

use std::collections::{BTreeMap, BTreeSet};

use vereda_base::{ChainId, DeviceId, Digest, OpId};
use vereda_client_core::device::Device;
use vereda_crypto::DeviceKey;
use vereda_policy::{ChainKind, DocumentKind};
use vereda_sync::relay::RelayMachine;

use self::{branch::Branch, crook::Crook};
use crate::{
    breach::{Breach, Checker},
    disk::{Disk, Hand},
    draw::Draw,
    intent::Pen,
    knowledge::{Knowledge, Sealing},
    model::{Begun, Model, Owner, ledger::AsOf},
    mutation::Mutation,
    network::{ConnectionId, Network},
    plan::Plan,
    relay_disk::RelayDisk,
    trace::Trace,
};

/// The wall clock's start, in milliseconds since 1970.
pub const START_MS: i64 = 1_790_000_000_000;

/// What is going to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Happening {
    /// A person does something.
    Act(usize),
    /// A fault may occur.
    Fault,
    /// A connection reaches the relay.
    Opens(ConnectionId),
    /// A connection could not be made, or the device learns that it ended.
    ClosesAtDevice(ConnectionId),
    /// The relay learns that a connection ended.
    ClosesAtRelay(ConnectionId),
    /// The first parcel up arrives.
    ArrivesUp(ConnectionId),
    /// The first parcel down arrives.
    ArrivesDown(ConnectionId),
    /// Bytes were written to a connection.
    Written(ConnectionId, usize),
    /// A probe is answered.
    Echo(ConnectionId),
    /// The device's timer, if it is still the one meant.
    WakesDevice(usize, u64),
    /// A device's process starts again.
    Boots(usize),
    /// The relay commits what it took in, on a branch of its history.
    RelayCommits(u8),
    /// The relay's timer, on a branch.
    WakesRelay(u8),
    /// The relay's process starts again, on a branch.
    RelayBoots(u8),
    /// A relay that lies may do so in a way of its own.
    Lie,
}

/// How far a person is on the way into a team.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Entry {
    /// Founds the agency, in steps.
    Founder(u8),
    /// Was not invited yet.
    Stranger,
    /// Was invited; the invite's key.
    Invited(DeviceId),
    /// Has a link.
    HasLink(String),
    /// Is a further device of somebody that was not linked.
    Spare,
    /// Joined.
    Joined,
}

/// A person with a device.
pub(crate) struct Person {
    pub(crate) device: Option<Device<Disk>>,
    /// The world's hand on the disk.
    pub(crate) hand: Hand,
    pub(crate) id: Option<DeviceId>,
    /// Whose device it is: another person's place in the list, where it is a further device of that person.
    pub(crate) of: Option<usize>,
    /// The person came back with another device.
    pub(crate) is_replaced: bool,
    /// Cases and sections begun on it.
    pub(crate) made: BTreeSet<ChainId>,
    /// Index of the team; the founder is in both.
    pub(crate) team: usize,
    pub(crate) entry: Entry,
    /// After how many actions of all this person is invited.
    pub(crate) arrives: u32,
    pub(crate) connection: Option<ConnectionId>,
    /// Of the device's timer.
    pub(crate) alarm: u64,
    pub(crate) booted_at: u64,
    /// How wrong the wall clock is, in milliseconds.
    pub(crate) clock_error: i64,
    pub(crate) draw: Draw,
    /// Actions left until the person goes online again.
    pub(crate) offline_for: u32,
    /// Wraps that the relay ever sent to the device: operation, recipient and its epoch.
    pub(crate) wraps_sent: BTreeSet<SentWrap>,
    /// What the device wrote last, unsealed.
    pub(crate) last_written: Option<Vec<u8>>,
    /// Edits put off, for mutations of the application.
    pub(crate) put_off: Vec<(ChainId, crate::intent::Intent)>,
    /// Which history the relay serves the device: 0, or 1 while it is forked.
    pub(crate) branch: u8,
    /// Who may read what, as far as the device knows; followed where the relay lies.
    pub(crate) knowledge: Knowledge,
}

/// Names a wrap: the operation that committed to it, its recipient and the recipient's epoch.
pub(crate) type SentWrap = (OpId, Digest, u64);

/// What was counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Edits acknowledged.
    pub edits: u64,
    /// Processes that died, the relay's included.
    pub crashes: u64,
    /// Connections cut.
    pub cuts: u64,
    /// Commits that failed.
    pub full_disks: u64,
    /// Frames sent.
    pub frames: u64,
    /// Clocks that jumped.
    pub jumps: u64,
    /// Decisions about access that a device took.
    pub decisions: u64,
    /// Chunks that came into review.
    pub reviewed: u64,
    /// Edits that a Manager turned away.
    pub turned_away: u64,
    /// Edits in review that nobody is left to decide on.
    pub undecidable: u64,
    /// Times that a device made edits again under a new incarnation.
    pub remade: u64,
    /// Things that a relay withheld, altered, made up or forgot.
    pub lies: u64,
    /// Devices that said of the relay, or of a document, that something is wrong.
    pub named: u64,
}

/// A world.
pub struct World {
    pub(crate) plan: Plan,
    pub(crate) now: u64,
    queue: BTreeMap<(u64, u64), Happening>,
    next_happening: u64,
    pub(crate) draw: Draw,
    pub(crate) pen: Pen,
    pub(crate) people: Vec<Person>,
    pub(crate) teams: Vec<ChainId>,
    pub(crate) agency: Option<ChainId>,
    pub(crate) founding: [u8; 32],
    pub(crate) relay: Option<RelayMachine>,
    pub(crate) relay_disk: RelayDisk,
    pub(crate) relay_key: DeviceKey,
    pub(crate) relay_draw: Draw,
    pub(crate) relay_alarm: Option<u64>,
    pub(crate) next_session: u64,
    pub(crate) is_commit_due: bool,
    pub(crate) network: Network,
    pub(crate) model: Model,
    pub(crate) actions: u32,
    pub(crate) cases: BTreeSet<ChainId>,
    /// Which of the relay's histories is meant by its fields above and by the model: that of whoever something happens to.
    pub(crate) acting: u8,
    /// The other history, while there are two.
    pub(crate) other: Option<Branch>,
    /// What a relay that lies has in mind.
    pub(crate) crook: Crook,
    /// Chunks as they were sealed, where the relay lies.
    pub(crate) sealings: Vec<Sealing>,
    /// Faults are over.
    pub(crate) is_calm: bool,
    /// Decisions on what is in review that were made since.
    pub(crate) last_decisions: u32,
    pub(crate) counts: Counts,
    pub(crate) trace: Trace,
    pub(crate) breaches: Vec<Breach>,
}

impl World {
    /// Makes a world; nothing happened yet.
    pub fn new(plan: Plan, is_shown: bool) -> Self {
        let mut draw = Draw::new(plan.seed, 0);
        let relay_key = DeviceKey::generate(draw.rng());
        let mut founding = [0; 32];
        rand_core::Rng::fill_bytes(draw.rng(), &mut founding);
        let mut world = Self {
            plan,
            now: 1_000,
            queue: BTreeMap::new(),
            next_happening: 0,
            pen: Pen::new(plan.seed),
            people: Vec::new(),
            teams: Vec::new(),
            agency: None,
            founding,
            relay: None,
            relay_disk: RelayDisk::new(relay_key.clone(), plan.mutation),
            relay_key,
            relay_draw: Draw::new(plan.seed, 3),
            relay_alarm: None,
            next_session: 0,
            is_commit_due: false,
            network: Network::default(),
            model: Model::default(),
            actions: plan.actions,
            cases: BTreeSet::new(),
            acting: 0,
            other: None,
            crook: Crook::new(plan.seed),
            sealings: Vec::new(),
            is_calm: false,
            last_decisions: 0,
            counts: Counts::default(),
            trace: Trace::new(is_shown),
            breaches: Vec::new(),
            draw,
        };
        world.begin_relay();
        for who in 0..plan.people {
            world.add_person(who);
        }
        world.after(500, Happening::Fault);
        if plan.malice.is_some() {
            world.after(2_000, Happening::Lie);
        }
        world
    }

    /// Lets everything happen, then heals the world, lets it come to rest, and checks it.
    pub fn live(&mut self) {
        while self.actions > 0 && self.breaches.len() < 8 && self.now < 40 * 24 * 3_600_000 {
            if !self.step() {
                break;
            }
        }
        self.heal();
        self.settle();
        match self.plan.malice {
            Some(_) => crate::check::all_where_the_relay_lied(self),
            None => crate::check::all(self),
        }
    }

    /// Lets the next thing happen; says whether there was one.
    pub(crate) fn step(&mut self) -> bool {
        let Some(((at, _), happening)) = self.queue.pop_first() else { return false };
        self.now = self.now.max(at);
        let branch = self.branch_of(happening);
        self.enter(branch);
        self.let_happen(happening);
        self.enter(0);
        true
    }

    fn let_happen(&mut self, happening: Happening) {
        match happening {
            Happening::Act(who) => self.act(who),
            Happening::Fault => self.fault(),
            Happening::Opens(id) => self.opens(id),
            Happening::ClosesAtDevice(id) => self.closes_at_device(id),
            Happening::ClosesAtRelay(id) => self.closes_at_relay(id),
            Happening::ArrivesUp(id) => self.arrives_up(id),
            Happening::ArrivesDown(id) => self.arrives_down(id),
            Happening::Written(id, bytes) => self.written(id, bytes),
            Happening::Echo(id) => self.echo(id),
            Happening::WakesDevice(who, alarm) => self.wakes_device(who, alarm),
            Happening::Boots(who) => self.boot(who),
            Happening::RelayCommits(branch) if branch == self.acting => {
                self.is_commit_due = false;
                self.commit_relay();
            }
            Happening::WakesRelay(branch) if branch == self.acting => self.wake_relay(),
            Happening::RelayBoots(branch) if branch == self.acting => self.begin_relay(),
            // That history ended.
            Happening::RelayCommits(_) | Happening::WakesRelay(_) | Happening::RelayBoots(_) => {}
            Happening::Lie => self.lie(),
        }
    }

    /// Lets something happen in so many milliseconds.
    pub(crate) fn after(&mut self, delay_ms: u64, happening: Happening) {
        self.at(self.now.saturating_add(delay_ms), happening);
    }

    /// Lets something happen at a moment.
    pub(crate) fn at(&mut self, at: u64, happening: Happening) {
        self.next_happening += 1;
        self.queue.insert((at, self.next_happening), happening);
    }

    /// Says whether a fault of a level happens now.
    pub(crate) fn strikes(&mut self, level: u64) -> bool {
        !self.is_calm && self.draw.chance(level)
    }

    pub(crate) fn breach(&mut self, checker: Checker, what: String) {
        self.trace.note(self.now, format_args!("BREACH {checker:?}: {what}"));
        self.breaches.push(Breach { checker, what });
    }

    /// Gives what is left when the world ended.
    pub fn into_report(self) -> (Vec<Breach>, Counts, u64, Vec<String>) {
        let digest = self.trace.digest();
        (self.breaches, self.counts, digest, self.trace.into_lines())
    }

    /// Finds the teams that a person joined; he may have been put out since.
    pub(crate) fn teams_of(&self, who: usize) -> Vec<ChainId> {
        let Some(person) = self.people.get(who) else { return Vec::new() };
        match person.entry {
            Entry::Founder(_) => self.teams.clone(),
            Entry::Joined => self.teams.get(person.team).copied().into_iter().collect(),
            _ => Vec::new(),
        }
    }

    /// Says whether a person's device is in use, and not in league with the relay.
    pub(crate) fn is_honest(&self, who: usize) -> bool {
        let Some(person) = self.people.get(who) else { return false };
        !self.crook.accomplices.contains(&who)
            && person.device.is_some()
            && matches!(person.entry, Entry::Founder(4) | Entry::Joined)
    }

    /// Says whether every key gets to a person, for the mutations that leak them.
    pub(crate) fn leaks_to(&self, who: usize) -> bool {
        match self.plan.mutation {
            Some(Mutation::KeysLeak) => true,
            Some(Mutation::RemovedKeepUp) => self.is_out(who),
            _ => false,
        }
    }

    /// The relay's time, as roles are asked by.
    pub(crate) const fn relay_time(&self) -> AsOf {
        AsOf::Time(self.relay_now().wall)
    }

    /// Says whether a person's device is let in by the relay: it is in a group of the agency, or reads a document of it.
    fn is_let_in(&self, who: usize) -> bool {
        self.agency.iter().chain(&self.teams).any(|group| self.reads(who, group))
            || self.model.documents.keys().any(|document| self.reads(who, document) && self.is_let_in_by(who, document))
    }

    /// Says whether somebody else named a person in a document: a role that he gave himself keeps him in nowhere.
    fn is_let_in_by(&self, who: usize, document: &ChainId) -> bool {
        let ledger = &self.model.ledger;
        let held = ledger.chain(document).map_or(&[][..], |chain| &chain.held);
        self.user_of(who).is_some_and(|user| {
            held.iter().any(|held| {
                held.subject == user && held.counts(self.relay_time()) && !ledger.has_named(&user, &held.by)
            })
        })
    }

    /// Says whether a person's device reads a chain, as the relay has it now.
    pub(crate) fn reads(&self, who: usize, chain: &ChainId) -> bool {
        let device = self.people.get(who).and_then(|person| person.id);
        device.is_some_and(|device| self.model.ledger.readers(chain, self.relay_time()).contains_key(&device))
    }

    /// Says whether a person's device reads what the agency configured.
    pub(crate) fn reads_configuration(&self, who: usize) -> bool {
        self.model.ledger.documents(DocumentKind::Configuration).all(|document| self.reads(who, &document))
    }

    /// Says whether a device is handed every operation of a chain: of a document that it reads, of a group where it is let in.
    pub(crate) fn follows(&self, who: usize, chain: &ChainId) -> bool {
        match self.model.ledger.chain(chain).map(|chain| chain.kind) {
            Some(ChainKind::Document) => self.reads(who, chain),
            Some(_) => self.is_let_in(who),
            None => false,
        }
    }

    /// Says whether a chain is a group's, or a document's that a person's device reads as far as it knows.
    pub(crate) fn knows_to_read(&self, who: usize, chain: &ChainId) -> bool {
        let Some(person) = self.people.get(who) else { return false };
        let is_document = self.model.ledger.chain(chain).is_some_and(|known| known.kind == ChainKind::Document);
        let readers = person.knowledge.readers(chain);
        !is_document || readers.zip(person.id).is_some_and(|(readers, id)| readers.devices.contains(&id))
    }

    /// Says whether a person holds the newest key of a document, or somebody who reads it could pass it on.
    pub(crate) fn is_key_in_reach(&self, who: usize, document: &ChainId) -> bool {
        let Some(newest) = self.model.epochs.get(document).and_then(|epochs| epochs.len().checked_sub(1)) else {
            return false;
        };
        (0..self.people.len()).any(|other| {
            let Some(person) = self.people.get(other).filter(|_| other == who || self.reads(other, document)) else {
                return false;
            };
            person.hand.with_held(|held| held.key(document, newest as u64).is_some())
        })
    }

    /// Says whether somebody is left who may decide on what is in review of a document.
    pub(crate) fn can_decide(&self, document: &ChainId) -> bool {
        (0..self.people.len()).any(|who| self.decides(who, document))
    }

    /// Says whether a person's device may decide on what is in review of a document.
    pub(crate) fn decides(&self, who: usize, document: &ChainId) -> bool {
        let Some(device) = self.people.get(who).and_then(|person| person.id) else { return false };
        let (model, now) = (&self.model, self.relay_time());
        match model.reviewed_documents.get(document).filter(|_| !model.documents.contains_key(document)) {
            Some(begun) => begun
                .owners
                .iter()
                .any(|owner| model.ledger.decides(&device, &owner.chain, now) && self.may_let_in(begun, owner)),
            None => model.ledger.decides(&device, document, now),
        }
    }

    /// Says whether an owner has whom to let into a document begun meanwhile: whoever began it and was put out does not count.
    fn may_let_in(&self, begun: &Begun, owner: &Owner) -> bool {
        let Some(named) = &owner.only_for else { return true };
        let author =
            (0..self.people.len()).find(|who| self.people.get(*who).is_some_and(|one| one.id == Some(begun.device)));
        let author = author.and_then(|who| self.user_of(who));
        let owning = self.model.ledger.chain(&owner.chain);
        let is_in = |user: &ChainId| {
            *user == owner.chain || owning.is_some_and(|chain| chain.held.iter().any(|held| held.subject == *user))
        };
        named.iter().any(|user| Some(*user) != author || is_in(user))
    }
}

/// Notes a line in a world's trace.
macro_rules! note {
    ($world:expr, $($arg:tt)*) => {
        $world.trace.note($world.now, format_args!($($arg)*))
    };
}
pub(crate) use note;
