//! Writes the packed form.

use super::intern::Table;

/// Marks a value that is spelled out.
pub(crate) const LITERAL: u8 = 0xff;
/// Marks an absent value.
pub(crate) const NONE: u8 = 0xfe;

/// Collects a frame's bytes.
#[derive(Debug, Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    /// Takes the bytes out.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// Writes one byte.
    pub(crate) fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    /// Writes bytes whose number the reader knows.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// Writes a number in groups of seven bits, lowest first.
    pub(crate) fn number(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push((value as u8 & 0x7f) | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    /// Writes a signed number, small magnitudes short.
    pub(crate) fn signed(&mut self, value: i64) {
        self.number(((value << 1) ^ (value >> 63)) as u64);
    }

    /// Writes bytes after their number.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.raw(bytes);
    }

    /// Writes an id: its slot, or itself, which from then on has a slot.
    pub(crate) fn id(&mut self, table: &mut Table, id: &[u8; 32]) {
        match table.find(id) {
            Some(slot) => self.byte(slot),
            None => {
                self.byte(LITERAL);
                self.raw(id);
                table.note(*id);
            }
        }
    }

    /// Writes an id that may be absent.
    pub(crate) fn optional_id(&mut self, table: &mut Table, id: Option<&[u8; 32]>) {
        match id {
            Some(id) => self.id(table, id),
            None => self.byte(NONE),
        }
    }

    /// Writes a 64-bit value that has no small ones, as [`Self::id`] does.
    pub(crate) fn word(&mut self, table: &mut Table, word: u64) {
        let padded = pad(word);
        match table.find(&padded) {
            Some(slot) => self.byte(slot),
            None => {
                self.byte(LITERAL);
                self.raw(&word.to_le_bytes());
                table.note(padded);
            }
        }
    }
}

/// Gives a word the width of an id.
pub(crate) fn pad(word: u64) -> [u8; 32] {
    let mut padded = [0; 32];
    padded.iter_mut().zip(word.to_le_bytes()).for_each(|(to, from)| *to = from);
    padded
}
