//! Places at which people set different values without having seen one another's. All values are kept until somebody
//! looks.

use serde::Serialize;
use serde_json::Value as Json;
use vereda_base::{ChainId, Timestamp};
use vereda_document::{Conflict, Place};
use vereda_records::{Configuration, FieldPath, RecordType, Value, json::write_value};
use vereda_sync::device::DeviceStore;

use crate::{
    device::{Device, DeviceError},
    directory::AuthorView,
};

/// A place in conflict.
#[derive(Debug, Clone, Serialize)]
pub struct ConflictView {
    /// The case.
    pub case: ChainId,
    /// Where: an answer, `answer/choice`, an entry, or a form's version as `form:name`.
    pub place: String,
    /// Every value; the one that is shown stands last.
    pub values: Vec<ConflictingValue>,
}

/// One of the values.
#[derive(Debug, Clone, Serialize)]
pub struct ConflictingValue {
    /// The value, in plain form; `null` where the answer was taken away. An entry of a subform is `true` while it is there.
    pub value: Json,
    /// It is the one shown.
    pub is_shown: bool,
    /// Who set it: proven.
    pub author: AuthorView,
    /// When, by the author's clock.
    pub time: Timestamp,
}

impl<S: DeviceStore> Device<S> {
    /// Lists the conflicts of a case.
    ///
    /// # Errors
    /// [`DeviceError`] by cause.
    pub fn conflicts_of(&mut self, case: &ChainId) -> Result<Vec<ConflictView>, DeviceError> {
        let document = self.created_document(case)?;
        let conflicts = document.replica.conflicts();
        let authors: Vec<Vec<_>> = conflicts
            .iter()
            .map(|conflict| conflict.values.iter().map(|value| document.author(&value.actor)).collect())
            .collect();
        let views = conflicts.into_iter().zip(authors).map(|(conflict, authors)| {
            let last = conflict.values.len().saturating_sub(1);
            let place = place_text(&conflict.place);
            let values =
                conflict.values.iter().zip(authors).enumerate().map(|(index, (value, author))| ConflictingValue {
                    value: plain(&self.books.configuration, &conflict, &value.value),
                    is_shown: index == last,
                    author: self.author_view(author),
                    time: value.time,
                });
            ConflictView { case: *case, place, values: values.collect() }
        });
        Ok(views.collect())
    }

    /// Lists the conflicts of all cases.
    ///
    /// # Errors
    /// [`DeviceError`] by cause.
    pub fn conflicts(&mut self) -> Result<Vec<ConflictView>, DeviceError> {
        let in_conflict: Vec<ChainId> =
            self.lines()?.into_iter().filter(|(_, line)| line.conflicts > 0).map(|(case, _)| case).collect();
        let mut views = Vec::new();
        for case in in_conflict {
            views.extend(self.conflicts_of(&case)?);
        }
        Ok(views)
    }
}

/// Writes a place as text.
pub(crate) fn place_text(place: &Place) -> String {
    match place {
        Place::Answer(path) => path.to_string(),
        Place::Member { answer, member } => format!("{answer}/{member}"),
        Place::Entry { field, entry } => FieldPath::entry(field, *entry).to_string(),
        Place::FormVersion { form } => format!("form:{form}"),
    }
}

fn plain(configuration: &Configuration, conflict: &Conflict, value: &Value) -> Json {
    match (&conflict.place, value) {
        (_, Value::Deleted) => Json::Null,
        (Place::Answer(path), value) => plain_at(configuration, path, value),
        // A choice is picked or not, a count is a number, an entry is there.
        (_, Value::Boolean(picked)) => Json::from(*picked),
        (_, Value::Integer(count)) => Json::from(*count),
        (Place::Entry { .. }, _) => Json::from(true),
        (_, value) => write_value(None, value),
    }
}

/// Writes an answer in plain form.
pub(crate) fn plain_at(configuration: &Configuration, path: &FieldPath, value: &Value) -> Json {
    let field = match &path.subfield {
        Some(subfield) => {
            configuration.subform_of(RecordType::Case, &path.field).and_then(|subform| subform.field(subfield))
        }
        None => configuration.field(RecordType::Case, &path.field).map(|(_, field)| field),
    };
    write_value(field, value)
}
