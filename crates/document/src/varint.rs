//! LEB128 integers and lengths, read strictly from a slice: every read is bounded by what is left, and only the
//! shortest spelling of an integer is accepted.

/// Why bytes could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The bytes end before the value does.
    #[error("truncated")]
    Truncated,
    /// An integer is not in its shortest spelling, or does not fit.
    #[error("integer malformed")]
    Integer,
    /// A text is not UTF-8.
    #[error("text is not UTF-8")]
    Text,
    /// Bytes are left where nothing may follow.
    #[error("{left} trailing bytes")]
    Trailing {
        /// How many bytes are left.
        left: usize,
    },
}

/// Reads from the front of a slice.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) const fn left(&self) -> usize {
        self.rest.len()
    }

    /// Takes all that is left.
    pub(crate) const fn rest(self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn byte(&mut self) -> Result<u8, ReadError> {
        let (first, rest) = self.rest.split_first().ok_or(ReadError::Truncated)?;
        self.rest = rest;
        Ok(*first)
    }

    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], ReadError> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(ReadError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], ReadError> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(ReadError::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(crate) fn unsigned(&mut self) -> Result<u64, ReadError> {
        let mut value = 0u64;
        for position in 0..10u32 {
            let byte = self.byte()?;
            let part = u64::from(byte & 0x7f);
            // The tenth byte holds one bit of a u64.
            if position == 9 && part > 1 {
                return Err(ReadError::Integer);
            }
            value |= part << (position * 7);
            if byte & 0x80 == 0 {
                return if byte == 0 && position > 0 { Err(ReadError::Integer) } else { Ok(value) };
            }
        }
        Err(ReadError::Integer)
    }

    pub(crate) fn signed(&mut self) -> Result<i64, ReadError> {
        let start = self.rest;
        let mut value = 0i64;
        for position in 0..10u32 {
            let byte = self.byte()?;
            value |= i64::from(byte & 0x7f).wrapping_shl(position * 7);
            if byte & 0x80 == 0 {
                if position < 9 && byte & 0x40 != 0 {
                    value |= -1i64 << ((position + 1) * 7);
                }
                let used = start.len() - self.rest.len();
                let mut shortest = Vec::with_capacity(10);
                write_signed(&mut shortest, value);
                return if start.get(..used) == Some(&shortest) { Ok(value) } else { Err(ReadError::Integer) };
            }
        }
        Err(ReadError::Integer)
    }

    /// Reads a length that what is left can hold, at one byte an element or more.
    pub(crate) fn length(&mut self) -> Result<usize, ReadError> {
        let length = usize::try_from(self.unsigned()?).map_err(|_| ReadError::Truncated)?;
        if length > self.left() { Err(ReadError::Truncated) } else { Ok(length) }
    }

    /// Reads bytes after their length.
    pub(crate) fn prefixed(&mut self) -> Result<&'a [u8], ReadError> {
        let length = self.length()?;
        self.take(length)
    }

    /// Reads UTF-8 text after its length in bytes.
    pub(crate) fn text(&mut self) -> Result<&'a str, ReadError> {
        std::str::from_utf8(self.prefixed()?).map_err(|_| ReadError::Text)
    }

    pub(crate) const fn finish(self) -> Result<(), ReadError> {
        if self.rest.is_empty() { Ok(()) } else { Err(ReadError::Trailing { left: self.rest.len() }) }
    }
}

pub(crate) fn write_unsigned(out: &mut Vec<u8>, mut value: u64) {
    loop {
        let low = low_bits(value);
        value >>= 7;
        if value == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

pub(crate) fn write_signed(out: &mut Vec<u8>, mut value: i64) {
    loop {
        let low = low_bits(value.cast_unsigned());
        value >>= 7;
        let sign = low & 0x40 != 0;
        if (value == 0 && !sign) || (value == -1 && sign) {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

pub(crate) fn write_length(out: &mut Vec<u8>, length: usize) {
    write_unsigned(out, length as u64);
}

pub(crate) fn write_prefixed(out: &mut Vec<u8>, bytes: &[u8]) {
    write_length(out, bytes.len());
    out.extend_from_slice(bytes);
}

const fn low_bits(value: u64) -> u8 {
    (value & 0x7f) as u8
}

/// Folds a signed difference so that small ones of either sign are small.
pub(crate) const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

pub(crate) const fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_read_back_and_longer_spellings_are_refused() {
        for value in [0, 1, 63, 64, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            let mut bytes = Vec::new();
            write_unsigned(&mut bytes, value);
            assert_eq!(Reader::new(&bytes).unsigned(), Ok(value));
        }
        for value in [0, 1, -1, 63, 64, -64, -65, 1_700_000_000_000, i64::MAX, i64::MIN] {
            let mut bytes = Vec::new();
            write_signed(&mut bytes, value);
            assert_eq!(Reader::new(&bytes).signed(), Ok(value));
            assert_eq!(unzigzag(zigzag(value)), value);
        }
        assert_eq!(Reader::new(&[0x80, 0]).unsigned(), Err(ReadError::Integer));
        assert_eq!(Reader::new(&[0x80, 0]).signed(), Err(ReadError::Integer));
        assert_eq!(Reader::new(&[0xff; 11]).unsigned(), Err(ReadError::Integer));
        assert_eq!(Reader::new(&[0xff]).unsigned(), Err(ReadError::Truncated));
        assert_eq!(Reader::new(&[5, 1]).prefixed(), Err(ReadError::Truncated));
    }
}
