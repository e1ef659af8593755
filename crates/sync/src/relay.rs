//! The relay's side: a sans-IO machine that orders, stores and fans out what it cannot read.
//!
//! ```text
//! machine.handle_input(now, input, &mut store, &mut rng)    any number of times
//! machine.serve(now, &mut store)                            one bounded round for the sessions that lag, in turn
//! let committed = machine.commit(&mut store)                store.commit(), then the effects
//! ```
//!
//! Effects leave only through [`RelayMachine::commit`]. Where anything in the store failed since the commit before, they
//! are dropped, nothing stays in memory, and every session ends with `StorageFailure`: what was acknowledged is on disk.

pub mod store;

mod admit;
mod agency;
mod append;
mod audience;
mod authenticate;
mod backfill;
mod chains;
mod decision;
mod deliver;
mod effect;
mod machine;
mod offer;
mod put;
mod reach;
mod recall;
mod removal;
mod review;
mod sequence;
mod serve;
mod session;
mod sight;
mod stale;
mod wrapping;

pub use admit::AcceptedChunk;
pub use authenticate::founding_digest;
pub use effect::{Committed, Effect, Input, RelayConfig, WakeReason};
pub use machine::RelayMachine;
pub use session::SessionId;
pub use store::{MemoryStore, RelayStore, StoreError};
