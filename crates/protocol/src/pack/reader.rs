//! Reads the packed form, bounded and strictly.

use super::{
    intern::Table,
    writer::{LITERAL, NONE, pad},
};
use crate::frame::FrameError;

/// What refs may expand to in one frame, in bytes: a frame of nothing but refs must not fill the memory.
const MAX_EXPANDED_BYTES: usize = 4 * vereda_base::limits::MAX_FRAME_BYTES;

/// A position within a frame.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    whole: usize,
    expanded: usize,
}

impl<'a> Reader<'a> {
    /// Stands at the beginning of a frame.
    pub(crate) const fn new(frame: &'a [u8]) -> Self {
        Self { rest: frame, whole: frame.len(), expanded: 0 }
    }

    /// Counts the bytes read.
    pub(crate) const fn offset(&self) -> usize {
        self.whole - self.rest.len()
    }

    /// Says that the bytes here are not of the packed form.
    pub(crate) const fn malformed(&self) -> FrameError {
        FrameError::Malformed { offset: self.offset() }
    }

    /// Says that the bytes here have a shorter form.
    pub(crate) const fn not_canonical(&self) -> FrameError {
        FrameError::NotCanonical { offset: self.offset() }
    }

    /// Counts bytes that are rebuilt from fewer.
    pub(crate) fn expand(&mut self, bytes: usize) -> Result<(), FrameError> {
        self.expanded = self.expanded.saturating_add(bytes);
        if self.expanded > MAX_EXPANDED_BYTES { Err(self.malformed()) } else { Ok(()) }
    }

    /// Looks at the next byte.
    pub(crate) const fn peek(&self) -> Option<u8> {
        match self.rest {
            [next, ..] => Some(*next),
            [] => None,
        }
    }

    /// Looks at all that is left.
    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Takes all that is left.
    pub(crate) const fn remainder(&mut self) -> &'a [u8] {
        let rest = self.rest;
        self.rest = &[];
        rest
    }

    /// Ends the frame: nothing may be left.
    pub(crate) const fn end(&self) -> Result<(), FrameError> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.malformed()) }
    }

    /// Reads one byte.
    pub(crate) fn byte(&mut self) -> Result<u8, FrameError> {
        let (byte, rest) = self.rest.split_first().ok_or_else(|| self.malformed())?;
        self.rest = rest;
        Ok(*byte)
    }

    /// Reads so many bytes.
    pub(crate) fn raw(&mut self, count: usize) -> Result<&'a [u8], FrameError> {
        let (bytes, rest) = self.rest.split_at_checked(count).ok_or_else(|| self.malformed())?;
        self.rest = rest;
        Ok(bytes)
    }

    /// Reads a fixed number of bytes.
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], FrameError> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or_else(|| self.malformed())?;
        self.rest = rest;
        Ok(*bytes)
    }

    /// Reads a number.
    pub(crate) fn number(&mut self) -> Result<u64, FrameError> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(self.malformed());
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return if byte == 0 && shift > 0 { Err(self.not_canonical()) } else { Ok(value) };
            }
        }
        Err(self.malformed())
    }

    /// Reads a signed number.
    pub(crate) fn signed(&mut self) -> Result<i64, FrameError> {
        let value = self.number()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// Reads a number of at most `max`.
    pub(crate) fn count(&mut self, max: usize) -> Result<usize, FrameError> {
        let value = self.number()?;
        usize::try_from(value).ok().filter(|value| *value <= max).ok_or_else(|| self.malformed())
    }

    /// Reads at most `max` bytes after their number.
    pub(crate) fn bytes(&mut self, max: usize) -> Result<&'a [u8], FrameError> {
        let count = self.count(max)?;
        self.raw(count)
    }

    /// Reads an id.
    pub(crate) fn id(&mut self, table: &mut Table) -> Result<[u8; 32], FrameError> {
        self.optional_id(table)?.ok_or_else(|| self.malformed())
    }

    /// Reads an id that may be absent.
    pub(crate) fn optional_id(&mut self, table: &mut Table) -> Result<Option<[u8; 32]>, FrameError> {
        match self.byte()? {
            NONE => Ok(None),
            LITERAL => {
                let id = self.array()?;
                if table.find(&id).is_some() {
                    return Err(self.not_canonical());
                }
                table.note(id);
                Ok(Some(id))
            }
            slot => {
                self.expand(32)?;
                table.at(slot).map(Some).ok_or_else(|| self.malformed())
            }
        }
    }

    /// Reads what `Writer::word` wrote.
    pub(crate) fn word(&mut self, table: &mut Table) -> Result<u64, FrameError> {
        match self.byte()? {
            NONE => Err(self.malformed()),
            LITERAL => {
                let word = u64::from_le_bytes(self.array()?);
                if table.find(&pad(word)).is_some() {
                    return Err(self.not_canonical());
                }
                table.note(pad(word));
                Ok(word)
            }
            slot => {
                let padded = table.at(slot).ok_or_else(|| self.malformed())?;
                let (word, zeros) = padded.split_first_chunk().ok_or_else(|| self.malformed())?;
                if zeros.iter().any(|byte| *byte != 0) { Err(self.malformed()) } else { Ok(u64::from_le_bytes(*word)) }
            }
        }
    }
}
