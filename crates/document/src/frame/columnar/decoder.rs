//! Reading the columns. Strict about bounds only: that there is one spelling is checked by writing again.

use std::{collections::BTreeMap, sync::Arc};

use vereda_base::{
    ActorBytes,
    limits::{MAX_CHANGES_PER_CHUNK, MAX_INFLATED_BYTES, MAX_OPS_PER_CHANGE},
};

use super::{
    ActorTable, KEY_ELEMENT, KEY_FIRST, KEY_HEAD, KEY_PRECEDING, Memory, REPLACED_ELEMENT, REPLACED_LAST,
    REPLACED_NONE, TableRef, action,
};
use crate::{
    anatomy::{Action, Anatomy, Key, MAX_CHANGE_DEPS, OpRef, Operation},
    frame::{Context, FrameError, Tally, weight},
    varint::{ReadError, Reader, unzigzag},
};

/// Reads the columns of a frame into the raw bytes of its changes.
pub(in crate::frame) fn decode(
    mut reader: Reader<'_>,
    context: &Context,
    length: usize,
) -> Result<Vec<Vec<u8>>, FrameError> {
    let found = usize::try_from(reader.unsigned()?).unwrap_or(usize::MAX);
    if found == 0 || found > MAX_CHANGES_PER_CHUNK {
        return Err(FrameError::Count { found });
    }
    let others = (0..reader.length()?).map(|_| reader.array().map(ActorBytes)).collect::<Result<_, _>>()?;
    let table = ActorTable { known: [context.author, context.creator], others };
    let mut decoder = Decoder::read(reader, table, Tally::of_body(length))?;
    let allowed = weight::rebuilt(length);
    let mut changes = Vec::with_capacity(found);
    let mut hashes: Vec<[u8; 32]> = context.previous.into_iter().collect();
    let mut total = 0usize;
    for _ in 0..found {
        let (raw, hash) = decoder.change(&hashes)?.write();
        total = total.saturating_add(raw.len());
        if total > MAX_INFLATED_BYTES {
            return Err(FrameError::TooLarge { found: total });
        }
        if total > allowed {
            return Err(FrameError::TooLight { length });
        }
        changes.push(raw);
        hashes.push(hash);
    }
    Ok(changes)
}

/// One stream, taken row by row: a few bytes can stand for any number of rows, so they are never expanded.
struct Rows<'a> {
    reader: Reader<'a>,
    /// Rows left of the run or literal at hand.
    left: u64,
    /// The value of the run; none in a literal.
    run: Option<u64>,
}

impl<'a> Rows<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, FrameError> {
        Ok(Self { reader: Reader::new(reader.prefixed()?), left: 0, run: None })
    }

    fn next(&mut self) -> Result<u64, FrameError> {
        if self.left == 0 {
            let run = self.reader.signed()?;
            self.left = run.unsigned_abs();
            self.run = if run > 0 { Some(self.reader.unsigned()?) } else { None };
        }
        // A run of nulls has no rows for us.
        self.left = self.left.checked_sub(1).ok_or(ReadError::Integer)?;
        Ok(self.run.map_or_else(|| self.reader.unsigned(), Ok)?)
    }

    fn index(&mut self) -> Result<usize, FrameError> {
        usize::try_from(self.next()?).map_err(|_| FrameError::Read(ReadError::Integer))
    }
}

/// The streams are those of [`super::Streams`], in its order.
struct Decoder<'a> {
    table: ActorTable,
    seq: u64,
    next_op: u64,
    time: i64,
    sizes: Rows<'a>,
    starts: Rows<'a>,
    times: Rows<'a>,
    deps: Rows<'a>,
    forms: Rows<'a>,
    objects: Rows<'a>,
    keys: Rows<'a>,
    replaced: Rows<'a>,
    actors: Rows<'a>,
    distances: Rows<'a>,
    metas: Rows<'a>,
    hashes: Reader<'a>,
    values: Reader<'a>,
    memory: Memory,
    tally: Tally,
    key_bytes: usize,
}

