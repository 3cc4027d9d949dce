//! The store: data and schema behind one lock, and the write path.
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::partition::Partition;
use super::view::Snapshot;
use crate::clock::Clock;
use crate::error::DbError;
use crate::mutation::Mutation;
use crate::schema::{PartitionKey, Schema, Table, TableId};

/// All data and the schema. Shared by all connections.
#[derive(Debug)]
pub struct Store {
    data: RwLock<Data>,
    schema: RwLock<Arc<Schema>>,
    clock: Clock,
    last_timestamp: AtomicI64,
}

/// What the lock guards.
#[derive(Debug, Default)]
struct Data {
    tables: Tables,
}

/// Partitions by table.
#[derive(Debug, Default)]
pub(super) struct Tables(Vec<Option<BTreeMap<PartitionKey, Partition>>>);

/// The data while this statement alone may look at it and change it.
#[derive(Debug)]
pub struct Transaction<'a> {
    data: &'a mut Data,
    store: &'a Store,
    micros: i64,
}

impl Store {
    /// An empty store that goes by this clock.
    pub fn new(clock: Clock) -> Self {
        Self {
            data: RwLock::default(),
            schema: RwLock::default(),
            clock,
            last_timestamp: AtomicI64::new(i64::MIN),
        }
    }

    /// The schema at this moment.
    pub fn schema(&self) -> Arc<Schema> {
        Arc::clone(&self.schema.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the schema: all of `change` or nothing of it. Data of dropped tables and columns is removed.
    pub fn change_schema<T>(
        &self,
        change: impl FnOnce(&mut Schema) -> Result<T, DbError>,
    ) -> Result<T, DbError> {
        let mut current = self.schema.write().unwrap_or_else(PoisonError::into_inner);
        let mut next = (**current).clone();
        let result = change(&mut next)?;
        next.version = uuid::Uuid::new_v4();
        let mut data = self.data.write().unwrap_or_else(PoisonError::into_inner);
        data.tables.follow(&current, &next);
        *current = Arc::new(next);
        Ok(result)
    }

    /// Looks at the data. Others may read meanwhile, nobody writes.
    pub fn read<T>(&self, look: impl FnOnce(Snapshot<'_>) -> T) -> T {
        let micros = self.clock.micros();
        let data = self.data.read().unwrap_or_else(PoisonError::into_inner);
        look(Snapshot { tables: &data.tables, micros })
    }

    /// Looks at the data and changes it; nobody else reads or writes meanwhile. Conditional statements use this.
    pub fn write<T>(&self, change: impl FnOnce(&mut Transaction<'_>) -> T) -> T {
        let mut data = self.data.write().unwrap_or_else(PoisonError::into_inner);
        let micros = self.clock.micros();
        change(&mut Transaction { data: &mut data, store: self, micros })
    }

    /// Removes all rows of a table. Its CDC log stays as it is.
    pub fn truncate(&self, table: &Table) {
        let mut data = self.data.write().unwrap_or_else(PoisonError::into_inner);
        data.tables.slot(table.id).clear();
    }

    /// A write timestamp, µs since 1970, greater than every one before: the clock's time unless that was given out.
    pub fn timestamp(&self) -> i64 {
        let now = self.clock.micros();
        let next = |last: i64| Some(now.max(last.saturating_add(1)));
        let last = self.last_timestamp.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        last.map_or(now, |last| now.max(last.saturating_add(1)))
    }

    /// The clock everything here goes by.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }
}

impl Transaction<'_> {
    /// The data as it is now, own changes included.
    pub fn snapshot(&self) -> Snapshot<'_> {
        Snapshot { tables: &self.data.tables, micros: self.micros }
    }

    /// A write timestamp; see [`Store::timestamp`].
    pub fn timestamp(&self) -> i64 {
        self.store.timestamp()
    }

    /// Applies the mutations of one statement or batch, and what the CDC logs record of them: all or, if there is an
    /// error, none.
    pub fn apply(&mut self, mutations: Vec<Mutation>) -> Result<(), DbError> {
        for mutation in mutations {
            let partitions = self.data.tables.slot(mutation.table.id);
            partitions.entry(mutation.key.clone()).or_default().apply(mutation);
        }
        Ok(())
    }
}

impl Tables {
    pub(super) fn get(&self, table: TableId) -> Option<&BTreeMap<PartitionKey, Partition>> {
        self.0.get(table.0 as usize)?.as_ref()
    }

    fn slot(&mut self, table: TableId) -> &mut BTreeMap<PartitionKey, Partition> {
        let index = table.0 as usize;
        if self.0.len() <= index {
            self.0.resize_with(index + 1, || None);
        }
        self.0[index].get_or_insert_default()
    }

    /// Removes the data of tables and columns that `next` no longer has.
    fn follow(&mut self, current: &Schema, next: &Schema) {
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
