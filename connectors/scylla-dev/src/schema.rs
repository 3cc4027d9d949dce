//! What exists: keyspaces, tables, columns and types. A schema is immutable once shared; a change makes a new one.
mod changes;
mod checks;
mod compression;
pub(crate) mod describe;
mod key;
mod log_table;
mod options;
mod replication;
mod table;

use std::collections::BTreeMap;
use std::sync::Arc;

use scylla_cql::frame::response::result::UserDefinedType;
use uuid::Uuid;

pub use changes::{ColumnDefinition, KeyspaceDefinition, TableDefinition};
pub use key::{Bounds, ClusteringKey, ClusteringRange, PartitionKey};
pub use log_table::CdcLog;
pub use options::{CdcOptions, DeltaMode, OptionValue, PreimageMode, TableOptions};
pub use table::{Column, ColumnKind, Partitioner, Table, TableId};
pub(crate) use table::{LOG_SUFFIX, log_name};

use crate::error::DbError;

/// The node's data center, which ScyllaDB calls so unless told otherwise.
pub(crate) const DATACENTER: &str = "datacenter1";

/// What ScyllaDB starts a table with that nothing was said about.
const TABLETS_PER_SHARD: u32 = 10;
/// More of them mean no more to one node, only more streams to read.
pub(crate) const MAX_TABLETS: u32 = 1 << 12;

/// Everything that exists at one moment.
#[derive(Debug, Clone)]
pub struct Schema {
    /// Changes with every change of the schema; drivers compare it.
    pub version: Uuid,
    /// When it came to be, µs since 1970 by the server's clock.
    pub since: i64,
    /// What decides over tablets.
    pub layout: Layout,
    keyspaces: BTreeMap<Arc<str>, Arc<Keyspace>>,
    next_table: u32,
}

/// How the node lays tables out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// How many shards it has.
    pub shards: u16,
    /// What new keyspaces get that say nothing about tablets; see [`Keyspace::tablets`].
    pub tablets: Option<u32>,
}

impl Default for Layout {
    fn default() -> Self {
        Self { shards: 1, tablets: None }
    }
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
    /// How many tablets its tables start with, 0 for as many as suit the node; `None`: its tables are on vnodes.
    pub tablets: Option<u32>,
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
        Self {
            version: Uuid::new_v4(),
            since: 0,
            layout: Layout::default(),
            keyspaces: BTreeMap::new(),
            next_table: 0,
        }
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

    /// How many tablets a table has, a power of two; `None` on vnodes. A CDC log has those of its table, unless it says
    /// otherwise itself.
    pub fn tablets(&self, table: &Table) -> Option<u32> {
        let initial = self.keyspaces.get(&table.keyspace)?.tablets?;
        let shards = u32::from(self.layout.shards);
        let base = table.name.strip_suffix(LOG_SUFFIX).filter(|_| table.is_cdc_log());
        let base = base.and_then(|base| self.table(&table.keyspace, base).ok());
        let asked = std::iter::once(table).chain(base.map(|base| &**base)).find_map(|table| {
            let hint = |name| table.options.maps.get("tablets")?.get(name)?.parse::<u32>().ok();
            let per_shard = hint("min_per_shard_tablet_count").map(|count| count.saturating_mul(shards));
            hint("min_tablet_count").max(per_shard)
        });
        let count = match (asked, initial) {
            (Some(asked), _) => asked,
            (None, 0) => TABLETS_PER_SHARD * shards,
            (None, initial) => initial,
        };
        Some(count.clamp(1, MAX_TABLETS).next_power_of_two())
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
