//! The relay's store as the engine sees it: one log, and what is looked up in it, behind one narrow trait.
//!
//! Exactly one transaction is open at a time: it begins with the first write after a commit. Reads see it. What was not
//! committed is gone after a rollback, a crash or a drop.

pub mod conformance;
pub mod memory;

mod entry;

use vereda_base::{ChainId, DeviceId, Digest, Incarnation, Link, OpId};
use vereda_protocol::{OfferedLeaf, Position};

pub use entry::{
    About, Entry, Founding, Head, Naming, NewEntry, ReviewLoad, ReviewStanding, Reviewed, ReviewedDocument, Scope,
    StoredChain, StoredOp,
};
pub use memory::MemoryStore;

/// What a relay keeps. Ids, order and sealed bytes only: nothing in here opens anything.
pub trait RelayStore {
    /// Tells the relay's epoch; `None` in a new store.
    ///
    /// # Errors
    /// [`StoreError`] by cause.
    fn relay_epoch(&self) -> Result<Option<u64>, StoreError>;

    /// Sets the relay's epoch.
    ///
    /// # Errors
    /// [`StoreError`] by cause; the transaction is then to be rolled back.
    fn set_relay_epoch(&mut self, epoch: u64) -> Result<(), StoreError>;

    /// Tells the log's last position, 0 while it is empty.
    ///
    /// # Errors
    /// [`StoreError`] by cause.
    fn end(&self) -> Result<Position, StoreError>;

