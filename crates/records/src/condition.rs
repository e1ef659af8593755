//! Conditions over answers: trees of `eq gt ge lt le in and or not`.
//!
//! Pure and total: a comparison with a missing answer, or between kinds that do not compare, does not hold. Two
//! exceptions: `eq false` holds where nothing was answered, and `not` turns round whatever it is given.

use std::{cmp::Ordering, collections::BTreeMap};

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::{decimal::Decimal, limits::MAX_EXPRESSION_DEPTH, value::Value};

/// Answers by field name, of a record or of one entry.
pub type Answers = BTreeMap<String, Value>;

/// Where a condition finds answers: [`Answers`], or an entry with its record behind it.
pub trait AnswerSource {
    /// Returns the answer to a field.
    fn answer_to(&self, field: &str) -> Option<&Value>;
}

impl AnswerSource for Answers {
    fn answer_to(&self, field: &str) -> Option<&Value> {
        self.get(field)
    }
}

/// A condition over answers. JSON: `{"eq":{"field":"sex","value":"female"}}`, `{"and":[…]}`, `{"not":{…}}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// The answer is equal.
    Eq(Comparison),
    /// The answer is greater: numbers and dates.
    Gt(Comparison),
    /// The answer is greater or equal: numbers and dates.
    Ge(Comparison),
    /// The answer is less: numbers and dates.
    Lt(Comparison),
    /// The answer is less or equal: numbers and dates.
    Le(Comparison),
    /// The answer is one of a list; a many-choice answer holds all of the list.
    In(Comparison),
    /// All hold.
    And(Vec<Condition>),
    /// One holds.
    Or(Vec<Condition>),
    /// The inner one does not hold.
    Not(Box<Condition>),
}

/// A field and what its answer is compared with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Comparison {
    /// Field name, in the record or entry that the condition is about.
    pub field: String,
    /// What to compare with.
    pub value: Literal,
}

/// A constant in an expression or a default. Dates are texts such as `2024-05-01`, decimals texts such as `1.5`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Literal {
    /// Yes or no.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// A text, code, date or decimal.
    Text(String),
    /// Several.
    List(Vec<Literal>),
}

impl Condition {
    /// Makes the condition that a field is equal to a text.
    pub fn eq(field: impl Into<String>, text: impl Into<String>) -> Self {
        Self::Eq(Comparison { field: field.into(), value: Literal::Text(text.into()) })
    }

    /// Evaluates over answers. A tree deeper than [`MAX_EXPRESSION_DEPTH`] does not hold.
    pub fn holds(&self, answers: &dyn AnswerSource) -> bool {
        self.holds_to(answers, MAX_EXPRESSION_DEPTH).unwrap_or(false)
    }

    fn holds_to(&self, answers: &dyn AnswerSource, depth: usize) -> Option<bool> {
        let depth = depth.checked_sub(1)?;
        let order = |comparison: &Comparison, wanted: &[Ordering]| {
            let found = answers.answer_to(&comparison.field).and_then(|value| compare(value, &comparison.value));
            found.is_some_and(|found| wanted.contains(&found))
        };
        Some(match self {
            Self::Eq(comparison) => equals(answers.answer_to(&comparison.field), &comparison.value),
            Self::Gt(comparison) => order(comparison, &[Ordering::Greater]),
            Self::Ge(comparison) => order(comparison, &[Ordering::Greater, Ordering::Equal]),
            Self::Lt(comparison) => order(comparison, &[Ordering::Less]),
            Self::Le(comparison) => order(comparison, &[Ordering::Less, Ordering::Equal]),
            Self::In(comparison) => is_in(answers.answer_to(&comparison.field), &comparison.value),
            Self::And(inner) => {
                let held: Option<Vec<bool>> = inner.iter().map(|inner| inner.holds_to(answers, depth)).collect();
                held?.into_iter().all(|held| held)
            }
            Self::Or(inner) => {
                let held: Option<Vec<bool>> = inner.iter().map(|inner| inner.holds_to(answers, depth)).collect();
                held?.into_iter().any(|held| held)
            }
            Self::Not(inner) => !inner.holds_to(answers, depth)?,
        })
    }

    /// Returns the fields that the tree names, each with the operator and constant, and its depth.
    pub fn comparisons(&self) -> Vec<&Comparison> {
        match self {
            Self::Eq(one) | Self::Gt(one) | Self::Ge(one) | Self::Lt(one) | Self::Le(one) | Self::In(one) => vec![one],
            Self::And(inner) | Self::Or(inner) => inner.iter().flat_map(Self::comparisons).collect(),
            Self::Not(inner) => inner.comparisons(),
        }
    }

    /// Returns the depth of the tree; a comparison alone is 1.
    pub fn depth(&self) -> usize {
        match self {
            Self::And(inner) | Self::Or(inner) => inner.iter().map(Self::depth).max().unwrap_or(0).saturating_add(1),
            Self::Not(inner) => inner.depth().saturating_add(1),
            _ => 1,
        }
    }
}

