//! The outbox: one durable queue, in order, of what this device wants the relay to hold.

use minicbor::{Decode, Encode};
use vereda_base::{ChainId, Link};
use vereda_crypto::Signed;
use vereda_policy::{Body, Op, Wrap};

/// Names an intent on this device. Counted from 1, never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(transparent)]
pub struct IntentId(#[n(0)] pub u64);

impl vereda_base::LogSafe for IntentId {}

/// What waits to be sent.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
#[allow(clippy::large_enum_variant, reason = "read from the store one at a time")]
pub enum OutboxItem {
    /// An operation signed offline, sent as it is.
    #[n(0)]
    Op {
        /// The operation.
        #[n(0)]
        op: Signed<Op>,
        /// All wraps of its list, in order.
        #[n(1)]
        wraps: Vec<Wrap>,
    },
    /// What shall be done to a chain: signed once the relay is reached and everything visible is stored.
    #[n(1)]
    Intent {
        /// The intent.
        #[n(0)]
        id: IntentId,
        /// The chain.
        #[n(1)]
        chain: ChainId,
        /// What shall be done.
        #[n(2)]
        body: Body,
        /// All wraps of its list, in order.
        #[n(3)]
        wraps: Vec<Wrap>,
        /// The operation as it was signed and perhaps sent; signed anew when the head moved.
        #[n(4)]
        signed: Option<Signed<Op>>,
    },
    /// A sealed chunk, which lies among the document's chunks.
    #[n(2)]
    Chunk {
        /// The chunk.
        #[n(0)]
        link: Link,
    },
}
