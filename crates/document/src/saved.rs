//! A look at saved bytes before Automerge reads them: one document, nothing behind it, nothing deflated.

use crate::varint::{ReadError, Reader};

/// Largest saved document, in bytes.
pub const MAX_SAVED_BYTES: usize = 64 << 20;

const KIND_DOCUMENT: u8 = 0;
const DEFLATED: u64 = 0x08;

/// Why saved bytes are no document of ours. Holds sizes and codes only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SavedFault {
    /// Malformed, truncated, or followed by other bytes.
    #[error("malformed: {0}")]
    Read(#[from] ReadError),
    /// Longer than [`MAX_SAVED_BYTES`].
    #[error("{found} bytes, allowed are {MAX_SAVED_BYTES}")]
    TooLarge {
        /// Length found, in bytes.
        found: usize,
    },
    /// Not an Automerge document.
    #[error("not a document")]
    NotADocument,
    /// A deflated column: it could inflate without bound, and we write none.
    #[error("deflated content")]
    Deflated,
}

/// Checks saved bytes.
pub(crate) fn check(saved: &[u8]) -> Result<(), SavedFault> {
    if saved.len() > MAX_SAVED_BYTES {
        return Err(SavedFault::TooLarge { found: saved.len() });
    }
    let mut reader = Reader::new(saved);
    if reader.array::<4>()? != [0x85, 0x6f, 0x4a, 0x83] {
        return Err(SavedFault::NotADocument);
    }
    reader.take(4)?;
    if reader.byte()? != KIND_DOCUMENT {
        return Err(SavedFault::NotADocument);
    }
    let content = reader.prefixed()?;
    reader.finish()?;
    let mut reader = Reader::new(content);
    for _ in 0..reader.length()? {
        reader.prefixed()?;
    }
    let heads = reader.length()?;
    reader.take(heads.saturating_mul(32))?;
    // The columns of changes, then those of operations.
    for _ in 0..2 {
        for _ in 0..reader.length()? {
            if reader.unsigned()? & DEFLATED != 0 {
                return Err(SavedFault::Deflated);
            }
            reader.unsigned()?;
        }
    }
    Ok(())
}
