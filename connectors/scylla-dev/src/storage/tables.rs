//! The partitions of all tables.
use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;

use super::partition::{Partition, Swept};
use crate::mutation::Mutation;
use crate::schema::{PartitionKey, Schema, TableId};

/// The partitions of one table in token order.
pub(super) type Partitions = BTreeMap<PartitionKey, Partition>;

/// About what a partition takes of memory besides its content.
fn frame_size(key: &PartitionKey) -> isize {
    const HELD: usize = 144;
    (key.bytes.len() + HELD).cast_signed()
}

/// Partitions by table.
#[derive(Debug, Default)]
pub(super) struct Tables {
    slots: Vec<Option<Partitions>>,
    /// About what all of it takes of memory.
    bytes: isize,
}

impl Tables {
    pub(super) fn get(&self, table: TableId) -> Option<&Partitions> {
        self.slots.get(table.0 as usize)?.as_ref()
    }

    fn slot(&mut self, table: TableId) -> (&mut Partitions, &mut isize) {
        let index = table.0 as usize;
        if self.slots.len() <= index {
            self.slots.resize_with(index + 1, || None);
        }
        (self.slots[index].get_or_insert_default(), &mut self.bytes)
    }

    /// About what all of it takes of memory.
    pub(super) fn bytes(&self) -> usize {
        usize::try_from(self.bytes).unwrap_or(0)
    }

    /// The same counted anew.
    #[cfg(test)]
    pub(super) fn recount(&self) -> isize {
        let partitions = self.slots.iter().flatten().flatten();
        partitions.map(|(key, partition)| frame_size(key) + partition.size()).sum()
    }

    pub(super) fn apply(&mut self, mutation: Mutation) {
        let (partitions, bytes) = self.slot(mutation.table.id);
        if let Some(partition) = partitions.get_mut(&mutation.key) {
            *bytes += partition.apply(mutation);
            return;
        }
        // The key may be a slice of a whole frame, which must not live as long as the partition.
        let key = Bytes::copy_from_slice(&mutation.key.bytes);
        let key = PartitionKey { token: mutation.key.token, bytes: key };
        *bytes += frame_size(&key) + partitions.entry(key).or_default().apply(mutation);
    }

    /// Removes all rows of a table.
    pub(super) fn clear(&mut self, table: TableId) {
        if let Some(partitions) = self.slots.get_mut(table.0 as usize).and_then(Option::take) {
            self.bytes -=
                partitions.iter().map(|(key, partition)| frame_size(key) + partition.size()).sum::<isize>();
        }
    }

    /// Sweeps the first partition from `start` on; see [`Partition::sweep`]. Gives its key as well, and that of the next
    /// partition.
    pub(super) fn sweep(
        &mut self,
        table: TableId,
        start: Bound<PartitionKey>,
        sweep: impl FnOnce(&mut Partition) -> Swept,
    ) -> Option<(PartitionKey, Swept, Option<PartitionKey>)> {
        let (partitions, bytes) = self.slot(table);
        let mut walk = partitions.range_mut((start, Bound::Unbounded));
        let (key, partition) = walk.next()?;
        let swept = sweep(partition);
        *bytes += swept.grown;
        let (key, empty) = (key.clone(), partition.is_empty());
        let next = walk.next().map(|(next, _)| next.clone());
        if empty {
            partitions.remove(&key);
            *bytes -= frame_size(&key);
        }
        Some((key, swept, next))
    }

    /// The packed row at `place`, or the static row.
    pub(super) fn stored(&self, table: TableId, key: &PartitionKey, place: Option<&[u8]>) -> Option<&[u8]> {
        let partition = self.get(table)?.get(key)?;
        match place {
            Some(place) => partition.rows.get(place).map(|(_, row)| row),
            None => partition.static_row.as_deref(),
        }
    }

    /// Removes the data of tables and columns that `next` no longer has.
    pub(super) fn follow(&mut self, current: &Schema, next: &Schema) {
        for before in current.tables() {
            let Some(after) = next.tables().find(|table| table.id == before.id) else {
                self.clear(before.id);
                continue;
            };
            let kept = |id: u16| after.columns.iter().any(|column| column.id == id);
            let dropped: Vec<u16> =
                before.columns.iter().map(|column| column.id).filter(|id| !kept(*id)).collect();
            if !dropped.is_empty() {
                let (partitions, bytes) = self.slot(before.id);
                *bytes +=
                    partitions.values_mut().map(|partition| partition.drop_columns(&dropped)).sum::<isize>();
            }
        }
    }
}
