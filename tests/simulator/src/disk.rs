//! A device's disk: a store in memory that loses power at any operation and fails at some.

use std::{cell::RefCell, rc::Rc};

use minicbor::Encode;
use rand_core::CryptoRng;
use vereda_base::{ChainId, Digest, Incarnation, decode, encode};
use vereda_client_core::device::IncarnatedStore;
use vereda_policy::Leaf;
use vereda_protocol::{Chunk, Header};
use vereda_sync::device::{DeviceStore, MemoryStore, StoreError, Table, store::EachRow, tables};

use crate::{
    check::rows::{ExcludedRow, OpRow},
    keys::HeldKeys,
    knowledge::Noted,
    mutation::Mutation,
};

/// Edits that no chunk holds yet, as the device stores them.
pub const EDITS: Table = Table("client edits");
const MAX_ROW_BYTES: usize = 2 << 20;

/// One change that a device made durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEdit {
    /// The document.
    pub document: ChainId,
    /// Raw bytes of the change.
    pub bytes: Vec<u8>,
    /// Under which incarnation it was made.
    pub incarnation: Incarnation,
}

/// The world's hand on a disk, whoever holds the disk itself.
#[derive(Debug, Clone)]
pub struct Hand(Rc<RefCell<State>>);

#[derive(Debug)]
struct State {
    memory: MemoryStore,
    incarnation: Incarnation,
    /// Operations until the power goes; `None` while it holds.
    fuse: Option<u32>,
    is_dead: bool,
    refusals: u32,
    stored: Vec<StoredEdit>,
    held: HeldKeys,
    /// What tells of policy and of chunks, where that is asked for.
    noted: Option<Noted>,
}

impl Hand {
    /// Makes an empty disk.
    pub fn new(incarnation: Incarnation) -> Self {
        let memory = MemoryStore::new();
        let held = HeldKeys::default();
        let state = State {
            memory,
            incarnation,
            fuse: None,
            is_dead: false,
            refusals: 0,
            stored: Vec::new(),
            held,
            noted: None,
        };
        Self(Rc::new(RefCell::new(state)))
    }

    /// Gives the disk to a process that starts: power is back, and what was committed is there.
    pub fn start(&self, mutation: Option<Mutation>) -> Disk {
        let mut state = self.0.borrow_mut();
        state.memory.crash();
        (state.fuse, state.is_dead) = (None, false);
        Disk { hand: self.clone(), open: Vec::new(), noted: Noted::default(), mutation, count: 0, last_item: None }
    }

    /// Lets the power go after so many writes and commits.
    pub fn light_fuse(&self, operations: u32) {
        self.0.borrow_mut().fuse = Some(operations);
    }

    /// Makes the next commits fail.
    pub fn refuse_commits(&self, commits: u32) {
        self.0.borrow_mut().refusals = commits;
    }

    /// Says whether the power is gone.
    pub fn is_dead(&self) -> bool {
        self.0.borrow().is_dead
    }

    /// Stops failing.
    pub fn heal(&self) {
        let mut state = self.0.borrow_mut();
        (state.fuse, state.refusals) = (None, 0);
    }

    /// Has what tells of policy and of chunks noted.
    pub fn watch(&self) {
        self.0.borrow_mut().noted = Some(Noted::default());
    }

    /// Takes what was noted of that since it was last asked.
    pub fn take_noted(&self) -> Noted {
        self.0.borrow_mut().noted.as_mut().map(std::mem::take).unwrap_or_default()
    }

    fn is_watched(&self) -> bool {
        self.0.borrow().noted.is_some()
    }

    /// Takes what became durable since it was last asked.
    pub fn take_stored(&self) -> Vec<StoredEdit> {
        std::mem::take(&mut self.0.borrow_mut().stored)
    }

    /// Tells the incarnation under which the device writes.
    pub fn incarnation(&self) -> Incarnation {
        self.0.borrow().incarnation
    }

    /// Every key that the device ever held.
    pub fn held(&self) -> HeldKeys {
        self.0.borrow().held.clone()
    }

    /// Asks something of the keys that the device ever held.
    pub fn with_held<T>(&self, ask: impl FnOnce(&HeldKeys) -> T) -> T {
        ask(&self.0.borrow().held)
    }

