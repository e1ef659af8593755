//! The body of a chunk: the raw bytes of its changes in dependency order, made small.
//!
//! ```text
//! body  = form (0 stored, 1 zstd) · inflated length · payload
//!       | form + 2                · inflated length · payload length · payload · zeros
//! frame = 0 · count · (length · content)*         any change, without magic, checksum and kind
//!       | 1 · columns over all changes            changes of one author in a row, see `columnar`
//! ```
//!
//! The second layout leaves out everything that a reader can compute again; the first is for changes that the second
//! would not give back to the byte. Both have one spelling: a reader writes again what it read and compares. Padding
//! and sealing are done on these bytes by others.
//!
//! What a body stands for is in proportion to what it weighs ([`weight`]): else a few bytes sent would fill a device's memory,
//! chunk by chunk. Where honest changes are smaller than that, a long text deleted or lines that repeat, zeros fill it up.

mod columnar;
mod compression;
pub mod weight;

use vereda_base::{
    ActorBytes,
    limits::{MAX_CHANGES_PER_CHUNK, MAX_INFLATED_BYTES},
};

pub use compression::Compression;

use crate::{
    anatomy::{Anatomy, ChangeFault, disclose, enclose},
    varint::{ReadError, Reader, write_length, write_prefixed},
};

/// Operations in one chunk. A run of a few bytes can stand for tens of thousands of operations, so the inflated length
/// alone bounds nothing.
pub const MAX_OPS_PER_CHUNK: usize = 1 << 18;

/// References to overwritten operations in one chunk: runs stand for them too. An operation overwrites one, or as many as
/// were in conflict.
pub(crate) const MAX_REFERENCES_PER_CHUNK: usize = 4 * MAX_OPS_PER_CHUNK;

const LAYOUT_PLAIN: u8 = 0;
const LAYOUT_COLUMNAR: u8 = 1;

/// Why a body could not be written or was refused. Holds sizes only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Malformed, truncated, or followed by other bytes.
    #[error("frame malformed: {0}")]
    Read(#[from] ReadError),
    /// An unknown form or layout: written by a newer version.
    #[error("unknown form or layout {found}")]
    Unknown {
        /// The byte found.
        found: u8,
    },
    /// No change, or more than a chunk may hold.
    #[error("{found} changes, allowed are 1 to {MAX_CHANGES_PER_CHUNK}")]
    Count {
        /// How many.
        found: usize,
    },
    /// More operations than a chunk may hold, or one of so few bytes.
    #[error("more operations than a chunk of that length may hold, never more than {MAX_OPS_PER_CHUNK}")]
    TooManyOperations,
    /// More references to overwritten operations than a chunk may hold, or one of so few bytes.
    #[error("more references than a chunk of that length may hold, never more than {MAX_REFERENCES_PER_CHUNK}")]
    TooManyReferences,
    /// More bytes than a chunk may hold when inflated, declared or rebuilt.
    #[error("{found} bytes inflated, allowed are {MAX_INFLATED_BYTES}")]
    TooLarge {
        /// How many were declared or needed.
        found: usize,
    },
    /// More than a body of its length may stand for.
    #[error("a body of {length} bytes may not stand for so much")]
    TooLight {
        /// The body's length, in bytes.
        length: usize,
    },
    /// The payload does not inflate to exactly the declared length, or is followed by other bytes.
    #[error("payload does not inflate to the declared {declared} bytes")]
    Inflate {
        /// The declared length, in bytes.
        declared: usize,
    },
    /// Not the one spelling of its content.
    #[error("frame not canonical")]
    NotCanonical,
    /// One of the changes is none.
    #[error("change {index}: {fault}")]
    Change {
        /// Position in the frame.
        index: usize,
        /// What is wrong with it.
        fault: ChangeFault,
    },
}

/// What both sides know before a chunk: it is not written again. Made by [`crate::Replica::context`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context {
    /// The actor of the chunk's author.
    pub author: ActorBytes,
    /// The actor of the document's creator, to whose root maps every change refers.
    pub creator: ActorBytes,
    /// The author's last change before this chunk.
    pub previous: Option<[u8; 32]>,
}

/// Writes the body of a chunk from the raw bytes of its changes, in dependency order.
///
/// # Errors
/// [`FrameError::Count`], [`FrameError::TooLarge`], [`FrameError::TooManyOperations`] or
/// [`FrameError::TooManyReferences`] where one chunk cannot hold them (see [`split`]); [`FrameError::Change`] where one
/// is no change.
pub fn encode<B: AsRef<[u8]>>(
    changes: &[B],
    context: &Context,
    compression: Compression,
) -> Result<Vec<u8>, FrameError> {
    let (frame, tally) = encode_frame(changes, context)?;
    if frame.len() > MAX_INFLATED_BYTES {
        return Err(FrameError::TooLarge { found: frame.len() });
    }
    let least = weight::least(frame.len(), &lengths(changes), &tally);
    Ok(compression::deflate(&frame, compression, least))
}

