//! Showing a case.

use serde::Serialize;
use serde_json::Value as Json;
use vereda_base::{ChainId, Timestamp};
use vereda_records::{Record, json::write};
use vereda_sync::device::DeviceStore;

use super::ConflictView;
use crate::{
    device::{Device, DeviceError},
    sections::is_reserved,
    sync::Explanation,
};

/// Why a case is not shown.
pub type ShowCaseError = DeviceError;

/// A case as it stands here.
#[derive(Debug, Clone, Serialize)]
pub struct CaseView {
    /// The case.
    pub case: ChainId,
    /// The teams that hold it.
    pub teams: Vec<ChainId>,
    /// Answers, in plain form.
    pub fields: Json,
    /// The version of each form it was last filled with.
    pub form_versions: Json,
    /// Places at which people set different values without having seen one another's.
    pub conflicts: Vec<ConflictView>,
    /// When the newest change was made, by its author's clock.
    pub changed: Timestamp,
    /// How far it is synced.
    pub sync: Explanation,
    /// The record itself.
    #[serde(skip)]
    pub record: Record,
}

impl<S: DeviceStore> Device<S> {
    /// Shows a case as it stands here.
    ///
    /// # Errors
    /// [`ShowCaseError`] by cause.
    pub fn show_case(&mut self, case: &ChainId) -> Result<CaseView, ShowCaseError> {
        let record = self.record(case)?;
        let conflicts = self.conflicts_of(case)?;
        let changed = self.document(case)?.changed();
        let mut plain = write(&self.books.configuration, &record);
        if let Some(fields) = plain.get_mut("fields").and_then(Json::as_object_mut) {
            fields.retain(|field, _| !is_reserved(field));
        }
        let mut take = |key: &str| plain.get_mut(key).map(Json::take).unwrap_or_default();
        let members = self.chain(case).map(|state| {
            let standing = state.members().iter().filter(|member| member.until_seq.is_none());
            standing.map(|member| member.subject).collect()
        });
        Ok(CaseView {
            case: *case,
            teams: members.unwrap_or_default(),
            fields: take("fields"),
            form_versions: take("form_versions"),
            conflicts,
            changed,
            sync: self.explain(case)?,
            record,
        })
    }
}
