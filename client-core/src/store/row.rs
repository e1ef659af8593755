//! A row's content before it is sealed: key, value and padding.

/// Key and value of a row, borrowed from its frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Row<'a> {
    pub(super) key: &'a [u8],
    pub(super) value: &'a [u8],
}

/// Frames a row: both lengths (32 bits, little endian), key, value, zeros up to the padded length. `None` where one is
/// longer than 4 GiB.
pub(super) fn frame(key: &[u8], value: &[u8], padded_len: impl Fn(usize) -> usize) -> Option<Vec<u8>> {
    let lengths = [u32::try_from(key.len()).ok()?, u32::try_from(value.len()).ok()?];
    let padded = padded_len(key.len() + value.len() + 8);
    let mut frame = Vec::with_capacity(padded);
    lengths.iter().for_each(|length| frame.extend_from_slice(&length.to_le_bytes()));
    frame.extend_from_slice(key);
    frame.extend_from_slice(value);
    frame.resize(padded, 0);
    Some(frame)
}

/// Takes a row out of its frame.
pub(super) fn unframe(frame: &[u8]) -> Option<Row<'_>> {
    let (key_len, rest) = frame.split_first_chunk::<4>()?;
    let (value_len, rest) = rest.split_first_chunk::<4>()?;
    let (key, rest) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*key_len)).ok()?)?;
    let value = rest.get(..usize::try_from(u32::from_le_bytes(*value_len)).ok()?)?;
    Some(Row { key, value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_and_value_come_back_out_of_a_padded_frame() {
        let check = |key: &[u8], value: &[u8]| {
            let frame = frame(key, value, |len| len.next_multiple_of(64)).unwrap();
            assert_eq!(frame.len() % 64, 0);
            assert_eq!(unframe(&frame), Some(Row { key, value }));
        };
        check(b"", b"");
        check(b"key", b"");
        check(b"", b"value");
        check(&[1; 32], &[2; 5_000]);
    }

    #[test]
    fn a_frame_that_claims_more_than_it_holds_is_none() {
        assert_eq!(unframe(&[]), None);
        assert_eq!(unframe(&[1, 0, 0, 0, 0, 0, 0, 0]), None);
        assert_eq!(unframe(&[0, 0, 0, 0, 255, 255, 255, 255, 1]), None);
    }
}
