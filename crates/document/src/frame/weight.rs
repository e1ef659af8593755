//! How much a body may stand for, by its length in bytes.

use super::Tally;

/// Any body may stand for so many bytes, inflated.
const BASE_BYTES: usize = 16 << 10;
const BYTES_PER_BYTE: usize = 16;
/// The changes of any body may have so many bytes, written out one by one.
const BASE_REBUILT: usize = 64 << 10;
const REBUILT_PER_BYTE: usize = 64;
/// Any body may hold so many operations.
const BASE_OPERATIONS: usize = 1 << 10;
const OPERATIONS_PER_BYTE: usize = 16;
/// Any body may refer to so many overwritten operations.
const BASE_REFERENCES: usize = 4 * BASE_OPERATIONS;
const REFERENCES_PER_BYTE: usize = 4 * OPERATIONS_PER_BYTE;
/// Any body may hold so many changes.
const BASE_CHANGES: usize = 64;
const BYTES_PER_CHANGE: usize = 4;

/// Bytes that a body of that length may inflate to.
pub const fn inflated(length: usize) -> usize {
    BASE_BYTES.saturating_add(length.saturating_mul(BYTES_PER_BYTE))
}

/// Bytes that the changes of a body of that length may have, written out one by one.
pub const fn rebuilt(length: usize) -> usize {
    BASE_REBUILT.saturating_add(length.saturating_mul(REBUILT_PER_BYTE))
}

/// Operations that a body of that length may hold.
pub const fn operations(length: usize) -> usize {
    BASE_OPERATIONS.saturating_add(length.saturating_mul(OPERATIONS_PER_BYTE))
}

/// References to overwritten operations that a body of that length may hold.
pub const fn references(length: usize) -> usize {
    BASE_REFERENCES.saturating_add(length.saturating_mul(REFERENCES_PER_BYTE))
}

/// The least length, in bytes, of a body that stands for so much: a frame of that length, changes of those.
pub(super) fn least(inflated: usize, changes: &[usize], tally: &Tally) -> usize {
    let rebuilt = changes.iter().sum::<usize>().saturating_sub(BASE_REBUILT).div_ceil(REBUILT_PER_BYTE);
    let bytes = inflated.saturating_sub(BASE_BYTES).div_ceil(BYTES_PER_BYTE);
    let operations = tally.operations.saturating_sub(BASE_OPERATIONS).div_ceil(OPERATIONS_PER_BYTE);
    let references = tally.references.saturating_sub(BASE_REFERENCES).div_ceil(REFERENCES_PER_BYTE);
    let changes = changes.len().saturating_sub(BASE_CHANGES).saturating_mul(BYTES_PER_CHANGE);
    bytes.max(rebuilt).max(operations).max(references).max(changes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_length_is_the_first_that_may_stand_for_so_much() {
        for (operations_held, references_held) in [(0, 0), (1_024, 4_096), (1_025, 0), (70_000, 5_000), (10, 300_000)] {
            let mut tally = Tally::default();
            tally.add_operations(operations_held).unwrap();
            tally.add_references(references_held).unwrap();
            for bytes in [0, 16_384, 16_385, 900_000] {
                let least = least(bytes, &[2 * bytes], &tally);
                let fits = |length| {
                    inflated(length) >= bytes
                        && rebuilt(length) >= 2 * bytes
                        && operations(length) >= operations_held
                        && references(length) >= references_held
                };
                assert!(fits(least), "{bytes} {operations_held} {references_held}");
                assert!(least == 0 || !fits(least - 1), "{bytes} {operations_held} {references_held}");
            }
        }
    }
}
