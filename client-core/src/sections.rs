//! Restricted sections of cases: documents of their own, with keys and chains of their own, read by fewer.

mod create;
mod edit;
mod list;
mod records;
mod show;

pub use create::{CreateSection, CreateSectionError, Noted};
pub use edit::EditSectionError;
pub use list::{SectionLine, SectionState};
pub(crate) use records::{NamedSection, is_reserved};
pub use show::{SectionView, ShowSectionError};
