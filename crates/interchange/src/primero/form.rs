//! Primero's form sections, nested ones included, and their groups.

use vereda_records::{
    Configuration, FieldType, Form, OptionSource, RecordType,
    form::{EntryRules, FormGroup},
    limits::is_name,
};

use super::{ImportError, Importer, reader::Object};

/// Lookups that name groups of forms begin so.
const GROUP_LOOKUPS: &str = "lookup-form-group";

impl Importer {
    /// Reads a form section into the forms, or into the subforms where it is nested.
    pub(super) fn form_section(
        &mut self,
        mut source: Object<'_>,
        configuration: &mut Configuration,
    ) -> Result<(), ImportError> {
        let id = source.required_text("unique_id")?;
        if !is_name(&id) {
            self.lose(source.at("unique_id"), "not letters, digits, _ or -; the form and its fields are not taken");
            return Ok(());
        }
        let parent = source.text("parent_form")?;
        let Ok(record_type) = parent.as_deref().unwrap_or("case").parse::<RecordType>() else {
            self.lose(
                source.at("parent_form"),
                "no kind of record of this version; the form and its fields are not taken",
            );
            return Ok(());
        };
        let nested = source.flag("is_nested", false)?;
        let mut form = Form::new(id, record_type, source.translated("name_i18n")?);
        self.attributes(&mut source, &mut form)?;
        form.entries = self.entry_rules(&mut source, nested)?;
        let mut titles = Vec::new();
        let mut fields = Vec::new();
        for mut field in source.objects("fields_attributes", "name")? {
            let collapsed = field.text("collapsed_field_for_subform_unique_id")?;
            let path = field.at("collapsed_field_for_subform_unique_id");
            let Some((place, field)) = self.field(field)? else { continue };
            match collapsed {
                Some(of) if of == form.id => titles.push(field.name.clone()),
                Some(of) => self.lose(path, format!("stands for an entry of {of}, another form; not taken")),
                None => {}
            }
            fields.push((place, field));
        }
        fields.sort_by_key(|(place, _)| *place);
        form.fields = fields.into_iter().map(|(_, field)| field).collect();
        self.titles(&source, &mut form, titles);
        self.options_that_exist(&source, &mut form, configuration);
        source.finish(&mut self.report.losses);
        self.report.forms += 1;
        if nested {
            configuration.subforms.push(form)
        } else {
            configuration.forms.push(form)
        }
        Ok(())
    }

    fn attributes(&mut self, source: &mut Object<'_>, form: &mut Form) -> Result<(), ImportError> {
        form.modules = source.texts("module_ids")?;
        form.description = source.translated("description_i18n")?;
        form.help = source.translated("help_text_i18n")?;
        form.help_on_view = source.flag("display_help_text_view", false)?;
        form.group = source.text("form_group_id")?;
        form.order = source.integer("order")?.unwrap_or(0);
        form.group_order = source.integer("order_form_group")?.unwrap_or(0);
        form.visible = source.flag("visible", true)?;
        form.mobile_visible = source.flag("mobile_form", false)?;
        form.editable = source.flag("editable", true)?;
        form.core = source.flag("core_form", false)?;
        form.first = source.flag("is_first_tab", false)?;
        form.summary = source.flag("is_summary_section", false)?;
        form.header_link = source.text("header_message_link")?;
        form.display_if = self.condition(source, "display_conditions");
        // Says that the group's name is a lookup's key, which it always is here.
        source.flag("form_group_keyed", false)?;
        for text in [&form.name, &form.description, &form.help] {
            self.hear(text);
        }
        Ok(())
    }

