//! A change of one row under construction, packed as it is written down.
use super::merge;
use super::row::{Cell, CellKind, PackedRow, RowWriter, Stamp, Tombstone};

/// A change of one row. Cells may come in any order; in the order of column ids they cost least.
#[derive(Debug, Clone)]
pub struct RowPatch {
    writer: RowWriter,
    last: (u16, bool, Vec<u8>),
    sorted: bool,
}

impl RowPatch {
    /// What UPDATE writes, and INSERT for static columns: cells only. `timestamp` is the statement's.
    pub fn update(timestamp: i64) -> Self {
        Self::with(timestamp, None, None)
    }

    /// What INSERT writes: a row marker, then cells.
    pub fn insert(marker: Stamp) -> Self {
        Self::with(marker.timestamp, None, Some(marker))
    }

    /// What DELETE of a row writes.
    pub fn delete(tombstone: Tombstone) -> Self {
        Self::with(tombstone.timestamp, Some(tombstone), None)
    }

    fn with(base: i64, tombstone: Option<Tombstone>, marker: Option<Stamp>) -> Self {
        let writer = RowWriter::new(base, tombstone, marker, 256);
        Self { writer, last: (0, false, Vec::new()), sorted: true }
    }

    /// Sets a plain (or frozen) column.
    pub fn set(&mut self, column: u16, value: &[u8], stamp: Stamp) {
        self.push(&Cell { column, path: &[], kind: CellKind::Live, stamp, value });
    }

    /// Deletes a plain (or frozen) column.
    pub fn unset(&mut self, column: u16, tombstone: Tombstone) {
        self.push(&Cell { column, path: &[], kind: CellKind::Dead, stamp: stamp_of(tombstone), value: &[] });
    }

    /// Deletes all elements of a collection or user-defined type that is not frozen. An assignment does so one microsecond
    /// before the timestamp of its statement, so that the elements it sets survive; the CDC log counts on it.
    pub fn clear(&mut self, column: u16, tombstone: Tombstone) {
        self.push(&Cell {
            column,
            path: &[],
            kind: CellKind::Cleared,
            stamp: stamp_of(tombstone),
            value: &[],
        });
    }

    /// Sets an element. `path` is [`crate::schema::Column::path`] of the map key, set element, list id or field.
    pub fn set_element(&mut self, column: u16, path: &[u8], value: &[u8], stamp: Stamp) {
        self.push(&Cell { column, path, kind: CellKind::Live, stamp, value });
    }

    /// Deletes an element.
    pub fn unset_element(&mut self, column: u16, path: &[u8], tombstone: Tombstone) {
        self.push(&Cell { column, path, kind: CellKind::Dead, stamp: stamp_of(tombstone), value: &[] });
    }

    /// Appends any cell.
    pub fn push(&mut self, cell: &Cell<'_>) {
        let (column, element, path) = cell.place();
        let last = (self.last.0, self.last.1, self.last.2.as_slice());
        self.sorted &= last < (column, element, path);
        self.last.0 = column;
        self.last.1 = element;
        self.last.2.clear();
        self.last.2.extend_from_slice(path);
        self.writer.push(cell);
    }

    /// The patch as a row. Cells are in the order they were pushed until [`RowPatch::sort`].
    pub fn row(&self) -> PackedRow<'_> {
        self.writer.row()
    }

    /// Sorts the cells and resolves writes to the same one.
    pub(crate) fn sort(&mut self) {
        if !self.sorted {
            self.writer = merge::sort(self.writer.row());
            self.sorted = true;
        }
    }

    /// This and another patch of the same row as one. Neither may delete the row, for nothing is left out here.
    pub(crate) fn join(mut self, mut other: Self) -> Self {
        self.sort();
        other.sort();
        if let Some(row) = merge::merge(self.row(), other.row(), i64::MIN) {
            self.writer = row;
        }
        self
    }

    /// The patch ready to be stored.
    pub(crate) fn pack(mut self) -> Box<[u8]> {
        self.sort();
        self.writer.into_bytes()
    }
}

fn stamp_of(tombstone: Tombstone) -> Stamp {
    Stamp { timestamp: tombstone.timestamp, ttl: 0, expires: tombstone.deleted_at }
}
