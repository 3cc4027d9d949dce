//! The partitions of all tables.
use std::collections::BTreeMap;

use bytes::Bytes;

use super::partition::Partition;
use crate::mutation::Mutation;
use crate::schema::{PartitionKey, Schema, TableId};

/// The partitions of one table in token order.
pub(super) type Partitions = BTreeMap<PartitionKey, Partition>;

/// Partitions by table.
#[derive(Debug, Default)]
pub(super) struct Tables(Vec<Option<Partitions>>);

impl Tables {
    pub(super) fn get(&self, table: TableId) -> Option<&Partitions> {
        self.0.get(table.0 as usize)?.as_ref()
    }

    pub(super) fn slot(&mut self, table: TableId) -> &mut Partitions {
        let index = table.0 as usize;
        if self.0.len() <= index {
            self.0.resize_with(index + 1, || None);
        }
        self.0[index].get_or_insert_default()
    }

    pub(super) fn apply(&mut self, mutation: Mutation) {
        let partitions = self.slot(mutation.table.id);
        if let Some(partition) = partitions.get_mut(&mutation.key) {
            return partition.apply(mutation);
        }
        // The key may be a slice of a whole frame, which must not live as long as the partition.
        let bytes = Bytes::copy_from_slice(&mutation.key.bytes);
        let key = PartitionKey { token: mutation.key.token, bytes };
        partitions.entry(key).or_default().apply(mutation);
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
                if let Some(slot) = self.0.get_mut(before.id.0 as usize) {
                    *slot = None;
                }
                continue;
            };
            let kept = |id: u16| after.columns.iter().any(|column| column.id == id);
            let dropped: Vec<u16> =
                before.columns.iter().map(|column| column.id).filter(|id| !kept(*id)).collect();
            if !dropped.is_empty() {
                self.slot(before.id).values_mut().for_each(|partition| partition.drop_columns(&dropped));
            }
        }
    }
}
