//! The device's side.
