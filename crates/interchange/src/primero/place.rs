//! Primero's lookups, locations and modules.

use vereda_records::{
    RecordType, Translated,
    agency::{FieldMapping, Location, Lookup, Module},
};

use super::{ImportError, Importer, reader::Object};

impl Importer {
    pub(super) fn lookup(&mut self, mut source: Object<'_>) -> Result<Lookup, ImportError> {
        let path = source.at("lookup_values_i18n");
        let lookup = Lookup {
            id: source.required_text("unique_id")?,
            name: source.translated("name_i18n")?,
            locked: source.flag("locked", false)?,
            choices: self.choices(source.value("lookup_values_i18n"), &path)?,
        };
        self.hear(&lookup.name);
        source.finish(&mut self.report.losses);
        Ok(lookup)
    }

    /// Reads a place. Its parent stands in the path of codes; the path of names is derived from both.
    pub(super) fn location(&mut self, mut source: Object<'_>) -> Result<Option<Location>, ImportError> {
        let code = source.required_text("location_code")?;
        let whole_name = source.translated("name_i18n")?;
        let mut name = source.translated("placename_i18n")?;
        if name.is_empty() {
            let last = |text: String| text.rsplit("::").next().unwrap_or_default().to_owned();
            name = Translated(whole_name.0.into_iter().map(|(language, text)| (language, last(text))).collect());
        }
        let line = source.text("hierarchy_path")?.unwrap_or_default();
        let parent = line.rsplit('.').nth(1).map(str::to_owned);
        let level = source.integer("admin_level")?.unwrap_or(0);
        let kind = source.text("type")?.unwrap_or_default();
        let disabled = source.flag("disabled", false)?;
        let Ok(level) = u8::try_from(level) else {
            self.lose(source.at("admin_level"), "levels go from 0 to 5; the place is not taken");
            return Ok(None);
        };
        source.finish(&mut self.report.losses);
        Ok(Some(Location { code, parent, level, kind, name, disabled }))
    }

    pub(super) fn module(&mut self, mut source: Object<'_>) -> Result<Module, ImportError> {
        let mut module = Module {
            id: source.required_text("unique_id")?,
            name: plain(source.text("name")?),
            description: plain(source.text("description")?),
            record_types: vec![],
            forms: source.texts("form_section_unique_ids")?,
            options: std::collections::BTreeMap::new(),
            field_map: vec![],
        };
        for name in source.texts("associated_record_types")? {
            match name.parse::<RecordType>() {
                Ok(record_type) => module.record_types.push(record_type),
                Err(_) => self.lose(source.at("associated_record_types"), format!("{name} is no kind of record here")),
            }
        }
        if let Some(mut options) = source.object("module_options")? {
            for key in options.keys() {
                if let Some(serde_json::Value::Bool(flag)) = options.get(key) {
                    module.options.insert(key.to_owned(), *flag);
                    options.value(key);
                }
            }
            options.finish(&mut self.report.losses);
        }
        if let Some(mut map) = source.object("field_map")? {
            if map.text("map_to")?.is_some_and(|to| to != module.id) {
                self.lose(map.at("map_to"), "incidents of another module; they are made in the same one");
            }
            for mut pair in map.objects("fields", "target")? {
                let mapping = FieldMapping { source: pair.texts("source")?, target: pair.required_text("target")? };
                pair.finish(&mut self.report.losses);
                module.field_map.push(mapping);
            }
            map.finish(&mut self.report.losses);
        }
        // Part of every server; the product has no such rows to protect.
        source.flag("core_resource", false)?;
        source.finish(&mut self.report.losses);
        Ok(module)
    }
}

/// Makes a text of one that Primero does not translate.
pub(super) fn plain(text: Option<String>) -> Translated {
    text.map(|text| Translated::new("en", text)).unwrap_or_default()
}
