//! Ids of operations and chains.

use vereda_base::{ChainId, OpId};
use vereda_crypto::{Verified, context, hash};

use crate::Op;

/// Derives an operation's id: the hash of its canonical bytes, without the signature.
pub fn op_id(op: &Op) -> OpId {
    op_id_of_bytes(&vereda_base::encode(op))
}

/// Derives an operation's id from its canonical bytes, as they were signed.
pub fn op_id_of_bytes(bytes: &[u8]) -> OpId {
    OpId(hash(context::OP_ID, &[bytes]))
}

/// Names the chain that an operation belongs to: the one it says, or for a `Create` the one it begins.
pub fn chain_of(op: &Op) -> ChainId {
    op.chain.unwrap_or_else(|| ChainId(op_id(op).0))
}

/// Derives the id of an operation that was verified, without encoding it again.
pub(crate) fn verified_op_id(op: &Verified<Op>) -> OpId {
    op_id_of_bytes(op.bytes())
}
