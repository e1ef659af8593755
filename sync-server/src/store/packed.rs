//! Chunks as they are stored: what the log or the ciphertext says already is left out, ids are small numbers. The exact
//! signed bytes are rebuilt; a header of which they could not be is stored as it is.

use vereda_base::{ChainId, DeviceId, Digest, Incarnation, Link, OpId, limits};
use vereda_crypto::{SUITE, Signature, Signed, context, hash};
use vereda_policy::Cite;
use vereda_protocol::{Chunk, ChunkKind, Header, decode_chunk, encode_chunk};
use vereda_sync::relay::{AcceptedChunk, StoreError};

/// The chunk as it travels, uncut.
const WHOLE: u8 = 0;
/// Suite 1, kind `Changes`, everything that can be derived left out.
const PACKED: u8 = 1;

/// Marks a dependency that is the chunk before.
const IS_PREV: u8 = 0;
/// Marks a dependency that is spelled out.
const IS_OTHER: u8 = 1;

const DAMAGED: StoreError = StoreError::Damaged { table: "data" };

/// Gives ids small numbers.
pub(super) trait Number {
    /// Finds the number of an id, or gives it one.
    fn number(&mut self, id: &[u8; 32]) -> Result<i64, StoreError>;
}

/// Finds ids again by their numbers.
pub(super) trait Name {
    /// The id that has a number.
    fn id(&self, number: i64) -> Result<[u8; 32], StoreError>;
}

/// What the log says of a chunk.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) document: ChainId,
    pub(super) device: DeviceId,
    pub(super) incarnation: Incarnation,
}

/// Writes a chunk.
pub(super) fn pack(accepted: &AcceptedChunk, numbers: &mut impl Number) -> Result<Vec<u8>, StoreError> {
    let (header, chunk) = (accepted.header(), accepted.chunk());
    let is_derivable = header.suite == SUITE
        && header.kind == ChunkKind::Changes
        && vereda_base::encode(header) == chunk.header.bytes();
    if !is_derivable {
        let mut bytes = vec![WHOLE];
        bytes.extend(encode_chunk(chunk));
        return Ok(bytes);
    }
    let mut bytes = Vec::with_capacity(chunk.ciphertext.len() + 320);
    bytes.push(PACKED);
    for number in [header.epoch, header.seq, header.first_change, u64::from(header.change_count)] {
        write_number(&mut bytes, number);
    }
    bytes.push(u8::from(header.prev.is_some()));
    bytes.extend(header.prev.iter().flat_map(|prev| prev.0));
    write_number(&mut bytes, header.deps.len() as u64);
    for dep in &header.deps {
        if header.prev == Some(*dep) {
            bytes.push(IS_PREV);
        } else {
            bytes.push(IS_OTHER);
            bytes.extend(dep.0);
        }
    }
    write_number(&mut bytes, header.cites.len() as u64);
    for cite in &header.cites {
        for id in [&cite.chain.0, &cite.head.0] {
            write_number(&mut bytes, numbers.number(id)?.cast_unsigned());
        }
    }
    bytes.extend(header.commitment.0);
    bytes.extend_from_slice(header.nonce.as_slice());
    bytes.extend(header.ops_root.0);
    bytes.extend(chunk.header.signature().0);
    bytes.extend_from_slice(&chunk.ciphertext);
    Ok(bytes)
}

/// Reads a chunk.
pub(super) fn unpack(content: &[u8], place: Place, names: &impl Name) -> Result<Chunk, StoreError> {
    match content.split_first() {
        Some((&WHOLE, whole)) => decode_chunk(whole).map_err(|_| DAMAGED),
        Some((&PACKED, packed)) => {
            let (mut header, rest) = unpack_header(packed, place, names)?;
            let (signature, ciphertext) = rest.split_first_chunk::<64>().ok_or(DAMAGED)?;
            header.ciphertext_len = u32::try_from(ciphertext.len()).map_err(|_| DAMAGED)?;
            header.ciphertext_hash = Digest(hash(context::CIPHERTEXT, &[ciphertext]));
            let header = Signed::from_parts(vereda_base::encode(&header), Signature(*signature));
            Ok(Chunk { header, ciphertext: ciphertext.to_vec() })
        }
        _ => Err(DAMAGED),
    }
}

/// Reads a chunk's link.
pub(super) fn link_of(content: &[u8], place: Place, names: &impl Name) -> Result<Link, StoreError> {
    match content.split_first() {
        // Length and hash of the ciphertext are no part of it.
        Some((&PACKED, packed)) => Ok(unpack_header(packed, place, names)?.0.link()),
        _ => {
            let chunk = unpack(content, place, names)?;
            let header: Result<Header, _> = vereda_base::decode(chunk.header.bytes(), limits::MAX_HEADER_BYTES);
            Ok(header.map_err(|_| DAMAGED)?.link())
        }
    }
}

/// Reads all but length and hash of the ciphertext; gives what follows.
fn unpack_header<'a>(packed: &'a [u8], place: Place, names: &impl Name) -> Result<(Header, &'a [u8]), StoreError> {
    let mut reader = Reader(packed);
    let (epoch, seq, first_change) = (reader.number()?, reader.number()?, reader.number()?);
    let change_count = u32::try_from(reader.number()?).map_err(|_| DAMAGED)?;
    let prev = match reader.byte()? {
        0 => None,
        _ => Some(Link(reader.array()?)),
    };
    let mut deps = Vec::new();
    for _ in 0..reader.count(limits::MAX_DEPS)? {
        deps.push(match reader.byte()? {
            IS_PREV => prev.ok_or(DAMAGED)?,
            _ => Link(reader.array()?),
        });
    }
    let mut cites = Vec::new();
    for _ in 0..reader.count(limits::MAX_CITES)? {
        let mut id = || names.id(reader.number()?.cast_signed());
        cites.push(Cite { chain: ChainId(id()?), head: OpId(id()?) });
    }
    let header = Header {
        suite: SUITE,
        kind: ChunkKind::Changes,
        document: place.document,
        epoch,
        device: place.device,
        incarnation: place.incarnation,
        seq,
        prev,
        deps,
        cites,
        first_change,
        change_count,
        ciphertext_len: 0,
        ciphertext_hash: Digest([0; 32]),
        commitment: Digest(reader.array()?),
        nonce: reader.array::<24>()?.into(),
        ops_root: Digest(reader.array()?),
    };
    Ok((header, reader.0))
}

fn write_number(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push((value as u8 & 0x7f) | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

/// Reads what was written here; everything else is damage.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn byte(&mut self) -> Result<u8, StoreError> {
        let (byte, rest) = self.0.split_first().ok_or(DAMAGED)?;
        self.0 = rest;
        Ok(*byte)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], StoreError> {
        let (array, rest) = self.0.split_first_chunk::<N>().ok_or(DAMAGED)?;
        self.0 = rest;
        Ok(*array)
    }

    fn number(&mut self) -> Result<u64, StoreError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(DAMAGED)
    }

    fn count(&mut self, max: usize) -> Result<usize, StoreError> {
        usize::try_from(self.number()?).ok().filter(|count| *count <= max).ok_or(DAMAGED)
    }
}
