//! Configurations that come with the product, written for it.

use std::sync::OnceLock;

use crate::{configuration::Configuration, text::Translated};

const CHILD_PROTECTION: &str = include_str!("../starter/child-protection.json");

/// Returns the starter configuration for child protection: identification, consent, family, incident, assessment, case
/// plan, services, follow-up, notes, closure; in English, Spanish and Arabic.
pub fn child_protection() -> &'static Configuration {
    static STARTER: OnceLock<Configuration> = OnceLock::new();
    STARTER.get_or_init(|| {
        // A test reads the file that is built in, so that the empty configuration never stands here.
        Configuration::from_json(CHILD_PROTECTION.as_bytes())
            .unwrap_or_else(|_| Configuration::new(Translated::default(), vec![]))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::Value as Json;

    use super::*;

    #[test]
    fn the_starter_is_consistent_and_reads_back_from_what_it_writes() {
        let starter = Configuration::from_json(CHILD_PROTECTION.as_bytes()).unwrap();
        assert_eq!(starter.check(), []);
        assert_eq!(starter.forms.len(), 10);
        assert_eq!(Configuration::from_json(&starter.to_json()).unwrap(), starter);
        assert_eq!(*child_protection(), starter);
    }

    #[test]
    fn every_text_of_the_starter_stands_in_its_three_languages() {
        fn texts(json: &Json, found: &mut usize) {
            match json {
                Json::Object(object) if object.contains_key("en") => {
                    *found += 1;
                    let keys: Vec<&str> = object.keys().map(String::as_str).collect();
                    assert_eq!(keys, ["en", "es", "ar"], "{json}");
                    assert!(object.values().all(|text| !text.as_str().unwrap().trim().is_empty()), "{json}");
                    let arabic = object["ar"].as_str().unwrap();
                    assert!(arabic.chars().any(|c| ('\u{600}'..'\u{700}').contains(&c)), "{json}");
                }
                Json::Object(object) => {
                    let labels = ["label", "name", "description", "help", "guiding_questions", "tick_box_label"];
                    for (key, value) in object {
                        let is_key = key == "name" && value.is_string();
                        assert!(!labels.contains(&key.as_str()) || value.is_object() || is_key, "{key} {value}");
                        texts(value, found);
                    }
                }
                Json::Array(list) => list.iter().for_each(|json| texts(json, found)),
                _ => {}
            }
        }
        let mut found = 0;
        texts(&serde_json::from_str(CHILD_PROTECTION).unwrap(), &mut found);
        assert!(found > 350, "{found}");
    }
}
