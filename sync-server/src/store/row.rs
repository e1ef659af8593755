//! Rows of the log.

use minicbor::{Decode, Encode};
use vereda_base::{ChainId, DeviceId, OpId, Timestamp, limits};
use vereda_crypto::{Signed, Verified};
use vereda_policy::{Authorized, Op, Receipt, Wrap, WrapProof};
use vereda_protocol::{OfferedLeaf, Position, decode_chunk, encode_chunk};
use vereda_sync::relay::{
    AcceptedChunk, StoreError,
    store::{Entry, Naming, ReviewStanding, Scope},
};

/// Kind of an operation's row.
pub(super) const OP: u8 = 0;
/// Kind of a wrap's row.
pub(super) const WRAP: u8 = 1;
/// Kind of a chunk's row.
pub(super) const CHUNK: u8 = 2;
/// Kind of the row of a removal's leaves.
pub(super) const FRONTIER: u8 = 3;
/// Kind of the row of a chunk in review.
pub(super) const REVIEW: u8 = 4;
/// Kind of the row of a document in review.
pub(super) const REVIEW_DOCUMENT: u8 = 5;

/// Bound on a stored operation or wrap, in bytes.
const MAX_POLICY_BYTES: usize = limits::MAX_OP_BYTES + 4_096;
/// Bound on the stored leaves of one removal, in bytes.
const MAX_FRONTIER_BYTES: usize = limits::MAX_FRONTIER_LEAVES * 160 + 4_096;
/// Bound on a stored chunk or document in review, in bytes.
const MAX_REVIEW_BYTES: usize = limits::MAX_CIPHERTEXT_BYTES + limits::MAX_HEADER_BYTES + limits::MAX_LIST * 4_096;

/// A row to append.
pub(super) struct Row {
    pub(super) kind: u8,
    pub(super) chain: ChainId,
    pub(super) data: Vec<u8>,
}

#[derive(Encode, Decode)]
#[cbor(array)]
struct OpRow {
    #[n(0)]
    op: Signed<Op>,
    #[n(1)]
    receipt: Signed<Receipt>,
}

#[derive(Encode, Decode)]
#[cbor(array)]
struct WrapRow {
    #[n(0)]
    op: OpId,
    #[n(1)]
    wrap: Wrap,
    #[n(2)]
    proof: WrapProof,
}

#[derive(Encode, Decode)]
#[cbor(array)]
struct FrontierRow {
    #[n(0)]
    removal: OpId,
    #[n(1)]
    leaves: Vec<OfferedLeaf>,
}

#[derive(Encode, Decode)]
#[cbor(array)]
struct ReviewRow {
    #[n(0)]
    received: Timestamp,
    #[cbor(n(1), with = "minicbor::bytes")]
    chunk: Vec<u8>,
}

#[derive(Encode, Decode)]
#[cbor(array)]
struct ReviewDocumentRow {
    #[n(0)]
    received: Timestamp,
    #[n(1)]
    create: Signed<Op>,
    #[n(2)]
    wraps: Vec<(Wrap, WrapProof)>,
}

pub(super) fn encode_frontier(chain: &ChainId, removal: &OpId, leaves: &[OfferedLeaf]) -> Row {
    let row = FrontierRow { removal: *removal, leaves: leaves.to_vec() };
    Row { kind: FRONTIER, chain: *chain, data: vereda_base::encode(&row) }
}

pub(super) fn encode_review(chunk: &AcceptedChunk, received: Timestamp) -> Row {
    let row = ReviewRow { received, chunk: encode_chunk(chunk.chunk()) };
    Row { kind: REVIEW, chain: chunk.header().document, data: vereda_base::encode(&row) }
}

pub(super) fn encode_review_document(
    document: ChainId,
    create: &Verified<Op>,
    wraps: &[(Wrap, WrapProof)],
    received: Timestamp,
) -> Row {
    let row = ReviewDocumentRow { received, create: create.signed().clone(), wraps: wraps.to_vec() };
    Row { kind: REVIEW_DOCUMENT, chain: document, data: vereda_base::encode(&row) }
}

pub(super) fn encode_op(op: &Authorized<Op>, receipt: &Verified<Receipt>) -> Row {
    let row = OpRow { op: op.signed().clone(), receipt: receipt.signed().clone() };
    Row { kind: OP, chain: op.chain(), data: vereda_base::encode(&row) }
}

pub(super) fn encode_wrap(chain: &ChainId, op: &OpId, wrap: &Wrap, proof: &WrapProof) -> Row {
    let row = WrapRow { op: *op, wrap: wrap.clone(), proof: proof.clone() };
    Row { kind: WRAP, chain: *chain, data: vereda_base::encode(&row) }
}

