//! Which changes from another device are admitted, and why others are refused.
//!
//! Two steps. [`ParsedChunk::parse`] needs no replica: it reads every byte, and what it returns consists of changes of
//! the announced author, in a row, of kinds that we write, within bounds. `Replica::apply` then checks them against the
//! history that they build on, on a copy, all or nothing.

mod standing;

use std::collections::BTreeSet;

use vereda_base::ActorBytes;

pub(crate) use standing::Standing;

use crate::{
    anatomy::{Action, Anatomy, ChangeFault, Key, OpRef},
    frame::{self, Context, FrameError, Tally},
    shape,
};

/// What a chunk's signed header announces, and what its author had seen.
pub struct Expect<'a> {
    /// What both sides know before the chunk, its author's actor among it: that which device, incarnation and document
    /// give. From [`crate::Replica::context`], so that whatever the chunk builds on is applied first.
    pub context: Context,
    /// Seq of the first change; Automerge counts from 1.
    pub first_seq: u64,
    /// How many changes.
    pub count: u32,
    /// Tells whether a change hash belongs to the chunks that this one names as what it builds on, directly or not,
    /// or to the author's own earlier chunks.
    pub closure: &'a dyn Fn(&[u8; 32]) -> bool,
}

/// Why a chunk was refused. Names positions and sizes only, so that it may be logged and shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The body is no frame.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The bytes of a change: malformed, deflated, too large, or of kinds that we do not write.
    #[error("change {index}: {fault}")]
    Change {
        /// Position in the chunk.
        index: usize,
        /// What is wrong.
        fault: ChangeFault,
    },
    /// Not as many changes as the header announces.
    #[error("{found} changes where {announced} are announced")]
    Count {
        /// As announced.
        announced: u32,
        /// As found.
        found: usize,
    },
    /// A change under another actor than the signed author's.
    #[error("change {index} by a foreign actor")]
    ForeignActor {
        /// Position in the chunk.
        index: usize,
    },
    /// A seq twice, or one left out.
    #[error("change {index} has seq {found}, expected {expected}")]
    Sequence {
        /// Position in the chunk.
        index: usize,
        /// The seq that comes next.
        expected: u64,
        /// The seq found.
        found: u64,
    },
    /// Another change already stands at this actor and seq: a fork.
    #[error("change {index} repeats seq {seq} with other content")]
    DuplicateSequence {
        /// Position in the chunk.
        index: usize,
        /// The seq.
        seq: u64,
    },
    /// A dependency outside what the chunk says it builds on.
    #[error("change {index} depends on a change outside the chunk's closure")]
    OutsideClosure {
        /// Position in the chunk.
        index: usize,
    },
    /// A dependency that this replica does not hold: applied, it would be parked in silence.
    #[error("change {index} depends on a change that is missing")]
    MissingDependency {
        /// Position in the chunk.
        index: usize,
    },
    /// A change that does not name its author's preceding change as a dependency.
    #[error("change {index} does not build on its author's preceding change")]
    Detached {
        /// Position in the chunk.
        index: usize,
    },
    /// A first counter that does not follow from the dependencies: an extreme one makes Automerge panic at the next edit.
    #[error("change {index} starts at operation {found}, expected {expected}")]
    StartOp {
        /// Position in the chunk.
        index: usize,
        /// One more than the largest counter among the dependencies.
        expected: u64,
        /// The counter found.
        found: u64,
    },
    /// The fixed root maps made again, left out, or made otherwise: what stood in the old ones would vanish.
    #[error("change {index} does not respect the root maps")]
    Roots {
        /// Position in the chunk.
        index: usize,
    },
    /// An operation on an object that is not one of ours, is missing, or was not yet seen by the author.
    #[error("operation {operation} of change {index} acts on an object it may not")]
    Object {
        /// Position of the change.
        index: usize,
        /// Position of the operation in it.
        operation: usize,
    },
    /// An operation that does not overwrite exactly what its author saw, or refers to an element he cannot have seen.
    #[error("operation {operation} of change {index} refers to operations its author did not see")]
    References {
        /// Position of the change.
        index: usize,
        /// Position of the operation in it.
        operation: usize,
    },
    /// Automerge returned an error.
    #[error("change {index} refused by the document")]
    Document {
        /// Position in the chunk.
        index: usize,
    },
    /// Automerge panicked; the replica is as before.
    #[error("a change made the document panic")]
    Panicked,
}

