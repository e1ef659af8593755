//! Changing a case.

use jiff::{Timestamp as Moment, civil::Date, tz::TimeZone};
use serde::Serialize;
use vereda_base::{ChainId, Timestamp};
use vereda_policy::{Evaluator, Heads, Role};
use vereda_records::{
    Configuration, Edit, FieldPath, Record, Rule, Violation,
    edit::{ApplyError, apply},
    validate,
    validation::validate_change,
};
use vereda_sync::device::DeviceStore;

use crate::{
    cases::plain::{PlainEdit, ReadEditError},
    device::{Ambient, Device, DeviceError, DocumentError},
};

/// Why a case was not changed; nothing was kept.
#[derive(Debug, thiserror::Error)]
pub enum EditCaseError {
    /// The edit does not read.
    #[error(transparent)]
    Read(#[from] ReadEditError),
    /// The edit does not apply.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// An answer breaks a rule of the configuration.
    #[error("{path}: {rule}")]
    Invalid {
        /// The answer.
        path: FieldPath,
        /// The rule.
        rule: Rule,
    },
    /// The person's right to write ended, or never was.
    #[error("you may read this and not change it")]
    NotAllowed,
    /// Anything below.
    #[error(transparent)]
    Device(#[from] DeviceError),
}

/// What an edit came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct EditedCase {
    /// The case.
    pub case: ChainId,
    /// Whether anything differed from what stood.
    pub changed: bool,
}

impl<S: DeviceStore> Device<S> {
    /// Changes a case; durable when this returns.
    ///
    /// # Errors
    /// [`EditCaseError`] by cause; nothing is kept then.
    pub fn edit_case(
        &mut self,
        ambient: &mut Ambient<'_>,
        case: &ChainId,
        request: &PlainEdit,
    ) -> Result<EditedCase, EditCaseError> {
        let before = self.record(case)?;
        if !self.may_write(case) {
            return Err(EditCaseError::NotAllowed);
        }
        let edits = request.read(&self.books.configuration, &before, ambient.rng)?;
        let after = apply_edits(&before, &edits)?;
        check_edits(&self.books.configuration, &before, &after, &edits, ambient.now.wall)?;
        let after = self.with_versions(&after, &edits);
        let written = self.write_edit(ambient, case, &before, &after);
        if written.is_err() {
            self.roll_back();
        }
        Ok(EditedCase { case: *case, changed: written? })
    }

    /// Says whether this device may write in a document, as far as it knows. A role whose time has passed by its clock still
    /// counts: that clock may be wrong, and what comes too late is put before a Manager.
    pub(crate) fn may_write(&self, document: &ChainId) -> bool {
        self.view(|view, device| Evaluator::new(view, device, &Heads::newest(None)).role(document))
            >= Some(Role::Editor)
    }

    /// Reads the record of a document as it stands here.
    pub(crate) fn record(&mut self, id: &ChainId) -> Result<Record, DeviceError> {
        let hydrated = self.created_document(id)?.replica.hydrate();
        Ok(hydrated.map_err(|error| DocumentError::Hydrate { document: *id, error })?)
    }

    /// Notes the versions of the forms whose fields are edited.
    pub(crate) fn with_versions(&self, record: &Record, edits: &[Edit]) -> Record {
        let mut record = record.clone();
        for field in edits.iter().map(field_of) {
            if let Some((form, _)) = self.books.configuration.field(record.record_type, field) {
                record.form_versions.insert(form.id.clone(), form.version);
            }
        }
        record
    }

    fn write_edit(
        &mut self,
        ambient: &mut Ambient<'_>,
        case: &ChainId,
        before: &Record,
        after: &Record,
    ) -> Result<bool, DeviceError> {
        if self.write_record(ambient, case, before, after)?.is_none() {
            return Ok(false);
        }
        self.write_line(case)?;
        self.commit()?;
        Ok(true)
    }
}

/// Applies edits to a copy of a record.
pub(crate) fn apply_edits(before: &Record, edits: &[Edit]) -> Result<Record, ApplyError> {
    let mut after = before.clone();
    edits.iter().try_for_each(|edit| apply(&mut after, edit))?;
    Ok(after)
}

/// Checks what was edited against the configuration. What was missing or wrong before does not stand in the way of
/// saving something else.
pub(crate) fn check_edits(
    configuration: &Configuration,
    before: &Record,
    after: &Record,
    edits: &[Edit],
    now: Timestamp,
) -> Result<(), EditCaseError> {
    let today = day_of(now);
    let edited = |violation: &Violation| edits.iter().any(|edit| field_of(edit) == violation.path.field);
    let known = validate(configuration, before, today);
    let broken = validate(configuration, after, today)
        .into_iter()
        .find(|violation| violation.rule != Rule::Required && edited(violation) && !known.contains(violation));
    match broken.or_else(|| validate_change(configuration, before, after).into_iter().next()) {
        Some(Violation { path, rule, .. }) => Err(EditCaseError::Invalid { path, rule }),
        None => Ok(()),
    }
}

fn field_of(edit: &Edit) -> &str {
    match edit {
        Edit::Set { path, .. } | Edit::Append { path, .. } => &path.field,
        Edit::AddEntry { field, .. } | Edit::MoveEntry { field, .. } | Edit::RemoveEntry { field, .. } => field,
    }
}

/// The day that a moment is in, in universal time.
fn day_of(now: Timestamp) -> Date {
    TimeZone::UTC.to_datetime(Moment::from_millisecond(now.0).unwrap_or_default()).date()
}
