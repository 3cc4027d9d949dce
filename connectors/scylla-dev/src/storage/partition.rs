//! One partition: its rows, and the deletions that are remembered for writes that arrive late.
use std::ops::Bound;

use super::ranges::RangeTombstones;
use super::rows::{self, Bounds, Rows, Verdict};
use crate::mutation::merge::{self, newer};
use crate::mutation::{Mutation, PackedRow, RowPatch, Tombstone};
use crate::schema::ClusteringRange;

/// One partition.
#[derive(Debug, Default)]
pub(super) struct Partition {
    pub(super) static_row: Option<Box<[u8]>>,
    pub(super) rows: Rows,
    tombstones: Option<Box<Tombstones>>,
}

/// Deletions; most partitions have none.
#[derive(Debug, Default)]
struct Tombstones {
    partition: Option<Tombstone>,
    ranges: RangeTombstones,
}

/// What a sweep did.
pub(super) struct Swept {
    /// Rows looked at.
    pub(super) seen: usize,
    /// Where to go on, if there are more rows.
    pub(super) next: Option<Box<[u8]>>,
    /// Bytes that the partition takes more than before.
    pub(super) grown: isize,
}

impl Tombstones {
    fn size(&self) -> isize {
        const EACH: usize = 96;
        (EACH * (1 + self.ranges.len())).cast_signed()
    }
}

impl Partition {
    /// Applies a mutation; the last write wins, so the order of mutations does not matter. Gives the bytes that the
    /// partition takes more than before, as does everything here that changes it.
    pub(super) fn apply(&mut self, mutation: Mutation) -> isize {
        let mut grown = 0;
        if let Some(tombstone) = mutation.tombstone {
            grown += self.delete_all(tombstone);
        }
        for (range, tombstone) in &mutation.range_tombstones {
            grown += self.delete_range(range, *tombstone);
        }
        if let Some(patch) = mutation.static_row {
            let shadow = self.partition_shadow();
            grown += self.change_static_row(|row| match row {
                Some(existing) => merge::apply(&existing, &patch.pack(), shadow),
                None => fresh(patch, shadow),
            });
        }
        for (key, patch) in mutation.rows {
            grown += self.write_row(key.0, patch);
        }
        grown
    }

    /// Drops what expired before `now` and deletions made before `grace` (seconds since 1970), among rows from `from` on,
    /// at most `limit` of them. Gives how many it saw, and the place to go on from, if there are more.
    pub(super) fn sweep(&mut self, from: &[u8], limit: usize, (now, grace): (u32, u32)) -> Swept {
        let mut grown =
            self.change_static_row(|row| row.and_then(|row| merge::sweep(PackedRow::new(&row), now, grace)));
        if let Some(tombstones) = &mut self.tombstones {
            grown -= tombstones.size();
            tombstones.partition = tombstones.partition.filter(|tombstone| tombstone.deleted_at >= grace);
            tombstones.ranges.forget(i64::MIN, grace);
            if tombstones.partition.is_none() && tombstones.ranges.is_empty() {
                self.tombstones = None;
            } else {
                grown += tombstones.size();
            }
        }
        let mut next = None;
        let mut seen = 0;
        grown += self.rows.update((Bound::Included(from), Bound::Unbounded), |place, row| {
            if seen == limit {
                next = Some(Box::from(place));
                return Verdict::Stop;
            }
            seen += 1;
            let row = PackedRow::new(row);
            if merge::has_garbage(row, now, grace) {
                Verdict::Replace(merge::sweep(row, now, grace))
            } else {
                Verdict::Keep
            }
        });
        Swept { seen, next, grown }
    }

    /// Removes all cells of these columns.
    pub(super) fn drop_columns(&mut self, dropped: &[u16]) -> isize {
        let without = |row: &[u8]| Some(merge::without_columns(PackedRow::new(row), dropped));
        self.change_static_row(|row| row.and_then(|row| without(&row)))
            + self.rows.update((Bound::Unbounded, Bound::Unbounded), |_, row| Verdict::Replace(without(row)))
    }

