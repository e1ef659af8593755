//! Chunk headers, wire messages, bounded decoding, versions.

pub mod auth;
pub mod chunk;
pub mod frame;
pub mod message;
pub mod outcome;
pub mod pack;
pub mod version;

pub use auth::{
    Opening, WelcomeFields, auth_message, founding_auth_message, founding_credential, founding_key,
    invite_auth_message, welcome_message,
};
pub use chunk::{Chunk, ChunkKind, Header};
pub use frame::{FrameError, decode_chunk, decode_down, decode_up, encode_chunk, encode_down, encode_up};
pub use message::{
    Auth, Credential, DOWN_WINDOW_BYTES, Down, Leaves, Logged, MAX_LASTS, PolicyEntry, Position, UP_WINDOW_BYTES, Up,
    VERSION,
};
pub use outcome::{ChunkOutcome, Goodbye, OfferedLeaf, OpOutcome, RefusalCode};
pub use pack::{Packer, Unpacker};
pub use version::{VERSIONS, VersionError, negotiate};
