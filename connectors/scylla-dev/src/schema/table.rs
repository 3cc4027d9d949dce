//! One table: its columns in the order of `SELECT *`, its options, and how keys of it are made.
use std::sync::Arc;

use scylla_cql::frame::response::result::{CollectionType, ColumnType, NativeType};
use uuid::Uuid;

use super::{CdcLog, TableOptions};
use crate::value::order::{self, Direction};
use crate::value::{CqlType, types};

/// Names a table's data; never used twice, so a dropped table's data cannot come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct TableId(pub u32);

/// A table.
#[derive(Debug, Clone)]
pub struct Table {
    /// Where its data is.
    pub id: TableId,
    /// What drivers know it by.
    pub uuid: Uuid,
    /// The keyspace it is in.
    pub keyspace: Arc<str>,
    /// As written in CQL without quotes.
    pub name: Arc<str>,
    /// In the order of `SELECT *`: partition key, clustering key, static by name, regular by name.
    pub columns: Vec<Column>,
    /// How many columns make the partition key.
    pub partition_columns: usize,
    /// How many columns make the clustering key.
    pub clustering_columns: usize,
    /// The id of the next column that is added.
    pub next_column: u16,
    /// Options set by `WITH`.
    pub options: TableOptions,
    /// How partition keys become tokens.
    pub partitioner: Partitioner,
    /// The columns that a CDC log has lost, and until when (µs since 1970) there may be none of that name.
    pub dropped: Vec<(Arc<str>, i64)>,
    /// The CDC log that writes to this table are recorded in; set while CDC is enabled.
    pub cdc_log: Option<Arc<CdcLog>>,
}

/// How partition keys become tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Partitioner {
    /// By hash.
    Murmur3,
    /// CDC logs: the stream id says.
    Cdc,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Names the column in stored cells; never used twice in a table.
    pub id: u16,
    /// As written in CQL without quotes.
    pub name: Arc<str>,
    /// What role it plays.
    pub kind: ColumnKind,
    /// What it holds.
    pub typ: CqlType,
    /// How clustering columns sort.
    pub direction: Direction,
}

/// What role a column plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ColumnKind {
    PartitionKey,
    Clustering,
    Static,
    Regular,
}

impl Table {
    /// The columns of the partition key, in order.
    pub fn partition_key_columns(&self) -> &[Column] {
        &self.columns[..self.partition_columns]
    }

    /// The columns of the clustering key, in order.
    pub fn clustering_key_columns(&self) -> &[Column] {
        &self.columns[self.partition_columns..self.partition_columns + self.clustering_columns]
    }

    /// The columns that are not part of the key.
    pub fn value_columns(&self) -> &[Column] {
        &self.columns[self.partition_columns + self.clustering_columns..]
    }

    /// The regular columns.
    pub fn regular_columns(&self) -> impl Iterator<Item = &Column> {
        self.value_columns().iter().filter(|column| column.kind == ColumnKind::Regular)
    }

    /// The column of this name and its place in `columns`.
    pub fn column(&self, name: &str) -> Option<(usize, &Column)> {
        self.columns.iter().enumerate().find(|(_, column)| &*column.name == name)
    }

    /// The column of this id.
    pub fn column_by_id(&self, id: u16) -> Option<&Column> {
        // In a table that was never altered, ids are places.
        match self.columns.get(usize::from(id)) {
            Some(column) if column.id == id => Some(column),
            _ => self.columns.iter().find(|column| column.id == id),
        }
    }

    /// Where a key column stands in its key: the `position` of `system_schema.columns`.
    pub fn position(&self, index: usize) -> Option<usize> {
        if index < self.partition_columns {
            Some(index)
        } else {
            let index = index - self.partition_columns;
            (index < self.clustering_columns).then_some(index)
        }
    }

    /// Whether this is a CDC log, in use or left over.
    pub fn is_cdc_log(&self) -> bool {
        self.partitioner == Partitioner::Cdc
    }
}

/// What the names of CDC logs end in.
pub(crate) const LOG_SUFFIX: &str = "_scylla_cdc_log";

/// The name of a table's CDC log.
pub(crate) fn log_name(table: &str) -> String {
    format!("{table}{LOG_SUFFIX}")
}

impl Column {
    /// Whether elements of it are cells of their own.
    pub fn is_multi_cell(&self) -> bool {
        types::is_multi_cell(&self.typ)
    }

    /// The [`path`](crate::mutation::Cell::path) of an element: of a map key, a set element, a list's time-uuid.
    /// Fields of user-defined types have [`Column::field_path`].
    pub fn path(&self, element: &[u8]) -> Vec<u8> {
        self.path_type().map_or_else(|| element.to_vec(), |typ| order::sortable(&typ, element))
    }

    /// The path of a user-defined type's field.
    pub fn field_path(index: u16) -> Vec<u8> {
        index.to_be_bytes().to_vec()
    }

    /// The map key, set element, list id (16 bytes) or field number (2 bytes) that a path stands for, appended to `out`.
    pub fn path_value(&self, path: &[u8], out: &mut Vec<u8>) {
        let mut rest = path;
        let decoded =
            self.path_type().and_then(|typ| order::decode(&typ, Direction::Ascending, &mut rest, out));
        if decoded.is_none() {
            out.extend_from_slice(path);
        }
    }

    /// The type of what a path stands for; `None` for fields.
    fn path_type(&self) -> Option<CqlType> {
        match &self.typ {
            ColumnType::Collection {
                typ: CollectionType::Map(key, _) | CollectionType::Set(key), ..
            } => Some((**key).clone()),
            ColumnType::Collection { .. } => Some(ColumnType::Native(NativeType::Timeuuid)),
            _ => None,
        }
    }
}
