//! The options that a field offers.

use crate::{
    configuration::Configuration,
    field::{Choice, Field, OptionSource},
    limits::is_code,
    text::Translated,
    visibility::Scope,
};

/// One option offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer<'a> {
    /// Code that the answer would hold.
    pub code: &'a str,
    /// Label; none where only the code is known.
    pub label: Option<&'a Translated>,
}

/// Returns the options that a field offers, in order. Users and sources that a configuration does not list offer none.
pub fn offered<'a>(configuration: &'a Configuration, field: &'a Field, scope: Scope<'_>) -> Vec<Offer<'a>> {
    let conditions = field.option_conditions.iter().filter(|one| one.condition.holds(&scope));
    let tags: Vec<&String> = conditions.map(|one| &one.tag).collect();
    let tagged = |choice: &&Choice| tags.is_empty() || choice.tags.iter().any(|tag| tags.contains(&tag));
    let choices = |choices: &'a [Choice]| -> Vec<Offer<'a>> {
        let offered = choices.iter().filter(|choice| !choice.disabled).filter(tagged);
        offered.map(|choice| Offer { code: &choice.code, label: Some(&choice.label) }).collect()
    };
    match &field.options {
        Some(OptionSource::List(list)) => choices(list),
        Some(OptionSource::Lookup(id)) => configuration.lookup(id).map_or(vec![], |lookup| choices(&lookup.choices)),
        Some(source @ (OptionSource::Locations | OptionSource::ReportingLocations)) => {
            let level = configuration.reporting_location_level.filter(|_| *source == OptionSource::ReportingLocations);
            let open = configuration.locations.iter().filter(|location| !location.disabled);
            let open = open.filter(|location| level.is_none_or(|level| location.level == level));
            open.map(|location| Offer { code: &location.code, label: Some(&location.name) }).collect()
        }
        Some(OptionSource::Agencies) => {
            let open = configuration.agencies.iter().filter(|agency| !agency.disabled && !agency.not_offered);
            open.map(|agency| Offer { code: &agency.id, label: Some(&agency.name) }).collect()
        }
        Some(OptionSource::UserGroups) => {
            let open = configuration.user_groups.iter().filter(|group| !group.disabled);
            open.map(|group| Offer { code: &group.id, label: Some(&group.name) }).collect()
        }
        Some(OptionSource::Users | OptionSource::Other(_)) | None => vec![],
    }
}

/// Tells whether a code may answer a field: an option of its source, disabled and narrowed ones included, since an
/// answer stays valid when it is no longer offered. Sources that the configuration does not list accept any code.
pub fn accepts(configuration: &Configuration, field: &Field, code: &str) -> bool {
    let listed = |choices: &[Choice]| choices.iter().any(|choice| choice.code == code);
    match &field.options {
        Some(OptionSource::List(list)) => listed(list),
        Some(OptionSource::Lookup(id)) => match configuration.lookup(id) {
            Some(lookup) => listed(&lookup.choices),
            None => is_code(code),
        },
        Some(OptionSource::Locations | OptionSource::ReportingLocations) if !configuration.locations.is_empty() => {
            configuration.locations.iter().any(|location| location.code == code)
        }
        Some(OptionSource::Agencies) if !configuration.agencies.is_empty() => configuration.agency(code).is_some(),
        Some(OptionSource::UserGroups) if !configuration.user_groups.is_empty() => {
            configuration.user_groups.iter().any(|group| group.id == code)
        }
        _ => is_code(code),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        agency::Lookup,
        condition::Condition,
        field::{FieldType, OptionCondition},
        record::{Record, RecordType},
        value::Value,
    };

    fn choice(code: &str, tag: &str, disabled: bool) -> Choice {
        Choice { code: code.into(), label: Translated::new("en", code), disabled, tags: vec![tag.into()] }
    }

    #[test]
    fn options_are_narrowed_by_tags_whose_condition_holds() {
        let mut configuration = Configuration::new(Translated::new("en", "x"), vec!["en".into()]);
        configuration.lookups = vec![Lookup {
            id: "places".into(),
            name: Translated::new("en", "Places"),
            locked: false,
            choices: vec![choice("school", "young", false), choice("work", "old", false), choice("gone", "old", true)],
        }];
        let mut field = Field::new("place", FieldType::SelectOne, Translated::new("en", "Place"));
        field.options = Some(OptionSource::Lookup("places".into()));
        field.option_conditions =
            vec![OptionCondition { tag: "old".into(), condition: Condition::eq("stage", "adult") }];
        let codes = |stage: &str| -> Vec<String> {
            let record = Record::new(RecordType::Case).with("stage", Value::choice(stage));
            offered(&configuration, &field, Scope::of(&record)).iter().map(|offer| offer.code.to_owned()).collect()
        };
        assert_eq!(codes("adult"), ["work"]);
        assert_eq!(codes("child"), ["school", "work"]);
        assert!(accepts(&configuration, &field, "gone") && !accepts(&configuration, &field, "moon"));
    }
}
