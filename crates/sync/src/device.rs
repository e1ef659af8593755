//! The device's side: what is durable here, what is verified, what waits to be sent.
//!
//! [`DeviceMachine`] is the state machine, [`DeviceStore`] what it writes to. Commit before effect: see
//! [`DeviceMachine::commit`].

mod answers;
pub mod config;
mod content;
mod cutting;
pub mod documents;
pub mod effect;
mod evaluation;
mod exclusion;
pub mod explain;
pub mod faults;
mod frontiers;
mod gaps;
mod holding;
pub mod machine;
mod offers;
mod operations;
pub mod outbox;
mod owners;
mod pending;
mod policy_lane;
mod removals;
mod resealing;
pub mod review;
mod sending;
mod session;
mod shelf;
mod signed_ops;
mod standing;
pub mod store;
pub mod tables;
mod tally;

pub use config::{Amount, Bound, DeviceConfig, DeviceCredential, DeviceLimits, KeepLimits};
pub use documents::{EnqueueError, Place};
pub use effect::{Disconnect, Effect, Event, Input, IntentFailure, WakeReason};
pub use explain::SyncState;
pub use faults::RelayFault;
pub use machine::{Committed, DeviceMachine};
pub use outbox::{IntentId, OutboxItem};
pub use review::{Review, ReviewDocument};
pub use shelf::ChainView;
pub use store::{DeviceStore, MemoryStore, StoreError, Table};
pub use tables::{QuarantineReason, QuarantinedChunk, StoredWrap};
