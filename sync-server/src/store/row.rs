//! Rows of the log.

use minicbor::{Decode, Encode};
use vereda_base::{ChainId, OpId, limits};
use vereda_crypto::{Signed, Verified};
use vereda_policy::{Authorized, Op, Receipt, Wrap, WrapProof};
use vereda_sync::relay::{
    StoreError,
    store::{Entry, Naming},
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

pub(super) fn encode_op(op: &Authorized<Op>, receipt: &Verified<Receipt>) -> Row {
    let row = OpRow { op: op.signed().clone(), receipt: receipt.signed().clone() };
    Row { kind: OP, chain: op.chain(), data: vereda_base::encode(&row) }
}

pub(super) fn encode_wrap(chain: &ChainId, op: &OpId, wrap: &Wrap, proof: &WrapProof) -> Row {
    let row = WrapRow { op: *op, wrap: wrap.clone(), proof: proof.clone() };
    Row { kind: WRAP, chain: *chain, data: vereda_base::encode(&row) }
}

/// Reads an operation or a wrap.
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
        _ => Err(damaged),
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
