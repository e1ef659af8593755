//! Inconsistencies of a configuration, each with its path.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use super::Configuration;
use crate::{
    condition::Condition,
    field::{Choice, Field, FieldType, Link, OptionSource},
    form::Form,
    limits::{MAX_EXPRESSION_DEPTH, is_code, is_name},
    text::{Translated, is_language},
};

/// An inconsistency: where, and what. Names of the definition only; a configuration holds no case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where, such as `forms[closure]/fields[reason]/options`.
    pub path: String,
    /// What.
    pub reason: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.reason)
    }
}

impl Configuration {
    /// Returns every inconsistency; none means that every reference leads somewhere and every definition makes sense.
    pub fn check(&self) -> Vec<Problem> {
        let mut checker = Checker { configuration: self, problems: vec![] };
        checker.head();
        checker.ids();
        checker.shared_names();
        for form in &self.forms {
            checker.form(form, &format!("forms[{}]", form.id), false);
        }
        for form in &self.subforms {
            checker.form(form, &format!("subforms[{}]", form.id), true);
        }
        for lookup in &self.lookups {
            checker.label(&lookup.name, &format!("lookups[{}]/name", lookup.id));
            checker.choices(&lookup.choices, &format!("lookups[{}]", lookup.id));
        }
        checker.places();
        checker.people();
        checker.unused_subforms();
        checker.problems
    }
}

struct Checker<'a> {
    configuration: &'a Configuration,
    problems: Vec<Problem>,
}

impl<'a> Checker<'a> {
    fn report(&mut self, path: impl Into<String>, reason: impl Into<String>) {
        self.problems.push(Problem { path: path.into(), reason: reason.into() });
    }

    fn head(&mut self) {
        if self.configuration.languages.is_empty() {
            self.report("languages", "no language");
        }
        for language in &self.configuration.languages {
            if !is_language(language) {
                self.report(format!("languages[{language}]"), "not a language tag");
            }
        }
    }

    fn ids(&mut self) {
        let configuration = self.configuration;
        let forms = configuration.forms.iter().chain(&configuration.subforms).map(|form| form.id.as_str());
        self.unique("forms", forms, is_name);
        self.unique("lookups", configuration.lookups.iter().map(|lookup| lookup.id.as_str()), is_name);
        self.unique("form_groups", configuration.form_groups.iter().map(|group| group.id.as_str()), is_name);
        self.unique("locations", configuration.locations.iter().map(|location| location.code.as_str()), is_code);
        self.unique("roles", configuration.roles.iter().map(|role| role.id.as_str()), is_code);
        self.unique("agencies", configuration.agencies.iter().map(|agency| agency.id.as_str()), is_code);
        self.unique("user_groups", configuration.user_groups.iter().map(|group| group.id.as_str()), is_code);
        self.unique("reports", configuration.reports.iter().map(|report| report.id.as_str()), is_code);
        self.unique("modules", configuration.modules.iter().map(|module| module.id.as_str()), is_code);
    }

    fn unique(&mut self, list: &str, ids: impl Iterator<Item = &'a str>, well_formed: fn(&str) -> bool) {
        let mut seen = BTreeSet::new();
        for id in ids {
            if !well_formed(id) {
                self.report(format!("{list}[{id}]"), "not a well-formed id");
            }
            if !seen.insert(id) {
                self.report(format!("{list}[{id}]"), "an id twice");
            }
        }
    }

    /// Forms of one record type that share a field's name share the answer, so they must agree on its kind.
    fn shared_names(&mut self) {
        let mut kinds = BTreeMap::new();
        for form in &self.configuration.forms {
            for field in form.fields.iter().filter(|field| field.field_type.has_answer()) {
                let (first, kind) = *kinds
                    .entry((form.record_type, field.name.as_str()))
                    .or_insert((form.id.as_str(), field.value_kind()));
                if kind != field.value_kind() {
                    self.report(
                        format!("forms[{}]/fields[{}]/type", form.id, field.name),
                        format!("the answer is shared with form {first}, where its kind is another"),
                    );
                }
            }
        }
    }

