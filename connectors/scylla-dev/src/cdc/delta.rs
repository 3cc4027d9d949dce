//! What changed, row by row: static row, inserts, updates by TTL, row deletions, range deletions, partition deletion.
use std::collections::BTreeSet;

use super::encode::Operation;
use super::record::Group;
use crate::mutation::{Cell, CellKind, RowPatch};
use crate::schema::DeltaMode;
use crate::value::order::AFTER;

/// Appends the log rows of a group.
pub(super) fn rows(group: &Group<'_>, out: &mut Vec<RowPatch>) {
    let part = group.part;
    if let Some(patch) = &part.static_row {
        let cells: Vec<Cell<'_>> = patch.row().cells().collect();
        for ttl in ttls(&cells) {
            changed(group, Operation::Update, None, (ttl, &cells), out);
        }
    }
    let mut updates = Vec::new();
    for (key, patch) in &part.rows {
        let row = patch.row();
        let mut cells: Vec<Cell<'_>> = row.cells().collect();
        if let Some(marker) = row.marker() {
            let rest = cells.extract_if(.., |cell| !goes_with_marker(group, row.cells(), marker.ttl, cell));
            let rest: Vec<Cell<'_>> = rest.collect();
            changed(group, Operation::Insert, Some(&key.0), (marker.ttl, &cells), out);
            cells = rest;
        }
        if !cells.is_empty() {
            updates.push((key, cells));
        }
    }
    let all_ttls: BTreeSet<u32> = updates.iter().flat_map(|(_, cells)| ttls(cells)).collect();
    for ttl in all_ttls {
        for (key, cells) in &updates {
            if cells.iter().any(|cell| ttl_of(cell) == ttl) {
                changed(group, Operation::Update, Some(&key.0), (ttl, cells), out);
            }
        }
    }
    for (key, _) in part.rows.iter().filter(|(_, patch)| patch.row().tombstone().is_some()) {
        out.push(group.row(Operation::RowDelete, 0, Some(&key.0)).finish());
    }
    ranges(group, out);
    if part.tombstone.is_some() {
        out.push(group.row(Operation::PartitionDelete, 0, None).finish());
    }
}

/// A log row about the cells that live `ttl` seconds.
fn changed(
    group: &Group<'_>,
    operation: Operation,
    place: Option<&[u8]>,
    (ttl, cells): (u32, &[Cell<'_>]),
    out: &mut Vec<RowPatch>,
) {
    let mut row = group.row(operation, ttl, place);
    if group.base.options.cdc.delta == DeltaMode::Full {
        let of_ttl: Vec<Cell<'_>> = cells.iter().filter(|cell| ttl_of(cell) == ttl).copied().collect();
        for cells in of_ttl.chunk_by(|left, right| left.column == right.column) {
            if let Some(column) = group.base.column_by_id(cells[0].column) {
                row.change(column, cells);
            }
        }
    }
    out.push(row.finish());
}

/// Two rows for each range: where it starts, where it ends.
fn ranges(group: &Group<'_>, out: &mut Vec<RowPatch>) {
    for (range, _) in &group.part.range_tombstones {
        let (start, excluded) = place(&range.start);
        let operation =
            if excluded { Operation::RangeStartExclusive } else { Operation::RangeStartInclusive };
        out.push(group.row(operation, 0, Some(start)).finish());
        // A range that ends right behind a place includes it.
        let (end, included) = range.end.as_deref().map_or((&[][..], true), place);
        let operation = if included { Operation::RangeEndInclusive } else { Operation::RangeEndExclusive };
        out.push(group.row(operation, 0, Some(end)).finish());
    }
}

/// The key or prefix that an end of a range names, and whether the end is right behind it.
fn place(end: &[u8]) -> (&[u8], bool) {
    match end.split_last() {
        Some((&AFTER, prefix)) => (prefix, true),
        _ => (end, false),
    }
}

/// Whether a cell is recorded in the row of the INSERT that wrote it: it lives as long as the row marker, and it is not
/// an element of a collection that was cleared without TTL, which must be recorded first.
fn goes_with_marker<'a>(
    group: &Group<'_>,
    mut all: impl Iterator<Item = Cell<'a>>,
    ttl: u32,
    cell: &Cell<'_>,
) -> bool {
    if ttl_of(cell) != ttl {
        return false;
    }
    let element = group.base.column_by_id(cell.column).is_some_and(crate::schema::Column::is_multi_cell);
    let cleared = |other: Cell<'_>| other.column == cell.column && other.kind == CellKind::Cleared;
    ttl == 0 || !element || !all.any(cleared)
}

fn ttls(cells: &[Cell<'_>]) -> BTreeSet<u32> {
    cells.iter().map(ttl_of).collect()
}

fn ttl_of(cell: &Cell<'_>) -> u32 {
    if cell.kind == CellKind::Live { cell.stamp.ttl } else { 0 }
}
