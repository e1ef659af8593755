//! The relay's store as the engine sees it: one log, and what is looked up in it, behind one narrow trait.
//!
//! Exactly one transaction is open at a time: it begins with the first write after a commit. Reads see it. What was not
//! committed is gone after a rollback, a crash or a drop.

pub mod conformance;
pub mod memory;

use vereda_base::{ChainId, DeviceId, Digest, Incarnation, Link, OpId};
use vereda_crypto::{Signed, Verified};
use vereda_policy::{Authorized, Op, Receipt, Wrap, WrapProof};
use vereda_protocol::{Chunk, Position};

pub use memory::MemoryStore;

use super::admit::AcceptedChunk;

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

    /// Appends an entry to the log and makes it findable: an operation by chain, a chunk by document and link, and as
    /// the newest of its device, incarnation and document.
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

/// Which entries are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Operations and wraps.
    Policy,
    /// Chunks.
    Content,
    /// All entries of one chain.
    Chain(ChainId),
}

/// Which kind of chain names a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Naming {
    /// Users, teams and agencies.
    Group,
    /// Documents.
    Document,
}

/// An entry without its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Where it stands.
    pub position: Position,
    /// Its size in the store, in bytes.
    pub bytes: usize,
    /// Who is concerned.
    pub about: About,
}

/// Whom an entry concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// An operation of a chain.
    Op {
        /// The chain.
        chain: ChainId,
    },
    /// A wrap.
    Wrap {
        /// The chain whose key is wrapped.
        chain: ChainId,
        /// A device or a chain.
        recipient: Digest,
    },
    /// A chunk.
    Chunk {
        /// The document.
        document: ChainId,
        /// The author.
        device: DeviceId,
        /// The author's incarnation.
        incarnation: Incarnation,
    },
}

/// An entry of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// An operation and its receipt.
    Op {
        /// The operation.
        op: Signed<Op>,
        /// The receipt.
        receipt: Signed<Receipt>,
    },
    /// A wrap.
    Wrap {
        /// The chain whose key is wrapped.
        chain: ChainId,
        /// The operation that committed to the list.
        op: OpId,
        /// The wrap.
        wrap: Wrap,
        /// Its place in the list.
        proof: WrapProof,
    },
    /// A chunk.
    Chunk(Chunk),
}

/// An entry to append: only what was checked.
#[derive(Debug, Clone, Copy)]
pub enum NewEntry<'a> {
    /// An operation and its receipt.
    Op {
        /// The operation.
        op: &'a Authorized<Op>,
        /// The receipt.
        receipt: &'a Verified<Receipt>,
    },
    /// A wrap of a list that an appended operation commits to.
    Wrap {
        /// The chain whose key is wrapped.
        chain: &'a ChainId,
        /// The operation.
        op: &'a OpId,
        /// The wrap.
        wrap: &'a Wrap,
        /// Its place in the list.
        proof: &'a WrapProof,
    },
    /// A chunk.
    Chunk(&'a AcceptedChunk),
}

/// A chain as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredChain {
    /// The agency it belongs to; an agency belongs to itself, a founder's user chain to none for a while.
    pub agency: Option<ChainId>,
    /// Its operations, by seq.
    pub ops: Vec<StoredOp>,
}

/// An operation as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredOp {
    /// Where it stands in the log.
    pub position: Position,
    /// The operation.
    pub op: Signed<Op>,
    /// The receipt.
    pub receipt: Signed<Receipt>,
}

/// What became of a founding secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Founding {
    /// Nobody used it.
    Open,
    /// A device made its user chain with it.
    Claimed(DeviceId),
    /// An agency was founded.
    Spent(ChainId),
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
