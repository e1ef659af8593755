//! Decimal numbers in one canonical spelling, exact and without a float in between.

use std::{cmp::Ordering, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Longest spelling of a decimal, in bytes.
pub const MAX_DECIMAL_BYTES: usize = 40;

/// A decimal number in its one canonical spelling: `-?digits(.digits)?` without leading zeros, trailing zeros of the
/// fraction, exponent or negative zero. Equal numbers are equal texts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Decimal(String);

impl Decimal {
    /// Borrows the canonical spelling.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the nearest float, for sums and comparisons on screen.
    pub fn to_f64(&self) -> f64 {
        self.0.parse().unwrap_or(f64::NAN)
    }

    /// Splits into sign, integer digits and fraction digits.
    fn parts(&self) -> (bool, &str, &str) {
        let (negative, rest) = self.0.strip_prefix('-').map_or((false, self.0.as_str()), |rest| (true, rest));
        let (whole, fraction) = rest.split_once('.').unwrap_or((rest, ""));
        (negative, whole, fraction)
    }
}

/// Why a text is not a decimal number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a decimal number of at most {MAX_DECIMAL_BYTES} bytes, found {found} bytes")]
pub struct ParseDecimalError {
    /// Length of the text found, in bytes.
    pub found: usize,
}

impl FromStr for Decimal {
    type Err = ParseDecimalError;

    fn from_str(text: &str) -> Result<Self, ParseDecimalError> {
        let error = || ParseDecimalError { found: text.len() };
        let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        let (sign, rest) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
        let (whole, fraction) = rest.split_once('.').unwrap_or((rest, "0"));
        let fits = text.len() <= MAX_DECIMAL_BYTES && !whole.is_empty() && !fraction.is_empty();
        if !fits || !digits(whole) || !digits(fraction) {
            return Err(error());
        }
        let whole = match whole.trim_start_matches('0') {
            "" => "0",
            trimmed => trimmed,
        };
        let fraction = fraction.trim_end_matches('0');
        let sign = if whole == "0" && fraction.is_empty() { "" } else { sign };
        let dot = if fraction.is_empty() { "" } else { "." };
        Ok(Self(format!("{sign}{whole}{dot}{fraction}")))
    }
}

impl From<i64> for Decimal {
    fn from(number: i64) -> Self {
        Self(number.to_string())
    }
}

impl TryFrom<String> for Decimal {
    type Error = ParseDecimalError;

    fn try_from(text: String) -> Result<Self, ParseDecimalError> {
        text.parse()
    }
}

impl From<Decimal> for String {
    fn from(decimal: Decimal) -> Self {
        decimal.0
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let ((minus, whole, fraction), (other_minus, other_whole, other_fraction)) = (self.parts(), other.parts());
        // Digits of equal length compare as text; a longer integer part without leading zeros is the larger one.
        let magnitude = (whole.len(), whole, fraction).cmp(&(other_whole.len(), other_whole, other_fraction));
        match (minus, other_minus) {
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
            (false, false) => magnitude,
            (true, true) => magnitude.reverse(),
        }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_number_becomes_the_same_text() {
        let check = |text: &str, canonical: &str| {
            assert_eq!(text.parse::<Decimal>().unwrap().as_str(), canonical, "{text}");
        };
        check("007.50", "7.5");
        check("-0.0", "0");
        check("-00.10", "-0.1");
        check("12", "12");
        check("12.000", "12");
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in ["", "-", ".", "1.", ".5", "1e3", "+1", "1,5", "٣", "--1", &"9".repeat(41)] {
            assert!(text.parse::<Decimal>().is_err(), "{text}");
        }
    }

    #[test]
    fn order_is_numeric() {
        let check = |low: &str, high: &str| {
            assert!(low.parse::<Decimal>().unwrap() < high.parse::<Decimal>().unwrap(), "{low} {high}");
        };
        check("9", "10");
        check("-10", "-9");
        check("-0.5", "0");
        check("1.05", "1.5");
        check("1", "1.01");
    }
}
