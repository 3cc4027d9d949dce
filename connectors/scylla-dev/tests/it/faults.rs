//! Faults on purpose: each does what it says, and can be taken back.
use std::time::Duration;

use futures::StreamExt;

use weir_scylla_dev::ScyllaDev;
use weir_scylla_dev::error::ErrorCode;
use weir_scylla_dev::faults::Failure;

use super::{refused, run, start, texts};

const LIMIT: Duration = Duration::from_secs(60);

/// Tries until the statement works again; drivers reconnect in their own time.
async fn works_again(session: &scylla::client::session::Session, cql: &str) {
    let tries = async {
        while session.query_unpaged(cql, ()).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LIMIT, tries).await.expect("the driver finds the server again");
}

#[tokio::test]
async fn stopped_and_started_again_it_has_its_data() {
    let (mut server, session) = start().await;
    run(&session, "CREATE TABLE t (p int PRIMARY KEY)").await;
    run(&session, "INSERT INTO t (p) VALUES (7)").await;
    server.stop().await;
    assert!(tokio::net::TcpStream::connect(server.address()).await.is_err(), "the port is closed");
    session.query_unpaged("SELECT * FROM ks.t", ()).await.unwrap_err();
    server.restart().await.unwrap();
    works_again(&session, "SELECT * FROM ks.t").await;
    assert_eq!(texts(&session, "SELECT * FROM ks.t").await, ["7"]);
}

#[tokio::test]
async fn cut_connections_are_made_anew() {
    let (server, session) = start().await;
    run(&session, "CREATE TABLE t (p int PRIMARY KEY)").await;
    server.faults().cut_connections();
    works_again(&session, "SELECT * FROM ks.t").await;
}

#[tokio::test]
async fn refused_connections_are_taken_again() {
    let server = ScyllaDev::builder().start().await.unwrap();
    server.faults().refuse_connections();
    let builder = scylla::client::session_builder::SessionBuilder::new().known_node_addr(server.address());
    builder.build().await.unwrap_err();
    server.faults().accept_connections();
    super::connect(&server).await;
}

#[tokio::test]
async fn statements_fail_as_often_as_asked() {
    let (server, session) = start().await;
    run(&session, "CREATE TABLE t (p int PRIMARY KEY)").await;
    server.faults().fail(Failure::of("FROM t", ErrorCode::Invalid).times(2));
    for _ in 0..2 {
        assert!(refused(&session, "SELECT * FROM t").await.contains("failed on purpose"));
    }
    run(&session, "SELECT * FROM t").await;
    server.faults().fail(Failure::of("INSERT", ErrorCode::Invalid).one_in(3));
    let mut failed = 0;
    for p in 0..9 {
        let insert = format!("INSERT INTO t (p) VALUES ({p})");
        failed += i32::from(session.query_unpaged(insert, ()).await.is_err());
    }
    assert_eq!(failed, 3);
    server.faults().heal();
    for p in 0..9 {
        run(&session, &format!("INSERT INTO t (p) VALUES ({p})")).await;
    }
}

#[tokio::test]
async fn frozen_it_answers_once_thawed() {
    let (server, session) = start().await;
    server.faults().freeze();
    let mut answer = Box::pin(session.query_unpaged("SELECT key FROM system.local", ()));
    let early = tokio::time::timeout(Duration::from_millis(100), &mut answer).await;
    assert!(early.is_err(), "no answer while frozen");
    server.faults().thaw();
    tokio::time::timeout(LIMIT, answer).await.expect("an answer").unwrap();
}

#[tokio::test]
async fn answers_come_later_by_the_delay() {
    let (server, session) = start().await;
    let delay = Duration::from_millis(150);
    server.faults().delay_answers(delay);
    let before = tokio::time::Instant::now();
    run(&session, "SELECT key FROM system.local").await;
    assert!(before.elapsed() >= delay);
    server.faults().delay_answers(Duration::ZERO);
}

