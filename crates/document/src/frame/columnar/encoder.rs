//! Writing the columns.

use std::collections::{BTreeMap, BTreeSet};

use vereda_base::ActorBytes;

use super::{
    ActorTable, KEY_ELEMENT, KEY_FIRST, KEY_HEAD, KEY_PRECEDING, Memory, REPLACED_ELEMENT, REPLACED_LAST,
    REPLACED_NONE, Streams, TableRef, form,
};
use crate::{
    anatomy::{Action, Anatomy, Key, OpRef, Operation},
    column::write_runs,
    frame::{Context, FrameError, Tally},
    varint::{write_length, write_prefixed, write_unsigned, zigzag},
};

/// Writes changes as columns; none where the changes are not of one author in a row, or not as Automerge writes them
/// today: then only the plain layout gives them back to the byte.
pub(in crate::frame) fn encode<B: AsRef<[u8]>>(
    changes: &[B],
    context: &Context,
) -> Result<Option<(Vec<u8>, Tally)>, FrameError> {
    let mut anatomies: Vec<Anatomy> = Vec::with_capacity(changes.len());
    let mut hashes: Vec<[u8; 32]> = context.previous.into_iter().collect();
    let mut tally = Tally::default();
    for change in changes {
        let Ok(anatomy) = Anatomy::read(change.as_ref()) else { return Ok(None) };
        tally.add(&anatomy)?;
        let (raw, hash) = anatomy.write();
        let follows = anatomies.last().is_none_or(|last| last.seq.checked_add(1) == Some(anatomy.seq));
        if raw != change.as_ref()
            || anatomy.actor != context.author
            || !follows
            || anatomy.others != referenced(&anatomy)
        {
            return Ok(None);
        }
        anatomies.push(anatomy);
        hashes.push(hash);
    }
    Ok(Encoder::new(&anatomies, context).map(|encoder| (encoder.run(&anatomies, &hashes), tally)))
}

/// Lists the other actors that operations refer to, ascending: what Automerge lists.
fn referenced(anatomy: &Anatomy) -> Vec<ActorBytes> {
    let mut used = BTreeSet::new();
    for operation in &anatomy.operations {
        used.extend(operation.object.map(|object| object.actor));
        used.extend(operation.replaces.iter().map(|reference| reference.actor));
        if let Key::Element(element) = operation.key {
            used.insert(element.actor);
        }
    }
    used.remove(&0);
    used.into_iter().filter_map(|index| anatomy.actor_at(index)).collect()
}

struct Encoder {
    table: ActorTable,
    first_seq: u64,
    streams: Streams,
    memory: Memory,
    object_index: BTreeMap<TableRef, usize>,
    key_index: BTreeMap<std::sync::Arc<str>, usize>,
    values: Vec<u8>,
    hashes: Vec<u8>,
}

impl Encoder {
    fn new(anatomies: &[Anatomy], context: &Context) -> Option<Self> {
        let first = anatomies.first()?;
        let known = [context.author, context.creator];
        let others: BTreeSet<[u8; 16]> = anatomies
            .iter()
            .flat_map(|anatomy| &anatomy.others)
            .filter(|actor| !known.contains(actor))
            .map(|actor| actor.0)
            .collect();
        Some(Self {
            table: ActorTable { known, others: others.into_iter().map(ActorBytes).collect() },
            first_seq: first.seq,
            streams: Streams::default(),
            memory: Memory::default(),
            object_index: BTreeMap::new(),
            key_index: BTreeMap::new(),
            values: Vec::new(),
            hashes: Vec::new(),
        })
    }

    fn run(mut self, anatomies: &[Anatomy], hashes: &[[u8; 32]]) -> Vec<u8> {
        let (mut next_op, mut time) = (0u64, 0i64);
        // One more where the change before the chunk is known.
        let known = hashes.len().saturating_sub(anatomies.len());
        for (index, anatomy) in anatomies.iter().enumerate() {
            self.streams.sizes.push(anatomy.operations.len() as u64);
            self.streams.starts.push(zigzag(anatomy.start_op.wrapping_sub(next_op).cast_signed()));
            self.streams.times.push(zigzag(anatomy.time.wrapping_sub(time)));
            (next_op, time) = (anatomy.max_op().saturating_add(1), anatomy.time);
            self.dependencies(anatomy, hashes.get(..index + known).unwrap_or_default());
            for (operation, counter) in anatomy.operations.iter().zip(anatomy.start_op..) {
                self.operation(anatomy, operation, counter);
            }
        }
        self.finish(anatomies.len())
    }

