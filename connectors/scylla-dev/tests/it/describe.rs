//! DESCRIBE: what it shows is how ScyllaDB writes it, and makes the same schema again.
use scylla::client::session::Session;
use scylla::value::Row;
use weir_scylla_dev::ScyllaDev;

use super::{connect, refused, rows, run, start};

const SCHEMA: [&str; 9] = [
    "CREATE KEYSPACE \"Mixed_Case\" WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 2} \
     AND durable_writes = false",
    // In the order of names, the outer type comes first.
    "CREATE TYPE ks.zip (code text, \"Add\" int)",
    "CREATE TYPE ks.address (street text, place frozen<zip>, tags frozen<list<text>>)",
    "CREATE TABLE ks.people (country text, \"Id\" uuid, seen timestamp, rank int, motto text static, \
     home frozen<address>, homes map<text, frozen<address>>, pair tuple<int, frozen<set<text>>>, \"select\" duration, \
     PRIMARY KEY ((country, \"Id\"), seen, rank)) WITH CLUSTERING ORDER BY (seen DESC, rank ASC) \
     AND comment = 'it''s people' AND default_time_to_live = 60 AND gc_grace_seconds = 7 \
     AND compaction = {'class': 'LeveledCompactionStrategy', 'sstable_size_in_mb': 320} \
     AND speculative_retry = '50ms' AND paxos_grace_seconds = 5 AND tombstone_gc = {'mode': 'immediate'} \
     AND cdc = {'enabled': true, 'preimage': 'full', 'postimage': true, 'delta': 'keys', 'ttl': 99}",
    "ALTER TABLE ks.people_scylla_cdc_log WITH comment = 'mine'",
    "CREATE TABLE \"Mixed_Case\".\"T\" (p int PRIMARY KEY)",
    "CREATE TABLE \"Mixed_Case\".log_only (p int PRIMARY KEY) WITH cdc = {'enabled': false, 'ttl': 5}",
    "CREATE TABLE ks.plain (p inet, v varint, PRIMARY KEY (p, v))",
    "ALTER TABLE ks.plain ADD late list<time>",
];

fn text(row: &Row, column: usize) -> &str {
    row.columns[column].as_ref().and_then(|value| value.as_text()).map_or("", String::as_str)
}

async fn names(session: &Session, cql: &str) -> Vec<String> {
    let rows = rows(session, cql).await;
    rows.iter().map(|row| format!("{} {} {}", text(row, 0), text(row, 1), text(row, 2))).collect()
}

#[tokio::test]
async fn what_is_described_makes_the_same_schema_again() {
    let (_server, session) = start().await;
    for statement in SCHEMA {
        run(&session, statement).await;
    }
    let described = rows(&session, "DESCRIBE SCHEMA").await;
    let another = ScyllaDev::builder().start().await.unwrap();
    let copy = connect(&another).await;
    for row in &described {
        run(&copy, text(row, 3)).await;
    }
    assert_eq!(rows(&copy, "DESC SCHEMA;").await, described);
    for table in ["keyspaces", "types", "columns", "scylla_keyspaces"] {
        let all = format!("SELECT * FROM system_schema.{table}");
        assert_eq!(rows(&copy, &all).await, rows(&session, &all).await, "{table}");
    }
    let options = "SELECT keyspace_name, table_name, comment, compaction, caching, default_time_to_live, extensions, \
                   gc_grace_seconds, speculative_retry FROM system_schema.tables";
    assert_eq!(rows(&copy, options).await, rows(&session, options).await);
}

