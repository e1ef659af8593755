//! Who wrote what, and when: proven by the signatures of the chunks that brought it.

use serde::Serialize;
use serde_json::Value as Json;
use vereda_base::{ChainId, Timestamp};
use vereda_document::Place;
use vereda_records::{Configuration, Value, json::write_value};
use vereda_sync::device::DeviceStore;

use super::{
    conflicts::{place_text, plain_at},
    plain::{ReadEditError, read_path},
};
use crate::{
    device::{Device, DeviceError},
    directory::AuthorView,
    sections::is_reserved,
};

/// Why no history is shown.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// Not a path.
    #[error(transparent)]
    Path(#[from] ReadEditError),
    /// Anything below.
    #[error(transparent)]
    Device(#[from] DeviceError),
}

/// One value that one person gave to one place.
#[derive(Debug, Clone, Serialize)]
pub struct HistoryView {
    /// Where.
    pub place: String,
    /// The value, in plain form; `null` where it was taken away. An entry of a subform is `true` while it is there.
    pub value: Json,
    /// Who set it: proven.
    pub author: AuthorView,
    /// When, by the author's clock.
    pub time: Timestamp,
}

impl<S: DeviceStore> Device<S> {
    /// Lists what was ever written in a case, or at one of its answers and everything within it; what builds on something
    /// stands after it.
    ///
    /// # Errors
    /// [`HistoryError`] by cause.
    pub fn case_history(&mut self, case: &ChainId, field: Option<&str>) -> Result<Vec<HistoryView>, HistoryError> {
        let record = self.record(case)?;
        let path = field.map(|field| read_path(&record, field)).transpose()?;
        let document = self.created_document(case)?;
        let entries = match &path {
            Some(path) => document.replica.history(path),
            None => document.replica.full_history(),
        };
        let authors: Vec<_> = entries.iter().map(|entry| document.author(&entry.actor)).collect();
        let views = entries.into_iter().zip(authors).filter_map(|(entry, author)| {
            let value = plain_written(&self.books.configuration, &entry.place, &entry.value)?;
            let author = self.author_view(author);
            Some(HistoryView { place: place_text(&entry.place), value, author, time: entry.time })
        });
        Ok(views.collect())
    }
}

/// Writes what was written at a place in plain form; `None` where it is no answer.
pub(crate) fn plain_written(configuration: &Configuration, place: &Place, value: &Value) -> Option<Json> {
    Some(match place {
        Place::Answer(path) if is_reserved(&path.field) => return None,
        Place::Answer(path) => plain_at(configuration, path, value),
        Place::FormVersion { .. } => return None,
        Place::Member { .. } | Place::Entry { .. } => match value {
            Value::Deleted => Json::Null,
            Value::Boolean(picked) => Json::from(*picked),
            Value::Integer(count) => Json::from(*count),
            Value::Text(_) => Json::from(true),
            other => write_value(None, other),
        },
    })
}
