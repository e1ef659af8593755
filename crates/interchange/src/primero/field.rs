//! Fields of Primero's forms.

use vereda_records::{
    Decimal, Field, FieldType, OptionSource, RecordType,
    condition::Literal,
    field::{DefaultAnswer, EntrySummary, Link, OptionCondition, SubformUse},
    limits::is_name,
};

use super::{
    ImportError, Importer,
    expression::{self, Found},
    reader::Object,
};

impl Importer {
    /// Reads a field and its place in the form; nothing, and a loss, where the product cannot have it.
    pub(super) fn field(&mut self, mut source: Object<'_>) -> Result<Option<(i64, Field)>, ImportError> {
        let name = source.required_text("name")?;
        let kind = source.required_text("type")?;
        let several = source.flag("multi_select", false)?;
        let Some(field_type) = field_type(&kind, several) else {
            self.lose(source.at("type"), "no field type of this version; the field is not taken");
            return Ok(None);
        };
        if several && field_type != FieldType::SelectMany {
            self.lose(source.at("multi_select"), "a field of this type has one answer; the switch is not taken");
        }
        if !is_name(&name) {
            self.lose(source.at("name"), "not letters, digits, _ or -; the field is not taken");
            return Ok(None);
        }
        let mut field = Field::new(name, field_type, source.translated("display_name_i18n")?);
        self.texts(&mut source, &mut field)?;
        switches(&mut source, &mut field)?;
        self.dates(&mut source, &mut field)?;
        self.options(&mut source, &mut field)?;
        self.conditions(&mut source, &mut field)?;
        self.numbers(&mut source, &mut field)?;
        self.subform(&mut source, &mut field)?;
        self.links(&mut source, &mut field)?;
        self.default(&mut source, &mut field)?;
        field.collapse = source.text("collapse")?;
        field.tags = source.texts("field_tags")?;
        let place = source.integer("order")?.unwrap_or(0);
        source.finish(&mut self.report.losses);
        self.report.fields += 1;
        Ok(Some((place, field)))
    }

    fn texts(&mut self, source: &mut Object<'_>, field: &mut Field) -> Result<(), ImportError> {
        field.help = source.translated("help_text_i18n")?;
        field.guiding_questions = source.translated("guiding_questions_i18n")?;
        field.tick_box_label = source.translated("tick_box_label_i18n")?;
        field.signed_by_label = source.translated("signature_provided_by_label_i18n")?;
        for text in [&field.label, &field.help, &field.guiding_questions, &field.tick_box_label] {
            self.hear(text);
        }
        Ok(())
    }

    fn dates(&mut self, source: &mut Object<'_>, field: &mut Field) -> Result<(), ImportError> {
        let with_time = source.flag("date_include_time", false)?;
        let date = matches!(field.field_type, FieldType::Date | FieldType::DateRange);
        field.with_time = with_time && field.field_type == FieldType::Date;
        if with_time && !field.with_time {
            self.lose(source.at("date_include_time"), "the field is no date; the switch is not taken");
        }
        match source.text("date_validation")?.as_deref() {
            None | Some("default_date_validation") => {}
            Some("not_future_date") if date => field.not_in_future = true,
            Some("not_future_date") => {
                self.lose(source.at("date_validation"), "the field is no date; the rule is not taken");
            }
            Some(_) => self.lose(source.at("date_validation"), "no rule of this version; dates are not limited"),
        }
        Ok(())
    }

    fn options(&mut self, source: &mut Object<'_>, field: &mut Field) -> Result<(), ImportError> {
        let path = source.at("option_strings_text_i18n");
        let written = self.choices(source.value("option_strings_text_i18n"), &path)?;
        let from = source.text("option_strings_source")?;
        let path = source.at("option_strings_source");
        if !field.field_type.has_options() {
            if from.is_some() || !written.is_empty() {
                self.lose(path, "a field of this type has no options; they are not taken");
            }
            return Ok(());
        }
        field.options = match from.as_deref().map(|from| from.split_once(' ').unwrap_or((from, ""))) {
            None if written.is_empty() => Some(OptionSource::Other(String::new())),
            None => Some(OptionSource::List(written.clone())),
            Some(("lookup", id)) => Some(OptionSource::Lookup(id.trim().to_owned())),
            Some(("Location", "")) => Some(OptionSource::Locations),
            Some(("ReportingLocation", "")) => Some(OptionSource::ReportingLocations),
            Some(("Agency", "")) => Some(OptionSource::Agencies),
            Some(("User", "")) => Some(OptionSource::Users),
            Some(("UserGroup", "")) => Some(OptionSource::UserGroups),
            Some(_) => {
                self.lose(&path, "no source of options that this version can list; any code is accepted");
                from.clone().map(OptionSource::Other)
            }
        };
        if field.options == Some(OptionSource::Other(String::new())) {
            self.lose(source.path(), "no options and no source of them; any code is accepted");
        }
        if from.is_some() && !written.is_empty() {
            self.lose(path, "options are both written and from a source; the written ones are not taken");
        }
        let conditions = source.object("option_strings_condition")?;
        for tag in conditions.iter().flat_map(Object::keys) {
            let path = format!("{}.{tag}", source.at("option_strings_condition"));
            let json = conditions.as_ref().and_then(|conditions| conditions.get(tag));
            match expression::condition(json) {
                Found::Condition(condition) => {
                    field.option_conditions.push(OptionCondition { tag: tag.to_owned(), condition });
                }
                Found::Nothing => {}
                Found::Disabled => self.lose(path, "a condition that is switched off; not taken"),
                Found::Unknown => self.lose(path, "no expression of this version; the options are not narrowed"),
            }
        }
        Ok(())
    }