#[tokio::test]
async fn a_table_is_written_as_scylladb_writes_it() {
    let (_server, session) = start().await;
    for statement in &SCHEMA[1..] {
        if !statement.contains("Mixed_Case") {
            run(&session, statement).await;
        }
    }
    let described = rows(&session, "DESCRIBE TABLE people").await;
    expect_test::expect![[r#"
        CREATE TABLE ks.people (
            country text,
            "Id" uuid,
            seen timestamp,
            rank int,
            motto text static,
            home frozen<address>,
            homes map<text, frozen<address>>,
            pair frozen<tuple<int, frozen<set<text>>>>,
            "select" duration,
            PRIMARY KEY ((country, "Id"), seen, rank)
        ) WITH CLUSTERING ORDER BY (seen DESC, rank ASC)
            AND bloom_filter_fp_chance = 0.01
            AND caching = {'keys': 'ALL', 'rows_per_partition': 'ALL'}
            AND comment = 'it''s people'
            AND compaction = {'class': 'LeveledCompactionStrategy', 'sstable_size_in_mb': '320'}
            AND compression = {'sstable_compression': 'org.apache.cassandra.io.compress.LZ4Compressor'}
            AND crc_check_chance = 1
            AND default_time_to_live = 60
            AND gc_grace_seconds = 7
            AND max_index_interval = 2048
            AND memtable_flush_period_in_ms = 0
            AND min_index_interval = 128
            AND paxos_grace_seconds = 5
            AND speculative_retry = '50ms'
            AND tombstone_gc = {'mode': 'immediate'}
            AND cdc = {'delta': 'keys', 'enabled': 'true', 'postimage': 'true', 'preimage': 'full', 'ttl': '99'};
    "#]]
    .assert_eq(text(&described[0], 3));
    assert!(text(&described[1], 3).starts_with("ALTER TABLE ks.people_scylla_cdc_log WITH bloom_filter"));
    let log = rows(&session, "DESCRIBE TABLE ks.people_scylla_cdc_log").await;
    let comment = "/* Do NOT execute this statement! It's only for informational purposes.\n   A CDC log table is created \
                   automatically when creating the base with CDC\n   enabled option or creating the vector index on \
                   the base table's vector column.\n\nCREATE TABLE ks.people_scylla_cdc_log (\n    \"cdc$stream_id\" blob,";
    assert!(text(&log[0], 3).starts_with(comment) && text(&log[0], 3).ends_with(";\n\n*/"), "{log:?}");
    let with_id = rows(&session, "DESCRIBE TABLE plain WITH INTERNALS").await;
    assert!(text(&with_id[0], 3).contains(") WITH ID = "), "{with_id:?}");
    let zip = rows(&session, "DESCRIBE TYPE zip").await;
    assert_eq!(text(&zip[0], 3), "CREATE TYPE ks.zip (\n    code text,\n    \"Add\" int\n);");
}

#[tokio::test]
async fn lists_and_names_are_found_where_scylladb_finds_them() {
    let (server, session) = start().await;
    for statement in SCHEMA {
        run(&session, statement).await;
    }
    assert_eq!(names(&session, "DESCRIBE TABLES").await, ["ks table people", "ks table plain"]);
    assert_eq!(names(&session, "DESC COLUMNFAMILIES").await, ["ks table people", "ks table plain"]);
    assert_eq!(names(&session, "DESCRIBE TYPES").await, ["ks type zip", "ks type address"]);
    assert_eq!(names(&session, "DESC KEYSPACES").await, ["ks keyspace ks"]);
    assert!(
        names(&session, "DESC FUNCTIONS").await.is_empty()
            && names(&session, "DESC AGGREGATES").await.is_empty()
    );
    let mixed = [
        "\"Mixed_Case\" keyspace \"Mixed_Case\"",
        "\"Mixed_Case\" table \"T\"",
        "\"Mixed_Case\" table log_only",
    ];
    for cql in ["DESCRIBE KEYSPACE \"Mixed_Case\"", "DESCRIBE \"Mixed_Case\"", "DESC SCHEMA \"Mixed_Case\""] {
        assert_eq!(names(&session, cql).await, mixed, "{cql}");
    }
    assert_eq!(names(&session, "DESCRIBE ONLY KEYSPACE").await, ["ks keyspace ks"]);
    assert_eq!(names(&session, "DESCRIBE address").await, ["ks type address"]);
    assert_eq!(names(&session, "DESCRIBE system.local").await, ["system table local"]);
    assert!(names(&session, "DESCRIBE FULL SCHEMA").await.contains(&"system_schema table tables".to_owned()));
    assert_eq!(
        names(&session, "DESCRIBE CLUSTER").await,
        ["scylla-dev org.apache.cassandra.dht.Murmur3Partitioner org.apache.cassandra.locator.SimpleSnitch"]
    );
    assert_eq!(
        rows(&session, "DESC CLUSTER").await[0].columns.len(),
        4,
        "and who owns the ranges of the ring"
    );
    let anywhere = connect(&server).await;
    let tables = names(&anywhere, "DESCRIBE TABLES").await;
    assert!(tables.contains(&"\"Mixed_Case\" table \"T\"".to_owned()), "{tables:?}");
    for (cql, message) in [
        ("DESCRIBE TABLE ks.nosuch", "Table 'nosuch' not found in keyspace 'ks'"),
        ("DESCRIBE TABLE nosuch.t", "'nosuch' not found in keyspaces"),
        ("DESCRIBE KEYSPACE nosuch", "'nosuch' not found in keyspaces"),
        ("DESCRIBE nosuch", "'nosuch' not found in keyspaces"),
        ("DESCRIBE ks.nosuch", "'nosuch' not found in keyspace 'ks'"),
        ("DESCRIBE TABLE t", "No keyspace specified and no current keyspace"),
        ("DESCRIBE FUNCTION ks.f", "Function 'f' not found in keyspace 'ks'"),
        ("DESCRIBE MATERIALIZED VIEW ks.v", "Materialized view 'v' not found in keyspace 'ks'"),
    ] {
        let refusal = refused(&anywhere, cql).await;
        assert!(refusal.contains(message), "{cql}: {refusal}");
    }
}
