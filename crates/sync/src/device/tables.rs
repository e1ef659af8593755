//! The tables of sync in the device's store, and the rows in them.

mod evidence;

use minicbor::{Decode, Encode};
use vereda_base::{ChainId, ChunkId, DeviceId, Digest, Incarnation, Link, OpId, Timestamp, limits};
use vereda_crypto::Signed;
use vereda_policy::{AdoptedDocument, Cite, Op, Receipt, Wrap};
use vereda_protocol::{Logged, Position, RefusalCode};

pub(crate) use evidence::Evidence;
pub use evidence::{QuarantineReason, QuarantinedChunk};

use super::store::{DeviceStore, StoreError, Table};

/// Cursors and counters: one row.
pub const META: Table = Table("sync_meta");
/// Which chains there are: key chain, group kind.
pub const CHAINS: Table = Table("sync_chains");
/// Operations: key chain and seq, group chain.
pub const OPS: Table = Table("sync_ops");
/// Operations that wait for another: key chain and seq, group the chain awaited.
pub const WAITING_OPS: Table = Table("sync_waiting_ops");
/// Wraps for this device or a group it belongs to: key operation, recipient and its epoch, group chain.
pub const WRAPS: Table = Table("sync_wraps");
/// Wraps whose operation is not here yet: key and group as in [`WRAPS`].
pub const WAITING_WRAPS: Table = Table("sync_waiting_wraps");
/// What is known of a document's chunks: key document.
pub const DOCUMENTS: Table = Table("sync_documents");
/// Chunks: key document and local position, group document; values are canonical chunks.
pub const CHUNKS: Table = Table("sync_chunks");
/// Where a chunk lies: key link, group document.
pub const LINKS: Table = Table("sync_links");
/// Chunks that wait: key chunk id, group document.
pub const WAITING_CHUNKS: Table = Table("sync_waiting_chunks");
/// What they wait for: key chunk id, group the chain or link awaited.
pub const AWAITED: Table = Table("sync_awaited");
/// Chunks that were not kept since too many of their document waited: key document.
pub const GAPS: Table = Table("sync_gaps");
/// Chunks that break a rule: key chunk id, group document.
pub const QUARANTINE: Table = Table("sync_quarantine");
/// How many chunks broke a rule beyond those kept: key document.
pub const UNKEPT: Table = Table("sync_unkept");
/// Operations that break a rule, and proofs of forks: key chain and seq, group chain.
pub const EVIDENCE: Table = Table("sync_evidence");
/// Newly visible documents whose earlier entries are to be fetched: key document.
pub const BACKFILL: Table = Table("sync_backfill");
/// The outbox: key a counter, group chain or document.
pub const OUTBOX: Table = Table("sync_outbox");
/// What the relay refused, or has in review: key link or operation, group document or chain.
pub const REFUSED: Table = Table("sync_refused");
/// Operations of this device that are in review, as the outbox held them: key operation.
pub const REVIEWED_OPS: Table = Table("sync_reviewed_ops");
/// Chunks of this device that must be sealed again: key link, group document.
pub const RESEAL: Table = Table("sync_reseal");
/// Chunks that do not stand: key link, group document.
pub const EXCLUDED: Table = Table("sync_excluded");
/// Chunks of others that await a decision: key link, group document.
pub const REVIEWS: Table = Table("sync_reviews");
/// Documents of others that await a decision: key document.
pub const REVIEW_DOCUMENTS: Table = Table("sync_review_documents");
/// Documents with something to decide on that found no room: key document.
pub const UNKEPT_REVIEWS: Table = Table("sync_unkept_reviews");
/// What frontiers say: key removal and leaf key, group removal.
pub const LEAVES: Table = Table("sync_leaves");
/// Removals of which every leaf is held: key removal.
pub const WHOLE_FRONTIERS: Table = Table("sync_whole_frontiers");
/// Leaves whose removal is not here yet: key removal and the first of them, group chain.
pub const WAITING_LEAVES: Table = Table("sync_waiting_leaves");
/// Leaves that are to be asked for: key removal and leaf key, group the removal's chain.
pub const WANTED_LEAVES: Table = Table("sync_wanted_leaves");
/// Chains in which this device's standing ended: key chain.
pub const REMOVED: Table = Table("sync_removed");
/// Heads that others know and the relay did not hand over: key chain.
pub const WITHHELD: Table = Table("sync_withheld");

