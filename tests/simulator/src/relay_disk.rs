//! The relay's disk: a store in memory that loses power at any operation and fails at some.

use vereda_base::{ChainId, DeviceId, Digest, Incarnation, Link, OpId, Timestamp};
use vereda_crypto::{DeviceKey, Signed};
use vereda_policy::Receipt;
use vereda_protocol::{OfferedLeaf, Position};
use vereda_sync::relay::{
    MemoryStore, RelayStore, StoreError,
    store::{
        Entry, Founding, Head, Naming, NewEntry, ReviewLoad, ReviewStanding, Reviewed, ReviewedDocument, Scope,
        StoredChain,
    },
};

use crate::mutation::Mutation;

/// The relay's disk.
pub struct RelayDisk {
    memory: MemoryStore,
    fuse: Option<u32>,
    is_dead: bool,
    mutation: Option<Mutation>,
    commits: u64,
    /// For the mutation that loses a chunk: where it stood.
    lost: Option<(Position, Link)>,
    newest: Option<(Position, Link)>,
    /// Which places a relay that lies leaves out of frontiers: of two, every first, or all.
    leaves_out: u64,
    /// For the mutation that sets receipts back.
    key: DeviceKey,
}

const GONE: StoreError = StoreError::Failed { code: -1 };

impl RelayDisk {
    /// Makes an empty disk. The key is the relay's.
    pub fn new(key: DeviceKey, mutation: Option<Mutation>) -> Self {
        Self {
            memory: MemoryStore::new(),
            fuse: None,
            is_dead: false,
            mutation,
            commits: 0,
            lost: None,
            newest: None,
            leaves_out: 0,
            key,
        }
    }

    /// Copies what was committed, as a backup does; `None` while something is not.
    pub fn copy(&self) -> Option<Self> {
        let memory = self.memory.copy()?;
        Some(Self { memory, leaves_out: self.leaves_out, ..Self::new(self.key.clone(), self.mutation) })
    }

    /// Leaves places out of the frontiers of removals: none, half of them, or all.
    pub const fn leave_out(&mut self, how: u64) {
        self.leaves_out = how;
    }

    /// Lets the power go after so many writes and commits.
    pub const fn light_fuse(&mut self, operations: u32) {
        self.fuse = Some(operations);
    }

    /// Makes the next commit fail.
    pub fn refuse_commit(&mut self) {
        self.memory.fail_next_commit(StoreError::Full);
    }

    /// Says whether the power is gone.
    pub const fn is_dead(&self) -> bool {
        self.is_dead
    }

    /// Comes back with what was committed.
    pub fn crash(&mut self) {
        self.memory.crash();
        self.fuse = None;
        self.is_dead = false;
    }

    /// Stops failing.
    pub const fn heal(&mut self) {
        self.fuse = None;
    }

