//! Showing the agency's configuration.

use serde::Serialize;
use vereda_sync::device::DeviceStore;

use super::AppliedConfiguration;
use crate::device::Device;

/// The configuration in force, in short.
#[derive(Debug, Clone, Serialize)]
pub struct ConfigurationView {
    /// Its name, in its first language.
    pub name: String,
    /// Its languages.
    pub languages: Vec<String>,
    /// What it holds.
    #[serde(flatten)]
    pub content: AppliedConfiguration,
    /// Forms and subforms, in order.
    pub list: Vec<FormView>,
}

/// A form, in short.
#[derive(Debug, Clone, Serialize)]
pub struct FormView {
    /// Its id.
    pub id: String,
    /// Its name, in the configuration's first language.
    pub name: String,
    /// The records it belongs to.
    pub record_type: &'static str,
    /// Its entries are answers of a subform field.
    pub is_subform: bool,
    /// Its version.
    pub version: u64,
    /// Its fields: name, type and label.
    pub fields: Vec<FieldView>,
}

/// A field, in short.
#[derive(Debug, Clone, Serialize)]
pub struct FieldView {
    /// Its name, as paths use it.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub field_type: vereda_records::FieldType,
    /// Its label, in the configuration's first language.
    pub label: String,
}

impl<S: DeviceStore> Device<S> {
    /// Shows the configuration in force; `None` where there is none yet.
    pub fn show_configuration(&self) -> Option<ConfigurationView> {
        let configuration = &self.books.configuration;
        if configuration.forms.is_empty() && configuration.name.is_empty() {
            return None;
        }
        let languages = || configuration.languages.iter().map(String::as_str);
        let forms = configuration.forms.iter().map(|form| (form, false));
        let forms = forms.chain(configuration.subforms.iter().map(|form| (form, true)));
        let list = forms.map(|(form, is_subform)| FormView {
            id: form.id.clone(),
            name: form.name.in_language(languages()).to_owned(),
            record_type: form.record_type.as_str(),
            is_subform,
            version: form.version,
            fields: form
                .fields
                .iter()
                .map(|field| FieldView {
                    name: field.name.clone(),
                    field_type: field.field_type,
                    label: field.label.in_language(languages()).to_owned(),
                })
                .collect(),
        });
        Some(ConfigurationView {
            name: configuration.name.in_language(languages()).to_owned(),
            languages: configuration.languages.clone(),
            content: AppliedConfiguration::of(configuration),
            list: list.collect(),
        })
    }
}