const MAX_ROW_BYTES: usize = 2 * limits::MAX_FRAME_BYTES;

/// Cursors and counters.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(array)]
pub(crate) struct Meta {
    #[n(0)]
    pub(crate) policy: Position,
    #[n(1)]
    pub(crate) content: Position,
    #[n(2)]
    pub(crate) relay_epoch: Option<u64>,
    #[n(3)]
    pub(crate) incarnation: u64,
    /// Chunks sealed in this incarnation.
    #[n(4)]
    pub(crate) sealed: u64,
    #[n(5)]
    pub(crate) next_outbox: u64,
    #[n(6)]
    pub(crate) next_intent: u64,
    /// Chunks of this incarnation that the relay confirmed; `None` where that was not counted from its beginning.
    #[n(7)]
    pub(crate) confirmed: Option<u64>,
    /// What the relay handed over or confirmed last.
    #[n(8)]
    pub(crate) last: Option<Logged>,
    /// How much the relay handed over or confirmed; `None` before that was counted.
    #[n(9)]
    pub(crate) handed: Option<u64>,
    /// What it last handed over of policy, in the order of its log.
    #[n(10)]
    pub(crate) last_policy: Option<Logged>,
    /// What it last handed over of content, in the order of its log.
    #[n(11)]
    pub(crate) last_content: Option<Logged>,
    /// The newest operation of the document that became visible last.
    #[n(12)]
    pub(crate) last_visible: Option<Logged>,
}

impl Meta {
    /// Lists what the relay is asked whether it has it still. What arrived last may be older in its log than what arrived
    /// before: operations come before content, and a document that became visible after both. A relay that was set back, or
    /// tells another story, may have some of them in common with the one before.
    pub(crate) fn lasts(&self) -> Vec<Logged> {
        let mut lasts = Vec::new();
        for last in [self.last, self.last_policy, self.last_content, self.last_visible].into_iter().flatten() {
            if !lasts.contains(&last) {
                lasts.push(last);
            }
        }
        lasts
    }
}

/// When the relay handed something over, or confirmed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub(crate) struct Held {
    /// By the clock of this device or of the relay, whichever was ahead.
    #[n(0)]
    pub(crate) at: Timestamp,
    /// How much it had handed over before.
    #[n(1)]
    pub(crate) after: u64,
}

/// An operation with its receipt, which is missing while only this device knows the operation.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub(crate) struct OpRow {
    #[n(0)]
    pub(crate) op: Signed<Op>,
    #[n(1)]
    pub(crate) receipt: Option<Signed<Receipt>>,
    /// It keeps its place and has no effect.
    #[n(2)]
    pub(crate) is_void: bool,
    /// How a document was adopted.
    #[n(3)]
    pub(crate) adopted: Option<AdoptedDocument>,
    /// Since when it is here with its receipt; `None` where that was not noted.
    #[n(4)]
    pub(crate) held: Option<Held>,
}

impl OpRow {
    /// A row of an operation that stands.
    pub(crate) const fn new(op: Signed<Op>, receipt: Option<Signed<Receipt>>) -> Self {
        Self { op, receipt, is_void: false, adopted: None, held: None }
    }
}

/// A verified wrap and the operation whose list it stands in.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct StoredWrap {
    /// The operation that committed to the list.
    #[n(0)]
    pub op: OpId,
    /// The epoch whose key is wrapped.
    #[n(1)]
    pub epoch: u64,
    /// The wrap.
    #[n(2)]
    pub wrap: Wrap,
}

