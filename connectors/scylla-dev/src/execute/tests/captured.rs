//! The statements that drivers, cqlsh and CDC readers send on their own, word for word.
use scylla_cql::frame::response::result::{ColumnType, NativeType};

use super::Database;
use super::database::bound;
use crate::outcome::{BoundValue, Outcome, QueryOptions};

const TABLES: [&str; 2] = [
    "CREATE TABLE IF NOT EXISTS \"ks\".\"cp\" ( stream_id blob PRIMARY KEY, generation timestamp, time timestamp)",
    "CREATE TABLE t (pk int, ck int, v int, PRIMARY KEY (pk, ck)) WITH cdc = {'enabled': true}",
];

const RUST_DRIVER: [&str; 10] = [
    "SELECT host_id, rpc_address, data_center, rack, tokens FROM system.peers USING TIMEOUT 30000ms",
    "SELECT host_id, rpc_address, data_center, rack, tokens, cluster_name FROM system.local WHERE key='local' USING TIMEOUT 30000ms",
    "SELECT keyspace_name, type_name, field_names, field_types FROM system_schema.types USING TIMEOUT 30000ms",
    "SELECT keyspace_name, initial_tablets FROM system_schema.scylla_keyspaces USING TIMEOUT 30000ms",
    "SELECT keyspace_name, table_name, column_name, kind, position, type FROM system_schema.columns where keyspace_name in ? USING TIMEOUT 30000ms",
    "SELECT keyspace_name, table_name, partitioner FROM system_schema.scylla_tables USING TIMEOUT 30000ms",
    "SELECT keyspace_name, table_name FROM system_schema.tables USING TIMEOUT 30000ms",
    "SELECT keyspace_name, view_name, base_table_name FROM system_schema.views USING TIMEOUT 30000ms",
    "SELECT keyspace_name, replication, durable_writes FROM system_schema.keyspaces USING TIMEOUT 30000ms",
    "SELECT schema_version FROM system.local WHERE key='local'",
];

const CDC_READER: [&str; 14] = [
    "SELECT initial_tablets FROM system_schema.scylla_keyspaces WHERE keyspace_name = ?",
    "SELECT COUNT(*) FROM system.peers",
    "\n            SELECT time\n            FROM system_distributed.cdc_generation_timestamps\n            WHERE key = 'timestamps';\n",
    "SELECT time FROM system_distributed.cdc_generation_timestamps WHERE key = 'timestamps' AND time <= ? ORDER BY time DESC LIMIT 1",
    "SELECT time FROM system_distributed.cdc_generation_timestamps WHERE key = 'timestamps' AND time > ? ORDER BY time ASC LIMIT 1",
    "SELECT streams FROM system_distributed.cdc_streams_descriptions_v2 WHERE time = ?",
    "SELECT * FROM \"ks\".\"t_scylla_cdc_log\" WHERE \"cdc$stream_id\" in ? AND \"cdc$time\" >= minTimeuuid(?) AND \"cdc$time\" < minTimeuuid(?)  BYPASS CACHE",
    "CREATE TABLE IF NOT EXISTS \"ks\".\"cp\" ( stream_id blob PRIMARY KEY, generation timestamp, time timestamp)",
    "UPDATE \"ks\".\"cp\" USING TTL 604800 SET generation = ?, time = ? WHERE stream_id = ?",
    "SELECT generation FROM \"ks\".\"cp\" WHERE stream_id = ?",
    "SELECT time FROM \"ks\".\"cp\" WHERE stream_id = ? LIMIT 1",
    "SELECT min(time) FROM system_distributed.cdc_generation_timestamps WHERE key='timestamps' AND time>?",
    "SELECT streams FROM system_distributed.cdc_streams_descriptions_v2 WHERE time=?",
    "SELECT * FROM ks.t_scylla_cdc_log WHERE \"cdc$stream_id\"=? AND \"cdc$time\">? AND \"cdc$time\"<=?",
];

