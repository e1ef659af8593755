//! Operations from bytes. What a newer version made is told apart from what is broken.

use minicbor::{Decoder, data::Type};
use vereda_base::{CanonicalError, DeviceId, limits};
use vereda_crypto::{Signed, Verified, VerifyError};

use crate::{BodyCode, Op, SUITE};

/// Bound on the form that travels: payload, signature and their CBOR heads, in bytes.
pub const MAX_SIGNED_OP_BYTES: usize = limits::MAX_OP_BYTES + 96;

/// Decodes a signed operation from the form that travels, and verifies its signature.
///
/// # Errors
/// As [`verify_op`]; [`OpDecodeError::Malformed`] also where the outer form is not canonical.
pub fn decode_op(bytes: &[u8]) -> Result<Verified<Op>, OpDecodeError> {
    verify_op(vereda_base::decode(bytes, MAX_SIGNED_OP_BYTES)?)
}

/// Decodes a signed operation and verifies its signature.
///
/// # Errors
/// [`OpDecodeError::UnknownSuite`] and [`OpDecodeError::UnknownBody`] for what a newer version may have made: a relay
/// refuses it, a device stops that chain read-only and asks to be updated. The signature of an unknown suite cannot be
/// checked; that of an unknown body was. [`OpDecodeError::Malformed`] and [`OpDecodeError::Signature`] for what is
/// wrong in any version.
pub fn verify_op(signed: Signed<Op>) -> Result<Verified<Op>, OpDecodeError> {
    let outline = Outline::read(signed.bytes());
    match outline {
        Some(Outline { suite, .. }) if suite != u64::from(SUITE) => {
            return Err(OpDecodeError::UnknownSuite { found: suite });
        }
        Some(Outline { body: Some((device, code)), .. }) if !is_known(code) => {
            let context = <Op as vereda_crypto::Signable>::CONTEXT;
            vereda_crypto::verify(context, &device, signed.bytes(), signed.signature())
                .map_err(|_| OpDecodeError::Signature { device })?;
            return Err(OpDecodeError::UnknownBody { code });
        }
        _ => {}
    }
    signed.verify().map_err(|error| match error {
        VerifyError::Payload(error) => OpDecodeError::Malformed(error),
        VerifyError::Signature(error) => OpDecodeError::Signature { device: error.device },
    })
}

/// Why bytes were refused as an operation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpDecodeError {
    /// Made under a suite unknown here.
    #[error("operation of suite {found}, only suite {SUITE} is known: update this program")]
    UnknownSuite {
        /// The suite found.
        found: u64,
    },
    /// Does something unknown here; the signature holds.
    #[error("operation with unknown {code}: update this program")]
    UnknownBody {
        /// The body's code.
        code: BodyCode,
    },
    /// Not an operation in any version.
    #[error("operation refused: {0}")]
    Malformed(#[from] CanonicalError),
    /// The signature does not hold.
    #[error("signature of the operation is not valid under device {device}")]
    Signature {
        /// The device it names.
        device: DeviceId,
    },
}

impl OpDecodeError {
    /// Says whether a newer version of the program may understand the operation.
    #[must_use]
    pub const fn needs_update(&self) -> bool {
        matches!(self, Self::UnknownSuite { .. } | Self::UnknownBody { .. })
    }
}

const fn is_known(code: BodyCode) -> bool {
    code.0 < BodyCode::RESUME.0
}

/// What every version keeps: an array that begins with the suite; within suite 1 also author and body code.
struct Outline {
    suite: u64,
    body: Option<(DeviceId, BodyCode)>,
}

impl Outline {
    fn read(bytes: &[u8]) -> Option<Self> {
        let mut decoder = Decoder::new(bytes);
        decoder.array().ok()??;
        let suite = decoder.u64().ok()?;
        Some(Self { suite, body: if suite == u64::from(SUITE) { Self::read_body(&mut decoder) } else { None } })
    }

    /// Reads on to the body's code: past chain, seq and prev; the author; past the cites.
    fn read_body(decoder: &mut Decoder<'_>) -> Option<(DeviceId, BodyCode)> {
        for _ in 0..3 {
            skip_item(decoder)?;
        }
        let device: DeviceId = decoder.decode().ok()?;
        let cites = decoder.array().ok()??;
        if cites > limits::MAX_CITES as u64 {
            return None;
        }
        for _ in 0..cites {
            decoder.decode::<crate::Cite>().ok()?;
        }
        decoder.array().ok()??;
        Some((device, BodyCode(decoder.u32().ok()?)))
    }
}

/// Skips one integer, byte string or null; anything nested is no operation of suite 1.
fn skip_item(decoder: &mut Decoder<'_>) -> Option<()> {
    match decoder.datatype().ok()? {
        Type::U8 | Type::U16 | Type::U32 | Type::U64 | Type::Bytes | Type::Null => decoder.skip().ok(),
        _ => None,
    }
}
