//! Operations from the columns of a change, and back.

use std::sync::Arc;

use vereda_base::limits::MAX_OPS_PER_CHANGE;

use super::{
    ChangeFault,
    operation::{Action, Key, OpRef, Operation},
};
use crate::{
    column::{
        ColumnError, delta, read_booleans, read_optional, read_required, read_runs, undelta, write_booleans, write_runs,
    },
    varint::{Reader, write_length, write_unsigned},
};

const OBJECT_ACTOR: u64 = 0x01;
const OBJECT_COUNTER: u64 = 0x02;
const KEY_ACTOR: u64 = 0x11;
const KEY_COUNTER: u64 = 0x13;
const KEY_TEXT: u64 = 0x15;
const INSERT: u64 = 0x34;
const ACTION: u64 = 0x42;
const VALUE_META: u64 = 0x56;
const VALUE: u64 = 0x57;
const REPLACED_COUNT: u64 = 0x70;
const REPLACED_ACTOR: u64 = 0x71;
const REPLACED_COUNTER: u64 = 0x73;
const DEFLATED: u64 = 0x08;

const KNOWN: [u64; 12] = [
    OBJECT_ACTOR,
    OBJECT_COUNTER,
    KEY_ACTOR,
    KEY_COUNTER,
    KEY_TEXT,
    INSERT,
    ACTION,
    VALUE_META,
    VALUE,
    REPLACED_COUNT,
    REPLACED_ACTOR,
    REPLACED_COUNTER,
];

impl From<ColumnError> for ChangeFault {
    fn from(error: ColumnError) -> Self {
        match error {
            ColumnError::Read(error) => Self::Read(error),
            ColumnError::TooManyRows { max } => Self::TooManyRows { max },
            ColumnError::Rows => Self::Rows,
        }
    }
}

/// Column contents by specification, in the order of [`KNOWN`].
struct Columns<'a>([&'a [u8]; KNOWN.len()]);

impl<'a> Columns<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, ChangeFault> {
        let count = reader.length()?;
        let mut layout = Vec::new();
        for _ in 0..count {
            let spec = reader.unsigned()?;
            if spec & DEFLATED != 0 {
                return Err(ChangeFault::Deflated);
            }
            let ascending = layout.last().is_none_or(|(last, _)| *last < spec);
            if !ascending || !KNOWN.contains(&spec) {
                return Err(ChangeFault::UnknownColumn { spec });
            }
            layout.push((spec, reader.unsigned()?));
        }
        let mut columns = Self([&[]; KNOWN.len()]);
        for (spec, length) in layout {
            let length = usize::try_from(length).map_err(|_| crate::varint::ReadError::Truncated)?;
            let content = reader.take(length)?;
            for (known, column) in KNOWN.iter().zip(&mut columns.0) {
                if *known == spec {
                    *column = content;
                }
            }
        }
        Ok(columns)
    }

    fn of(&self, spec: u64) -> &'a [u8] {
        KNOWN.iter().zip(self.0).find(|(known, _)| **known == spec).map_or(&[], |(_, column)| column)
    }

    fn references(&self, actor: u64, counters: Vec<Option<u64>>) -> Result<Vec<Option<OpRef>>, ChangeFault> {
        let actors = read_optional::<u64>(self.of(actor), counters.len())?;
        actors.into_iter().zip(counters).map(|(actor, counter)| reference(actor, counter)).collect()
    }
}

fn reference(actor: Option<u64>, counter: Option<u64>) -> Result<Option<OpRef>, ChangeFault> {
    match (actor, counter) {
        (None, None) => Ok(None),
        (Some(actor), Some(counter)) => {
            let actor = usize::try_from(actor).map_err(|_| ChangeFault::Rows)?;
            Ok(Some(OpRef { actor, counter }))
        }
        _ => Err(ChangeFault::Rows),
    }
}

/// Reads the column list and the columns.
pub(super) fn read(reader: &mut Reader<'_>) -> Result<Vec<Operation>, ChangeFault> {
    let columns = Columns::read(reader)?;
    let actions: Vec<Option<u64>> = read_runs(columns.of(ACTION), MAX_OPS_PER_CHANGE)?;
    let rows = actions.len();
    if rows == 0 && columns.0.iter().any(|column| !column.is_empty()) {
        return Err(ChangeFault::Rows);
    }
    let objects = columns.references(OBJECT_ACTOR, read_optional(columns.of(OBJECT_COUNTER), rows)?)?;
    let keys = read_keys(&columns, rows)?;
    let inserts = read_booleans(columns.of(INSERT), rows)?;
    let metas: Vec<u64> = read_required(columns.of(VALUE_META), rows)?;
    let mut values = Reader::new(columns.of(VALUE));
    let mut replaced = read_replaced(&columns, rows)?.into_iter();
    let mut operations = Vec::with_capacity(rows);
    let fixed = actions.into_iter().zip(objects).zip(keys).zip(inserts).zip(metas);
    for ((((action, object), key), insert), meta) in fixed {
        let code = action.ok_or(ChangeFault::Rows)?;
        let length = usize::try_from(meta >> 4).map_err(|_| crate::varint::ReadError::Truncated)?;
        let operation = Operation {
            object,
            key,
            insert,
            action: Action::from_code(code).ok_or(ChangeFault::Action { action: code })?,
            meta,
            value: values.take(length)?.to_vec(),
            replaces: replaced.next().ok_or(ChangeFault::Rows)?,
        };
        operation.check()?;
        operations.push(operation);
    }
    values.finish()?;
    Ok(operations)
}

