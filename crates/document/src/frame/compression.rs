//! zstd, once, with a declared and bounded inflated length. The only place that knows the compressor.

use vereda_base::limits::MAX_INFLATED_BYTES;
use zstd::{
    bulk::{Compressor, Decompressor},
    zstd_safe,
};

use super::{FrameError, weight};
use crate::varint::{Reader, write_length, write_prefixed};

const FORM_STORED: u8 = 0;
const FORM_ZSTD: u8 = 1;
/// Added to the form of a body that is filled up with zeros.
const FILLED: u8 = 2;
/// Every zstd frame begins with these bytes; they are left out.
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Twenty one-field edits take 350 bytes at level 3, 347 at this one, 345 at 19, which needs tens of megabytes of memory
/// for the largest bodies.
const LEVEL: i32 = 9;

/// Whether to compress a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// Compressed where that makes it smaller.
    #[default]
    Smallest,
    /// Never compressed: for measuring what the rest achieves.
    Stored,
}

/// Writes a body of at least so many bytes.
pub(super) fn deflate(frame: &[u8], compression: Compression, least: usize) -> Vec<u8> {
    let payload = match compression {
        Compression::Stored => None,
        Compression::Smallest => compress(frame).filter(|payload| payload.len() < frame.len()),
    };
    let (form, payload) = payload.as_deref().map_or((FORM_STORED, frame), |payload| (FORM_ZSTD, payload));
    let mut body = vec![form];
    write_length(&mut body, frame.len());
    if body.len().saturating_add(payload.len()) >= least {
        body.extend_from_slice(payload);
        return body;
    }
    let mut body = vec![form + FILLED];
    write_length(&mut body, frame.len());
    write_prefixed(&mut body, payload);
    body.resize(least.max(body.len()), 0);
    body
}

/// Compresses; none where the compressor fails, which stores the frame as it is.
fn compress(frame: &[u8]) -> Option<Vec<u8>> {
    let mut compressor = Compressor::new(LEVEL).ok()?;
    compressor.include_contentsize(false).ok()?;
    compressor.include_checksum(false).ok()?;
    let payload = compressor.compress(frame).ok()?;
    payload.strip_prefix(&ZSTD_MAGIC).map(<[u8]>::to_vec)
}

pub(super) fn inflate(body: &[u8]) -> Result<Vec<u8>, FrameError> {
    let mut reader = Reader::new(body);
    let form = reader.byte()?;
    let declared = reader.unsigned()?;
    let declared = usize::try_from(declared).unwrap_or(usize::MAX);
    if declared > MAX_INFLATED_BYTES {
        return Err(FrameError::TooLarge { found: declared });
    }
    if declared > weight::inflated(body.len()) {
        return Err(FrameError::TooLight { length: body.len() });
    }
    let payload = if form & FILLED == 0 { reader.rest() } else { filled(&mut reader)? };
    let frame = match form & !FILLED {
        FORM_STORED => payload.to_vec(),
        FORM_ZSTD => decompress(payload, declared).ok_or(FrameError::Inflate { declared })?,
        _ => return Err(FrameError::Unknown { found: form }),
    };
    if frame.len() == declared { Ok(frame) } else { Err(FrameError::Inflate { declared }) }
}

/// Reads the payload of a body that is filled up.
fn filled<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], FrameError> {
    let payload = reader.prefixed()?;
    if reader.rest().iter().any(|byte| *byte != 0) { Err(FrameError::NotCanonical) } else { Ok(payload) }
}

fn decompress(payload: &[u8], declared: usize) -> Option<Vec<u8>> {
    let mut framed = ZSTD_MAGIC.to_vec();
    framed.extend_from_slice(payload);
    // The decompressor would go on with whatever frame follows the first.
    if zstd_safe::find_frame_compressed_size(&framed).ok()? != framed.len() {
        return None;
    }
    Decompressor::new().ok()?.decompress(&framed, declared).ok()
}
