//! Rows of the log.

use minicbor::{Decode, Encode};
use vereda_base::{ChainId, Digest, Incarnation, OpId, limits};
use vereda_crypto::Signed;
use vereda_policy::{Op, Receipt, Wrap, WrapProof};
use vereda_protocol::{decode_chunk, encode_chunk};
use vereda_sync::relay::{
    StoreError,
    store::{Entry, Naming, NewEntry},
};

/// Kind of an operation's row.
pub(super) const OP: u8 = 0;
/// Kind of a wrap's row.
pub(super) const WRAP: u8 = 1;
/// Kind of a chunk's row.
pub(super) const CHUNK: u8 = 2;

/// Bound on a stored operation or wrap, in bytes.
const MAX_POLICY_BYTES: usize = limits::MAX_OP_BYTES + 4_096;

/// A row to append.
pub(super) struct Row {
    pub(super) kind: u8,
    pub(super) chain: ChainId,
    /// The recipient of a wrap, the author of a chunk.
    pub(super) party: Option<Digest>,
    pub(super) incarnation: Option<Incarnation>,
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

pub(super) fn encode_entry(entry: &NewEntry<'_>) -> Row {
    match entry {
        NewEntry::Op { op, receipt } => {
            let row = OpRow { op: op.signed().clone(), receipt: receipt.signed().clone() };
            Row { kind: OP, chain: op.chain(), party: None, incarnation: None, data: vereda_base::encode(&row) }
        }
        NewEntry::Wrap { chain, op, wrap, proof } => {
            let row = WrapRow { op: **op, wrap: (*wrap).clone(), proof: (*proof).clone() };
            let party = Some(wrap.recipient);
            Row { kind: WRAP, chain: **chain, party, incarnation: None, data: vereda_base::encode(&row) }
        }
        NewEntry::Chunk(accepted) => {
            let header = accepted.header();
            Row {
                kind: CHUNK,
                chain: header.document,
                party: Some(Digest(header.device.0)),
                incarnation: Some(header.incarnation),
                data: encode_chunk(accepted.chunk()),
            }
        }
    }
}

pub(super) fn decode_entry(kind: u8, chain: ChainId, content: &[u8]) -> Result<Entry, StoreError> {
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
        _ => decode_chunk(content).map(Entry::Chunk).map_err(|_| damaged),
    }
}

pub(super) const fn code_of_naming(naming: Naming) -> u8 {
    match naming {
        Naming::Group => 0,
        Naming::Document => 1,
    }
}

pub(super) fn to_id(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<[u8; 32]> {
    row.get(column)
}

pub(super) fn to_u64(value: i64) -> u64 {
    u64::try_from(value).unwrap_or_default()
}
