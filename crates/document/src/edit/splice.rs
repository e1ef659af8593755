//! Differences of texts, in Unicode scalar values.

/// Replaces `delete` characters at `at` by `insert`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Splice {
    pub(super) at: usize,
    pub(super) delete: usize,
    pub(super) insert: String,
}

/// Finds the one stretch in which two texts differ; none where they are equal. A stretch that could as well begin
/// earlier is put where words begin or end: taking "two " out of "one two three" must not touch the "t" of "three".
pub(super) fn splice_between(before: &str, after: &str) -> Option<Splice> {
    if before == after {
        return None;
    }
    let before: Vec<char> = before.chars().collect();
    let after: Vec<char> = after.chars().collect();
    let prefix = before.iter().zip(&after).take_while(|(a, b)| a == b).count();
    let rest = before.len().min(after.len()) - prefix;
    let suffix = before.iter().rev().zip(after.iter().rev()).take(rest).take_while(|(a, b)| a == b).count();
    let (delete, insert) = (before.len() - prefix - suffix, after.len() - prefix - suffix);
    // Where one side of the difference is empty, the other can slide along what repeats.
    let (longer, length) = if delete == 0 { (&after, insert) } else { (&before, delete) };
    let at = if delete == 0 || insert == 0 { slide(longer, prefix, length) } else { prefix };
    Some(Splice { at, delete, insert: after.iter().skip(at).take(insert).collect() })
}

/// Moves a stretch to the left, as far as the text stays the same without it, until it begins or ends with a space.
fn slide(text: &[char], at: usize, length: usize) -> usize {
    let space = |place: usize| text.get(place).is_some_and(|c| c.is_whitespace());
    let same = |at: usize| at > 0 && text.get(at - 1) == text.get(at + length - 1);
    let mut place = at;
    while !space(place) && !space(place + length - 1) {
        if !same(place) {
            return at;
        }
        place -= 1;
    }
    place
}

/// Carries a person's change from `before` to `after` over to `current`, which others made of `before` meanwhile:
/// deletes what he deleted and is still there, inserts what he inserted where it belongs. Splices are in the order in
/// which to carry them out.
pub(super) fn rebase(before: &str, after: &str, current: &str) -> Vec<Splice> {
    let Some(ours) = splice_between(before, after) else { return Vec::new() };
    let Some(theirs) = splice_between(before, current) else { return vec![ours] };
    let theirs_end = theirs.at + theirs.delete;
    let inserted = theirs.insert.chars().count();
    let ours_end = ours.at + ours.delete;
    // A place in `before` as a place in `current`; what they replaced maps to the start of their text.
    let place = |at: usize| {
        if at >= theirs_end && at > theirs.at { at - theirs.delete + inserted } else { at.min(theirs.at) }
    };
    // The later stretch first, so that the earlier one's positions stay right.
    let (behind_from, behind_to) = (ours.at.max(theirs_end), ours_end.max(theirs_end));
    let (ahead_from, ahead_to) = (ours.at.min(theirs.at), ours_end.min(theirs.at));
    let mut splices = Vec::new();
    if behind_to > behind_from {
        let at = behind_from - theirs.delete + inserted;
        splices.push(Splice { at, delete: behind_to - behind_from, insert: String::new() });
    }
    let ahead = ahead_to - ahead_from;
    let at = place(ours.at);
    match splices.first_mut() {
        // Only what lies behind their stretch goes: the text comes in its place.
        Some(behind) if ahead == 0 && ours.at >= theirs_end => behind.insert = ours.insert,
        _ => splices.push(Splice { at, delete: ahead, insert: ours.insert }),
    }
    splices
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn apply(text: &str, splices: &[Splice]) -> String {
        splices.iter().fold(text.to_owned(), |text, splice| {
            let chars: Vec<char> = text.chars().collect();
            let (start, rest) = chars.split_at(splice.at);
            start.iter().copied().chain(splice.insert.chars()).chain(rest[splice.delete..].iter().copied()).collect()
        })
    }

    #[test]
    fn a_change_is_carried_over_to_what_others_made_of_the_text() {
        let check = |before: &str, after: &str, current: &str, expected: &str| {
            assert_eq!(apply(current, &rebase(before, after, current)), expected, "{before} {after} {current}");
        };
        check("abc", "abcd", "abc", "abcd");
        check("abc", "abc", "xyz", "xyz");
        check("one two", "one two three", "zero one two", "zero one two three");
        check("one two", "zero one two", "one two three", "zero one two three");
        check("one two three", "one three", "one two four", "one four");
        check("one two three", "three", "one 2 three", "2three");
        check("abc", "", "aXc", "X");
        check("", "mine", "theirs", "minetheirs");
        check("أمينة", "أمينة 👨‍👩‍👧", "السيدة أمينة", "السيدة أمينة 👨‍👩‍👧");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn a_difference_applied_gives_the_later_text(before in "[abم👧]{0,8}", after in "[abم👧]{0,8}", current in "[abم👧]{0,8}") {
            let splices: Vec<Splice> = splice_between(&before, &after).into_iter().collect();
            prop_assert_eq!(apply(&before, &splices), after.clone());
            prop_assert_eq!(apply(&before, &rebase(&before, &after, &before)), after.clone());
            // What others inserted is never lost, and positions never reach beyond the text.
            let rebased = apply(&current, &rebase(&before, &after, &current));
            let theirs = splice_between(&before, &current).map(|splice| splice.insert).unwrap_or_default();
            let mut rest = rebased.chars();
            prop_assert!(theirs.chars().all(|c| rest.any(|r| r == c)), "{} {}", rebased, theirs);
        }
    }
}
