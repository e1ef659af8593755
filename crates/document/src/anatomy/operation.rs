//! One operation of a change, and which operations a change of ours may hold.

use std::sync::Arc;

use super::ChangeFault;
use crate::varint::Reader;

/// Longest key of a map, in bytes: a path and the code of a choice.
pub(crate) const MAX_KEY_BYTES: usize = 1_024;
/// Longest value of a register, in bytes.
pub(crate) const MAX_VALUE_BYTES: usize = 64 << 10;

/// A reference to an operation: index into the change's actors, and counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct OpRef {
    pub(crate) actor: usize,
    pub(crate) counter: u64,
}

/// What an operation acts on within its object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    /// A key of a map.
    Map(Arc<str>),
    /// Before the first element of a text.
    Head,
    /// An element of a text.
    Element(OpRef),
}

/// The kinds of operation that we write. Automerge knows others (lists, tables, counters, marks); none is admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Action {
    MakeMap = 0,
    Put = 1,
    Delete = 3,
    MakeText = 4,
}

impl Action {
    pub(crate) const fn from_code(code: u64) -> Option<Self> {
        match code {
            0 => Some(Self::MakeMap),
            1 => Some(Self::Put),
            3 => Some(Self::Delete),
            4 => Some(Self::MakeText),
            _ => None,
        }
    }
}

/// One operation. `meta` is Automerge's value metadata: length in bytes shifted by four, and type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Operation {
    /// The object; none for the root.
    pub(crate) object: Option<OpRef>,
    pub(crate) key: Key,
    pub(crate) insert: bool,
    pub(crate) action: Action,
    pub(crate) meta: u64,
    pub(crate) value: Vec<u8>,
    /// The operations that this one overwrites.
    pub(crate) replaces: Vec<OpRef>,
}

const NULL: u64 = 0;
const FALSE: u64 = 1;
const TRUE: u64 = 2;
const SIGNED: u64 = 4;
const TEXT: u64 = 6;
const TIMESTAMP: u64 = 9;

impl Operation {
    /// Checks the operation by itself: one of the few forms that we write.
    pub(crate) fn check(&self) -> Result<(), ChangeFault> {
        let forbidden = ChangeFault::Action { action: self.action as u64 };
        match (&self.key, self.action, self.insert) {
            (Key::Map(key), Action::MakeMap | Action::MakeText | Action::Put, false) => {
                if key.is_empty() || key.len() > MAX_KEY_BYTES {
                    return Err(ChangeFault::Key { bytes: key.len() });
                }
                if self.object.is_none() && self.action != Action::MakeMap {
                    return Err(forbidden);
                }
                if self.action == Action::Put { self.check_register() } else { self.check_null() }
            }
            // Automerge settles a conflict in favour of its winner by deleting the other values.
            (Key::Map(_), Action::Delete, false) => {
                if self.object.is_none() || self.replaces.is_empty() {
                    return Err(forbidden);
                }
                self.check_null()
            }
            (Key::Head | Key::Element(_), Action::Put, true) => {
                if self.object.is_none() || !self.replaces.is_empty() {
                    return Err(forbidden);
                }
                self.check_character()
            }
            (Key::Element(element), Action::Delete, false) => {
                // Our texts hold one operation per element, so a deletion overwrites exactly that one.
                if self.object.is_none() || self.replaces != [*element] {
                    return Err(forbidden);
                }
                self.check_null()
            }
            _ => Err(forbidden),
        }
    }

    fn refused(&self) -> ChangeFault {
        ChangeFault::Value { kind: self.meta & 0xf, bytes: self.value.len() }
    }

    fn check_null(&self) -> Result<(), ChangeFault> {
        if self.meta == NULL { Ok(()) } else { Err(self.refused()) }
    }

    fn check_register(&self) -> Result<(), ChangeFault> {
        let well_formed = match self.meta & 0xf {
            NULL | FALSE | TRUE => self.value.is_empty(),
            SIGNED | TIMESTAMP => {
                let mut reader = Reader::new(&self.value);
                reader.signed().is_ok() && reader.is_empty()
            }
            TEXT => self.value.len() <= MAX_VALUE_BYTES && std::str::from_utf8(&self.value).is_ok(),
            _ => false,
        };
        if well_formed { Ok(()) } else { Err(self.refused()) }
    }

    fn check_character(&self) -> Result<(), ChangeFault> {
        let text = std::str::from_utf8(&self.value).unwrap_or_default();
        if self.meta & 0xf == TEXT && text.chars().count() == 1 { Ok(()) } else { Err(self.refused()) }
    }
}
