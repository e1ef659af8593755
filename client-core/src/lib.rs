//! The library an app holds: vault, cases, outbox, projections, sync.

pub mod link;
#[cfg(not(target_family = "wasm"))]
pub mod native;
pub mod store;
pub mod vault;
