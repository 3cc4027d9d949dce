//! The rows that a table holds come first, each, and then its log, whatever happens in between.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;
use uuid::Uuid;
use weir_scylla_dev::error::ErrorCode;
use weir_scylla_dev::{Failure, ScyllaDev};
use weir_sdk::metrics::names;
use weir_sdk::{Checkpoint, ErrorKind, Record, Room};

use crate::place::{Place, ROOM, Tail, header, insert, payload};

const KEYS: u128 = 30;
const ROWS: i64 = 8;
const ALL: usize = KEYS as usize * ROWS as usize;

fn config(place: &Place) -> Value {
    let mut config = place.config();
    config["snapshot"] = "initial".into();
    config["session"]["page_size"] = 3.into();
    config
}

/// A table whose rows were written when it had no log, and which has one by now.
async fn older_than_its_log(tablets: &str) -> Place {
    let place = Place::on(ScyllaDev::builder().shards(2), tablets).await;
    place.run("ALTER TABLE shop.outbox WITH cdc = {'enabled': false}").await;
    place.write_many(KEYS, 0..ROWS).await;
    place.run("ALTER TABLE shop.outbox WITH cdc = {'enabled': true}").await;
    place
}

fn of_table(record: &Record) -> bool {
    header(record, "weir.snapshot").is_some()
}

fn under_way(tail: &Tail) -> bool {
    tail.checkpoint.iter().any(|(name, _)| name.as_str() == "snapshot")
}

