//! The rules of one answer.

use jiff::civil::Date;

use super::Rule;
use crate::{
    configuration::Configuration,
    field::Field,
    limits::{
        MAX_ATTACHMENT_BYTES, MAX_ATTACHMENTS, MAX_CHOICES, MAX_CODE_BYTES, MAX_LONG_TEXT_CHARS, MAX_TALLY_GROUPS,
        MAX_TEXT_CHARS,
    },
    options::accepts,
    value::{Value, ValueKind},
};

/// Checks an answer against its field.
pub(super) fn rules(configuration: &Configuration, field: &Field, value: &Value, today: Date) -> Vec<Rule> {
    let expected = field.value_kind();
    let fits = match value.kind() {
        ValueKind::Deleted => true,
        ValueKind::Decimal => expected == Some(ValueKind::Integer),
        // A summary copies an answer of whatever kind its subform's field has.
        _ if field.summary.is_some() => true,
        found => expected == Some(found),
    };
    if !fits {
        return vec![Rule::WrongKind { expected, found: value.kind() }];
    }
    let mut rules = bounds(value);
    rules.extend(of_value(configuration, field, value, today));
    rules
}

fn of_value(configuration: &Configuration, field: &Field, value: &Value, today: Date) -> Vec<Rule> {
    let mut rules = Vec::new();
    let mut unless = |holds: bool, rule: Rule| {
        if !holds {
            rules.push(rule);
        }
    };
    let unknown = || Rule::UnknownOption;
    match value {
        Value::Text(text) if field.phone_number && !text.trim().is_empty() => {
            unless(is_phone_number(text), Rule::NotAPhoneNumber);
        }
        Value::Integer(_) | Value::Decimal(_) => {
            let number = value.number();
            if let Some(minimum) = &field.minimum {
                unless(number.as_ref() >= Some(minimum), Rule::BelowMinimum { minimum: minimum.clone() });
            }
            if let Some(maximum) = &field.maximum {
                unless(number.as_ref() <= Some(maximum), Rule::AboveMaximum { maximum: maximum.clone() });
            }
        }
        Value::Date(date) if field.not_in_future => unless(*date <= today, Rule::InFuture),
        Value::DateTime(moment) if field.not_in_future => unless(is_by_end_of(moment.0, today), Rule::InFuture),
        Value::DateRange(range) => {
            let days = [range.from, range.to];
            let past = days.into_iter().flatten().all(|date| date <= today);
            unless(!field.not_in_future || past, Rule::InFuture);
            unless(!matches!((range.from, range.to), (Some(from), Some(to)) if from > to), Rule::Reversed);
        }
        Value::Choice(code) | Value::Location(code) if field.summary.is_none() => {
            unless(accepts(configuration, field, code), unknown());
        }
        Value::Choices(codes) if field.summary.is_none() => {
            unless(codes.iter().all(|code| accepts(configuration, field, code)), unknown());
        }
        Value::Tally(tally) => {
            let known = |code: &String| field.groups.iter().any(|group| group.code == *code);
            unless(tally.keys().all(known), Rule::UnknownGroup);
            unless(tally.values().all(|count| *count >= 0), Rule::NegativeCount);
        }
        _ => {}
    }
    rules
}

/// Checks the size of an answer, whatever its field.
pub(super) fn bounds(value: &Value) -> Vec<Rule> {
    let within = |found: usize, max: usize, rule: Rule| if found > max { vec![rule] } else { vec![] };
    match value {
        Value::Text(text) => {
            let mut rules = within(text.chars().count(), MAX_TEXT_CHARS, Rule::TooLong { max: MAX_TEXT_CHARS });
            if text.chars().any(char::is_control) {
                rules.push(Rule::ControlCharacters);
            }
            rules
        }
        Value::LongText(text) => {
            within(text.chars().count(), MAX_LONG_TEXT_CHARS, Rule::TooLong { max: MAX_LONG_TEXT_CHARS })
        }
        Value::Choice(code) | Value::Location(code) => {
            within(code.len(), MAX_CODE_BYTES, Rule::TooLong { max: MAX_CODE_BYTES })
        }
        Value::Choices(codes) => {
            let mut rules = within(codes.len(), MAX_CHOICES, Rule::TooMany { max: MAX_CHOICES });
            let longest = codes.iter().map(String::len).max().unwrap_or(0);
            rules.extend(within(longest, MAX_CODE_BYTES, Rule::TooLong { max: MAX_CODE_BYTES }));
            rules
        }
        Value::Tally(tally) => {
            let mut rules = within(tally.len(), MAX_TALLY_GROUPS, Rule::TooMany { max: MAX_TALLY_GROUPS });
            let longest = tally.keys().map(String::len).max().unwrap_or(0);
            rules.extend(within(longest, MAX_CODE_BYTES, Rule::TooLong { max: MAX_CODE_BYTES }));
            rules
        }
        Value::Attachments(list) => {
            let mut rules = within(list.len(), MAX_ATTACHMENTS, Rule::TooMany { max: MAX_ATTACHMENTS });
            for attachment in list.values() {
                if attachment.size_bytes > MAX_ATTACHMENT_BYTES {
                    rules.push(Rule::TooLarge { max: MAX_ATTACHMENT_BYTES });
                }
                let texts = [&attachment.name, &attachment.media_type, &attachment.note];
                if texts.iter().any(|text| text.chars().count() > MAX_TEXT_CHARS) {
                    rules.push(Rule::TooLong { max: MAX_TEXT_CHARS });
                }
            }
            rules
        }
        _ => vec![],
    }
}

/// Tells whether a text looks like a telephone number: 5 to 20 digits of any script, with `+ - ( ) .` and spaces.
fn is_phone_number(text: &str) -> bool {
    let digits = text.chars().filter(|c| c.is_numeric()).count();
    (5..=20).contains(&digits) && text.chars().all(|c| c.is_numeric() || "+-(). ".contains(c))
}

/// Tells whether a moment lies before the end of a day, anywhere on earth.
fn is_by_end_of(moment_ms: i64, today: Date) -> bool {
    let westernmost = jiff::tz::Offset::constant(-12);
    let Ok(end) = westernmost.to_timestamp(today.at(23, 59, 59, 999_999_999)) else { return true };
    moment_ms <= end.as_millisecond()
}
