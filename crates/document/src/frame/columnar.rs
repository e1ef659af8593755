//! Changes of one author in a row as columns over all of them: what one change says again after the one before it is
//! not written.
//!
//! Left out: lengths, column lists, actors and field names already seen, a dependency on the preceding change, the seq,
//! the first operation counter (it follows from the dependencies and is checked as such), and the operation that a put
//! overwrites where that is the last on the same key in the chunk.

mod decoder;
mod encoder;

use vereda_base::ActorBytes;

pub(super) use decoder::decode;
pub(super) use encoder::encode;

use crate::anatomy::{Action, Key};

/// A reference to an operation, with the actor as an index into the frame's table; 0 is the author, 1 the creator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct TableRef {
    actor: usize,
    counter: u64,
}

/// The streams of a frame, each written as one run-length column. Order is the order on the wire.
#[derive(Debug, Default)]
struct Streams {
    /// Operations per change.
    sizes: Vec<u64>,
    /// First operation counters, as folded difference from the counter after the preceding change.
    starts: Vec<u64>,
    /// Times, as folded difference from the preceding.
    times: Vec<u64>,
    /// Dependencies: 0 for only the preceding change, else count + 1, then each as distance within the frame or 0.
    deps: Vec<u64>,
    /// Form of each operation.
    forms: Vec<u64>,
    /// Object of each operation: 0 root, else index + 1 into the objects seen; the next index introduces one.
    objects: Vec<u64>,
    /// Key of each operation: 0 head, 1 the operation before, 2 an element, else index + 3 into the keys seen.
    keys: Vec<u64>,
    /// What each operation overwrites: 0 nothing, 1 its element, 2 the last on its key, else count + 2.
    replaced: Vec<u64>,
    /// Actors of written-out references.
    actors: Vec<u64>,
    /// Counters of written-out references, as distance before the operation.
    distances: Vec<u64>,
    /// Value metadata of each put.
    metas: Vec<u64>,
}

impl Streams {
    const fn all(&self) -> [&Vec<u64>; 11] {
        [
            &self.sizes,
            &self.starts,
            &self.times,
            &self.deps,
            &self.forms,
            &self.objects,
            &self.keys,
            &self.replaced,
            &self.actors,
            &self.distances,
            &self.metas,
        ]
    }
}

const KEY_HEAD: u64 = 0;
const KEY_PRECEDING: u64 = 1;
const KEY_ELEMENT: u64 = 2;
const KEY_FIRST: u64 = 3;

const REPLACED_NONE: u64 = 0;
const REPLACED_ELEMENT: u64 = 1;
const REPLACED_LAST: u64 = 2;

const FORM_PUT: u64 = 0;
const FORM_INSERT: u64 = 1;
const FORM_DELETE: u64 = 2;
const FORM_MAKE_TEXT: u64 = 3;
const FORM_MAKE_MAP: u64 = 4;

const fn form(action: Action, insert: bool) -> u64 {
    match (action, insert) {
        (Action::Put, false) => FORM_PUT,
        (Action::Put, true) => FORM_INSERT,
        (Action::Delete, _) => FORM_DELETE,
        (Action::MakeText, _) => FORM_MAKE_TEXT,
        (Action::MakeMap, _) => FORM_MAKE_MAP,
    }
}

const fn action(form: u64) -> Option<(Action, bool)> {
    match form {
        FORM_PUT => Some((Action::Put, false)),
        FORM_INSERT => Some((Action::Put, true)),
        FORM_DELETE => Some((Action::Delete, false)),
        FORM_MAKE_TEXT => Some((Action::MakeText, false)),
        FORM_MAKE_MAP => Some((Action::MakeMap, false)),
        _ => None,
    }
}

/// What both sides remember while they go through the operations, so that neither writes it twice.
#[derive(Debug, Default)]
struct Memory {
    objects: Vec<TableRef>,
    keys: Vec<std::sync::Arc<str>>,
    /// Counter of the author's last operation by object and key.
    last: std::collections::BTreeMap<(Option<TableRef>, std::sync::Arc<str>), u64>,
}

impl Memory {
    fn note(&mut self, object: Option<TableRef>, key: &Key, counter: u64) {
        if let Key::Map(text) = key {
            self.last.insert((object, text.clone()), counter);
        }
    }

    fn last(&self, object: Option<TableRef>, key: &Key) -> Option<TableRef> {
        match key {
            Key::Map(text) => {
                self.last.get(&(object, text.clone())).map(|counter| TableRef { actor: 0, counter: *counter })
            }
            Key::Head | Key::Element(_) => None,
        }
    }
}

/// The actors of a frame: the author, the creator, then the others in ascending order.
#[derive(Debug)]
struct ActorTable {
    known: [ActorBytes; 2],
    others: Vec<ActorBytes>,
}

impl ActorTable {
    fn index(&self, actor: ActorBytes) -> Option<usize> {
        let known = self.known.iter().position(|known| *known == actor);
        known.or_else(|| Some(self.others.binary_search_by_key(&actor.0, |other| other.0).ok()? + self.known.len()))
    }

    fn actor(&self, index: usize) -> Option<ActorBytes> {
        self.known.iter().chain(&self.others).nth(index).copied()
    }
}
