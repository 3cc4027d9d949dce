//! Poison among good records: it is kept with its reason, and the good flow on, also while its place is away.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use uuid::Uuid;
use weir_redpanda_dev::RedpandaDev;

use crate::harness::{Arrived, Database, Weir, count, get, read_topic, until};

const LIMIT: Duration = Duration::from_secs(60);

/// From the outbox to a topic that takes records of 4 KiB, with dead letters to a topic of `place`.
fn pipeline(folder: &Path, database: &Database, broker: &RedpandaDev, place: &RedpandaDev) -> PathBuf {
    broker.create_topic_with("small", 1, &[("max.message.bytes", "4096")]).unwrap();
    let file = folder.join("poison.yaml");
    let text = format!(
        "name: poison
source:
  connector: scylla-outbox
  config: {{ session: {{ contact_points: ['{}'] }}, keyspace: orders_ks, table: outbox_messages }}
sinks:
  - name: topic
    connector: redpanda
    config: {{ brokers: '{}', topic: small, compression: none }}
dead_letter:
  connector: redpanda
  config: {{ brokers: '{}', topic: dead }}
  circuit_breaker: {{ open_for: 1s }}
",
        database.address(),
        broker.address(),
        place.address(),
    );
    std::fs::write(&file, text).unwrap();
    file
}

/// Twenty events of one order, the tenth too large for the topic.
fn write_poison(database: &Database) -> Uuid {
    let order = Uuid::new_v4();
    database.write(order, 1..=9);
    database.write_large(order, 10, 20_000);
    database.write(order, 11..=20);
    order
}

fn assert_kept(broker: &RedpandaDev, place: &RedpandaDev, order: Uuid) {
    let good =
        read_topic(&broker.address().to_string(), "small", LIMIT, |read| Arrived::of(read).distinct() >= 19);
    let arrived = Arrived::of(&good);
    let wanted: Vec<i64> = (1..=20).filter(|number| *number != 10).collect();
    assert_eq!(arrived.by_key[&order.to_string()], wanted, "all the good, in order");
    let dead = read_topic(&place.address().to_string(), "dead", LIMIT, |read| !read.is_empty());
    let headers = &dead[0].headers;
    assert_eq!((dead.len(), dead[0].value.len(), headers["sequence_number"].as_str()), (1, 20_000, "10"));
    assert_eq!((headers["weir.dlq.stage"].as_str(), headers["weir.dlq.kind"].as_str()), ("sink", "record"));
    assert!(headers["__connect.errors.exception.message"].contains("large"), "{headers:?}");
}

#[test]
fn poison_among_good_records_is_kept_with_its_reason() {
    let (database, folder) = (Database::start(), tempfile::tempdir().unwrap());
    let broker = RedpandaDev::start("127.0.0.1:0").unwrap();
    let file = pipeline(folder.path(), &database, &broker, &broker);
    let order = write_poison(&database);
    let _weir = Weir::run(&[&file], &folder.path().join("data"), &[]);
    assert_kept(&broker, &broker, order);
}

#[test]
fn with_its_place_away_too_the_task_waits_and_skips_nothing() {
    let (database, folder) = (Database::start(), tempfile::tempdir().unwrap());
    let broker = RedpandaDev::start("127.0.0.1:0").unwrap();
    let place = RedpandaDev::start("127.0.0.1:0").unwrap();
    let file = pipeline(folder.path(), &database, &broker, &place);
    let mut weir = Weir::run(&[&file], &folder.path().join("data"), &[]);
    let http = weir.http();
    let task = || serde_json::from_str::<Value>(&get(http, "/health").1).unwrap()["tasks"][0].clone();
    until("the task is RUNNING", LIMIT, || (task()["state"] == "RUNNING").then_some(()));
    place.pause().unwrap();
    let order = write_poison(&database);
    until("the task is PARKED", LIMIT, || (task()["state"] == "PARKED").then_some(()));
    let reason = task()["reason"].as_str().unwrap().to_owned();
    assert!(reason.starts_with("dead-letter sink"), "{reason}");
    place.resume().unwrap();
    assert_kept(&broker, &place, order);
    until("the task is RUNNING", LIMIT, || (task()["state"] == "RUNNING").then_some(()));
    assert_eq!(count(&place.address().to_string(), "dead"), 1);
}