    fn entry_rules(&mut self, source: &mut Object<'_>, nested: bool) -> Result<EntryRules, ImportError> {
        let initial = source.integer("initial_subforms")?.unwrap_or(0);
        let rules = EntryRules {
            append_only: source.flag("subform_append_only", false)?,
            keep: source.flag("subform_prevent_item_removal", false)?,
            initial: u32::try_from(initial).unwrap_or(0),
            title_fields: source.texts("collapsed_field_names")?,
            header_links: source.texts("subform_header_links")?,
            hide_placeholder: source.flag("hide_subform_placeholder", false)?,
            order: source.integer("order_subform")?.unwrap_or(0),
            shared_with: source.text("shared_subform")?,
            shared_group: source.text("shared_subform_group")?,
        };
        if u32::try_from(initial).is_err() {
            self.lose(source.at("initial_subforms"), "not a number of entries; none at first");
        }
        if !nested && (rules.append_only || rules.keep) {
            self.lose(source.path(), "rules of entries on a form that has none; kept, without effect");
        }
        Ok(rules)
    }

    /// Keeps the fields that stand for an entry as far as the form has them.
    fn titles(&mut self, source: &Object<'_>, form: &mut Form, more: Vec<String>) {
        let named = std::mem::take(&mut form.entries.title_fields);
        for name in named.into_iter().chain(more) {
            if form.field(&name).is_none() {
                let reason = format!("the form has no field {name}; it does not stand for the entry in lists");
                self.lose(source.at("collapsed_field_names"), reason);
            } else if !form.entries.title_fields.contains(&name) {
                form.entries.title_fields.push(name);
            }
        }
    }

    fn options_that_exist(&mut self, source: &Object<'_>, form: &mut Form, configuration: &Configuration) {
        for field in &mut form.fields {
            if let Some(OptionSource::Lookup(id)) = &field.options
                && configuration.lookup(id).is_none()
            {
                let path = format!("{}[{}].option_strings_source", source.at("fields_attributes"), field.name);
                self.lose(path, format!("no lookup {id} in the export; any code is accepted"));
                field.options = Some(OptionSource::Other(format!("lookup {id}")));
            }
            if field.field_type == FieldType::Calculated && field.calculation.is_none() && field.summary.is_none() {
                // A calculation that was not understood, or none: what stays is a number that people fill in.
                let path = format!("{}[{}].calculation", source.at("fields_attributes"), field.name);
                self.lose(path, "nothing to calculate; the field is a number that people fill in");
                field.field_type = FieldType::Number;
            }
        }
    }

    /// Makes the groups that forms name, with their names from the lookups of form groups.
    pub(super) fn form_groups(&mut self, configuration: &mut Configuration) {
        for form in &configuration.forms {
            let Some(id) = &form.group else { continue };
            if let Some(group) = configuration.form_groups.iter_mut().find(|group| group.id == *id) {
                group.order = group.order.min(form.group_order);
                continue;
            }
            let lookups = configuration.lookups.iter().filter(|lookup| lookup.id.starts_with(GROUP_LOOKUPS));
            let choice = lookups.flat_map(|lookup| &lookup.choices).find(|choice| choice.code == *id);
            let name = choice.map(|choice| choice.label.clone());
            if name.is_none() {
                let path = format!("FormSection[{}].form_group_id", form.id);
                self.lose(path, format!("no lookup names the group {id}; it is shown by its id"));
            }
            let name = name.unwrap_or_else(|| vereda_records::Translated::new("en", id.replace('_', " ")));
            configuration.form_groups.push(FormGroup { id: id.clone(), name, order: form.group_order });
        }
        configuration.form_groups.sort_by_key(|group| group.order);
        // A nested section stands in the form that uses it; its own group has no place in the menu.
        let groups = configuration.form_groups.iter().map(|group| group.id.clone());
        let groups: std::collections::BTreeSet<String> = groups.collect();
        for form in &mut configuration.subforms {
            if let Some(id) = form.group.take_if(|id| !groups.contains(id)) {
                let path = format!("FormSection[{}].form_group_id", form.id);
                self.lose(path, format!("the group {id} of a nested form, which no form has; not taken"));
            }
        }
    }
}