/// What is known of a document's chunks.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(array)]
pub(crate) struct DocumentRow {
    /// Chunks stored; also the next local position.
    #[n(0)]
    pub(crate) count: u64,
    /// Links that no stored chunk builds on, sorted.
    #[n(1)]
    pub(crate) heads: Vec<Link>,
    /// The version vector.
    #[n(2)]
    pub(crate) authors: Vec<Author>,
    /// Newest heads cited, by device.
    #[n(3)]
    pub(crate) cited: Vec<DeviceCites>,
    /// Local positions of chunks that do not stand, sorted.
    #[n(4)]
    pub(crate) skipped: Vec<u64>,
}

/// One device's incarnation in a document.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub(crate) struct Author {
    #[n(0)]
    pub(crate) device: DeviceId,
    #[n(1)]
    pub(crate) incarnation: Incarnation,
    /// Seq of its next chunk.
    #[n(2)]
    pub(crate) next_seq: u64,
    /// Its last chunk; `None` where none of it stands.
    #[n(3)]
    pub(crate) last: Option<Link>,
    /// Local position of that.
    #[n(4)]
    pub(crate) position: u64,
    /// Two chunks at one place were seen: nothing more of it is taken.
    #[n(5)]
    pub(crate) forked: bool,
    /// Later chunks of it do not stand: nothing more of it is taken, unless adopted. The device goes on under another.
    #[n(6)]
    pub(crate) closed: bool,
}

/// The newest heads that a device cited in a document.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub(crate) struct DeviceCites {
    #[n(0)]
    pub(crate) device: DeviceId,
    #[n(1)]
    pub(crate) cites: Vec<Cite>,
}

/// Where a chunk lies.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub(crate) struct LinkRow {
    #[n(0)]
    pub(crate) document: ChainId,
    #[n(1)]
    pub(crate) position: u64,
    /// The key epoch of the bytes that lie there.
    #[n(2)]
    pub(crate) epoch: u64,
    /// The relay holds it.
    #[n(3)]
    pub(crate) at_relay: bool,
    /// It is of this device, and the relay said that it stands after this device's rights had ended: it was taken in.
    #[n(4)]
    pub(crate) taken_in: Option<bool>,
    /// Since when it is here with the relay's word that it stands; `None` where there is none, or that was not noted.
    #[n(5)]
    pub(crate) held: Option<Held>,
}

/// What a chunk waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(array)]
pub(crate) enum Awaited {
    /// A chain's news.
    #[n(0)]
    Policy(#[n(0)] ChainId),
    /// Another chunk.
    #[n(1)]
    Chunk(#[n(0)] Link),
    /// What a removal's frontier says of a place.
    #[n(2)]
    Leaf {
        /// The removal's chain.
        #[n(0)]
        chain: ChainId,
        /// The removal.
        #[n(1)]
        removal: OpId,
        /// The place.
        #[n(2)]
        key: Digest,
    },
}

impl Awaited {
    pub(crate) const fn bytes(&self) -> &[u8; 32] {
        match self {
            Self::Policy(chain) => chain.as_bytes(),
            Self::Chunk(link) => link.as_bytes(),
            // Of whatever removal: what waits is judged anew.
            Self::Leaf { key, .. } => key.as_bytes(),
        }
    }
}

/// A chunk that waits, in its canonical form.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub(crate) struct WaitingChunk {
    #[n(0)]
    pub(crate) awaited: Awaited,
    #[cbor(n(1), with = "minicbor::bytes")]
    pub(crate) chunk: Vec<u8>,
}

/// A chunk that does not stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub(crate) struct ExcludedRow {
    /// Where its bytes lie; `None` if it was never among the document's chunks.
    #[n(0)]
    pub(crate) position: Option<u64>,
    #[n(1)]
    pub(crate) cause: Cause,
    #[n(2)]
    pub(crate) epoch: u64,
    #[n(3)]
    pub(crate) at_relay: bool,
    /// Made by this device.
    #[n(4)]
    pub(crate) own: bool,
    #[n(5)]
    pub(crate) document: ChainId,
    /// As in [`LinkRow`].
    #[n(6)]
    pub(crate) held: Option<Held>,
}

