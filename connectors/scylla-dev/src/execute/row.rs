//! One row of a result: partition key, static row and row together, and the selectors applied to them.
use bytes::{BufMut, Bytes};

use super::filter;
use super::functions::{Input, cast};
use super::plan::Selector;
use super::term::{Env, Term};
use crate::error::DbError;
use crate::mutation::Cell;
use crate::outcome::{BoundValue, RowsBody};
use crate::schema::{ColumnKind, Table};
use crate::storage::{LiveRow, PartitionView};
use crate::value::collection;

/// What a row of a result is taken from.
#[derive(Debug, Clone, Copy)]
pub(super) struct RowContext<'a> {
    pub(super) table: &'a Table,
    /// The values of the partition key and its token.
    pub(super) key: &'a [&'a [u8]],
    pub(super) token: i64,
    pub(super) statics: Option<&'a LiveRow<'a>>,
    /// None in a partition that has only static columns.
    pub(super) row: Option<&'a LiveRow<'a>>,
}

/// The values of a partition's key.
pub(super) fn key_values<'a>(table: &Table, partition: &PartitionView<'a>) -> Vec<&'a [u8]> {
    table.partition_values(&partition.key().bytes).collect()
}

impl RowContext<'_> {
    /// Appends the value of a column to `out`; `false` for null.
    pub(super) fn read(&self, column: usize, out: &mut Vec<u8>) -> bool {
        let Some(definition) = self.table.columns.get(column) else { return false };
        match self.key.get(column) {
            Some(value) => {
                out.extend_from_slice(value);
                true
            }
            None => self.source(definition.kind).is_some_and(|row| row.read(definition, out)),
        }
    }

    fn source(&self, kind: ColumnKind) -> Option<&LiveRow<'_>> {
        if kind == ColumnKind::Static { self.statics } else { self.row }
    }

    /// Writes a column's value to the result.
    pub(super) fn put(&self, column: usize, scratch: &mut Vec<u8>, out: &mut RowsBody) {
        let Some(definition) = self.table.columns.get(column) else { return out.put(None) };
        match (self.key.get(column), self.source(definition.kind)) {
            (Some(value), _) => out.put(Some(value)),
            (None, Some(row)) => row.put(definition, scratch, out),
            (None, None) => out.bytes.put_i32(-1),
        }
    }

    /// The value of any selector. `aggregates` are the results that [`Selector::Aggregate`] names.
    pub(super) fn select(
        &self,
        selector: &Selector,
        env: &Env<'_>,
        aggregates: &[Option<Bytes>],
    ) -> Result<Option<Bytes>, DbError> {
        let inner = |selector: &Selector| self.select(selector, env, aggregates);
        match selector {
            Selector::Column(column) => {
                let mut out = Vec::new();
                Ok(self.read(*column, &mut out).then(|| out.into()))
            }
            Selector::Writetime(column, key) => self.of_cell(*column, key.as_ref(), env, |_, cell| {
                Some(Bytes::copy_from_slice(&cell.stamp.timestamp.to_be_bytes()))
            }),
            Selector::Ttl(column, key) => self.of_cell(*column, key.as_ref(), env, |row, cell| {
                row.ttl(cell).map(|left| Bytes::copy_from_slice(&left.to_be_bytes()))
            }),
            Selector::Token => Ok(Some(Bytes::copy_from_slice(&self.token.to_be_bytes()))),
            Selector::Term(term) => match env.value(term)? {
                BoundValue::Set(bytes) => Ok(Some(bytes)),
                BoundValue::Null | BoundValue::Unset => Ok(None),
            },
            Selector::Call(function, arguments) => {
                let values = arguments.iter().map(inner).collect::<Result<Option<Vec<Bytes>>, _>>()?;
                let Some(values) = values else { return Ok(None) };
                (function.eval)(&Input { function, arguments: &values, now: env.now })
            }
            Selector::Cast(value, from, to) => match inner(value)? {
                Some(value) => cast(from, to, &value).map(Some),
                None => Ok(None),
            },
            Selector::Field(value, field) => {
                let value = inner(value)?;
                Ok(value.and_then(|value| {
                    let field = collection::fields(&value).nth(*field).flatten()?;
                    Some(value.slice_ref(field))
                }))
            }
            Selector::Element(value, typ, key) => {
                let BoundValue::Set(key) = env.value(key)? else { return Ok(None) };
                let value = inner(value)?;
                Ok(value.and_then(|value| Some(value.slice_ref(filter::element(typ, &value, &key)?))))
            }
            Selector::Aggregate(index) => Ok(aggregates.get(*index).cloned().flatten()),
        }
    }

    /// What `of` says of the column's cell, or of the one of its element `key`.
    fn of_cell(
        &self,
        column: usize,
        key: Option<&Term>,
        env: &Env<'_>,
        of: fn(&LiveRow<'_>, &Cell<'_>) -> Option<Bytes>,
    ) -> Result<Option<Bytes>, DbError> {
        let definition = &self.table.columns[column];
        let Some(row) = self.source(definition.kind) else { return Ok(None) };
        let cell = match key {
            None => row.cell(definition),
            Some(key) => {
                let BoundValue::Set(key) = env.value(key)? else { return Ok(None) };
                let path = definition.path(&key);
                row.elements(definition).find(|cell| *cell.path == *path)
            }
        };
        Ok(cell.and_then(|cell| of(row, &cell)))
    }
}
