//! One log row: keys, operation, and the values of columns, as cells of the log table.
use super::record::Group;
use crate::mutation::{Cell, CellKind, Lists, RowPatch, Stamp, assemble};
use crate::schema::{CdcLog, Column, Table};
use crate::value::collection;
use crate::value::order;

/// The values of `cdc$operation`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i8)]
pub(super) enum Operation {
    Preimage = 0,
    Update = 1,
    Insert = 2,
    RowDelete = 3,
    PartitionDelete = 4,
    RangeStartInclusive = 5,
    RangeStartExclusive = 6,
    RangeEndInclusive = 7,
    RangeEndExclusive = 8,
    Postimage = 9,
}

/// A log row under construction. Cells are pushed in the order of a fresh log's column ids, which is the cheap one.
pub(super) struct LogRow<'g> {
    patch: RowPatch,
    log: &'g CdcLog,
    stamp: Stamp,
    base: &'g Table,
    scratch: Vec<u8>,
}

impl<'g> LogRow<'g> {
    /// Starts a row; `last` marks the last one of its group.
    pub(super) fn new(group: &Group<'g>, operation: Operation, ttl: u32) -> Self {
        let log = group.log;
        let mut patch = RowPatch::update(group.stamp.timestamp);
        patch.set(log.operation, &[operation as i8 as u8], group.stamp);
        if ttl > 0 {
            patch.set(log.ttl, &i64::from(ttl).to_be_bytes(), group.stamp);
        }
        Self { patch, log, stamp: group.stamp, base: group.base, scratch: Vec::new() }
    }

    /// Sets the partition key columns.
    pub(super) fn partition_key(&mut self, key: &[u8]) {
        for (column, value) in self.base.partition_key_columns().iter().zip(self.base.partition_values(key)) {
            self.patch.set(self.log.columns[usize::from(column.id)].value, value, self.stamp);
        }
    }

    /// Sets the clustering columns that a place (or the start or end of a range) names.
    pub(super) fn clustering_key(&mut self, place: &[u8]) {
        let mut rest = place;
        for column in self.base.clustering_key_columns() {
            self.scratch.clear();
            let decoded = order::decode(&column.typ, column.direction, &mut rest, &mut self.scratch);
            if decoded.is_none() {
                break;
            }
            self.patch.set(self.log.columns[usize::from(column.id)].value, &self.scratch, self.stamp);
        }
    }

    /// Sets a column's value.
    pub(super) fn value(&mut self, column: &Column, value: &[u8]) {
        self.patch.set(self.log.columns[usize::from(column.id)].value, value, self.stamp);
    }

    /// Marks a column as deleted, or a collection as overwritten.
    pub(super) fn deleted(&mut self, column: &Column) {
        self.patch.set(self.log.columns[usize::from(column.id)].deleted, &[1], self.stamp);
    }

    /// Records the cells that were written to one column.
    pub(super) fn change(&mut self, column: &Column, cells: &[Cell<'_>]) {
        if !column.is_multi_cell() {
            for cell in cells {
                match cell.kind {
                    CellKind::Live => self.value(column, cell.value),
                    _ => self.deleted(column),
                }
            }
            return;
        }
        let of_kind = |kind| cells.iter().filter(move |cell| cell.kind == kind);
        let mut value = std::mem::take(&mut self.scratch);
        value.clear();
        let live = of_kind(CellKind::Live).copied();
        if assemble(column, Lists::AsMaps, live, &mut value) {
            self.value(column, &value);
        }
        if of_kind(CellKind::Cleared).next().is_some() {
            self.deleted(column);
        }
        let path_value = |cell: &Cell<'_>| {
            let mut element = Vec::new();
            column.path_value(cell.path, &mut element);
            element
        };
        let dead: Vec<Vec<u8>> = of_kind(CellKind::Dead).map(path_value).collect();
        if !dead.is_empty() {
            value.clear();
            collection::write_elements(&mut value, dead.iter().map(Vec::as_slice));
            let id = self.log.columns[usize::from(column.id)].deleted_elements;
            self.patch.set(id, &value, self.stamp);
        }
        self.scratch = value;
    }

    pub(super) fn finish(self) -> RowPatch {
        self.patch
    }
}
