//! Checkpoints in a table of the database: a second host takes the tasks of the first, and one that dies between a write
//! and its checkpoint is followed from anywhere.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use weir_scylla_dev::error::ErrorCode;
use weir_scylla_dev::faults::Failure;

use crate::harness::{
    Arrived, Broker, Database, Fault, Outcome, Watched, Weir, count, read_topic, task, until,
};
use crate::outbox::{IN_FLIGHT, pipeline};

const PLACE: &str = "The host and its machine";
const LIMIT: Duration = Duration::from_secs(60);

/// From the outbox to a topic, with its checkpoints in the database.
fn shared(folder: &Path, database: &Database, broker: &Broker, topic: &str) -> PathBuf {
    let file = pipeline(folder, database, broker, topic);
    let mut text = std::fs::read_to_string(&file).unwrap();
    text += &format!(
        "checkpoint:
  store: scylla
  config: {{ session: {{ contact_points: ['{}'] }}, keyspace: orders_ks, table: checkpoints }}
",
        database.address()
    );
    std::fs::write(&file, text).unwrap();
    file
}

/// All events have arrived, each key's in order; how many came twice.
fn whole(broker: &Broker, topic: &str, events: usize) -> usize {
    let done = |read: &[_]| read.len() >= events && Arrived::of(read).distinct() >= events;
    let arrived = Arrived::of(&read_topic(&broker.address(), topic, LIMIT, done));
    arrived.assert_whole(1);
    assert_eq!(arrived.distinct(), events);
    arrived.repeats
}

#[test]
fn a_second_host_takes_over_and_the_first_stops_quietly() {
    const EVENTS: usize = 12_000;
    let (database, broker, folder) = (Database::start(), Broker::start(), tempfile::tempdir().unwrap());
    let file = shared(folder.path(), &database, &broker, "taken-over");
    let mut topic = Watched::new(&broker, "taken-over");
    database.write_in_background(60, EVENTS as i64);
    let mut first = Weir::run(&[&file], &folder.path().join("one"), &[]);
    topic.until(1_000);
    let (unsaved, before) = (topic.unsaved(), topic.count());
    let (begun, mut second) = (Instant::now(), Weir::run(&[&file], &folder.path().join("another"), &[]));
    let reason = first.wait_log("that its task has STOPPED", |line| {
        let fields = &line["fields"];
        (fields["to"] == "STOPPED").then(|| fields["reason"].as_str().unwrap_or_default().to_owned())
    });
    let taken = begun.elapsed();
    let holder = format!("taken-over/topic was taken over by process {} on ", second.pid());
    assert!(reason.contains(&holder) && reason.contains("nothing to do, if that is meant"), "{reason}");
    let (status, log) = first.wait(LIMIT);
    assert!(status.success(), "whoever watches it must not start it again: {log}");
    assert!(
        ["WARN", "ERROR", r#""to":"RESTARTING""#].iter().all(|loud| !log.contains(loud)),
        "quietly: {log}"
    );
    let since = topic.count() - before;
    let http = second.http();
    until("the second runs", LIMIT, || (task(http, "topic")["state"] == "RUNNING").then_some(()));
    let repeated = whole(&broker, "taken-over", EVENTS);
    let bound = IN_FLIGHT + unsaved + since;
    assert!(repeated <= bound, "{repeated} repeats, {bound} allowed");
    second.signal("TERM");
    assert!(second.wait(LIMIT).0.success());
    println!("taken over after {taken:?}, {repeated} repeats, {bound} allowed");
    let fault = Fault {
        place: PLACE,
        fault: "a second host with the same pipeline, on one checkpoint table, under load",
        seen: "the first: STOPPED, `was taken over by` the second's process, exit 0; the second: RUNNING",
        repeated_at_most: "what the first wrote between its last save and its end, a checkpoint interval later, and in flight",
        recovers_within: "nothing stops",
    };
    fault.survived(&Outcome { lost: 0, repeated, recovered: None });
}

#[test]
fn killed_between_a_write_and_its_checkpoint_another_host_goes_on() {
    let (database, broker, folder) = (Database::embedded(), Broker::start(), tempfile::tempdir().unwrap());
    let file = shared(folder.path(), &database, &broker, "between");
    let (arrived, order) = (|| count(&broker.address(), "between"), uuid::Uuid::new_v4());
    let mut first = Weir::run(&[&file], &folder.path().join("one"), &[]);
    let http = first.http();
    database.write(order, 1..=50);
    until("records arrive", LIMIT, || (arrived() >= 50).then_some(()));
    let saves =
        "SELECT saves FROM orders_ks.checkpoints WHERE pipeline = 'between' AND sink = 'topic' LIMIT 1";
    let saved = database.numbers(saves)[0];
    until("they are saved", LIMIT, || (database.numbers(saves)[0] >= saved + 3).then_some(()));
    let late = ErrorCode::WriteTimeout { consistency: 6, received: 0, block_for: 1, write_type: "CAS" };
    database.server().faults().fail(Failure::of("UPDATE \"orders_ks\".\"checkpoints\"", late));
    let reason = until("the task is DEGRADED", LIMIT, || {
        let task = task(http, "topic");
        (task["state"] == "DEGRADED").then(|| task["reason"].as_str().unwrap().to_owned())
    });
    assert!(
        reason.contains("save the checkpoint: checkpoint table \"orders_ks\".\"checkpoints\""),
        "{reason}"
    );
    database.write(order, 51..=80);
    until("records flow on", LIMIT, || (arrived() >= 80).then_some(()));
    first.kill();
    database.server().faults().heal();
    database.write(order, 81..=90);
    let (killed, mut second) = (Instant::now(), Weir::run(&[&file], &folder.path().join("another"), &[]));
    until("records flow again", LIMIT, || (arrived() > 80).then_some(()));
    let recovered = killed.elapsed();
    let repeated = whole(&broker, "between", 90);
    assert_eq!(repeated, 30, "those that were written and not saved");
    let http = second.http();
    until("it runs", LIMIT, || (task(http, "topic")["state"] == "RUNNING").then_some(()));
    second.signal("TERM");
    assert!(second.wait(LIMIT).0.success());
    let fault = Fault {
        place: PLACE,
        fault: "every write to the checkpoint table refused, then kill -9; another host starts elsewhere",
        seen: "DEGRADED with table and error, records flow on; the other host goes on from the newest checkpoint",
        repeated_at_most: "what was written since the last save",
        recovers_within: "the next start",
    };
    fault.survived(&Outcome { lost: 0, repeated, recovered: Some(recovered) });
}