/// Reads what is no chunk that stands.
pub(super) fn decode_policy(kind: u8, chain: ChainId, content: &[u8]) -> Result<Entry, StoreError> {
    let damaged = StoreError::Damaged { table: "data" };
    match kind {
        OP => {
            let row: OpRow = vereda_base::decode(content, MAX_POLICY_BYTES).map_err(|_| damaged)?;
            Ok(Entry::Op { op: row.op, receipt: row.receipt })
        }
        WRAP => {
            let row: WrapRow = vereda_base::decode(content, MAX_POLICY_BYTES).map_err(|_| damaged)?;
            Ok(Entry::Wrap { chain, op: row.op, wrap: row.wrap, proof: row.proof })
        }
        FRONTIER => {
            let row: FrontierRow = vereda_base::decode(content, MAX_FRONTIER_BYTES).map_err(|_| damaged)?;
            Ok(Entry::Frontier { chain, removal: row.removal, leaves: row.leaves })
        }
        REVIEW => {
            let row: ReviewRow = vereda_base::decode(content, MAX_REVIEW_BYTES).map_err(|_| damaged.clone())?;
            let chunk = decode_chunk(&row.chunk).map_err(|_| damaged)?;
            Ok(Entry::Review { chunk, received: row.received })
        }
        REVIEW_DOCUMENT => {
            let row: ReviewDocumentRow = vereda_base::decode(content, MAX_REVIEW_BYTES).map_err(|_| damaged)?;
            Ok(Entry::ReviewDocument { create: row.create, wraps: row.wraps, received: row.received })
        }
        _ => Err(damaged),
    }
}

/// Reads who wrote an operation, and its seq, from its row.
pub(super) fn author_and_seq(content: &[u8]) -> Option<(DeviceId, u64)> {
    let row: OpRow = vereda_base::decode(content, MAX_POLICY_BYTES).ok()?;
    let op: Op = vereda_base::decode(row.op.bytes(), limits::MAX_OP_BYTES).ok()?;
    Some((op.device, op.seq))
}

pub(super) const fn code_of_naming(naming: Naming) -> u8 {
    match naming {
        Naming::Group => 0,
        Naming::Document => 1,
        Naming::Governed => 2,
    }
}

pub(super) const fn code_of_standing(standing: ReviewStanding) -> u8 {
    match standing {
        ReviewStanding::Awaits => 0,
        ReviewStanding::Discarded => 1,
        ReviewStanding::Adopted => 2,
    }
}

pub(super) const fn standing_of_code(code: u8) -> ReviewStanding {
    match code {
        0 => ReviewStanding::Awaits,
        1 => ReviewStanding::Discarded,
        _ => ReviewStanding::Adopted,
    }
}

pub(super) fn to_id(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<[u8; 32]> {
    row.get(column)
}

pub(super) fn to_u64(value: i64) -> u64 {
    u64::try_from(value).unwrap_or_default()
}

/// A row of the log.
pub(super) struct RawHead {
    pub(super) position: Position,
    pub(super) kind: u8,
    pub(super) chain: i64,
    pub(super) party: Option<i64>,
    pub(super) bytes: usize,
}

/// The statement that reads a page: beyond 1, up to 2, at most 3, of the chain 4.
pub(super) const fn page_of(scope: Scope) -> &'static str {
    match scope {
        Scope::Policy => {
            "SELECT position, kind, chain, party, bytes FROM log
             WHERE kind <> 2 AND position > ?1 AND position <= ?2 ORDER BY position LIMIT ?3"
        }
        Scope::Content => {
            "SELECT position, kind, chain, party, bytes FROM log
             WHERE kind = 2 AND position > ?1 AND position <= ?2 ORDER BY position LIMIT ?3"
        }
        Scope::Chain(_) => {
            "SELECT position, kind, chain, party, bytes FROM log INDEXED BY log_entry
             WHERE chain = ?4 AND position > ?1 AND position <= ?2 ORDER BY position LIMIT ?3"
        }
        Scope::ChainPolicy(_) => {
            "SELECT position, kind, chain, party, bytes FROM log INDEXED BY log_chain
             WHERE chain = ?4 AND kind <> 2 AND position > ?1 AND position <= ?2 ORDER BY position LIMIT ?3"
        }
    }
}

pub(super) fn read_head(row: &rusqlite::Row<'_>) -> rusqlite::Result<RawHead> {
    Ok(RawHead {
        position: Position(to_u64(row.get(0)?)),
        kind: row.get(1)?,
        chain: row.get(2)?,
        party: row.get(3)?,
        bytes: row.get::<_, u32>(4)? as usize,
    })
}
