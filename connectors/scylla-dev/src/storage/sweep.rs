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
        loop {
            let start = self.cursor.partition.take().map_or(Bound::Unbounded, Bound::Included);
            let from = std::mem::take(&mut self.cursor.row);
            let swept = self.tables.sweep(table, start, |partition| partition.sweep(&from, *rows, times));
            let Some((key, swept, next)) = swept else {
                return true;
            };
            *rows = rows.saturating_sub(swept.seen + 1);
            // A partition with rows left is gone on with.
            self.cursor.partition = if swept.next.is_some() { Some(key) } else { next };
            self.cursor.row = swept.next.unwrap_or_default();
            if self.cursor.partition.is_none() {
                return true;
            }
            if *rows == 0 {
                return false;
            }
        }
    }
}