    fn conditions(&mut self, source: &mut Object<'_>, field: &mut Field) -> Result<(), ImportError> {
        for key in ["display_conditions_record", "display_conditions_subform"] {
            let condition = self.condition(source, key);
            match key {
                "display_conditions_record" => field.display_if_record = condition,
                _ => field.display_if_entry = condition,
            }
        }
        Ok(())
    }

    pub(super) fn condition(&mut self, source: &mut Object<'_>, key: &str) -> Option<vereda_records::Condition> {
        match expression::condition(source.value(key)) {
            Found::Condition(condition) => return Some(condition),
            Found::Nothing => {}
            Found::Disabled => self.lose(source.at(key), "a condition that is switched off; not taken"),
            Found::Unknown => self.lose(source.at(key), "no expression of this version; always displayed"),
        }
        None
    }

    fn numbers(&mut self, source: &mut Object<'_>, field: &mut Field) -> Result<(), ImportError> {
        // Primero's forms hold that a number whose name ends so is an age.
        if field.field_type == FieldType::Number && field.name.ends_with("age") {
            field.minimum = Some(Decimal::from(0));
            field.maximum = Some(Decimal::from(130));
        }
        let path = source.at("tally_i18n");
        field.groups = self.choices(source.value("tally_i18n"), &path)?;
        if field.field_type != FieldType::Tally && !field.groups.is_empty() {
            field.groups.clear();
            self.lose(path, "the field is no tally; its groups are not taken");
        }
        field.sum_total = source.flag("autosum_total", false)?;
        field.sum_group = source.text("autosum_group")?;
        if let Some(json) =
            source.value("calculation").filter(|json| json.as_object().is_none_or(|map| !map.is_empty()))
        {
            field.calculation = expression::calculation(json);
            if field.calculation.is_none() {
                self.lose(source.at("calculation"), "no calculation of this version; the field stays empty");
            }
        }
        if let Some(mut summary) = source.object("subform_summary")?
            && summary.keys().next().is_some()
        {
            field.summary = self.summary(&mut summary)?;
            summary.finish(&mut self.report.losses);
        }
        Ok(())
    }

    fn summary(&mut self, source: &mut Object<'_>) -> Result<Option<EntrySummary>, ImportError> {
        let field = match source.text("subform_field_name")? {
            Some(field) => Some(field),
            None => source.text("subform_unique_id")?,
        };
        let first = source.object("first")?;
        let (Some(subform_field), Some(mut first)) = (field, first) else {
            self.lose(source.path(), "no summary of this version; the field stays empty");
            return Ok(None);
        };
        let field = first.required_text("field_name")?;
        let order_by = first.required_text("order_by")?;
        let descending = first.text("order")?.as_deref() == Some("desc");
        first.finish(&mut self.report.losses);
        Ok(Some(EntrySummary { subform_field, field, order_by, descending }))
    }

    fn subform(&mut self, source: &mut Object<'_>, field: &mut Field) -> Result<(), ImportError> {
        let id = source.text("subform_unique_id")?;
        let rules = source.object("subform_section_configuration")?;
        let mut usage = SubformUse {
            id: id.clone().unwrap_or_default(),
            sort_by: source.text("subform_sort_by")?,
            group_by: source.text("subform_group_by")?,
            fields: vec![],
            entries_if: None,
        };
        if let Some(mut rules) = rules {
            usage.sort_by = rules.text("subform_sort_by")?.or(usage.sort_by);
            usage.group_by = rules.text("subform_group_by")?.or(usage.group_by);
            usage.fields = rules.texts("fields")?.into_iter().filter(|name| !name.is_empty()).collect();
            usage.entries_if = self.condition(&mut rules, "display_conditions");
            rules.finish(&mut self.report.losses);
        }
        match (field.field_type, id) {
            (FieldType::Subform, Some(_)) => field.subform = Some(usage),
            // The check of the configuration says that the subform is missing.
            (FieldType::Subform, None) | (_, None) => {}
            (_, Some(_)) => {
                self.lose(source.at("subform_unique_id"), "the field is no subform; the reference is not taken");
            }
        }
        Ok(())
    }