    fn form(&mut self, form: &Form, path: &str, nested: bool) {
        self.label(&form.name, &format!("{path}/name"));
        if let Some(group) = &form.group
            && !self.configuration.form_groups.iter().any(|known| known.id == *group)
        {
            self.report(format!("{path}/group"), format!("no form group {group}"));
        }
        if let Some(condition) = &form.display_if {
            self.record_condition(form, condition, &format!("{path}/display_if"));
        }
        for title in &form.entries.title_fields {
            if form.field(title).is_none() {
                self.report(format!("{path}/entries/title_fields"), format!("no field {title}"));
            }
        }
        let mut names = BTreeSet::new();
        for field in &form.fields {
            let path = format!("{path}/fields[{}]", field.name);
            if !is_name(&field.name) {
                self.report(&path, "not a well-formed name");
            }
            if !names.insert(&field.name) {
                self.report(&path, "a name twice in one form");
            }
            self.field(form, field, &path, nested);
        }
    }

    fn field(&mut self, form: &Form, field: &Field, path: &str, nested: bool) {
        self.label(&field.label, &format!("{path}/label"));
        self.options(field, path);
        self.subform_use(field, path, nested);
        let tally = field.field_type == FieldType::Tally;
        if tally == field.groups.is_empty() {
            self.report(format!("{path}/groups"), "a tally has groups and no other field has");
        }
        self.choices(&field.groups, &format!("{path}/groups"));
        self.calculation(form, field, path, nested);
        if let Some(condition) = &field.display_if_record {
            self.record_condition(form, condition, &format!("{path}/display_if_record"));
        }
        match &field.display_if_entry {
            Some(_) if !nested => self.report(format!("{path}/display_if_entry"), "the form is no subform"),
            Some(condition) => self.condition(form, condition, &format!("{path}/display_if_entry")),
            None => {}
        }
        if let Some(Link::Form(id)) = &field.link
            && self.configuration.form(id).is_none()
        {
            self.report(format!("{path}/link"), format!("no form {id}"));
        }
        if field.not_in_future && !matches!(field.field_type, FieldType::Date | FieldType::DateRange) {
            self.report(format!("{path}/not_in_future"), "not a date");
        }
        if matches!((&field.minimum, &field.maximum), (Some(minimum), Some(maximum)) if minimum > maximum) {
            self.report(format!("{path}/minimum"), "greater than the maximum");
        }
    }

    fn options(&mut self, field: &Field, path: &str) {
        let path = format!("{path}/options");
        match &field.options {
            Some(_) if !field.field_type.has_options() => self.report(path, "a field of this type has no options"),
            Some(OptionSource::Lookup(id)) if self.configuration.lookup(id).is_none() => {
                self.report(path, format!("no lookup {id}"));
            }
            Some(OptionSource::List(choices)) => self.choices(choices, &path),
            None if field.field_type.has_options() => self.report(path, "no options"),
            _ => {}
        }
    }

    fn choices(&mut self, choices: &[Choice], path: &str) {
        let mut codes = BTreeSet::new();
        for choice in choices {
            let path = format!("{path}[{}]", choice.code);
            if !is_code(&choice.code) {
                self.report(&path, "not a well-formed code");
            }
            if !codes.insert(&choice.code) {
                self.report(&path, "a code twice");
            }
            self.label(&choice.label, &path);
        }
    }

    fn subform_use(&mut self, field: &Field, path: &str, nested: bool) {
        let path = format!("{path}/subform");
        let Some(subform) = &field.subform else {
            if field.field_type == FieldType::Subform {
                self.report(path, "no subform");
            }
            return;
        };
        if field.field_type != FieldType::Subform {
            return self.report(path, "the field is no subform");
        }
        if nested {
            self.report(&path, "subforms do not nest");
        }
        let Some(definition) = self.configuration.subform(&subform.id) else {
            return self.report(path, format!("no subform {}", subform.id));
        };
        for name in subform.fields.iter().chain(&subform.sort_by).chain(&subform.group_by) {
            if definition.field(name).is_none() {
                self.report(&path, format!("no field {name} in subform {}", subform.id));
            }
        }
        if let Some(condition) = &subform.entries_if {
            self.condition(definition, condition, &format!("{path}/entries_if"));
        }
    }

