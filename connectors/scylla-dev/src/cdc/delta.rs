//! What changed, row by row; then deleted ranges, then the deleted partition.
use std::collections::BTreeSet;

use super::change::Order;
use super::encode::Operation;
use super::record::Group;
use crate::mutation::{Cell, CellKind, RowPatch};
use crate::schema::{Column, DeltaMode};
use crate::value::order::AFTER;

/// Appends the log rows of a group.
pub(super) fn rows(group: &Group<'_>, order: Order, out: &mut Vec<RowPatch>) {
    match order {
        Order::AsInTable => as_in_table(group, out),
        Order::ByKind => by_kind(group, out),
    }
    ranges(group, out);
    if group.part.tombstone.is_some() {
        out.push(group.row(Operation::PartitionDelete, 0, None).finish());
    }
}

fn as_in_table(group: &Group<'_>, out: &mut Vec<RowPatch>) {
    if group.part.static_row.is_some() {
        return static_row(group, out);
    }
    for (key, patch) in &group.part.rows {
        let cells: Vec<Cell<'_>> = patch.row().cells().collect();
        match patch.row().marker() {
            Some(marker) => changed(group, Operation::Insert, Some(&key.0), (marker.ttl, &cells), out),
            None if !cells.is_empty() => {
                changed(group, Operation::Update, Some(&key.0), (ttl_of(&cells[0]), &cells), out);
            }
            None => {}
        }
        if patch.row().tombstone().is_some() {
            out.push(group.row(Operation::RowDelete, 0, Some(&key.0)).finish());
        }
    }
}

fn by_kind(group: &Group<'_>, out: &mut Vec<RowPatch>) {
    static_row(group, out);
    let mut updates = Vec::new();
    for (key, patch) in &group.part.rows {
        let mut cells: Vec<Cell<'_>> = patch.row().cells().collect();
        if let Some(marker) = patch.row().marker() {
            let rest = cells.extract_if(.., |cell| !goes_with_marker(group, patch, marker.ttl, cell));
            let rest: Vec<Cell<'_>> = rest.collect();
            changed(group, Operation::Insert, Some(&key.0), (marker.ttl, &cells), out);
            cells = rest;
        }
        if !cells.is_empty() {
            updates.push((key, cells));
        }
    }
    for (key, cells) in updates {
        for ttl in ttls(&cells) {
            changed(group, Operation::Update, Some(&key.0), (ttl, &cells), out);
        }
    }
    for (key, _) in group.part.rows.iter().filter(|(_, patch)| patch.row().tombstone().is_some()) {
        out.push(group.row(Operation::RowDelete, 0, Some(&key.0)).finish());
    }
}

fn static_row(group: &Group<'_>, out: &mut Vec<RowPatch>) {
    let cells: Vec<Cell<'_>> = group.part.static_row.iter().flat_map(|patch| patch.row().cells()).collect();
    for ttl in ttls(&cells) {
        changed(group, Operation::Update, None, (ttl, &cells), out);
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

/// Whether a cell is recorded in the row of the INSERT that wrote it: it lives as long as the row marker, and if it is an
/// element of a collection, that was cleared with it. No INSERT could write it otherwise.
fn goes_with_marker(group: &Group<'_>, patch: &RowPatch, ttl: u32, cell: &Cell<'_>) -> bool {
    if ttl_of(cell) != ttl {
        return false;
    }
    let element = group.base.column_by_id(cell.column).is_some_and(Column::is_multi_cell);
    let cleared = |other: Cell<'_>| other.column == cell.column && other.kind == CellKind::Cleared;
    !element || (ttl == 0 && patch.row().cells().any(cleared))
}

fn ttls(cells: &[Cell<'_>]) -> BTreeSet<u32> {
    cells.iter().map(ttl_of).collect()
}

fn ttl_of(cell: &Cell<'_>) -> u32 {
    if cell.kind == CellKind::Live { cell.stamp.ttl } else { 0 }
}
