//! The Rust driver on the orders schema: DDL, logged batches, conditions, TTL, paging, time.
use futures::TryStreamExt;
use scylla::statement::batch::{Batch, BatchType};
use scylla::value::{CqlTimestamp, MaybeUnset};
use uuid::Uuid;

use super::{connect, refused, run, start, texts};

const EVENT_STORE: &str = "CREATE TABLE event_store (aggregate_id uuid, sequence_number bigint, event_id uuid, \
    event_type text, event_version int, aggregate_type text, event_data text, causation_id uuid, \
    correlation_id uuid, created_at timestamp, PRIMARY KEY ((aggregate_id), sequence_number))";
const OUTBOX: &str = "CREATE TABLE outbox_messages (id uuid, aggregate_id uuid, sequence_number bigint, \
    event_id uuid, event_type text, event_version int, payload text, correlation_id uuid, causation_id uuid, \
    created_at timestamp, PRIMARY KEY ((aggregate_id), sequence_number)) \
    WITH cdc = {'enabled': true, 'preimage': false, 'postimage': false, 'ttl': 86400} \
    AND default_time_to_live = 86400";

#[tokio::test]
async fn a_logged_batch_writes_tables_and_log() {
    let (_server, session) = start().await;
    run(&session, EVENT_STORE).await;
    run(&session, OUTBOX).await;
    let mut batch = Batch::new(BatchType::Logged);
    batch.append_statement(
        session
            .prepare("INSERT INTO event_store (aggregate_id, sequence_number, event_type) VALUES (?, ?, ?)")
            .await
            .unwrap(),
    );
    batch.append_statement(
        session
            .prepare(
                "INSERT INTO outbox_messages (id, aggregate_id, sequence_number, event_type, payload, created_at) \
                 VALUES (?, ?, ?, ?, ?, ?)",
            )
            .await
            .unwrap(),
    );
    let (order, id) = (Uuid::new_v4(), Uuid::new_v4());
    for sequence in 1..=3_i64 {
        let event = (order, sequence, "OrderCreated");
        let message = (id, order, sequence, "OrderCreated", "{}", CqlTimestamp(1_700_000_000_000));
        session.batch(&batch, (event, message)).await.unwrap();
    }
    let events = texts(&session, "SELECT sequence_number, event_type, event_data FROM event_store").await;
    assert_eq!(events, ["1 'OrderCreated' -", "2 'OrderCreated' -", "3 'OrderCreated' -"]);
    let log = texts(
        &session,
        "SELECT sequence_number, event_type, payload, \"cdc$operation\", \"cdc$ttl\", \"cdc$end_of_batch\", \
         \"cdc$batch_seq_no\" FROM outbox_messages_scylla_cdc_log",
    )
    .await;
    let expected = |sequence| format!("{sequence} 'OrderCreated' '{{}}' 2 86400 true 0");
    assert_eq!(log, [expected(1), expected(2), expected(3)]);
}

#[tokio::test]
async fn conditions_decide_and_show_the_old_row() {
    let (_server, session) = start().await;
    run(&session, "CREATE TABLE aggregate_sequence (id int PRIMARY KEY, current_sequence bigint, note text)")
        .await;
    let insert = "INSERT INTO aggregate_sequence (id, current_sequence) VALUES (1, 1) IF NOT EXISTS";
    assert_eq!(texts(&session, insert).await, ["true - - -"]);
    assert_eq!(texts(&session, insert).await, ["false 1 1 -"]);
    let update = "UPDATE aggregate_sequence SET current_sequence = 2 WHERE id = 1 IF current_sequence = 1";
    assert_eq!(texts(&session, update).await, ["true 1"]);
    assert_eq!(texts(&session, update).await, ["false 2"]);
}

#[tokio::test]
async fn pages_add_up_and_survive_a_change_of_rows() {
    let (_server, session) = start().await;
    run(&session, "CREATE TABLE t (p int, c int, v int, PRIMARY KEY (p, c))").await;
    let insert = session.prepare("INSERT INTO t (p, c, v) VALUES (?, ?, ?)").await.unwrap();
    for p in 0..7 {
        for c in 0..30 {
            session.execute_unpaged(&insert, (p, c, p * 100 + c)).await.unwrap();
        }
    }
    for statement in ["SELECT p, c, v FROM t", "SELECT p, c, v FROM t WHERE p IN (0, 1, 2, 3, 4, 5, 6)"] {
        let mut paged = session.prepare(statement).await.unwrap();
        paged.set_page_size(11);
        let pager = session.execute_iter(paged, ()).await.unwrap();
        let seen: Vec<(i32, i32, i32)> =
            pager.rows_stream::<(i32, i32, i32)>().unwrap().try_collect().await.unwrap();
        assert_eq!(seen.len(), 210, "{statement}");
        assert!(seen.iter().all(|(p, c, v)| *v == p * 100 + c));
        let whole = session.query_unpaged(statement, ()).await.unwrap().into_rows_result().unwrap();
        let whole: Vec<(i32, i32, i32)> = whole.rows().unwrap().collect::<Result<_, _>>().unwrap();
        assert_eq!(seen, whole, "{statement}");
    }
}

