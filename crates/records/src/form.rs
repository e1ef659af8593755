//! Definitions of forms and subforms.

use serde::{Deserialize, Serialize};

use crate::{
    condition::Condition,
    field::{Field, is_default, is_yes, yes},
    record::RecordType,
    text::Translated,
};

/// A form of a record, or a subform whose entries are answers of a field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Form {
    /// Identity.
    pub id: String,
    /// Version: grows with every change of the definition.
    #[serde(default = "first", skip_serializing_if = "is_first")]
    pub version: u64,
    /// The records it belongs to.
    pub record_type: RecordType,
    /// Modules it belongs to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub modules: Vec<String>,
    /// Name.
    pub name: Translated,
    /// Description.
    #[serde(default, skip_serializing_if = "Translated::is_empty")]
    pub description: Translated,
    /// Help above the form.
    #[serde(default, skip_serializing_if = "Translated::is_empty")]
    pub help: Translated,
    /// The help is also shown when viewing.
    #[serde(default, skip_serializing_if = "is_default")]
    pub help_on_view: bool,
    /// Id of the group it stands in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Order within the group.
    #[serde(default, skip_serializing_if = "is_default")]
    pub order: i64,
    /// Order of the group, where the form says it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub group_order: i64,
    /// Shown at all.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub visible: bool,
    /// Shown on small screens.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub mobile_visible: bool,
    /// The definition may be changed by administrators.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub editable: bool,
    /// Part of the product; cannot be taken away.
    #[serde(default, skip_serializing_if = "is_default")]
    pub core: bool,
    /// Opens first.
    #[serde(default, skip_serializing_if = "is_default")]
    pub first: bool,
    /// A summary of the record.
    #[serde(default, skip_serializing_if = "is_default")]
    pub summary: bool,
    /// What the message above the form leads to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header_link: Option<String>,
    /// Displayed only when this holds over the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_if: Option<Condition>,
    /// Rules of its entries, where it is a subform.
    #[serde(default, skip_serializing_if = "is_default")]
    pub entries: EntryRules,
    /// Fields, in order.
    pub fields: Vec<Field>,
}

/// Rules of a subform's entries.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EntryRules {
    /// Entries are added, never changed or taken away.
    #[serde(skip_serializing_if = "is_default")]
    pub append_only: bool,
    /// Entries are changed, never taken away.
    #[serde(skip_serializing_if = "is_default")]
    pub keep: bool,
    /// Empty entries in a new record.
    #[serde(skip_serializing_if = "is_default")]
    pub initial: u32,
    /// Fields that stand for the entry in a list.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub title_fields: Vec<String>,
    /// What the header of an entry leads to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub header_links: Vec<String>,
    /// No placeholder where there are no entries.
    #[serde(skip_serializing_if = "is_default")]
    pub hide_placeholder: bool,
    /// Order among the subforms of a form.
    #[serde(skip_serializing_if = "is_default")]
    pub order: i64,
    /// Id of the subform whose entries are shared with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared_with: Option<String>,
    /// Group of forms that share the entries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared_group: Option<String>,
}

/// A group of forms in the menu.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FormGroup {
    /// Identity.
    pub id: String,
    /// Name.
    pub name: Translated,
    /// Order in the menu.
    #[serde(default, skip_serializing_if = "is_default")]
    pub order: i64,
}

impl Form {
    /// Makes a form without fields, with the usual attributes.
    pub fn new(id: impl Into<String>, record_type: RecordType, name: Translated) -> Self {
        Self {
            id: id.into(),
            version: 1,
            record_type,
            modules: vec![],
            name,
            description: Translated::default(),
            help: Translated::default(),
            help_on_view: false,
            group: None,
            order: 0,
            group_order: 0,
            visible: true,
            mobile_visible: true,
            editable: true,
            core: false,
            first: false,
            summary: false,
            header_link: None,
            display_if: None,
            entries: EntryRules::default(),
            fields: vec![],
        }
    }

    /// Returns the field of a name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

const fn first() -> u64 {
    1
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
const fn is_first(version: &u64) -> bool {
    *version == 1
}
