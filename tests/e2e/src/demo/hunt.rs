//! The search for what people wrote, in everything that left their devices or lies on them locked.

use std::{collections::BTreeSet, path::PathBuf};

use anyhow::Result;
use vereda_records::{Edit, Record, Value};

use super::{
    agency::{AGENCY, Team},
    person::{CAST, passphrase},
    stage::Stage,
};
use crate::canary::{Canaries, Find, summary};

/// Shorter texts stand somewhere by chance.
const MIN_BYTES: usize = 9;
/// Of a long text so many characters are looked for, from its beginning and from its middle.
const SAMPLE_CHARS: usize = 32;

/// The texts that are looked for.
#[derive(Default)]
pub struct Planted(BTreeSet<String>);

/// What the search came to.
pub struct Hunt {
    /// Values that were looked for.
    pub values: usize,
    /// Bytes searched in the relay's files and log.
    pub relay_bytes: u64,
    /// Bytes searched in the captured traffic.
    pub traffic_bytes: u64,
    /// Bytes searched in the locked devices' files and logs.
    pub device_bytes: u64,
    /// How many of the values the same search finds in what the people typed.
    pub control: usize,
    /// What was found where nothing may be.
    pub finds: Vec<Find>,
}

impl Planted {
    /// Plants names of people, teams and the agency, and passphrases.
    pub fn new(teams: &[Team]) -> Self {
        let mut planted = Self::default();
        for role in &CAST {
            planted.plant(role.name);
            planted.plant(&passphrase(role));
        }
        planted.plant(AGENCY);
        teams.iter().for_each(|team| planted.plant(team.name));
        planted
    }

    /// Plants what a case says.
    pub fn take_record(&mut self, record: &Record) {
        record.fields.values().for_each(|value| self.take_value(value));
    }

    /// Plants what an edit says.
    pub fn take_edit(&mut self, edit: &Edit) {
        match edit {
            Edit::Set { value, .. } => self.take_value(value),
            Edit::Append { text, .. } => self.plant_sample(text.trim()),
            Edit::AddEntry { entry, .. } => entry.fields.values().for_each(|value| self.take_value(value)),
            Edit::MoveEntry { .. } | Edit::RemoveEntry { .. } => {}
        }
    }

    fn take_value(&mut self, value: &Value) {
        match value {
            Value::Text(text) => self.plant(text),
            Value::LongText(text) => self.plant_sample(text),
            Value::Subform(entries) => {
                entries.iter().flat_map(|entry| entry.fields.values()).for_each(|value| self.take_value(value));
            }
            _ => {}
        }
    }

    fn plant_sample(&mut self, text: &str) {
        let count = text.chars().count();
        for start in [0, count / 2] {
            let sample: String = text.chars().skip(start).take(SAMPLE_CHARS).collect();
            self.plant(&sample);
        }
    }

    fn plant(&mut self, text: &str) {
        if text.len() >= MIN_BYTES {
            self.0.insert(text.to_owned());
        }
    }
}

/// Searches the relay's files and log, the traffic of every line, and the files and logs of the devices, which must be
/// locked. For the control, the same search must find everything in what the people typed.
///
/// # Errors
/// When something cannot be read.
pub fn hunt(stage: &Stage, planted: &Planted) -> Result<Hunt> {
    let values: Vec<String> = planted.0.iter().cloned().collect();
    let canaries = Canaries::new(&values)?;
    let mut finds = Vec::new();
    let mut search_files = |folders: &[PathBuf], files: &[PathBuf]| -> Result<u64> {
        let mut bytes = 0;
        for folder in folders {
            let (found, read) = canaries.search_folder(folder)?;
            finds.extend(found);
            bytes += read;
        }
        for file in files {
            let content = std::fs::read(file)?;
            bytes += content.len() as u64;
            finds.extend(canaries.search_bytes(&file.display().to_string(), &content));
        }
        Ok(bytes)
    };
    let relay_bytes = search_files(&[stage.relay_data()], &[stage.relay_log()])?;
    let homes: Vec<PathBuf> = stage.people.iter().map(super::person::Person::home).collect();
    let logs: Vec<PathBuf> = stage.people.iter().map(super::person::Person::log).collect();
    let device_bytes = search_files(&homes, &logs)?;
    let mut traffic_bytes = 0;
    for person in &stage.people {
        let (up, down) = person.line.bytes();
        traffic_bytes += up + down;
        let place = format!("the traffic of {}'s device", person.role.first);
        finds.extend(canaries.search_bytes(&place, &person.line.traffic()));
    }
    let typed = stage.people.iter().flat_map(|person| canaries.search_bytes("typed", &person.typed()));
    let control: BTreeSet<usize> = typed.map(|find| find.value).collect();
    Ok(Hunt { values: values.len(), relay_bytes, traffic_bytes, device_bytes, control: control.len(), finds })
}

impl Hunt {
    /// What is not as it must be.
    pub fn broken(&self) -> Vec<String> {
        let mut broken = Vec::new();
        if self.control < self.values {
            let (control, values) = (self.control, self.values);
            broken.push(format!("the search itself is at fault: it finds {control} of {values} values where all are"));
        }
        let places: BTreeSet<&str> = self.finds.iter().map(|find| find.place.as_str()).collect();
        for place in places {
            let here: Vec<Find> = self.finds.iter().filter(|find| find.place == place).cloned().collect();
            broken.push(format!("what people wrote stands readable in {place}: {:?}", summary(&here)));
        }
        broken
    }
}
