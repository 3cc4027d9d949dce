//! The bad days of a broker: gone for a while, and slow; what a user sees meanwhile, and that nothing is lost.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;
use weir_redpanda_dev::RedpandaDev;

use crate::harness::{Arrived, Fault, Outcome, Weir, count, figure, get, read_topic, until};

const LIMIT: Duration = Duration::from_secs(60);
const RATE: usize = 500;

fn pipeline(folder: &Path, brokers: SocketAddr, records: usize) -> PathBuf {
    let file = folder.join("outages.yaml");
    // Attempts of 1 and `stop`: whatever the limits are, an outage uses up none of them.
    let text = format!(
        "name: outages
source:
  connector: generator
  config: {{ records: {records}, rate: {RATE}, keys: 20, size: 100B }}
sinks:
  - name: topic
    connector: redpanda
    config: {{ brokers: '{brokers}', topic: outages }}
    retry: {{ attempts: 1, on_exhausted: stop }}
    circuit_breaker: {{ open_for: 2s, open_for_max: 4s }}
    lanes: 4
    batch: {{ records: 100 }}
"
    );
    std::fs::write(&file, text).unwrap();
    file
}

/// The only task, as `/health` shows it.
fn task(http: SocketAddr) -> Value {
    serde_json::from_str::<Value>(&get(http, "/health").1).unwrap()["tasks"][0].clone()
}

fn transitions(http: SocketAddr, from: &str, to: &str) -> u64 {
    let text = get(http, "/metrics").1;
    let labels = format!("from=\"{from}\",to=\"{to}\"}} ");
    let counted = |line: &&str| line.starts_with("weir_circuit_breaker_transitions_total{");
    let line = text.lines().filter(counted).find_map(|line| line.split_once(&labels));
    line.map_or(0, |(_, count)| count.parse().unwrap())
}

#[test]
fn a_broker_gone_for_20_s_parks_the_task_and_loses_nothing() {
    const RECORDS: usize = 15_000;
    let (folder, broker) = (tempfile::tempdir().unwrap(), RedpandaDev::start("127.0.0.1:0").unwrap());
    let address = broker.address().to_string();
    let file = pipeline(folder.path(), broker.address(), RECORDS);
    let mut weir = Weir::run(&[&file], &folder.path().join("data"), &[]);
    let http = weir.http();
    until("records arrive", LIMIT, || (count(&address, "outages") >= RATE).then_some(()));
    assert_eq!(
        (task(http)["circuit_breaker"].as_str(), figure(http, "circuit_breaker_state")),
        (Some("closed"), Some(0.0))
    );

    broker.pause().unwrap();
    let gone = Instant::now();
    until("the breaker opens", LIMIT, || (figure(http, "circuit_breaker_state")? == 2.0).then_some(()));
    let (opened, shown) = (gone.elapsed(), task(http));
    assert_eq!(shown["state"], "PARKED", "{shown}");
    assert!(shown["reason"].as_str().unwrap().contains(&address), "{shown}");
    while gone.elapsed() < Duration::from_secs(20) {
        let (state, breaker) = (task(http), figure(http, "circuit_breaker_state").unwrap());
        assert!(state["state"] == "PARKED" && breaker > 0.0, "{state}, breaker {breaker}");
        assert_ne!(state["circuit_breaker"], "closed", "{state}");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(figure(http, "weir_task_parked_seconds").unwrap() > 10.0);
    let (written, in_flight) = (count_written(http), figure(http, "weir_task_in_flight_records").unwrap());

    broker.resume().unwrap();
    let back = Instant::now();
    until("records flow again", LIMIT, || (count_written(http) > written).then_some(()));
    let recovered = back.elapsed();
    println!("open after {opened:?}, {in_flight} records in flight, flowing again after {recovered:?}");
    assert!(recovered < Duration::from_secs(4 + 2), "{recovered:?} beyond a wait of at most 4 s");
    until("the task is RUNNING", LIMIT, || (task(http)["state"] == "RUNNING").then_some(()));
    assert_eq!(figure(http, "circuit_breaker_state"), Some(0.0));
    assert!(transitions(http, "closed", "open") >= 1 && transitions(http, "half_open", "closed") >= 1);
    assert!(transitions(http, "half_open", "open") >= 1, "a probe in between found nobody");
    let repeated = whole(weir, &address, RECORDS);
    let gone = Fault {
        place: "The broker",
        fault: "gone for 20 s: listener closed, connections cut",
        seen: "PARKED with its address, `circuit_breaker_state` 2, nothing dead-lettered though `attempts: 1`",
        repeated_at_most: "400: one write of 100 for each of 4 lanes",
        recovers_within: "2 s beyond the breaker's wait",
    };
    gone.survived(&Outcome { lost: 0, repeated, recovered: Some(recovered) });
}

#[test]
fn a_slow_broker_slows_the_pipeline_and_nothing_else() {
    const RECORDS: usize = 4000;
    let (folder, broker) = (tempfile::tempdir().unwrap(), RedpandaDev::start("127.0.0.1:0").unwrap());
    let address = broker.address().to_string();
    let file = pipeline(folder.path(), broker.address(), RECORDS);
    let mut weir = Weir::run(&[&file], &folder.path().join("data"), &[]);
    let http = weir.http();
    until("records arrive", LIMIT, || (count(&address, "outages") >= RATE / 2).then_some(()));
    broker.delay_answers(Duration::from_secs(2));
    let (slow, written) = (Instant::now(), count_written(http));
    while slow.elapsed() < Duration::from_secs(10) {
        assert_eq!(task(http)["state"], "RUNNING");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(count_written(http) > written, "it goes on");
    assert_eq!(figure(http, "retry_attempts_total"), Some(0.0));
    broker.delay_answers(Duration::ZERO);
    let repeated = whole(weir, &address, RECORDS);
    let slow = Fault {
        place: "The broker",
        fault: "slow: every answer 2 s late",
        seen: "RUNNING, slower; `retry_attempts_total` 0",
        repeated_at_most: "400: one write of 100 for each of 4 lanes",
        recovers_within: "nothing stops",
    };
    slow.survived(&Outcome { lost: 0, repeated, recovered: None });
}

fn count_written(http: SocketAddr) -> f64 {
    figure(http, "weir_sink_records_written_total").unwrap()
}

/// The process ends by itself, and every record is there, in order, with no more repeats than were in flight.
fn whole(weir: Weir, address: &str, records: usize) -> usize {
    let (status, log) = weir.wait(LIMIT);
    assert!(status.success() && !log.contains(r#""to":"RESTARTING""#), "{log}");
    let read = read_topic(address, "outages", LIMIT, |read| Arrived::of(read).distinct() >= records);
    let arrived = Arrived::of(&read);
    arrived.assert_whole(0);
    assert_eq!(arrived.distinct(), records);
    assert!(
        arrived.repeats <= 4 * 100,
        "{} repeats, one write of 100 for each of 4 lanes allowed",
        arrived.repeats
    );
    arrived.repeats
}
