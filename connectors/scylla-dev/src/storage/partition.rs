//! One partition: its rows, and the deletions that are remembered for writes that arrive late.
use std::ops::Bound;

use super::ranges::RangeTombstones;
use super::rows::{Bounds, Rows, Verdict};
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

impl Partition {
    /// Applies a mutation; the last write wins, so the order of mutations does not matter.
    pub(super) fn apply(&mut self, mutation: Mutation) {
        if let Some(tombstone) = mutation.tombstone {
            self.delete_all(tombstone);
        }
        for (range, tombstone) in &mutation.range_tombstones {
            self.delete_range(range, *tombstone);
        }
        if let Some(patch) = mutation.static_row {
            let shadow = self.partition_shadow();
            self.static_row = match self.static_row.take() {
                Some(existing) => merge::apply(&existing, &patch.pack(), shadow),
                None => fresh(patch, shadow),
            };
        }
        for (key, patch) in mutation.rows {
            self.write_row(key.0, patch);
        }
    }

    /// Drops what expired before `now` and deletions made before `grace` (seconds since 1970), among rows from `from` on,
    /// at most `limit` of them. Gives how many it saw, and the place to go on from, if there are more.
    pub(super) fn sweep(
        &mut self,
        from: &[u8],
        limit: usize,
        (now, grace): (u32, u32),
    ) -> (usize, Option<Box<[u8]>>) {
        self.static_row =
            self.static_row.take().and_then(|row| merge::sweep(PackedRow::new(&row), now, grace));
        if let Some(tombstones) = &mut self.tombstones {
            tombstones.partition = tombstones.partition.filter(|tombstone| tombstone.deleted_at >= grace);
            tombstones.ranges.forget(i64::MIN, grace);
            if tombstones.partition.is_none() && tombstones.ranges.is_empty() {
                self.tombstones = None;
            }
        }
        let mut next = None;
        let mut seen = 0;
        self.rows.update((Bound::Included(from), Bound::Unbounded), |place, row| {
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
        (seen, next)
    }

    /// Removes all cells of these columns.
    pub(super) fn drop_columns(&mut self, dropped: &[u16]) {
        if let Some(row) = &mut self.static_row {
            *row = merge::without_columns(PackedRow::new(row), dropped);
        }
        self.rows.update((Bound::Unbounded, Bound::Unbounded), |_, row| {
            Verdict::Replace(Some(merge::without_columns(PackedRow::new(row), dropped)))
        });
    }

    /// Whether there is nothing left to keep.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.static_row.is_none() && self.tombstones.is_none()
    }

    fn write_row(&mut self, key: Vec<u8>, patch: RowPatch) {
        let shadow = self.shadow(&key);
        match self.rows.get_mut(&key) {
            Some(existing) => match merge::apply(existing, &patch.pack(), shadow) {
                Some(row) => *existing = row,
                None => self.rows.remove(&key),
            },
            None => {
                if let Some(row) = fresh(patch, shadow) {
                    self.rows.insert(key.into_boxed_slice(), row);
                }
            }
        }
    }

    fn delete_all(&mut self, tombstone: Tombstone) {
        let tombstones = self.tombstones.get_or_insert_default();
        tombstones.partition = newer(tombstones.partition, Some(tombstone));
        tombstones.ranges.forget(tombstone.timestamp, 0);
        self.static_row =
            self.static_row.take().and_then(|row| merge::purge(PackedRow::new(&row), tombstone.timestamp));
        self.purge_rows(&ClusteringRange::all(), tombstone.timestamp);
    }

    fn delete_range(&mut self, range: &ClusteringRange, tombstone: Tombstone) {
        if range.is_empty() || tombstone.timestamp <= self.partition_shadow() {
            return;
        }
        self.tombstones.get_or_insert_default().ranges.add(range, tombstone);
        self.purge_rows(range, tombstone.timestamp);
    }

    fn purge_rows(&mut self, range: &ClusteringRange, shadow: i64) {
        self.rows.update(bounds(range), |_, row| Verdict::Replace(merge::purge(PackedRow::new(row), shadow)));
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
