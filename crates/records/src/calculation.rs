//! Answers that are computed from other answers: calculated fields, summaries of entries, sums by group, defaults.

use std::collections::BTreeMap;

use jiff::civil::Date;
use vereda_base::Timestamp;

use crate::{
    arithmetic,
    condition::{Answers, Literal},
    configuration::Configuration,
    decimal::Decimal,
    field::{DefaultAnswer, Field},
    form::Form,
    path::FieldPath,
    record::Record,
    value::{Value, ValueKind},
    visibility::sort_key,
};

/// Passes over the fields: a calculation may use another that stands below it, so many deep.
const MAX_PASSES: usize = 4;

/// Computes every calculated field and summary. Returns those whose answer would change, with the new answer
/// ([`Value::Deleted`] where there is none any more). Applying what it returns leaves nothing to return.
pub fn calculate(configuration: &Configuration, record: &Record, today: Date) -> Vec<(FieldPath, Value)> {
    let mut computed = record.clone();
    for _ in 0..MAX_PASSES {
        let changes = one_pass(configuration, &computed, today);
        if changes.is_empty() {
            break;
        }
        for (path, value) in changes {
            set(&mut computed, &path, value);
        }
    }
    let forms = configuration.forms.iter().filter(|form| form.record_type == record.record_type);
    let mut paths: Vec<FieldPath> = forms.flat_map(|form| computed_paths(configuration, record, form)).collect();
    paths.sort();
    paths.dedup();
    let changed = paths.into_iter().filter(|path| record.at(path) != computed.at(path));
    changed.map(|path| (path.clone(), computed.at(&path).cloned().unwrap_or(Value::Deleted))).collect()
}

/// Returns the totals of a form's numbers and tallies by their group of sums.
pub fn sums(form: &Form, answers: &Answers) -> BTreeMap<String, Decimal> {
    let mut groups: BTreeMap<String, Vec<Decimal>> = BTreeMap::new();
    for field in &form.fields {
        let Some(group) = &field.sum_group else { continue };
        let numbers: Vec<Decimal> = match answers.get(&field.name) {
            Some(Value::Tally(tally)) => tally.values().map(|count| Decimal::from(*count)).collect(),
            Some(value) => value.number().into_iter().collect(),
            None => continue,
        };
        groups.entry(group.clone()).or_default().extend(numbers);
    }
    groups.into_iter().filter_map(|(group, numbers)| Some((group, arithmetic::sum(numbers)?))).collect()
}

/// Returns the answer that a field has in a new record or entry, where its definition gives one.
pub fn default_answer(field: &Field, today: Date, now: Timestamp) -> Option<Value> {
    let kind = field.value_kind()?;
    match (field.default.as_ref()?, kind) {
        (DefaultAnswer::Today | DefaultAnswer::Now, ValueKind::Date) => Some(Value::Date(today)),
        (DefaultAnswer::Today | DefaultAnswer::Now, ValueKind::DateTime) => Some(Value::DateTime(now)),
        (DefaultAnswer::Value(literal), kind) => constant(literal, kind),
        _ => None,
    }
}

fn constant(literal: &Literal, kind: ValueKind) -> Option<Value> {
    let text = |literal: &Literal| match literal {
        Literal::Text(text) => Some(text.clone()),
        Literal::Integer(number) => Some(number.to_string()),
        Literal::Boolean(yes) => Some(yes.to_string()),
        Literal::List(_) => None,
    };
    Some(match (literal, kind) {
        (Literal::Boolean(yes), ValueKind::Boolean) => Value::Boolean(*yes),
        (Literal::Integer(number), ValueKind::Integer) => Value::Integer(*number),
        (Literal::Text(number), ValueKind::Integer) => number_value(&number.parse().ok()?),
        (Literal::List(codes), ValueKind::Choices) => Value::Choices(codes.iter().filter_map(text).collect()),
        (literal, ValueKind::Choices) => Value::Choices([text(literal)?].into()),
        (literal, ValueKind::Choice) => Value::Choice(text(literal)?),
        (literal, ValueKind::Location) => Value::Location(text(literal)?),
        (literal, ValueKind::Text) => Value::Text(text(literal)?),
        (literal, ValueKind::LongText) => Value::LongText(text(literal)?),
        (literal, ValueKind::Boolean) => Value::Boolean(text(literal)?.parse().ok()?),
        (literal, ValueKind::Date) => Value::Date(text(literal)?.parse().ok()?),
        _ => return None,
    })
}