fn equals(value: Option<&Value>, literal: &Literal) -> bool {
    let value = value.filter(|value| !matches!(value, Value::Deleted));
    match (value, literal) {
        (None, Literal::Boolean(false)) => true,
        (None, _) => false,
        (Some(Value::Boolean(found)), Literal::Boolean(wanted)) => found == wanted,
        // Yes-or-no lists are choices whose codes are spelled like booleans.
        (Some(Value::Choice(found)), Literal::Boolean(wanted)) => *found == wanted.to_string(),
        (Some(Value::Boolean(found)), Literal::Text(wanted)) => found.to_string() == *wanted,
        (Some(Value::Choices(found)), Literal::List(wanted)) => {
            found.len() == wanted.len() && wanted.iter().all(|one| text(one).is_some_and(|code| found.contains(code)))
        }
        (Some(Value::Choices(found)), Literal::Text(wanted)) => found.len() == 1 && found.contains(wanted),
        (Some(Value::Text(found) | Value::LongText(found) | Value::Choice(found) | Value::Location(found)), _) => {
            text(literal) == Some(found)
        }
        (Some(value), literal) => compare(value, literal) == Some(Ordering::Equal),
    }
}

fn is_in(value: Option<&Value>, literal: &Literal) -> bool {
    let one = [literal.clone()];
    let wanted = match literal {
        Literal::List(wanted) => wanted.as_slice(),
        _ => &one,
    };
    match value {
        Some(Value::Choices(found)) => {
            !wanted.is_empty() && wanted.iter().all(|one| text(one).is_some_and(|code| found.contains(code)))
        }
        value => wanted.iter().any(|one| equals(value, one)),
    }
}

fn compare(value: &Value, literal: &Literal) -> Option<Ordering> {
    match value {
        Value::Integer(_) | Value::Decimal(_) => Some(value.number()?.cmp(&number(literal)?)),
        Value::Date(found) => Some(found.cmp(&text(literal)?.parse::<Date>().ok()?)),
        Value::DateTime(found) => {
            let wanted: jiff::Timestamp = match text(literal)?.parse() {
                Ok(moment) => moment,
                Err(_) => {
                    let midnight = text(literal)?.parse::<Date>().ok()?.at(0, 0, 0, 0);
                    jiff::tz::TimeZone::UTC.to_timestamp(midnight).ok()?
                }
            };
            Some(found.0.cmp(&wanted.as_millisecond()))
        }
        _ => None,
    }
}

fn text(literal: &Literal) -> Option<&String> {
    match literal {
        Literal::Text(text) => Some(text),
        _ => None,
    }
}

fn number(literal: &Literal) -> Option<Decimal> {
    match literal {
        Literal::Integer(number) => Some(Decimal::from(*number)),
        Literal::Text(text) => text.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers() -> Answers {
        Answers::from([
            ("sex".into(), Value::choice("female")),
            ("age".into(), Value::Integer(9)),
            ("weight".into(), Value::Decimal("10.5".parse().unwrap())),
            ("born".into(), Value::Date("2015-03-01".parse().unwrap())),
            ("risks".into(), Value::Choices(["a".into(), "b".into()].into())),
            ("gone".into(), Value::Deleted),
            ("alone".into(), Value::Boolean(true)),
            ("seen".into(), Value::DateTime(vereda_base::Timestamp(1_000))),
        ])
    }

    #[test]
    fn conditions_hold_as_written() {
        let check = |json: &str, expected: bool| {
            let condition: Condition = serde_json::from_str(json).unwrap();
            assert_eq!(condition.holds(&answers()), expected, "{json}");
            assert_eq!(serde_json::to_string(&condition).unwrap(), json);
        };
        check(r#"{"eq":{"field":"sex","value":"female"}}"#, true);
        check(r#"{"eq":{"field":"sex","value":"male"}}"#, false);
        check(r#"{"eq":{"field":"alone","value":true}}"#, true);
        check(r#"{"eq":{"field":"nothing","value":false}}"#, true);
        check(r#"{"eq":{"field":"gone","value":false}}"#, true);
        check(r#"{"gt":{"field":"age","value":8}}"#, true);
        check(r#"{"ge":{"field":"age","value":9}}"#, true);
        check(r#"{"lt":{"field":"weight","value":"10.50"}}"#, false);
        check(r#"{"le":{"field":"weight","value":"10.50"}}"#, true);
        check(r#"{"lt":{"field":"born","value":"2015-03-02"}}"#, true);
        check(r#"{"gt":{"field":"seen","value":"1970-01-01"}}"#, true);
        check(r#"{"gt":{"field":"sex","value":"a"}}"#, false);
        check(r#"{"in":{"field":"sex","value":["male","female"]}}"#, true);
        check(r#"{"in":{"field":"risks","value":["a","b"]}}"#, true);
        check(r#"{"in":{"field":"risks","value":["a","c"]}}"#, false);
        check(r#"{"eq":{"field":"risks","value":["b","a"]}}"#, true);
        check(r#"{"and":[{"ge":{"field":"age","value":5}},{"not":{"eq":{"field":"sex","value":"male"}}}]}"#, true);
        check(r#"{"or":[]}"#, false);
        check(r#"{"and":[]}"#, true);
    }

    #[test]
    fn a_tree_too_deep_never_holds() {
        let mut condition = Condition::eq("sex", "female");
        for _ in 0..MAX_EXPRESSION_DEPTH {
            condition = Condition::Not(Box::new(condition));
        }
        assert!(!condition.holds(&answers()));
        assert!(!Condition::Not(Box::new(condition)).holds(&answers()));
    }
}
