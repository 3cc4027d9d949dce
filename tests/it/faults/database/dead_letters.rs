//! The database of the dead letters away, while broker and outbox work.

use std::time::{Duration, Instant};

use uuid::Uuid;
use weir_redpanda_dev::RedpandaDev;
use weir_scylla_dev::error::ErrorCode;
use weir_scylla_dev::faults::Failure;

use super::{LIMIT, row};
use crate::harness::{Arrived, Database, Outcome, Weir, read_topic, task, until};

/// One of these in every twenty events is too large for the topic.
const POISON: i64 = 10;
const EVENTS: i64 = 20;

fn pipeline(
    folder: &std::path::Path,
    outbox: &Database,
    place: &Database,
    broker: &RedpandaDev,
) -> std::path::PathBuf {
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
  connector: scylla-dead-letter
  config: {{ session: {{ contact_points: ['{}'], request_timeout: 1s }}, keyspace: orders_ks, table: dead_letter_queue }}
  circuit_breaker: {{ open_for: 500ms, open_for_max: 1s }}
",
        outbox.address(),
        broker.address(),
        place.address(),
    );
    std::fs::write(&file, text).unwrap();
    file
}

fn write_poison(outbox: &Database) -> Uuid {
    let order = Uuid::new_v4();
    outbox.write(order, 1..POISON);
    outbox.write_large(order, POISON, 20_000);
    outbox.write(order, POISON + 1..=EVENTS);
    order
}

#[test]
fn the_dead_letters_database_away() {
    let (outbox, mut place) = (Database::embedded(), Database::embedded());
    let (folder, broker) = (tempfile::tempdir().unwrap(), RedpandaDev::start("127.0.0.1:0").unwrap());
    let file = pipeline(folder.path(), &outbox, &place, &broker);
    let mut weir = Weir::run(&[&file], &folder.path().join("data"), &[]);
    let http = weir.http();
    let state = |wanted: &str| {
        until(wanted, LIMIT, || (task(http, "topic")["state"] == wanted).then_some(()));
        task(http, "topic")["reason"].as_str().unwrap_or_default().to_owned()
    };
    state("RUNNING");
    let mut written = 0;
    let mut orders = Vec::new();
    let mut whole = |order: Uuid| {
        orders.push(order);
        written += usize::try_from(EVENTS - 1).unwrap();
        let read = read_topic(&broker.address().to_string(), "small", LIMIT, |read| {
            Arrived::of(read).distinct() >= written
        });
        let arrived = Arrived::of(&read);
        for order in &orders {
            let good: Vec<i64> = (1..=EVENTS).filter(|number| *number != POISON).collect();
            assert_eq!(arrived.by_key[&order.to_string()], good, "all the good, in order");
        }
        assert_eq!(arrived.repeats, 0);
    };

    let consistency = 0x06;
    let late = ErrorCode::WriteTimeout { consistency, received: 0, block_for: 2, write_type: "SIMPLE" };
    place.server().faults().fail(Failure::of("INSERT INTO", late));
    let first = write_poison(&outbox);
    let reason = state("PARKED");
    assert!(reason.starts_with("dead-letter sink scylla-dead-letter: "), "{reason}");
    assert!(reason.contains("did not answer in time"), "{reason}");
    place.server().faults().heal();
    whole(first);
    state("RUNNING");

    place.stop();
    let second = write_poison(&outbox);
    let reason = state("PARKED");
    assert!(reason.starts_with("dead-letter sink scylla-dead-letter: "), "{reason}");
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(task(http, "topic")["state"], "PARKED");
    place.restart();
    let since = Instant::now();
    whole(second);
    state("RUNNING");
    let recovered = since.elapsed();
    assert!(recovered < Duration::from_secs(8), "{recovered:?}");
    assert_eq!(place.count("SELECT count(*) FROM orders_ks.dead_letter_queue"), 2, "each dead letter once");
    row(
        "the database of the dead-letter table gone, or its writes timing out, while broker and outbox work",
        "PARKED with `dead-letter sink scylla-dead-letter` and its error; nothing is skipped, each dead letter is kept once",
        "0",
        "8 s",
    )
    .survived(&Outcome { lost: 0, repeated: 0, recovered: Some(recovered) });
}