/// Returns a number as a whole one where it is.
pub(crate) fn number_value(number: &Decimal) -> Value {
    number.as_str().parse().map_or_else(|_| Value::Decimal(number.clone()), Value::Integer)
}

fn one_pass(configuration: &Configuration, record: &Record, today: Date) -> Vec<(FieldPath, Value)> {
    let mut changes = Vec::new();
    let mut compare = |path: FieldPath, computed: Option<Value>| {
        if record.at(&path) != computed.as_ref() {
            changes.push((path, computed.unwrap_or(Value::Deleted)));
        }
    };
    for form in configuration.forms.iter().filter(|form| form.record_type == record.record_type) {
        for field in &form.fields {
            if is_computed(field) {
                compare(FieldPath::field(&field.name), computed(field, record, &record.fields, today));
            }
            let Some(subform) = field.subform.as_ref().and_then(|usage| configuration.subform(&usage.id)) else {
                continue;
            };
            for inner in subform.fields.iter().filter(|inner| is_computed(inner)) {
                for entry in record.entries(&field.name) {
                    let path = FieldPath::within(&field.name, entry.id, &inner.name);
                    compare(path, computed(inner, record, &entry.fields, today));
                }
            }
        }
    }
    changes
}

fn computed_paths(configuration: &Configuration, record: &Record, form: &Form) -> Vec<FieldPath> {
    let mut paths = Vec::new();
    for field in &form.fields {
        if is_computed(field) {
            paths.push(FieldPath::field(&field.name));
        }
        let subform = field.subform.as_ref().and_then(|usage| configuration.subform(&usage.id));
        for inner in subform.map_or(&[][..], |subform| &subform.fields).iter().filter(|inner| is_computed(inner)) {
            let entries = record.entries(&field.name).iter();
            paths.extend(entries.map(|entry| FieldPath::within(&field.name, entry.id, &inner.name)));
        }
    }
    paths
}

const fn is_computed(field: &Field) -> bool {
    field.calculation.is_some() || field.summary.is_some()
}

fn computed(field: &Field, record: &Record, answers: &Answers, today: Date) -> Option<Value> {
    if let Some(summary) = &field.summary {
        let answered = record.entries(&summary.subform_field).iter();
        let mut answered: Vec<_> = answered
            .filter(|entry| entry.fields.get(&summary.order_by).is_some_and(|value| !value.is_blank()))
            .collect();
        answered.sort_by(|a, b| {
            let order = sort_key(a.fields.get(&summary.order_by)).cmp(&sort_key(b.fields.get(&summary.order_by)));
            if summary.descending { order.reverse() } else { order }
        });
        return answered.first()?.fields.get(&summary.field).filter(|value| !value.is_blank()).cloned();
    }
    Some(number_value(&field.calculation.as_ref()?.compute(answers, today)?))
}

fn set(record: &mut Record, path: &FieldPath, value: Value) {
    match (path.entry, &path.subfield) {
        (None, _) => {
            record.fields.insert(path.field.clone(), value);
        }
        (Some(id), Some(subfield)) => {
            if let Some(Value::Subform(entries)) = record.fields.get_mut(&path.field)
                && let Some(entry) = entries.iter_mut().find(|entry| entry.id == id)
            {
                entry.fields.insert(subfield.clone(), value);
            }
        }
        (Some(_), None) => {}
    }
}
