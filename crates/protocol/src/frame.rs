//! Frames: one message each, in the packed form. The first byte names the message.

use minicbor::{Decode, Encode};
use vereda_base::{ChainId, Link, OpId, limits::MAX_FRAME_BYTES, limits::MAX_LIST, limits::MAX_NAMED};
use vereda_crypto::Signature;

use crate::{
    Chunk,
    message::{Down, Logged, MAX_LASTS, PolicyEntry, Position, Up},
    outcome::{ChunkOutcome, Goodbye, OpOutcome, RefusalCode},
    pack::{
        Memory, Packer, Reader, Unpacker, Writer, pack_chunk, pack_entry, pack_op, pack_receipt, pack_value, pack_wrap,
        unpack_chunk, unpack_entry, unpack_op, unpack_receipt, unpack_value, unpack_wrap,
    },
};

const AUTH: u8 = 0;
const PULL: u8 = 1;
const PUT_OP: u8 = 2;
const PUT_CHUNK: u8 = 3;
const BACKFILL: u8 = 4;
const UP_CREDIT: u8 = 5;
const ASK_LEAVES: u8 = 6;
const ASK_REVIEW: u8 = 7;
const ASK_OFFER: u8 = 8;

const LAST_OP: u8 = 0;
const LAST_CHUNK: u8 = 1;

const CHALLENGE: u8 = 0;
const WELCOME: u8 = 1;
const POLICY: u8 = 2;
const CONTENT: u8 = 3;
const CAUGHT_UP: u8 = 4;
const BACKFILL_PART: u8 = 5;
const OP_RESULT: u8 = 6;
const CHUNK_RESULT: u8 = 7;
const DOWN_CREDIT: u8 = 8;
const GOODBYE: u8 = 9;
const LEAVES: u8 = 10;
const OFFER: u8 = 11;

const APPENDED: u8 = 0;
const HEAD_MOVED: u8 = 1;
const OP_REFUSED: u8 = 2;
const FRONTIER_MOVED: u8 = 3;
const OP_IN_REVIEW: u8 = 4;
const FRONTIER_PAGED: u8 = 5;

const DURABLE: u8 = 0;
const CHUNK_REFUSED: u8 = 1;
const IN_REVIEW: u8 = 2;

/// Entries or chunks in one frame.
const MAX_ITEMS: usize = 16_384;

/// Writes what a device sends.
///
/// # Errors
/// [`FrameError::TooLong`]; the session's tables are then out of step, and the session is to be closed.
pub fn encode_up(message: &Up, packer: &mut Packer) -> Result<Vec<u8>, FrameError> {
    let (mut writer, memory) = (Writer::default(), &mut packer.0);
    match message {
        Up::Auth(auth) => write_plain(&mut writer, AUTH, auth),
        Up::Pull { policy, content, lasts } => {
            writer.byte(PULL);
            writer.number(policy.0);
            writer.number(content.0);
            lasts.iter().for_each(|last| write_last(&mut writer, memory, last));
        }
        Up::PutOp { request, op, wraps } => {
            writer.byte(PUT_OP);
            writer.number(*request);
            pack_op(&mut writer, memory, op);
            writer.number(wraps.len() as u64);
            wraps.iter().for_each(|wrap| pack_wrap(&mut writer, memory, wrap));
        }
        Up::PutChunk(chunk) => {
            writer.byte(PUT_CHUNK);
            pack_chunk(&mut writer, memory, chunk);
        }
        Up::Backfill { document, after, upto } => {
            writer.byte(BACKFILL);
            writer.id(&mut memory.table, document.as_bytes());
            writer.number(after.0);
            writer.number(upto.0);
        }
        Up::Credit(bytes) => {
            writer.byte(UP_CREDIT);
            writer.number(*bytes);
        }
        Up::AskLeaves { chain, removal, keys } => {
            writer.byte(ASK_LEAVES);
            writer.id(&mut memory.table, chain.as_bytes());
            writer.id(&mut memory.table, removal.as_bytes());
            pack_value(&mut writer, keys);
        }
        Up::AskReview(links) => {
            writer.byte(ASK_REVIEW);
            pack_value(&mut writer, links);
        }
        Up::AskOffer { request, from } => {
            writer.byte(ASK_OFFER);
            writer.number(*request);
            writer.number(*from);
        }
    }
    bounded(writer)
}