    fn burn(&mut self) -> Result<(), StoreError> {
        match &mut self.fuse {
            _ if self.is_dead => Err(GONE),
            Some(0) => {
                self.is_dead = true;
                Err(GONE)
            }
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    const fn alive(&self) -> Result<(), StoreError> {
        if self.is_dead { Err(GONE) } else { Ok(()) }
    }

    fn is(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    /// The mutation that sets receipts back: each of a chain an hour before the one before it.
    fn set_back(&self, receipt: Signed<Receipt>) -> Signed<Receipt> {
        let Ok(verified) = receipt.clone().verify() else { return receipt };
        let mut value = verified.into_value();
        value.time = Timestamp(value.time.0 - i64::try_from(value.seq).unwrap_or(0) * 3_600_000);
        Signed::sign(&self.key, &value).unwrap_or(receipt)
    }
}

impl RelayStore for RelayDisk {
    fn relay_epoch(&self) -> Result<Option<u64>, StoreError> {
        self.alive()?;
        self.memory.relay_epoch()
    }

    fn set_relay_epoch(&mut self, epoch: u64) -> Result<(), StoreError> {
        self.burn()?;
        self.memory.set_relay_epoch(epoch)
    }

    fn end(&self) -> Result<Position, StoreError> {
        self.alive()?;
        self.memory.end()
    }

    fn append(&mut self, entry: &NewEntry<'_>) -> Result<Position, StoreError> {
        self.burn()?;
        if let NewEntry::Chunk(chunk) = entry
            && self.is(Mutation::AdoptedDropped)
            && self.memory.reviewed(&chunk.link())?.is_some()
        {
            return self.memory.end();
        }
        let position = self.memory.append(entry)?;
        if let NewEntry::Chunk(chunk) = entry {
            self.newest = Some((position, chunk.link()));
        }
        Ok(position)
    }

    fn heads(&self, scope: Scope, after: Position, upto: Position, limit: usize) -> Result<Vec<Head>, StoreError> {
        self.alive()?;
        let mut heads = self.memory.heads(scope, after, upto, limit)?;
        heads.retain(|head| self.lost.is_none_or(|(position, _)| head.position != position));
        Ok(heads)
    }

    fn entry(&self, position: Position) -> Result<Option<Entry>, StoreError> {
        self.alive()?;
        if self.lost.is_some_and(|(lost, _)| lost == position) {
            return Ok(None);
        }
        let entry = self.memory.entry(position)?;
        Ok(match entry {
            Some(Entry::Op { op, receipt }) if self.is(Mutation::ReceiptsRunBack) => {
                Some(Entry::Op { op, receipt: self.set_back(receipt) })
            }
            entry => entry,
        })
    }

    fn chain(&self, chain: &ChainId) -> Result<Option<StoredChain>, StoreError> {
        self.alive()?;
        self.memory.chain(chain)
    }

    fn set_agency(&mut self, chain: &ChainId, agency: &ChainId) -> Result<(), StoreError> {
        self.burn()?;
        self.memory.set_agency(chain, agency)
    }

    fn note_member(&mut self, subject: &Digest, of: Naming, chain: &ChainId) -> Result<(), StoreError> {
        self.burn()?;
        self.memory.note_member(subject, of, chain)
    }

    fn naming(&self, subject: &Digest, of: Naming) -> Result<Vec<ChainId>, StoreError> {
        self.alive()?;
        self.memory.naming(subject, of)
    }

    fn chunk_at(&self, document: &ChainId, link: &Link) -> Result<Option<Position>, StoreError> {
        self.alive()?;
        if self.lost.is_some_and(|(_, lost)| lost == *link) {
            return Ok(None);
        }
        self.memory.chunk_at(document, link)
    }

    fn version(
        &self,
        device: &DeviceId,
        incarnation: Incarnation,
        document: &ChainId,
    ) -> Result<Option<(u64, Link)>, StoreError> {
        self.alive()?;
        self.memory.version(device, incarnation, document)
    }

    fn places(&self, device: &DeviceId, within: Option<&ChainId>) -> Result<Vec<OfferedLeaf>, StoreError> {
        self.alive()?;
        let mut places = self.memory.places(device, within)?;
        places.retain(|leaf| match self.leaves_out {
            0 => true,
            1 => leaf.place.key().0.first().is_some_and(|byte| byte.is_multiple_of(2)),
            _ => false,
        });
        Ok(places)
    }

    fn frontiers_naming(&self, chain: &ChainId) -> Result<Vec<Position>, StoreError> {
        self.alive()?;
        self.memory.frontiers_naming(chain)
    }

    fn reviewed(&self, link: &Link) -> Result<Option<Reviewed>, StoreError> {
        self.alive()?;
        self.memory.reviewed(link)
    }

    fn reviewed_version(
        &self,
        device: &DeviceId,
        incarnation: Incarnation,
        document: &ChainId,
    ) -> Result<Option<Reviewed>, StoreError> {
        self.alive()?;
        self.memory.reviewed_version(device, incarnation, document)
    }

    fn in_review(&self, document: &ChainId) -> Result<Vec<Reviewed>, StoreError> {
        self.alive()?;
        self.memory.in_review(document)
    }

    fn awaits_decision(&self, document: &ChainId, position: Position) -> Result<bool, StoreError> {
        self.alive()?;
        self.memory.awaits_decision(document, position)
    }

    fn reviewing(&self) -> Result<Vec<ChainId>, StoreError> {
        self.alive()?;
        self.memory.reviewing()
    }

    fn reviewed_document(&self, document: &ChainId) -> Result<Option<ReviewedDocument>, StoreError> {
        self.alive()?;
        self.memory.reviewed_document(document)
    }

    fn review_load(&self, device: &DeviceId) -> Result<ReviewLoad, StoreError> {
        self.alive()?;
        self.memory.review_load(device)
    }

    fn decide(&mut self, link: &Link, standing: ReviewStanding) -> Result<(), StoreError> {
        self.burn()?;
        self.memory.decide(link, standing)
    }

    fn decide_document(&mut self, document: &ChainId, standing: ReviewStanding) -> Result<(), StoreError> {
        self.burn()?;
        self.memory.decide_document(document, standing)
    }

    fn held(&self, device: &DeviceId, incarnation: Incarnation) -> Result<u64, StoreError> {
        self.alive()?;
        self.memory.held(device, incarnation)
    }

    fn cited(&self, device: &DeviceId, chain: &ChainId) -> Result<Option<u64>, StoreError> {
        self.alive()?;
        self.memory.cited(device, chain)
    }

    fn set_cited(&mut self, device: &DeviceId, chain: &ChainId, seq: u64) -> Result<(), StoreError> {
        self.burn()?;
        self.memory.set_cited(device, chain, seq)
    }

    fn founding(&self, secret: &Digest) -> Result<Option<Founding>, StoreError> {
        self.alive()?;
        self.memory.founding(secret)
    }

    fn set_founding(&mut self, secret: &Digest, founding: &Founding) -> Result<(), StoreError> {
        self.burn()?;
        self.memory.set_founding(secret, founding)
    }

    fn guests(&self, invite: &OpId) -> Result<u64, StoreError> {
        self.alive()?;
        self.memory.guests(invite)
    }

    fn set_guests(&mut self, invite: &OpId, count: u64) -> Result<(), StoreError> {
        self.burn()?;
        self.memory.set_guests(invite, count)
    }

    fn founding_of(&self, device: &DeviceId) -> Result<Option<Digest>, StoreError> {
        self.alive()?;
        self.memory.founding_of(device)
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        self.burn()?;
        self.commits += 1;
        if self.is(Mutation::RelayEffectsBeforeCommit) && !self.commits.is_multiple_of(6) {
            return Ok(());
        }
        self.memory.commit()?;
        if self.is(Mutation::RelayLosesChunk) && self.lost.is_none() && self.newest.is_some_and(|(at, _)| at.0 > 40) {
            self.lost = self.newest;
        }
        // The power may go with the write just done: nothing after it happens.
        self.is_dead = self.fuse == Some(0);
        Ok(())
    }

    fn rollback(&mut self) {
        self.memory.rollback();
    }
}
