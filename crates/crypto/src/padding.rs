//! Padding that hides lengths: Padmé with a floor.
//!
//! Source: Nikitin et al., "Reducing Metadata Leakage from Encrypted Files and Communication with PURBs", §4. At most
//! 12 % is added above the floor, and only O(log log n) bits of the length remain visible.

use vereda_base::limits::MAX_CIPHERTEXT_BYTES;

use crate::sealed::TAG_BYTES;

/// No padded body is shorter, in bytes.
pub const FLOOR_BYTES: usize = 256;

const PREFIX_BYTES: usize = 4;
const MAX_PADDED_BYTES: usize = MAX_CIPHERTEXT_BYTES - TAG_BYTES;

/// Frames a body: its length (32 bits, little endian), the body, and zeros up to [`padded_len`] of both.
///
/// # Errors
/// [`PadError`] if the frame, once sealed, would pass the bound on a chunk's ciphertext.
pub fn pad(body: &[u8]) -> Result<Vec<u8>, PadError> {
    let too_long = PadError { found: body.len(), max: MAX_PADDED_BYTES };
    let length = u32::try_from(body.len()).map_err(|_| too_long.clone())?;
    let padded = padded_len(body.len().saturating_add(PREFIX_BYTES));
    if padded > MAX_PADDED_BYTES {
        return Err(too_long);
    }
    let mut frame = Vec::with_capacity(padded);
    frame.extend_from_slice(&length.to_le_bytes());
    frame.extend_from_slice(body);
    frame.resize(padded, 0);
    Ok(frame)
}

/// Takes the body out of a frame. Accepts only what [`pad`] makes: one body has one frame.
///
/// # Errors
/// [`UnpadError`] by cause.
pub fn unpad(frame: &[u8]) -> Result<&[u8], UnpadError> {
    let short = UnpadError::Short { found: frame.len() };
    let (prefix, rest) = frame.split_first_chunk::<PREFIX_BYTES>().ok_or(short.clone())?;
    let declared = usize::try_from(u32::from_le_bytes(*prefix)).map_err(|_| short.clone())?;
    let expected = padded_len(declared.saturating_add(PREFIX_BYTES));
    if expected != frame.len() {
        return Err(UnpadError::Length { expected, found: frame.len() });
    }
    let (body, zeros) = rest.split_at_checked(declared).ok_or(short)?;
    if zeros.iter().any(|byte| *byte != 0) {
        return Err(UnpadError::NotZero);
    }
    Ok(body)
}

/// Rounds a length up as Padmé does, never under [`FLOOR_BYTES`]. Saturates at the largest length there is.
pub const fn padded_len(len: usize) -> usize {
    if len <= FLOOR_BYTES {
        return FLOOR_BYTES;
    }
    let exponent = len.ilog2();
    let kept_bits = exponent.ilog2() + 1;
    let mask = (1usize << (exponent - kept_bits)) - 1;
    match len.checked_add(mask) {
        Some(sum) => sum & !mask,
        None => usize::MAX,
    }
}

/// A body too long to be one chunk.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("body of {found} bytes does not fit a frame of {max}")]
pub struct PadError {
    /// Length of the body, in bytes.
    pub found: usize,
    /// The longest frame allowed, in bytes.
    pub max: usize,
}

/// Why bytes are not a padded body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnpadError {
    /// Shorter than any frame.
    #[error("frame of {found} bytes is shorter than any")]
    Short {
        /// Length found, in bytes.
        found: usize,
    },
    /// Not the length that the declared body is padded to.
    #[error("frame of {found} bytes where the declared body pads to {expected}")]
    Length {
        /// Length due, in bytes.
        expected: usize,
        /// Length found, in bytes.
        found: usize,
    },
    /// Something stands in the padding.
    #[error("padding is not all zero")]
    NotZero,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lengths_round_up_as_in_the_paper() {
        let check = |len, padded| assert_eq!(padded_len(len), padded, "{len}");
        check(0, 256);
        check(256, 256);
        check(257, 272);
        check(272, 272);
        check(1_000, 1_024);
        check(9_999, 10_240);
        check(1 << 20, 1 << 20);
        check((1 << 20) + 1, (1 << 20) + (1 << 15));
        check(usize::MAX, usize::MAX);
    }

    #[test]
    fn a_body_that_would_pass_the_bound_of_a_ciphertext_is_refused() {
        assert!(pad(&vec![1; MAX_CIPHERTEXT_BYTES]).is_err());
        assert!(pad(&vec![1; MAX_CIPHERTEXT_BYTES - TAG_BYTES - PREFIX_BYTES]).is_err());
        assert!(pad(&vec![1; 700 << 10]).is_ok());
    }

    #[test]
    fn frames_that_padding_does_not_make_are_refused() {
        let good = pad(b"body").unwrap();
        let mut dirty = good.clone();
        dirty[255] = 1;
        assert_eq!(unpad(&dirty), Err(UnpadError::NotZero));
        let mut longer = good.clone();
        longer.extend_from_slice(&[0; 16]);
        assert_eq!(unpad(&longer), Err(UnpadError::Length { expected: 256, found: 272 }));
        let mut lying = good;
        lying[..4].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(matches!(unpad(&lying), Err(UnpadError::Length { .. })));
        assert_eq!(unpad(&[0; 3]), Err(UnpadError::Short { found: 3 }));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn bodies_round_trip_and_grow_by_an_eighth_at_most(body in prop::collection::vec(any::<u8>(), 0..5_000)) {
            let frame = pad(&body).unwrap();
            prop_assert_eq!(unpad(&frame).unwrap(), &body[..]);
            prop_assert!(frame.len() == FLOOR_BYTES || (frame.len() - PREFIX_BYTES - body.len()) * 8 <= frame.len());
        }

        #[test]
        fn any_bytes_unpad_to_the_one_body_that_pads_to_them_or_are_refused(
            bytes in prop::collection::vec(prop_oneof![Just(0u8), any::<u8>()], 0..600),
        ) {
            if let Ok(body) = unpad(&bytes) {
                prop_assert_eq!(pad(body).unwrap(), bytes);
            }
        }
    }
}
