//! A store in memory, with the crash behaviour of a real one.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
};

use vereda_base::{ChainId, DeviceId, Digest, Incarnation, Link, OpId};
use vereda_policy::Place;
use vereda_protocol::{OfferedLeaf, Position, encode_chunk};

use super::{
    About, Entry, Founding, Head, Naming, NewEntry, RelayStore, ReviewLoad, ReviewStanding, Reviewed, ReviewedDocument,
    Scope, StoreError, StoredChain, StoredOp,
};

/// Keeps everything in memory. [`Self::crash`] loses what was not committed; [`Self::fail_next_commit`] makes a commit
/// fail.
#[derive(Default)]
pub struct MemoryStore {
    tables: Tables,
    undo: Vec<Undo>,
    failing: Option<StoreError>,
    read: Cell<u64>,
}

type Undo = Box<dyn FnOnce(&mut Tables) + Send>;

#[derive(Default, Clone)]
struct Tables {
    relay_epoch: Option<u64>,
    log: Vec<(Head, Entry)>,
    chains: BTreeMap<ChainId, (Option<ChainId>, Vec<Position>)>,
    members: BTreeMap<(Digest, Naming, ChainId), ()>,
    links: BTreeMap<(ChainId, Link), Position>,
    versions: BTreeMap<(DeviceId, Incarnation, ChainId), (u64, Link)>,
    cited: BTreeMap<(DeviceId, ChainId), u64>,
    foundings: BTreeMap<Digest, Founding>,
    guests: BTreeMap<OpId, u64>,
    authored: BTreeMap<(DeviceId, ChainId), (u64, OpId)>,
    frontiers: BTreeMap<(ChainId, Position), ()>,
    reviewed: BTreeMap<Link, Reviewed>,
    reviewed_documents: BTreeMap<ChainId, ReviewedDocument>,
}

impl MemoryStore {
    /// Makes an empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Loses everything since the last commit, as a power cut would.
    pub fn crash(&mut self) {
        self.rollback();
    }

    /// Copies what was committed, as a backup does; `None` while a transaction is open.
    pub fn copy(&self) -> Option<Self> {
        self.undo.is_empty().then(|| Self {
            tables: self.tables.clone(),
            undo: Vec::new(),
            failing: None,
            read: Cell::new(0),
        })
    }

    /// Counts the entries that were listed or read since the store was made: what its user has it do.
    pub const fn entries_read(&self) -> u64 {
        self.read.get()
    }

    fn note_read(&self, entries: usize) {
        self.read.set(self.read.get().saturating_add(entries as u64));
    }

    /// Makes the next commit fail.
    pub fn fail_next_commit(&mut self, error: StoreError) {
        self.failing = Some(error);
    }

    /// Writes a row of a table, and how to take it back.
    fn put<K: Ord + Clone + Send + 'static, V: Send + 'static>(
        &mut self,
        table: fn(&mut Tables) -> &mut BTreeMap<K, V>,
        key: K,
        value: V,
    ) {
        let before = table(&mut self.tables).insert(key.clone(), value);
        self.undo.push(Box::new(move |tables| {
            match before {
                Some(before) => table(tables).insert(key, before),
                None => table(tables).remove(&key),
            };
        }));
    }

    fn push(&mut self, about: About, bytes: usize, entry: Entry) -> Position {
        let position = Position(self.tables.log.len() as u64 + 1);
        self.tables.log.push((Head { position, bytes, about }, entry));
        self.undo.push(Box::new(|tables| {
            tables.log.pop();
        }));
        position
    }

    fn note_op(&mut self, chain: ChainId, position: Position) {
        let mut row = self.tables.chains.get(&chain).cloned().unwrap_or_default();
        row.1.push(position);
        self.put(|tables| &mut tables.chains, chain, row);
    }

    fn at(&self, position: Position) -> Option<&(Head, Entry)> {
        let index = usize::try_from(position.0.checked_sub(1)?).ok()?;
        self.tables.log.get(index)
    }
}

impl RelayStore for MemoryStore {
    fn relay_epoch(&self) -> Result<Option<u64>, StoreError> {
        Ok(self.tables.relay_epoch)
    }

    fn set_relay_epoch(&mut self, epoch: u64) -> Result<(), StoreError> {
        let before = self.tables.relay_epoch.replace(epoch);
        self.undo.push(Box::new(move |tables| tables.relay_epoch = before));
        Ok(())
    }

    fn end(&self) -> Result<Position, StoreError> {
        Ok(Position(self.tables.log.len() as u64))
    }

