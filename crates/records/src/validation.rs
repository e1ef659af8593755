//! What is wrong with a record, each with a path to the field and never with the value.

mod answer;

use std::{collections::BTreeSet, fmt};

use jiff::civil::Date;

use crate::{
    configuration::Configuration,
    decimal::Decimal,
    entry::{Entry, EntryId},
    field::Field,
    form::Form,
    limits::{MAX_ATTACHMENTS, MAX_ENTRIES},
    order,
    path::FieldPath,
    record::Record,
    value::{Value, ValueKind},
    visibility::{Scope, displays_field, displays_form},
};

/// Something that is wrong with a record. Text form: `family/members[<entry id>]/age: not above 130`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Id of the form that shows the field; none for answers of the record as a whole.
    pub form: Option<String>,
    /// The answer.
    pub path: FieldPath,
    /// The rule that it breaks.
    pub rule: Rule,
}

/// The rules of answers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rule {
    /// A required field has no answer.
    #[error("an answer is required")]
    Required,
    /// The value is of another kind than the field.
    #[error("{found} where {} belongs", expected.map_or("nothing", ValueKind::as_str))]
    WrongKind {
        /// The field's kind; none for a field that has no answer.
        expected: Option<ValueKind>,
        /// The value's.
        found: ValueKind,
    },
    /// A text or code is too long.
    #[error("longer than {max}")]
    TooLong {
        /// The bound, in characters for texts, bytes for codes.
        max: usize,
    },
    /// Too many choices, entries, groups or attachments.
    #[error("more than {max}")]
    TooMany {
        /// The bound.
        max: usize,
    },
    /// A one-line text has a line break or another control character.
    #[error("control characters in a one-line text")]
    ControlCharacters,
    /// The number is below the smallest allowed.
    #[error("not below {minimum}")]
    BelowMinimum {
        /// The smallest allowed.
        minimum: Decimal,
    },
    /// The number is above the largest allowed.
    #[error("not above {maximum}")]
    AboveMaximum {
        /// The largest allowed.
        maximum: Decimal,
    },
    /// The date is after today.
    #[error("a date after today")]
    InFuture,
    /// The first day is after the last.
    #[error("the first day is after the last")]
    Reversed,
    /// No such option.
    #[error("no such option")]
    UnknownOption,
    /// No such group in the tally.
    #[error("no such group")]
    UnknownGroup,
    /// A tally counts below zero.
    #[error("a count below zero")]
    NegativeCount,
    /// Not a telephone number.
    #[error("not a telephone number")]
    NotAPhoneNumber,
    /// Two entries have one id.
    #[error("an entry id twice")]
    EntryTwice,
    /// An entry's order key is none.
    #[error("not an order key")]
    NotAnOrder,
    /// An entry holds entries.
    #[error("subforms do not nest")]
    Nested,
    /// An attachment is too large.
    #[error("an attachment of more than {max} bytes")]
    TooLarge {
        /// The bound, in bytes.
        max: u64,
    },
    /// An entry that may only be added was changed or taken away.
    #[error("entries here are only added")]
    AppendOnly,
    /// An entry that may not be taken away was.
    #[error("entries here are not taken away")]
    Kept,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(form) = &self.form {
            write!(f, "{form}/")?;
        }
        write!(f, "{}: {}", self.path, self.rule)
    }
}

/// Checks a record. Answers to fields that the configuration does not know are kept, and checked for size only; fields
/// that are not displayed are not required.
pub fn validate(configuration: &Configuration, record: &Record, today: Date) -> Vec<Violation> {
    let mut found = Found { configuration, today, violations: vec![] };
    found.answers(record);
    for form in configuration.forms.iter().filter(|form| form.record_type == record.record_type) {
        if displays_form(form, record) {
            found.required(form, record);
        }
    }
    found.violations
}

/// Returns the fields of displayed forms that are mandatory for completion and have no answer.
pub fn incomplete(configuration: &Configuration, record: &Record) -> Vec<(String, FieldPath)> {
    let forms = configuration.forms.iter().filter(|form| form.record_type == record.record_type);
    let mut missing = Vec::new();
    for form in forms.filter(|form| displays_form(form, record)) {
        each_displayed(configuration, form, record, &mut |field, path, value| {
            if field.mandatory_for_completion && value.is_none_or(Value::is_blank) {
                missing.push((form.id.clone(), path));
            }
        });
    }
    missing
}