    /// Appends an entry to the log and makes it findable: an operation by chain, and as the newest of its device there; a
    /// chunk by document and link, and as the newest of its device, incarnation and document; leaves by the chains in
    /// which they name places. What is in review stands beside all that: it is found by the functions for it alone.
    ///
    /// # Errors
    /// [`StoreError`] by cause; the transaction is then to be rolled back.
    fn append(&mut self, entry: &NewEntry<'_>) -> Result<Position, StoreError>;

    /// Lists entries beyond `after` up to `upto`, in log order, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`] by cause.
    fn heads(&self, scope: Scope, after: Position, upto: Position, limit: usize) -> Result<Vec<Head>, StoreError>;

    /// Reads one entry; `None` where there is none.
    ///
    /// # Errors
    /// [`StoreError`] by cause.
    fn entry(&self, position: Position) -> Result<Option<Entry>, StoreError>;

    /// Reads a chain: its agency and its operations by seq; `None` where there is no such chain.
    ///
    /// # Errors
    /// [`StoreError`] by cause.
    fn chain(&self, chain: &ChainId) -> Result<Option<StoredChain>, StoreError>;

    /// Sets the agency that a chain belongs to.
    ///
    /// # Errors
    /// [`StoreError`] by cause; the transaction is then to be rolled back.
    fn set_agency(&mut self, chain: &ChainId, agency: &ChainId) -> Result<(), StoreError>;

    /// Notes that a chain names a device or another chain as its member. Once noted it stays; nothing happens if it is.
    ///
    /// # Errors
    /// [`StoreError`] by cause; the transaction is then to be rolled back.
    fn note_member(&mut self, subject: &Digest, of: Naming, chain: &ChainId) -> Result<(), StoreError>;

    /// Lists the chains that name a device or a chain as member, or once did, by id.
    ///
    /// # Errors
    /// [`StoreError`] by cause.
    fn naming(&self, subject: &Digest, of: Naming) -> Result<Vec<ChainId>, StoreError>;

    /// Finds a chunk by its link.
    ///
    /// # Errors
    /// [`StoreError`] by cause.
    fn chunk_at(&self, document: &ChainId, link: &Link) -> Result<Option<Position>, StoreError>;

    /// Finds the newest chunk of a device's incarnation in a document: seq and link.
    ///
    /// # Errors
    /// [`StoreError`] by cause.
    fn version(
        &self,
        device: &DeviceId,
        incarnation: Incarnation,
        document: &ChainId,
    ) -> Result<Option<(u64, Link)>, StoreError>;

    /// Lists the places where a device wrote, in one chain or in all, each with the last that stands in the log: chunks by
    /// incarnation and document, operations by chain. In no order.
    ///
    /// # Errors
    /// [`StoreError`] by cause.
    fn places(&self, device: &DeviceId, within: Option<&ChainId>) -> Result<Vec<OfferedLeaf>, StoreError>;

    /// Lists the [`Entry::Frontier`]s that name a place in a chain, in log order.
    ///
    /// # Errors
    /// [`StoreError`] by cause.
    fn frontiers_naming(&self, chain: &ChainId) -> Result<Vec<Position>, StoreError>;

    /// Finds a chunk that is in review, or was once.
    ///
    /// # Errors
    /// [`StoreError`] by cause.
    fn reviewed(&self, link: &Link) -> Result<Option<Reviewed>, StoreError>;

    /// Finds the last chunk of a device's incarnation in a document that is in review or was turned away.
    ///
    /// # Errors
    /// [`StoreError`] by cause.
    fn reviewed_version(
        &self,
        device: &DeviceId,
        incarnation: Incarnation,
        document: &ChainId,
    ) -> Result<Option<Reviewed>, StoreError>;

    /// Lists a document's chunks that await a decision, in order of arrival.
    ///
    /// # Errors
    /// [`StoreError`] by cause.
    fn in_review(&self, document: &ChainId) -> Result<Vec<Reviewed>, StoreError>;

    /// Says whether the chunk of a document at this position awaits a decision. Looks at that one alone.
    ///
    /// # Errors
    /// [`StoreError`] by cause.
    fn awaits_decision(&self, document: &ChainId, position: Position) -> Result<bool, StoreError>;

    /// Lists the documents that await a decision, or have chunks that do; by id.
    ///
    /// # Errors
    /// [`StoreError`] by cause.
    fn reviewing(&self) -> Result<Vec<ChainId>, StoreError>;

    /// Finds a document that is in review, or was once.
    ///
    /// # Errors
    /// [`StoreError`] by cause.
    fn reviewed_document(&self, document: &ChainId) -> Result<Option<ReviewedDocument>, StoreError>;

    /// Counts what of a device awaits a decision.
    ///
    /// # Errors
    /// [`StoreError`] by cause.
    fn review_load(&self, device: &DeviceId) -> Result<ReviewLoad, StoreError>;

    /// Notes what became of a chunk in review. Its entry keeps its position and loses what it held.
    ///
    /// # Errors
    /// [`StoreError`] by cause; the transaction is then to be rolled back.
    fn decide(&mut self, link: &Link, standing: ReviewStanding) -> Result<(), StoreError>;

    /// Notes what became of a document in review. Its entry keeps its position and loses what it held.
    ///
    /// # Errors
    /// [`StoreError`] by cause; the transaction is then to be rolled back.
    fn decide_document(&mut self, document: &ChainId, standing: ReviewStanding) -> Result<(), StoreError>;

    /// Counts the chunks of a device's incarnation, in all documents.
    ///
    /// # Errors
    /// [`StoreError`] by cause.
    fn held(&self, device: &DeviceId, incarnation: Incarnation) -> Result<u64, StoreError>;

    /// Tells the seq of the newest head of a chain that a device cited.
    ///
    /// # Errors
    /// [`StoreError`] by cause.
    fn cited(&self, device: &DeviceId, chain: &ChainId) -> Result<Option<u64>, StoreError>;

    /// Notes the seq of the newest head of a chain that a device cited.
    ///
    /// # Errors
    /// [`StoreError`] by cause; the transaction is then to be rolled back.
    fn set_cited(&mut self, device: &DeviceId, chain: &ChainId, seq: u64) -> Result<(), StoreError>;

    /// Finds a founding secret by the public half of its key.
    ///
    /// # Errors
    /// [`StoreError`] by cause.
    fn founding(&self, secret: &Digest) -> Result<Option<Founding>, StoreError>;

    /// Writes what became of a founding secret, by the public half of its key.
    ///
    /// # Errors
    /// [`StoreError`] by cause; the transaction is then to be rolled back.
    fn set_founding(&mut self, secret: &Digest, founding: &Founding) -> Result<(), StoreError>;

    /// Counts the user chains that were begun with an invite.
    ///
    /// # Errors
    /// [`StoreError`] by cause.
    fn guests(&self, invite: &OpId) -> Result<u64, StoreError>;

    /// Writes how many user chains were begun with an invite; 0 leaves nothing of it.
    ///
    /// # Errors
    /// [`StoreError`] by cause; the transaction is then to be rolled back.
    fn set_guests(&mut self, invite: &OpId, count: u64) -> Result<(), StoreError>;

    /// Finds the open founding secret that a device claimed.
    ///
    /// # Errors
    /// [`StoreError`] by cause.
    fn founding_of(&self, device: &DeviceId) -> Result<Option<Digest>, StoreError>;

    /// Makes everything since the last commit durable, or nothing of it.
    ///
    /// # Errors
    /// [`StoreError`] by cause; then everything since the last commit is gone.
    fn commit(&mut self) -> Result<(), StoreError>;

    /// Drops everything since the last commit.
    fn rollback(&mut self);
}

/// Why the store failed. Says what to do, shows nothing of what is stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// No room on the disk.
    #[error("the disk is full: free some space; nothing was half-written, and what is stored can still be read")]
    Full,
    /// The store may be read only.
    #[error("the store can only be read at present: look at the disk and at the rights on its folder")]
    ReadOnly,
    /// What is stored is not what was written.
    #[error("the database is damaged where {table} is read: restore it from a backup")]
    Damaged {
        /// The table.
        table: &'static str,
    },
    /// Anything else that the operating system or the database reports.
    #[error("the store failed with code {code}: check the disk and try again")]
    Failed {
        /// Code of the database or the operating system.
        code: i32,
    },
}
