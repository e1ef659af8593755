//! Configurations and records in and out, in the formats of others. Pure: bytes in, a value and a report out.

pub mod primero;
pub mod report;

pub use report::{Loss, Report};
