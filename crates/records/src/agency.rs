//! Definitions of lookups, locations, roles, agencies, user groups, reports, contacts and modules.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{
    condition::Literal,
    field::{Choice, is_default},
    record::RecordType,
    text::Translated,
};

/// A list of options that fields share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lookup {
    /// Identity.
    pub id: String,
    /// Name.
    pub name: Translated,
    /// The product depends on its codes.
    #[serde(default, skip_serializing_if = "is_default")]
    pub locked: bool,
    /// Options, in order.
    pub choices: Vec<Choice>,
}

/// A place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Location {
    /// Identity, such as a P-code.
    pub code: String,
    /// Code of the place it lies in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// Administrative level, 0 (country) to 5.
    pub level: u8,
    /// Word for the level, such as `district`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Name.
    pub name: Translated,
    /// No longer offered; answers that have it stay valid.
    #[serde(default, skip_serializing_if = "is_default")]
    pub disabled: bool,
}

/// Whose records a role reaches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// One's own.
    #[serde(rename = "self")]
    Own,
    /// Those of one's groups.
    Group,
    /// Those of one's agency.
    Agency,
    /// All.
    All,
    /// A scope that this version does not know; reaches one's own.
    Other(String),
}

/// What a role may do with a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FormAccess {
    /// See it.
    Read,
    /// See and fill it.
    Write,
}

/// A role of users.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Role {
    /// Identity.
    pub id: String,
    /// Name.
    pub name: Translated,
    /// Description.
    #[serde(default, skip_serializing_if = "Translated::is_empty")]
    pub description: Translated,
    /// Whose records it reaches.
    pub scope: Scope,
    /// Actions by resource.
    #[serde(default)]
    pub permissions: BTreeMap<String, BTreeSet<String>>,
    /// Objects that the permissions are limited to, by resource: roles it may give, agencies it may manage.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub objects: BTreeMap<String, BTreeSet<String>>,
    /// Access by form id. A form not named is not seen.
    #[serde(default)]
    pub forms: BTreeMap<String, FormAccess>,
    /// Modules.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub modules: Vec<String>,
    /// Manages others.
    #[serde(default, skip_serializing_if = "is_default")]
    pub manager: bool,
    /// Given with referrals.
    #[serde(default, skip_serializing_if = "is_default")]
    pub referral: bool,
    /// Referrals to it need a consent of their own.
    #[serde(default, skip_serializing_if = "is_default")]
    pub referral_authorization: bool,
    /// Given with transfers.
    #[serde(default, skip_serializing_if = "is_default")]
    pub transfer: bool,
    /// Level of locations in its reports, where it differs from the configuration's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reporting_location_level: Option<u8>,
    /// Category of users.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// No longer given.
    #[serde(default, skip_serializing_if = "is_default")]
    pub disabled: bool,
}

/// An organisation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agency {
    /// Identity.
    pub id: String,
    /// Short code.
    pub code: String,
    /// Name.
    pub name: Translated,
    /// Description.
    #[serde(default, skip_serializing_if = "Translated::is_empty")]
    pub description: Translated,
    /// Telephone, name, e-mail and telephone of a contact, notes; by what they are.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<String, String>,
    /// Codes of services it offers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<String>,
    /// Order in lists.
    #[serde(default, skip_serializing_if = "is_default")]
    pub order: i64,
    /// Not offered in fields.
    #[serde(default, skip_serializing_if = "is_default")]
    pub not_offered: bool,
    /// No longer works here.
    #[serde(default, skip_serializing_if = "is_default")]
    pub disabled: bool,
}

/// A group of users, which teams are made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserGroup {
    /// Identity.
    pub id: String,
    /// Name.
    pub name: Translated,
    /// Description.
    #[serde(default, skip_serializing_if = "Translated::is_empty")]
    pub description: Translated,
    /// Ids of its agencies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub agencies: Vec<String>,
    /// Part of the product; cannot be taken away.
    #[serde(default, skip_serializing_if = "is_default")]
    pub core: bool,
    /// No longer used.
    #[serde(default, skip_serializing_if = "is_default")]
    pub disabled: bool,
}

/// The definition of a report: what is counted, by which groups, with which filter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// Identity.
    pub id: String,
    /// Name.
    pub name: Translated,
    /// Description.
    #[serde(default, skip_serializing_if = "Translated::is_empty")]
    pub description: Translated,
    /// What is counted: a record type, or entries of a subform such as `reportable_follow_up`.
    pub counts: String,
    /// Module.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// Fields of the rows.
    #[serde(default)]
    pub rows: Vec<String>,
    /// Fields of the columns.
    #[serde(default)]
    pub columns: Vec<String>,
    /// Filters; all hold.
    #[serde(default)]
    pub filters: Vec<ReportFilter>,
    /// Unit that dates are grouped by: `date`, `week`, `month`, `year`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dates_by: Option<String>,
    /// Ages are grouped by ranges.
    #[serde(default, skip_serializing_if = "is_default")]
    pub group_ages: bool,
    /// Shown as a graph.
    #[serde(default, skip_serializing_if = "is_default")]
    pub graph: bool,
    /// Rows without counts are left out.
    #[serde(default, skip_serializing_if = "is_default")]
    pub skip_empty_rows: bool,
    /// Where counts come from, when not from records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts_from: Option<String>,
    /// The definition may be changed by administrators.
    #[serde(default, skip_serializing_if = "is_default")]
    pub editable: bool,
    /// Not shown.
    #[serde(default, skip_serializing_if = "is_default")]
    pub disabled: bool,
}

/// A filter of a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportFilter {
    /// Field.
    pub field: String,
    /// How it compares, such as `not_null` or `>`; without it, the answer is one of the values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub constraint: Option<String>,
    /// Values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<Literal>,
}

/// Whom to ask for help.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Contact {
    /// Name.
    pub name: String,
    /// Organisation, telephone, e-mail, location, position, forum, other; by what they are.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<String, String>,
}

/// A field of work, such as child protection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Module {
    /// Identity.
    pub id: String,
    /// Name.
    pub name: Translated,
    /// Description.
    #[serde(default, skip_serializing_if = "Translated::is_empty")]
    pub description: Translated,
    /// Records it has.
    #[serde(default)]
    pub record_types: Vec<RecordType>,
    /// Ids of its forms, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forms: Vec<String>,
    /// Switches, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, bool>,
    /// How an incident is made from a case.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub field_map: Vec<FieldMapping>,
}

/// One answer copied when a record is made from another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldMapping {
    /// Path of the answer copied: a field, or a subform field and the field in it.
    pub source: Vec<String>,
    /// Field it is copied to.
    pub target: String,
}
