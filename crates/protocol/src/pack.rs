//! Compaction within a session: what the receiver knows or can derive does not travel.
//!
//! Frames of one direction are ordered and a lost frame ends the session, so both ends can keep one table of the ids
//! that travelled lately. An id in the table costs one byte. Of a chunk's header the receiver derives suite, kind,
//! ciphertext length and hash; of a receipt, chain, seq and operation. The exact signed bytes are rebuilt, and the
//! signature is checked over those: an error in here cannot make a false statement, only a refused one.
//!
//! Every message has one packed form. A decoder refuses the others (a known id spelled out, a number with leading
//! zeros, raw bytes where the packed form would do).

mod cbor;
mod chunk;
mod intern;
mod op;
mod reader;
mod writer;

use intern::Table;

pub(crate) use chunk::{pack_chunk, unpack_chunk};
pub(crate) use op::{
    pack_entry, pack_op, pack_receipt, pack_value, pack_wrap, unpack_entry, unpack_op, unpack_receipt, unpack_value,
    unpack_wrap,
};
pub(crate) use reader::Reader;
pub(crate) use writer::Writer;

/// The sender's half of one direction of a session.
#[derive(Debug, Default)]
pub struct Packer(pub(crate) Memory);

impl Packer {
    /// Begins a session.
    pub fn new() -> Self {
        Self::default()
    }
}

/// The receiver's half of one direction of a session.
#[derive(Debug, Default)]
pub struct Unpacker(pub(crate) Memory);

impl Unpacker {
    /// Begins a session.
    pub fn new() -> Self {
        Self::default()
    }
}

/// What both ends of a direction remember; allocates nothing before the first id travels.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(crate) table: Table,
    /// Time of the last receipt, in milliseconds.
    pub(crate) receipt_time: i64,
}

#[cfg(test)]
mod tests;
