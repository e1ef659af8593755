//! Automerge replicas of records: open, hydrate, reconcile, conflicts, history, and what is admitted from others.
//!
//! The only crate that names Automerge. [`Replica`] holds one record's document and writes under one actor; [`frame`]
//! makes the body of a chunk from its changes; [`ParsedChunk`] reads a body from another device and
//! [`Replica::apply`] takes it in, all or nothing. How a record lies in its document is written at [`shape`].

pub mod admission;
mod anatomy;
mod column;
pub mod conflict;
pub mod edit;
pub mod frame;
pub mod history;
#[cfg(any(test, feature = "hostile-examples"))]
pub mod hostile_examples;
mod hydrate;
mod register;
mod remake;
pub mod replica;
mod saved;
pub mod shape;
mod varint;

pub use admission::{Expect, ParsedChunk, Refusal};
pub use anatomy::ChangeFault;
pub use conflict::{Conflict, ConflictValue};
pub use edit::{Edit, EditError, difference};
pub use history::{ChangeSummary, HistoryEntry};
pub use hydrate::HydrateError;
pub use replica::{Applied, LoadError, LocalChange, Replica};
pub use saved::{MAX_SAVED_BYTES, SavedFault};
pub use shape::Place;
pub use varint::ReadError;
