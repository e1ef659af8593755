//! How this device stands with its relay, in words an anxious person believes.

mod digest;
mod explain;
mod status;

pub use digest::{DigestError, ReplicaDigest};
pub use explain::Explanation;
pub use status::{ConnectionView, StatusView};