fn read_keys(columns: &Columns<'_>, rows: usize) -> Result<Vec<Key>, ChangeFault> {
    let texts: Vec<Option<Arc<str>>> = read_optional(columns.of(KEY_TEXT), rows)?;
    let counters = undelta(read_optional(columns.of(KEY_COUNTER), rows)?)?;
    let actors: Vec<Option<u64>> = read_optional(columns.of(KEY_ACTOR), rows)?;
    texts
        .into_iter()
        .zip(actors.into_iter().zip(counters))
        .map(|row| match row {
            (Some(text), (None, None)) => Ok(Key::Map(text)),
            (None, (None, Some(0))) => Ok(Key::Head),
            (None, (actor, counter)) => reference(actor, counter)?.map(Key::Element).ok_or(ChangeFault::Rows),
            (Some(_), _) => Err(ChangeFault::Rows),
        })
        .collect()
}

fn read_replaced(columns: &Columns<'_>, rows: usize) -> Result<Vec<Vec<OpRef>>, ChangeFault> {
    let counts: Vec<u64> = read_required(columns.of(REPLACED_COUNT), rows)?;
    let total = counts.iter().try_fold(0usize, |sum, count| {
        let count = usize::try_from(*count).ok()?;
        sum.checked_add(count).filter(|sum| *sum <= MAX_OPS_PER_CHANGE)
    });
    let total = total.ok_or(ChangeFault::TooManyRows { max: MAX_OPS_PER_CHANGE })?;
    let counters = undelta(read_optional(columns.of(REPLACED_COUNTER), total)?)?;
    let all: Option<Vec<OpRef>> = columns.references(REPLACED_ACTOR, counters)?.into_iter().collect();
    let mut all = all.ok_or(ChangeFault::Rows)?.into_iter();
    Ok(counts.into_iter().map(|count| all.by_ref().take(usize::try_from(count).unwrap_or(0)).collect()).collect())
}

/// Writes the column list and the columns, as Automerge does.
pub(super) fn write(operations: &[Operation], out: &mut Vec<u8>) {
    let actors = |references: &mut dyn Iterator<Item = Option<OpRef>>| {
        write_runs(&references.map(|reference| reference.map(|r| r.actor as u64)).collect::<Vec<_>>())
    };
    let replaced = || operations.iter().flat_map(|operation| operation.replaces.iter().copied());
    let element = |operation: &Operation| match operation.key {
        Key::Element(element) => Some(element),
        Key::Map(_) | Key::Head => None,
    };
    let object_counters: Vec<_> = operations.iter().map(|operation| operation.object.map(|o| o.counter)).collect();
    let key_counters: Vec<_> = operations.iter().map(key_counter).collect();
    let key_texts: Vec<Option<Arc<str>>> = operations.iter().map(key_text).collect();
    let inserts: Vec<bool> = operations.iter().map(|operation| operation.insert).collect();
    let action_codes: Vec<_> = operations.iter().map(|operation| Some(operation.action as u64)).collect();
    let metas: Vec<_> = operations.iter().map(|operation| Some(operation.meta)).collect();
    let counts: Vec<_> = operations.iter().map(|operation| Some(operation.replaces.len() as u64)).collect();
    let replaced_counters: Vec<_> = replaced().map(|reference| Some(reference.counter)).collect();
    let columns = [
        (OBJECT_ACTOR, actors(&mut operations.iter().map(|operation| operation.object))),
        (OBJECT_COUNTER, write_runs(&object_counters)),
        (KEY_ACTOR, actors(&mut operations.iter().map(element))),
        (KEY_COUNTER, write_runs(&delta(&key_counters))),
        (KEY_TEXT, write_runs(&key_texts)),
        (INSERT, write_booleans(&inserts)),
        (ACTION, write_runs(&action_codes)),
        (VALUE_META, write_runs(&metas)),
        (VALUE, operations.iter().flat_map(|operation| operation.value.iter().copied()).collect()),
        (REPLACED_COUNT, write_runs(&counts)),
        (REPLACED_ACTOR, actors(&mut replaced().map(Some))),
        (REPLACED_COUNTER, write_runs(&delta(&replaced_counters))),
    ];
    let present: Vec<_> = columns.iter().filter(|(_, column)| !column.is_empty()).collect();
    write_length(out, present.len());
    for (spec, column) in &present {
        write_unsigned(out, *spec);
        write_length(out, column.len());
    }
    for (_, column) in &present {
        out.extend_from_slice(column);
    }
}

const fn key_counter(operation: &Operation) -> Option<u64> {
    match operation.key {
        Key::Map(_) => None,
        Key::Head => Some(0),
        Key::Element(element) => Some(element.counter),
    }
}

fn key_text(operation: &Operation) -> Option<Arc<str>> {
    match &operation.key {
        Key::Map(text) => Some(Arc::clone(text)),
        Key::Head | Key::Element(_) => None,
    }
}
