//! What exists: keyspaces, tables, columns and types. A schema is immutable once shared; a change makes a new one.
mod changes;
mod checks;
mod key;
mod log_table;
mod options;
mod table;

use std::collections::BTreeMap;
use std::sync::Arc;

use scylla_cql::frame::response::result::UserDefinedType;
use uuid::Uuid;

pub use changes::{ColumnDefinition, KeyspaceDefinition, TableDefinition};
pub use key::{Bounds, ClusteringKey, ClusteringRange, PartitionKey};
pub use log_table::{CdcLog, LogColumns};
pub use options::{CdcOptions, DeltaMode, OptionValue, PreimageMode, TableOptions};
pub(crate) use table::log_name;
pub use table::{Column, ColumnKind, Partitioner, Table, TableId};

use crate::error::DbError;

/// Everything that exists at one moment.
#[derive(Debug, Clone)]
pub struct Schema {
    /// Changes with every change of the schema; drivers compare it.
    pub version: Uuid,
    keyspaces: BTreeMap<Arc<str>, Arc<Keyspace>>,
    next_table: u32,
}

/// A keyspace and what is in it.
#[derive(Debug, Clone)]
pub struct Keyspace {
    /// As written in CQL without quotes.
    pub name: Arc<str>,
    /// `class` and the strategy's options, stored and shown; there is one node.
    pub replication: BTreeMap<String, String>,
    /// Stored and shown; nothing is durable here.
    pub durable_writes: bool,
    /// By name, CDC logs included.
    pub tables: BTreeMap<Arc<str>, Arc<Table>>,
    /// User-defined types by name.
    pub types: BTreeMap<String, Arc<UserDefinedType<'static>>>,
}

impl Keyspace {
    /// Keyspaces the server keeps for itself; statements may read them only.
    pub fn is_system(&self) -> bool {
        is_system(&self.name)
    }
}

/// Whether the name is one of the server's own keyspaces.
pub fn is_system(keyspace: &str) -> bool {
    matches!(keyspace, "system" | "system_schema" | "system_distributed" | "system_distributed_everywhere")
}

impl Default for Schema {
    fn default() -> Self {
        Self { version: Uuid::new_v4(), keyspaces: BTreeMap::new(), next_table: 0 }
    }
}

impl Schema {
    /// All keyspaces by name.
    pub fn keyspaces(&self) -> impl Iterator<Item = &Arc<Keyspace>> {
        self.keyspaces.values()
    }

    /// All tables of all keyspaces.
    pub fn tables(&self) -> impl Iterator<Item = &Arc<Table>> {
        self.keyspaces.values().flat_map(|keyspace| keyspace.tables.values())
    }

    /// The keyspace, or the error a client gets for it.
    pub fn keyspace(&self, name: &str) -> Result<&Arc<Keyspace>, DbError> {
        self.keyspaces.get(name).ok_or_else(|| DbError::invalid(format!("Can't find a keyspace {name}")))
    }

    /// The table, or the error a client gets for it.
    pub fn table(&self, keyspace: &str, name: &str) -> Result<&Arc<Table>, DbError> {
        let Some(keyspace) = self.keyspaces.get(keyspace) else {
            return Err(DbError::invalid(format!("Keyspace {keyspace} does not exist")));
        };
        keyspace.tables.get(name).ok_or_else(|| DbError::invalid(format!("unconfigured table {name}")))
    }

    /// Whether `table` is still what the schema says; a prepared statement whose table is not must be prepared again.
    pub fn is_current(&self, table: &Arc<Table>) -> bool {
        self.table(&table.keyspace, &table.name).is_ok_and(|current| Arc::ptr_eq(current, table))
    }

    /// The user-defined type, or the error a client gets for it.
    pub fn user_type(&self, keyspace: &str, name: &str) -> Result<&Arc<UserDefinedType<'static>>, DbError> {
        self.keyspace(keyspace)?
            .types
            .get(name)
            .ok_or_else(|| DbError::invalid(format!("Unknown type {keyspace}.{name}")))
    }
}
