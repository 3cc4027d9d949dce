//! What preparing tells a client, and what it refuses.
use scylla_cql::frame::response::result::ColumnSpec;

use crate::clock::Clock;
use crate::error::DbError;
use crate::execute::{self, Prepared};
use crate::outcome::QueryOptions;
use crate::statements::prepare;
use crate::storage::Store;
use crate::value::types;

const SCHEMA: [&str; 5] = [
    "CREATE KEYSPACE ks WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}",
    "CREATE TYPE ks.place (street text, number int)",
    "CREATE TABLE ks.t (a int, b text, c timeuuid, d int, l list<int>, m map<text, int>, s set<blob>, p place, \
     v blob, PRIMARY KEY ((a, b), c, d))",
    "CREATE TABLE ks.base (k int PRIMARY KEY, v int) WITH cdc = {'enabled': true}",
    "CREATE TABLE ks.cp (stream_id blob PRIMARY KEY, generation timestamp, time timestamp)",
];

fn store() -> Store {
    let store = Store::new(Clock::manual(1_700_000_000_000_000));
    for text in SCHEMA {
        let prepared = prepare(text, Some("ks"), &store.schema()).expect(text);
        execute::run(&store, &prepared, &[], &QueryOptions::default()).expect(text);
    }
    store
}

fn prepared(text: &str) -> Result<Prepared, DbError> {
    prepare(text, Some("ks"), &store().schema())
}

