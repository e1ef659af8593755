//! The parts of one Automerge change, read strictly from its raw bytes and written back to the same bytes.
//!
//! Automerge's own reader trusts what it reads: it inflates without bound, expands runs without bound and does not
//! compare the checksum. So a change is read here first, wholly, and handed to Automerge only afterwards. Layout:
//! <https://automerge.org/automerge-binary-format-spec/>, "Change chunks".

mod columns;
mod operation;

use sha2::{Digest as _, Sha256};
use vereda_base::ActorBytes;

pub(crate) use operation::{Action, Key, MAX_KEY_BYTES, MAX_VALUE_BYTES, OpRef, Operation};

use crate::varint::{ReadError, Reader, write_length, write_prefixed, write_signed, write_unsigned};

/// Largest operation counter that is admitted: Automerge holds counters in 32 bits and panics beyond.
pub const MAX_COUNTER: u64 = i32::MAX as u64;

/// Dependencies of one change: every head at the time of an edit, as many as there are devices that were apart.
pub(crate) const MAX_CHANGE_DEPS: usize = 1_024;

const MAGIC: [u8; 4] = [0x85, 0x6f, 0x4a, 0x83];
const KIND_CHANGE: u8 = 1;
const KIND_DEFLATED: u8 = 2;

/// Why the bytes of one change were refused. Holds sizes and codes only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChangeFault {
    /// Malformed, truncated, or followed by other bytes.
    #[error("change malformed: {0}")]
    Read(#[from] ReadError),
    /// Not an Automerge chunk.
    #[error("no automerge magic")]
    Magic,
    /// A document, a bundle, or an unknown kind of chunk.
    #[error("chunk kind {found} where a change is expected")]
    Kind {
        /// The kind found.
        found: u8,
    },
    /// A deflated change or column: only our own bounded decompressor inflates.
    #[error("deflated content")]
    Deflated,
    /// The checksum is not that of the content.
    #[error("checksum differs from content")]
    Checksum,
    /// An actor id that is not 16 bytes.
    #[error("actor id of {found} bytes")]
    ActorLength {
        /// Length found, in bytes.
        found: usize,
    },
    /// An actor that the change lists twice, or that it need not list.
    #[error("actor list malformed")]
    ActorList,
    /// More dependencies than are allowed, or not in ascending order.
    #[error("{found} dependencies, more than allowed or out of order")]
    Dependencies {
        /// How many were found.
        found: usize,
    },
    /// A commit message: we write none.
    #[error("message of {bytes} bytes where none is allowed")]
    Message {
        /// Its length, in bytes.
        bytes: usize,
    },
    /// Bytes behind the columns: we write none.
    #[error("{bytes} extra bytes where none are allowed")]
    ExtraBytes {
        /// How many.
        bytes: usize,
    },
    /// More operations, or more references to overwritten operations, than are allowed.
    #[error("more than {max} rows in one change")]
    TooManyRows {
        /// The bound.
        max: usize,
    },
    /// A change without operations that joins no heads.
    #[error("neither operations nor heads to join")]
    Empty,
    /// Columns that do not have one row per operation.
    #[error("columns of unequal length")]
    Rows,
    /// A column that no change of ours has, or one out of order.
    #[error("unknown column {spec}")]
    UnknownColumn {
        /// Its specification.
        spec: u64,
    },
    /// A counter that no honest change can have reached.
    #[error("operation counter {found} out of range")]
    Counter {
        /// The counter found.
        found: u64,
    },
    /// An operation of a kind that no change of ours holds.
    #[error("operation of kind {action} not allowed")]
    Action {
        /// Automerge's code of the kind.
        action: u64,
    },
    /// A value of a type that no change of ours holds, malformed, or too long.
    #[error("value of type {kind} and {bytes} bytes not allowed")]
    Value {
        /// Automerge's code of the type.
        kind: u64,
        /// Its length, in bytes.
        bytes: usize,
    },
    /// A map key that is empty or too long.
    #[error("key of {bytes} bytes not allowed")]
    Key {
        /// Its length, in bytes.
        bytes: usize,
    },
    /// A reference to an actor that the change does not list, or to an operation that does not precede it.
    #[error("operation {index} refers to what does not precede it")]
    Reference {
        /// Position of the operation in the change.
        index: usize,
    },
}

/// One change, in parts. Message and extra bytes are always empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Anatomy {
    pub(crate) deps: Vec<[u8; 32]>,
    pub(crate) actor: ActorBytes,
    pub(crate) seq: u64,
    pub(crate) start_op: u64,
    /// In seconds.
    pub(crate) time: i64,
    /// Other actors that operations refer to, ascending; index 0 is the author, index 1 the first of these.
    pub(crate) others: Vec<ActorBytes>,
    pub(crate) operations: Vec<Operation>,
}

impl Anatomy {
    /// Reads one change; nothing may follow it.
    pub(crate) fn read(raw: &[u8]) -> Result<Self, ChangeFault> {
        let mut reader = Reader::new(raw);
        if reader.array::<4>()? != MAGIC {
            return Err(ChangeFault::Magic);
        }
        let checksum = reader.array::<4>()?;
        match reader.byte()? {
            KIND_CHANGE => {}
            KIND_DEFLATED => return Err(ChangeFault::Deflated),
            found => return Err(ChangeFault::Kind { found }),
        }
        let content = reader.prefixed()?;
        reader.finish()?;
        if hash_content(content).first_chunk() != Some(&checksum) {
            return Err(ChangeFault::Checksum);
        }
        Self::read_content(content)
    }

