//! Who wrote what where while nobody could see the others, and what must come of it when all meet again.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;
use vereda_records::{Configuration, Edit, Record};

use super::leaf::{Leaf, Leaves, changes, leaves};

/// What one person wrote at places of a case: at each, all values in order.
type Writes = BTreeMap<String, Vec<Json>>;

/// Everything written offline.
#[derive(Default)]
pub struct Ledger {
    writes: BTreeMap<String, BTreeMap<usize, Writes>>,
    texts: Vec<(String, String)>,
    edits: Vec<Entry>,
}

/// One edit: the case and the places it wrote.
struct Entry {
    person: usize,
    case: String,
    places: Vec<String>,
}

/// What must become of a case.
#[derive(Default)]
pub struct Outcome {
    /// Places with one right value; `null` and `false` stand for nothing there.
    pub settled: BTreeMap<String, Json>,
    /// Places at which people wrote different values: the last of each, and who.
    pub conflicts: BTreeMap<String, Conflict>,
    /// Texts that several wrote in.
    pub woven: BTreeSet<String>,
}

/// A conflict that must be there.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Conflict {
    /// The values, as JSON texts.
    pub values: BTreeSet<String>,
    /// Who wrote them, by their places in the cast.
    pub people: BTreeSet<usize>,
}

impl Ledger {
    /// Enters an edit.
    pub fn enter(
        &mut self,
        configuration: &Configuration,
        person: usize,
        case: &str,
        edit: &Edit,
        before: &Record,
        after: &Record,
    ) {
        let changed = changes(&leaves(configuration, before), &leaves(configuration, after));
        let places = changed.iter().map(|(place, _)| place.clone()).collect();
        let writes = self.writes.entry(case.to_owned()).or_default().entry(person).or_default();
        for (place, value) in changed {
            writes.entry(place).or_default().push(value);
        }
        if let Edit::Append { text, .. } = edit {
            self.texts.push((case.to_owned(), text.clone()));
        }
        self.edits.push(Entry { person, case: case.to_owned(), places });
    }

    /// How many people wrote in a case.
    pub fn people_in(&self, case: &str) -> usize {
        self.writes.get(case).map_or(0, BTreeMap::len)
    }

    /// How many edits a person made.
    pub fn edits_of(&self, person: usize) -> usize {
        self.edits.iter().filter(|entry| entry.person == person).count()
    }

    /// How many edits were made.
    pub fn edits(&self) -> usize {
        self.edits.len()
    }

    /// How many edits wrote at none of these places.
    pub fn edits_beside(&self, is_contested: impl Fn(&str, &str) -> bool) -> usize {
        let beside = |entry: &&Entry| !entry.places.iter().any(|place| is_contested(&entry.case, place));
        self.edits.iter().filter(beside).count()
    }

    /// What was added at the end of texts of a case.
    pub fn texts_of(&self, case: &str) -> impl Iterator<Item = &str> {
        self.texts.iter().filter(move |(of, _)| of == case).map(|(_, text)| text.as_str())
    }

    /// What a person wrote in a case, place by place in order.
    pub fn writes_of(&self, case: &str) -> impl Iterator<Item = (usize, &String, &Vec<Json>)> {
        let people = self.writes.get(case).into_iter().flatten();
        people.flat_map(|(person, writes)| writes.iter().map(|(place, values)| (*person, place, values)))
    }

    /// Works out what must become of a case that stood at `base` when the network went.
    pub fn outcome(&self, case: &str, base: &Leaves) -> Outcome {
        let mut outcome = Outcome::default();
        outcome.settled.extend(base.iter().map(|(place, leaf)| (place.clone(), leaf.plain())));
        let mut last: BTreeMap<&String, Vec<(usize, &Json)>> = BTreeMap::new();
        for (person, place, values) in self.writes_of(case) {
            last.entry(place).or_default().extend(values.last().map(|value| (person, value)));
        }
        for (place, writers) in last {
            let values: BTreeSet<String> = writers.iter().map(|(_, value)| value.to_string()).collect();
            if let ([(_, value), ..], 1) = (writers.as_slice(), values.len()) {
                outcome.settled.insert(place.clone(), (*value).clone());
            } else if matches!(base.get(place), Some(Leaf::Text(_))) {
                outcome.settled.remove(place);
                outcome.woven.insert(place.clone());
            } else {
                outcome.settled.remove(place);
                let people = writers.iter().map(|(person, _)| *person).collect();
                outcome.conflicts.insert(place.clone(), Conflict { values, people });
            }
        }
        outcome
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use vereda_records::{FieldPath, RecordType, Value, edit::apply, starter::child_protection};

    use super::*;

    #[test]
    fn one_writer_settles_equal_values_agree_and_different_ones_conflict() {
        let configuration = child_protection();
        let base = Record::new(RecordType::Case)
            .with("name_first", Value::text("Samir"))
            .with("story", Value::LongText("one".into()));
        let mut ledger = Ledger::default();
        let mut write = |person: usize, edits: &[Edit]| {
            let mut record = base.clone();
            for edit in edits {
                let before = record.clone();
                apply(&mut record, edit).unwrap();
                ledger.enter(configuration, person, "c", edit, &before, &record);
            }
        };
        let set = |field: &str, text: &str| Edit::Set { path: FieldPath::field(field), value: Value::text(text) };
        let append = |text: &str| Edit::Append { path: FieldPath::field("story"), text: text.into() };
        write(0, &[set("name_first", "Samira"), set("name_first", "Samir"), set("address", "Aden"), append(" two")]);
        write(1, &[set("name_first", "Samer"), set("address", "Aden"), set("name_nickname", "9"), append(" three")]);
        let outcome = ledger.outcome("c", &leaves(configuration, &base));
        assert_eq!(outcome.settled["address"], json!("Aden"));
        assert_eq!(outcome.settled["name_nickname"], json!("9"));
        let values = ["\"Samir\"".to_owned(), "\"Samer\"".to_owned()].into();
        assert_eq!(outcome.conflicts["name_first"], Conflict { values, people: [0, 1].into() });
        assert!(outcome.woven.contains("story") && !outcome.settled.contains_key("name_first"));
        assert_eq!((ledger.edits(), ledger.edits_beside(|_, place| place == "name_first")), (8, 5));
    }
}
