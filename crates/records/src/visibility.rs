//! Which forms and fields are displayed, given the answers.

use crate::{
    condition::{AnswerSource, Answers},
    entry::Entry,
    field::{Field, SubformUse},
    form::Form,
    record::Record,
    value::Value,
};

/// The answers that a field is displayed, offered and checked by: those of the record and, in a subform, of the entry.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// Answers of the record.
    pub record: &'a Answers,
    /// Answers of the entry, for a field of a subform.
    pub entry: Option<&'a Answers>,
}

impl<'a> Scope<'a> {
    /// Makes the scope of a record's own fields.
    pub const fn of(record: &'a Record) -> Self {
        Self { record: &record.fields, entry: None }
    }

    /// Makes the scope of the fields of an entry.
    pub const fn within(record: &'a Record, entry: &'a Entry) -> Self {
        Self { record: &record.fields, entry: Some(&entry.fields) }
    }
}

impl AnswerSource for Scope<'_> {
    fn answer_to(&self, field: &str) -> Option<&Value> {
        self.entry.and_then(|entry| entry.get(field)).or_else(|| self.record.get(field))
    }
}

/// Tells whether a form is displayed.
pub fn displays_form(form: &Form, record: &Record) -> bool {
    form.visible && form.display_if.as_ref().is_none_or(|condition| condition.holds(&record.fields))
}

/// Tells whether a field of a displayed form is displayed.
pub fn displays_field(field: &Field, scope: Scope<'_>) -> bool {
    let by_record = field.display_if_record.as_ref().is_none_or(|condition| condition.holds(scope.record));
    let by_entry = match (&field.display_if_entry, scope.entry) {
        (Some(condition), Some(entry)) => condition.holds(entry),
        _ => true,
    };
    field.visible && by_record && by_entry
}

/// Returns the entries that a field displays, in the order and by the filter of its definition.
pub fn displayed_entries<'a>(usage: &SubformUse, entries: &'a [Entry]) -> Vec<&'a Entry> {
    let displayed = |entry: &&Entry| usage.entries_if.as_ref().is_none_or(|condition| condition.holds(&entry.fields));
    let mut displayed: Vec<&Entry> = entries.iter().filter(displayed).collect();
    if let Some(field) = &usage.sort_by {
        displayed.sort_by_key(|entry| sort_key(entry.fields.get(field)));
    }
    displayed
}

/// Orders answers of one kind: dates and numbers by size, texts by code point; what is missing comes last.
pub(crate) fn sort_key(value: Option<&Value>) -> impl Ord + use<> {
    let text = match value {
        Some(Value::Text(text) | Value::LongText(text) | Value::Choice(text) | Value::Location(text)) => text.clone(),
        Some(Value::Date(date)) => date.to_string(),
        Some(Value::DateRange(range)) => range.from.map(|date| date.to_string()).unwrap_or_default(),
        _ => String::new(),
    };
    let moment = match value {
        Some(Value::DateTime(moment)) => moment.0,
        Some(Value::Boolean(yes)) => i64::from(*yes),
        _ => 0,
    };
    (value.is_none_or(Value::is_blank), value.and_then(Value::number), moment, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        condition::{Comparison, Condition, Literal},
        entry::EntryId,
        field::FieldType,
        record::RecordType,
        text::Translated,
    };

    #[test]
    fn fields_are_displayed_by_the_record_and_by_the_entry() {
        let entry = Entry::new(EntryId([1; 16]), "1").with("kind", Value::choice("other"));
        let record = Record::new(RecordType::Case).with("sex", Value::choice("female"));
        let mut field = Field::new("more", FieldType::Text, Translated::new("en", "More"));
        let scope = Scope::within(&record, &entry);
        assert!(displays_field(&field, scope));
        field.display_if_record = Some(Condition::eq("sex", "female"));
        field.display_if_entry = Some(Condition::eq("kind", "other"));
        assert!(displays_field(&field, scope));
        field.display_if_entry = Some(Condition::eq("kind", "same"));
        assert!(!displays_field(&field, scope));
        assert!(displays_field(&field, Scope::of(&record)));
        field.display_if_record = Some(Condition::eq("sex", "male"));
        assert!(!displays_field(&field, Scope::of(&record)));
    }

    #[test]
    fn entries_are_displayed_in_order_and_filtered() {
        let entry = |id: u8, age: Option<i64>| {
            let entry = Entry::new(EntryId([id; 16]), "1");
            match age {
                Some(age) => entry.with("age", Value::Integer(age)),
                None => entry,
            }
        };
        let entries = [entry(1, Some(10)), entry(2, Some(9)), entry(3, None), entry(4, Some(2))];
        let over = |age| Condition::Gt(Comparison { field: "age".into(), value: Literal::Integer(age) });
        let mut usage = SubformUse {
            id: "members".into(),
            sort_by: Some("age".into()),
            group_by: None,
            fields: vec![],
            entries_if: None,
        };
        let ids = |usage: &SubformUse| -> Vec<u8> {
            displayed_entries(usage, &entries).iter().map(|entry| entry.id.0[0]).collect()
        };
        assert_eq!(ids(&usage), [4, 2, 1, 3]);
        usage.entries_if = Some(over(5));
        assert_eq!(ids(&usage), [2, 1]);
    }
}
