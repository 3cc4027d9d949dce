//! Poison among good records: it is kept with its reason, and the good flow on, also while its place is away.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::json;
use uuid::Uuid;
use weir_redpanda_dev::RedpandaDev;

use crate::harness::{Arrived, Database, Fault, Outcome, Weir, count, figure, read_topic, task, until};

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
  circuit_breaker: {{ open_for: 1s, open_for_max: 1s }}
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
    let mut weir = Weir::run(&[&file], &folder.path().join("data"), &[]);
    let http = weir.http();
    weir.wait_log("that a whole message set was refused", |line| {
        let message = line["fields"]["message"].as_str()?;
        message.starts_with("the broker refused a message set for one of its records").then_some(())
    });
    assert_kept(&broker, &broker, order);
    until("it is counted", LIMIT, || (figure(http, "dlq_messages_total")? == 1.0).then_some(()));
    assert_eq!(task(http, "topic")["state"], "RUNNING");
    let large = Fault {
        place: "Sinks and records",
        fault: "a record larger than the topic takes; the broker refuses the whole message set that it is in",
        seen: "RUNNING, `dlq_messages_total` 1; that record in the dead letters with its reason, the others arrive",
        repeated_at_most: "0",
        recovers_within: "nothing stops",
    };
    large.survived(&Outcome { lost: 0, repeated: 0, recovered: None });
}

#[test]
fn what_a_transform_refuses_is_kept_as_it_was_read() {
    const RECORDS: usize = 200;
    let (broker, folder) = (RedpandaDev::start("127.0.0.1:0").unwrap(), tempfile::tempdir().unwrap());
    let (brokers, path) = (broker.address().to_string(), |name: &str| folder.path().join(name));
    let is_poison = |n: usize| n % 50 == 17;
    let line = |n: usize| {
        let value = if is_poison(n) { format!("{{\"no\": {n}") } else { json!({ "no": n }).to_string() };
        json!({"key": format!("k{}", n % 4), "value": value, "timestamp_us": 0, "headers": [["sequence_number", n.to_string()]]})
    };
    let lines: Vec<_> = (0..RECORDS).map(|n| line(n).to_string() + "\n").collect();
    std::fs::write(path("in.jsonl"), lines.concat()).unwrap();
    let text = json!({
        "name": "refused",
        "source": {"connector": "file", "config": {"path": path("in.jsonl"), "until": "end"}},
        "transforms": [{"transform": "extract", "config": {"headers": {"no": "$.no"}}}],
        "sinks": [{"name": "topic", "connector": "redpanda", "config": {"brokers": brokers, "topic": "good"}}],
        "dead_letter": {"connector": "redpanda", "config": {"brokers": brokers, "topic": "refused"}},
    });
    std::fs::write(path("refused.yaml"), text.to_string()).unwrap();
    let (status, log) = Weir::run(&[&path("refused.yaml")], &path("data"), &[]).wait(LIMIT);
    assert!(status.success() && !log.contains("{\\\"no\\\""), "no payload in the log: {log}");

    let poison: Vec<_> = (0..RECORDS).filter(|n| is_poison(*n)).collect();
    let good = read_topic(&brokers, "good", LIMIT, |read| read.len() >= RECORDS - poison.len());
    for key in 0..4 {
        let of_key = good.iter().filter(|record| record.key == format!("k{key}"));
        let numbers: Vec<usize> = of_key.map(|record| record.headers["no"].parse().unwrap()).collect();
        let wanted: Vec<_> = (0..RECORDS).filter(|n| n % 4 == key && !is_poison(*n)).collect();
        assert_eq!(numbers, wanted, "k{key}: lost or out of order");
    }
    let mut dead = read_topic(&brokers, "refused", LIMIT, |read| read.len() >= poison.len());
    dead.sort_by_key(|record| record.headers["sequence_number"].parse::<usize>().unwrap());
    assert_eq!(
        dead.iter().map(|record| record.value.clone()).collect::<Vec<_>>(),
        poison.iter().map(|n| format!("{{\"no\": {n}")).collect::<Vec<_>>()
    );
    for record in &dead {
        let facts = ["weir.dlq.stage", "weir.dlq.refused_by", "weir.dlq.kind"]
            .map(|name| record.headers[name].as_str());
        assert_eq!(facts, ["transform", "extract", "record"]);
    }
    let refused = Fault {
        place: "Sinks and records",
        fault: "bytes that a transform refuses: JSON cut off in the middle",
        seen: "those records in the dead letters as they were read, with transform and reason; none of them in the log",
        repeated_at_most: "0",
        recovers_within: "nothing stops",
    };
    refused.survived(&Outcome { lost: 0, repeated: 0, recovered: None });
}

#[test]
fn with_its_place_away_too_the_task_waits_and_skips_nothing() {
    let (database, folder) = (Database::start(), tempfile::tempdir().unwrap());
    let broker = RedpandaDev::start("127.0.0.1:0").unwrap();
    let place = RedpandaDev::start("127.0.0.1:0").unwrap();
    let file = pipeline(folder.path(), &database, &broker, &place);
    let mut weir = Weir::run(&[&file], &folder.path().join("data"), &[]);
    let http = weir.http();
    let is = |state: &str| (task(http, "topic")["state"] == state).then_some(());
    until("the task is RUNNING", LIMIT, || is("RUNNING"));
    place.pause().unwrap();
    let order = write_poison(&database);
    until("the task is PARKED", LIMIT, || is("PARKED"));
    let reason = task(http, "topic")["reason"].as_str().unwrap().to_owned();
    assert!(reason.starts_with("dead-letter sink"), "{reason}");
    place.resume().unwrap();
    let back = Instant::now();
    until("the task is RUNNING", LIMIT, || is("RUNNING"));
    let recovered = back.elapsed();
    assert!(recovered < Duration::from_secs(1 + 2), "{recovered:?} beyond a wait of 1 s");
    assert_kept(&broker, &place, order);
    assert_eq!(count(&place.address().to_string(), "dead"), 1);
    let away = Fault {
        place: "Sinks and records",
        fault: "the dead-letter sink is away when a record has to go there",
        seen: "PARKED, the reason begins with `dead-letter sink`; nothing is skipped",
        repeated_at_most: "0",
        recovers_within: "2 s beyond the breaker's wait",
    };
    away.survived(&Outcome { lost: 0, repeated: 0, recovered: Some(recovered) });
}
