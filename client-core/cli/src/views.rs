//! How things look to people: short ids, days and hours, plain words.

use std::fmt::Display;

use serde::Serialize;
use serde_json::Value as Json;
use vereda_base::Timestamp;

use crate::table::one_line;

/// The beginning of an id: enough to tell apart what one agency has, and accepted wherever an id is.
pub(crate) fn short(id: &impl Display) -> String {
    id.to_string().chars().take(8).collect()
}

/// A name, or that there is none.
pub(crate) fn name(name: Option<String>) -> String {
    name.map_or_else(|| "(no name yet)".to_owned(), |name| one_line(&name))
}

/// A place with the ids of entries shortened, as it may be written too.
pub(crate) fn short_place(place: &str) -> String {
    match place.split_once('[').and_then(|(field, rest)| Some((field, rest.split_once(']')?))) {
        Some((field, (entry, rest))) => format!("{field}[{}]{rest}", entry.chars().take(4).collect::<String>()),
        None => place.to_owned(),
    }
}

/// A number of things: `1 case`, `2 cases`.
pub(crate) fn count(number: usize, thing: &str) -> String {
    if number == 1 { format!("1 {thing}") } else { format!("{number} {thing}s") }
}

/// A moment to the minute, in universal time.
pub(crate) fn moment(time: Timestamp) -> String {
    let days = time.0.div_euclid(86_400_000);
    let minutes = time.0.rem_euclid(86_400_000) / 60_000;
    let (year, month, day) = civil(days);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02} UTC", minutes / 60, minutes % 60)
}

/// The word that a value has in JSON.
pub(crate) fn word_of(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(Json::String(word)) => word.replace('_', " "),
        _ => String::new(),
    }
}

/// A plain value as people read it.
pub(crate) fn plain(value: &Json) -> String {
    match value {
        Json::Null => "(nothing)".to_owned(),
        Json::Bool(true) => "yes".to_owned(),
        Json::Bool(false) => "no".to_owned(),
        Json::String(text) => one_line(text),
        Json::Array(items) if items.iter().all(Json::is_string) => {
            items.iter().filter_map(Json::as_str).map(one_line).collect::<Vec<_>>().join(", ")
        }
        // The tagged form, of answers that no form asks for.
        Json::Object(tagged) if tagged.len() == 2 && tagged.contains_key("type") => {
            tagged.get("value").map_or_else(String::new, plain)
        }
        other => one_line(&other.to_string()),
    }
}

/// A day's year, month and day from its number since 1970, by the proleptic Gregorian calendar (Hinnant,
/// "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`).
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_shifted + 2) / 5 + 1;
    let month = if month_shifted < 10 { month_shifted + 3 } else { month_shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_read_as_days_and_minutes() {
        let check = |ms: i64, text: &str| assert_eq!(moment(Timestamp(ms)), text);
        check(0, "1970-01-01 00:00 UTC");
        check(951_782_400_000, "2000-02-29 00:00 UTC");
        check(1_795_500_000_000, "2026-11-24 06:00 UTC");
        check(-60_000, "1969-12-31 23:59 UTC");
    }

    #[test]
    fn values_read_as_words_and_cannot_move_the_cursor() {
        assert_eq!(plain(&serde_json::json!(["food", "shelter"])), "food, shelter");
        assert_eq!(plain(&serde_json::json!("a\u{1b}[2Jb")), "a [2Jb");
        assert_eq!(plain(&Json::Null), "(nothing)");
        assert_eq!(plain(&serde_json::json!({"type": "long_text", "value": "a"})), "a");
    }
}
