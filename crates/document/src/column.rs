//! The columns of an Automerge change: run-length, delta and boolean encodings, read with a bound on the rows.
//!
//! A column of ten bytes can claim 2^60 rows, so nothing is expanded before its rows are counted against the bound.
//! Writing gives the form that Automerge itself writes. Source: <https://automerge.org/automerge-binary-format-spec/>.

use crate::varint::{ReadError, Reader, write_prefixed, write_signed, write_unsigned};

/// A value of a run-length column.
pub(crate) trait Cell: Clone + PartialEq + Sized {
    fn read(reader: &mut Reader<'_>) -> Result<Self, ReadError>;
    fn write(&self, out: &mut Vec<u8>);
}

impl Cell for u64 {
    fn read(reader: &mut Reader<'_>) -> Result<Self, ReadError> {
        reader.unsigned()
    }

    fn write(&self, out: &mut Vec<u8>) {
        write_unsigned(out, *self);
    }
}

impl Cell for i64 {
    fn read(reader: &mut Reader<'_>) -> Result<Self, ReadError> {
        reader.signed()
    }

    fn write(&self, out: &mut Vec<u8>) {
        write_signed(out, *self);
    }
}

impl Cell for std::sync::Arc<str> {
    fn read(reader: &mut Reader<'_>) -> Result<Self, ReadError> {
        Ok(reader.text()?.into())
    }

