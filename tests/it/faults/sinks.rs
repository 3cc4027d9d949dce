//! The bad days of a sink: only its own task feels them, and it goes on when they are over.

mod hosted;
mod troubled;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;
use weir_redpanda_dev::RedpandaDev;

use crate::harness::{Arrived, Fault, Outcome, get, read_topic, task, until};
use hosted::Hosted;
use troubled::{Trouble, Troubled, whole};

const LIMIT: Duration = Duration::from_secs(60);
const RECORDS: usize = 30_000;
const KEYS: usize = 50;
/// The sinks beside the one in trouble.
const OTHERS: [&str; 2] = ["file", "topic"];

/// One source, and three sinks: one that can be troubled, a file and a topic.
fn pipeline(folder: &Path, broker: SocketAddr) -> String {
    let path = folder.join("out.jsonl");
    let path = path.display();
    format!(
        "name: three
source:
  connector: generator
  config: {{ records: {RECORDS}, keys: {KEYS}, size: 100B }}
sinks:
  - name: troubled
    connector: troubled
    timeout: 300ms
    retry: {{ initial: 1ms, max: 20ms, budget: {{ ratio: 1, per_second: 1000 }} }}
    circuit_breaker: {{ open_for: 300ms, open_for_max: 1s }}
    batch: {{ records: 100 }}
  - name: file
    connector: file
    config: {{ path: '{path}' }}
  - name: topic
    connector: redpanda
    config: {{ brokers: '{broker}', topic: three, create: {{ partitions: 2 }} }}
"
    )
}

/// How the others did.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// Records a second, of both together.
    throughput: f64,
    /// What a write took on average, in seconds; the slower of the two.
    latency: f64,
}

/// One run with the sink in this trouble; it is healed when the others have arrived.
struct Day {
    pace: Pace,
    /// The task of the sink in trouble when the others had arrived, as `/health` showed it.
    shown: Value,
    retries: f64,
    repeated: usize,
    /// From healing until records flow again; none where they never ceased.
    recovered: Option<Duration>,
}

fn day(trouble: Trouble) -> Day {
    let (folder, broker) = (tempfile::tempdir().unwrap(), RedpandaDev::start("127.0.0.1:0").unwrap());
    let sink = Troubled::new(trouble);
    let began = Instant::now();
    let hosted = Hosted::run(&pipeline(folder.path(), broker.address()), &folder.path().join("data"), &sink);
    let http = hosted.http();
    let has_stopped = |sink: &str| task(http, sink)["state"] == "STOPPED";
    until("the others have arrived", LIMIT, || OTHERS.iter().all(|sink| has_stopped(sink)).then_some(()));
    let throughput = (OTHERS.len() * RECORDS) as f64 / began.elapsed().as_secs_f64();
    let latency = OTHERS.iter().map(|sink| latency(http, sink)).fold(0.0, f64::max);
    let shown = until("the trouble shows", LIMIT, || {
        let shown = task(http, Troubled::NAME);
        (trouble.shows_in() == shown["state"]).then_some(shown)
    });
    for sink in OTHERS {
        let other = task(http, sink);
        assert!(other["reason"].as_str().unwrap().starts_with("the source came to its end"), "{other}");
        assert_eq!(other["restarts"], 0, "{other}");
    }
    let (written, healed) = (sink.len(), Instant::now());
    sink.heal();
    until("records flow again", LIMIT, || (sink.len() > written || written == RECORDS).then_some(()));
    let recovered = (written < RECORDS).then(|| healed.elapsed());
    until("all have arrived", LIMIT, || has_stopped(Troubled::NAME).then_some(()));
    let retries = figures(http, "retry_attempts_total")[Troubled::NAME];
    hosted.stop();
    let arrived = whole(&sink.records(), KEYS);
    assert_eq!(arrived.distinct, RECORDS);
    others_are_whole(&folder.path().join("out.jsonl"), &broker.address().to_string());
    Day { pace: Pace { throughput, latency }, shown, retries, repeated: arrived.repeated, recovered }
}

fn others_are_whole(file: &Path, broker: &str) {
    let lines = std::fs::read_to_string(file).unwrap();
    assert_eq!(lines.lines().count(), RECORDS);
    let read = read_topic(broker, "three", LIMIT, |read| read.len() >= RECORDS);
    let arrived = Arrived::of(&read);
    arrived.assert_whole(0);
    assert_eq!((arrived.distinct(), arrived.repeats), (RECORDS, 0));
}

/// A figure of every sink.
fn figures(http: SocketAddr, name: &str) -> BTreeMap<String, f64> {
    let text = get(http, "/metrics").1;
    let lines = text.lines().filter_map(|line| line.strip_prefix(name)?.split_once("sink=\""));
    let of_sink = |(_, rest): (&str, &str)| {
        let sink = rest.split('"').next().unwrap().to_owned();
        (sink, rest.rsplit(' ').next().unwrap().parse().unwrap())
    };
    lines.map(of_sink).collect()
}

fn latency(http: SocketAddr, sink: &str) -> f64 {
    let figure = |part: &str| figures(http, &format!("weir_sink_write_seconds_{part}"))[sink];
    figure("sum") / figure("count")
}

impl Trouble {
    /// The state that the task of such a sink comes to.
    fn shows_in(self) -> &'static str {
        match self {
            Self::None | Self::FailsInPart => "STOPPED",
            Self::Panics => "RESTARTING",
            Self::Hangs | Self::LeaksTime(_) | Self::Fails | Self::Random => "PARKED",
        }
    }
}