/// Reads what a device sent.
///
/// # Errors
/// [`FrameError`]; the session's tables are then out of step, and the session is to be closed.
pub fn decode_up(frame: &[u8], unpacker: &mut Unpacker) -> Result<Up, FrameError> {
    let (mut reader, memory) = (begin(frame)?, &mut unpacker.0);
    let message = match reader.byte()? {
        AUTH => Up::Auth(read_plain(&mut reader)?),
        PULL => Up::Pull {
            policy: Position(reader.number()?),
            content: Position(reader.number()?),
            lasts: read_lasts(&mut reader, memory)?,
        },
        PUT_OP => {
            let request = reader.number()?;
            let op = unpack_op(&mut reader, memory)?;
            let count = reader.count(MAX_LIST)?;
            let wraps = (0..count).map(|_| unpack_wrap(&mut reader, memory)).collect::<Result<_, _>>()?;
            Up::PutOp { request, op, wraps }
        }
        PUT_CHUNK => Up::PutChunk(unpack_chunk(&mut reader, memory)?),
        BACKFILL => Up::Backfill {
            document: ChainId(reader.id(&mut memory.table)?),
            after: Position(reader.number()?),
            upto: Position(reader.number()?),
        },
        UP_CREDIT => Up::Credit(reader.number()?),
        ASK_LEAVES => Up::AskLeaves {
            chain: ChainId(reader.id(&mut memory.table)?),
            removal: OpId(reader.id(&mut memory.table)?),
            keys: read_named(&mut reader)?,
        },
        ASK_REVIEW => Up::AskReview(read_named(&mut reader)?),
        ASK_OFFER => Up::AskOffer { request: reader.number()?, from: reader.number()? },
        _ => return Err(reader.malformed()),
    };
    reader.end()?;
    Ok(message)
}

/// Writes what a relay sends.
///
/// # Errors
/// [`FrameError::TooLong`]; the session's tables are then out of step, and the session is to be closed.
pub fn encode_down(message: &Down, packer: &mut Packer) -> Result<Vec<u8>, FrameError> {
    let (mut writer, memory) = (Writer::default(), &mut packer.0);
    match message {
        Down::Challenge { versions, relay, relay_epoch, challenge } => {
            write_plain(&mut writer, CHALLENGE, &(versions, relay, relay_epoch, challenge));
        }
        Down::Welcome { version, time, held, end, signature } => {
            write_plain(&mut writer, WELCOME, &(version, time, held, end, signature));
        }
        Down::Policy { entries, cursor } => {
            writer.byte(POLICY);
            writer.number(cursor.0);
            write_entries(&mut writer, memory, entries);
        }
        Down::Content { chunks, cursor } => {
            writer.byte(CONTENT);
            writer.number(cursor.0);
            write_chunks(&mut writer, memory, chunks);
        }
        Down::CaughtUp { cursor } => {
            writer.byte(CAUGHT_UP);
            writer.number(cursor.0);
        }
        Down::BackfillPart { document, entries, chunks, cursor } => {
            writer.byte(BACKFILL_PART);
            writer.id(&mut memory.table, document.as_bytes());
            writer.number(cursor.0);
            write_entries(&mut writer, memory, entries);
            write_chunks(&mut writer, memory, chunks);
        }
        Down::OpResult { request, outcome } => write_op_result(&mut writer, memory, *request, outcome),
        Down::ChunkResult { link, outcome } => {
            writer.byte(CHUNK_RESULT);
            writer.id(&mut memory.table, link.as_bytes());
            match outcome {
                ChunkOutcome::Durable => writer.byte(DURABLE),
                ChunkOutcome::Refused(code) => {
                    writer.byte(CHUNK_REFUSED);
                    writer.byte(code_of(code));
                }
                ChunkOutcome::InReview => writer.byte(IN_REVIEW),
            }
        }
        Down::Credit(bytes) => {
            writer.byte(DOWN_CREDIT);
            writer.number(*bytes);
        }
        Down::Goodbye(why) => {
            writer.byte(GOODBYE);
            writer.byte(code_of(why));
        }
        Down::Leaves { chain, removal, answers } => {
            writer.byte(LEAVES);
            writer.id(&mut memory.table, chain.as_bytes());
            writer.id(&mut memory.table, removal.as_bytes());
            pack_value(&mut writer, answers);
        }
        Down::Offer { request, from, leaves } => {
            writer.byte(OFFER);
            writer.number(*request);
            writer.number(*from);
            pack_value(&mut writer, leaves);
        }
    }
    bounded(writer)
}