#[tokio::test]
async fn rows_expire_by_the_clock_and_unset_leaves_values() {
    let (server, session) = start().await;
    run(&session, "CREATE TABLE t (p int PRIMARY KEY, v int, w int)").await;
    run(&session, "INSERT INTO t (p, v, w) VALUES (1, 1, 1) USING TTL 100").await;
    let update = session.prepare("UPDATE t SET v = ?, w = ? WHERE p = ?").await.unwrap();
    let unset = MaybeUnset::<i32>::Unset;
    session.execute_unpaged(&update, (unset, Some(2), 1)).await.unwrap();
    assert_eq!(texts(&session, "SELECT v, ttl(v), w, ttl(w) FROM t").await, ["1 100 2 -"]);
    server.faults().advance_clock(std::time::Duration::from_secs(99));
    assert_eq!(texts(&session, "SELECT v, ttl(v), w FROM t").await, ["1 1 2"]);
    server.faults().advance_clock(std::time::Duration::from_secs(1));
    assert_eq!(texts(&session, "SELECT v, w FROM t").await, ["- 2"]);
}

#[tokio::test]
async fn the_newest_timestamp_wins_and_is_told() {
    let (_server, session) = start().await;
    run(&session, "CREATE TABLE t (p int PRIMARY KEY, v text)").await;
    run(&session, "INSERT INTO t (p, v) VALUES (1, 'new') USING TIMESTAMP 2000").await;
    run(&session, "INSERT INTO t (p, v) VALUES (1, 'old') USING TIMESTAMP 1000").await;
    assert_eq!(texts(&session, "SELECT v, writetime(v) FROM t").await, ["'new' 2000"]);
    run(&session, "DELETE FROM t USING TIMESTAMP 1500 WHERE p = 1").await;
    assert_eq!(texts(&session, "SELECT v FROM t").await, ["'new'"]);
    run(&session, "DELETE FROM t USING TIMESTAMP 2000 WHERE p = 1").await;
    assert_eq!(texts(&session, "SELECT v FROM t").await, Vec::<String>::new());
}

#[tokio::test]
async fn a_statement_prepared_before_an_alter_is_prepared_again() {
    let (_server, session) = start().await;
    run(&session, "CREATE TABLE t (p int PRIMARY KEY, v int)").await;
    let select = session.prepare("SELECT * FROM t").await.unwrap();
    run(&session, "INSERT INTO t (p, v) VALUES (1, 2)").await;
    run(&session, "ALTER TABLE t ADD w int").await;
    run(&session, "UPDATE t SET w = 3 WHERE p = 1").await;
    let rows = session.execute_unpaged(&select, ()).await.unwrap().into_rows_result().unwrap();
    assert_eq!(rows.single_row::<(i32, i32, i32)>().unwrap(), (1, 2, 3));
}

#[tokio::test]
async fn what_does_not_exist_is_refused_by_name() {
    let (server, session) = start().await;
    assert!(refused(&session, "SELECT * FROM nowhere").await.contains("unconfigured table nowhere"));
    assert!(refused(&session, "SELEC * FROM t").await.contains("line 1"));
    run(&session, "CREATE TABLE t (p int PRIMARY KEY)").await;
    assert!(refused(&session, "CREATE TABLE t (p int PRIMARY KEY)").await.contains("already existing table"));
    let other = connect(&server).await;
    assert!(refused(&other, "SELECT * FROM t").await.contains("keyspace"));
    // The session goes on after each.
    assert_eq!(texts(&session, "SELECT * FROM t").await, Vec::<String>::new());
}

#[tokio::test]
async fn compressed_frames_carry_the_same() {
    let (server, _session) = start().await;
    let session = scylla::client::session_builder::SessionBuilder::new()
        .known_node_addr(server.address())
        .compression(Some(scylla::client::Compression::Lz4))
        .build()
        .await
        .unwrap();
    run(&session, "CREATE TABLE ks.t (p int PRIMARY KEY, v text)").await;
    let long = "abc".repeat(10_000);
    session.query_unpaged("INSERT INTO ks.t (p, v) VALUES (1, ?)", (&long,)).await.unwrap();
    assert_eq!(texts(&session, "SELECT v FROM ks.t").await, [format!("'{long}'")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conditions_never_lose_an_update() {
    let (_server, session) = start().await;
    run(&session, "CREATE TABLE counters (id int PRIMARY KEY, n int)").await;
    run(&session, "INSERT INTO counters (id, n) VALUES (1, 0)").await;
    let session = std::sync::Arc::new(session);
    let add = session.prepare("UPDATE counters SET n = ? WHERE id = 1 IF n = ?").await.unwrap();
    let tasks = (0..8).map(|_| {
        let (session, add) = (std::sync::Arc::clone(&session), add.clone());
        tokio::spawn(async move {
            let (mut done, mut n) = (0, 0);
            while done < 20 {
                let result =
                    session.execute_unpaged(&add, (n + 1, n)).await.unwrap().into_rows_result().unwrap();
                let (applied, old): (bool, i32) = result.single_row().unwrap();
                done += i32::from(applied);
                n = if applied { n + 1 } else { old };
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    assert_eq!(texts(&session, "SELECT n FROM counters").await, ["160"]);
}
