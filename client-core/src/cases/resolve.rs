//! Settling a conflict.

use serde_json::Value as Json;
use vereda_base::ChainId;
use vereda_document::{ConflictValue, Place};
use vereda_records::Value;
use vereda_sync::device::DeviceStore;

use super::{
    conflicts::place_text,
    edit::{EditCaseError, EditedCase, check_edits},
    plain::{ReadEditError, read_at},
};
use crate::device::{Ambient, Device, DeviceError};

/// Why a conflict was not settled; nothing was kept.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// There is none at this place.
    #[error("there is no conflict at this place: `conflicts` lists them")]
    NoConflict,
    /// The value does not read.
    #[error(transparent)]
    Read(#[from] ReadEditError),
    /// The value breaks a rule.
    #[error(transparent)]
    Edit(#[from] EditCaseError),
    /// The value is of a kind that cannot stand there.
    #[error("a value of another kind belongs there")]
    OtherKind,
    /// Anything below.
    #[error(transparent)]
    Device(#[from] DeviceError),
}

impl<S: DeviceStore> Device<S> {
    /// Settles the conflict at a place with one of its values or another, over all values seen so far; durable when this
    /// returns.
    ///
    /// # Errors
    /// [`ResolveError`] by cause; nothing is kept then.
    pub fn resolve_conflict(
        &mut self,
        ambient: &mut Ambient<'_>,
        case: &ChainId,
        place: &str,
        value: &Json,
    ) -> Result<EditedCase, ResolveError> {
        let record = self.record(case)?;
        if !self.may_write(case) {
            return Err(EditCaseError::NotAllowed.into());
        }
        let conflicts = self.created_document(case)?.replica.conflicts();
        let found = conflicts.into_iter().find(|conflict| fits(&conflict.place, place));
        let conflict = found.ok_or(ResolveError::NoConflict)?;
        let place = conflict.place;
        let value = match &place {
            Place::Answer(path) => {
                let value = read_at(&self.books.configuration, &record, path, value)?;
                let edit = vereda_records::Edit::Set { path: path.clone(), value: value.clone() };
                let mut after = record.clone();
                vereda_records::edit::apply(&mut after, &edit).map_err(EditCaseError::from)?;
                check_edits(&self.books.configuration, &record, &after, &[edit], ambient.now.wall)?;
                value
            }
            Place::Entry { .. } => entry_value(value, &conflict.values)?,
            _ => part_value(value)?,
        };
        let written = self.settle_conflict(ambient, case, &place, value);
        if written.is_err() {
            self.roll_back();
        }
        Ok(EditedCase { case: *case, changed: written? })
    }

    fn settle_conflict(
        &mut self,
        ambient: &mut Ambient<'_>,
        case: &ChainId,
        place: &Place,
        value: Value,
    ) -> Result<bool, DeviceError> {
        let at = ambient.now.wall;
        let change = self.write(case, |replica| replica.resolve(place, value, at))?;
        self.write_line(case)?;
        self.commit()?;
        Ok(change.is_some())
    }
}

/// Says whether a text names a place; an entry's id may be shortened.
fn fits(place: &Place, text: &str) -> bool {
    let full = place_text(place);
    if full == text {
        return true;
    }
    let (Some((field, rest)), Some((asked, asked_rest))) = (full.split_once('['), text.split_once('[')) else {
        return false;
    };
    let (Some((entry, tail)), Some((beginning, asked_tail))) = (rest.split_once(']'), asked_rest.split_once(']'))
    else {
        return false;
    };
    field == asked && !beginning.is_empty() && entry.starts_with(beginning) && tail == asked_tail
}

/// Reads whether an entry shall be there: then it keeps the place that it had.
fn entry_value(json: &Json, values: &[ConflictValue]) -> Result<Value, ResolveError> {
    match json {
        Json::Null | Json::Bool(false) => Ok(Value::Deleted),
        Json::Bool(true) => {
            let there = values.iter().rev().find(|value| value.value != Value::Deleted);
            there.map(|value| value.value.clone()).ok_or(ResolveError::OtherKind)
        }
        _ => Err(ResolveError::OtherKind),
    }
}

/// Reads the value of a choice or count.
fn part_value(json: &Json) -> Result<Value, ResolveError> {
    Ok(match json {
        Json::Null => Value::Deleted,
        Json::Bool(picked) => Value::Boolean(*picked),
        Json::Number(number) => Value::Integer(number.as_i64().ok_or(ResolveError::OtherKind)?),
        Json::String(_) | Json::Array(_) | Json::Object(_) => return Err(ResolveError::OtherKind),
    })
}