/// Reads what a relay sent.
///
/// # Errors
/// [`FrameError`]; the session's tables are then out of step, and the session is to be closed.
pub fn decode_down(frame: &[u8], unpacker: &mut Unpacker) -> Result<Down, FrameError> {
    let (mut reader, memory) = (begin(frame)?, &mut unpacker.0);
    let message = match reader.byte()? {
        CHALLENGE => {
            let (versions, relay, relay_epoch, challenge) = read_plain(&mut reader)?;
            Down::Challenge { versions, relay, relay_epoch, challenge }
        }
        WELCOME => {
            let (version, time, held, end, signature): (_, _, _, _, Signature) = read_plain(&mut reader)?;
            Down::Welcome { version, time, held, end, signature }
        }
        POLICY => {
            let cursor = Position(reader.number()?);
            Down::Policy { entries: read_entries(&mut reader, memory)?, cursor }
        }
        CONTENT => {
            let cursor = Position(reader.number()?);
            Down::Content { chunks: read_chunks(&mut reader, memory)?, cursor }
        }
        CAUGHT_UP => Down::CaughtUp { cursor: Position(reader.number()?) },
        BACKFILL_PART => Down::BackfillPart {
            document: ChainId(reader.id(&mut memory.table)?),
            cursor: Position(reader.number()?),
            entries: read_entries(&mut reader, memory)?,
            chunks: read_chunks(&mut reader, memory)?,
        },
        OP_RESULT => read_op_result(&mut reader, memory)?,
        CHUNK_RESULT => {
            let link = Link(reader.id(&mut memory.table)?);
            let outcome = match reader.byte()? {
                DURABLE => ChunkOutcome::Durable,
                CHUNK_REFUSED => ChunkOutcome::Refused(read_code(&mut reader)?),
                IN_REVIEW => ChunkOutcome::InReview,
                _ => return Err(reader.malformed()),
            };
            Down::ChunkResult { link, outcome }
        }
        DOWN_CREDIT => Down::Credit(reader.number()?),
        GOODBYE => Down::Goodbye(read_code::<Goodbye>(&mut reader)?),
        LEAVES => Down::Leaves {
            chain: ChainId(reader.id(&mut memory.table)?),
            removal: OpId(reader.id(&mut memory.table)?),
            answers: unpack_value(&mut reader)?,
        },
        OFFER => {
            let (request, from) = (reader.number()?, reader.number()?);
            Down::Offer { request, from, leaves: unpack_value(&mut reader)? }
        }
        _ => return Err(reader.malformed()),
    };
    reader.end()?;
    Ok(message)
}

/// Writes a chunk by itself, to be stored: about half of what its canonical header takes.
pub fn encode_chunk(chunk: &Chunk) -> Vec<u8> {
    let mut writer = Writer::default();
    pack_chunk(&mut writer, &mut Memory::default(), chunk);
    writer.into_bytes()
}

/// Reads a chunk that [`encode_chunk`] wrote, bit for bit.
///
/// # Errors
/// [`FrameError`].
pub fn decode_chunk(bytes: &[u8]) -> Result<Chunk, FrameError> {
    let mut reader = begin(bytes)?;
    let chunk = unpack_chunk(&mut reader, &mut Memory::default())?;
    reader.end()?;
    Ok(chunk)
}

/// Why bytes are not a frame. Offsets and sizes only.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Longer than a frame may be.
    #[error("frame of {found} bytes where at most {max} are allowed")]
    TooLong {
        /// Length found, in bytes.
        found: usize,
        /// The bound, in bytes.
        max: usize,
    },
    /// Not a message.
    #[error("frame is malformed at byte {offset}")]
    Malformed {
        /// Where reading stopped.
        offset: usize,
    },
    /// A message, but not in its one form.
    #[error("frame is not in its one form at byte {offset}")]
    NotCanonical {
        /// Where reading stopped.
        offset: usize,
    },
}

fn write_last(writer: &mut Writer, memory: &mut Memory, last: &Logged) {
    let (kind, of, id) = match last {
        Logged::Op { chain, op } => (LAST_OP, chain.as_bytes(), op.as_bytes()),
        Logged::Chunk { document, link } => (LAST_CHUNK, document.as_bytes(), link.as_bytes()),
    };
    writer.byte(kind);
    writer.id(&mut memory.table, of);
    writer.id(&mut memory.table, id);
}

/// Reads what stands there up to the frame's end.
fn read_lasts(reader: &mut Reader<'_>, memory: &mut Memory) -> Result<Vec<Logged>, FrameError> {
    let mut lasts = Vec::new();
    while reader.end().is_err() {
        if lasts.len() == MAX_LASTS {
            return Err(reader.malformed());
        }
        lasts.push(match reader.byte()? {
            LAST_OP => {
                Logged::Op { chain: ChainId(reader.id(&mut memory.table)?), op: OpId(reader.id(&mut memory.table)?) }
            }
            LAST_CHUNK => Logged::Chunk {
                document: ChainId(reader.id(&mut memory.table)?),
                link: Link(reader.id(&mut memory.table)?),
            },
            _ => return Err(reader.malformed()),
        });
    }
    Ok(lasts)
}

