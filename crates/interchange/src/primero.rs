//! Primero's configuration export (`PrimeroConfiguration`, version 2): read whole or not at all.
//!
//! Every key of the source is either taken, or known to say nothing (absent, null, empty, or the default of a switch
//! that the product does not have), or listed as a loss. A source of another shape changes nothing: it is an error with
//! its path.

mod agency;
mod choice;
mod expression;
mod field;
mod form;
mod place;
mod reader;
mod unique;

use std::collections::BTreeSet;

use serde_json::Value as Json;
use vereda_records::{Configuration, Translated, configuration::MAX_CONFIGURATION_BYTES};

use self::{reader::Object, unique::Unique};
use crate::report::{Loss, Report};

/// What an import gives: the configuration, and the account of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// The configuration, as far as the source has one.
    pub configuration: Configuration,
    /// What was taken and what was not.
    pub report: Report,
}

/// Why bytes are not an export.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// More bytes than are read.
    #[error("an export of {found} bytes, where at most {max} are read")]
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
    /// An object has a key twice, so that one of two values would be dropped.
    #[error("a key twice in one object, at line {line}, column {column}")]
    KeyTwice {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
    /// JSON of another shape.
    #[error("{path}: {expected} belongs here")]
    Shape {
        /// Where.
        path: String,
        /// What belongs there.
        expected: &'static str,
    },
}

/// Reads an export. Also reads a file whose collections (`PrimeroModule`, `Location`, …) stand at the top.
///
/// # Errors
/// See [`ImportError`].
pub fn import(bytes: &[u8]) -> Result<Import, ImportError> {
    if bytes.len() > MAX_CONFIGURATION_BYTES {
        return Err(ImportError::TooLong { found: bytes.len(), max: MAX_CONFIGURATION_BYTES });
    }
    let Unique(json) = serde_json::from_slice(bytes).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        match error.classify() {
            serde_json::error::Category::Data => ImportError::KeyTwice { line, column },
            _ => ImportError::Syntax { line, column },
        }
    })?;
    let mut importer = Importer::default();
    let configuration = importer.configuration(&json)?;
    for problem in configuration.check() {
        importer.lose(problem.path, problem.reason);
    }
    importer.report.losses.sort();
    importer.report.losses.dedup();
    Ok(Import { configuration, report: importer.report })
}

/// Collections of an export.
const COLLECTIONS: [&str; 9] = [
    "FormSection",
    "Lookup",
    "Agency",
    "Role",
    "UserGroup",
    "Report",
    "ContactInformation",
    "PrimeroModule",
    "Location",
];

#[derive(Debug, Default)]
struct Importer {
    report: Report,
    /// Languages of forms and lookups.
    languages: BTreeSet<String>,
}

impl Importer {
    fn lose(&mut self, path: impl Into<String>, reason: impl Into<String>) {
        self.report.losses.push(Loss { path: path.into(), reason: reason.into() });
    }

    fn configuration(&mut self, json: &Json) -> Result<Configuration, ImportError> {
        let mut root = Object::new(json, String::new())?;
        let name = root.text("name")?;
        for (key, reason) in [
            ("description", "a configuration has no description here; not taken"),
            ("version", "versions count from 1 here; not taken"),
            ("primero_version", "the version of the source's software; not taken"),
        ] {
            if root.text(key)?.is_some() {
                self.lose(key, reason);
            }
        }
        let mut configuration = Configuration::new(Translated::default(), vec![]);
        match root.object("data")? {
            Some(mut data) => {
                data.begin_path("");
                self.collections(&mut data, &mut configuration)?;
                data.begin_path("data");
                data.finish(&mut self.report.losses);
            }
            None if COLLECTIONS.iter().any(|key| root.has(key)) => self.collections(&mut root, &mut configuration)?,
            None => return Err(ImportError::Shape { path: "data".into(), expected: "an object" }),
        }
        root.finish(&mut self.report.losses);

        let base = if self.languages.contains("en") { Some("en".to_owned()) } else { None };
        let base = base.or_else(|| self.languages.first().cloned()).unwrap_or_else(|| "en".into());
        configuration.name = Translated::new(&base, name.unwrap_or_else(|| "Primero".into()));
        self.languages.remove(&base);
        configuration.languages = std::iter::once(base).chain(std::mem::take(&mut self.languages)).collect();
        Ok(configuration)
    }

    fn collections(&mut self, data: &mut Object<'_>, configuration: &mut Configuration) -> Result<(), ImportError> {
        for lookup in data.objects("Lookup", "unique_id")? {
            let lookup = self.lookup(lookup)?;
            configuration.lookups.push(lookup);
        }
        for form in data.objects("FormSection", "unique_id")? {
            self.form_section(form, configuration)?;
        }
        self.form_groups(configuration);
        for module in data.objects("PrimeroModule", "unique_id")? {
            let module = self.module(module)?;
            configuration.modules.push(module);
        }
        for location in data.objects("Location", "location_code")? {
            let location = self.location(location)?;
            configuration.locations.extend(location);
        }
        for agency in data.objects("Agency", "unique_id")? {
            let agency = self.agency(agency)?;
            configuration.agencies.push(agency);
        }
        for role in data.objects("Role", "unique_id")? {
            let role = self.role(role)?;
            configuration.roles.push(role);
        }
        for group in data.objects("UserGroup", "unique_id")? {
            let group = self.user_group(group)?;
            configuration.user_groups.push(group);
        }
        for report in data.objects("Report", "unique_id")? {
            let report = self.report_definition(report)?;
            configuration.reports.push(report);
        }
        for contact in data.objects("ContactInformation", "name")? {
            let contact = self.contact(contact)?;
            configuration.contacts.push(contact);
        }
        let count = &mut self.report;
        count.lookups = configuration.lookups.len();
        count.roles = configuration.roles.len();
        count.agencies = configuration.agencies.len();
        count.user_groups = configuration.user_groups.len();
        count.reports = configuration.reports.len();
        count.contacts = configuration.contacts.len();
        self.missing_modules(configuration);
        Ok(())
    }

    /// Forms and roles name modules that an export leaves out.
    fn missing_modules(&mut self, configuration: &Configuration) {
        let forms = configuration.forms.iter().chain(&configuration.subforms).flat_map(|form| &form.modules);
        let named = forms.chain(configuration.roles.iter().flat_map(|role| &role.modules));
        let known = |id: &String| configuration.modules.iter().any(|module| module.id == *id);
        let missing: BTreeSet<&String> = named.filter(|id| !known(id)).collect();
        for id in missing {
            self.lose(format!("PrimeroModule[{id}]"), "named by forms or roles, but not in the export");
        }
    }

    fn hear(&mut self, text: &Translated) {
        self.languages.extend(text.0.keys().cloned());
    }
}
