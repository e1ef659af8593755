//! Cases: every use a file, every use its own error. All of it works offline.

mod conflicts;
mod create;
mod edit;
mod folding;
mod history;
mod list;
pub mod plain;
mod resolve;
mod show;

pub use conflicts::{ConflictView, ConflictingValue};
pub(crate) use conflicts::{place_text, plain_at};
pub use create::{CreateCase, CreateCaseError};
pub use edit::{EditCaseError, EditedCase};
pub(crate) use edit::{apply_edits, check_edits};
pub(crate) use history::plain_written;
pub use history::{HistoryError, HistoryView};
pub use list::CaseLine;
pub use resolve::ResolveError;
pub use show::{CaseView, ShowCaseError};
