//! Calculations over answers: trees of `sum` and `avg`, ages from dates, counts of entries.
//!
//! Exact: numbers are scaled integers with nine digits of fraction, so that every device computes the same digits.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::{condition::Answers, decimal::Decimal, limits::MAX_EXPRESSION_DEPTH, value::Value};

/// A number computed from answers. JSON: `{"sum":[{"field":"boys"},{"field":"girls"}]}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arithmetic {
    /// The number answered to a field; the total of a tally.
    Field(String),
    /// A constant.
    Constant(Decimal),
    /// The sum of those that have a number.
    Sum(Vec<Arithmetic>),
    /// The mean of those that have a number.
    Avg(Vec<Arithmetic>),
    /// Whole years from the date answered to a field until today.
    YearsSince(String),
    /// Entries of a subform, choices of a many-choice answer, attachments.
    Count(String),
}

/// What a calculated field shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calculation {
    /// The tree.
    pub expression: Arithmetic,
    /// Digits after the point, 0 to 9, rounded half away from zero. Without it, as many as it takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decimals: Option<u8>,
}

const SCALE_DIGITS: u32 = 9;
const SCALE: i128 = 1_000_000_000;

impl Calculation {
    /// Computes over answers. Nothing where no operand has a number, or the result is beyond all bounds.
    pub fn compute(&self, answers: &Answers, today: Date) -> Option<Decimal> {
        let scaled = scaled(&self.expression, answers, today, MAX_EXPRESSION_DEPTH)?;
        unscale(round(scaled, self.decimals.map_or(SCALE_DIGITS, u32::from).min(SCALE_DIGITS))?)
    }
}

impl Arithmetic {
    /// Returns the fields that the tree names.
    pub fn fields(&self) -> Vec<&str> {
        match self {
            Self::Field(field) | Self::YearsSince(field) | Self::Count(field) => vec![field],
            Self::Constant(_) => vec![],
            Self::Sum(inner) | Self::Avg(inner) => inner.iter().flat_map(Self::fields).collect(),
        }
    }

    /// Returns the depth of the tree; a field alone is 1.
    pub fn depth(&self) -> usize {
        match self {
            Self::Sum(inner) | Self::Avg(inner) => inner.iter().map(Self::depth).max().unwrap_or(0).saturating_add(1),
            _ => 1,
        }
    }
}

/// Adds decimals exactly; nothing where one is beyond all bounds.
pub fn sum(numbers: impl IntoIterator<Item = Decimal>) -> Option<Decimal> {
    let total = numbers.into_iter().try_fold(0i128, |total, number| total.checked_add(scale(&number)?))?;
    unscale(total)
}

fn scaled(tree: &Arithmetic, answers: &Answers, today: Date, depth: usize) -> Option<i128> {
    let depth = depth.checked_sub(1)?;
    let numbers = |inner: &[Arithmetic]| -> Vec<i128> {
        inner.iter().filter_map(|inner| scaled(inner, answers, today, depth)).collect()
    };
    let total = |numbers: &[i128]| numbers.iter().try_fold(0i128, |total, number| total.checked_add(*number));
    match tree {
        Arithmetic::Constant(number) => scale(number),
        Arithmetic::Field(field) => match answers.get(field)? {
            Value::Tally(groups) => {
                let total = groups.values().try_fold(0i128, |total, count| total.checked_add(i128::from(*count)))?;
                total.checked_mul(SCALE)
            }
            value => scale(&value.number()?),
        },
        Arithmetic::Sum(inner) => {
            let numbers = numbers(inner);
            if numbers.is_empty() { None } else { total(&numbers) }
        }
        Arithmetic::Avg(inner) => {
            let numbers = numbers(inner);
            divide(total(&numbers)?, i128::try_from(numbers.len()).ok()?)
        }
        Arithmetic::YearsSince(field) => match answers.get(field)? {
            Value::Date(born) => i128::from(years_between(*born, today)?).checked_mul(SCALE),
            _ => None,
        },
        Arithmetic::Count(field) => {
            let count = match answers.get(field)? {
                Value::Subform(entries) => entries.len(),
                Value::Choices(choices) => choices.len(),
                Value::Attachments(attachments) => attachments.len(),
                _ => return None,
            };
            i128::try_from(count).ok()?.checked_mul(SCALE)
        }
    }
}

