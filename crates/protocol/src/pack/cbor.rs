//! Canonical CBOR with its 32-byte strings interned.
//!
//! All our formats use numbers, byte strings, arrays and null; a 32-byte string is an id or a hash. In the packed form
//! such a string may be the simple value whose number is its slot (`0xf8` and one byte), which no format of ours uses.

use super::{Reader, Writer, intern::Table};
use crate::frame::FrameError;

const REF: u8 = 0xf8;
const ID_HEAD: [u8; 2] = [0x58, 32];

/// One CBOR item without its children.
enum Item {
    /// A byte string of 32.
    Id,
    /// Other bytes or text: so many content bytes.
    Content(usize),
    /// So many items follow as children.
    Children(u64),
}

/// A head's meaning, and its length in bytes; `None` where it is not canonical or of a kind that no format of ours uses.
fn read_head(bytes: &[u8]) -> Option<(Item, usize)> {
    let first = *bytes.first()?;
    let (major, info) = (first >> 5, first & 0x1f);
    if major == 7 {
        return matches!(first, 0xf4..=0xf6).then_some((Item::Children(0), 1));
    }
    let width = match info {
        0..=23 => 0,
        24..=27 => 1 << (info - 24),
        _ => return None,
    };
    let argument = match width {
        0 => u64::from(info),
        _ => bytes.get(1..=width)?.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)),
    };
    let minimal = match width {
        0 => true,
        1 => argument > 23,
        2 => argument > 0xff,
        4 => argument > 0xffff,
        _ => argument > 0xffff_ffff,
    };
    let item = match major {
        0 | 1 => Item::Children(0),
        2 if argument == 32 => Item::Id,
        2 | 3 => Item::Content(usize::try_from(argument).ok()?),
        4 => Item::Children(argument),
        5 => Item::Children(argument.checked_mul(2)?),
        _ => Item::Children(1),
    };
    minimal.then_some((item, width + 1))
}

/// Visits the items of exactly one CBOR value: each head with its content. `None` where the bytes cannot be packed.
fn walk<'a>(mut bytes: &'a [u8], mut visit: impl FnMut(&'a [u8], Option<&'a [u8; 32]>)) -> Option<()> {
    let mut remaining = 1u64;
    while remaining > 0 {
        remaining -= 1;
        let (item, head) = read_head(bytes)?;
        let length = match item {
            Item::Id => head + 32,
            Item::Content(content) => head.checked_add(content)?,
            Item::Children(children) => {
                remaining = remaining.checked_add(children)?;
                head
            }
        };
        let (whole, rest) = bytes.split_at_checked(length)?;
        visit(whole, if matches!(item, Item::Id) { whole.last_chunk() } else { None });
        bytes = rest;
    }
    bytes.is_empty().then_some(())
}

/// Says whether [`pack_cbor`] can take these bytes.
pub(super) fn packable(bytes: &[u8]) -> bool {
    walk(bytes, |_, _| ()).is_some()
}

/// Writes one CBOR value that is [`packable`].
pub(super) fn pack_cbor(writer: &mut Writer, table: &mut Table, bytes: &[u8]) {
    let walked = walk(bytes, |whole, id| match id.and_then(|id| table.find(id)) {
        Some(slot) => writer.raw(&[REF, slot]),
        None => {
            writer.raw(whole);
            if let Some(id) = id {
                table.note(*id);
            }
        }
    });
    debug_assert!(walked.is_some(), "asked to pack what is not packable");
}

/// Reads what [`pack_cbor`] wrote: the original bytes, at most `max`.
pub(super) fn unpack_cbor(reader: &mut Reader<'_>, table: &mut Table, max: usize) -> Result<Vec<u8>, FrameError> {
    let mut bytes = Vec::new();
    let mut remaining = 1u64;
    while remaining > 0 {
        remaining -= 1;
        if reader.peek() == Some(REF) {
            reader.byte()?;
            let slot = reader.byte()?;
            reader.expand(32)?;
            let id = table.at(slot).ok_or_else(|| reader.malformed())?;
            bytes.extend_from_slice(&ID_HEAD);
            bytes.extend_from_slice(&id);
        } else {
            let (item, head) = read_head(reader.rest()).ok_or_else(|| reader.malformed())?;
            let length = match item {
                Item::Id => head + 32,
                Item::Content(content) => head.saturating_add(content),
                Item::Children(children) => {
                    remaining = remaining.checked_add(children).ok_or_else(|| reader.malformed())?;
                    head
                }
            };
            let whole = reader.raw(length)?;
            bytes.extend_from_slice(whole);
            if let (Item::Id, Some(id)) = (item, whole.last_chunk::<32>()) {
                if table.find(id).is_some() {
                    return Err(reader.not_canonical());
                }
                table.note(*id);
            }
        }
        if bytes.len() > max {
            return Err(reader.malformed());
        }
    }
    Ok(bytes)
}
