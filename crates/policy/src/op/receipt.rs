//! A relay's receipts.

use minicbor::{Decode, Encode};
use vereda_base::{ChainId, DeviceId, OpId, Timestamp};
use vereda_crypto::{Context, Signable, context};

/// A relay's signed word that it appended an operation. Two receipts for one (chain, seq) prove a fork.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Receipt {
    /// [`crate::SUITE`].
    #[n(0)]
    pub suite: u8,
    /// The relay's key.
    #[n(1)]
    pub relay: DeviceId,
    /// Renewed whenever the relay was restored.
    #[n(2)]
    pub relay_epoch: u64,
    /// The chain.
    #[n(3)]
    pub chain: ChainId,
    /// Position in the chain.
    #[n(4)]
    pub seq: u64,
    /// The operation.
    #[n(5)]
    pub op: OpId,
    /// When, by the relay's clock; never decreasing along a chain.
    #[n(6)]
    pub time: Timestamp,
}

impl Signable for Receipt {
    const CONTEXT: Context = context::RECEIPT_SIGNATURE;
    const MAX_BYTES: usize = 256;

    fn signer(&self) -> DeviceId {
        self.relay
    }
}