    fn dependencies(&mut self, anatomy: &Anatomy, before: &[[u8; 32]]) {
        if before.last().is_some_and(|last| anatomy.deps == [*last]) {
            self.streams.deps.push(0);
            return;
        }
        self.streams.deps.push(anatomy.deps.len() as u64 + 1);
        for dep in &anatomy.deps {
            match before.iter().rev().position(|hash| hash == dep) {
                Some(distance) => self.streams.deps.push(distance as u64 + 1),
                None => {
                    self.streams.deps.push(0);
                    self.hashes.extend_from_slice(dep);
                }
            }
        }
    }

    fn operation(&mut self, anatomy: &Anatomy, operation: &Operation, counter: u64) {
        let object = operation.object.map(|object| self.lookup(anatomy, object));
        self.streams.forms.push(form(operation.action, operation.insert));
        self.object(object, counter);
        let element = self.key(anatomy, &operation.key, counter);
        self.replaced(anatomy, operation, object, element, counter);
        self.memory.note(object, &operation.key, counter);
        if operation.action == Action::Put {
            self.streams.metas.push(operation.meta);
            self.values.extend_from_slice(&operation.value);
        }
    }

    fn lookup(&self, anatomy: &Anatomy, reference: OpRef) -> TableRef {
        let actor = anatomy.actor_at(reference.actor).and_then(|actor| self.table.index(actor));
        // An index beyond the table is refused by every reader; `Anatomy::read` lets none pass.
        TableRef { actor: actor.unwrap_or(usize::MAX), counter: reference.counter }
    }

    fn write_out(&mut self, reference: TableRef, counter: u64) {
        self.streams.actors.push(reference.actor as u64);
        self.streams.distances.push(counter.wrapping_sub(reference.counter));
    }

    fn object(&mut self, object: Option<TableRef>, counter: u64) {
        let Some(object) = object else {
            self.streams.objects.push(0);
            return;
        };
        let next = self.object_index.len();
        let index = *self.object_index.entry(object).or_insert(next);
        self.streams.objects.push(index as u64 + 1);
        if index == next {
            self.write_out(object, counter);
        }
    }

    fn key(&mut self, anatomy: &Anatomy, key: &Key, counter: u64) -> Option<TableRef> {
        match key {
            Key::Map(text) => {
                let next = self.memory.keys.len();
                let index = *self.key_index.entry(text.clone()).or_insert(next);
                self.streams.keys.push(KEY_FIRST + index as u64);
                if index == next {
                    self.memory.keys.push(text.clone());
                }
                None
            }
            Key::Head => {
                self.streams.keys.push(KEY_HEAD);
                None
            }
            Key::Element(element) => {
                let element = self.lookup(anatomy, *element);
                if element == (TableRef { actor: 0, counter: counter.wrapping_sub(1) }) {
                    self.streams.keys.push(KEY_PRECEDING);
                } else {
                    self.streams.keys.push(KEY_ELEMENT);
                    self.write_out(element, counter);
                }
                Some(element)
            }
        }
    }

    fn replaced(
        &mut self,
        anatomy: &Anatomy,
        operation: &Operation,
        object: Option<TableRef>,
        element: Option<TableRef>,
        counter: u64,
    ) {
        let replaced: Vec<TableRef> = operation.replaces.iter().map(|r| self.lookup(anatomy, *r)).collect();
        match replaced.as_slice() {
            [] => self.streams.replaced.push(REPLACED_NONE),
            [one] if Some(*one) == element => self.streams.replaced.push(REPLACED_ELEMENT),
            [one] if Some(*one) == self.memory.last(object, &operation.key) => {
                self.streams.replaced.push(REPLACED_LAST);
            }
            all => {
                self.streams.replaced.push(REPLACED_LAST + all.len() as u64);
                for reference in all {
                    self.write_out(*reference, counter);
                }
            }
        }
    }

    fn finish(self, count: usize) -> Vec<u8> {
        let mut out = Vec::new();
        write_length(&mut out, count);
        write_length(&mut out, self.table.others.len());
        for other in &self.table.others {
            out.extend_from_slice(&other.0);
        }
        write_unsigned(&mut out, self.first_seq);
        for stream in self.streams.all() {
            let rows: Vec<Option<u64>> = stream.iter().copied().map(Some).collect();
            write_prefixed(&mut out, &write_runs(&rows));
        }
        write_prefixed(&mut out, &self.hashes);
        write_length(&mut out, self.memory.keys.len());
        for key in &self.memory.keys {
            write_prefixed(&mut out, key.as_bytes());
        }
        out.extend_from_slice(&self.values);
        out
    }
}