    fn append(&mut self, entry: &NewEntry<'_>) -> Result<Position, StoreError> {
        match entry {
            NewEntry::Op { op, receipt } => {
                let authored = (op.value().seq, op.id());
                self.put(|tables| &mut tables.authored, (op.value().device, op.chain()), authored);
                let (op, receipt, chain) = (op.signed().clone(), receipt.signed().clone(), op.chain());
                let bytes = op.bytes().len() + receipt.bytes().len() + 128;
                let position = self.push(About::Op { chain }, bytes, Entry::Op { op, receipt });
                self.note_op(chain, position);
                Ok(position)
            }
            NewEntry::Wrap { chain, op, wrap, proof } => {
                let bytes = vereda_base::encode(*wrap).len() + vereda_base::encode(*proof).len() + 64;
                let about = About::Wrap { chain: **chain, recipient: wrap.recipient };
                let entry = Entry::Wrap { chain: **chain, op: **op, wrap: (*wrap).clone(), proof: (*proof).clone() };
                Ok(self.push(about, bytes, entry))
            }
            NewEntry::Chunk(accepted) => {
                let header = accepted.header();
                let (document, device, incarnation) = (header.document, header.device, header.incarnation);
                let bytes = encode_chunk(accepted.chunk()).len();
                let about = About::Chunk { document, device, incarnation };
                let position = self.push(about, bytes, Entry::Chunk(accepted.chunk().clone()));
                self.put(|tables| &mut tables.links, (document, accepted.link()), position);
                let version = (header.seq, accepted.link());
                self.put(|tables| &mut tables.versions, (device, incarnation, document), version);
                Ok(position)
            }
            NewEntry::Frontier { chain, removal, leaves } => {
                let bytes = leaves.len() * 120 + 64;
                let entry = Entry::Frontier { chain: **chain, removal: **removal, leaves: leaves.to_vec() };
                let position = self.push(About::Frontier { chain: **chain }, bytes, entry);
                for named in leaves.iter().map(|leaf| leaf.place.chain()).collect::<BTreeSet<_>>() {
                    self.put(|tables| &mut tables.frontiers, (named, position), ());
                }
                Ok(position)
            }
            NewEntry::Review { chunk: accepted, received } => {
                let (header, link) = (accepted.header(), accepted.link());
                let bytes = encode_chunk(accepted.chunk()).len();
                let entry = Entry::Review { chunk: accepted.chunk().clone(), received: *received };
                let position = self.push(About::Review { document: header.document }, bytes, entry);
                let reviewed = Reviewed {
                    link,
                    document: header.document,
                    device: header.device,
                    incarnation: header.incarnation,
                    seq: header.seq,
                    position,
                    standing: ReviewStanding::Awaits,
                };
                self.put(|tables| &mut tables.reviewed, link, reviewed);
                Ok(position)
            }
            NewEntry::ReviewDocument { create, wraps, received } => {
                let document = ChainId(vereda_policy::op_id_of_bytes(create.bytes()).0);
                let bytes = create.bytes().len() + vereda_base::encode(&wraps.to_vec()).len();
                let device = create.value().device;
                let (create, wraps) = (create.signed().clone(), wraps.to_vec());
                let entry = Entry::ReviewDocument { create, wraps, received: *received };
                let position = self.push(About::ReviewDocument { document }, bytes, entry);
                let reviewed = ReviewedDocument { device, position, standing: ReviewStanding::Awaits };
                self.put(|tables| &mut tables.reviewed_documents, document, reviewed);
                Ok(position)
            }
        }
    }

    fn heads(&self, scope: Scope, after: Position, upto: Position, limit: usize) -> Result<Vec<Head>, StoreError> {
        let is_chunk = |head: &Head| matches!(head.about, About::Chunk { .. });
        let wanted = |head: &Head| match scope {
            Scope::Policy => !is_chunk(head),
            Scope::Content => is_chunk(head),
            Scope::Chain(of) => head.about.chain() == of,
            Scope::ChainPolicy(of) => !is_chunk(head) && head.about.chain() == of,
        };
        let skip = usize::try_from(after.0).unwrap_or(usize::MAX);
        let beyond = self.tables.log.iter().skip(skip).map(|(head, _)| *head);
        let heads: Vec<Head> = beyond.take_while(|head| head.position <= upto).filter(wanted).take(limit).collect();
        self.note_read(heads.len());
        Ok(heads)
    }

    fn entry(&self, position: Position) -> Result<Option<Entry>, StoreError> {
        self.note_read(1);
        let is_decided = |entry: &Entry| match entry {
            Entry::Review { .. } => {
                let mut rows = self.tables.reviewed.values();
                rows.any(|row| row.position == position && row.standing != ReviewStanding::Awaits)
            }
            Entry::ReviewDocument { .. } => {
                let mut rows = self.tables.reviewed_documents.values();
                rows.any(|row| row.position == position && row.standing != ReviewStanding::Awaits)
            }
            _ => false,
        };
        Ok(self.at(position).map(|(_, entry)| entry.clone()).filter(|entry| !is_decided(entry)))
    }