    /// About what its content takes of memory, bytes.
    pub(super) fn size(&self) -> isize {
        let rows: isize = self
            .rows
            .range((Bound::Unbounded, Bound::Unbounded))
            .map(|(place, row)| rows::size(place, row))
            .sum();
        rows + self.static_size() + self.tombstones.as_ref().map_or(0, |tombstones| tombstones.size())
    }

    /// Whether there is nothing left to keep.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.static_row.is_none() && self.tombstones.is_none()
    }

    fn write_row(&mut self, key: Vec<u8>, patch: RowPatch) -> isize {
        let shadow = self.shadow(&key);
        match self.rows.get_mut(&key) {
            Some(existing) => match merge::apply(existing, &patch.pack(), shadow) {
                Some(row) => {
                    let grown = row.len().cast_signed() - existing.len().cast_signed();
                    *existing = row;
                    grown
                }
                None => self.rows.remove(&key),
            },
            None => fresh(patch, shadow).map_or(0, |row| self.rows.insert(key.into_boxed_slice(), row)),
        }
    }

    fn change_static_row(&mut self, change: impl FnOnce(Option<Box<[u8]>>) -> Option<Box<[u8]>>) -> isize {
        let before = self.static_size();
        self.static_row = change(self.static_row.take());
        self.static_size() - before
    }

    fn static_size(&self) -> isize {
        self.static_row.as_ref().map_or(0, |row| rows::size(&[], row))
    }

    fn delete_all(&mut self, tombstone: Tombstone) -> isize {
        let grown = self.change_tombstones(|tombstones| {
            tombstones.partition = newer(tombstones.partition, Some(tombstone));
            tombstones.ranges.forget(tombstone.timestamp, 0);
        });
        let purge = |row: &[u8]| merge::purge(PackedRow::new(row), tombstone.timestamp);
        grown
            + self.change_static_row(|row| row.and_then(|row| purge(&row)))
            + self.purge_rows(&ClusteringRange::all(), tombstone.timestamp)
    }

    fn delete_range(&mut self, range: &ClusteringRange, tombstone: Tombstone) -> isize {
        if range.is_empty() || tombstone.timestamp <= self.partition_shadow() {
            return 0;
        }
        self.change_tombstones(|tombstones| tombstones.ranges.add(range, tombstone))
            + self.purge_rows(range, tombstone.timestamp)
    }

    fn change_tombstones(&mut self, change: impl FnOnce(&mut Tombstones)) -> isize {
        let before = self.tombstones.as_ref().map_or(0, |tombstones| tombstones.size());
        let tombstones = self.tombstones.get_or_insert_default();
        change(tombstones);
        tombstones.size() - before
    }

    fn purge_rows(&mut self, range: &ClusteringRange, shadow: i64) -> isize {
        self.rows.update(bounds(range), |_, row| Verdict::Replace(merge::purge(PackedRow::new(row), shadow)))
    }

    fn partition_shadow(&self) -> i64 {
        let tombstone = self.tombstones.as_ref().and_then(|tombstones| tombstones.partition);
        tombstone.map_or(i64::MIN, |tombstone| tombstone.timestamp)
    }

    /// The newest deletion that covers the row at `place`.
    fn shadow(&self, place: &[u8]) -> i64 {
        let covering = self.tombstones.as_ref().and_then(|tombstones| tombstones.ranges.covering(place));
        covering.map_or(i64::MIN, |tombstone| tombstone.timestamp).max(self.partition_shadow())
    }
}

/// A row where there was none; a patch that writes nothing makes none.
fn fresh(patch: RowPatch, shadow: i64) -> Option<Box<[u8]>> {
    let packed = patch.pack();
    let row = PackedRow::new(&packed);
    if row.is_empty() {
        return None;
    }
    // Of what one statement writes only a deletion from outside can take something.
    if shadow == i64::MIN { Some(packed) } else { merge::purge(row, shadow) }
}

/// A range as the B-tree wants it.
pub(super) fn bounds(range: &ClusteringRange) -> Bounds<'_> {
    let end = range.end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
    if range.is_empty() {
        // B-trees refuse a start behind the end.
        return (Bound::Included(&range.start), Bound::Excluded(&range.start));
    }
    (Bound::Included(&range.start), end)
}
