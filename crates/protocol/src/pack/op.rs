//! Operations, receipts and wraps in the packed form.

use minicbor::{Decode, Decoder, Encode};
use vereda_base::{ChainId, DeviceId, OpId, Timestamp, limits};
use vereda_crypto::{MerkleProof, SUITE, Signable, Signature, Signed};
use vereda_policy::{Op, Receipt, Wrap, WrapProof, op_id_of_bytes};

use super::{Memory, Reader, Writer, cbor, pack_chunk, unpack_chunk};
use crate::{
    frame::FrameError,
    message::{PolicyEntry, Position},
};

const RAW: u8 = 0;
const PACKED: u8 = 1;
/// A receipt that follows from its operation, but for relay, epoch, time and signature.
const DERIVED: u8 = 2;

const ENTRY_OP: u8 = 0;
const ENTRY_WRAP: u8 = 1;
const ENTRY_VISIBLE: u8 = 2;
const ENTRY_FRONTIER: u8 = 3;
const ENTRY_REVIEW: u8 = 4;
const ENTRY_REVIEW_DOCUMENT: u8 = 5;

/// The longest path: count, and 64 hashes.
const MAX_PATH_BYTES: usize = 2_560;

/// Writes an operation.
pub(crate) fn pack_op(writer: &mut Writer, memory: &mut Memory, op: &Signed<Op>) {
    pack_signed(writer, memory, op);
    memory.table.note(op_id_of_bytes(op.bytes()).0);
}

/// Reads an operation.
pub(crate) fn unpack_op(reader: &mut Reader<'_>, memory: &mut Memory) -> Result<Signed<Op>, FrameError> {
    let op: Signed<Op> = unpack_signed(reader, memory)?;
    memory.table.note(op_id_of_bytes(op.bytes()).0);
    Ok(op)
}

/// Writes a receipt on its own.
pub(crate) fn pack_receipt(writer: &mut Writer, memory: &mut Memory, receipt: &Signed<Receipt>) {
    pack_signed(writer, memory, receipt);
}

/// Reads a receipt on its own.
pub(crate) fn unpack_receipt(reader: &mut Reader<'_>, memory: &mut Memory) -> Result<Signed<Receipt>, FrameError> {
    unpack_signed(reader, memory)
}

/// Writes a wrap.
pub(crate) fn pack_wrap(writer: &mut Writer, memory: &mut Memory, wrap: &Wrap) {
    cbor::pack_cbor(writer, &mut memory.table, &vereda_base::encode(wrap));
}

/// Reads a wrap.
pub(crate) fn unpack_wrap(reader: &mut Reader<'_>, memory: &mut Memory) -> Result<Wrap, FrameError> {
    let bytes = cbor::unpack_cbor(reader, &mut memory.table, limits::MAX_WRAP_BYTES + 64)?;
    vereda_base::decode(&bytes, limits::MAX_WRAP_BYTES + 64).map_err(|_| reader.malformed())
}

/// Writes an entry of the policy lane.
pub(crate) fn pack_entry(writer: &mut Writer, memory: &mut Memory, entry: &PolicyEntry) {
    match entry {
        PolicyEntry::Op { op, receipt } => {
            writer.byte(ENTRY_OP);
            pack_op(writer, memory, op);
            pack_receipt_of(writer, memory, op, receipt);
        }
        PolicyEntry::Wrap { chain, op, wrap, proof } => {
            writer.byte(ENTRY_WRAP);
            writer.id(&mut memory.table, chain.as_bytes());
            writer.id(&mut memory.table, op.as_bytes());
            pack_wrap(writer, memory, wrap);
            writer.number(proof.index);
            writer.bytes(&vereda_base::encode(&proof.path));
        }
        PolicyEntry::Visible { document, upto } => {
            writer.byte(ENTRY_VISIBLE);
            writer.id(&mut memory.table, document.as_bytes());
            writer.number(upto.0);
        }
        PolicyEntry::Frontier { chain, removal, leaves } => {
            writer.byte(ENTRY_FRONTIER);
            writer.id(&mut memory.table, chain.as_bytes());
            writer.id(&mut memory.table, removal.as_bytes());
            pack_value(writer, leaves);
        }
        PolicyEntry::Review { chunk, received } => {
            writer.byte(ENTRY_REVIEW);
            pack_chunk(writer, memory, chunk);
            writer.signed(received.0);
        }
        PolicyEntry::ReviewDocument { create, wraps, received } => {
            writer.byte(ENTRY_REVIEW_DOCUMENT);
            pack_op(writer, memory, create);
            pack_value(writer, wraps);
            writer.signed(received.0);
        }
    }
}

/// Reads an entry of the policy lane.
pub(crate) fn unpack_entry(reader: &mut Reader<'_>, memory: &mut Memory) -> Result<PolicyEntry, FrameError> {
    match reader.byte()? {
        ENTRY_OP => {
            let op = unpack_op(reader, memory)?;
            let receipt = unpack_receipt_of(reader, memory, &op)?;
            Ok(PolicyEntry::Op { op, receipt })
        }
        ENTRY_WRAP => Ok(PolicyEntry::Wrap {
            chain: ChainId(reader.id(&mut memory.table)?),
            op: OpId(reader.id(&mut memory.table)?),
            wrap: unpack_wrap(reader, memory)?,
            proof: WrapProof { index: reader.number()?, path: unpack_path(reader)? },
        }),
        ENTRY_VISIBLE => Ok(PolicyEntry::Visible {
            document: ChainId(reader.id(&mut memory.table)?),
            upto: Position(reader.number()?),
        }),
        ENTRY_FRONTIER => Ok(PolicyEntry::Frontier {
            chain: ChainId(reader.id(&mut memory.table)?),
            removal: OpId(reader.id(&mut memory.table)?),
            leaves: unpack_value(reader)?,
        }),
        ENTRY_REVIEW => {
            Ok(PolicyEntry::Review { chunk: unpack_chunk(reader, memory)?, received: Timestamp(reader.signed()?) })
        }
        ENTRY_REVIEW_DOCUMENT => Ok(PolicyEntry::ReviewDocument {
            create: unpack_op(reader, memory)?,
            wraps: unpack_value(reader)?,
            received: Timestamp(reader.signed()?),
        }),
        _ => Err(reader.malformed()),
    }
}