/// The events that came, once each.
fn events(records: &[Record]) -> BTreeSet<String> {
    records.iter().map(|record| header(record, "event_id").unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_comes_first_and_then_its_log() {
    for tablets in ["{'enabled': false}", "{'initial': 4}"] {
        let place = older_than_its_log(tablets).await;
        let mut tail = place.open_with(config(&place), Checkpoint::default()).await.unwrap();
        place.write_many(KEYS, ROWS..ROWS + 1).await;
        tail.until(ALL + KEYS as usize).await;
        while under_way(&tail) {
            tail.poll(ROOM).await.unwrap();
        }
        let from_table = tail.seen.iter().take_while(|record| of_table(record)).count();
        assert_eq!(from_table, tail.seen.iter().filter(|record| of_table(record)).count());
        assert_eq!(tail.counted(names::SNAPSHOT_ROWS.0), from_table as u64);
        assert!((tail.metrics.gauge(names::SNAPSHOT_DONE).get() - 1.0).abs() < 1e-9);
        // What is written while the table is read may come from both.
        tail.until(from_table + KEYS as usize).await;
        assert_eq!(events(&tail.seen).len(), ALL + KEYS as usize);
        let log: Vec<_> =
            tail.seen[from_table..].iter().map(|record| header(record, "sequence_number")).collect();
        assert_eq!(log, vec![Some(ROWS.to_string()); KEYS as usize]);
        for numbers in tail.by_key().values() {
            assert_eq!(numbers[..ROWS as usize], (0..ROWS).collect::<Vec<_>>(), "{numbers:?}");
        }
        let checkpoint = tail.checkpoint.clone();
        drop(tail);
        place.write(1, 99).await;
        let mut tail = place.open_with(config(&place), checkpoint).await.unwrap();
        tail.until(1).await;
        assert_eq!(tail.payloads(), [payload(1, 99)], "it is taken once");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_has_the_time_of_its_writing_and_the_headers_that_the_log_gives_it() {
    let place = Place::start().await;
    let id = Uuid::from_u128(9);
    place
        .run(&format!(
            "INSERT INTO shop.outbox (aggregate_id, sequence_number, event_id) VALUES ({id}, 1, {id})"
        ))
        .await;
    place
        .run(&format!(
            "INSERT INTO shop.outbox (aggregate_id, sequence_number, published) VALUES ({id}, 2, true)"
        ))
        .await;
    let written = place.server.clock().micros() + 1;
    place.run(&insert(7, 3, &format!("USING TIMESTAMP {written}"))).await;
    let mut tail = place.open_with(config(&place), Checkpoint::default()).await.unwrap();
    tail.until(1).await;
    while under_way(&tail) {
        tail.poll(ROOM).await.unwrap();
    }
    assert_eq!(tail.counted(names::SNAPSHOT_INCOMPLETE.0), 2, "rows that are no events");
    let record = &tail.seen[0];
    assert_eq!(
        (record.timestamp.0, header(record, "source_time_us").unwrap()),
        (written, written.to_string())
    );
    let names: Vec<_> = record.headers.iter().map(|header| header.name.as_str()).collect();
    let wanted = [
        "event_id",
        "event_type",
        "event_version",
        "aggregate_id",
        "sequence_number",
        "source_position",
        "source_time_us",
        "weir.snapshot",
    ];
    assert_eq!(names, wanted);
    assert_eq!(record.value.as_deref(), Some(payload(7, 3).as_bytes()));
    let position = header(record, "source_position").unwrap();
    assert!(
        position.starts_with("snapshot:") && position.ends_with(&header(record, "event_id").unwrap()),
        "{position}"
    );
    assert_eq!(record.origin.offset.as_bytes(), position.as_bytes());
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_again_and_again_it_goes_on_and_misses_nothing() {
    let place = older_than_its_log("{'initial': 8}").await;
    let mut seen: Vec<Record> = Vec::new();
    let (mut checkpoint, mut lives) = (Checkpoint::default(), 0);
    let begun = Instant::now();
    loop {
        let mut tail = place.open_with(config(&place), checkpoint).await.unwrap();
        let mut polls = 0;
        while polls < 3 && under_way(&tail) {
            tail.poll(Room { records: 10, ..ROOM }).await.unwrap();
            polls += 1;
        }
        // What a poll has read and not given out is read again.
        tokio::time::timeout(Duration::from_millis(2), tail.poll(ROOM)).await.ok();
        lives += 1;
        checkpoint = tail.checkpoint.clone();
        seen.append(&mut tail.seen);
        if !under_way(&tail) {
            break;
        }
        // It is on its way to the next one that a row is written.
        place.write(1_000 + lives, 0).await;
        assert!(begun.elapsed() < Duration::from_secs(60), "{} came in {lives} lives", seen.len());
    }
    assert!(lives > 5, "{lives} lives");
    let mut tail = place.open_with(config(&place), checkpoint).await.unwrap();
    tail.caught_up(&place.server).await;
    seen.append(&mut tail.seen);
    assert_eq!(events(&seen).len(), ALL + lives as usize - 1);
    let table = seen.iter().filter(|record| of_table(record)).count();
    // At each end the partitions that were open, of four ranges, come once more.
    let repeats = 4 * ROWS as usize * lives as usize;
    assert!(table <= ALL + lives as usize + repeats, "{table} rows of {ALL}");
    for key in 0..KEYS {
        let mut last = -1;
        let numbers = seen
            .iter()
            .filter(|record| record.key.as_deref() == Some(Uuid::from_u128(key).to_string().as_bytes()));
        let numbers: Vec<i64> =
            numbers.map(|record| header(record, "sequence_number").unwrap().parse().unwrap()).collect();
        for number in &numbers {
            assert!(*number <= last + 1, "a number is left out: {numbers:?}");
            last = last.max(*number);
        }
        assert_eq!(last, ROWS - 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_long_after_it_began_is_left_to_the_log() {
    let place = older_than_its_log("{'enabled': false}").await;
    let mut tail = place.open_with(config(&place), Checkpoint::default()).await.unwrap();
    place.server.faults().advance_clock(Duration::from_secs(200));
    place.write_many(KEYS, ROWS..ROWS + 3).await;
    tail.until(ALL + 3 * KEYS as usize).await;
    let table = tail.seen.iter().filter(|record| of_table(record)).count();
    assert_eq!((table, tail.seen.len()), (ALL, ALL + 3 * KEYS as usize), "nothing comes from both");
    assert_eq!(events(&tail.seen).len(), tail.seen.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_fails_now_and_then_delays_it_only() {
    let place = older_than_its_log("{'initial': 4}").await;
    let mut tail = place.open_with(config(&place), Checkpoint::default()).await.unwrap();
    place.server.faults().fail(Failure::of("writetime(", ErrorCode::Overloaded).share(0.3));
    let (mut errors, begun) = (0, Instant::now());
    while under_way(&tail) {
        if let Err(error) = tail.poll(ROOM).await {
            assert_eq!(error.kind(), ErrorKind::Throttled, "{error:?}");
            errors += 1;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{} came", tail.seen.len());
    }
    assert!(errors > 3, "{errors} errors");
    assert_eq!(
        (events(&tail.seen).len(), tail.seen.len()),
        (ALL, ALL),
        "a page that failed is asked for again"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_outlives_the_log_is_taken_anew_and_loses_nothing() {
    let place = older_than_its_log("{'enabled': false}").await;
    place.run("ALTER TABLE shop.outbox WITH cdc = {'enabled': true, 'ttl': 1800}").await;
    let mut tail = place.open_with(config(&place), Checkpoint::default()).await.unwrap();
    while tail.seen.is_empty() {
        tail.poll(Room { records: 5, ..ROOM }).await.unwrap();
    }
    let checkpoint = tail.checkpoint.clone();
    drop(tail);
    // It lies in ranges that were read, and its log row will have expired.
    place.write_many(KEYS, ROWS..ROWS + 1).await;
    place.server.faults().advance_clock(Duration::from_secs(2_000));
    let mut tail = place.open_with(config(&place), checkpoint.clone()).await.unwrap();
    let error = tail.poll(ROOM).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Gap);
    assert!(error.operator_advice().unwrap().contains("--accept-gap"), "{error:?}");
    drop(tail);
    let mut tail = place.open_over_gap_with(config(&place), checkpoint).await;
    tail.until(ALL + KEYS as usize).await;
    assert_eq!(events(&tail.seen).len(), ALL + KEYS as usize);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_table_is_read_at_once_and_one_of_keys_only_is_refused() {
    let place = Place::start().await;
    let mut tail = place.open_with(config(&place), Checkpoint::default()).await.unwrap();
    while under_way(&tail) {
        assert_eq!(tail.poll(ROOM).await.unwrap(), 0);
    }
    place.run("CREATE TABLE shop.keys (id uuid, kind text, body text, PRIMARY KEY (id, kind, body)) WITH cdc = {'enabled': true}").await;
    let mut config = config(&place);
    config["table"] = "keys".into();
    config["columns"] =
        json!({"aggregate_id": "id", "event_id": "id", "event_type": "kind", "payload": "body"});
    let error = place.open_with(config, Checkpoint::default()).await.err().expect("it is refused");
    assert_eq!(error.problems()[0].pointer, "/snapshot");
}

#[tokio::test(flavor = "multi_thread")]
async fn debeziums_outbox_table_needs_no_names_of_columns() {
    let place = Place::start().await;
    place.run("CREATE TABLE shop.outboxevent (id uuid PRIMARY KEY, aggregatetype text, aggregateid text, type text, payload text) WITH cdc = {'enabled': true}").await;
    let id = Uuid::from_u128(5);
    place.run(&format!("INSERT INTO shop.outboxevent (id, aggregatetype, aggregateid, type, payload) VALUES ({id}, 'order', '42', 'OrderCreated', '{{}}')")).await;
    let mut config = place.config();
    config["table"] = "outboxevent".into();
    config["preset"] = "debezium".into();
    for snapshot in ["none", "initial"] {
        config["snapshot"] = snapshot.into();
        let mut tail = place.open_with(config.clone(), Checkpoint::default()).await.unwrap();
        tail.until(1).await;
        let record = &tail.seen[0];
        assert_eq!((record.key.as_deref(), record.value.as_deref()), (Some(&b"42"[..]), Some(&b"{}"[..])));
        let headers = ["event_id", "event_type", "aggregate_type", "aggregate_id"]
            .map(|name| header(record, name).unwrap());
        assert_eq!(headers, [&id.to_string(), "OrderCreated", "order", "42"]);
    }
    config["table"] = "outbox".into();
    let error = place.open_with(config, Checkpoint::default()).await.err().expect("it is refused");
    let pointers: Vec<_> = error.problems().iter().map(|problem| problem.pointer.as_str()).collect();
    assert_eq!(pointers, ["/columns/event_type", "/columns/aggregate_id", "/columns/aggregate_type"]);
}
