//! A far side that does not fit: FAILED with what repairs it, few attempts, and on by itself once it is repaired.

use std::time::{Duration, Instant};

use scylla::client::session_builder::SessionBuilder;
use weir_redpanda_dev::RedpandaDev;
use weir_scylla_dev::ScyllaDev;

use super::schema::advised;
use super::{LIMIT, pipeline, row};
use crate::harness::{Database, Outcome, Weir, get, read_topic, task, until};

/// A running host whose source is refused.
fn refused(
    database: &Database,
    name: &str,
    source: &str,
) -> (Weir, tempfile::TempDir, std::net::SocketAddr, RedpandaDev) {
    let (folder, broker) = (tempfile::tempdir().unwrap(), RedpandaDev::start("127.0.0.1:0").unwrap());
    let session = format!("session: {{ contact_points: ['{}'], request_timeout: 1s }}", database.address());
    let file = pipeline(&folder, name, "outbox", &format!("{{ {session}, {source} }}"), &broker);
    let mut weir = Weir::run(&[&file], &folder.path().join("data"), &[]);
    let http = weir.http();
    (weir, folder, http, broker)
}

fn failed(http: std::net::SocketAddr, about: &str) -> String {
    until("FAILED", LIMIT, || {
        let task = task(http, "topic");
        let reason = task["reason"].as_str().unwrap_or_default().to_owned();
        (task["state"] == "FAILED" && reason.contains(about)).then_some(reason)
    })
}

#[test]
fn a_keyspace_and_a_table_that_are_not_there() {
    let database = Database::embedded();
    let (_weir, _folder, http, broker) = refused(&database, "nowhere", "keyspace: shop, table: outbox");
    let reason = failed(http, "there is no keyspace `shop`");
    assert_eq!(get(http, "/health").0, 503);
    let faults = database.server().faults();
    let (made, run) = (faults.connections(), faults.statements());
    std::thread::sleep(Duration::from_secs(5));
    let (made, run) = (faults.connections() - made, faults.statements() - run);
    assert!(made <= 3 * 3 && run <= 3 * 30, "{made} connections and {run} statements in 5 s");
    database.execute(&advised(&reason));
    let reason = failed(http, "there is no table");
    database.execute(&advised(&reason));
    let since = Instant::now();
    let order = uuid::Uuid::new_v4();
    database.execute(&format!("INSERT INTO shop.outbox (aggregate_id, sequence_number, event_id, event_type, payload) VALUES ({order}, 1, {order}, 'x', 'y')"));
    until("RUNNING", LIMIT, || (task(http, "topic")["state"] == "RUNNING").then_some(()));
    read_topic(&broker.address().to_string(), "outbox", LIMIT, |read| read.len() == 1);
    let recovered = since.elapsed();
    assert!(recovered < Duration::from_secs(6), "{recovered:?}");
    row(
        "keyspace or table that are not there",
        "FAILED with the `CREATE` that repairs it, as it stands; `/health` 503; one attempt every `retry_failed`",
        "0",
        "6 s with `retry_failed: 2s`, by itself",
    )
    .survived(&Outcome { lost: 0, repeated: 0, recovered: Some(recovered) });
}

#[test]
fn a_table_without_cdc_and_without_its_columns() {
    let database = Database::embedded();
    database.execute("CREATE TABLE orders_ks.plain (aggregate_id uuid, sequence_number bigint, payload text, PRIMARY KEY ((aggregate_id), sequence_number))");
    let (_weir, _folder, http, broker) = refused(&database, "plain", "keyspace: orders_ks, table: plain");
    let reason = failed(http, "event_type");
    assert!(reason.contains("event_id") && reason.contains("'enabled': true"), "all at once: {reason}");
    let mut rest = reason.as_str();
    while let Some(at) = rest.find("ALTER TABLE") {
        database.execute(&advised(&rest[at..]));
        rest = &rest[at + 1..];
    }
    let since = Instant::now();
    let order = uuid::Uuid::new_v4();
    database.execute(&format!("INSERT INTO orders_ks.plain (aggregate_id, sequence_number, event_id, event_type, payload) VALUES ({order}, 1, {order}, 'x', 'y')"));
    read_topic(&broker.address().to_string(), "outbox", LIMIT, |read| read.len() == 1);
    let recovered = since.elapsed();
    assert!(recovered < Duration::from_secs(6), "{recovered:?}");
    row(
        "a table without CDC and without the columns of an event",
        "FAILED with every `ALTER TABLE` that repairs it, as they stand, at once",
        "0",
        "6 s with `retry_failed: 2s`, by itself",
    )
    .survived(&Outcome { lost: 0, repeated: 0, recovered: Some(recovered) });
}

#[test]
fn a_password_that_is_refused() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let old = runtime.block_on(ScyllaDev::builder().password("weir", "old").start()).unwrap();
    let address = old.address();
    let (folder, broker) = (tempfile::tempdir().unwrap(), RedpandaDev::start("127.0.0.1:0").unwrap());
    let source = format!(
        "{{ session: {{ contact_points: ['{address}'], username: weir, password: '${{env:PASSWORD}}' }}, keyspace: orders_ks, table: outbox_messages }}"
    );
    let file = pipeline(&folder, "password", "outbox", &source, &broker);
    let mut weir = Weir::run(&[&file], &folder.path().join("data"), &[("PASSWORD", "the-new-one")]);
    let http = weir.http();
    let reason = failed(http, "session.password");
    let (faults, made) = (old.faults(), old.faults().connections());
    std::thread::sleep(Duration::from_secs(5));
    let made = faults.connections() - made;
    assert!(made <= 3 * 3, "{made} connections in 5 s: an account would be locked");
    drop(old);
    let new = until("the port is free", LIMIT, || {
        runtime.block_on(ScyllaDev::builder().listen(address).password("weir", "the-new-one").start()).ok()
    });
    let order = uuid::Uuid::new_v4();
    runtime.block_on(async {
        let session = SessionBuilder::new().known_node(new.address().to_string()).user("weir", "the-new-one");
        let session = session.build().await.unwrap();
        weir_orders::lay_schema(&session).await.unwrap();
        let insert = format!("INSERT INTO orders_ks.outbox_messages (aggregate_id, sequence_number, event_id, event_type, payload) VALUES ({order}, 1, {order}, 'x', 'y')");
        session.query_unpaged(insert, ()).await.unwrap();
    });
    let since = Instant::now();
    read_topic(&broker.address().to_string(), "outbox", LIMIT, |read| read.len() == 1);
    let recovered = since.elapsed();
    assert!(recovered < Duration::from_secs(6), "{recovered:?}");
    weir.signal("TERM");
    let (_, log) = weir.wait(LIMIT);
    assert!(!log.contains("the-new-one") && !reason.contains("the-new-one"), "no secret is shown: {log}");
    row(
        "a wrong password",
        "FAILED with the advice, the password nowhere; one attempt every `retry_failed`",
        "0",
        "6 s with `retry_failed: 2s`, by itself",
    )
    .survived(&Outcome { lost: 0, repeated: 0, recovered: Some(recovered) });
}