/// The others' pace beside a sink in trouble, against their pace beside one that is well. Whatever else this machine
/// does can only make one of the two slower, so the best of three counts.
fn undisturbed(trouble: Trouble) -> Day {
    for _ in 0..3 {
        let (well, troubled) = (day(Trouble::None).pace, day(trouble));
        let throughput = troubled.pace.throughput / well.throughput;
        let latency = troubled.pace.latency / well.latency;
        println!(
            "{trouble:?}: throughput of the others {throughput:.2}, latency {latency:.2} of what they are without; \
             {well:?}, {:?}",
            troubled.pace
        );
        if throughput >= 0.5 && latency <= 2.0 {
            return troubled;
        }
    }
    panic!("{trouble:?}: the others feel it");
}

fn reason(day: &Day) -> &str {
    day.shown["reason"].as_str().unwrap_or_default()
}

#[test]
fn one_sink_of_three_in_trouble_is_felt_by_its_own_task_only() {
    const BREAKER: &str = "2 s beyond the breaker's wait";
    let survived = |fault, seen, recovers_within, day: &Day| {
        assert_eq!(day.repeated, 0);
        let fault = Fault {
            place: "Sinks and records",
            fault,
            seen,
            repeated_at_most: "none: nothing had been written",
            recovers_within,
        };
        fault.survived(&Outcome { lost: 0, repeated: 0, recovered: day.recovered });
    };

    let panics = undisturbed(Trouble::Panics);
    assert!(reason(&panics).contains("a connector panicked: out of luck"), "{}", panics.shown);
    assert!(panics.recovered < Some(Duration::from_secs(10)), "{:?}", panics.recovered);
    let seen = "RESTARTING, `a connector panicked`; the others keep ≥ 0.5 of their pace";
    survived("one sink of three panics at each write", seen, "its next restart: 1 s, doubling", &panics);

    let hangs = undisturbed(Trouble::Hangs);
    assert!(reason(&hangs).starts_with("no answer to a write within 300ms"), "{}", hangs.shown);
    let seen = "PARKED, `no answer to a write within` its timeout; the others keep ≥ 0.5 of their pace";
    survived("one sink of three hangs at each write", seen, BREAKER, &hangs);

    let leaks = undisturbed(Trouble::LeaksTime(Duration::from_millis(20)));
    assert!(reason(&leaks).starts_with("no answer to a write within 300ms"), "{}", leaks.shown);
    let seen =
        "slower, then PARKED, `no answer to a write within` its timeout; the others keep ≥ 0.5 of their pace";
    survived("one sink of three leaks time: each write slower than the last", seen, BREAKER, &leaks);

    let in_part = undisturbed(Trouble::FailsInPart);
    assert!(in_part.retries >= 50.0, "{} retries", in_part.retries);
    let seen = "RUNNING, `retry_attempts_total` counts; the others keep ≥ 0.5 of their pace";
    survived("one sink of three refuses part of each third write", seen, "nothing stops", &in_part);

    let fails = undisturbed(Trouble::Fails);
    assert!(reason(&fails).starts_with("no luck, by order of the test"), "{}", fails.shown);
    let seen = "PARKED with the error; the others keep ≥ 0.5 of their pace";
    survived("one sink of three refuses every write", seen, BREAKER, &fails);
    for day in [&hangs, &leaks, &fails] {
        assert!(day.recovered < Some(Duration::from_secs(1 + 2)), "{:?} beyond a wait of 1 s", day.recovered);
    }
}

#[test]
fn of_100_000_records_through_a_sink_that_fails_one_call_in_three_none_is_lost() {
    const RECORDS: usize = 100_000;
    let folder = tempfile::tempdir().unwrap();
    let dead = folder.path().join("dead.jsonl");
    let text = format!(
        "name: shaky
source:
  connector: generator
  config: {{ records: {RECORDS}, keys: {KEYS}, size: 50B }}
sinks:
  - name: troubled
    connector: troubled
    timeout: 30ms
    retry: {{ initial: 1ms, max: 5ms, budget: {{ ratio: 1, per_second: 10000 }} }}
    circuit_breaker: {{ open_for: 10ms, open_for_max: 20ms, successes: 1 }}
    batch: {{ records: 100 }}
dead_letter:
  connector: file
  config: {{ path: '{}' }}
",
        dead.display()
    );
    let (sink, began) = (Troubled::new(Trouble::Random), Instant::now());
    let hosted = Hosted::run(&text, &folder.path().join("data"), &sink);
    let http = hosted.http();
    until("all have arrived", LIMIT, || (task(http, Troubled::NAME)["state"] == "STOPPED").then_some(()));
    let took = began.elapsed();
    let retries = figures(http, "retry_attempts_total")[Troubled::NAME];
    hosted.stop();
    let arrived = whole(&sink.records(), KEYS);
    println!("{took:?}, {retries} retries, {} repeated", arrived.repeated);
    assert_eq!(arrived.distinct, RECORDS);
    assert!(retries >= (RECORDS / 100 / 4) as f64, "{retries} retries of some 1000 writes");
    assert!(arrived.repeated <= RECORDS, "{} repeats", arrived.repeated);
    assert_eq!(std::fs::read_to_string(dead).unwrap(), "", "nothing is dead");
    let fault = Fault {
        place: "Sinks and records",
        fault: "one call in three goes wrong at random, over 100 000 records: refused, refused in part, answer lost, \
                no answer",
        seen: "RUNNING, at times PARKED; order per key kept, nothing dead-lettered",
        repeated_at_most: "100 000: what was written and not answered for",
        recovers_within: "nothing stops",
    };
    fault.survived(&Outcome { lost: 0, repeated: arrived.repeated, recovered: None });
}
