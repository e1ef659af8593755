//! Answers as Automerge scalars, and back.
//!
//! | Answer | Scalar |
//! | --- | --- |
//! | whole number, yes or no, moment | integer, boolean, timestamp in milliseconds |
//! | text, choice, location, decimal, day, days | string, after one lower-case letter |
//! | long text, choices, tally, subform, attachments | one upper-case letter: the content lies in the other maps |
//! | taken away | null |

use automerge::ScalarValue;
use vereda_base::Timestamp;
use vereda_records::{Attachment, DateRange, Value, ValueKind};

/// What one register holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Register {
    /// An answer.
    Answer(Value),
    /// An answer of a kind whose content lies in the other maps.
    Elsewhere(ValueKind),
}

/// Writes the register of an answer; what lies elsewhere leaves only its kind.
pub(crate) fn write(value: &Value) -> ScalarValue {
    match value {
        Value::Deleted => ScalarValue::Null,
        Value::Integer(number) => ScalarValue::Int(*number),
        Value::Boolean(flag) => ScalarValue::Boolean(*flag),
        Value::DateTime(moment) => ScalarValue::Timestamp(moment.0),
        Value::Text(text) => tagged('t', text),
        Value::Choice(code) => tagged('c', code),
        Value::Location(code) => tagged('l', code),
        Value::Decimal(number) => tagged('n', number.as_str()),
        Value::Date(day) => tagged('d', &day.to_string()),
        Value::DateRange(range) => {
            let day = |day: Option<_>| day.map(|day: jiff::civil::Date| day.to_string()).unwrap_or_default();
            tagged('r', &format!("{}/{}", day(range.from), day(range.to)))
        }
        Value::LongText(_) => tagged('L', ""),
        Value::Choices(_) => tagged('C', ""),
        Value::Tally(_) => tagged('T', ""),
        Value::Subform(_) => tagged('S', ""),
        Value::Attachments(_) => tagged('A', ""),
    }
}

fn tagged(tag: char, text: &str) -> ScalarValue {
    ScalarValue::Str(format!("{tag}{text}").into())
}

/// Reads a register; none for what only a newer version can read.
pub(crate) fn read(scalar: &ScalarValue) -> Option<Register> {
    let value = match scalar {
        ScalarValue::Null => Value::Deleted,
        ScalarValue::Int(number) => Value::Integer(*number),
        ScalarValue::Boolean(flag) => Value::Boolean(*flag),
        ScalarValue::Timestamp(moment) => Value::DateTime(Timestamp(*moment)),
        ScalarValue::Str(text) => return read_tagged(text),
        _ => return None,
    };
    Some(Register::Answer(value))
}

fn read_tagged(text: &str) -> Option<Register> {
    let mut rest = text.chars();
    let tag = rest.next()?;
    let rest = rest.as_str();
    let value = match tag {
        't' => Value::Text(rest.to_owned()),
        'c' => Value::Choice(rest.to_owned()),
        'l' => Value::Location(rest.to_owned()),
        'n' => Value::Decimal(rest.parse().ok()?),
        'd' => Value::Date(rest.parse().ok()?),
        'r' => {
            let (from, to) = rest.split_once('/')?;
            let day = |text: &str| if text.is_empty() { Some(None) } else { text.parse().ok().map(Some) };
            Value::DateRange(DateRange { from: day(from)?, to: day(to)? })
        }
        _ => {
            let kind = match text {
                "L" => ValueKind::LongText,
                "C" => ValueKind::Choices,
                "T" => ValueKind::Tally,
                "S" => ValueKind::Subform,
                "A" => ValueKind::Attachments,
                _ => return None,
            };
            return Some(Register::Elsewhere(kind));
        }
    };
    Some(Register::Answer(value))
}

/// What one member of an answer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Member {
    /// A choice is picked, or not.
    Choice(bool),
    /// A group's count.
    Count(i64),
    /// An attachment.
    Attachment(Box<Attachment>),
    /// Taken away.
    Gone,
}

pub(crate) fn write_member(member: &Member) -> Option<ScalarValue> {
    Some(match member {
        Member::Choice(picked) => ScalarValue::Boolean(*picked),
        Member::Count(count) => ScalarValue::Int(*count),
        Member::Attachment(attachment) => ScalarValue::Str(serde_json::to_string(attachment).ok()?.into()),
        Member::Gone => ScalarValue::Null,
    })
}

pub(crate) fn read_member(scalar: &ScalarValue) -> Option<Member> {
    Some(match scalar {
        ScalarValue::Boolean(picked) => Member::Choice(*picked),
        ScalarValue::Int(count) => Member::Count(*count),
        ScalarValue::Str(text) => Member::Attachment(Box::new(serde_json::from_str(text).ok()?)),
        ScalarValue::Null => Member::Gone,
        _ => return None,
    })
}

/// Writes the register of an entry: its order key and a mark that differs from the one before.
pub(crate) fn write_entry(order: &str, mark: bool) -> ScalarValue {
    ScalarValue::Str(if mark { format!("{order}~") } else { order.to_owned() }.into())
}

/// Reads the register of an entry into order key and mark; none where it was removed.
pub(crate) fn read_entry(scalar: &ScalarValue) -> Option<(&str, bool)> {
    match scalar {
        ScalarValue::Str(text) => Some(text.strip_suffix('~').map_or((text.as_str(), false), |order| (order, true))),
        _ => None,
    }
}
