//! Forgetting what has expired, a few rows at a time, so that no statement waits for it.
use std::ops::Bound;

use super::store::Data;
use crate::schema::{PartitionKey, Schema, TableId};

/// Where the walk through all tables is.
#[derive(Debug, Default)]
pub(super) struct Cursor {
    table: TableId,
    partition: Option<PartitionKey>,
    row: Box<[u8]>,
}

impl Data {
    /// Goes on with the walk for `rows` rows, or to the end of the last table.
    pub(super) fn sweep(&mut self, schema: &Schema, mut rows: usize, now: u32) {
        let mut tables: Vec<_> = schema.tables().filter(|table| table.id >= self.cursor.table).collect();
        tables.sort_by_key(|table| table.id);
        for table in tables {
            if table.id != self.cursor.table {
                self.cursor = Cursor { table: table.id, ..Cursor::default() };
            }
            // Deletions are kept for the grace period, for writes that arrive late.
            let grace = now.saturating_sub(table.options.gc_grace_seconds);
            if !self.sweep_table(table.id, &mut rows, (now, grace)) {
                return;
            }
        }
        self.cursor = Cursor::default();
    }

    /// `false` when the rows ran out before the table did.
    fn sweep_table(&mut self, table: TableId, rows: &mut usize, times: (u32, u32)) -> bool {
        let partitions = self.tables.slot(table);
        loop {
            let start = self.cursor.partition.take().map_or(Bound::Unbounded, Bound::Included);
            let mut walk = partitions.range_mut((start, Bound::Unbounded));
            let Some((key, partition)) = walk.next() else {
                return true;
            };
            let from = std::mem::take(&mut self.cursor.row);
            let (seen, rest) = partition.sweep(&from, *rows, times);
            *rows = rows.saturating_sub(seen + 1);
            let key = key.clone();
            let next =
                if rest.is_some() { Some(key.clone()) } else { walk.next().map(|(next, _)| next.clone()) };
            if partition_is_empty(partitions, &key) {
                partitions.remove(&key);
            }
            self.cursor.row = rest.unwrap_or_default();
            self.cursor.partition = next;
            if self.cursor.partition.is_none() {
                return true;
            }
            if *rows == 0 {
                return false;
            }
        }
    }
}

fn partition_is_empty(partitions: &super::tables::Partitions, key: &PartitionKey) -> bool {
    partitions.get(key).is_some_and(super::partition::Partition::is_empty)
}
