//! Review: what came after its author's rights had ended, for those who decide whether it stands; and what became of this
//! device's own.

mod adopt;
mod discard;
mod list;
mod own;
mod reading;

pub use adopt::AdoptError;
pub use discard::{DiscardError, DiscardRequest};
pub use list::{ReviewView, ReviewedKind};
pub use own::{OwnReviewState, OwnReviewView};
pub use reading::{ReviewedChange, WorkView};
