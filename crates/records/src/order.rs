//! Fractional order keys: between any two there is a third, so that inserting an entry changes no other.
//!
//! A key is a non-empty text over `0`–`9`, `a`–`z` that does not end in `0`; keys compare as text. Two devices may make
//! the same key at the same time; entries with equal keys stand in the order of their ids.

const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// Returns a key after `low` and before `high`, where either may be missing. Keys that are not keys of this module, or
/// not in order, are treated as missing.
pub fn between(low: Option<&str>, high: Option<&str>) -> String {
    let low: Vec<usize> = low.and_then(digits).unwrap_or_default();
    let high = high.and_then(digits).filter(|high| *high > low);
    let mut key = Vec::new();
    let mut bounded = high.is_some();
    let high = high.unwrap_or_default();
    for place in 0.. {
        let floor = low.get(place).copied().unwrap_or(0);
        let ceiling = if bounded { high.get(place).copied().unwrap_or(0) } else { DIGITS.len() };
        // Without a bound above, step by one instead of halving: lists grow at the end, and keys stay short there.
        let middle = if bounded { usize::midpoint(floor, ceiling) } else { floor + 1 };
        if middle > floor && middle < ceiling {
            key.push(middle);
            break;
        }
        key.push(floor);
        bounded = bounded && floor == ceiling;
    }
    key.into_iter().filter_map(|digit| DIGITS.get(digit)).map(|byte| char::from(*byte)).collect()
}

/// Returns a key after the last of an ordered list.
pub fn after(last: Option<&str>) -> String {
    between(last, None)
}

/// Tells whether a text is a key.
pub fn is_key(text: &str) -> bool {
    digits(text).is_some()
}

fn digits(text: &str) -> Option<Vec<usize>> {
    let digits: Option<Vec<usize>> = text.bytes().map(|b| DIGITS.iter().position(|digit| *digit == b)).collect();
    digits.filter(|digits| text.len() <= crate::limits::MAX_ORDER_BYTES && digits.last().is_some_and(|last| *last != 0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_thousand_keys_at_the_end_ascend_and_stay_short() {
        let mut keys = vec![after(None)];
        for _ in 0..1_000 {
            keys.push(after(keys.last().map(String::as_str)));
        }
        assert!(keys.is_sorted() && keys.iter().all(|key| key.len() <= 32 && is_key(key)));
    }

    #[test]
    fn foreign_keys_are_treated_as_missing() {
        assert_eq!(between(Some("not a key"), None), after(None));
        assert_eq!(between(Some("5"), Some("5")), after(Some("5")));
        assert!(!is_key("") && !is_key("10") && !is_key("A") && is_key("1"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_key_between_two_lies_between_them(inserts in prop::collection::vec(any::<prop::sample::Index>(), 1..60)) {
            let mut keys: Vec<String> = Vec::new();
            for at in inserts {
                let at = at.index(keys.len() + 1);
                let low = at.checked_sub(1).map(|before| keys[before].as_str());
                let key = between(low, keys.get(at).map(String::as_str));
                keys.insert(at, key);
            }
            prop_assert!(keys.windows(2).all(|pair| pair[0] < pair[1]), "{:?}", keys);
            prop_assert!(keys.iter().all(|key| is_key(key)));
        }
    }
}
