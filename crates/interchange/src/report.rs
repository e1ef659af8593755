//! What an import took, and what it did not.

use serde::{Deserialize, Serialize};

/// The account of an import: counts of what was taken, and every loss or doubt with its path. Its JSON is this object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// Forms taken, subforms included.
    pub forms: usize,
    /// Fields taken, those of subforms included.
    pub fields: usize,
    /// Lookups taken.
    pub lookups: usize,
    /// Roles taken.
    pub roles: usize,
    /// Agencies taken.
    pub agencies: usize,
    /// User groups taken.
    pub user_groups: usize,
    /// Report definitions taken.
    pub reports: usize,
    /// Contacts taken.
    pub contacts: usize,
    /// What was not taken, or was taken with a doubt.
    pub losses: Vec<Loss>,
}

/// Something that was not taken, or was taken with a doubt.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Loss {
    /// Where in the source, by ids: `FormSection[consent].fields_attributes[basis].option_strings_source`.
    pub path: String,
    /// Why, and what the product does instead.
    pub reason: String,
}
