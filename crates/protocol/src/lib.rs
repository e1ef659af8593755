//! Chunk headers, wire messages, bounded decoding, versions.

pub mod chunk;
pub mod message;

pub use chunk::{Chunk, ChunkKind, Header};
pub use message::{
    Auth, ChunkOutcome, Credential, Down, Goodbye, OpOutcome, PolicyEntry, Position, RefusalCode, Up, VERSION,
};
