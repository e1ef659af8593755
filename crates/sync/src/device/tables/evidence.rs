//! What breaks a rule, and what proves it.

use minicbor::{Decode, Encode};
use vereda_crypto::Signed;
use vereda_policy::{Op, Receipt};
use vereda_protocol::{Logged, OfferedLeaf, Position};

use super::OpRow;

/// Why a chunk is set aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, thiserror::Error)]
#[cbor(index_only)]
pub enum QuarantineReason {
    /// Header not canonical, or its signature does not hold.
    #[n(0)]
    #[error("its header is malformed or its signature does not hold")]
    BadHeader,
    /// The ciphertext is not the one that was signed.
    #[n(1)]
    #[error("its ciphertext is not the one that was signed")]
    BadCiphertext,
    /// Lists not sorted, or counts out of bounds.
    #[n(2)]
    #[error("its header breaks the rules of form")]
    BadForm,
    /// The author had no right to write.
    #[n(3)]
    #[error("its author was not entitled to write")]
    NotAuthorized,
    /// It relies on older policy than its author used before.
    #[n(4)]
    #[error("it relies on older policy than its author used before")]
    CiteRegressed,
    /// Another chunk stands at its place.
    #[n(5)]
    #[error("another chunk of its author stands at its place")]
    Fork,
    /// Its predecessor is not the one known.
    #[n(6)]
    #[error("it does not continue its author's sequence")]
    NotContiguous,
    /// It was stored, and the application found its content hostile.
    #[n(7)]
    #[error("its content breaks the rules")]
    BadContent,
    /// It lies beyond the frontier of a removal that ended its author's rights.
    #[n(8)]
    #[error("it came after its author's rights had ended, and nobody took it in")]
    BeyondFrontier,
    /// It builds on a chunk that does not stand.
    #[n(9)]
    #[error("it builds on a chunk that does not stand")]
    BuiltOnExcluded,
    /// Its author's device began anew in the document as often as any may.
    #[n(10)]
    #[error("its author's device began anew too often in this document")]
    TooManyIncarnations,
}

/// A chunk that is set aside, with what proves why.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct QuarantinedChunk {
    /// Why.
    #[n(0)]
    pub reason: QuarantineReason,
    /// The chunk, in its canonical form.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub chunk: Vec<u8>,
    /// The chunk that contradicts it, in its canonical form.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub other: Option<Vec<u8>>,
}

/// An operation that breaks a rule, or two stories told.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub(crate) enum Evidence {
    /// Relay and author agree on something that policy does not allow.
    #[n(0)]
    Op {
        #[n(0)]
        row: OpRow,
    },
    /// Two receipts for one place.
    #[n(1)]
    Fork {
        #[n(0)]
        proof: vereda_policy::ForkProof,
    },
    /// Leaves that a relay offered for a removal, of places where it would have cut off what is held here.
    #[n(2)]
    Offer {
        #[n(0)]
        op: Signed<Op>,
        #[n(1)]
        offer: Vec<OfferedLeaf>,
    },
    /// An operation of a chain that has never been: its first lies beyond its author's frontier.
    #[n(3)]
    Create {
        #[n(0)]
        row: OpRow,
    },
    /// The relay's log ended before what this device had been told to have stored.
    #[n(4)]
    LogShorter {
        #[n(0)]
        end: Position,
        #[n(1)]
        told: Position,
    },
    /// The relay held less of this device's own work than it had confirmed.
    #[n(5)]
    Lost {
        #[n(0)]
        held: u64,
        #[n(1)]
        confirmed: u64,
    },
    /// An operation that the relay let follow another than the one it had given a receipt for.
    #[n(6)]
    Branch {
        #[n(0)]
        row: OpRow,
        #[n(1)]
        known: Signed<Receipt>,
    },
    /// What a relay would have a removal name again and again, and never handed over.
    #[n(7)]
    Claim {
        #[n(0)]
        op: Signed<Op>,
        #[n(1)]
        claim: OfferedLeaf,
    },
    /// The relay's log lacked what it had handed over or confirmed last.
    #[n(8)]
    Forgotten {
        #[n(0)]
        last: Logged,
    },
    /// A removal with its receipt, and something that the relay had handed over before and that it does not name.
    #[n(9)]
    Severed {
        #[n(0)]
        row: OpRow,
        #[n(1)]
        what: Logged,
    },
}