/// Checks a change by the rules of subforms: whose entries are only added, whose are not taken away.
pub fn validate_change(configuration: &Configuration, before: &Record, after: &Record) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (name, value) in &before.fields {
        let (Value::Subform(entries), Some((form, _))) = (value, configuration.field(before.record_type, name)) else {
            continue;
        };
        let Some(subform) = configuration.subform_of(before.record_type, name) else { continue };
        for entry in entries {
            let rule = match after.entry(name, entry.id) {
                None if subform.entries.append_only => Rule::AppendOnly,
                None if subform.entries.keep => Rule::Kept,
                Some(other) if subform.entries.append_only && other.fields != entry.fields => Rule::AppendOnly,
                _ => continue,
            };
            violations.push(Violation { form: Some(form.id.clone()), path: FieldPath::entry(name, entry.id), rule });
        }
    }
    violations
}

struct Found<'a> {
    configuration: &'a Configuration,
    today: Date,
    violations: Vec<Violation>,
}

impl Found<'_> {
    fn report(&mut self, form: Option<&Form>, path: &FieldPath, rules: Vec<Rule>) {
        let form = form.map(|form| form.id.clone());
        let violation = |rule| Violation { form: form.clone(), path: path.clone(), rule };
        self.violations.extend(rules.into_iter().map(violation));
    }

    fn answers(&mut self, record: &Record) {
        let mut attachments = 0usize;
        for (name, value) in &record.fields {
            let path = FieldPath::field(name);
            let definition = self.configuration.field(record.record_type, name);
            let form = definition.map(|(form, _)| form);
            let rules = match definition {
                Some((_, field)) => answer::rules(self.configuration, field, value, self.today),
                None => answer::bounds(value),
            };
            self.report(form, &path, rules);
            match value {
                Value::Attachments(list) => attachments = attachments.saturating_add(list.len()),
                Value::Subform(entries) => {
                    let subform = self.configuration.subform_of(record.record_type, name);
                    attachments = attachments.saturating_add(self.entries(form, subform, name, entries));
                    if entries.len() > MAX_ENTRIES {
                        self.report(form, &path, vec![Rule::TooMany { max: MAX_ENTRIES }]);
                    }
                }
                _ => {}
            }
            if attachments > MAX_ATTACHMENTS {
                self.report(form, &path, vec![Rule::TooMany { max: MAX_ATTACHMENTS }]);
                attachments = 0;
            }
        }
    }

    /// Checks entries, and returns how many attachments they hold.
    fn entries(&mut self, form: Option<&Form>, subform: Option<&Form>, name: &str, entries: &[Entry]) -> usize {
        let mut ids: BTreeSet<EntryId> = BTreeSet::new();
        let mut attachments = 0usize;
        for entry in entries {
            let path = FieldPath::entry(name, entry.id);
            if !ids.insert(entry.id) {
                self.report(form, &path, vec![Rule::EntryTwice]);
            }
            if !order::is_key(&entry.order) {
                self.report(form, &path, vec![Rule::NotAnOrder]);
            }
            for (inner, value) in &entry.fields {
                let rules = match subform.and_then(|subform| subform.field(inner)) {
                    _ if matches!(value, Value::Subform(_)) => vec![Rule::Nested],
                    Some(field) => answer::rules(self.configuration, field, value, self.today),
                    None => answer::bounds(value),
                };
                self.report(form, &FieldPath::within(name, entry.id, inner), rules);
                if let Value::Attachments(list) = value {
                    attachments = attachments.saturating_add(list.len());
                }
            }
        }
        attachments
    }

    fn required(&mut self, form: &Form, record: &Record) {
        let mut missing = Vec::new();
        each_displayed(self.configuration, form, record, &mut |field, path, value| {
            if field.required && value.is_none_or(Value::is_blank) {
                missing.push(path);
            }
        });
        for path in missing {
            self.report(Some(form), &path, vec![Rule::Required]);
        }
    }
}

/// Calls back for each displayed field that people answer, in the record and in the entries of its subforms.
fn each_displayed(
    configuration: &Configuration,
    form: &Form,
    record: &Record,
    visit: &mut dyn FnMut(&Field, FieldPath, Option<&Value>),
) {
    let answered = |field: &&Field| field.field_type.has_answer() && !field.disabled && field.calculation.is_none();
    for field in form.fields.iter().filter(answered) {
        if !displays_field(field, Scope::of(record)) {
            continue;
        }
        visit(field, FieldPath::field(&field.name), record.answer(&field.name));
        let Some(usage) = &field.subform else { continue };
        let Some(subform) = configuration.subform(&usage.id) else { continue };
        for entry in record.entries(&field.name) {
            for inner in subform.fields.iter().filter(answered) {
                let shown = usage.fields.is_empty() || usage.fields.contains(&inner.name);
                if shown && displays_field(inner, Scope::within(record, entry)) {
                    let path = FieldPath::within(&field.name, entry.id, &inner.name);
                    visit(inner, path, entry.fields.get(&inner.name));
                }
            }
        }
    }
}