    fn chain(&self, chain: &ChainId) -> Result<Option<StoredChain>, StoreError> {
        let Some((agency, positions)) = self.tables.chains.get(chain) else { return Ok(None) };
        let stored = |position: &Position| match self.at(*position) {
            Some((_, Entry::Op { op, receipt })) => {
                Some(StoredOp { position: *position, op: op.clone(), receipt: receipt.clone() })
            }
            _ => None,
        };
        Ok(Some(StoredChain { agency: *agency, ops: positions.iter().filter_map(stored).collect() }))
    }

    fn set_agency(&mut self, chain: &ChainId, agency: &ChainId) -> Result<(), StoreError> {
        if let Some((_, positions)) = self.tables.chains.get(chain).cloned() {
            self.put(|tables| &mut tables.chains, *chain, (Some(*agency), positions));
        }
        Ok(())
    }

    fn note_member(&mut self, subject: &Digest, of: Naming, chain: &ChainId) -> Result<(), StoreError> {
        self.put(|tables| &mut tables.members, (*subject, of, *chain), ());
        Ok(())
    }

    fn naming(&self, subject: &Digest, of: Naming) -> Result<Vec<ChainId>, StoreError> {
        let from = (*subject, of, ChainId([0; 32]));
        let of_subject = |key: &&(Digest, Naming, ChainId)| key.0 == *subject && key.1 == of;
        let keys = self.tables.members.range(from..).map(|(key, ())| key);
        Ok(keys.take_while(of_subject).map(|key| key.2).collect())
    }

    fn chunk_at(&self, document: &ChainId, link: &Link) -> Result<Option<Position>, StoreError> {
        Ok(self.tables.links.get(&(*document, *link)).copied())
    }

    fn version(
        &self,
        device: &DeviceId,
        incarnation: Incarnation,
        document: &ChainId,
    ) -> Result<Option<(u64, Link)>, StoreError> {
        Ok(self.tables.versions.get(&(*device, incarnation, *document)).copied())
    }

    fn places(&self, device: &DeviceId, within: Option<&ChainId>) -> Result<Vec<OfferedLeaf>, StoreError> {
        let wanted = |chain: &ChainId| within.is_none_or(|within| within == chain);
        let versions = self.tables.versions.range((*device, Incarnation(0), ChainId([0; 32]))..);
        let own = versions.take_while(|((of, ..), _)| of == device).filter(|((_, _, document), _)| wanted(document));
        let content = own.map(|((device, incarnation, document), (seq, link))| OfferedLeaf {
            place: Place::Content { document: *document, device: *device, incarnation: *incarnation },
            seq: *seq,
            id: Digest(link.0),
        });
        let authored = self.tables.authored.range((*device, ChainId([0; 32]))..);
        let own = authored.take_while(|((of, _), _)| of == device).filter(|((_, chain), _)| wanted(chain));
        let ops = own.map(|((device, chain), (seq, op))| OfferedLeaf {
            place: Place::Ops { chain: *chain, device: *device },
            seq: *seq,
            id: Digest(op.0),
        });
        Ok(content.chain(ops).collect())
    }

    fn frontiers_naming(&self, chain: &ChainId) -> Result<Vec<Position>, StoreError> {
        let from = self.tables.frontiers.range((*chain, Position(0))..).map(|(key, ())| key);
        Ok(from.take_while(|(of, _)| of == chain).map(|(_, position)| *position).collect())
    }

    fn reviewed(&self, link: &Link) -> Result<Option<Reviewed>, StoreError> {
        Ok(self.tables.reviewed.get(link).copied())
    }

    fn reviewed_version(
        &self,
        device: &DeviceId,
        incarnation: Incarnation,
        document: &ChainId,
    ) -> Result<Option<Reviewed>, StoreError> {
        let own = self.tables.reviewed.values().filter(|row| {
            let place = (row.device, row.incarnation, row.document);
            place == (*device, incarnation, *document) && row.standing != ReviewStanding::Adopted
        });
        Ok(own.max_by_key(|row| row.seq).copied())
    }

    fn in_review(&self, document: &ChainId) -> Result<Vec<Reviewed>, StoreError> {
        let awaits = |row: &&Reviewed| row.document == *document && row.standing == ReviewStanding::Awaits;
        let mut found: Vec<Reviewed> = self.tables.reviewed.values().filter(awaits).copied().collect();
        found.sort_by_key(|row| row.position);
        self.note_read(found.len());
        Ok(found)
    }

    fn awaits_decision(&self, document: &ChainId, position: Position) -> Result<bool, StoreError> {
        self.note_read(1);
        let mut rows = self.tables.reviewed.values().filter(|row| row.position == position);
        Ok(rows.any(|row| row.document == *document && row.standing == ReviewStanding::Awaits))
    }

