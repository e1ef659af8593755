//! An agency's configuration: everything that makes the product this agency's, as one value.

mod check;

pub use check::Problem;
use serde::{Deserialize, Serialize};

use crate::{
    agency::{Agency, Contact, Location, Lookup, Module, Report, Role, UserGroup},
    field::Field,
    form::{Form, FormGroup},
    path::FieldPath,
    record::RecordType,
    text::Translated,
};

/// Version of the JSON form of [`Configuration`] that this code writes, and the newest it reads.
pub const FORMAT: u32 = 1;

/// Largest configuration read, in bytes.
pub const MAX_CONFIGURATION_BYTES: usize = 32 << 20;

/// An agency's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Configuration {
    /// Version of this JSON form; see [`FORMAT`].
    pub format: u32,
    /// Version of the content: grows with every change.
    pub version: u64,
    /// Name.
    pub name: Translated,
    /// Language tags; the first is the one that every text has.
    pub languages: Vec<String>,
    /// Fields of work.
    #[serde(default)]
    pub modules: Vec<Module>,
    /// Groups of forms, for the menu.
    #[serde(default)]
    pub form_groups: Vec<FormGroup>,
    /// Forms, in order.
    pub forms: Vec<Form>,
    /// Subforms: their entries are answers of subform fields.
    #[serde(default)]
    pub subforms: Vec<Form>,
    /// Lists of options.
    #[serde(default)]
    pub lookups: Vec<Lookup>,
    /// Places.
    #[serde(default)]
    pub locations: Vec<Location>,
    /// Level of locations that reports count by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reporting_location_level: Option<u8>,
    /// Roles.
    #[serde(default)]
    pub roles: Vec<Role>,
    /// Organisations.
    #[serde(default)]
    pub agencies: Vec<Agency>,
    /// Groups of users.
    #[serde(default)]
    pub user_groups: Vec<UserGroup>,
    /// Reports.
    #[serde(default)]
    pub reports: Vec<Report>,
    /// Whom to ask for help.
    #[serde(default)]
    pub contacts: Vec<Contact>,
    /// Fields that lists show of records.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lists: Vec<ListColumns>,
}

/// Fields that a list shows of records of one type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListColumns {
    /// The records listed.
    pub record_type: RecordType,
    /// Fields, joined by spaces, that name a record.
    pub title: Vec<String>,
    /// Fields beside the title.
    pub fields: Vec<String>,
}

/// Why bytes are not a configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadConfigurationError {
    /// Longer than [`MAX_CONFIGURATION_BYTES`].
    #[error("a configuration of {found} bytes, where at most {max} are read")]
    TooLong {
        /// Length found, in bytes.
        found: usize,
        /// The bound, in bytes.
        max: usize,
    },
    /// Not JSON.
    #[error("not JSON, at line {line}, column {column}")]
    Syntax {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
    /// JSON of another shape.
    #[error("not a configuration of format {FORMAT}: unexpected content at line {line}, column {column}")]
    Shape {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
    /// Written by a newer version of this code.
    #[error("a configuration of format {found}, where {FORMAT} is the newest known")]
    Newer {
        /// The format found.
        found: u32,
    },
}

impl Configuration {
    /// Makes a configuration without content.
    pub fn new(name: Translated, languages: Vec<String>) -> Self {
        Self {
            format: FORMAT,
            version: 1,
            name,
            languages,
            modules: vec![],
            form_groups: vec![],
            forms: vec![],
            subforms: vec![],
            lookups: vec![],
            locations: vec![],
            reporting_location_level: None,
            roles: vec![],
            agencies: vec![],
            user_groups: vec![],
            reports: vec![],
            contacts: vec![],
            lists: vec![],
        }
    }

    /// Reads the JSON form.
    ///
    /// # Errors
    /// See [`ReadConfigurationError`].
    pub fn from_json(bytes: &[u8]) -> Result<Self, ReadConfigurationError> {
        if bytes.len() > MAX_CONFIGURATION_BYTES {
            return Err(ReadConfigurationError::TooLong { found: bytes.len(), max: MAX_CONFIGURATION_BYTES });
        }
        /// Reads the format alone, so that a newer one is named as such and not as a wrong shape.
        #[derive(Deserialize)]
        struct Head {
            format: u32,
        }
        if let Ok(Head { format }) = serde_json::from_slice(bytes)
            && format > FORMAT
        {
            return Err(ReadConfigurationError::Newer { found: format });
        }
        serde_json::from_slice(bytes).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            match error.classify() {
                serde_json::error::Category::Data => ReadConfigurationError::Shape { line, column },
                _ => ReadConfigurationError::Syntax { line, column },
            }
        })
    }

    /// Writes the JSON form, compact, equal bytes for equal configurations.
    pub fn to_json(&self) -> Vec<u8> {
        // Maps have text keys and no value is a float, so that writing into memory cannot fail.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Returns a form by id.
    pub fn form(&self, id: &str) -> Option<&Form> {
        self.forms.iter().find(|form| form.id == id)
    }

    /// Returns a subform by id.
    pub fn subform(&self, id: &str) -> Option<&Form> {
        self.subforms.iter().find(|form| form.id == id)
    }

    /// Returns the forms of a record type, in menu order.
    pub fn forms_of(&self, record_type: RecordType) -> Vec<&Form> {
        let mut forms: Vec<&Form> = self.forms.iter().filter(|form| form.record_type == record_type).collect();
        let group_order = |form: &Form| {
            let group = self.form_groups.iter().find(|group| Some(&group.id) == form.group.as_ref());
            group.map_or(form.group_order, |group| group.order)
        };
        forms.sort_by_key(|form| (group_order(form), form.order));
        forms
    }

    /// Returns the definition of a record's field with the form it stands in; the first where several forms share it.
    pub fn field(&self, record_type: RecordType, name: &str) -> Option<(&Form, &Field)> {
        let mut forms = self.forms.iter().filter(|form| form.record_type == record_type);
        forms.find_map(|form| Some((form, form.field(name)?)))
    }

    /// Returns the subform whose entries answer a field of a record.
    pub fn subform_of(&self, record_type: RecordType, field: &str) -> Option<&Form> {
        let (_, field) = self.field(record_type, field)?;
        self.subform(&field.subform.as_ref()?.id)
    }

    /// Returns the definition of the field at a path: of the record, or of the subform whose entry the path names.
    pub fn field_at(&self, record_type: RecordType, path: &FieldPath) -> Option<&Field> {
        match &path.subfield {
            None => self.field(record_type, &path.field).map(|(_, field)| field),
            Some(subfield) => self.subform_of(record_type, &path.field)?.field(subfield),
        }
    }

    /// Returns a lookup by id.
    pub fn lookup(&self, id: &str) -> Option<&Lookup> {
        self.lookups.iter().find(|lookup| lookup.id == id)
    }

    /// Returns a role by id.
    pub fn role(&self, id: &str) -> Option<&Role> {
        self.roles.iter().find(|role| role.id == id)
    }

    /// Returns an agency by id.
    pub fn agency(&self, id: &str) -> Option<&Agency> {
        self.agencies.iter().find(|agency| agency.id == id)
    }
}
