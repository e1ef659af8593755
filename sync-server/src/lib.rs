//! The relay as a library, so that tests and benchmarks can run one inside a process: a websocket server that orders,
//! stores and fans out what it cannot read.

pub mod clock;
pub mod entropy;
pub mod folder;
pub mod health;
pub mod limits;
pub mod listener;
pub mod server;
pub mod store;

mod socket;
mod standing;
mod writer;

pub use folder::{Folder, FolderError};
pub use health::HealthReport;
pub use limits::Limits;
pub use listener::{TlsError, TlsFiles};
pub use server::{Relay, RelayOptions, StartError};
