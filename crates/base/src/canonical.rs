//! Deterministic CBOR (RFC 8949 §4.2): encode, and decode by re-encoding and comparing bytes.
//!
//! Types derive [`minicbor::Encode`] and [`minicbor::Decode`] with `#[cbor(array)]`. `minicbor` alone accepts
//! non-minimal integers, indefinite lengths, unknown trailing array elements and trailing bytes; [`decode`] refuses
//! them all, because the re-encoded bytes differ.

use std::convert::Infallible;

/// Encodes a value as canonical CBOR.
pub fn encode<T: minicbor::Encode<()>>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    match minicbor::encode(value, &mut bytes) {
        Ok(()) => bytes,
        // Writing into a vector is infallible and no `Encode` of ours raises a custom error.
        Err(error) => unreachable_encode(&error),
    }
}

#[allow(clippy::panic, reason = "encoding into memory cannot fail; a failure is a bug in an Encode impl")]
fn unreachable_encode(error: &minicbor::encode::Error<Infallible>) -> Vec<u8> {
    panic!("canonical encoding failed: {error}")
}

/// Decodes canonical CBOR of at most `max_bytes` bytes.
///
/// # Errors
/// [`CanonicalError::TooLong`] before anything is parsed, [`CanonicalError::Malformed`] where the bytes are not CBOR of
/// this type, [`CanonicalError::NotCanonical`] where they are but not in their one deterministic form.
pub fn decode<T>(bytes: &[u8], max_bytes: usize) -> Result<T, CanonicalError>
where
    T: minicbor::Encode<()> + for<'b> minicbor::Decode<'b, ()>,
{
    if bytes.len() > max_bytes {
        return Err(CanonicalError::TooLong { found: bytes.len(), max: max_bytes });
    }
    let mut decoder = minicbor::Decoder::new(bytes);
    let value: T = decoder.decode().map_err(|_| CanonicalError::Malformed { offset: decoder.position() })?;
    let again = encode(&value);
    if again != bytes {
        let offset = again.iter().zip(bytes).take_while(|(a, b)| a == b).count();
        return Err(CanonicalError::NotCanonical { offset });
    }
    Ok(value)
}

/// Why bytes were refused as canonical CBOR. Holds offsets and sizes only, never content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CanonicalError {
    /// Longer than the caller's bound.
    #[error("{found} bytes where at most {max} are allowed")]
    TooLong {
        /// Length found, in bytes.
        found: usize,
        /// The bound, in bytes.
        max: usize,
    },
    /// Not CBOR of the expected shape.
    #[error("malformed CBOR at byte {offset}")]
    Malformed {
        /// Where the decoder stopped.
        offset: usize,
    },
    /// CBOR of the expected shape, but not in deterministic form.
    #[error("CBOR not in canonical form at byte {offset}")]
    NotCanonical {
        /// The first byte that differs from the canonical form.
        offset: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, minicbor::Encode, minicbor::Decode)]
    #[cbor(array)]
    struct Pair {
        #[n(0)]
        a: u64,
        #[cbor(n(1), with = "minicbor::bytes")]
        b: Vec<u8>,
    }

    #[test]
    fn canonical_bytes_round_trip() {
        let pair = Pair { a: 7, b: vec![1, 2, 3] };
        assert_eq!(decode::<Pair>(&encode(&pair), 64), Ok(pair));
    }

    #[test]
    fn other_spellings_of_the_same_value_are_refused() {
        let check = |bytes: &[u8]| assert!(decode::<Pair>(bytes, 64).is_err(), "{bytes:?}");
        assert_eq!(encode(&Pair { a: 7, b: vec![1] }), [0x82, 7, 0x41, 1]);
        check(&[0x82, 0x18, 7, 0x41, 1]); // non-minimal integer
        check(&[0x9f, 7, 0x41, 1, 0xff]); // indefinite array
        check(&[0x82, 7, 0x5f, 0x41, 1, 0xff]); // indefinite bytes
        check(&[0x83, 7, 0x41, 1, 0]); // an element too many
        check(&[0x82, 7, 0x41, 1, 0]); // trailing byte
        check(&[0x82, 7, 0x41]); // truncated
    }

    #[test]
    fn an_oversized_input_is_refused_before_parsing() {
        assert_eq!(decode::<Pair>(&[0; 65], 64), Err(CanonicalError::TooLong { found: 65, max: 64 }));
    }
}