fn show(specs: &[ColumnSpec<'_>]) -> String {
    let spec = |spec: &ColumnSpec<'_>| format!("{} {}", spec.name(), types::name(spec.typ()));
    specs.iter().map(spec).collect::<Vec<_>>().join(", ")
}

#[test]
fn bind_variables_have_names_and_types() {
    let cases = [
        ("INSERT INTO t (a, b, c, d) VALUES (?, ?, ?, ?)", "a int, b text, c timeuuid, d int"),
        ("INSERT INTO t (a, b, c, d) VALUES (:one, ?, now(), :one)", "one int, b text"),
        (
            "INSERT INTO cp (stream_id) VALUES (?) USING TTL ? AND TIMESTAMP ?",
            "stream_id blob, [ttl] int, [timestamp] bigint",
        ),
        (
            "UPDATE cp USING TTL 604800 SET generation = ?, time = ? WHERE stream_id = ?",
            "generation timestamp, time timestamp, stream_id blob",
        ),
        (
            "SELECT * FROM base_scylla_cdc_log WHERE \"cdc$stream_id\" in ? AND \"cdc$time\" >= minTimeuuid(?) AND \
             \"cdc$time\" < minTimeuuid(?)  BYPASS CACHE",
            "IN(cdc$stream_id) list<blob>, arg0(system.mintimeuuid) timestamp, arg0(system.mintimeuuid) timestamp",
        ),
        (
            "SELECT * FROM cp WHERE stream_id IN (?, ?) PER PARTITION LIMIT ? LIMIT ?",
            "stream_id blob, stream_id blob, [per_partition_limit] int, [limit] int",
        ),
        ("SELECT * FROM cp WHERE token(stream_id) > ?", "partition key token bigint"),
        ("SELECT * FROM cp WHERE token(stream_id) > token(?)", "arg0(system.token) blob"),
        (
            "SELECT * FROM t WHERE a = 1 AND b = ? AND (c, d) > (?, ?)",
            "b text, (c,d)[0] timeuuid, (c,d)[1] int",
        ),
        (
            "SELECT * FROM t WHERE a = 1 AND b = ? AND (c, d) > ?",
            "b text, (c,d) frozen<tuple<timeuuid, int>>",
        ),
        (
            "SELECT * FROM t WHERE a = 1 AND b = '' AND (c, d) IN ?",
            "IN(c,d) list<frozen<tuple<timeuuid, int>>>",
        ),
        (
            "UPDATE t SET l = ?, l[?] = ? WHERE a = 1 AND b = '' AND c = ? AND d = 1",
            "Multiple incompatible setting of column l",
        ),
        (
            "UPDATE t SET l[?] = ?, m[?] = ?, s = s - ?, p.number = ? WHERE a = 1 AND b = '' AND c = ? AND d = 1",
            "idx(l) int, value(l) int, key(m) text, value(m) int, s set<blob>, p.number int, c timeuuid",
        ),
        (
            "UPDATE t SET m = m - ?, l[SCYLLA_TIMEUUID_LIST_INDEX(?)] = ? WHERE a = 1 AND b = '' AND c = ? AND d = 1",
            "m set<text>, idx(l) timeuuid, value(l) int, c timeuuid",
        ),
        (
            "UPDATE cp SET time = ? WHERE stream_id = ? IF generation = ? AND time IN ?",
            "time timestamp, stream_id blob, generation timestamp, IN(time) list<timestamp>",
        ),
    ];
    for (text, expected) in cases {
        let found = match prepared(text) {
            Ok(prepared) => show(prepared.bind_specs()),
            Err(error) => error.message,
        };
        assert_eq!(found, expected, "{text}");
    }
}

#[test]
fn drivers_learn_where_the_partition_key_is() {
    let cases: [(&str, &[u16]); 6] = [
        ("INSERT INTO t (d, c, b, a) VALUES (?, ?, ?, ?)", &[3, 2]),
        ("SELECT * FROM t WHERE b = ? AND a = ?", &[1, 0]),
        ("SELECT * FROM t WHERE b = ? AND a = 1", &[]),
        ("SELECT * FROM cp WHERE stream_id IN ?", &[]),
        ("UPDATE cp SET time = ? WHERE stream_id = ?", &[1]),
        ("DELETE FROM cp USING TIMESTAMP ? WHERE stream_id = ?", &[1]),
    ];
    for (text, expected) in cases {
        assert_eq!(prepared(text).expect(text).partition_key_markers(), expected, "{text}");
    }
}

#[test]
fn results_are_described() {
    let cases = [
        ("SELECT a, v AS value, token(a, b) FROM t", "a int, value blob, system.token(a, b) bigint"),
        (
            "SELECT count(*), max(d), ttl(v), writetime(v) FROM t",
            "count bigint, system.max(d) int, ttl(v) int, writetime(v) bigint",
        ),
        (
            "SELECT toTimestamp(c), cast(d AS text), p.street FROM t",
            "system.totimestamp(c) timestamp, cast(d as text) text, p.street text",
        ),
        (
            "SELECT * FROM base_scylla_cdc_log",
            "cdc$stream_id blob, cdc$time timeuuid, cdc$batch_seq_no int, cdc$deleted_v boolean, \
             cdc$end_of_batch boolean, cdc$operation tinyint, cdc$ttl bigint, k int, v int",
        ),
    ];
    for (text, expected) in cases {
        let prepared = prepared(text).expect(text);
        assert_eq!(show(prepared.result_specs().expect("rows")), expected, "{text}");
    }
}

#[test]
fn mistakes_are_found_before_anything_runs() {
    let cases = [
        ("SELECT * FROM t WHERE a = :x AND b = :x", "variable x is used with multiple incompatible types"),
        ("SELECT nosuch(a) FROM t", "Unknown function 'nosuch'"),
        (
            "INSERT INTO cp (stream_id, time) VALUES (0x00, now())",
            "Type error: cannot assign result of function system.now (type timeuuid) to time (type timestamp)",
        ),
        (
            "INSERT INTO t (a, b, c, d, l) VALUES (1, '', now(), 1, {1})",
            "Invalid set literal for l of type list<int>",
        ),
        (
            "INSERT INTO t (a, b, c, d, p) VALUES (1, '', now(), 1, {color: 1})",
            "Unknown field 'color' in value of user defined type place",
        ),
        (
            "SELECT * FROM t WHERE m = {}",
            "Collection column 'm' (map<text, int>) cannot be restricted by a '=' relation",
        ),
        ("CREATE TABLE x (k int)", "No PRIMARY KEY specified (exactly one required)"),
        ("CREATE TABLE x (k int, PRIMARY KEY (j))", "Unknown definition j referenced in PRIMARY KEY"),
        ("CREATE TABLE x (k counter PRIMARY KEY)", "counter is not supported by this server"),
        ("CREATE TABLE x (k nosuch PRIMARY KEY)", "Unknown type ks.nosuch"),
        (
            "CREATE TABLE x (k int PRIMARY KEY, m map<int, list<int>>)",
            "Non-frozen user types or collections are not allowed inside collections: list<int>",
        ),
        (
            "CREATE TABLE x (k list<int> PRIMARY KEY)",
            "Invalid non-frozen collection type list<int> for PRIMARY KEY component k",
        ),
        (
            "CREATE TABLE x (k int, c int, PRIMARY KEY (k, c)) WITH CLUSTERING ORDER BY (k ASC)",
            "Only clustering key columns can be defined in CLUSTERING ORDER directive: k",
        ),
        ("CREATE TABLE x (k int PRIMARY KEY) WITH nosuch = 1", "Unknown property 'nosuch'"),
        ("CREATE KEYSPACE x WITH durable_writes = true", "Missing mandatory replication strategy class"),
        ("USE nowhere", "Keyspace 'nowhere' does not exist"),
        ("SELEC * FROM t", "line 1:0 no viable alternative at input 'SELEC'"),
    ];
    let schema = store().schema();
    for (text, message) in cases {
        assert_eq!(prepare(text, Some("ks"), &schema).expect_err(text).message, message, "{text}");
    }
    let homeless = prepare("SELECT * FROM t", None, &schema).expect_err("no keyspace");
    assert!(homeless.message.starts_with("No keyspace has been specified."));
}

#[test]
fn a_plan_is_out_of_date_when_its_table_changes() {
    let store = store();
    let select = prepare("SELECT * FROM ks.cp", None, &store.schema()).expect("select");
    assert!(select.is_current(&store.schema()));
    let alter = prepare("ALTER TABLE ks.cp ADD more int", None, &store.schema()).expect("alter");
    execute::run(&store, &alter, &[], &QueryOptions::default()).expect("alter");
    assert!(!select.is_current(&store.schema()));
}
