//! What the tests of this package attack with: it speaks the wire protocol itself and holds real keys, so that it can say
//! whatever an attacker would.
//!
//! - [`Office`] is a real relay on a loopback port with people of an agency; [`Line`] is a websocket to it, by hand.
//! - [`Colluder`] is a relay that serves, orders and gives receipts for whatever it likes; [`Victim`] is a real device
//!   machine that listens to it.
//! - [`town::Town`] is real devices with real keys around the relay's real machine, and all that can be taken out of them.
//! - [`forge`] signs what no honest program would.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what goes wrong in here is a failure of the test, told by its panic"
)]

pub mod colluder;
pub mod forge;
pub mod line;
pub mod office;
pub mod town;
pub mod victim;

pub use colluder::{Colluder, Stage};
pub use line::Line;
pub use office::{Member, Office};
pub use victim::Victim;
