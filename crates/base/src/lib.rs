//! Leaf types that every other crate may use: ids, limits, time as an argument, canonical CBOR and values that cannot
//! be logged. Depends on no other crate of the workspace.

pub mod canonical;
pub mod id;
pub mod limits;
pub mod sensitive;
pub mod time;

pub use canonical::{CanonicalError, decode, encode};
pub use id::{ActorBytes, ChainId, ChunkId, DeviceId, Digest, Incarnation, Link, OpId};
pub use sensitive::{LogSafe, Sensitive};
pub use time::{Monotonic, Now, Timestamp};
