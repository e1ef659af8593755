//! How a configuration lies in its document: its JSON in parts, and one register that says which parts count. Two
//! configurations applied at the same time are one conflict in that register; they never mix.

use vereda_records::{Configuration, Record, Value, configuration::ReadConfigurationError};

const CURRENT: &str = "current";
/// A part in bytes: less than a register may hold.
const PART_BYTES: usize = 48 << 10;
/// Parts of the largest configuration.
const MAX_PARTS: usize = 1_024;

/// Writes a configuration over what a record holds.
pub(crate) fn write(record: &Record, configuration: &Configuration, name: &str) -> Record {
    let mut after = record.clone();
    for (field, value) in &mut after.fields {
        if field.starts_with("part_") {
            *value = Value::Deleted;
        }
    }
    let json = configuration.to_json();
    let text = String::from_utf8_lossy(&json);
    let parts = split(&text);
    for (index, part) in parts.iter().enumerate() {
        after.fields.insert(part_name(name, index), Value::text(*part));
    }
    after.fields.insert(CURRENT.into(), Value::text(format!("{name}.{}", parts.len())));
    after
}

/// Reads the configuration that a record holds; `None` where there is none yet.
pub(crate) fn read(record: &Record) -> Option<Result<Configuration, ReadConfigurationError>> {
    let Some(Value::Text(current)) = record.answer(CURRENT) else { return None };
    let (name, count) = current.split_once('.')?;
    let count: usize = count.parse().ok().filter(|count| *count <= MAX_PARTS)?;
    let parts = (0..count).map(|index| match record.answer(&part_name(name, index)) {
        Some(Value::Text(part)) => Some(part.as_str()),
        _ => None,
    });
    let text: String = parts.collect::<Option<_>>()?;
    Some(Configuration::from_json(text.as_bytes()))
}

fn part_name(name: &str, index: usize) -> String {
    format!("part_{name}_{index:04}")
}

fn split(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let mut end = rest.len().min(PART_BYTES);
        while !rest.is_char_boundary(end) {
            end -= 1;
        }
        let (part, after) = rest.split_at(end);
        parts.push(part);
        rest = after;
    }
    parts
}

#[cfg(test)]
mod tests {
    use vereda_records::{RecordType, Translated};

    use super::*;

    #[test]
    fn a_configuration_reads_back_from_its_parts_and_the_next_takes_its_place() {
        let empty = Record::new(RecordType::RegistryRecord);
        assert!(read(&empty).is_none());
        let long = Configuration::new(Translated::new("ar", "أ".repeat(70_000)), vec!["ar".into()]);
        let short = Configuration::new(Translated::new("en", "x"), vec!["en".into()]);
        let first = write(&empty, &long, "aa");
        assert_eq!(read(&first).unwrap().unwrap(), long);
        let second = write(&first, &short, "bb");
        assert_eq!(read(&second).unwrap().unwrap(), short);
        let left = second.fields.keys().filter(|name| second.answer(name).is_some()).count();
        assert_eq!(left, 2);
    }
}