impl<'a> Decoder<'a> {
    fn read(mut reader: Reader<'a>, table: ActorTable, tally: Tally) -> Result<Self, FrameError> {
        let seq = reader.unsigned()?;
        let mut rows = || Rows::read(&mut reader);
        let [sizes, starts, times, deps] = [rows()?, rows()?, rows()?, rows()?];
        let [forms, objects, keys, replaced] = [rows()?, rows()?, rows()?, rows()?];
        let [actors, distances, metas] = [rows()?, rows()?, rows()?];
        let hashes = Reader::new(reader.prefixed()?);
        let names = (0..reader.length()?).map(|_| reader.text().map(Arc::from)).collect::<Result<_, _>>()?;
        Ok(Self {
            table,
            seq,
            next_op: 0,
            time: 0,
            sizes,
            starts,
            times,
            deps,
            forms,
            objects,
            keys,
            replaced,
            actors,
            distances,
            metas,
            hashes,
            values: reader,
            memory: Memory { keys: names, ..Memory::default() },
            tally,
            key_bytes: 0,
        })
    }

    fn change(&mut self, before: &[[u8; 32]]) -> Result<Anatomy, FrameError> {
        let size = self.sizes.index()?;
        if size > MAX_OPS_PER_CHANGE {
            return Err(FrameError::TooManyOperations);
        }
        self.tally.add_operations(size)?;
        let start_op = self.next_op.wrapping_add(unzigzag(self.starts.next()?).cast_unsigned());
        let time = self.time.wrapping_add(unzigzag(self.times.next()?));
        let deps = self.dependencies(before)?;
        let mut operations = Vec::with_capacity(size);
        for offset in 0..size {
            operations.push(self.operation(start_op.wrapping_add(offset as u64))?);
        }
        let others = self.localize(&mut operations)?;
        let [actor, _] = self.table.known;
        let anatomy = Anatomy { deps, actor, seq: self.seq, start_op, time, others, operations };
        self.seq = self.seq.wrapping_add(1);
        (self.next_op, self.time) = (anatomy.max_op().saturating_add(1), time);
        Ok(anatomy)
    }

    fn dependencies(&mut self, before: &[[u8; 32]]) -> Result<Vec<[u8; 32]>, FrameError> {
        let Some(count) = self.deps.index()?.checked_sub(1) else {
            return Ok(vec![*before.last().ok_or(ReadError::Truncated)?]);
        };
        if count > MAX_CHANGE_DEPS {
            return Err(FrameError::TooLarge { found: count });
        }
        let mut deps = Vec::with_capacity(count);
        for _ in 0..count {
            deps.push(match self.deps.index()? {
                0 => self.hashes.array()?,
                distance => {
                    let index = before.len().checked_sub(distance).ok_or(ReadError::Truncated)?;
                    *before.get(index).ok_or(ReadError::Truncated)?
                }
            });
        }
        Ok(deps)
    }

    /// Reads one operation whose references still go through the frame's table.
    fn operation(&mut self, counter: u64) -> Result<Operation, FrameError> {
        let (action, insert) = action(self.forms.next()?).ok_or(ReadError::Integer)?;
        let object = self.object(counter)?;
        let key = self.key(counter)?;
        let replaced = self.replaced(object, &key, counter)?;
        self.memory.note(object, &key, counter);
        let (meta, value) = if action == Action::Put {
            let meta = self.metas.next()?;
            let length = usize::try_from(meta >> 4).map_err(|_| ReadError::Truncated)?;
            (meta, self.values.take(length)?.to_vec())
        } else {
            (0, Vec::new())
        };
        let replaces = replaced.into_iter().map(in_table).collect();
        Ok(Operation { object: object.map(in_table), key, insert, action, meta, value, replaces })
    }

