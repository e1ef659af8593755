//! Evidence that a relay or a device told two stories (protocol.md §3).

use minicbor::{Decode, Encode};
use vereda_base::{ChainId, DeviceId};
use vereda_crypto::{Signed, Verified};

use crate::{Op, Receipt, id::verified_op_id};

/// Two signed statements that exclude one another: anyone can check them without trusting who shows them.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub enum ForkProof {
    /// Two receipts of one relay for one place in a chain, with different operations.
    #[n(0)]
    Relay {
        /// One.
        #[n(0)]
        a: Signed<Receipt>,
        /// The other.
        #[n(1)]
        b: Signed<Receipt>,
    },
    /// Two operations of one device with one predecessor.
    #[n(1)]
    Device {
        /// One.
        #[n(0)]
        a: Signed<Op>,
        /// The other.
        #[n(1)]
        b: Signed<Op>,
    },
}

/// Who forked, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forker {
    /// A relay.
    Relay {
        /// Its key.
        relay: DeviceId,
        /// The chain.
        chain: ChainId,
        /// The place.
        seq: u64,
    },
    /// A device.
    Device {
        /// The device.
        device: DeviceId,
        /// The chain.
        chain: ChainId,
        /// The place.
        seq: u64,
    },
}

/// Finds a fork in two receipts; `None` where they can both be true.
pub fn detect_relay_fork(a: &Verified<Receipt>, b: &Verified<Receipt>) -> Option<ForkProof> {
    let (one, other) = (a.value(), b.value());
    let same_place = (one.relay, one.chain, one.seq) == (other.relay, other.chain, other.seq);
    (same_place && one.op != other.op).then(|| ForkProof::Relay { a: a.signed().clone(), b: b.signed().clone() })
}

/// Finds a fork in two operations; `None` where one device may have signed both. Two of different devices are no fork:
/// the one that came second is signed again after the first.
pub fn detect_device_fork(a: &Verified<Op>, b: &Verified<Op>) -> Option<ForkProof> {
    let (one, other) = (a.value(), b.value());
    let follows_one = one.chain.is_some() && one.prev.is_some();
    let same_place = (one.device, one.chain, one.prev) == (other.device, other.chain, other.prev);
    (follows_one && same_place && verified_op_id(a) != verified_op_id(b))
        .then(|| ForkProof::Device { a: a.signed().clone(), b: b.signed().clone() })
}

impl ForkProof {
    /// Checks the signatures and that the two exclude one another; tells who forked.
    ///
    /// # Errors
    /// [`NoFork`] if this proves nothing.
    pub fn verify(&self) -> Result<Forker, NoFork> {
        match self {
            Self::Relay { a, b } => {
                let (a, b) = (a.clone().verify().map_err(|_| NoFork)?, b.clone().verify().map_err(|_| NoFork)?);
                detect_relay_fork(&a, &b).ok_or(NoFork)?;
                let Receipt { relay, chain, seq, .. } = *a.value();
                Ok(Forker::Relay { relay, chain, seq })
            }
            Self::Device { a, b } => {
                let (a, b) = (a.clone().verify().map_err(|_| NoFork)?, b.clone().verify().map_err(|_| NoFork)?);
                detect_device_fork(&a, &b).ok_or(NoFork)?;
                let op = a.value();
                Ok(Forker::Device { device: op.device, chain: op.chain.ok_or(NoFork)?, seq: op.seq })
            }
        }
    }
}

/// The evidence proves no fork.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the evidence proves no fork")]
pub struct NoFork;
