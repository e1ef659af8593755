//! Options: of fields, of tallies, of lookups.

use serde_json::Value as Json;
use vereda_records::{Choice, Translated};

use super::{
    ImportError, Importer,
    reader::{Object, translated},
};

impl Importer {
    /// Reads options: `[{"id", "display_text": {"en"}}]`, or `{"en": [{"id", "display_text"}]}`.
    pub(super) fn choices(&mut self, json: Option<&Json>, path: &str) -> Result<Vec<Choice>, ImportError> {
        match json {
            None => Ok(vec![]),
            Some(Json::Array(list)) => self.listed(list, path),
            Some(Json::Object(languages)) => {
                let mut choices = Vec::new();
                for (language, json) in languages {
                    self.in_language(language, json, &format!("{path}.{language}"), &mut choices)?;
                }
                Ok(choices)
            }
            Some(_) => Err(ImportError::Shape { path: path.to_owned(), expected: "a list of options" }),
        }
    }

    fn listed(&mut self, list: &[Json], path: &str) -> Result<Vec<Choice>, ImportError> {
        let mut choices: Vec<Choice> = Vec::new();
        for (index, json) in list.iter().enumerate() {
            let mut source = Object::new(json, format!("{path}[{index}]"))?;
            let code = source.required_text("id")?;
            let label = match source.value("display_text") {
                Some(Json::String(text)) => Translated::new("en", text),
                Some(json) => translated(json, &source.at("display_text"))?,
                None => Translated::default(),
            };
            self.hear(&label);
            let disabled = source.flag("disabled", false)?;
            let tags = source.texts("tags")?;
            source.finish(&mut self.report.losses);
            if choices.iter().any(|choice| choice.code == code) {
                self.lose(format!("{path}[{index}]"), format!("the code {code} is there already; the first is taken"));
            } else {
                choices.push(Choice { code, label, disabled, tags });
            }
        }
        Ok(choices)
    }

    fn in_language(
        &mut self,
        language: &str,
        json: &Json,
        path: &str,
        choices: &mut Vec<Choice>,
    ) -> Result<(), ImportError> {
        let list = match json {
            Json::Null => return Ok(()),
            Json::Array(list) => list,
            _ => return Err(ImportError::Shape { path: path.to_owned(), expected: "a list of options" }),
        };
        for (index, json) in list.iter().enumerate() {
            let mut source = Object::new(json, format!("{path}[{index}]"))?;
            let code = source.required_text("id")?;
            let text = source.text("display_text")?;
            source.finish(&mut self.report.losses);
            if text.is_some() {
                self.languages.insert(language.to_owned());
            }
            let label: Translated = Translated(text.map(|text| (language.to_owned(), text)).into_iter().collect());
            match choices.iter_mut().find(|choice| choice.code == code) {
                Some(choice) if choice.label.0.contains_key(language) => {
                    self.lose(
                        format!("{path}[{index}]"),
                        format!("the code {code} is there already; the first is taken"),
                    );
                }
                Some(choice) => choice.label.0.extend(label.0),
                None => choices.push(Choice { code, label, disabled: false, tags: vec![] }),
            }
        }
        Ok(())
    }
}
