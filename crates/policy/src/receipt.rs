//! What a relay's receipt must say (protocol.md §3).

use std::cmp::Ordering;

use vereda_base::{ChainId, DeviceId, OpId, Timestamp};
use vereda_crypto::Verified;

use crate::{Authorized, ChainState, Op, OpRecord, Receipt, SUITE, id::verified_op_id};

/// A receipt that was checked against its operation and its chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckedReceipt {
    op: OpId,
    time: Timestamp,
}

impl CheckedReceipt {
    /// Names the operation.
    pub const fn op(&self) -> OpId {
        self.op
    }

    /// Tells when the relay received it.
    pub const fn time(&self) -> Timestamp {
        self.time
    }
}

/// Tells the time that a relay's next receipt for a chain says: its clock's, never before an earlier receipt's.
pub fn receipt_time(state: Option<&ChainState>, now: Timestamp) -> Timestamp {
    state.and_then(ChainState::last_time).map_or(now, |last| last.max(now))
}

impl Receipt {
    /// Makes the receipt for an operation that is being appended at `time` (see [`receipt_time`]), for the relay to sign.
    pub fn for_op(op: &Authorized<Op>, relay: DeviceId, relay_epoch: u64, time: Timestamp) -> Self {
        let (chain, seq) = (op.chain(), op.value().seq);
        Self { suite: SUITE, relay, relay_epoch, chain, seq, op: op.id(), time }
    }
}

/// Checks that a receipt is the known relay's word for this very operation, and that times never decrease along the
/// chain. `state` is what is known of the operation's chain, which may hold the operation already.
///
/// # Errors
/// [`ReceiptRefusal`].
pub fn check_receipt(
    relay: &DeviceId,
    receipt: &Verified<Receipt>,
    op: &Verified<Op>,
    state: Option<&ChainState>,
) -> Result<CheckedReceipt, ReceiptRefusal> {
    let receipt = receipt.value();
    let id = verified_op_id(op);
    let chain = op.value().chain.unwrap_or(ChainId(id.0));
    if receipt.suite != SUITE {
        return Err(ReceiptRefusal::Suite { found: receipt.suite });
    }
    if receipt.relay != *relay {
        return Err(ReceiptRefusal::OtherRelay { expected: *relay, found: receipt.relay });
    }
    if (receipt.op, receipt.chain, receipt.seq) != (id, chain, op.value().seq) {
        return Err(ReceiptRefusal::OtherOp { expected: id, found: receipt.op });
    }
    let seq = usize::try_from(receipt.seq).unwrap_or(usize::MAX);
    let contradicts = |(place, record): (usize, &OpRecord)| match (record.time, place.cmp(&seq)) {
        (Some(time), Ordering::Less) => time > receipt.time,
        (Some(time), Ordering::Greater) => time < receipt.time,
        _ => false,
    };
    if state.is_some_and(|state| state.ops().iter().enumerate().any(contradicts)) {
        return Err(ReceiptRefusal::TimeRegress { seq: receipt.seq, found: receipt.time });
    }
    Ok(CheckedReceipt { op: id, time: receipt.time })
}

/// Why a receipt was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptRefusal {
    /// Made under another suite.
    #[error("receipt of suite {found}")]
    Suite {
        /// The suite found.
        found: u8,
    },
    /// Another relay's.
    #[error("receipt by relay {found}, expected {expected}")]
    OtherRelay {
        /// The relay that is known.
        expected: DeviceId,
        /// The relay that signed.
        found: DeviceId,
    },
    /// For another operation, or another place.
    #[error("receipt for operation {found} does not fit operation {expected}")]
    OtherOp {
        /// The operation.
        expected: OpId,
        /// What the receipt names.
        found: OpId,
    },
    /// Its time is before that of an earlier operation of the chain, or after that of a later one.
    #[error("receipt for operation {seq} says {}, which is out of order in its chain", found.0)]
    TimeRegress {
        /// The operation's seq.
        seq: u64,
        /// The time found.
        found: Timestamp,
    },
}