/// Why a chunk does not stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub(crate) enum Cause {
    /// It lies beyond a frontier, or its author has no right any more.
    #[n(0)]
    Rights,
    /// It builds on one that does not stand.
    #[n(1)]
    BuiltOn,
    /// Review turned it away.
    #[n(2)]
    Discarded,
    /// It is in review, and nothing new may build on it.
    #[n(3)]
    InReview,
    /// Its edits were made again.
    #[n(4)]
    Remade,
}

/// A chunk of this device that must be sealed again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub(crate) struct ResealRow {
    /// Its place in the outbox, which it takes again.
    #[n(0)]
    pub(crate) place: u64,
    #[n(1)]
    pub(crate) code: RefusalCode,
}

/// Earlier entries of a document, to be fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub(crate) struct BackfillRow {
    #[n(0)]
    pub(crate) document: ChainId,
    #[n(1)]
    pub(crate) after: Position,
    #[n(2)]
    pub(crate) upto: Position,
}

/// What the relay refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub(crate) struct RefusedRow {
    /// `None` while it is in review.
    #[n(0)]
    pub(crate) code: Option<RefusalCode>,
    /// An operation, rather than a chunk.
    #[n(1)]
    pub(crate) is_op: bool,
}

/// Reads a row.
pub(crate) fn load<T>(store: &dyn DeviceStore, table: Table, key: &[u8]) -> Result<Option<T>, StoreError>
where
    T: Encode<()> + for<'b> Decode<'b, ()>,
{
    store.get(table, key)?.map(|bytes| read(table, &bytes)).transpose()
}

/// Writes a row.
pub(crate) fn save<T: Encode<()>>(
    store: &mut dyn DeviceStore,
    table: Table,
    group: &[u8],
    key: &[u8],
    row: &T,
) -> Result<(), StoreError> {
    store.put(table, group, key, &vereda_base::encode(row))
}

/// Reads the rows of a table, or of one of its groups, in order.
pub(crate) fn load_all<T>(
    store: &dyn DeviceStore,
    table: Table,
    group: Option<&[u8]>,
) -> Result<Vec<(Vec<u8>, T)>, StoreError>
where
    T: Encode<()> + for<'b> Decode<'b, ()>,
{
    let mut rows = Ok(Vec::new());
    store.scan(table, group, &mut |key, value| {
        let row = read(table, value);
        match (&mut rows, row) {
            (Ok(rows), Ok(row)) => rows.push((key.to_vec(), row)),
            (Ok(_), Err(error)) => rows = Err(error),
            (Err(_), _) => {}
        }
        if rows.is_ok() { std::ops::ControlFlow::Continue(()) } else { std::ops::ControlFlow::Break(()) }
    })?;
    rows
}

/// Decodes a row.
pub(crate) fn read<T>(table: Table, bytes: &[u8]) -> Result<T, StoreError>
where
    T: Encode<()> + for<'b> Decode<'b, ()>,
{
    vereda_base::decode(bytes, MAX_ROW_BYTES).map_err(|_| StoreError::Unknown { table: table.0 })
}

/// Key of a place in a chain or document.
pub(crate) fn place_key(chain: &ChainId, seq: u64) -> [u8; 40] {
    let mut key = [0; 40];
    key.iter_mut().zip(chain.0.into_iter().chain(seq.to_be_bytes())).for_each(|(to, from)| *to = from);
    key
}

/// Key of a wrap.
pub(crate) fn wrap_key(op: &OpId, wrap: &Wrap) -> Vec<u8> {
    [op.0.as_slice(), wrap.recipient.as_bytes(), &wrap.recipient_epoch.to_be_bytes()].concat()
}

/// A chunk id out of a key.
pub(crate) fn chunk_id(key: &[u8]) -> ChunkId {
    ChunkId(key.try_into().unwrap_or([0; 32]))
}
