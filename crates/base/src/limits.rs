//! Bounds on everything that comes from outside. A peer that passes one is in breach of the protocol.

/// One websocket frame, in bytes.
pub const MAX_FRAME_BYTES: usize = 1 << 20;
/// One policy operation with its signature, in bytes: a `Create` carries two X-Wing public keys of 1,216 B.
pub const MAX_OP_BYTES: usize = 64 << 10;
/// One chunk header with its signature, in bytes.
pub const MAX_HEADER_BYTES: usize = 16 << 10;
/// One chunk's ciphertext, in bytes.
pub const MAX_CIPHERTEXT_BYTES: usize = 768 << 10;
/// One chunk's body after decompression, in bytes.
pub const MAX_INFLATED_BYTES: usize = 8 << 20;
/// Automerge changes in one chunk.
pub const MAX_CHANGES_PER_CHUNK: usize = 4_096;
/// Operations in one Automerge change: replacing a long text of 50,000 characters by another takes twice as many.
pub const MAX_OPS_PER_CHANGE: usize = 131_072;
/// `deps` of one chunk: as many devices as were apart may it bring together. Where more were, changes that do nothing else
/// come before an edit. Fits a header beside [`MAX_CITES`].
pub const MAX_DEPS: usize = 384;
/// Incarnations of one device in one document. A device begins one when it was restored, rebuilt or had work excluded.
pub const MAX_INCARNATIONS: usize = 64;
/// `cites` of one operation or chunk.
pub const MAX_CITES: usize = 8;
/// Members, parents or wraps named by one operation.
pub const MAX_LIST: usize = 256;
/// Keys of epochs passed over that one new epoch holds sealed.
pub const MAX_CARRIED: usize = 8;
/// One wrapped or sealed key, in bytes: an HPKE X-Wing wrap of 32 B is 1,168 B.
pub const MAX_WRAP_BYTES: usize = 2_048;
/// Leaves of one frontier: places of the removed devices in documents and chains. Both sides hold them in memory when a
/// removal is signed and appended, some 300 B each.
pub const MAX_FRONTIER_LEAVES: usize = 262_144;
/// Chunks, documents or leaves named by one adoption, discard or request.
pub const MAX_NAMED: usize = 1_024;
/// A sealed text that stands in an operation (purpose, reason), in bytes.
pub const MAX_SEALED_TEXT_BYTES: usize = 2_048;
