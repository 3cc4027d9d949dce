//! A row as a reader sees it: what lives at this moment.
use bytes::BufMut;

use crate::mutation::{Cell, CellKind, Lists, PackedRow, assemble};
use crate::outcome::RowsBody;
use crate::schema::{Column, Table};
use crate::value::order;

/// A live row of a partition (or its static row, which has no clustering key).
#[derive(Debug)]
pub struct LiveRow<'a> {
    table: &'a Table,
    place: &'a [u8],
    row: PackedRow<'a>,
    now: u32,
    /// By column id: where its first cell is, plus one; 0 where it has none.
    index: Vec<u32>,
}

impl<'a> LiveRow<'a> {
    /// Makes room to look at rows of `table` at `now` (seconds since 1970).
    pub(crate) fn new(table: &'a Table, now: u32) -> Self {
        let index = vec![0; usize::from(table.next_column)];
        Self { table, place: &[], row: PackedRow::EMPTY, now, index }
    }

    /// Looks at this row; `false` when nothing in it lives.
    pub(crate) fn look_at(&mut self, place: &'a [u8], packed: &'a [u8]) -> bool {
        self.place = place;
        self.row = PackedRow::new(packed);
        self.index.fill(0);
        let mut live = self.row.marker().is_some_and(|marker| !marker.is_expired(self.now));
        let mut cells = self.row.cells();
        let mut at = cells.position();
        while let Some(cell) = cells.next() {
            live |= cell.is_live(self.now);
            if let Some(first @ 0) = self.index.get_mut(usize::from(cell.column)) {
                // Rows are far smaller than 4 GiB: they come out of frames.
                *first = at as u32 + 1;
            }
            at = cells.position();
        }
        live
    }

    /// The row's clustering key as sortable bytes; see [`crate::schema::ClusteringRange::behind`].
    pub fn place(&self) -> &'a [u8] {
        self.place
    }

    /// The row marker, if it lives: there is one since an INSERT.
    #[cfg(test)]
    pub fn marker(&self) -> Option<crate::mutation::Stamp> {
        self.row.marker().filter(|marker| !marker.is_expired(self.now))
    }

    /// The live cell of a column that is not a collection of cells: value, write time, TTL.
    pub fn cell(&self, column: &Column) -> Option<Cell<'a>> {
        self.cells(column).next().filter(|cell| cell.is_live(self.now))
    }

    /// The live elements of a collection or user-defined type that is not frozen, in order of their paths.
    pub fn elements(&self, column: &Column) -> impl Iterator<Item = Cell<'a>> + use<'a> {
        let now = self.now;
        self.cells(column).filter(move |cell| cell.is_live(now))
    }

    /// Seconds the cell has left to live; `None` for ever.
    pub fn ttl(&self, cell: &Cell<'_>) -> Option<u32> {
        (cell.kind == CellKind::Live && cell.stamp.ttl != 0)
            .then(|| cell.stamp.expires.saturating_sub(self.now))
    }

    /// Appends the serialized value of a clustering, static or regular column to `out`; `false` for null, when nothing
    /// is appended. Partition key columns are the partition's, not the row's.
    pub fn read(&self, column: &Column, out: &mut Vec<u8>) -> bool {
        use crate::schema::ColumnKind as K;
        match column.kind {
            K::Clustering => self.read_clustering(column, out),
            _ if column.is_multi_cell() => assemble(column, Lists::AsLists, self.elements(column), out),
            _ => match self.cell(column) {
                Some(cell) => {
                    out.extend_from_slice(cell.value);
                    true
                }
                None => false,
            },
        }
    }

    /// Appends the value of a column, or null, to the result row under way.
    pub fn put(&self, column: &Column, scratch: &mut Vec<u8>, out: &mut RowsBody) {
        use crate::schema::ColumnKind as K;
        if matches!(column.kind, K::Static | K::Regular) && !column.is_multi_cell() {
            return out.put(self.cell(column).map(|cell| cell.value));
        }
        scratch.clear();
        if self.read(column, scratch) {
            out.put(Some(scratch));
        } else {
            out.bytes.put_i32(-1);
        }
    }

    fn cells(&self, column: &Column) -> impl Iterator<Item = Cell<'a>> + use<'a> {
        let id = column.id;
        let first = self.index.get(usize::from(id)).copied().unwrap_or(0);
        let cells = (first > 0).then(|| self.row.cells_at(first as usize - 1));
        cells.into_iter().flatten().take_while(move |cell| cell.column == id)
    }

    fn read_clustering(&self, column: &Column, out: &mut Vec<u8>) -> bool {
        let start = out.len();
        let mut rest = self.place;
        for candidate in self.table.clustering_key_columns() {
            out.truncate(start);
            if order::decode(&candidate.typ, candidate.direction, &mut rest, out).is_none() {
                return false;
            }
            if candidate.id == column.id {
                return true;
            }
        }
        false
    }
}
