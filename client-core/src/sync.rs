//! How this device stands with its relay, in words an anxious person believes.

mod digest;
mod explain;
mod faults;
mod status;

pub use digest::{DigestError, ReplicaDigest};
pub use explain::Explanation;
pub use faults::RelayFaultView;
pub use status::{ConnectionView, EndedView, StatusView};
