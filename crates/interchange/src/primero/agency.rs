//! Primero's agencies, roles, user groups, reports and contacts.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;
use vereda_records::agency::{Agency, Contact, FormAccess, Report, ReportFilter, Role, Scope, UserGroup};

use super::{
    ImportError, Importer,
    place::plain,
    reader::{Object, literal},
};

impl Importer {
    pub(super) fn agency(&mut self, mut source: Object<'_>) -> Result<Agency, ImportError> {
        let id = source.required_text("unique_id")?;
        let details = ["telephone", "contact_name", "contact_email", "contact_phone", "notes"];
        let agency = Agency {
            code: source.text("agency_code")?.unwrap_or_else(|| id.clone()),
            id,
            name: source.translated("name_i18n")?,
            description: source.translated("description_i18n")?,
            details: texts(&mut source, &details)?,
            services: source.texts("services")?,
            order: source.integer("order")?.unwrap_or(0),
            not_offered: source.flag("exclude_agency_from_lookups", false)?,
            disabled: source.flag("disabled", false)?,
        };
        let losses = &mut self.report.losses;
        for key in ["logo_enabled", "pdf_logo_option"] {
            source.unknown_switch(key, false, "logos are files, which the export leaves out", losses);
        }
        for key in ["terms_of_use_enabled", "terms_of_use_signed"] {
            source.unknown_switch(key, false, "terms of use are files, which the export leaves out", losses);
        }
        source.finish(losses);
        Ok(agency)
    }

    pub(super) fn role(&mut self, mut source: Object<'_>) -> Result<Role, ImportError> {
        let scope = match source.text("group_permission")?.as_deref() {
            None | Some("self") => Scope::Own,
            Some("group") => Scope::Group,
            Some("agency") => Scope::Agency,
            Some("all") => Scope::All,
            Some(other) => {
                self.lose(source.at("group_permission"), "no scope of this version; reaches one's own records");
                Scope::Other(other.to_owned())
            }
        };
        let level = source.integer("reporting_location_level")?;
        let mut role = Role {
            id: source.required_text("unique_id")?,
            name: plain(source.text("name")?),
            description: plain(source.text("description")?),
            scope,
            permissions: BTreeMap::new(),
            objects: BTreeMap::new(),
            forms: BTreeMap::new(),
            modules: source.texts("module_unique_ids")?,
            manager: source.flag("is_manager", false)?,
            referral: source.flag("referral", false)?,
            referral_authorization: source.flag("referral_authorization", false)?,
            transfer: source.flag("transfer", false)?,
            reporting_location_level: level.and_then(|level| u8::try_from(level).ok()),
            category: source.text("user_category")?,
            disabled: source.flag("disabled", false)?,
        };
        if level.is_some() && role.reporting_location_level.is_none() {
            self.lose(source.at("reporting_location_level"), "levels go from 0 to 5; not taken");
        }
        if let Some(mut permissions) = source.object("permissions")? {
            if let Some(mut objects) = permissions.object("objects")? {
                role.objects = lists(&mut objects)?;
            }
            role.permissions = lists(&mut permissions)?;
        }
        if let Some(mut forms) = source.object("form_section_read_write")? {
            for form in forms.keys() {
                let access = match forms.text(form)?.as_deref() {
                    Some("rw") => FormAccess::Write,
                    Some("r") => FormAccess::Read,
                    _ => {
                        self.lose(forms.at(form), "neither r nor rw; the role does not see the form");
                        continue;
                    }
                };
                role.forms.insert(form.to_owned(), access);
            }
        }
        source.finish(&mut self.report.losses);
        Ok(role)
    }

    pub(super) fn user_group(&mut self, mut source: Object<'_>) -> Result<UserGroup, ImportError> {
        let group = UserGroup {
            id: source.required_text("unique_id")?,
            name: plain(source.text("name")?),
            description: plain(source.text("description")?),
            agencies: source.texts("agency_unique_ids")?,
            core: source.flag("core_resource", false)?,
            disabled: source.flag("disabled", false)?,
        };
        source.finish(&mut self.report.losses);
        Ok(group)
    }

    pub(super) fn report_definition(&mut self, mut source: Object<'_>) -> Result<Report, ImportError> {
        let mut report = Report {
            id: source.required_text("unique_id")?,
            name: source.translated("name_i18n")?,
            description: source.translated("description_i18n")?,
            counts: source.required_text("record_type")?,
            module: source.text("module_id")?,
            rows: source.texts("aggregate_by")?,
            columns: source.texts("disaggregate_by")?,
            filters: vec![],
            dates_by: source.text("group_dates_by")?,
            group_ages: source.flag("group_ages", false)?,
            graph: source.flag("is_graph", false)?,
            skip_empty_rows: source.flag("exclude_empty_rows", false)?,
            counts_from: source.text("aggregate_counts_from")?,
            editable: source.flag("editable", true)?,
            disabled: source.flag("disabled", false)?,
        };
        for mut filter in source.objects("filters", "attribute")? {
            let field = filter.required_text("attribute")?;
            let constraint = filter.text("constraint")?;
            let values = match filter.value("value") {
                None => Some(vec![]),
                Some(Json::String(text)) if text.is_empty() => Some(vec![]),
                Some(Json::Array(list)) => list.iter().map(literal).collect(),
                Some(json) => literal(json).map(|one| vec![one]),
            };
            let Some(values) = values else {
                return Err(ImportError::Shape { path: filter.at("value"), expected: "a value or a list of values" });
            };
            filter.finish(&mut self.report.losses);
            report.filters.push(ReportFilter { field, constraint, values });
        }
        source.finish(&mut self.report.losses);
        Ok(report)
    }

    pub(super) fn contact(&mut self, mut source: Object<'_>) -> Result<Contact, ImportError> {
        let details = ["organization", "phone", "email", "location", "other_information", "support_forum", "position"];
        let contact =
            Contact { name: source.text("name")?.unwrap_or_default(), details: texts(&mut source, &details)? };
        source.finish(&mut self.report.losses);
        Ok(contact)
    }
}

fn texts(source: &mut Object<'_>, keys: &[&str]) -> Result<BTreeMap<String, String>, ImportError> {
    let mut found = BTreeMap::new();
    for key in keys {
        if let Some(text) = source.text(key)? {
            found.insert((*key).to_owned(), text);
        }
    }
    Ok(found)
}

/// Takes every key that is left as a list of texts.
fn lists(source: &mut Object<'_>) -> Result<BTreeMap<String, BTreeSet<String>>, ImportError> {
    let mut found = BTreeMap::new();
    for key in source.keys().filter(|key| *key != "objects") {
        found.insert(key.to_owned(), source.texts(key)?.into_iter().collect());
    }
    Ok(found)
}