fn begin(frame: &[u8]) -> Result<Reader<'_>, FrameError> {
    if frame.len() > MAX_FRAME_BYTES {
        return Err(FrameError::TooLong { found: frame.len(), max: MAX_FRAME_BYTES });
    }
    Ok(Reader::new(frame))
}

fn bounded(writer: Writer) -> Result<Vec<u8>, FrameError> {
    let frame = writer.into_bytes();
    if frame.len() > MAX_FRAME_BYTES {
        return Err(FrameError::TooLong { found: frame.len(), max: MAX_FRAME_BYTES });
    }
    Ok(frame)
}

fn write_plain<T: Encode<()>>(writer: &mut Writer, name: u8, value: &T) {
    writer.byte(name);
    writer.raw(&vereda_base::encode(value));
}

fn read_plain<T>(reader: &mut Reader<'_>) -> Result<T, FrameError>
where
    T: Encode<()> + for<'b> Decode<'b, ()>,
{
    vereda_base::decode(reader.remainder(), MAX_FRAME_BYTES).map_err(|_| reader.malformed())
}

/// Reads names asked for, no more than may be asked at once.
fn read_named<T>(reader: &mut Reader<'_>) -> Result<Vec<T>, FrameError>
where
    Vec<T>: Encode<()> + for<'b> Decode<'b, ()>,
{
    let named: Vec<T> = unpack_value(reader)?;
    if named.len() > MAX_NAMED { Err(reader.malformed()) } else { Ok(named) }
}

fn write_entries(writer: &mut Writer, memory: &mut Memory, entries: &[PolicyEntry]) {
    writer.number(entries.len() as u64);
    entries.iter().for_each(|entry| pack_entry(writer, memory, entry));
}

fn read_entries(reader: &mut Reader<'_>, memory: &mut Memory) -> Result<Vec<PolicyEntry>, FrameError> {
    let count = reader.count(MAX_ITEMS)?;
    (0..count).map(|_| unpack_entry(reader, memory)).collect()
}

fn write_chunks(writer: &mut Writer, memory: &mut Memory, chunks: &[Chunk]) {
    writer.number(chunks.len() as u64);
    chunks.iter().for_each(|chunk| pack_chunk(writer, memory, chunk));
}

fn read_chunks(reader: &mut Reader<'_>, memory: &mut Memory) -> Result<Vec<Chunk>, FrameError> {
    let count = reader.count(MAX_ITEMS)?;
    (0..count).map(|_| unpack_chunk(reader, memory)).collect()
}

fn write_op_result(writer: &mut Writer, memory: &mut Memory, request: u64, outcome: &OpOutcome) {
    writer.byte(OP_RESULT);
    writer.number(request);
    match outcome {
        OpOutcome::Appended(receipt) => {
            writer.byte(APPENDED);
            pack_receipt(writer, memory, receipt);
        }
        OpOutcome::HeadMoved(head) => {
            writer.byte(HEAD_MOVED);
            writer.id(&mut memory.table, head.as_bytes());
        }
        OpOutcome::Refused(code) => {
            writer.byte(OP_REFUSED);
            writer.byte(code_of(code));
        }
        OpOutcome::FrontierMoved(leaves) => {
            writer.byte(FRONTIER_MOVED);
            pack_value(writer, leaves);
        }
        OpOutcome::InReview => writer.byte(OP_IN_REVIEW),
        OpOutcome::FrontierPaged(frontier) => {
            writer.byte(FRONTIER_PAGED);
            pack_value(writer, frontier);
        }
    }
}

fn read_op_result(reader: &mut Reader<'_>, memory: &mut Memory) -> Result<Down, FrameError> {
    let request = reader.number()?;
    let outcome = match reader.byte()? {
        APPENDED => OpOutcome::Appended(unpack_receipt(reader, memory)?),
        HEAD_MOVED => OpOutcome::HeadMoved(OpId(reader.id(&mut memory.table)?)),
        OP_REFUSED => OpOutcome::Refused(read_code::<RefusalCode>(reader)?),
        FRONTIER_MOVED => OpOutcome::FrontierMoved(unpack_value(reader)?),
        OP_IN_REVIEW => OpOutcome::InReview,
        FRONTIER_PAGED => OpOutcome::FrontierPaged(unpack_value(reader)?),
        _ => return Err(reader.malformed()),
    };
    Ok(Down::OpResult { request, outcome })
}

/// The number of an enum without content, as its CBOR form has it: below 24, so one byte.
fn code_of<T: Encode<()>>(code: &T) -> u8 {
    vereda_base::encode(code).first().copied().unwrap_or_default()
}

fn read_code<T>(reader: &mut Reader<'_>) -> Result<T, FrameError>
where
    T: Encode<()> + for<'b> Decode<'b, ()>,
{
    vereda_base::decode(&[reader.byte()?], 1).map_err(|_| reader.malformed())
}
