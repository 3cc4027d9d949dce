//! `generator → redpanda`: the task loop against a broker, without a database.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::harness::{Arrived, Broker, Weir, count, figure, get, read_topic, real_kafka, until};

fn pipeline(folder: &Path, brokers: &str, records: usize, rate: usize) -> PathBuf {
    let file = folder.join("generator.yaml");
    let text = format!(
        "name: numbers
source:
  connector: generator
  config: {{ records: {records}, rate: {rate}, keys: 50, size: 200B }}
sinks:
  - name: topic
    connector: redpanda
    config: {{ brokers: '{brokers}', topic: numbers }}
    batch: {{ records: 100, bytes: 1MiB }}
    circuit_breaker: {{ open_for: 1s }}
"
    );
    std::fs::write(&file, text).unwrap();
    file
}

#[test]
fn a_finite_source_arrives_whole_and_the_process_ends_by_itself() {
    let (folder, broker) = (tempfile::tempdir().unwrap(), Broker::start());
    let file = pipeline(folder.path(), &broker.address(), 5000, 1_000_000);
    let (status, log) = Weir::run(&[&file], &folder.path().join("data"), &[]).wait(Duration::from_secs(60));
    assert!(status.success(), "{log}");
    let limit = Duration::from_secs(30);
    let read = read_topic(&broker.address(), "numbers", limit, |read| read.len() >= 5000);
    let arrived = Arrived::of(&read);
    arrived.assert_whole(0);
    assert_eq!((arrived.distinct(), arrived.repeats), (5000, 0));
}

#[test]
fn kill_9_five_times_loses_nothing() {
    let broker = Broker::start();
    killed_five_times(&broker);
}

#[test]
fn kill_9_five_times_loses_nothing_on_real_kafka() {
    let data = tempfile::tempdir().unwrap();
    let Some(broker) = real_kafka(data.path()) else { return };
    killed_five_times(&broker);
}

fn killed_five_times(broker: &Broker) {
    const RECORDS: usize = 20_000;
    const RATE: usize = 8_000;
    let folder = tempfile::tempdir().unwrap();
    let file = pipeline(folder.path(), &broker.address(), RECORDS, RATE);
    let data = folder.path().join("data");
    for kill in 1..=5 {
        let weir = Weir::run(&[&file], &data, &[]);
        let point = RECORDS * kill / 6 + rand::random_range(0..RECORDS / 12);
        until("records arrive", Duration::from_secs(60), || {
            (count(&broker.address(), "numbers") >= point).then_some(())
        });
        println!("killed at {point} records");
        weir.kill();
    }
    let (status, log) = Weir::run(&[&file], &data, &[]).wait(Duration::from_secs(60));
    assert!(status.success(), "{log}");
    let limit = Duration::from_secs(30);
    let read =
        read_topic(&broker.address(), "numbers", limit, |read| Arrived::of(read).distinct() >= RECORDS);
    let arrived = Arrived::of(&read);
    arrived.assert_whole(0);
    assert_eq!(arrived.distinct(), RECORDS);
    // Each kill repeats at most what was in flight, 4 writes for each of 8 lanes, and what one interval brought.
    let bound = 5 * (4 * 8 * 100 + RATE / 5);
    assert!(arrived.repeats <= bound, "{} repeats, {bound} allowed", arrived.repeats);
    println!("{} repeats, {bound} allowed", arrived.repeats);
}

#[test]
fn health_and_metrics_tell_the_truth_while_the_broker_is_away() {
    let folder = tempfile::tempdir().unwrap();
    let broker = weir_redpanda_dev::RedpandaDev::start("127.0.0.1:0").unwrap();
    let file = pipeline(folder.path(), &broker.address().to_string(), 100_000, 500);
    broker.pause().unwrap();
    let mut weir = Weir::run(&[&file], &folder.path().join("data"), &[]);
    let http = weir.http();
    let state = || {
        let health: serde_json::Value = serde_json::from_str(&get(http, "/health").1).unwrap();
        let task = health["tasks"][0].clone();
        (task["state"].as_str().unwrap().to_owned(), task["reason"].as_str().unwrap_or_default().to_owned())
    };
    let limit = Duration::from_secs(60);
    let reason =
        until("the task is PARKED", limit, || Some(state()).filter(|(state, _)| state == "PARKED")).1;
    assert!(reason.contains(&broker.address().to_string()), "{reason}");
    assert_eq!((get(http, "/live").0, get(http, "/health").0), (200, 200));
    broker.resume().unwrap();
    until("the task is RUNNING", limit, || (state().0 == "RUNNING").then_some(()));
    until("records arrive", limit, || (count(&broker.address().to_string(), "numbers") > 500).then_some(()));
    assert_eq!(get(http, "/ready").0, 200);
    let counted = figure(http, "weir_sink_records_written_total").unwrap();
    assert!(counted > 500.0, "{counted}");
    weir.signal("TERM");
    let (status, log) = weir.wait(limit);
    assert_eq!(status.code(), Some(0), "{log}");
}
