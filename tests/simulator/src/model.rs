//! The reference beside the system: what was acknowledged to people, what the relay committed, who may read it.

pub mod ledger;

use std::{
    collections::{BTreeMap, BTreeSet},
    mem::swap,
};

use sha2::{Digest as _, Sha256};
use vereda_base::{ChainId, DeviceId, Digest, Incarnation, Link, OpId, Timestamp};
use vereda_policy::{Body, ChainKind, Create, DocumentKind, Epoch, Op, Parent, ParentAuthority, Wrap, op_id_of_bytes};
use vereda_protocol::{Chunk, Header, Position};
use vereda_sync::relay::{RelayStore, store::Entry};

use self::ledger::{AsOf, Ledger};
use crate::{disk::StoredEdit, intent::Expected, relay_disk::RelayDisk};

/// How long a role may have been over when an entry was committed that was taken in before: relays commit what they took
/// in a little later, in milliseconds.
const GRACE_MS: i64 = 2_000;

/// One edit that a device acknowledged.
#[derive(Debug, Clone)]
pub struct Acknowledged {
    /// Who made it.
    pub who: usize,
    /// In which case or section.
    pub case: ChainId,
    /// Under which incarnation.
    pub incarnation: Incarnation,
    /// Its change; `None` where the disk shows no change that was made durable with it.
    pub change: Option<[u8; 32]>,
    /// What it wrote.
    pub expected: Expected,
}

/// A document as the relay's log has it.
#[derive(Debug, Clone, Copy)]
pub struct Document {
    /// Where its first operation stands.
    pub position: Position,
    /// What it is.
    pub kind: DocumentKind,
}

/// A document in review.
#[derive(Debug, Clone)]
pub struct Begun {
    /// Whose device began it.
    pub device: DeviceId,
    /// Who decides on it.
    pub owners: Vec<Owner>,
}

/// A chain that decides on a document in review.
#[derive(Debug, Clone)]
pub struct Owner {
    /// The team, the agency or, where no group has a say, the user.
    pub chain: ChainId,
    /// Whom alone it may let in; `None` where that is anybody.
    pub only_for: Option<Vec<ChainId>>,
}

/// A chunk in the relay's log.
#[derive(Debug, Clone)]
pub struct LoggedChunk {
    /// Where.
    pub position: Position,
    /// Its header.
    pub header: Header,
    /// The chunk.
    pub chunk: Chunk,
}

/// An epoch in the relay's log.
#[derive(Debug, Clone, Copy)]
pub struct LoggedEpoch {
    /// Where it began.
    pub position: Position,
    /// Whose device began it.
    pub creator: DeviceId,
    /// What its key answers to.
    pub commitment: Digest,
}

/// A wrap in the relay's log.
#[derive(Debug, Clone)]
pub struct LoggedWrap {
    /// The operation that committed to it.
    pub op: OpId,
    /// The chain whose key is wrapped.
    pub chain: ChainId,
    /// Of which epoch.
    pub epoch: u64,
    /// The wrap.
    pub wrap: Wrap,
}

/// Who read a document from a position on.
#[derive(Debug, Clone)]
pub struct Readers {
    /// From here on.
    pub from: Position,
    /// Those who read it by a role without an end.
    pub lasting: BTreeSet<DeviceId>,
}