    fn reviewing(&self) -> Result<Vec<ChainId>, StoreError> {
        let chunks = self.tables.reviewed.values().map(|row| (row.document, row.standing));
        let begun = self.tables.reviewed_documents.iter().map(|(document, row)| (*document, row.standing));
        let awaits = |(document, standing)| (standing == ReviewStanding::Awaits).then_some(document);
        let found: BTreeSet<ChainId> = chunks.chain(begun).filter_map(awaits).collect();
        Ok(found.into_iter().collect())
    }

    fn reviewed_document(&self, document: &ChainId) -> Result<Option<ReviewedDocument>, StoreError> {
        Ok(self.tables.reviewed_documents.get(document).copied())
    }

    fn review_load(&self, device: &DeviceId) -> Result<ReviewLoad, StoreError> {
        let chunks = self.tables.reviewed.values().map(|row| (row.device, row.standing, row.position));
        let documents = self.tables.reviewed_documents.values().map(|row| (row.device, row.standing, row.position));
        let mut load = ReviewLoad::default();
        for (of, standing, position) in chunks.chain(documents) {
            if of == *device && standing == ReviewStanding::Awaits {
                load.count += 1;
                load.bytes += self.at(position).map_or(0, |(head, _)| head.bytes as u64);
            }
        }
        Ok(load)
    }

    fn decide(&mut self, link: &Link, standing: ReviewStanding) -> Result<(), StoreError> {
        if let Some(row) = self.tables.reviewed.get(link).copied() {
            self.put(|tables| &mut tables.reviewed, *link, Reviewed { standing, ..row });
        }
        Ok(())
    }

    fn decide_document(&mut self, document: &ChainId, standing: ReviewStanding) -> Result<(), StoreError> {
        if let Some(row) = self.tables.reviewed_documents.get(document).copied() {
            self.put(|tables| &mut tables.reviewed_documents, *document, ReviewedDocument { standing, ..row });
        }
        Ok(())
    }

    fn held(&self, device: &DeviceId, incarnation: Incarnation) -> Result<u64, StoreError> {
        let from = (*device, incarnation, ChainId([0; 32]));
        let rows = self.tables.versions.range(from..);
        let own = rows.take_while(|(key, _)| key.0 == *device && key.1 == incarnation);
        Ok(own.map(|(_, (seq, _))| seq.saturating_add(1)).sum())
    }

    fn cited(&self, device: &DeviceId, chain: &ChainId) -> Result<Option<u64>, StoreError> {
        Ok(self.tables.cited.get(&(*device, *chain)).copied())
    }

    fn set_cited(&mut self, device: &DeviceId, chain: &ChainId, seq: u64) -> Result<(), StoreError> {
        self.put(|tables| &mut tables.cited, (*device, *chain), seq);
        Ok(())
    }

    fn founding(&self, secret: &Digest) -> Result<Option<Founding>, StoreError> {
        Ok(self.tables.foundings.get(secret).copied())
    }

    fn set_founding(&mut self, secret: &Digest, founding: &Founding) -> Result<(), StoreError> {
        self.put(|tables| &mut tables.foundings, *secret, *founding);
        Ok(())
    }

    fn guests(&self, invite: &OpId) -> Result<u64, StoreError> {
        Ok(self.tables.guests.get(invite).copied().unwrap_or_default())
    }

    fn set_guests(&mut self, invite: &OpId, count: u64) -> Result<(), StoreError> {
        self.put(|tables| &mut tables.guests, *invite, count);
        if count == 0
            && let Some(before) = self.tables.guests.remove(invite)
        {
            let invite = *invite;
            self.undo.push(Box::new(move |tables| {
                tables.guests.insert(invite, before);
            }));
        }
        Ok(())
    }

    fn founding_of(&self, device: &DeviceId) -> Result<Option<Digest>, StoreError> {
        let claimed = |(_, founding): &(&Digest, &Founding)| **founding == Founding::Claimed(*device);
        Ok(self.tables.foundings.iter().find(claimed).map(|(secret, _)| *secret))
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        if let Some(error) = self.failing.take() {
            self.rollback();
            return Err(error);
        }
        self.undo.clear();
        Ok(())
    }

    fn rollback(&mut self) {
        while let Some(undo) = self.undo.pop() {
            undo(&mut self.tables);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    crate::relay_store_conformance!(MemoryStore::new(), |mut store: MemoryStore| {
        store.crash();
        store
    });

    #[test]
    fn a_failed_commit_leaves_nothing_behind() {
        let mut store = MemoryStore::new();
        store.set_relay_epoch(1).unwrap();
        store.fail_next_commit(StoreError::Full);
        assert_eq!(store.commit(), Err(StoreError::Full));
        assert_eq!(store.relay_epoch(), Ok(None));
    }
}