const OTHER_CLIENTS: [&str; 14] = [
    "SELECT peer, data_center, host_id, rack, release_version, rpc_address, schema_version, tokens FROM system.peers USING TIMEOUT 2000ms",
    "SELECT broadcast_address, cluster_name, data_center, host_id, listen_address, partitioner, rack, release_version, rpc_address, schema_version, tokens FROM system.local WHERE key='local' USING TIMEOUT 2000ms",
    "SELECT * FROM system_schema.keyspaces USING TIMEOUT 2000ms",
    "SELECT * FROM system_schema.tables WHERE keyspace_name = 'ks' AND table_name = 't2' USING TIMEOUT 2000ms",
    "SELECT * FROM system_schema.views WHERE keyspace_name = 'ks' AND view_name = 't2' USING TIMEOUT 2000ms",
    "SELECT peer, host_id, rpc_address, schema_version FROM system.peers USING TIMEOUT 2000ms",
    "select * from system.local where key = 'local' USING TIMEOUT 5000ms",
    "SELECT * FROM system.versions WHERE key = 'local'",
    "SELECT peer, rpc_address, schema_version, host_id FROM system.peers",
    "SELECT * FROM system_schema.types WHERE keyspace_name = 'ks' LIMIT 1000",
    "SELECT * FROM system_schema.tables WHERE keyspace_name = 'ks' AND table_name > 't' LIMIT 1000",
    "SELECT * FROM system_schema.columns WHERE keyspace_name = 'ks' AND (table_name, column_name) > ('cp','time') LIMIT 1000",
    "SELECT * FROM system_schema.functions WHERE keyspace_name = 'ks' AND (function_name, argument_types) > ('f', ['int']) LIMIT 1000",
    "SELECT * FROM system_schema.indexes WHERE keyspace_name = 'ks' LIMIT 1000",
];

/// Some value of the type.
fn some_value(typ: &ColumnType<'_>) -> BoundValue {
    match typ {
        ColumnType::Native(NativeType::Timestamp | NativeType::BigInt) => {
            bound(1_700_000_000_000_i64.to_be_bytes())
        }
        ColumnType::Native(NativeType::Timeuuid) => {
            bound(uuid::Uuid::from_u64_pair(0x1000, 1 << 63).as_bytes())
        }
        ColumnType::Native(NativeType::Int) => bound(1_i32.to_be_bytes()),
        ColumnType::Collection { .. } => bound([0, 0, 0, 1, 0, 0, 0, 2, b'k', b's']),
        _ => bound("ks"),
    }
}

#[test]
fn every_statement_of_a_client_is_answered() {
    let db = Database::new(&TABLES);
    for text in RUST_DRIVER.into_iter().chain(CDC_READER).chain(OTHER_CLIENTS) {
        let prepared = db.prepare(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let values: Vec<_> = prepared.bind_specs().iter().map(|spec| some_value(spec.typ())).collect();
        let options = QueryOptions { page_size: Some(1000), ..QueryOptions::default() };
        let outcome = db.execute(text, &values, &options).unwrap_or_else(|error| panic!("{text}: {error}"));
        let rows = text.trim_start().to_lowercase().starts_with("select");
        assert_eq!(matches!(outcome, Outcome::Rows(_)), rows, "{text}");
    }
}

#[test]
fn the_columns_of_a_table_go_on_where_a_page_of_the_java_driver_ended() {
    let db = Database::new(&TABLES);
    let text = "SELECT table_name, column_name FROM system_schema.columns WHERE keyspace_name = 'ks' \
                AND (table_name, column_name) > ('cp','stream_id') LIMIT 3";
    assert_eq!(db.rows(text), "cp time | t ck | t pk");
}

#[test]
fn a_missing_table_or_column_is_what_drivers_look_for() {
    let db = Database::new(&TABLES);
    assert_eq!(db.error("SELECT * FROM system.peers_v2"), "unconfigured table peers_v2");
    let consistency = "SELECT keyspace_name, initial_tablets, nosuch FROM system_schema.scylla_keyspaces";
    assert_eq!(db.error(consistency), "Unrecognized name nosuch");
    assert_eq!(
        db.error("INSERT INTO system.local (key) VALUES ('x')"),
        "system keyspace is not user-modifiable."
    );
}

#[test]
fn checkpoints_of_the_cdc_reader_come_back() {
    let db = Database::new(&TABLES);
    let save = "UPDATE \"ks\".\"cp\" USING TTL 604800 SET generation = ?, time = ? WHERE stream_id = ?";
    let values = [bound(5_i64.to_be_bytes()), bound(i64::MAX.to_be_bytes()), bound([0])];
    db.execute(save, &values, &QueryOptions::default()).expect("save");
    let load = "SELECT generation, time, ttl(time) FROM \"ks\".\"cp\" WHERE stream_id = ? LIMIT 1";
    assert_eq!(db.rows_with(load, &[bound([0])]), format!("5 {} 604800", i64::MAX));
}
