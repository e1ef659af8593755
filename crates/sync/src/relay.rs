//! The relay's side.
