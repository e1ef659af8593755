//! One open replica with what syncing it needs: which chunks it took in, and which edits no chunk holds yet.

mod index;
mod opening;
mod resealing;
mod sealing;
mod skipping;

use std::collections::BTreeMap;

use vereda_base::{ActorBytes, ChainId, DeviceId, Link, Timestamp};
use vereda_document::{LoadError, LocalChange, Replica};
use vereda_protocol::Header;

pub(crate) use index::Index;
use index::Indexed;
pub(crate) use opening::{ChunkFault, ChunkKeys};
pub use resealing::ResealError;
pub(crate) use resealing::{Resealing, reseal};
pub use sealing::SealError;
pub(crate) use sealing::SealInputs;
pub(crate) use skipping::{Awaited, Skipped};

/// How many changes of each actor a chunk covers, those that it builds on included.
pub(crate) type Clock = BTreeMap<ActorBytes, u64>;

/// An edit that no chunk holds yet, as it is stored.
#[derive(Debug, Clone)]
pub(crate) struct LocalEdit {
    /// Seq of its change under this device's actor.
    pub(crate) seq: u64,
    /// Raw bytes of its change.
    pub(crate) bytes: Vec<u8>,
}

/// An open replica.
#[derive(Debug)]
pub(crate) struct OpenDocument {
    /// The document.
    pub(crate) document: ChainId,
    /// The replica.
    pub(crate) replica: Replica,
    /// Chunk rows taken in, in the store's order.
    pub(crate) taken: u64,
    /// Of these, the chunks that were passed over.
    pub(crate) skipped: Skipped,
    /// What each chunk that was taken in covers.
    pub(crate) clocks: BTreeMap<Link, Clock>,
    /// The same in the order in which they were taken in, as it is saved with the replica.
    index: Index,
    /// The device of each actor whose chunks were taken in.
    authors: BTreeMap<ActorBytes, DeviceId>,
    /// Author and seq of every change in the replica.
    places: BTreeMap<[u8; 32], (ActorBytes, u64)>,
    /// By actor, the chunk that begins at each change seq.
    chunks: BTreeMap<ActorBytes, BTreeMap<u64, (Link, u64)>>,
    /// Edits that no chunk holds yet, in order.
    pub(crate) edits: Vec<LocalChange>,
    /// Chunks and edits since the last snapshot.
    pub(crate) since_snapshot: u32,
    /// Opening it meant replaying some.
    pub(crate) was_replayed: bool,
}

impl OpenDocument {
    /// Opens an empty replica.
    pub(crate) fn empty(document: ChainId, actor: ActorBytes) -> Self {
        Self::with(document, Replica::empty(actor))
    }

    /// Opens a saved replica with what is known of its chunks; `None` for the latter if it is not of one piece.
    ///
    /// # Errors
    /// [`LoadError`] if the saved bytes are not one.
    pub(crate) fn saved(
        document: ChainId,
        actor: ActorBytes,
        saved: &[u8],
        index: Index,
    ) -> Result<Option<Self>, LoadError> {
        let mut opened = Self::with(document, Replica::load(saved, actor)?);
        Ok(opened.take_index(index).map(|()| opened))
    }

    /// Takes a replica that was just made, or loaded.
    pub(crate) fn with(document: ChainId, replica: Replica) -> Self {
        let changes = replica.changes();
        let places = changes.into_iter().map(|change| (change.hash, (change.actor, change.seq))).collect();
        Self {
            document,
            replica,
            index: Index::default(),
            authors: BTreeMap::new(),
            places,
            taken: 0,
            skipped: Skipped::default(),
            clocks: BTreeMap::new(),
            chunks: BTreeMap::new(),
            edits: Vec::new(),
            since_snapshot: 0,
            was_replayed: false,
        }
    }

    /// Tells when the newest change was made, by its author's clock.
    pub(crate) fn changed(&self) -> Timestamp {
        self.replica.changes().iter().map(|change| change.time).max().unwrap_or_default()
    }

    /// Counts the changes in the replica.
    pub(crate) fn change_count(&self) -> usize {
        self.places.len()
    }

    /// Notes an edit made here.
    pub(crate) fn note_edit(&mut self, change: &LocalChange) {
        self.edits.push(change.clone());
        self.places.insert(change.hash, (self.replica.actor(), change.seq));
        self.since_snapshot = self.since_snapshot.saturating_add(1);
    }

    /// Computes what a chunk covers; what it builds on and was not taken in covers nothing.
    pub(crate) fn clock_of(&self, header: &Header, actor: ActorBytes) -> Clock {
        let mut clock = self.clock_over(header.deps.iter().chain(&header.prev));
        let last = header.first_change.saturating_add(u64::from(header.change_count)).saturating_sub(1);
        let own = clock.entry(actor).or_default();
        *own = (*own).max(last);
        clock
    }

    /// Joins what several chunks cover.
    fn clock_over<'a>(&self, links: impl Iterator<Item = &'a Link>) -> Clock {
        let mut joined = Clock::new();
        for clock in links.filter_map(|link| self.clocks.get(link)) {
            for (actor, seq) in clock {
                let known = joined.entry(*actor).or_default();
                *known = (*known).max(*seq);
            }
        }
        joined
    }

    /// Notes a chunk that is taken in.
    pub(crate) fn note_chunk(&mut self, header: &Header, actor: ActorBytes) {
        let below = self.index.positions(header.deps.iter().chain(&header.prev));
        let chunk = Indexed {
            link: header.link(),
            author: self.index.author(actor, header.device),
            first: header.first_change,
            count: header.change_count,
            below,
        };
        self.note_indexed(chunk, actor, self.clock_of(header, actor));
        self.note_mixed();
        self.authors.insert(actor, header.device);
    }

    fn note_indexed(&mut self, chunk: Indexed, actor: ActorBytes, clock: Clock) {
        self.clocks.insert(chunk.link, clock);
        self.chunks.entry(actor).or_default().insert(chunk.first, (chunk.link, u64::from(chunk.count)));
        self.index.push(chunk);
    }

    /// Finds the device behind an actor.
    pub(crate) fn author(&self, actor: &ActorBytes) -> Option<DeviceId> {
        self.authors.get(actor).copied()
    }

    /// Notes which device an actor is.
    pub(crate) fn note_author(&mut self, actor: ActorBytes, device: DeviceId) {
        self.authors.insert(actor, device);
    }

    /// Says whether a chunk was taken in, or sealed here.
    pub(crate) fn has_chunk(&self, link: &Link) -> bool {
        self.clocks.contains_key(link)
    }

    /// Lists the changes of a chunk that was taken in.
    pub(crate) fn changes_of(&self, header: &Header, actor: ActorBytes) -> impl Iterator<Item = [u8; 32]> {
        let seqs = header.first_change..header.first_change.saturating_add(u64::from(header.change_count));
        let is_of = move |place: &(ActorBytes, u64)| place.0 == actor && seqs.contains(&place.1);
        self.places.iter().filter(move |(_, place)| is_of(place)).map(|(hash, _)| *hash)
    }

    /// Finds the chunk that holds a change.
    fn chunk_of(&self, actor: ActorBytes, seq: u64) -> Option<Link> {
        let (first, (link, count)) = self.chunks.get(&actor)?.range(..=seq).next_back()?;
        (seq < first.saturating_add(*count)).then_some(*link)
    }
}

#[cfg(test)]
mod tests;