#[tokio::test]
async fn log_rows_become_visible_late_with_their_own_time() {
    let (server, session) = start().await;
    run(&session, "CREATE TABLE t (p int PRIMARY KEY) WITH cdc = {'enabled': true}").await;
    server.faults().delay_log_rows("ks", "t", 1, Duration::from_secs(70));
    let written = server.clock().micros();
    run(&session, "INSERT INTO t (p) VALUES (1)").await;
    run(&session, "INSERT INTO t (p) VALUES (2)").await;
    let mut rows = texts(&session, "SELECT p FROM t").await;
    rows.sort();
    assert_eq!(rows, ["1", "2"], "the table itself has both");
    assert_eq!(
        texts(&session, "SELECT p FROM t_scylla_cdc_log").await,
        ["2"],
        "only the first was held back"
    );
    server.faults().advance_clock(Duration::from_secs(69));
    assert_eq!(texts(&session, "SELECT p FROM t_scylla_cdc_log").await, ["2"]);
    server.faults().advance_clock(Duration::from_secs(1));
    let late = super::rows(&session, "SELECT p, \"cdc$time\" FROM t_scylla_cdc_log").await;
    let late = late.iter().find(|row| row.columns[0].as_ref().unwrap().as_int() == Some(1)).unwrap();
    let time = late.columns[1].as_ref().unwrap().as_timeuuid().unwrap();
    let (seconds, nanos) = uuid::Uuid::from(time).get_timestamp().unwrap().to_unix();
    let micros = i64::try_from(seconds).unwrap() * 1_000_000 + i64::from(nanos) / 1000;
    assert!((written..written + 60_000_000).contains(&micros), "cdc$time is the time of the write");
}

#[tokio::test]
async fn a_clock_moved_back_is_followed() {
    let (server, session) = start().await;
    run(&session, "CREATE TABLE t (p int PRIMARY KEY, v int) WITH cdc = {'enabled': true}").await;
    server.faults().advance_clock(Duration::from_secs(7200));
    run(&session, "INSERT INTO t (p, v) VALUES (1, 1)").await;
    server.faults().rewind_clock(Duration::from_secs(3600));
    run(&session, "INSERT INTO t (p, v) VALUES (1, 2)").await;
    assert_eq!(texts(&session, "SELECT v FROM t").await, ["1"], "the write with the later timestamp");
    assert_eq!(texts(&session, "SELECT v FROM t_scylla_cdc_log").await, ["2", "1"]);
}

#[tokio::test]
async fn what_is_asked_is_counted_by_statement() {
    let (server, session) = start().await;
    run(&session, "CREATE TABLE t (p int PRIMARY KEY, v int)").await;
    for p in 0..3 {
        run(&session, &format!("INSERT INTO t (p) VALUES ({p})")).await;
    }
    let mut narrow = session.prepare("SELECT p FROM t WHERE p IN ?").await.unwrap();
    let wide = session.prepare("SELECT p, v FROM t WHERE p = ?").await.unwrap();
    let before = server.faults().partitions_read();
    session.execute_unpaged(&wide, (2,)).await.unwrap();
    session.execute_unpaged(&narrow, (vec![0, 1, 7],)).await.unwrap();
    narrow.set_page_size(1);
    let rows = session.execute_iter(narrow, (vec![0, 1],)).await.unwrap().rows_stream::<(i32,)>().unwrap();
    assert_eq!(rows.count().await, 2);
    let (all, narrow) = (server.asked("SELECT p"), server.asked("SELECT p FROM"));
    assert_eq!((all.statements - narrow.statements, all.partitions - narrow.partitions), (1, 1));
    assert!(narrow.statements >= 3, "each page is one: {narrow:?}");
    assert!(narrow.partitions >= 5, "those that are not there too: {narrow:?}");
    assert_eq!(server.faults().partitions_read() - before, all.partitions);
}