/// A chunk's changes, wholly read and checked by themselves. Their hashes are for comparison with the signed header.
#[derive(Debug, Clone)]
pub struct ParsedChunk {
    pub(crate) changes: Vec<ParsedChange>,
    hashes: Vec<[u8; 32]>,
}

#[derive(Debug, Clone)]
pub(crate) struct ParsedChange {
    pub(crate) raw: Vec<u8>,
    pub(crate) hash: [u8; 32],
    pub(crate) anatomy: Anatomy,
}

impl ParsedChunk {
    /// Reads the body of a chunk and checks every change by itself. Never panics, whatever the bytes; never expands
    /// them beyond the limits.
    ///
    /// # Errors
    /// See [`Refusal`]; the variants of this step are those up to [`Refusal::OutsideClosure`], and
    /// [`Refusal::Detached`] and [`Refusal::Roots`].
    pub fn parse(body: &[u8], expect: &Expect<'_>) -> Result<Self, Refusal> {
        let raw = frame::decode(body, &expect.context)?;
        if u32::try_from(raw.len()) != Ok(expect.count) {
            return Err(Refusal::Count { announced: expect.count, found: raw.len() });
        }
        let mut changes = Vec::with_capacity(raw.len());
        let mut hashes: Vec<[u8; 32]> = Vec::with_capacity(raw.len());
        let mut within = BTreeSet::new();
        let mut tally = Tally::of_body(body.len());
        for (index, raw) in raw.into_iter().enumerate() {
            let anatomy = Anatomy::read(&raw).map_err(|fault| Refusal::Change { index, fault })?;
            tally.add(&anatomy)?;
            check_author(&anatomy, index, expect)?;
            if !anatomy.deps.iter().all(|dep| within.contains(dep) || (expect.closure)(dep)) {
                return Err(Refusal::OutsideClosure { index });
            }
            if hashes.last().is_some_and(|last| !anatomy.deps.contains(last)) {
                return Err(Refusal::Detached { index });
            }
            check_roots(&anatomy, index)?;
            let hash = anatomy_hash(&raw, index)?;
            within.insert(hash);
            hashes.push(hash);
            changes.push(ParsedChange { raw, hash, anatomy });
        }
        Ok(Self { changes, hashes })
    }

    /// Returns the hashes of the changes, in order.
    pub fn hashes(&self) -> &[[u8; 32]] {
        &self.hashes
    }
}

fn anatomy_hash(raw: &[u8], index: usize) -> Result<[u8; 32], Refusal> {
    crate::anatomy::hash(raw).map_err(|fault| Refusal::Change { index, fault })
}

fn check_author(anatomy: &Anatomy, index: usize, expect: &Expect<'_>) -> Result<(), Refusal> {
    if anatomy.actor != expect.context.author {
        return Err(Refusal::ForeignActor { index });
    }
    let expected = expect.first_seq.saturating_add(index as u64);
    if anatomy.seq != expected {
        return Err(Refusal::Sequence { index, expected, found: anatomy.seq });
    }
    Ok(())
}

/// Checks that the creating change, and no other, makes the root maps, all of them, before anything else.
fn check_roots(anatomy: &Anatomy, index: usize) -> Result<(), Refusal> {
    let made: Vec<_> = anatomy
        .operations
        .iter()
        .enumerate()
        .filter(|(_, operation)| operation.action == Action::MakeMap)
        .map(|(position, operation)| (position, operation.object.is_none(), &operation.key))
        .collect();
    let respected = if anatomy.deps.is_empty() {
        anatomy.seq == 1
            && made.len() == shape::ROOTS.len()
            && made.iter().zip(shape::ROOTS).enumerate().all(|(place, ((position, at_root, key), root))| {
                place == *position && *at_root && matches!(key, Key::Map(key) if **key == *root.name())
            })
    } else {
        made.is_empty()
    };
    // A text made over another would hide it.
    let hides = anatomy.operations.iter().any(|operation| {
        matches!(operation.action, Action::MakeMap | Action::MakeText) && !operation.replaces.is_empty()
    });
    if respected && !hides { Ok(()) } else { Err(Refusal::Roots { index }) }
}

/// Resolves a reference against the change's actors.
pub(crate) fn resolve(anatomy: &Anatomy, reference: OpRef) -> Option<(ActorBytes, u64)> {
    Some((anatomy.actor_at(reference.actor)?, reference.counter))
}
