//! Domain nouns of the product: form definitions, typed values, visibility, validation, calculation.
//!
//! Pure and total: the day of today is an argument, nothing is read from outside, and no input panics. What a record
//! *means* is decided here; how it is stored and merged is decided in `document`.

pub mod agency;
pub mod arithmetic;
pub mod attachment;
pub mod calculation;
pub mod condition;
pub mod configuration;
pub mod decimal;
pub mod edit;
pub mod entry;
pub mod field;
pub mod form;
pub mod json;
pub mod limits;
pub mod locations;
pub mod options;
pub mod order;
pub mod path;
pub mod record;
pub mod sample;
pub mod starter;
pub mod summary;
pub mod text;
pub mod validation;
pub mod value;
pub mod visibility;

pub use attachment::Attachment;
pub use condition::Condition;
pub use configuration::{Configuration, Problem};
pub use decimal::Decimal;
pub use edit::Edit;
pub use entry::{Entry, EntryId};
pub use field::{Choice, Field, FieldType, OptionSource};
pub use form::Form;
pub use path::FieldPath;
pub use record::{Record, RecordType};
pub use summary::{Summary, summarize};
pub use text::Translated;
pub use validation::{Rule, Violation, validate};
pub use value::{DateRange, Value, ValueKind};
