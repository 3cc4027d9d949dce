//! The last write wins: how two packed rows become one, whatever order they arrive in.
use std::cmp::Ordering;

use super::row::{Cell, CellKind, PackedRow, RowWriter, Stamp, Tombstone};

/// Both rows in one. Whatever is not newer than `shadow`, the newest deletion that covers the row from outside (a
/// range's or the partition's), is left out. `None` when nothing is left.
pub(super) fn merge(left: PackedRow<'_>, right: PackedRow<'_>, shadow: i64) -> Option<RowWriter> {
    let tombstone =
        newer(left.tombstone(), right.tombstone()).filter(|tombstone| tombstone.timestamp > shadow);
    let shadow = tombstone.map_or(shadow, |tombstone| tombstone.timestamp);
    let marker = reconcile_markers(left.marker(), right.marker()).filter(|marker| marker.timestamp > shadow);
    let base =
        right.cells().next().or_else(|| left.cells().next()).map_or(shadow, |cell| cell.stamp.timestamp);
    let mut out =
        Output { writer: RowWriter::new(base, tombstone, marker, 160), shadow, cleared: None, cells: 0 };
    let (mut lefts, mut rights) = (left.cells().peekable(), right.cells().peekable());
    loop {
        let order = match (lefts.peek(), rights.peek()) {
            (Some(l), Some(r)) => l.place().cmp(&r.place()),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => break,
        };
        let cell = match order {
            Ordering::Less => lefts.next(),
            Ordering::Greater => rights.next(),
            Ordering::Equal => lefts.next().zip(rights.next()).map(|(l, r)| winner(l, r)),
        };
        if let Some(cell) = cell {
            out.push(&cell);
        }
    }
    (tombstone.is_some() || marker.is_some() || out.cells > 0).then_some(out.writer)
}

/// [`merge`] of a stored row and a patch, ready to be stored.
pub(crate) fn apply(stored: &[u8], patch: &[u8], shadow: i64) -> Option<Box<[u8]>> {
    merge(PackedRow::new(stored), PackedRow::new(patch), shadow).map(RowWriter::into_bytes)
}

/// The row without what a deletion at `shadow` covers. `None` when nothing is left.
pub(crate) fn purge(row: PackedRow<'_>, shadow: i64) -> Option<Box<[u8]>> {
    merge(row, PackedRow::EMPTY, shadow).map(RowWriter::into_bytes)
}

/// The row without what has expired at `now` and without deletions made before `grace` (seconds since 1970).
/// `None` when nothing is left.
pub(crate) fn sweep(row: PackedRow<'_>, now: u32, grace: u32) -> Option<Box<[u8]>> {
    let tombstone = row.tombstone().filter(|tombstone| tombstone.deleted_at >= grace);
    let marker = row.marker().filter(|marker| !marker.is_expired(now));
    let base = row.cells().next().map_or(0, |cell| cell.stamp.timestamp);
    let mut writer = RowWriter::new(base, tombstone, marker, 96);
    let mut cells = 0;
    for cell in row.cells() {
        let keep = match cell.kind {
            CellKind::Live => !cell.stamp.is_expired(now),
            CellKind::Dead | CellKind::Cleared => cell.stamp.expires >= grace,
        };
        if keep {
            writer.push(&cell);
            cells += 1;
        }
    }
    (tombstone.is_some() || marker.is_some() || cells > 0).then(|| writer.into_bytes())
}

/// A row whose cells were written in any order, sorted, one cell to a place.
pub(super) fn sort(row: PackedRow<'_>) -> RowWriter {
    let mut cells: Vec<Cell<'_>> = row.cells().collect();
    cells.sort_by(|l, r| l.place().cmp(&r.place()));
    cells.dedup_by(|next, kept| {
        let same = next.place() == kept.place();
        if same {
            *kept = winner(*kept, *next);
        }
        same
    });
    let base = cells.first().map_or(0, |cell| cell.stamp.timestamp);
    let mut writer = RowWriter::new(base, row.tombstone(), row.marker(), 96);
    for cell in &cells {
        writer.push(cell);
    }
    writer
}

/// The later of two deletions.
pub(crate) fn newer(left: Option<Tombstone>, right: Option<Tombstone>) -> Option<Tombstone> {
    left.into_iter().chain(right).max_by_key(|tombstone| (tombstone.timestamp, tombstone.deleted_at))
}

/// Which of two writes to one cell stays. At the same timestamp a deletion beats a value, an expiring value one that
/// stays, then the later expiry, the shorter TTL (it was written later), the larger value.
fn winner<'a>(left: Cell<'a>, right: Cell<'a>) -> Cell<'a> {
    let rank = |cell: &Cell<'a>| {
        (cell.stamp.timestamp, cell.kind != CellKind::Live, stamp_rank(cell.stamp), cell.value)
    };
    if rank(&right) > rank(&left) { right } else { left }
}

fn stamp_rank(stamp: Stamp) -> (bool, u32, u32) {
    (stamp.ttl != 0, stamp.expires, u32::MAX - stamp.ttl)
}

fn reconcile_markers(left: Option<Stamp>, right: Option<Stamp>) -> Option<Stamp> {
    left.into_iter().chain(right).max_by_key(|marker| (marker.timestamp, stamp_rank(*marker)))
}

/// Leaves out what the row's or a collection's deletion covers.
struct Output {
    writer: RowWriter,
    shadow: i64,
    cleared: Option<(u16, i64)>,
    cells: usize,
}

impl Output {
    fn push(&mut self, cell: &Cell<'_>) {
        let shadow = match self.cleared {
            Some((column, timestamp)) if column == cell.column => timestamp.max(self.shadow),
            _ => self.shadow,
        };
        if cell.stamp.timestamp <= shadow {
            return;
        }
        if cell.kind == CellKind::Cleared {
            self.cleared = Some((cell.column, cell.stamp.timestamp));
        }
        self.writer.push(cell);
        self.cells += 1;
    }
}

/// Whether [`sweep`] would find something to drop.
pub(crate) fn has_garbage(row: PackedRow<'_>, now: u32, grace: u32) -> bool {
    row.tombstone().is_some_and(|tombstone| tombstone.deleted_at < grace)
        || row.marker().is_some_and(|marker| marker.is_expired(now))
        || row.cells().any(|cell| match cell.kind {
            CellKind::Live => cell.stamp.is_expired(now),
            CellKind::Dead | CellKind::Cleared => cell.stamp.expires < grace,
        })
}

/// The row without the cells of these columns.
pub(crate) fn without_columns(row: PackedRow<'_>, dropped: &[u16]) -> Box<[u8]> {
    let base = row.cells().next().map_or(0, |cell| cell.stamp.timestamp);
    let mut writer = RowWriter::new(base, row.tombstone(), row.marker(), 96);
    row.cells().filter(|cell| !dropped.contains(&cell.column)).for_each(|cell| writer.push(&cell));
    writer.into_bytes()
}
