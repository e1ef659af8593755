//! The devices of a person: linking a further one, listing and removing them, a printed key for when all are lost.

mod beacon;
mod code;
mod letters;
mod link;
mod list;
mod made;
mod name;
mod recovery;
mod recovery_key;
mod remove;

pub use beacon::BeaconView;
pub use code::{LinkingCode, ParseCodeError};
pub use link::{LinkError, LinkingView, OFFER_LASTS};
pub use list::DeviceView;
pub use made::{MadeByView, MadeDevice, MadeGrant, MadeInvite};
pub use name::NameDeviceError;
pub use recovery::{RecoveryError, RecoverySheet, RecoveryStore};
pub use recovery_key::{ParseRecoveryKeyError, RecoveryKey};
pub use remove::RemoveDeviceError;