/// Writes a value of what travels seldom, as it is.
pub(crate) fn pack_value<T: Encode<()>>(writer: &mut Writer, value: &T) {
    writer.bytes(&vereda_base::encode(value));
}

/// Reads what [`pack_value`] wrote.
pub(crate) fn unpack_value<T>(reader: &mut Reader<'_>) -> Result<T, FrameError>
where
    T: Encode<()> + for<'b> Decode<'b, ()>,
{
    let bytes = reader.bytes(limits::MAX_FRAME_BYTES)?;
    vereda_base::decode(bytes, limits::MAX_FRAME_BYTES).map_err(|_| reader.malformed())
}

fn unpack_path(reader: &mut Reader<'_>) -> Result<MerkleProof, FrameError> {
    let bytes = reader.bytes(MAX_PATH_BYTES)?;
    vereda_base::decode(bytes, MAX_PATH_BYTES).map_err(|_| reader.malformed())
}

/// Writes a receipt next to its operation.
fn pack_receipt_of(writer: &mut Writer, memory: &mut Memory, op: &Signed<Op>, receipt: &Signed<Receipt>) {
    let Some(known) = derivable(op, receipt) else {
        return pack_receipt(writer, memory, receipt);
    };
    writer.byte(DERIVED);
    writer.id(&mut memory.table, known.relay.as_bytes());
    writer.number(known.relay_epoch);
    writer.signed(known.time.0.wrapping_sub(memory.receipt_time));
    memory.receipt_time = known.time.0;
    writer.raw(receipt.signature().as_bytes());
}

fn unpack_receipt_of(
    reader: &mut Reader<'_>,
    memory: &mut Memory,
    op: &Signed<Op>,
) -> Result<Signed<Receipt>, FrameError> {
    if reader.peek() != Some(DERIVED) {
        let receipt = unpack_receipt(reader, memory)?;
        return if derivable(op, &receipt).is_some() { Err(reader.not_canonical()) } else { Ok(receipt) };
    }
    reader.byte()?;
    let relay = DeviceId(reader.id(&mut memory.table)?);
    let relay_epoch = reader.number()?;
    let time = Timestamp(memory.receipt_time.wrapping_add(reader.signed()?));
    memory.receipt_time = time.0;
    let receipt = derive_receipt(op, relay, relay_epoch, time).ok_or_else(|| reader.malformed())?;
    let payload = vereda_base::encode(&receipt);
    reader.expand(payload.len())?;
    Ok(Signed::from_parts(payload, Signature(reader.array()?)))
}

/// The receipt, where it follows from its operation.
fn derivable(op: &Signed<Op>, receipt: &Signed<Receipt>) -> Option<Receipt> {
    let given: Receipt = vereda_base::decode(receipt.bytes(), Receipt::MAX_BYTES).ok()?;
    let derived = derive_receipt(op, given.relay, given.relay_epoch, given.time)?;
    (derived == given).then_some(given)
}

fn derive_receipt(op: &Signed<Op>, relay: DeviceId, relay_epoch: u64, time: Timestamp) -> Option<Receipt> {
    let (chain, seq) = place(op.bytes())?;
    let id = op_id_of_bytes(op.bytes());
    let chain = chain.unwrap_or(ChainId(id.0));
    Some(Receipt { suite: SUITE, relay, relay_epoch, chain, seq, op: id, time })
}

/// Reads chain and seq of an operation, without what follows them.
fn place(bytes: &[u8]) -> Option<(Option<ChainId>, u64)> {
    let mut decoder = Decoder::new(bytes);
    decoder.array().ok()??;
    decoder.u8().ok()?;
    Some((decoder.decode().ok()?, decoder.u64().ok()?))
}

fn pack_signed<T>(writer: &mut Writer, memory: &mut Memory, signed: &Signed<T>) {
    if cbor::packable(signed.bytes()) {
        writer.byte(PACKED);
        cbor::pack_cbor(writer, &mut memory.table, signed.bytes());
    } else {
        writer.byte(RAW);
        writer.bytes(signed.bytes());
    }
    writer.raw(signed.signature().as_bytes());
}

fn unpack_signed<T: Signable>(reader: &mut Reader<'_>, memory: &mut Memory) -> Result<Signed<T>, FrameError> {
    let payload = match reader.byte()? {
        PACKED => cbor::unpack_cbor(reader, &mut memory.table, T::MAX_BYTES)?,
        RAW => {
            let payload = reader.bytes(T::MAX_BYTES)?.to_vec();
            if cbor::packable(&payload) {
                return Err(reader.not_canonical());
            }
            payload
        }
        _ => return Err(reader.malformed()),
    };
    Ok(Signed::from_parts(payload, Signature(reader.array()?)))
}