/// What must hold in the end.
#[derive(Debug, Clone, Default)]
pub struct Model {
    /// Everything acknowledged, in order.
    pub acknowledged: Vec<Acknowledged>,
    /// Changes made durable by each person's incarnations in each document, in order; also those whose acknowledgement was
    /// lost.
    pub durable: BTreeMap<(usize, Incarnation, ChainId), Vec<[u8; 32]>>,
    /// Under which incarnations each person wrote to each document, in order.
    pub incarnations: BTreeMap<(usize, ChainId), Vec<Incarnation>>,
    /// Those changes as they were made, by hash.
    pub raw: BTreeMap<[u8; 32], Vec<u8>>,
    /// What was committed at the relay, in order; `None` for what was in review and decided at once.
    pub log: Vec<Option<Entry>>,
    /// Who has which role.
    pub ledger: Ledger,
    /// Documents in the log.
    pub documents: BTreeMap<ChainId, Document>,
    /// Chunks in the log, by document, in order.
    pub chunks: BTreeMap<ChainId, Vec<LoggedChunk>>,
    /// Links of these.
    pub links: BTreeSet<Link>,
    /// Chunks that came into review.
    pub reviewed: BTreeMap<Link, LoggedChunk>,
    /// Who could decide on them, and so read them, while they were in review.
    pub deciders: BTreeMap<Link, BTreeSet<DeviceId>>,
    /// Documents that came into review.
    pub reviewed_documents: BTreeMap<ChainId, Begun>,
    /// Epochs, by chain and number.
    pub epochs: BTreeMap<ChainId, Vec<LoggedEpoch>>,
    /// Wraps.
    pub wraps: Vec<LoggedWrap>,
    epoch_of_op: BTreeMap<OpId, u64>,
    /// Links that some device was told to be durable at the relay.
    pub promised: BTreeSet<(ChainId, Link)>,
    /// Up to where each device could read each document, at least for a while.
    pub last_read: BTreeMap<(ChainId, DeviceId), Position>,
    /// Whom each document ever named as a reader, if only by a role whose time had passed when it came; and who may end roles
    /// in it, and so sees who has them.
    pub named: BTreeSet<(ChainId, DeviceId)>,
    /// Who read each document, from each change of that on.
    pub readers: BTreeMap<ChainId, Vec<Readers>>,
}

impl Model {
    /// Notes changes that a device's disk made durable.
    pub fn note_durable(&mut self, who: usize, edits: &[StoredEdit]) {
        for edit in edits {
            let hash = change_hash(&edit.bytes);
            self.durable.entry((who, edit.incarnation, edit.document)).or_default().push(hash);
            let incarnations = self.incarnations.entry((who, edit.document)).or_default();
            if incarnations.last() != Some(&edit.incarnation) {
                incarnations.push(edit.incarnation);
            }
            self.raw.insert(hash, edit.bytes.clone());
        }
    }

    /// Gives what people did, which is one story, to another history of the relay.
    pub const fn swap_story(&mut self, other: &mut Self) {
        swap(&mut self.acknowledged, &mut other.acknowledged);
        swap(&mut self.durable, &mut other.durable);
        swap(&mut self.incarnations, &mut other.incarnations);
        swap(&mut self.raw, &mut other.raw);
    }

    /// Lists the changes that a person made in a document under incarnations later than one.
    pub fn made_later(&self, who: usize, before: Incarnation, document: &ChainId) -> Vec<(Incarnation, [u8; 32])> {
        let all = self.incarnations.get(&(who, *document)).map(Vec::as_slice).unwrap_or_default();
        let later = all.iter().skip_while(|one| **one != before).skip(1);
        let changes = |one: &Incarnation| {
            let made = self.durable.get(&(who, *one, *document)).map(Vec::as_slice).unwrap_or_default();
            let one = *one;
            made.iter().map(move |change| (one, *change))
        };
        later.flat_map(changes).collect()
    }

    /// Takes over what the relay's disk committed beyond what is known.
    pub fn note_log(&mut self, disk: &RelayDisk, now: Timestamp) {
        let Ok(end) = disk.end() else { return };
        for position in self.log.len() as u64 + 1..=end.0 {
            let position = Position(position);
            let Ok(entry) = disk.entry(position) else { return };
            if let Some(entry) = &entry {
                self.index(position, entry, Timestamp(now.0.saturating_sub(GRACE_MS)));
            }
            self.log.push(entry);
        }
    }

