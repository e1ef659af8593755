//! Who may read and write what, and the decisions that change it. Each use a file, each use its own error.
//!
//! A decision is checked here as far as this device knows, stored, and shown as pending until the relay has ordered it;
//! one that came too late is kept with its reason until somebody has seen it ([`Device::decisions`]).
//!
//! [`Device::decisions`]: crate::device::Device::decisions

mod assign;
mod cancel_invite;
mod decisions;
mod erase;
mod handing_over;
mod hindrance;
mod leave;
mod lower;
mod pending;
mod refer;
mod revoke;
mod sealed_text;
mod set_retention;
mod who;
mod withdraw;

/// Roles, and who has them.
pub use vereda_policy::{Member, Role};

pub use assign::{AssignError, AssignRequest};
pub use cancel_invite::CancelInviteError;
pub use decisions::{DecideError, DismissError};
pub use erase::{EraseError, Erasure, LeftSection, WhyLeft};
pub use hindrance::Hindrance;
pub use leave::LeaveError;
pub use lower::{LowerError, LowerRequest};
pub use pending::{DecisionState, DecisionView};
pub use refer::{ReferError, ReferRequest};
pub use revoke::{RevokeError, RevokeRequest};
pub use sealed_text::{About, MAX_TEXT_BYTES, SealTextError, open_text_under, seal_text_under};
pub(crate) use sealed_text::{open_text, seal_text};
pub use set_retention::{RetentionKind, SetRetentionError};
pub use who::{AccessEntry, AccessView, GovernorView, OpenInvite, ReachedPerson, SubjectView, WhoError};
pub use withdraw::{WithdrawError, WithdrawRequest};
