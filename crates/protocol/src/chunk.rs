//! Chunks: the unit of sync and authorship (protocol.md §5). One or more Automerge changes by one device to one
//! document, sealed and signed; this crate sees the header only.

use minicbor::{Decode, Encode, bytes::ByteArray};
use vereda_base::{ChainId, ChunkId, DeviceId, Digest, Incarnation, Link, encode, limits};
use vereda_crypto::{Context, Signable, Signed, context};
use vereda_policy::{Cite, Content};

/// What a chunk's body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(index_only)]
pub enum ChunkKind {
    /// Changes.
    #[n(0)]
    Changes,
}

/// A chunk's header: readable by the relay, signed whole.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Header {
    /// [`vereda_policy::SUITE`].
    #[n(0)]
    pub suite: u8,
    /// What the body is.
    #[n(1)]
    pub kind: ChunkKind,
    /// The document's chain.
    #[n(2)]
    pub document: ChainId,
    /// The key epoch it is sealed under.
    #[n(3)]
    pub epoch: u64,
    /// The author.
    #[n(4)]
    pub device: DeviceId,
    /// The author's store.
    #[n(5)]
    pub incarnation: Incarnation,
    /// From 0, contiguous per (device, incarnation, document).
    #[n(6)]
    pub seq: u64,
    /// Link of the chunk before in this incarnation; at seq 0 the last link known of the previous incarnation, if any.
    #[n(7)]
    pub prev: Option<Link>,
    /// Links of the document's chunk heads that it builds on, sorted, none twice. `prev` is among them unless something
    /// that builds on it is.
    #[n(8)]
    pub deps: Vec<Link>,
    /// Policy heads relied on, sorted by chain: the document's, the author's user's, the chains of one path.
    #[n(9)]
    pub cites: Vec<Cite>,
    /// Automerge seq of the first change, from 1.
    #[n(10)]
    pub first_change: u64,
    /// How many changes.
    #[n(11)]
    pub change_count: u32,
    /// Length of the ciphertext in bytes, tag included.
    #[n(12)]
    pub ciphertext_len: u32,
    /// Hash of the ciphertext under [`context::CIPHERTEXT`].
    #[n(13)]
    pub ciphertext_hash: Digest,
    /// Commitment to the chunk key.
    #[n(14)]
    pub commitment: Digest,
    /// Fresh random nonce of this sealing.
    #[n(15)]
    pub nonce: ByteArray<24>,
    /// Keyed hash over count and change hashes, under the document's first epoch key.
    #[n(16)]
    pub ops_root: Digest,
}

impl Header {
    /// Derives the chunk's logical identity, the same for every re-sealing.
    pub fn link(&self) -> Link {
        vereda_crypto::link(
            self.device,
            self.incarnation,
            self.document,
            self.seq,
            self.prev.as_ref(),
            &self.deps,
            &self.ops_root,
        )
    }

    /// Encodes the associated data of the sealing: the header with its ciphertext hash set to zeros, since that is not
    /// known before the sealing.
    pub fn associated_data(&self) -> Vec<u8> {
        encode(&Self { ciphertext_hash: Digest([0; 32]), ..self.clone() })
    }
}

impl Signable for Header {
    const CONTEXT: Context = context::CHUNK_HEADER_SIGNATURE;
    const MAX_BYTES: usize = limits::MAX_HEADER_BYTES;

    fn signer(&self) -> DeviceId {
        self.device
    }
}

impl Content for Header {
    fn suite(&self) -> u8 {
        self.suite
    }

    fn document(&self) -> ChainId {
        self.document
    }

    fn device(&self) -> DeviceId {
        self.device
    }

    fn epoch(&self) -> u64 {
        self.epoch
    }

    fn cites(&self) -> &[Cite] {
        &self.cites
    }
}

/// A chunk as it travels and is stored: signed header and ciphertext.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Chunk {
    /// The signed header.
    #[n(0)]
    pub header: Signed<Header>,
    /// The sealed body.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub ciphertext: Vec<u8>,
}

impl Chunk {
    /// Derives the id of these very bytes.
    pub fn id(&self) -> ChunkId {
        ChunkId(self.header.digest(context::CHUNK_ID))
    }
}