/// Returns the whole years from one day to a later one; nothing where the days stand the other way round.
pub fn years_between(from: Date, to: Date) -> Option<i64> {
    if from > to {
        return None;
    }
    let before_birthday = (to.month(), to.day()) < (from.month(), from.day());
    Some(i64::from(to.year()) - i64::from(from.year()) - i64::from(before_birthday))
}

fn scale(number: &Decimal) -> Option<i128> {
    let (whole, fraction) = number.as_str().split_once('.').unwrap_or((number.as_str(), ""));
    let digits = u32::try_from(fraction.len()).ok()?;
    let rest = SCALE_DIGITS.checked_sub(digits)?;
    format!("{whole}{fraction}").parse::<i128>().ok()?.checked_mul(10i128.checked_pow(rest)?)
}

fn unscale(scaled: i128) -> Option<Decimal> {
    let (sign, magnitude) = if scaled < 0 { ("-", scaled.checked_neg()?) } else { ("", scaled) };
    format!("{sign}{}.{:09}", magnitude / SCALE, magnitude % SCALE).parse().ok()
}

fn round(scaled: i128, decimals: u32) -> Option<i128> {
    let unit = 10i128.checked_pow(SCALE_DIGITS.checked_sub(decimals)?)?;
    divide(scaled, unit)?.checked_mul(unit)
}

/// Divides, rounding half away from zero.
fn divide(number: i128, by: i128) -> Option<i128> {
    let quotient = number.checked_div(by)?;
    let rest = number.checked_rem(by)?.checked_abs()?.checked_mul(2)?;
    if rest >= by { quotient.checked_add(number.signum()) } else { Some(quotient) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trees_compute_exactly() {
        let answers = Answers::from([
            ("a".into(), Value::Integer(1)),
            ("b".into(), Value::Decimal("0.1".parse().unwrap())),
            ("c".into(), Value::Decimal("0.2".parse().unwrap())),
            ("t".into(), Value::Tally([("boys".into(), 2), ("girls".into(), 3)].into())),
            ("born".into(), Value::Date("2012-02-29".parse().unwrap())),
            ("risks".into(), Value::Choices(["x".into()].into())),
            ("word".into(), Value::text("7")),
        ]);
        let check = |json: &str, expected: Option<&str>| {
            let calculation: Calculation = serde_json::from_str(json).unwrap();
            let found = calculation.compute(&answers, "2025-02-28".parse().unwrap());
            assert_eq!(found.as_ref().map(Decimal::as_str), expected, "{json}");
        };
        check(r#"{"expression":{"sum":[{"field":"b"},{"field":"c"}]}}"#, Some("0.3"));
        check(r#"{"expression":{"sum":[{"field":"a"},{"field":"missing"},{"constant":"2.5"}]}}"#, Some("3.5"));
        check(r#"{"expression":{"avg":[{"field":"a"},{"field":"t"},{"field":"missing"}]}}"#, Some("3"));
        check(r#"{"expression":{"avg":[{"field":"a"},{"field":"a"},{"field":"b"}]},"decimals":2}"#, Some("0.7"));
        check(r#"{"expression":{"avg":[{"constant":"-1"},{"constant":"-2"}]},"decimals":0}"#, Some("-2"));
        check(r#"{"expression":{"avg":[]}}"#, None);
        check(r#"{"expression":{"sum":[{"field":"word"}]}}"#, None);
        check(r#"{"expression":{"years_since":"born"}}"#, Some("12"));
        check(r#"{"expression":{"count":"risks"}}"#, Some("1"));
    }

    #[test]
    fn what_is_beyond_all_bounds_is_nothing_and_no_panic() {
        let huge: Decimal = "9".repeat(40).parse().unwrap();
        assert_eq!(sum([huge.clone(), huge]), None);
        assert_eq!(sum([Decimal::from(i64::MAX), Decimal::from(i64::MAX)]).unwrap().as_str(), "18446744073709551614");
        assert_eq!(years_between("2025-01-01".parse().unwrap(), "2024-01-01".parse().unwrap()), None);
    }
}