    fn write(&self, out: &mut Vec<u8>) {
        write_prefixed(out, self.as_bytes());
    }
}

/// Why a column was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ColumnError {
    #[error(transparent)]
    Read(#[from] ReadError),
    /// More rows than the bound: what a small column can claim without end.
    #[error("more than {max} rows")]
    TooManyRows { max: usize },
    #[error("rows missing or null")]
    Rows,
}

/// Reads a run-length column of at most `max` rows.
pub(crate) fn read_runs<T: Cell>(bytes: &[u8], max: usize) -> Result<Vec<Option<T>>, ColumnError> {
    let mut reader = Reader::new(bytes);
    let mut rows: Vec<Option<T>> = Vec::new();
    while !reader.is_empty() {
        let run = reader.signed()?;
        if run < 0 {
            let literal = row_count(run.unsigned_abs(), rows.len(), max)?;
            for _ in 0..literal {
                rows.push(Some(T::read(&mut reader)?));
            }
        } else {
            let (count, value) =
                if run == 0 { (reader.unsigned()?, None) } else { (run.unsigned_abs(), Some(T::read(&mut reader)?)) };
            let count = row_count(count, rows.len(), max)?;
            rows.extend(std::iter::repeat_n(value, count));
        }
    }
    Ok(rows)
}

/// Reads a run-length column of exactly `rows` rows; an absent column is all nulls.
pub(crate) fn read_optional<T: Cell>(bytes: &[u8], rows: usize) -> Result<Vec<Option<T>>, ColumnError> {
    if bytes.is_empty() {
        return Ok(vec![None; rows]);
    }
    let found = read_runs(bytes, rows)?;
    if found.len() == rows { Ok(found) } else { Err(ColumnError::Rows) }
}

/// Reads a run-length column without nulls of exactly `rows` rows.
pub(crate) fn read_required<T: Cell>(bytes: &[u8], rows: usize) -> Result<Vec<T>, ColumnError> {
    let found: Option<Vec<T>> = read_runs(bytes, rows)?.into_iter().collect();
    found.filter(|found| found.len() == rows).ok_or(ColumnError::Rows)
}

/// Sums the differences of a delta column.
pub(crate) fn undelta(rows: Vec<Option<i64>>) -> Result<Vec<Option<u64>>, ColumnError> {
    let mut last = 0i64;
    rows.into_iter()
        .map(|row| {
            row.map(|difference| {
                last = last.checked_add(difference).ok_or(ReadError::Integer)?;
                u64::try_from(last).map_err(|_| ColumnError::Read(ReadError::Integer))
            })
            .transpose()
        })
        .collect()
}

/// Takes the differences for a delta column.
pub(crate) fn delta(rows: &[Option<u64>]) -> Vec<Option<i64>> {
    let mut last = 0i64;
    rows.iter()
        .map(|row| {
            row.map(|value| {
                let value = value.cast_signed();
                let difference = value.wrapping_sub(last);
                last = value;
                difference
            })
        })
        .collect()
}

/// Reads a boolean column of exactly `rows` rows.
pub(crate) fn read_booleans(bytes: &[u8], rows: usize) -> Result<Vec<bool>, ColumnError> {
    let mut reader = Reader::new(bytes);
    let mut found = Vec::new();
    let mut value = false;
    while !reader.is_empty() {
        let count = row_count(reader.unsigned()?, found.len(), rows)?;
        found.extend(std::iter::repeat_n(value, count));
        value = !value;
    }
    if found.len() == rows { Ok(found) } else { Err(ColumnError::Rows) }
}

fn row_count(claimed: u64, before: usize, max: usize) -> Result<usize, ColumnError> {
    usize::try_from(claimed)
        .ok()
        .filter(|count| before.checked_add(*count).is_some_and(|sum| sum <= max))
        .ok_or(ColumnError::TooManyRows { max })
}

/// Writes a run-length column; all nulls make an empty one.
pub(crate) fn write_runs<T: Cell>(rows: &[Option<T>]) -> Vec<u8> {
    let mut out = Vec::new();
    if rows.iter().all(Option::is_none) {
        return out;
    }
    let mut literal: Vec<&T> = Vec::new();
    for run in rows.chunk_by(|a, b| a == b) {
        match run {
            [Some(single)] => literal.push(single),
            [Some(value), ..] => {
                write_literal(&mut out, &mut literal);
                write_signed(&mut out, run.len() as i64);
                value.write(&mut out);
            }
            _ => {
                write_literal(&mut out, &mut literal);
                write_signed(&mut out, 0);
                write_unsigned(&mut out, run.len() as u64);
            }
        }
    }
    write_literal(&mut out, &mut literal);
    out
}

fn write_literal<T: Cell>(out: &mut Vec<u8>, literal: &mut Vec<&T>) {
    if !literal.is_empty() {
        write_signed(out, -(literal.len() as i64));
        for value in literal.drain(..) {
            value.write(out);
        }
    }
}

/// Writes a boolean column.
pub(crate) fn write_booleans(rows: &[bool]) -> Vec<u8> {
    let mut out = Vec::new();
    // The first count is of `false`, also where there is none.
    if rows.first() == Some(&true) {
        write_unsigned(&mut out, 0);
    }
    for run in rows.chunk_by(|a, b| a == b) {
        write_unsigned(&mut out, run.len() as u64);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_reads_back_as_written() {
        let check = |rows: &[Option<u64>]| {
            assert_eq!(read_optional::<u64>(&write_runs(rows), rows.len()).unwrap(), rows);
        };
        check(&[Some(1)]);
        check(&[None, None]);
        check(&[Some(1), Some(1), Some(2), Some(3), None, Some(3), Some(3)]);
        let booleans = [true, true, false, true];
        assert_eq!(read_booleans(&write_booleans(&booleans), 4).unwrap(), booleans);
        let values = [Some(5), Some(9), None, Some(3)];
        assert_eq!(undelta(delta(&values)).unwrap(), values);
    }

    #[test]
    fn a_column_that_claims_rows_without_end_is_refused_before_it_is_expanded() {
        let mut bytes = Vec::new();
        write_signed(&mut bytes, 1 << 60);
        write_unsigned(&mut bytes, 1);
        assert_eq!(read_runs::<u64>(&bytes, 65_536), Err(ColumnError::TooManyRows { max: 65_536 }));
        let mut nulls = vec![0];
        write_unsigned(&mut nulls, u64::MAX);
        assert_eq!(read_runs::<u64>(&nulls, 65_536), Err(ColumnError::TooManyRows { max: 65_536 }));
        let mut flags = Vec::new();
        write_unsigned(&mut flags, u64::MAX);
        assert_eq!(read_booleans(&flags, 10), Err(ColumnError::TooManyRows { max: 10 }));
    }
}