/// Reads the body of a chunk into the raw bytes of its changes. Never inflates more than is declared, never more than
/// [`MAX_INFLATED_BYTES`].
///
/// # Errors
/// See [`FrameError`]; whatever is not exactly what [`encode`] writes is refused, except that both forms are read.
pub fn decode(body: &[u8], context: &Context) -> Result<Vec<Vec<u8>>, FrameError> {
    let frame = compression::inflate(body)?;
    let mut reader = Reader::new(&frame);
    let changes = match reader.byte()? {
        LAYOUT_PLAIN => decode_plain(reader)?,
        LAYOUT_COLUMNAR => columnar::decode(reader, context, body.len())?,
        found => return Err(FrameError::Unknown { found }),
    };
    let (written, tally) = encode_frame(&changes, context)?;
    if written != frame {
        return Err(FrameError::NotCanonical);
    }
    if body.len() < weight::least(frame.len(), &lengths(&changes), &tally) {
        return Err(FrameError::TooLight { length: body.len() });
    }
    Ok(changes)
}

/// Splits changes in dependency order into runs that one chunk each can hold. `sizes` are their raw lengths in bytes
/// and operation counts; returns the length of each run.
pub fn split(sizes: &[(usize, usize)], max_bytes: usize) -> Vec<usize> {
    let mut runs = Vec::new();
    let (mut count, mut bytes, mut operations) = (0usize, 0usize, 0usize);
    for (size, ops) in sizes {
        let full = count >= MAX_CHANGES_PER_CHUNK
            || bytes.saturating_add(*size) > max_bytes
            || operations.saturating_add(*ops) > MAX_OPS_PER_CHUNK;
        if count > 0 && full {
            runs.push(count);
            (count, bytes, operations) = (0, 0, 0);
        }
        count += 1;
        bytes = bytes.saturating_add(*size);
        operations = operations.saturating_add(*ops);
    }
    if count > 0 {
        runs.push(count);
    }
    runs
}

fn encode_frame<B: AsRef<[u8]>>(changes: &[B], context: &Context) -> Result<(Vec<u8>, Tally), FrameError> {
    if changes.is_empty() || changes.len() > MAX_CHANGES_PER_CHUNK {
        return Err(FrameError::Count { found: changes.len() });
    }
    if let Some((mut columns, tally)) = columnar::encode(changes, context)? {
        columns.insert(0, LAYOUT_COLUMNAR);
        return Ok((columns, tally));
    }
    let mut tally = Tally::default();
    let mut frame = vec![LAYOUT_PLAIN];
    write_length(&mut frame, changes.len());
    for (index, change) in changes.iter().enumerate() {
        let content = disclose(change.as_ref()).map_err(|fault| FrameError::Change { index, fault })?;
        write_prefixed(&mut frame, content);
        // What is none counts nothing, and is refused by whoever reads it.
        if let Ok(anatomy) = Anatomy::read(change.as_ref()) {
            tally.add(&anatomy)?;
        }
    }
    Ok((frame, tally))
}

fn lengths<B: AsRef<[u8]>>(changes: &[B]) -> Vec<usize> {
    changes.iter().map(|change| change.as_ref().len()).collect()
}

fn decode_plain(mut reader: Reader<'_>) -> Result<Vec<Vec<u8>>, FrameError> {
    let found = reader.length()?;
    if found > MAX_CHANGES_PER_CHUNK {
        return Err(FrameError::Count { found });
    }
    let changes = (0..found).map(|_| Ok(enclose(reader.prefixed()?).0)).collect::<Result<_, FrameError>>()?;
    reader.finish()?;
    Ok(changes)
}

/// Counts what runs of a few bytes can stand for without end, while a chunk's changes are read one by one: a bound that
/// is checked at the end comes after the memory is full.
#[derive(Debug)]
pub(crate) struct Tally {
    operations: usize,
    references: usize,
    max_operations: usize,
    max_references: usize,
}

impl Default for Tally {
    fn default() -> Self {
        let (max_operations, max_references) = (MAX_OPS_PER_CHUNK, MAX_REFERENCES_PER_CHUNK);
        Self { operations: 0, references: 0, max_operations, max_references }
    }
}

impl Tally {
    /// Counts up to what a body of that length may stand for.
    pub(crate) fn of_body(length: usize) -> Self {
        let max_operations = weight::operations(length).min(MAX_OPS_PER_CHUNK);
        let max_references = weight::references(length).min(MAX_REFERENCES_PER_CHUNK);
        Self { max_operations, max_references, ..Self::default() }
    }

    /// Counts operations.
    pub(crate) const fn add_operations(&mut self, count: usize) -> Result<(), FrameError> {
        self.operations = self.operations.saturating_add(count);
        if self.operations > self.max_operations { Err(FrameError::TooManyOperations) } else { Ok(()) }
    }

    /// Counts references to overwritten operations.
    pub(crate) const fn add_references(&mut self, count: usize) -> Result<(), FrameError> {
        self.references = self.references.saturating_add(count);
        if self.references > self.max_references { Err(FrameError::TooManyReferences) } else { Ok(()) }
    }

    /// Counts what a change holds.
    pub(crate) fn add(&mut self, change: &Anatomy) -> Result<(), FrameError> {
        self.add_operations(change.operations.len())?;
        self.add_references(change.operations.iter().map(|operation| operation.replaces.len()).sum())
    }
}