    fn index(&mut self, position: Position, entry: &Entry, now: Timestamp) {
        match entry {
            Entry::Op { op, receipt } => {
                let id = op_id_of_bytes(op.bytes());
                let (Ok(op), Ok(receipt)) = (op.clone().verify(), receipt.clone().verify()) else { return };
                let (chain, op) = (receipt.value().chain, op.value());
                self.index_epoch(chain, id, op, position);
                self.ledger.apply(chain, id, op, receipt.value().time);
                if let Body::Create(create) = &op.body
                    && create.kind == ChainKind::Document
                    && let Some(kind) = create.document
                {
                    self.documents.insert(chain, Document { position, kind });
                }
                let documents: Vec<ChainId> = self.documents.keys().copied().collect();
                documents.iter().for_each(|document| self.note_readers(document, position, now));
                self.note_deciders(now);
            }
            Entry::Chunk(chunk) => {
                let Ok(header) = chunk.header.clone().verify() else { return };
                let header = header.into_value();
                self.note_readers(&header.document, position, now);
                self.links.insert(header.link());
                let logged = LoggedChunk { position, header, chunk: chunk.clone() };
                self.chunks.entry(logged.header.document).or_default().push(logged);
            }
            Entry::Wrap { chain, op, wrap, .. } => {
                if let Some(epoch) = self.epoch_of_op.get(op) {
                    self.wraps.push(LoggedWrap { op: *op, chain: *chain, epoch: *epoch, wrap: wrap.clone() });
                }
            }
            Entry::Review { chunk, .. } => {
                let Ok(header) = chunk.header.clone().verify() else { return };
                let logged = LoggedChunk { position, header: header.into_value(), chunk: chunk.clone() };
                self.reviewed.insert(logged.header.link(), logged);
                self.note_deciders(now);
            }
            Entry::ReviewDocument { create, .. } => {
                let Ok(op) = create.clone().verify() else { return };
                let Body::Create(body) = &op.value().body else { return };
                let begun = Begun { device: op.value().device, owners: self.owners(body) };
                self.reviewed_documents.insert(ChainId(op_id_of_bytes(create.bytes()).0), begun);
            }
            Entry::Frontier { .. } => {}
        }
    }

    /// Lists who decides on a document begun by somebody removed meanwhile: the groups with a say before the users, and of
    /// these those with full authority before those that may revoke.
    fn owners(&self, create: &Create) -> Vec<Owner> {
        let is_user = |parent: &Parent| self.ledger.chain(&parent.chain).is_some_and(|one| one.kind == ChainKind::User);
        let mut deciding: Vec<Parent> = create.parents.clone();
        deciding.retain(|parent| parent.authority != ParentAuthority::None);
        let only_users = deciding.iter().all(is_user);
        deciding.retain(|parent| is_user(parent) == only_users);
        let is_owned = deciding.iter().any(|parent| parent.authority == ParentAuthority::Full);
        deciding.retain(|parent| !is_owned || parent.authority == ParentAuthority::Full);
        let named = |subject: &ChainId| create.members.iter().any(|member| member.subject == *subject);
        let owner = |parent: &Parent| {
            let only_for = match (only_users, is_owned) {
                (true, _) => Some(vec![parent.chain].into_iter().filter(|user| is_owned || named(user)).collect()),
                (false, true) => None,
                (false, false) => Some(create.members.iter().map(|member| member.subject).collect()),
            };
            Owner { chain: parent.chain, only_for }
        };
        deciding.iter().map(owner).collect()
    }

    fn index_epoch(&mut self, chain: ChainId, id: OpId, op: &Op, position: Position) {
        let mut begin = |epoch: &Epoch| {
            let epochs = self.epochs.entry(chain).or_default();
            self.epoch_of_op.insert(id, epochs.len() as u64);
            epochs.push(LoggedEpoch { position, creator: op.device, commitment: epoch.commitment });
        };
        match &op.body {
            Body::Create(create) => begin(&create.epoch),
            Body::Rotate(rotate) => begin(&rotate.epoch),
            Body::Repair(repair) => drop(self.epoch_of_op.insert(id, repair.epoch)),
            _ => {}
        }
    }

    fn note_readers(&mut self, document: &ChainId, position: Position, now: Timestamp) {
        for device in self.ledger.readers(document, AsOf::Time(now)).into_keys() {
            self.last_read.insert((*document, device), position);
        }
        self.named.extend(self.ledger.readers(document, AsOf::Ever).into_keys().map(|device| (*document, device)));
        self.named.extend(self.ledger.governors(document).into_iter().map(|device| (*document, device)));
        let lasting: BTreeSet<DeviceId> = self.ledger.readers(document, AsOf::Lasting).into_keys().collect();
        let known = self.readers.entry(*document).or_default();
        if known.last().is_none_or(|last| last.lasting != lasting) {
            known.push(Readers { from: position, lasting });
        }
    }

