//! All that there is: the rows of the outbox and all of its log, or those of a table that forgets nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use weir_sdk::metrics::Metrics;
use weir_sdk::{Checkpoint, Context, Error, Record, Room, SourceFactory, Start, TaskId, To};

use crate::place::{Place, ROOM, Tail, event_id, header, payload};
use weir_scylla::hub::Hub;

const KEYS: u128 = 20;

fn source() -> std::sync::Arc<dyn SourceFactory> {
    weir_scylla::sources(&Hub::default()).into_iter().find(|source| source.name() == "scylla-outbox").unwrap()
}

async fn seek(config: &Value, to: To) -> Result<Start, Error> {
    let task = TaskId { pipeline: "orders".into(), sink: "table".into() };
    source().seek(config.clone(), to, Context::new(task, Metrics::default())).await
}

async fn begin(place: &Place, config: &Value) -> Tail {
    let start = seek(config, To::Everything).await.unwrap();
    place.open_with(config.clone(), start.checkpoint).await.unwrap()
}

fn events(records: &[Record]) -> BTreeSet<String> {
    records.iter().map(|record| header(record, "event_id").unwrap()).collect()
}

/// A table of the events for ever, with a name of its own for the payload.
async fn event_store(place: &Place) -> Value {
    place
        .run(
            "CREATE TABLE shop.event_store (aggregate_id uuid, sequence_number bigint, event_id uuid, event_type text, \
             event_version int, event_data text, PRIMARY KEY ((aggregate_id), sequence_number))",
        )
        .await;
    let mut config = place.config();
    config["session"]["page_size"] = 3.into();
    config["snapshot_from"] = json!({"table": "event_store", "columns": {"payload": "event_data"}});
    config
}

/// Writes an event as the event store does: both rows at one time.
async fn append(place: &Place, aggregate: u128, number: i64) {
    let time = place.server.clock().micros();
    let (id, event, text) =
        (uuid::Uuid::from_u128(aggregate), event_id(aggregate, number), payload(aggregate, number));
    let insert = |table: &str, payload: &str| {
        format!(
            "INSERT INTO shop.{table} (aggregate_id, sequence_number, event_id, event_type, event_version, {payload}) \
             VALUES ({id}, {number}, {event}, 'OrderCreated', 1, '{text}') USING TIMESTAMP {time};"
        )
    };
    let rows = [insert("event_store", "event_data"), insert("outbox", "payload")].concat();
    place.run(&format!("BEGIN BATCH {rows} APPLY BATCH")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_the_table_has_and_what_only_its_log_has_both_come() {
    let place = Place::start().await;
    place.run("ALTER TABLE shop.outbox WITH cdc = {'enabled': false}").await;
    place.write_many(KEYS, 0..2).await;
    place.run("ALTER TABLE shop.outbox WITH cdc = {'enabled': true}").await;
    place.write_many(KEYS, 2..4).await;
    // Longer ago than rows come late, and deleted as housekeeping does.
    place.server.faults().advance_clock(Duration::from_secs(1_000));
    for key in 0..KEYS {
        let id = uuid::Uuid::from_u128(key);
        place
            .run(&format!("DELETE FROM shop.outbox WHERE aggregate_id = {id} AND sequence_number = 3"))
            .await;
    }
    let mut tail = begin(&place, &place.config()).await;
    place.write_many(KEYS, 4..5).await;
    tail.caught_up(&place.server).await;
    assert_eq!(events(&tail.seen).len(), 5 * KEYS as usize);
    // The first two of each are older than the log, the fourth is no longer in the table, and the fifth came later.
    let from_table = tail.seen.iter().filter(|record| header(record, "weir.snapshot").is_some()).count();
    assert!((3 * KEYS as usize..=4 * KEYS as usize).contains(&from_table), "{from_table}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_forgets_nothing_is_read_in_the_place_of_the_outbox() {
    let place = Place::start().await;
    let config = event_store(&place).await;
    for key in 0..KEYS {
        append(&place, key, 0).await;
    }
    let mut log = place.open(Checkpoint::default()).await;
    log.until(KEYS as usize).await;
    place.run("TRUNCATE shop.outbox").await;
    place.server.faults().advance_clock(Duration::from_secs(1_000));
    let mut tail = begin(&place, &config).await;
    let position = source().position(&tail.checkpoint).unwrap();
    assert!(position.words.starts_with("reading the table's rows"), "{}", position.words);
    for key in 0..KEYS {
        append(&place, key, 1).await;
    }
    tail.caught_up(&place.server).await;
    assert_eq!(events(&tail.seen).len(), 2 * KEYS as usize);
    let of_before = |tail: &Tail| -> Vec<_> {
        let before = tail.seen.iter().filter(|record| header(record, "sequence_number").unwrap() == "0");
        let mut before: Vec<_> = before.cloned().collect();
        before.sort_by(|a, b| a.key.cmp(&b.key));
        before
    };
    let (table, log) = (of_before(&tail), of_before(&log));
    assert_eq!(table.len(), KEYS as usize, "what is that old comes from the table alone");
    for (table, log) in table.iter().zip(log) {
        assert_eq!((&table.key, &table.value, table.timestamp), (&log.key, &log.value, log.timestamp));
        let same =
            ["event_id", "event_type", "event_version", "aggregate_id", "sequence_number", "source_time_us"];
        for name in same {
            assert_eq!(header(table, name), header(&log, name), "{name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_off_it_goes_on_where_it_was() {
    let place = Place::start().await;
    let config = event_store(&place).await;
    for key in 0..KEYS {
        append(&place, key, 0).await;
    }
    place.server.faults().advance_clock(Duration::from_secs(1_000));
    let mut tail = begin(&place, &config).await;
    while tail.seen.len() < KEYS as usize / 2 {
        tail.poll(Room { records: 4, ..ROOM }).await.unwrap();
    }
    let (checkpoint, first) = (tail.checkpoint.clone(), events(&tail.seen));
    drop(tail);
    let error =
        place.open_with(place.config(), checkpoint.clone()).await.err().expect("it is of another table");
    assert_eq!(error.to_string(), "the snapshot that is under way is of another table");
    let mut tail = place.open_with(config, checkpoint).await.unwrap();
    tail.caught_up(&place.server).await;
    let second = events(&tail.seen);
    assert_eq!(first.union(&second).count(), KEYS as usize);
    // At most the partitions that were open come again, one of each range that is read at the time.
    assert!(first.intersection(&second).count() <= 4, "{first:?} {second:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_first_is_told_with_its_place() {
    let place = Place::start().await;
    let config = event_store(&place).await;
    let pointers = async |change: &dyn Fn(&mut Value)| {
        let mut config = config.clone();
        change(&mut config);
        let error = seek(&config, To::Everything).await.unwrap_err();
        error.problems().iter().map(|problem| problem.pointer.clone()).collect::<Vec<_>>()
    };
    let absent = pointers(&|config| config["snapshot_from"]["table"] = "events".into()).await;
    assert_eq!(absent, ["/snapshot_from/table"]);
    let other = pointers(&|config| config["snapshot_from"]["columns"] = json!({"event_type": "kind"})).await;
    assert_eq!(other, ["/snapshot_from/columns/event_type", "/snapshot_from/columns/payload"]);
    let same = pointers(&|config| config["snapshot_from"]["table"] = "outbox".into()).await;
    assert_eq!(same, ["/snapshot_from/table"]);
    let ordered = pointers(&|config| config["order_by_key"] = true.into()).await;
    assert_eq!(ordered, ["/order_by_key"]);
}