    /// Burns the fuse by one operation; an error once the power is gone.
    fn burn(&self) -> Result<(), StoreError> {
        let mut state = self.0.borrow_mut();
        match state.fuse {
            _ if state.is_dead => Err(GONE),
            Some(0) => {
                state.is_dead = true;
                Err(GONE)
            }
            Some(left) => {
                state.fuse = Some(left - 1);
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn alive(&self) -> Result<(), StoreError> {
        if self.is_dead() { Err(GONE) } else { Ok(()) }
    }

    /// Says whether a commit is to fail.
    fn refuses(&self) -> bool {
        let mut state = self.0.borrow_mut();
        let refuses = state.refusals > 0;
        state.refusals = state.refusals.saturating_sub(1);
        refuses
    }

    fn note_commit(&self, edits: &mut Vec<StoredEdit>, noted: &mut Noted) {
        let mut state = self.0.borrow_mut();
        state.stored.append(edits);
        if let Some(known) = &mut state.noted {
            known.ops.append(&mut noted.ops);
            known.headers.append(&mut noted.headers);
        }
        // The power may go with the write just done: nothing after it happens.
        state.is_dead = state.fuse == Some(0);
    }
}

/// A device's disk.
#[derive(Debug)]
pub struct Disk {
    hand: Hand,
    open: Vec<StoredEdit>,
    noted: Noted,
    mutation: Option<Mutation>,
    count: u64,
    /// Group, key and value of the outbox item put last, for the mutation that reorders.
    last_item: Option<(Vec<u8>, Vec<u8>, Vec<u8>)>,
}

impl Disk {
    fn is(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    fn put_edit(&mut self, group: &[u8], value: &[u8]) -> bool {
        self.count += 1;
        if let Ok(document) = group.try_into() {
            let incarnation = self.hand.incarnation();
            self.open.push(StoredEdit { document: ChainId(document), bytes: value.to_vec(), incarnation });
        }
        !(self.is(Mutation::DeviceDropsEdit) && self.count.is_multiple_of(5))
    }

    fn note(&mut self, table: Table, value: &[u8]) {
        if table == tables::OPS {
            self.noted.ops.extend(decode::<OpRow>(value, MAX_ROW_BYTES));
        } else if table == tables::CHUNKS
            && let Ok(chunk) = decode::<Chunk>(value, MAX_ROW_BYTES)
        {
            self.noted.headers.extend(decode::<Header>(chunk.header.bytes(), MAX_ROW_BYTES));
        }
    }

    /// The mutation that reorders: the item goes to the place of the one before it.
    fn swap_items(&mut self, group: &[u8], key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        match self.last_item.take() {
            Some((of, before, item))
                if of == group && self.hand.0.borrow().memory.get(tables::OUTBOX, &before)?.is_some() =>
            {
                self.hand.0.borrow_mut().memory.put(tables::OUTBOX, group, &before, value)?;
                self.hand.0.borrow_mut().memory.put(tables::OUTBOX, group, key, &item)
            }
            _ => {
                self.last_item = Some((group.to_vec(), key.to_vec(), value.to_vec()));
                self.hand.0.borrow_mut().memory.put(tables::OUTBOX, group, key, value)
            }
        }
    }
}

/// A leaf as the device stores it, for the mutation that ignores frontiers.
#[derive(Encode)]
#[cbor(array)]
struct ReachingLeaf {
    #[n(0)]
    leaf: Option<Leaf>,
}

fn reaching_leaf(key: &[u8]) -> Leaf {
    let of = key.get(32..).and_then(|of| of.try_into().ok()).unwrap_or([0; 32]);
    Leaf { key: Digest(of), seq: u64::MAX, id: Digest([0; 32]) }
}

const GONE: StoreError = StoreError::Failed { table: "power", code: -1 };

impl DeviceStore for Disk {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.hand.alive()?;
        // The second chunk of every document whose id ends in an even byte.
        let is_hidden = self.is(Mutation::DeviceHidesChunk)
            && table == tables::CHUNKS
            && key.last() == Some(&1)
            && key.get(31).is_some_and(|byte| byte.is_multiple_of(2));
        if self.is(Mutation::FrontiersIgnored) && table == tables::LEAVES {
            return Ok(Some(encode(&ReachingLeaf { leaf: Some(reaching_leaf(key)) })));
        }
        if is_hidden { Ok(None) } else { self.hand.0.borrow().memory.get(table, key) }
    }

    fn put(&mut self, table: Table, group: &[u8], key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.hand.burn()?;
        self.hand.0.borrow_mut().held.note_row(table, key, value);
        if self.hand.is_watched() {
            self.note(table, value);
        }
        let is_forgotten = self.is(Mutation::FaultsForgotten) && [tables::EVIDENCE, tables::WITHHELD].contains(&table);
        if is_forgotten {
            return Ok(());
        }
        if table == tables::EXCLUDED
            && self.is(Mutation::RemakingSkipped)
            && let Ok(row) = decode::<ExcludedRow>(value, MAX_ROW_BYTES)
            && row.awaits_remaking()
        {
            let value = encode(&row.as_remade());
            return self.hand.0.borrow_mut().memory.put(table, group, key, &value);
        }
        if table == EDITS && !self.put_edit(group, value) {
            return Ok(());
        }
        if table == tables::OUTBOX && self.is(Mutation::OutboxReorders) {
            return self.swap_items(group, key, value);
        }
        self.hand.0.borrow_mut().memory.put(table, group, key, value)
    }

    fn delete(&mut self, table: Table, key: &[u8]) -> Result<(), StoreError> {
        self.hand.burn()?;
        self.hand.0.borrow_mut().memory.delete(table, key)
    }

    fn scan(&self, table: Table, group: Option<&[u8]>, each: &mut EachRow<'_>) -> Result<(), StoreError> {
        self.hand.alive()?;
        self.hand.0.borrow().memory.scan(table, group, each)
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        self.hand.burn()?;
        if self.hand.refuses() {
            self.rollback();
            return Err(StoreError::Full);
        }
        self.count += 1;
        if !self.is(Mutation::DeviceAcksBeforeCommit) || self.count.is_multiple_of(4) {
            self.hand.0.borrow_mut().memory.commit()?;
        }
        self.hand.note_commit(&mut self.open, &mut self.noted);
        Ok(())
    }

    fn rollback(&mut self) {
        self.open.clear();
        self.noted = Noted::default();
        self.hand.0.borrow_mut().memory.rollback();
    }
}

impl IncarnatedStore for Disk {
    fn incarnation(&self) -> Incarnation {
        self.hand.0.borrow().incarnation
    }

    fn renew_incarnation(&mut self, rng: &mut dyn CryptoRng) -> Result<Incarnation, String> {
        let incarnation = Incarnation(rng.next_u64());
        self.hand.0.borrow_mut().incarnation = incarnation;
        Ok(incarnation)
    }
}