    fn note_deciders(&mut self, now: Timestamp) {
        let as_of = AsOf::Time(now);
        for (link, logged) in self.reviewed.iter().filter(|(link, _)| !self.links.contains(link)) {
            let document = logged.header.document;
            let begun = self.reviewed_documents.get(&document).filter(|_| !self.documents.contains_key(&document));
            let above = begun.map_or(vec![document], |begun| begun.owners.iter().map(|owner| owner.chain).collect());
            let deciders = self.deciders.entry(*link).or_default();
            for chain in above {
                let devices = self.ledger.readers(&chain, as_of).into_keys();
                deciders.extend(devices.filter(|device| self.ledger.decides(device, &chain, as_of)));
            }
        }
    }

    /// Says whether a device read a document by a role without an end at every moment between two positions.
    pub fn reads_throughout(&self, document: &ChainId, device: &DeviceId, from: Position, upto: Position) -> bool {
        let known = self.readers.get(document).map(Vec::as_slice).unwrap_or_default();
        let Some(first) = known.iter().rposition(|readers| readers.from <= from) else { return false };
        let during = known.iter().skip(first).take_while(|readers| readers.from <= upto);
        during.into_iter().all(|readers| readers.lasting.contains(device))
    }

    /// Finds an epoch.
    pub fn epoch(&self, chain: &ChainId, number: u64) -> Option<&LoggedEpoch> {
        self.epochs.get(chain)?.get(usize::try_from(number).ok()?)
    }

    /// Tells where an epoch began.
    pub fn epoch_began(&self, chain: &ChainId, number: u64) -> Option<Position> {
        self.epoch(chain, number).map(|epoch| epoch.position)
    }

    /// Says whether the log holds what a document began with: the first chunk of the device that began it.
    pub fn is_begun(&self, document: &ChainId) -> bool {
        let creator = self.epoch(document, 0).map(|epoch| epoch.creator);
        let chunks = self.chunks.get(document).map(Vec::as_slice).unwrap_or_default();
        chunks.iter().any(|logged| Some(logged.header.device) == creator && logged.header.first_change == 1)
    }

    /// Lists the devices that read a document since one of its epochs began.
    pub fn read_since_epoch(&self, document: &ChainId, number: u64) -> BTreeSet<DeviceId> {
        let Some(began) = self.epoch_began(document, number) else { return BTreeSet::new() };
        let of_document = self.last_read.iter().filter(|((read, _), last)| read == document && **last >= began);
        of_document.map(|((_, device), _)| *device).collect()
    }

    /// Says whether a device could ever read a document.
    pub fn ever_read(&self, document: &ChainId, device: &DeviceId) -> bool {
        self.last_read.contains_key(&(*document, *device))
    }

    /// Says whether a document came into review and nobody took it in.
    pub fn awaits_or_missed(&self, document: &ChainId) -> bool {
        self.reviewed_documents.contains_key(document) && !self.documents.contains_key(document)
    }

    /// Says whether a document was erased: nothing stands in it any more.
    pub fn is_erased(&self, document: &ChainId) -> bool {
        self.ledger.chain(document).is_some_and(|chain| chain.is_erased)
    }

    /// Lists the cases and sections in the log that were not erased.
    pub fn cases(&self) -> Vec<ChainId> {
        let of_people = |document: &Document| matches!(document.kind, DocumentKind::Case | DocumentKind::Section);
        let all = self.documents.iter().filter(|(id, document)| of_people(document) && !self.is_erased(id));
        all.map(|(id, _)| *id).collect()
    }
}

/// Hashes a change from its raw bytes, as Automerge does: everything behind magic and checksum.
pub fn change_hash(raw: &[u8]) -> [u8; 32] {
    Sha256::digest(raw.get(8..).unwrap_or_default()).into()
}
