//! Chunks in the packed form.

use minicbor::bytes::ByteArray;
use vereda_base::{ChainId, DeviceId, Digest, Incarnation, Link, OpId, limits};
use vereda_crypto::{SUITE, Signature, Signed, context, hash};
use vereda_policy::Cite;

use super::{Memory, Reader, Writer};
use crate::{
    chunk::{Chunk, ChunkKind, Header},
    frame::FrameError,
};

/// Header spelled out: it is not of the form that can be rebuilt, and will be refused for that.
const RAW: u8 = 0;
/// Suite 1, kind `Changes`, length and hash of the ciphertext derived.
const PACKED: u8 = 1;

/// Writes a chunk.
pub(crate) fn pack_chunk(writer: &mut Writer, memory: &mut Memory, chunk: &Chunk) {
    match packable(chunk) {
        Some(header) => {
            writer.byte(PACKED);
            pack_header(writer, memory, &header);
            memory.table.note(header.link().0);
        }
        None => {
            writer.byte(RAW);
            writer.bytes(chunk.header.bytes());
        }
    }
    writer.raw(chunk.header.signature().as_bytes());
    writer.bytes(&chunk.ciphertext);
}

/// Reads a chunk.
pub(crate) fn unpack_chunk(reader: &mut Reader<'_>, memory: &mut Memory) -> Result<Chunk, FrameError> {
    match reader.byte()? {
        PACKED => {
            let mut header = unpack_header(reader, memory)?;
            let signature = Signature(reader.array()?);
            let ciphertext = reader.bytes(limits::MAX_CIPHERTEXT_BYTES)?.to_vec();
            header.ciphertext_len = u32::try_from(ciphertext.len()).map_err(|_| reader.malformed())?;
            header.ciphertext_hash = Digest(hash(context::CIPHERTEXT, &[&ciphertext]));
            memory.table.note(header.link().0);
            let payload = vereda_base::encode(&header);
            reader.expand(payload.len())?;
            Ok(Chunk { header: Signed::from_parts(payload, signature), ciphertext })
        }
        RAW => {
            let payload = reader.bytes(limits::MAX_HEADER_BYTES)?.to_vec();
            let signature = Signature(reader.array()?);
            let ciphertext = reader.bytes(limits::MAX_CIPHERTEXT_BYTES)?.to_vec();
            let chunk = Chunk { header: Signed::from_parts(payload, signature), ciphertext };
            if packable(&chunk).is_some() { Err(reader.not_canonical()) } else { Ok(chunk) }
        }
        _ => Err(reader.malformed()),
    }
}

/// The header, where the receiver can rebuild its very bytes.
fn packable(chunk: &Chunk) -> Option<Header> {
    let header: Header = vereda_base::decode(chunk.header.bytes(), limits::MAX_HEADER_BYTES).ok()?;
    let Header { suite, kind: ChunkKind::Changes, ref deps, ref cites, ciphertext_len, ciphertext_hash, .. } = header;
    let derivable = suite == SUITE
        && deps.len() <= limits::MAX_DEPS
        && cites.len() <= limits::MAX_CITES
        && chunk.ciphertext.len() <= limits::MAX_CIPHERTEXT_BYTES
        && usize::try_from(ciphertext_len).is_ok_and(|length| length == chunk.ciphertext.len())
        && ciphertext_hash.0 == hash(context::CIPHERTEXT, &[&chunk.ciphertext]);
    derivable.then_some(header)
}

fn pack_header(writer: &mut Writer, memory: &mut Memory, header: &Header) {
    let table = &mut memory.table;
    writer.id(table, header.document.as_bytes());
    writer.number(header.epoch);
    writer.id(table, header.device.as_bytes());
    writer.word(table, header.incarnation.0);
    writer.number(header.seq);
    writer.optional_id(table, header.prev.as_ref().map(Link::as_bytes));
    writer.number(header.deps.len() as u64);
    header.deps.iter().for_each(|dep| writer.id(table, dep.as_bytes()));
    writer.number(header.cites.len() as u64);
    for cite in &header.cites {
        writer.id(table, cite.chain.as_bytes());
        writer.id(table, cite.head.as_bytes());
    }
    writer.number(header.first_change);
    writer.number(u64::from(header.change_count));
    writer.raw(header.commitment.as_bytes());
    writer.raw(header.nonce.as_slice());
    writer.raw(header.ops_root.as_bytes());
}

/// Reads all but length and hash of the ciphertext, which follow from it.
fn unpack_header(reader: &mut Reader<'_>, memory: &mut Memory) -> Result<Header, FrameError> {
    let table = &mut memory.table;
    let document = ChainId(reader.id(table)?);
    let epoch = reader.number()?;
    let device = DeviceId(reader.id(table)?);
    let incarnation = Incarnation(reader.word(table)?);
    let seq = reader.number()?;
    let prev = reader.optional_id(table)?.map(Link);
    let dep_count = reader.count(limits::MAX_DEPS)?;
    let deps = (0..dep_count).map(|_| reader.id(table).map(Link)).collect::<Result<_, _>>()?;
    let cite_count = reader.count(limits::MAX_CITES)?;
    let cites = (0..cite_count)
        .map(|_| Ok(Cite { chain: ChainId(reader.id(table)?), head: OpId(reader.id(table)?) }))
        .collect::<Result<_, FrameError>>()?;
    let first_change = reader.number()?;
    let change_count = u32::try_from(reader.number()?).map_err(|_| reader.malformed())?;
    Ok(Header {
        suite: SUITE,
        kind: ChunkKind::Changes,
        document,
        epoch,
        device,
        incarnation,
        seq,
        prev,
        deps,
        cites,
        first_change,
        change_count,
        ciphertext_len: 0,
        ciphertext_hash: Digest([0; 32]),
        commitment: Digest(reader.array()?),
        nonce: ByteArray::from(reader.array::<24>()?),
        ops_root: Digest(reader.array()?),
    })
}
