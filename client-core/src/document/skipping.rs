//! Chunks that are passed over because their key is not here, and what builds on them: what came after them is shown
//! without them, and they are taken in once their key is here.

use std::collections::BTreeSet;

use minicbor::{Decode, Encode};
use vereda_base::{ActorBytes, Incarnation, Link};
use vereda_protocol::{Chunk, Header};

use super::{ChunkFault, ChunkKeys, OpenDocument};

/// What was passed over in a replica, as it is saved with it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub(crate) struct Skipped {
    /// Row of the first of them.
    #[n(0)]
    from: u64,
    /// All of them.
    #[n(1)]
    chunks: BTreeSet<Link>,
    /// Chunks were taken in, or sealed here, since the first of them.
    #[n(2)]
    is_mixed: bool,
    /// What is waited for.
    #[n(3)]
    awaited: Awaited,
}

/// What a document with chunks that were passed over waits for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub(crate) struct Awaited {
    /// Epochs whose keys are missing.
    #[n(0)]
    pub(crate) epochs: BTreeSet<u64>,
    /// Incarnations of this device of which something was passed over: their change numbers are taken, by changes that are
    /// not in the replica.
    #[n(1)]
    pub(crate) own: BTreeSet<Incarnation>,
}

impl Skipped {
    /// Says whether nothing was passed over.
    pub(crate) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// Says whether a chunk was passed over.
    pub(crate) fn has(&self, link: &Link) -> bool {
        self.chunks.contains(link)
    }

    /// Tells what is waited for.
    pub(crate) const fn awaited(&self) -> &Awaited {
        &self.awaited
    }

    /// Says whether a chunk builds on one that was passed over. The first of an incarnation follows the one before it in the
    /// sequence of chunks, but its changes do not follow that one's.
    fn holds_back(&self, header: &Header) -> bool {
        let follows = header.prev.iter().filter(|_| header.seq > 0);
        header.deps.iter().chain(follows).any(|link| self.has(link))
    }
}

impl OpenDocument {
    /// Takes a chunk of the store's row `position` in, or passes it over where its key is missing or it builds on what was
    /// passed over. Says whether its key is missing.
    ///
    /// # Errors
    /// [`ChunkFault`] where it can never be taken in; the document is as it was.
    pub(crate) fn take_or_skip(
        &mut self,
        position: u64,
        chunk: &Chunk,
        (header, actor): (&Header, ActorBytes),
        keys: Option<&ChunkKeys>,
        own: Option<Incarnation>,
    ) -> Result<bool, ChunkFault> {
        let taken = match keys {
            None => {
                self.skipped.awaited.epochs.insert(header.epoch);
                None
            }
            Some(_) if self.skipped.holds_back(header) => None,
            Some(keys) => Some(self.take_chunk(chunk, header, actor, keys)),
        };
        match taken {
            Some(Ok(())) => return Ok(false),
            // It may build on what was passed over, by way of a chunk that follows such a one: judged when that is here.
            Some(Err(ChunkFault::Refused(_))) if !self.skipped.is_empty() => {}
            Some(Err(fault)) => return Err(fault),
            None => {}
        }
        if self.skipped.is_empty() {
            self.skipped.from = position;
        }
        self.skipped.chunks.insert(header.link());
        self.skipped.awaited.own.extend(own);
        self.since_snapshot = self.since_snapshot.saturating_add(1);
        Ok(keys.is_none())
    }

    /// Goes back to before the first chunk that was passed over, where nothing was taken in since; says whether it did. Else
    /// the document is to be opened anew, from its chunks: what was taken in was not told what it follows.
    pub(crate) fn go_back(&mut self) -> bool {
        if self.skipped.is_mixed {
            return false;
        }
        self.taken = self.skipped.from;
        self.skipped = Skipped::default();
        true
    }

    /// Notes that a chunk was taken in.
    pub(super) fn note_mixed(&mut self) {
        self.skipped.is_mixed |= !self.skipped.is_empty();
    }
}
