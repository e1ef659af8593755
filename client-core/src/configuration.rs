//! The agency's configuration: a document of its own, which Managers of the agency write and all its members read.

mod apply;
pub(crate) mod content;
mod show;

pub use apply::{AppliedConfiguration, ApplyConfigurationError};
pub use show::{ConfigurationView, FieldView, FormView};
