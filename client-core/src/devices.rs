//! The devices of a person: linking a further one, listing and removing them, a printed key for when all are lost.

mod code;
mod letters;
mod link;
mod list;
mod name;

pub use code::{LinkingCode, ParseCodeError};
pub use link::{LinkError, LinkingView, OFFER_LASTS};
pub use list::DeviceView;
pub use name::NameDeviceError;