    fn calculation(&mut self, form: &Form, field: &Field, path: &str, nested: bool) {
        let path = format!("{path}/calculation");
        let calculated = field.field_type == FieldType::Calculated;
        if let Some(calculation) = &field.calculation {
            if !calculated {
                self.report(&path, "the field is not calculated");
            }
            if calculation.expression.depth() > MAX_EXPRESSION_DEPTH {
                self.report(&path, "too deep");
            }
            for name in calculation.expression.fields() {
                let known = form.field(name).is_some()
                    || (!nested && self.configuration.field(form.record_type, name).is_some());
                if !known {
                    self.report(&path, format!("no field {name}"));
                }
                if name == field.name {
                    self.report(&path, "calculated from itself");
                }
            }
        } else if calculated && field.summary.is_none() {
            self.report(&path, "no calculation");
        }
        if let Some(summary) = &field.summary {
            let subform = self.configuration.subform_of(form.record_type, &summary.subform_field);
            let fields = [&summary.field, &summary.order_by];
            if subform.is_none_or(|subform| fields.iter().any(|name| subform.field(name).is_none())) {
                self.report(path, "no such subform field, or no such field in it");
            }
        }
    }

    fn record_condition(&mut self, form: &Form, condition: &Condition, path: &str) {
        if condition.depth() > MAX_EXPRESSION_DEPTH {
            self.report(path, "too deep");
        }
        for comparison in condition.comparisons() {
            if self.configuration.field(form.record_type, &comparison.field).is_none() {
                self.report(path, format!("no field {} in a {}", comparison.field, form.record_type));
            }
        }
    }

    fn condition(&mut self, form: &Form, condition: &Condition, path: &str) {
        if condition.depth() > MAX_EXPRESSION_DEPTH {
            self.report(path, "too deep");
        }
        for comparison in condition.comparisons() {
            if form.field(&comparison.field).is_none() {
                self.report(path, format!("no field {} in form {}", comparison.field, form.id));
            }
        }
    }

    fn places(&mut self) {
        let levels: BTreeMap<&str, u8> =
            self.configuration.locations.iter().map(|location| (location.code.as_str(), location.level)).collect();
        for location in &self.configuration.locations {
            let path = format!("locations[{}]", location.code);
            if location.level > 5 {
                self.report(format!("{path}/level"), "levels go from 0 to 5");
            }
            match location.parent.as_deref().map(|parent| levels.get(parent)) {
                Some(None) => self.report(format!("{path}/parent"), "no such location"),
                // Only upwards: so that a chain of parents ends.
                Some(Some(level)) if *level >= location.level => {
                    self.report(format!("{path}/parent"), "not of a level above");
                }
                _ => {}
            }
            self.label(&location.name, &format!("{path}/name"));
        }
    }

    fn people(&mut self) {
        let configuration = self.configuration;
        let forms: BTreeSet<&str> =
            configuration.forms.iter().chain(&configuration.subforms).map(|form| form.id.as_str()).collect();
        for role in &configuration.roles {
            for form in role.forms.keys().filter(|form| !forms.contains(form.as_str())) {
                self.report(format!("roles[{}]/forms", role.id), format!("no form {form}"));
            }
        }
        for group in &configuration.user_groups {
            for agency in group.agencies.iter().filter(|agency| configuration.agency(agency).is_none()) {
                self.report(format!("user_groups[{}]/agencies", group.id), format!("no agency {agency}"));
            }
        }
        for list in &configuration.lists {
            for name in list.title.iter().chain(&list.fields) {
                if configuration.field(list.record_type, name).is_none() {
                    self.report(format!("lists[{}]", list.record_type), format!("no field {name}"));
                }
            }
        }
    }

    fn unused_subforms(&mut self) {
        let uses = self.configuration.forms.iter().chain(&self.configuration.subforms).flat_map(|form| &form.fields);
        let used: BTreeSet<&str> =
            uses.filter_map(|field| field.subform.as_ref()).map(|subform| subform.id.as_str()).collect();
        for subform in self.configuration.subforms.iter().filter(|subform| !used.contains(subform.id.as_str())) {
            self.report(format!("subforms[{}]", subform.id), "no field uses it");
        }
    }

    fn label(&mut self, text: &Translated, path: &str) {
        if text.is_empty() {
            self.report(path, "no text in any language");
        }
    }
}