    fn written_out(&mut self, counter: u64) -> Result<TableRef, FrameError> {
        let actor = self.actors.index()?;
        Ok(TableRef { actor, counter: counter.wrapping_sub(self.distances.next()?) })
    }

    fn object(&mut self, counter: u64) -> Result<Option<TableRef>, FrameError> {
        let Some(index) = self.objects.index()?.checked_sub(1) else { return Ok(None) };
        if let Some(object) = self.memory.objects.get(index) {
            return Ok(Some(*object));
        }
        let object = self.written_out(counter)?;
        self.memory.objects.push(object);
        Ok(Some(object))
    }

    fn key(&mut self, counter: u64) -> Result<Key, FrameError> {
        match self.keys.next()? {
            KEY_HEAD => Ok(Key::Head),
            KEY_PRECEDING => Ok(Key::Element(OpRef { actor: 0, counter: counter.wrapping_sub(1) })),
            KEY_ELEMENT => Ok(Key::Element(in_table(self.written_out(counter)?))),
            code => {
                let index = usize::try_from(code - KEY_FIRST).map_err(|_| ReadError::Integer)?;
                let name = self.memory.keys.get(index).ok_or(ReadError::Truncated)?;
                // A short reference to a long name is written out again in every rebuilt change.
                self.key_bytes = self.key_bytes.saturating_add(name.len());
                if self.key_bytes > MAX_INFLATED_BYTES {
                    return Err(FrameError::TooLarge { found: self.key_bytes });
                }
                Ok(Key::Map(Arc::clone(name)))
            }
        }
    }

    fn replaced(&mut self, object: Option<TableRef>, key: &Key, counter: u64) -> Result<Vec<TableRef>, FrameError> {
        match self.replaced.next()? {
            REPLACED_NONE => Ok(Vec::new()),
            REPLACED_ELEMENT => match key {
                Key::Element(element) => Ok(vec![TableRef { actor: element.actor, counter: element.counter }]),
                Key::Map(_) | Key::Head => Err(FrameError::Read(ReadError::Integer)),
            },
            REPLACED_LAST => Ok(vec![self.memory.last(object, key).ok_or(FrameError::Read(ReadError::Integer))?]),
            code => {
                // Neither actors nor distances need bytes of their own for each: only counting bounds them.
                let count = code.saturating_sub(REPLACED_LAST);
                self.tally.add_references(usize::try_from(count).unwrap_or(usize::MAX))?;
                (0..count).map(|_| self.written_out(counter)).collect()
            }
        }
    }

    /// Replaces indices into the frame's table by those into the change's own list of actors, which it returns.
    fn localize(&self, operations: &mut [Operation]) -> Result<Vec<ActorBytes>, FrameError> {
        let mut used = BTreeMap::new();
        let mut known = true;
        each_reference(operations, |reference| match self.table.actor(reference.actor) {
            Some(actor) if self.table.known.first() != Some(&actor) => {
                used.insert(actor.0, reference.actor);
            }
            Some(_) => {}
            None => known = false,
        });
        if !known {
            return Err(FrameError::Read(ReadError::Truncated));
        }
        let local: BTreeMap<usize, usize> = used.values().zip(1..).map(|(global, local)| (*global, local)).collect();
        each_reference(operations, |reference| {
            reference.actor = local.get(&reference.actor).copied().unwrap_or(0);
        });
        Ok(used.into_keys().map(ActorBytes).collect())
    }
}

const fn in_table(reference: TableRef) -> OpRef {
    OpRef { actor: reference.actor, counter: reference.counter }
}

fn each_reference(operations: &mut [Operation], mut visit: impl FnMut(&mut OpRef)) {
    for operation in operations {
        operation.object.iter_mut().for_each(&mut visit);
        operation.replaces.iter_mut().for_each(&mut visit);
        if let Key::Element(element) = &mut operation.key {
            visit(element);
        }
    }
}
