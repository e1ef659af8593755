//! What is known of the chunks that a replica took in, as it is saved beside the replica: with it, opening reads no chunk
//! that the replica holds.

use std::collections::BTreeMap;

use minicbor::{Decode, Encode, bytes::ByteArray};
use vereda_base::{ActorBytes, DeviceId, Link};

use super::{Clock, OpenDocument};

/// Chunks in the order in which they were taken in.
#[derive(Debug, Clone, Default, Encode, Decode)]
#[cbor(array)]
pub(crate) struct Index {
    #[n(0)]
    authors: Vec<Author>,
    #[n(1)]
    chunks: Vec<Indexed>,
    #[cbor(skip)]
    positions: BTreeMap<Link, u32>,
}

/// Whose chunks they are.
#[derive(Debug, Clone, Copy, Encode, Decode)]
#[cbor(array)]
struct Author {
    #[n(0)]
    actor: ByteArray<16>,
    #[n(1)]
    device: DeviceId,
}

/// One chunk.
#[derive(Debug, Clone, Encode, Decode)]
#[cbor(array)]
pub(super) struct Indexed {
    #[n(0)]
    pub(super) link: Link,
    /// Its author, as a place among the authors.
    #[n(1)]
    pub(super) author: u32,
    /// Seq of its first change.
    #[n(2)]
    pub(super) first: u64,
    /// How many changes.
    #[n(3)]
    pub(super) count: u32,
    /// The chunks that it builds on, as places among the chunks.
    #[n(4)]
    pub(super) below: Vec<u32>,
}

impl Index {
    /// Finds the places of chunks that were taken in, ascending, each once.
    pub(super) fn positions<'a>(&self, links: impl Iterator<Item = &'a Link>) -> Vec<u32> {
        let mut found: Vec<u32> = links.filter_map(|link| self.positions.get(link).copied()).collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Finds an author's place, or gives him one.
    pub(super) fn author(&mut self, actor: ActorBytes, device: DeviceId) -> u32 {
        let known = self.authors.iter().position(|author| *author.actor == actor.0);
        let place = known.unwrap_or_else(|| {
            self.authors.push(Author { actor: actor.0.into(), device });
            self.authors.len() - 1
        });
        u32::try_from(place).unwrap_or(u32::MAX)
    }

    /// Adds a chunk.
    pub(super) fn push(&mut self, chunk: Indexed) {
        let place = u32::try_from(self.chunks.len()).unwrap_or(u32::MAX);
        self.positions.insert(chunk.link, place);
        self.chunks.push(chunk);
    }
}

impl OpenDocument {
    /// Returns what is to be saved beside the replica.
    pub(crate) const fn index(&self) -> &Index {
        &self.index
    }

    /// Takes in what was saved; `None` where a place is named that there is none of.
    pub(super) fn take_index(&mut self, saved: Index) -> Option<()> {
        self.index.authors = saved.authors;
        for chunk in saved.chunks {
            let author = *self.index.authors.get(usize::try_from(chunk.author).ok()?)?;
            let actor = ActorBytes(*author.actor);
            let clock = self.clock_above(&chunk, actor)?;
            self.note_author(actor, author.device);
            self.note_indexed(chunk, actor, clock);
        }
        Some(())
    }

    /// Computes what a chunk covers out of what those that it builds on do.
    fn clock_above(&self, chunk: &Indexed, actor: ActorBytes) -> Option<Clock> {
        let below = chunk.below.iter().map(|place| self.index.chunks.get(usize::try_from(*place).ok()?));
        let below: Vec<&Link> = below.map(|chunk| Some(&chunk?.link)).collect::<Option<_>>()?;
        let mut clock = self.clock_over(below.into_iter());
        let last = chunk.first.saturating_add(u64::from(chunk.count)).saturating_sub(1);
        let own = clock.entry(actor).or_default();
        *own = (*own).max(last);
        Some(clock)
    }
}
