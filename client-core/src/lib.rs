//! The library an app holds: vault, device, cases, configuration, people, sync.
//!
//! An app unlocks a [`vault::Vault`], opens a [`device::Device`] over it and calls its use cases, each in a file of its
//! own with its own error: [`identity`], [`cases`], [`sections`], [`access`], [`review`], [`configuration`], [`directory`], [`mod@sync`]. On native targets
//! [`native::driver::SharedDevice`] keeps it connected.

pub mod access;
pub mod cases;
pub mod configuration;
pub mod device;
pub mod devices;
pub mod directory;
mod document;
mod facts;
pub mod identity;
mod keyring;
pub mod link;
#[cfg(not(target_family = "wasm"))]
pub mod native;
pub mod review;
pub mod sections;
pub mod store;
pub mod sync;
mod tables;
pub mod vault;
pub mod words;

/// Configurations and records in the formats of others.
pub use vereda_interchange as interchange;
/// The state machine that a device is driven by, for whoever writes a driver.
pub use vereda_sync::device as sync_machine;
