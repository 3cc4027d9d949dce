//! The bad day of a real Kafka: killed, and started again on its data, under a running pipeline.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::harness::{Arrived, Fault, Kafka, Outcome, Weir, count, figure, read_topic, task, until, written};

const LIMIT: Duration = Duration::from_secs(60);
const RECORDS: usize = 12_000;
const RATE: usize = 2000;

/// Every limit is 1, and what would be given up would go to the dead letters: an outage uses up none of them.
fn pipeline(folder: &Path, brokers: &str) -> PathBuf {
    let (file, dead) = (folder.join("killed.yaml"), folder.join("dead.jsonl"));
    let text = format!(
        "name: killed
source:
  connector: generator
  config: {{ records: {RECORDS}, rate: {RATE}, keys: 20, size: 1KB }}
sinks:
  - name: topic
    connector: redpanda
    config: {{ brokers: '{brokers}', topic: killed }}
    retry: {{ attempts: 1, on_exhausted: dead_letter }}
    circuit_breaker: {{ failures: 1, successes: 1, open_for: 1s, open_for_max: 2s }}
    lanes: 4
    batch: {{ records: 100 }}
dead_letter:
  connector: file
  config: {{ path: '{}' }}
  limit: {{ failures: 1, window: 1m }}
",
        dead.display()
    );
    std::fs::write(&file, text).unwrap();
    file
}

#[test]
fn a_kafka_killed_and_started_again_parks_the_task_and_loses_nothing() {
    let (folder, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let Some(mut kafka) = Kafka::start(data.path(), "") else { return };
    let address = kafka.address().to_owned();
    let file = pipeline(folder.path(), &address);
    let mut weir = Weir::run(&[&file], &folder.path().join("data"), &[]);
    let http = weir.http();
    until("records arrive", LIMIT, || (count(&address, "killed") >= RATE).then_some(()));

    kafka.kill();
    let killed = Instant::now();
    until("the task is PARKED", LIMIT, || (task(http, "topic")["state"] == "PARKED").then_some(()));
    let (opened, shown) = (killed.elapsed(), task(http, "topic"));
    assert_ne!(shown["circuit_breaker"], "closed", "{shown}");
    assert!(shown["reason"].as_str().unwrap().contains(&address), "{shown}");
    let before = weir.memory();
    kafka.start_again();
    until("Kafka serves again", LIMIT, || (count(&address, "killed") >= RATE).then_some(()));
    let (back, down) = (Instant::now(), killed.elapsed());
    let before_back = written(http, "topic");
    until("records flow again", LIMIT, || (written(http, "topic") > before_back).then_some(()));
    let recovered = back.elapsed();
    assert!(recovered < Duration::from_secs(2 + 2), "{recovered:?} beyond a wait of at most 2 s");
    until("the task is RUNNING", LIMIT, || (task(http, "topic")["state"] == "RUNNING").then_some(()));
    let after = weir.memory();
    println!(
        "down for {down:?}, PARKED after {opened:?}, back after {recovered:?}, {before} then {after} MiB"
    );
    assert!(after < before + 32 && after < 160, "{before} MiB became {after}");
    assert_eq!(figure(http, "dlq_messages_total"), Some(0.0));

    let (status, log) = weir.wait(LIMIT);
    assert!(status.success() && !log.contains(r#""to":"RESTARTING""#), "{log}");
    assert_eq!(std::fs::metadata(folder.path().join("dead.jsonl")).map_or(0, |file| file.len()), 0);
    let read = read_topic(&address, "killed", LIMIT, |read| Arrived::of(read).distinct() >= RECORDS);
    let arrived = Arrived::of(&read);
    arrived.assert_whole(0);
    assert_eq!(arrived.distinct(), RECORDS);
    assert!(arrived.repeats <= 4 * 100, "{} repeats", arrived.repeats);
    let killed = Fault {
        place: "The broker",
        fault: "Apache Kafka ended with `kill -9` and started again on its data",
        seen: "PARKED with its address, breaker open, no dead letter though every limit is 1, memory within 32 MiB",
        repeated_at_most: "400: one write of 100 for each of 4 lanes",
        recovers_within: "2 s beyond the breaker's wait, once it serves",
    };
    killed.survived(&Outcome { lost: 0, repeated: arrived.repeats, recovered: Some(recovered) });
}