    fn links(&mut self, source: &mut Object<'_>, field: &mut Field) -> Result<(), ImportError> {
        let outside = source.text("link_to_path")?;
        let form = source.text("link_to_form")?;
        // Whether the link opens a window of its own: the product decides that by where it leads.
        source.flag("link_to_path_external", true)?;
        if outside.is_some() && form.is_some() {
            self.lose(source.at("link_to_path"), "the field leads to a form already; the path is not taken");
        }
        field.link = match (form, outside) {
            (Some(form), _) => Some(Link::Form(form)),
            (None, Some(path)) => Some(match path.parse::<RecordType>() {
                Ok(record_type) => Link::Record(record_type),
                Err(_) => Link::Outside(path),
            }),
            (None, None) => None,
        };
        if source.text("custom_template")?.is_some() {
            self.lose(source.at("custom_template"), "templates of Primero's server are not taken");
        }
        Ok(())
    }

    fn default(&mut self, source: &mut Object<'_>, field: &mut Field) -> Result<(), ImportError> {
        let Some(text) = source.text("selected_value")? else { return Ok(()) };
        field.default = match (text.as_str(), field.field_type) {
            ("today", FieldType::Date) => Some(DefaultAnswer::Today),
            ("now", FieldType::Date) => Some(DefaultAnswer::Now),
            (_, FieldType::TickBox) => text.parse().ok().map(|flag| DefaultAnswer::Value(Literal::Boolean(flag))),
            (_, FieldType::Number) => {
                let number = text.parse::<Decimal>().ok();
                number.map(|number| DefaultAnswer::Value(Literal::Text(number.to_string())))
            }
            (_, kind) if kind.has_options() || matches!(kind, FieldType::Text | FieldType::LongText) => {
                Some(DefaultAnswer::Value(Literal::Text(text.clone())))
            }
            (_, FieldType::Date) => {
                text.parse::<jiff::civil::Date>().ok().map(|_| DefaultAnswer::Value(Literal::Text(text.clone())))
            }
            _ => None,
        };
        if field.default.is_none() {
            self.lose(source.at("selected_value"), "no default for a field of this type; not taken");
        }
        Ok(())
    }
}

fn switches(source: &mut Object<'_>, field: &mut Field) -> Result<(), ImportError> {
    field.required = source.flag("required", false)?;
    field.mandatory_for_completion = source.flag("mandatory_for_completion", false)?;
    field.visible = source.flag("visible", true)?;
    field.mobile_visible = source.flag("mobile_visible", true)?;
    field.hide_on_view = source.flag("hide_on_view_page", false)?;
    field.show_in_brief = source.flag("show_on_minify_form", false)?;
    field.hidden_text = source.flag("hidden_text_field", false)?;
    field.disabled = source.flag("disabled", false)?;
    field.editable = source.flag("editable", true)?;
    field.matchable = source.flag("matchable", false)?;
    field.phone_number = source.flag("phone_number", false)?;
    field.expose_unique_id = source.flag("expose_unique_id", false)?;
    Ok(())
}

fn field_type(kind: &str, several: bool) -> Option<FieldType> {
    Some(match kind {
        "text_field" => FieldType::Text,
        "textarea" => FieldType::LongText,
        "radio_button" => FieldType::Radio,
        "select_box" if several => FieldType::SelectMany,
        "select_box" => FieldType::SelectOne,
        "numeric_field" => FieldType::Number,
        "photo_upload_box" => FieldType::Photo,
        "audio_upload_box" => FieldType::Audio,
        "document_upload_box" => FieldType::Document,
        "date_field" => FieldType::Date,
        "date_range" => FieldType::DateRange,
        "subform" => FieldType::Subform,
        "separator" => FieldType::Separator,
        "tick_box" => FieldType::TickBox,
        "tally_field" => FieldType::Tally,
        "calculated" => FieldType::Calculated,
        "signature" => FieldType::Signature,
        "link_to_form" => FieldType::LinkToForm,
        _ => return None,
    })
}
