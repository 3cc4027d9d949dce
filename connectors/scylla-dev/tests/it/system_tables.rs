//! What drivers learn about the node and the schema, and that they are told of changes.
use tokio::io::AsyncWriteExt;

use super::bad_clients::{STARTUP, frame, open};
use super::{refused, run, start, texts};

#[tokio::test]
async fn the_driver_knows_tables_columns_and_types() {
    let (_server, session) = start().await;
    run(&session, "CREATE TYPE place (street text, number int)").await;
    run(
        &session,
        "CREATE TABLE t (a int, b text, c timeuuid, d map<text, frozen<list<int>>>, e frozen<place>, f int static, \
         PRIMARY KEY ((a, b), c)) WITH CLUSTERING ORDER BY (c DESC) AND cdc = {'enabled': true}",
    )
    .await;
    session.refresh_metadata().await.unwrap();
    let state = session.get_cluster_state();
    let keyspace = state.get_keyspace("ks").unwrap();
    let table = &keyspace.tables["t"];
    assert_eq!(table.partition_key, ["a", "b"]);
    assert_eq!(table.clustering_key, ["c"]);
    assert_eq!(table.columns.len(), 6);
    assert!(keyspace.user_defined_types.contains_key("place"));
    let log = &keyspace.tables["t_scylla_cdc_log"];
    assert_eq!(log.partitioner.as_deref(), Some("com.scylladb.dht.CDCPartitioner"));
    let columns = texts(
        &session,
        "SELECT column_name, kind, position, type, clustering_order FROM system_schema.columns \
         WHERE keyspace_name = 'ks' AND table_name = 't'",
    )
    .await;
    let expected = [
        "'a' 'partition_key' 0 'int' 'none'",
        "'b' 'partition_key' 1 'text' 'none'",
        "'c' 'clustering' 0 'timeuuid' 'desc'",
        "'d' 'regular' -1 'map<text, frozen<list<int>>>' 'none'",
        "'e' 'regular' -1 'frozen<place>' 'none'",
        "'f' 'static' -1 'int' 'none'",
    ];
    assert_eq!(columns, expected);
}

#[tokio::test]
async fn registered_connections_hear_of_schema_changes() {
    let (server, session) = start().await;
    let mut stream = open(&server).await;
    stream.write_all(&STARTUP).await.unwrap();
    assert_eq!(frame(&mut stream).await.0, 0x02);
    stream.write_all(b"\x04\x00\x00\x02\x0b\x00\x00\x00\x11\x00\x01\x00\x0dSCHEMA_CHANGE").await.unwrap();
    assert_eq!(frame(&mut stream).await.0, 0x02);
    run(&session, "CREATE TABLE fresh (p int PRIMARY KEY) WITH cdc = {'enabled': true}").await;
    for table in ["\x05fresh", "\x14fresh_scylla_cdc_log"] {
        let (opcode, body) = frame(&mut stream).await;
        assert_eq!(opcode, 0x0C);
        let expected = format!("\0\x0dSCHEMA_CHANGE\0\x07CREATED\0\x05TABLE\0\x02ks\0{table}");
        assert_eq!(body, expected.as_bytes());
    }
}

#[tokio::test]
async fn the_schema_version_changes_with_the_schema_only() {
    let (_server, session) = start().await;
    let version = "SELECT schema_version FROM system.local WHERE key = 'local'";
    let before = texts(&session, version).await;
    run(&session, "SELECT * FROM system.peers").await;
    assert_eq!(texts(&session, version).await, before);
    run(&session, "CREATE TABLE t (p int PRIMARY KEY)").await;
    assert_ne!(texts(&session, version).await, before);
}

#[tokio::test]
async fn system_tables_are_read_only_and_absent_ones_unknown() {
    let (_server, session) = start().await;
    assert!(refused(&session, "SELECT * FROM system.peers_v2").await.contains("unconfigured table"));
    refused(&session, "DROP KEYSPACE system").await;
    refused(&session, "INSERT INTO system.peers (peer) VALUES ('127.0.0.2')").await;
    refused(&session, "CREATE TABLE system.t (p int PRIMARY KEY)").await;
    assert_eq!(texts(&session, "SELECT COUNT(*) FROM system.peers").await, ["0"]);
}
