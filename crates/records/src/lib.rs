//! Domain nouns of the product: form definitions, typed values, visibility, validation, calculation.
//!
//! Pure and total: the day of today is an argument, nothing is read from outside, and no input panics. What a record
//! *means* is decided here; how it is stored and merged is decided in `document`.

pub mod attachment;
pub mod decimal;
pub mod entry;
pub mod limits;
pub mod order;
pub mod path;
pub mod record;
pub mod value;

pub use attachment::Attachment;
pub use decimal::Decimal;
pub use entry::{Entry, EntryId};
pub use path::FieldPath;
pub use record::{Record, RecordType};
pub use value::{DateRange, Value, ValueKind};
