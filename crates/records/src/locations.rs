//! The hierarchy of places: administrative levels 0 (country) to 5.

use std::collections::BTreeMap;

use crate::{agency::Location, configuration::Configuration};

/// An index over a configuration's places.
#[derive(Debug, Clone)]
pub struct Locations<'a> {
    by_code: BTreeMap<&'a str, &'a Location>,
}

/// Deepest level, and so the longest chain of parents less one.
const MAX_LEVEL: usize = 5;

impl<'a> Locations<'a> {
    /// Makes the index.
    pub fn new(configuration: &'a Configuration) -> Self {
        let by_code = configuration.locations.iter().map(|location| (location.code.as_str(), location)).collect();
        Self { by_code }
    }

    /// Returns a place by its code.
    pub fn location(&self, code: &str) -> Option<&'a Location> {
        self.by_code.get(code).copied()
    }

    /// Returns a place and what it lies in, from the country down. At most six; a chain that turns round ends.
    pub fn line(&self, code: &str) -> Vec<&'a Location> {
        let mut line = Vec::new();
        let mut next = self.location(code);
        while let Some(location) = next
            && line.len() <= MAX_LEVEL
        {
            line.push(location);
            next = location.parent.as_deref().and_then(|parent| self.location(parent));
        }
        line.reverse();
        line
    }

    /// Returns the place of a level that a place lies in, or the place itself.
    pub fn at_level(&self, code: &str, level: u8) -> Option<&'a Location> {
        self.line(code).into_iter().find(|location| location.level == level)
    }

    /// Tells whether a place lies in another, or is it.
    pub fn lies_in(&self, code: &str, other: &str) -> bool {
        self.line(code).iter().any(|location| location.code == other)
    }

    /// Returns the places directly in a place, by code.
    pub fn children(&self, code: &str) -> Vec<&'a Location> {
        self.by_code.values().copied().filter(|location| location.parent.as_deref() == Some(code)).collect()
    }

    /// Returns the names from the country down, as one line.
    pub fn name(&self, code: &str, languages: &[&str], separator: &str) -> String {
        let line = self.line(code);
        let names = line.iter().map(|location| location.name.in_language(languages.iter().copied()));
        names.collect::<Vec<_>>().join(separator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Translated;

    fn location(code: &str, parent: Option<&str>, level: u8) -> Location {
        let name = Translated::new("en", code.to_uppercase());
        Location {
            code: code.into(),
            parent: parent.map(Into::into),
            level,
            kind: String::new(),
            name,
            disabled: false,
        }
    }

    #[test]
    fn a_place_knows_what_it_lies_in() {
        let mut configuration = Configuration::new(Translated::new("en", "x"), vec!["en".into()]);
        configuration.locations =
            vec![location("a", None, 0), location("b", Some("a"), 1), location("c", Some("b"), 2)];
        let locations = Locations::new(&configuration);
        assert_eq!(locations.name("c", &["en"], " / "), "A / B / C");
        assert_eq!(locations.at_level("c", 1).map(|l| l.code.as_str()), Some("b"));
        assert!(locations.lies_in("c", "a") && !locations.lies_in("a", "c"));
        assert_eq!(locations.children("a").len(), 1);
        assert!(locations.line("nowhere").is_empty());
    }

    #[test]
    fn a_chain_that_turns_round_ends_and_is_a_problem() {
        let mut configuration = Configuration::new(Translated::new("en", "x"), vec!["en".into()]);
        configuration.locations = vec![location("a", Some("b"), 1), location("b", Some("a"), 2)];
        assert_eq!(Locations::new(&configuration).line("a").len(), 6);
        assert_eq!(configuration.check().len(), 1);
    }
}
