//! What the system tables look like: `p` partition key, `c` clustering, `d` clustering descending, `r` regular.
use std::collections::BTreeMap;

use crate::error::DbError;
use crate::schema::{
    ColumnDefinition, ColumnKind, KeyspaceDefinition, Schema, TableDefinition, TableOptions,
};
use crate::value::order::Direction;
use crate::value::types;

const KEYSPACES: [(&str, &str); 4] = [
    ("system", "LocalStrategy"),
    ("system_schema", "LocalStrategy"),
    ("system_distributed", "SimpleStrategy"),
    ("system_distributed_everywhere", "EverywhereStrategy"),
];

const TABLES: &[(&str, &str, &str)] = &[
    (
        "system",
        "local",
        "p key text, r bootstrapped text, r broadcast_address inet, r cluster_name text, r cql_version text, \
         r data_center text, r gossip_generation int, r host_id uuid, r listen_address inet, \
         r native_protocol_version text, r partitioner text, r rack text, r release_version text, \
         r rpc_address inet, r schema_version uuid, r supported_features text, r thrift_version text, \
         r tokens frozen<set<text>>, r truncated_at frozen<map<uuid|blob>>, r scylla_cpu_sharding_algorithm text, \
         r scylla_nr_shards int, r scylla_msb_ignore int",
    ),
    (
        "system",
        "peers",
        "p peer inet, r data_center text, r host_id uuid, r preferred_ip inet, r rack text, r release_version text, \
         r rpc_address inet, r schema_version uuid, r tokens frozen<set<text>>, r supported_features text",
    ),
    ("system", "versions", "p key text, r build_id text, r build_mode text, r version text"),
    ("system", "cdc_timestamps", "p keyspace_name text, p table_name text, d timestamp timestamp"),
    (
        "system",
        "cdc_streams",
        "p keyspace_name text, p table_name text, c timestamp timestamp, c stream_state tinyint, c stream_id blob",
    ),
    (
        "system_schema",
        "keyspaces",
        "p keyspace_name text, r durable_writes boolean, r replication frozen<map<text|text>>",
    ),
    (
        "system_schema",
        "scylla_keyspaces",
        "p keyspace_name text, r storage_type text, r storage_options frozen<map<text|text>>, r initial_tablets int",
    ),
    (
        "system_schema",
        "tables",
        "p keyspace_name text, c table_name text, r bloom_filter_fp_chance double, \
         r caching frozen<map<text|text>>, r comment text, r compaction frozen<map<text|text>>, \
         r compression frozen<map<text|text>>, r crc_check_chance double, r dclocal_read_repair_chance double, \
         r default_time_to_live int, r extensions frozen<map<text|blob>>, r flags frozen<set<text>>, \
         r gc_grace_seconds int, r id uuid, r max_index_interval int, r memtable_flush_period_in_ms int, \
         r min_index_interval int, r read_repair_chance double, r speculative_retry text",
    ),
    (
        "system_schema",
        "scylla_tables",
        "p keyspace_name text, c table_name text, r cdc frozen<map<text|text>>, r committed_by_group0 boolean, \
         r in_memory boolean, r partitioner text, r tablets frozen<map<text|text>>, r version uuid",
    ),
    (
        "system_schema",
        "columns",
        "p keyspace_name text, c table_name text, c column_name text, r clustering_order text, \
         r column_name_bytes blob, r kind text, r position int, r type text",
    ),
    (
        "system_schema",
        "types",
        "p keyspace_name text, c type_name text, r field_names frozen<list<text>>, r field_types frozen<list<text>>",
    ),
    (
        "system_schema",
        "views",
        "p keyspace_name text, c view_name text, r base_table_id uuid, r base_table_name text, \
         r bloom_filter_fp_chance double, r caching frozen<map<text|text>>, r comment text, \
         r compaction frozen<map<text|text>>, r compression frozen<map<text|text>>, r crc_check_chance double, \
         r dclocal_read_repair_chance double, r default_time_to_live int, r extensions frozen<map<text|blob>>, \
         r gc_grace_seconds int, r id uuid, r include_all_columns boolean, r max_index_interval int, \
         r memtable_flush_period_in_ms int, r min_index_interval int, r read_repair_chance double, \
         r speculative_retry text, r where_clause text",
    ),
    (
        "system_schema",
        "indexes",
        "p keyspace_name text, c table_name text, c index_name text, r kind text, r options frozen<map<text|text>>",
    ),
    (
        "system_schema",
        "functions",
        "p keyspace_name text, c function_name text, c argument_types frozen<list<text>>, \
         r argument_names frozen<list<text>>, r body text, r called_on_null_input boolean, r language text, \
         r return_type text",
    ),
    (
        "system_schema",
        "aggregates",
        "p keyspace_name text, c aggregate_name text, c argument_types frozen<list<text>>, r final_func text, \
         r initcond text, r return_type text, r state_func text, r state_type text",
    ),
    (
        "system_schema",
        "triggers",
        "p keyspace_name text, c table_name text, c trigger_name text, r options frozen<map<text|text>>",
    ),
    (
        "system_schema",
        "dropped_columns",
        "p keyspace_name text, c table_name text, c column_name text, r dropped_time timestamp, r type text",
    ),
    (
        "system_schema",
        "computed_columns",
        "p keyspace_name text, c table_name text, c column_name text, r computation blob",
    ),
    (
        "system_schema",
        "view_virtual_columns",
        "p keyspace_name text, c view_name text, c column_name text, r clustering_order text, \
         r column_name_bytes blob, r kind text, r position int, r type text",
    ),
    ("system_distributed", "cdc_generation_timestamps", "p key text, d time timestamp, r expired timestamp"),
    (
        "system_distributed",
        "cdc_streams_descriptions_v2",
        "p time timestamp, c range_end bigint, r streams frozen<set<blob>>",
    ),
];

/// Creates the system keyspaces and tables.
pub(super) fn create(schema: &mut Schema) -> Result<(), DbError> {
    for (name, class) in KEYSPACES {
        let mut replication =
            BTreeMap::from([("class".to_owned(), format!("org.apache.cassandra.locator.{class}"))]);
        if class == "SimpleStrategy" {
            replication.insert("replication_factor".to_owned(), "3".to_owned());
        }
        schema.create_keyspace(KeyspaceDefinition {
            name: name.to_owned(),
            replication,
            durable_writes: true,
            tablets: None,
        })?;
    }
    for (keyspace, name, columns) in TABLES {
        let columns = columns.split(", ").map(column).collect::<Result<_, _>>()?;
        let (keyspace, name) = ((*keyspace).to_owned(), (*name).to_owned());
        schema.create_any_table(TableDefinition {
            keyspace,
            name,
            columns,
            options: TableOptions::default(),
        })?;
    }
    Ok(())
}

fn column(text: &str) -> Result<ColumnDefinition, DbError> {
    let mut words = text.split_whitespace();
    let (Some(role), Some(name), Some(typ)) = (words.next(), words.next(), words.next()) else {
        return Err(DbError::server(format!("a system table's column is written as {text:?}")));
    };
    let (kind, direction) = match role {
        "p" => (ColumnKind::PartitionKey, Direction::Ascending),
        "c" => (ColumnKind::Clustering, Direction::Ascending),
        "d" => (ColumnKind::Clustering, Direction::Descending),
        _ => (ColumnKind::Regular, Direction::Ascending),
    };
    // Commas part the columns here, so maps are written with a bar.
    let typ = types::parse(&typ.replace('|', ", "), &|_| None)?;
    Ok(ColumnDefinition { name: name.to_owned(), kind, typ, direction })
}
