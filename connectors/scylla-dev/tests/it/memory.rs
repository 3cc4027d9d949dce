//! The memory budget: when it is spent writes are refused, reads and deletions go on, and room comes back.
use std::time::Duration;

use scylla::client::session::Session;
use weir_scylla_dev::ScyllaDev;

use super::{connect, refused, run, texts};

const BUDGET: usize = 512 * 1024;
const LIMIT: Duration = Duration::from_secs(60);
const INSERT: &str = "INSERT INTO ks.t (p, v) VALUES (?, ?)";

async fn small(columns: &str) -> (ScyllaDev, Session) {
    let server = ScyllaDev::builder().memory(BUDGET).start().await.unwrap();
    let session = connect(&server).await;
    run(
        &session,
        "CREATE KEYSPACE ks WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}",
    )
    .await;
    run(&session, &format!("CREATE TABLE ks.t (p int PRIMARY KEY, v text) {columns}")).await;
    (server, session)
}

/// Writes until the server refuses; how many rows went in, and the refusal.
async fn fill(session: &Session) -> (i32, String) {
    let insert = session.prepare(INSERT).await.unwrap();
    let value = "x".repeat(1000);
    for p in 0..10_000 {
        if let Err(error) = session.execute_unpaged(&insert, (p, &value)).await {
            return (p, error.to_string());
        }
    }
    panic!("10 MB went into {BUDGET} bytes");
}

/// Tries until there is room; the sweep runs on its own.
async fn room_again(session: &Session) {
    let tries = async {
        while session.query_unpaged(INSERT, (1, "again")).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(LIMIT, tries).await.expect("there is room again");
}

#[tokio::test]
async fn a_spent_budget_refuses_writes_until_something_is_deleted() {
    let (server, session) = small("").await;
    let (written, refusal) = fill(&session).await;
    assert!((200..520).contains(&written), "about a kilobyte a row: {written}");
    assert!(refusal.contains("overloaded") && refusal.contains("of the 524288 that"), "{refusal}");
    assert!(server.memory_used() >= BUDGET);
    assert_eq!(texts(&session, "SELECT count(*) FROM ks.t").await, [written.to_string()], "reads go on");
    for cql in [
        "UPDATE ks.t SET v = 'x' WHERE p = 0",
        "INSERT INTO ks.t (p) VALUES (-1) IF NOT EXISTS",
        "BEGIN BATCH DELETE FROM ks.t WHERE p = 1; INSERT INTO ks.t (p) VALUES (-1); APPLY BATCH",
    ] {
        assert!(refused(&session, cql).await.contains("memory budget"), "{cql}");
    }
    for p in 0..20 {
        run(&session, &format!("DELETE FROM ks.t WHERE p = {p}")).await;
    }
    run(&session, "INSERT INTO ks.t (p, v) VALUES (1, 'again')").await;
    fill(&session).await;
    run(&session, "TRUNCATE ks.t").await;
    assert!(server.memory_used() < BUDGET / 2, "{}", server.memory_used());
    fill(&session).await;
    run(&session, "DROP TABLE ks.t").await;
    assert!(server.memory_used() < BUDGET / 2, "{}", server.memory_used());
}

#[tokio::test]
async fn expired_rows_make_room() {
    let (server, session) = small("WITH default_time_to_live = 60 AND gc_grace_seconds = 0").await;
    fill(&session).await;
    server.faults().advance_clock(Duration::from_secs(61));
    room_again(&session).await;
}

#[tokio::test]
async fn old_log_rows_make_room() {
    let (server, session) = small("WITH cdc = {'enabled': true, 'ttl': 60}").await;
    let (written, _) = fill(&session).await;
    for p in 0..written {
        // Deletions are logged, so that even they are refused in the end.
        if let Err(error) = session.query_unpaged("DELETE FROM ks.t WHERE p = ?", (p,)).await {
            assert!(error.to_string().contains("memory budget"), "{error}");
            break;
        }
    }
    server.faults().advance_clock(Duration::from_secs(61));
    room_again(&session).await;
}