    fn read_content(content: &[u8]) -> Result<Self, ChangeFault> {
        let mut reader = Reader::new(content);
        let deps = read_dependencies(&mut reader)?;
        let actor = read_actor(&mut reader)?;
        let seq = reader.unsigned()?;
        let start_op = reader.unsigned()?;
        let time = reader.signed()?;
        let message = reader.prefixed()?;
        if !message.is_empty() {
            return Err(ChangeFault::Message { bytes: message.len() });
        }
        let count = reader.length()?;
        let others = (0..count).map(|_| read_actor(&mut reader)).collect::<Result<Vec<_>, _>>()?;
        if !others.is_sorted_by(|a, b| a.0 < b.0) || others.contains(&actor) {
            return Err(ChangeFault::ActorList);
        }
        let operations = columns::read(&mut reader)?;
        if operations.is_empty() && deps.len() < 2 {
            return Err(ChangeFault::Empty);
        }
        if !reader.is_empty() {
            return Err(ChangeFault::ExtraBytes { bytes: reader.left() });
        }
        let anatomy = Self { deps, actor, seq, start_op, time, others, operations };
        anatomy.check_counters()?;
        Ok(anatomy)
    }

    /// Checks that every operation refers only to listed actors and to earlier counters.
    fn check_counters(&self) -> Result<(), ChangeFault> {
        if self.seq == 0 || self.start_op == 0 || self.max_op() > MAX_COUNTER {
            return Err(ChangeFault::Counter { found: self.start_op });
        }
        for (index, (operation, counter)) in self.operations.iter().zip(self.start_op..).enumerate() {
            let precedes = |reference: &OpRef| {
                reference.actor <= self.others.len() && reference.counter > 0 && reference.counter < counter
            };
            let key = match &operation.key {
                Key::Element(element) => precedes(element),
                Key::Map(_) | Key::Head => true,
            };
            if !key || !operation.object.iter().all(precedes) || !operation.replaces.iter().all(precedes) {
                return Err(ChangeFault::Reference { index });
            }
        }
        Ok(())
    }

    /// Returns the largest counter of the change's operations.
    pub(crate) const fn max_op(&self) -> u64 {
        self.start_op.saturating_add(self.operations.len() as u64).saturating_sub(1)
    }

    /// Resolves an actor index: 0 is the author.
    pub(crate) fn actor_at(&self, index: usize) -> Option<ActorBytes> {
        match index.checked_sub(1) {
            None => Some(self.actor),
            Some(other) => self.others.get(other).copied(),
        }
    }

    /// Writes the change as Automerge writes it, and its hash.
    pub(crate) fn write(&self) -> (Vec<u8>, [u8; 32]) {
        let mut content = Vec::new();
        write_length(&mut content, self.deps.len());
        for dep in &self.deps {
            content.extend_from_slice(dep);
        }
        write_prefixed(&mut content, &self.actor.0);
        write_unsigned(&mut content, self.seq);
        write_unsigned(&mut content, self.start_op);
        write_signed(&mut content, self.time);
        write_length(&mut content, 0);
        write_length(&mut content, self.others.len());
        for other in &self.others {
            write_prefixed(&mut content, &other.0);
        }
        columns::write(&self.operations, &mut content);
        enclose(&content)
    }
}

/// Puts magic, checksum, kind and length before a change's content; returns also its hash.
pub(crate) fn enclose(content: &[u8]) -> (Vec<u8>, [u8; 32]) {
    let hash = hash_content(content);
    let mut raw = Vec::with_capacity(content.len() + 16);
    raw.extend_from_slice(&MAGIC);
    raw.extend(hash.first_chunk::<4>().into_iter().flatten());
    raw.push(KIND_CHANGE);
    write_prefixed(&mut raw, content);
    (raw, hash)
}

/// Takes magic, checksum, kind and length off a change, without reading its content.
pub(crate) fn disclose(raw: &[u8]) -> Result<&[u8], ChangeFault> {
    let mut reader = Reader::new(raw);
    reader.take(9)?;
    let content = reader.prefixed()?;
    reader.finish()?;
    if enclose(content).0 == raw { Ok(content) } else { Err(ChangeFault::Checksum) }
}

/// Returns the hash of a change that was read before.
pub(crate) fn hash(raw: &[u8]) -> Result<[u8; 32], ChangeFault> {
    disclose(raw).map(hash_content)
}

fn hash_content(content: &[u8]) -> [u8; 32] {
    let mut prefix = vec![KIND_CHANGE];
    write_length(&mut prefix, content.len());
    Sha256::new().chain_update(prefix).chain_update(content).finalize().into()
}

fn read_dependencies(reader: &mut Reader<'_>) -> Result<Vec<[u8; 32]>, ChangeFault> {
    let found = reader.length()?;
    if found > MAX_CHANGE_DEPS {
        return Err(ChangeFault::Dependencies { found });
    }
    let deps = (0..found).map(|_| reader.array::<32>()).collect::<Result<Vec<_>, _>>()?;
    if deps.is_sorted_by(|a, b| a < b) { Ok(deps) } else { Err(ChangeFault::Dependencies { found }) }
}

fn read_actor(reader: &mut Reader<'_>) -> Result<ActorBytes, ChangeFault> {
    let bytes = reader.prefixed()?;
    bytes.try_into().map(ActorBytes).map_err(|_| ChangeFault::ActorLength { found: bytes.len() })
}
