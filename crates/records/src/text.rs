//! Texts in several languages.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A text by language tag, such as `en`, `es`, `ar` or `ku-IQ`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Translated(pub BTreeMap<String, String>);

impl Translated {
    /// Makes a text in one language.
    pub fn new(language: impl Into<String>, text: impl Into<String>) -> Self {
        Self(BTreeMap::from([(language.into(), text.into())]))
    }

    /// Adds a translation, for building texts in one expression.
    #[must_use]
    pub fn with(mut self, language: impl Into<String>, text: impl Into<String>) -> Self {
        self.0.insert(language.into(), text.into());
        self
    }

    /// Returns the text in the first of the languages that has one, else in any, else nothing. A language also finds its
    /// plain form: `ar-IQ` finds `ar`.
    pub fn in_language<'a>(&'a self, languages: impl IntoIterator<Item = &'a str>) -> &'a str {
        let find = |language: &str| {
            let plain = language.split('-').next().unwrap_or(language);
            self.0.get(language).or_else(|| self.0.get(plain)).filter(|text| !text.trim().is_empty())
        };
        let found = languages.into_iter().find_map(find);
        found.or_else(|| self.0.values().find(|text| !text.trim().is_empty())).map_or("", String::as_str)
    }

    /// Tells whether no language has a text.
    pub fn is_empty(&self) -> bool {
        self.0.values().all(|text| text.trim().is_empty())
    }
}

/// Languages written from right to left, without their regions.
const RIGHT_TO_LEFT: [&str; 12] = ["ar", "aeb", "apc", "ckb", "dv", "fa", "he", "prs", "ps", "ug", "ur", "yi"];

/// Tells whether a language is written from right to left.
pub fn is_right_to_left(language: &str) -> bool {
    let plain = language.split('-').next().unwrap_or(language);
    RIGHT_TO_LEFT.contains(&plain) || matches!(language, "ku-IQ" | "ku-Arab")
}

/// Tells whether a text is a language tag: letters, then parts of letters and digits, joined by `-`.
pub fn is_language(text: &str) -> bool {
    let part = |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric());
    let first = text.split('-').next().unwrap_or_default();
    text.len() <= 35
        && (2..=3).contains(&first.len())
        && first.bytes().all(|b| b.is_ascii_lowercase())
        && text.split('-').all(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_falls_back_through_region_list_and_anything() {
        let text = Translated::new("en", "age").with("ar", "العمر").with("es", " ");
        let check = |languages: &[&str], expected: &str| {
            assert_eq!(text.in_language(languages.iter().copied()), expected, "{languages:?}");
        };
        check(&["ar-IQ", "en"], "العمر");
        check(&["es", "en"], "age");
        check(&["uk"], "العمر");
        assert_eq!(Translated::default().in_language(["en"]), "");
    }

    #[test]
    fn directions_and_tags_are_told() {
        assert!(is_right_to_left("ar-SD") && is_right_to_left("prs") && !is_right_to_left("uk"));
        assert!(is_language("en") && is_language("ku-IQ") && is_language("aeb") && !is_language("english"));
        assert!(!is_language("") && !is_language("en_US") && !is_language("e n"));
    }
}
