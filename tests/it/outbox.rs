//! The main job: rows of the outbox arrive on the topic, over kills, outages and lost folders.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::harness::{
    Arrived, Broker, Database, Fault, Outcome, Watched, Weir, count, figure, get, read_topic, real_kafka,
    until,
};

const LIMIT: Duration = Duration::from_secs(90);

/// What such a pipeline has on its way: 4 writes of 20 for each of 8 lanes.
pub(crate) const IN_FLIGHT: usize = 8 * 4 * 20;

/// A pipeline from the outbox to a topic of its own.
pub(crate) fn pipeline(folder: &Path, database: &Database, broker: &Broker, topic: &str) -> PathBuf {
    let file = folder.join(format!("{topic}.yaml"));
    let text = format!(
        "name: {topic}
source:
  connector: scylla-outbox
  config: {{ session: {{ contact_points: ['{}'] }}, keyspace: orders_ks, table: outbox_messages }}
sinks:
  - name: topic
    connector: redpanda
    config: {{ brokers: '{}', topic: {topic} }}
    batch: {{ records: 20 }}
    circuit_breaker: {{ open_for: 1s }}
",
        database.address(),
        broker.address(),
    );
    std::fs::write(&file, text).unwrap();
    file
}

#[test]
fn kill_9_five_times_loses_nothing() {
    killed_five_times(&Database::start(), &Broker::start());
}

#[test]
fn kill_9_five_times_loses_nothing_on_real_kafka() {
    let data = tempfile::tempdir().unwrap();
    let Some(broker) = real_kafka(data.path()) else { return };
    killed_five_times(&Database::start(), &broker);
}

fn killed_five_times(database: &Database, broker: &Broker) {
    const EVENTS: usize = 20_000;
    const AGGREGATES: usize = 100;
    let folder = tempfile::tempdir().unwrap();
    let file = pipeline(folder.path(), database, broker, "killed");
    let data = folder.path().join("data");
    let ids = database.write_in_background(AGGREGATES, EVENTS as i64);
    let (mut topic, mut bound) = (Watched::new(broker, "killed"), 0);
    for kill in 1..=5 {
        let weir = Weir::run(&[&file], &data, &[]);
        let point = EVENTS * kill / 6 + rand::random_range(0..EVENTS / 12);
        topic.until(point);
        weir.kill();
        let unsaved = topic.unsaved();
        bound += IN_FLIGHT + unsaved;
        println!("killed at {} records, {unsaved} of them not certainly saved", topic.count());
    }
    let weir = Weir::run(&[&file], &data, &[]);
    let read = read_topic(&broker.address(), "killed", LIMIT, |read| Arrived::of(read).distinct() >= EVENTS);
    drop(weir);
    let arrived = Arrived::of(&read);
    arrived.assert_whole(1);
    assert_eq!(arrived.distinct(), EVENTS);
    assert!(ids.iter().all(|id| arrived.by_key[&id.to_string()].len() == EVENTS / AGGREGATES));
    assert!(arrived.repeats <= bound, "{} repeats, {bound} allowed", arrived.repeats);
    println!("{} repeats, {bound} allowed", arrived.repeats);
    let killed = Fault {
        place: "The host and its machine",
        fault: "weir ended with `kill -9` under load, five times over 20 000 events",
        seen: "the next start goes on from the checkpoint, in order per key",
        repeated_at_most: "a kill: 4 writes for each of 8 lanes, and what came since the last checkpoint",
        recovers_within: "the next start",
    };
    killed.survived(&Outcome {
        lost: EVENTS - arrived.distinct(),
        repeated: arrived.repeats,
        recovered: None,
    });
}

#[test]
fn a_lost_data_folder_repeats_and_never_skips() {
    let (database, broker, folder) = (Database::start(), Broker::start(), tempfile::tempdir().unwrap());
    let file = pipeline(folder.path(), &database, &broker, "lost-folder");
    let order = uuid::Uuid::new_v4();
    let arrived = |events: usize| {
        let read = read_topic(&broker.address(), "lost-folder", LIMIT, |read| {
            ours(read, order).distinct() >= events
        });
        ours(&read, order)
    };
    let weir = Weir::run(&[&file], &folder.path().join("one"), &[]);
    database.write(order, 1..=50);
    assert_eq!(arrived(50).distinct(), 50);
    weir.signal("TERM");
    assert!(weir.wait(LIMIT).0.success());
    database.write(order, 51..=60);
    let _weir = Weir::run(&[&file], &folder.path().join("another"), &[]);
    let arrived = arrived(60);
    arrived.assert_whole(1);
    until("the log is read again", LIMIT, || (count(&broker.address(), "lost-folder") >= 110).then_some(()));
}

#[test]
fn a_renamed_pipeline_repeats_and_never_skips() {
    let (database, broker, folder) = (Database::start(), Broker::start(), tempfile::tempdir().unwrap());
    let file = pipeline(folder.path(), &database, &broker, "renamed");
    let (data, order) = (folder.path().join("data"), uuid::Uuid::new_v4());
    database.write(order, 1..=20);
    let weir = Weir::run(&[&file], &data, &[]);
    let whole = |events: usize| {
        let read =
            read_topic(&broker.address(), "renamed", LIMIT, |read| ours(read, order).distinct() >= events);
        ours(&read, order).assert_whole(1);
    };
    whole(20);
    weir.signal("TERM");
    assert!(weir.wait(LIMIT).0.success());
    let text = std::fs::read_to_string(&file).unwrap().replace("name: renamed", "name: another");
    std::fs::write(&file, text).unwrap();
    database.write(order, 21..=30);
    let _weir = Weir::run(&[&file], &data, &[]);
    whole(30);
    until("the log is read again", LIMIT, || (count(&broker.address(), "renamed") >= 50).then_some(()));
}

/// Only this order: a database that SCYLLA_NODES names has more in its log.
fn ours(read: &[crate::harness::Read], order: uuid::Uuid) -> Arrived {
    let ours: Vec<_> = read.iter().filter(|record| record.key == order.to_string()).cloned().collect();
    Arrived::of(&ours)
}

#[test]
fn database_and_broker_may_come_later_and_go_for_a_while() {
    let (mut database, folder) = (Database::embedded(), tempfile::tempdir().unwrap());
    let broker = weir_redpanda_dev::RedpandaDev::start("127.0.0.1:0").unwrap();
    let broker = Broker::Embedded(broker);
    let Broker::Embedded(embedded) = &broker else { unreachable!() };
    let file = pipeline(folder.path(), &database, &broker, "away");
    let order = uuid::Uuid::new_v4();
    database.write(order, 1..=10);
    database.stop();
    embedded.pause().unwrap();
    let mut weir = Weir::run(&[&file], &folder.path().join("data"), &[]);
    let http = weir.http();
    let task =
        || serde_json::from_str::<serde_json::Value>(&get(http, "/health").1).unwrap()["tasks"][0].clone();
    let state = |wanted: &str| {
        until(wanted, LIMIT, || (task()["state"] == wanted).then_some(()));
        task()["reason"].as_str().unwrap_or_default().to_owned()
    };
    let reason = state("PARKED");
    assert!(reason.contains("scylla-outbox"), "{reason}");
    assert_eq!(get(http, "/ready").0, 503);
    database.restart();
    embedded.resume().unwrap();
    let arrived = |events: usize| {
        let read =
            read_topic(&broker.address(), "away", LIMIT, |read| Arrived::of(read).distinct() >= events);
        Arrived::of(&read).assert_whole(1);
    };
    arrived(10);
    database.stop();
    state("PARKED");
    database.restart();
    database.write(order, 11..=20);
    arrived(20);
    state("RUNNING");
    embedded.pause().unwrap();
    database.write(order, 21..=30);
    state("PARKED");
    embedded.resume().unwrap();
    arrived(30);
    weir.signal("TERM");
    let (status, log) = weir.wait(LIMIT);
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(!log.contains(r#""to":"RESTARTING""#), "an outage is waited for, not crashed on: {log}");
}

#[test]
fn sigterm_under_load_drains_and_saves() {
    let (database, broker, folder) = (Database::start(), Broker::start(), tempfile::tempdir().unwrap());
    let file = pipeline(folder.path(), &database, &broker, "stopped");
    let data = folder.path().join("data");
    database.write_in_background(50, 20_000);
    for _ in 0..3 {
        let before = count(&broker.address(), "stopped");
        let weir = Weir::run(&[&file], &data, &[]);
        until("records arrive", LIMIT, || {
            (count(&broker.address(), "stopped") >= before + 1000).then_some(())
        });
        weir.signal("TERM");
        let (status, log) = weir.wait(Duration::from_secs(35));
        assert_eq!(status.code(), Some(0), "{log}");
    }
    let _weir = Weir::run(&[&file], &data, &[]);
    let read = read_topic(&broker.address(), "stopped", LIMIT, |read| Arrived::of(read).distinct() >= 20_000);
    let arrived = Arrived::of(&read);
    arrived.assert_whole(1);
    assert_eq!(arrived.repeats, 0, "what a drain has saved is not read again");
    let stopped = Fault {
        place: "The host and its machine",
        fault: "weir stopped with SIGTERM under load, three times",
        seen: "it drains what it has read, saves, and ends with exit code 0",
        repeated_at_most: "0: what a drain has saved is not read again",
        recovers_within: "the next start",
    };
    stopped.survived(&Outcome { lost: 0, repeated: arrived.repeats, recovered: None });
}

#[test]
fn a_second_signal_leaves_at_once() {
    let (database, folder) = (Database::start(), tempfile::tempdir().unwrap());
    let broker = Broker::Embedded(weir_redpanda_dev::RedpandaDev::start("127.0.0.1:0").unwrap());
    let Broker::Embedded(embedded) = &broker else { unreachable!() };
    let file = pipeline(folder.path(), &database, &broker, "twice");
    database.write(uuid::Uuid::new_v4(), 1..=10);
    let mut weir = Weir::run(&[&file], &folder.path().join("data"), &[]);
    let http = weir.http();
    until("the events arrive", LIMIT, || (count(&broker.address(), "twice") == 10).then_some(()));
    // Slow enough to be waited for at a stop, and not so slow that it is taken for gone.
    embedded.delay_answers(Duration::from_secs(8));
    database.write(uuid::Uuid::new_v4(), 1..=10);
    let in_flight = || figure(http, "weir_task_in_flight_records").is_some_and(|records| records > 0.0);
    until("events are in flight", LIMIT, || in_flight().then_some(()));
    let said = |message: &'static str| {
        move |line: &serde_json::Value| line["fields"]["message"].as_str()?.starts_with(message).then_some(())
    };
    weir.signal("TERM");
    weir.wait_log("that it drains", said("asked to stop: draining"));
    weir.signal("INT");
    let (status, log) = weir.wait(Duration::from_secs(10));
    assert_eq!(status.code(), Some(130), "{log}");
}

#[test]
fn rows_that_are_no_events_are_counted_and_passed_over() {
    let (database, broker, folder) = (Database::start(), Broker::start(), tempfile::tempdir().unwrap());
    let file = pipeline(folder.path(), &database, &broker, "no-events");
    let mut weir = Weir::run(&[&file], &folder.path().join("data"), &[]);
    let http = weir.http();
    let order = uuid::Uuid::new_v4();
    database.write(order, 1..=1);
    let table = "orders_ks.outbox_messages";
    database.execute(&format!(
        "UPDATE {table} SET event_type = 'x' WHERE aggregate_id = {order} AND sequence_number = 1"
    ));
    database.execute(&format!("DELETE FROM {table} WHERE aggregate_id = {order} AND sequence_number = 1"));
    database.execute(&format!("DELETE FROM {table} WHERE aggregate_id = {order} AND sequence_number > 5"));
    database.execute(&format!("DELETE FROM {table} WHERE aggregate_id = {order}"));
    database.execute(&format!("INSERT INTO {table} (aggregate_id, sequence_number) VALUES ({order}, 3)"));
    database.write(order, 2..=2);
    let read = read_topic(&broker.address(), "no-events", LIMIT, |read| ours(read, order).distinct() >= 2);
    ours(&read, order).assert_whole(1);
    let skipped = |why: &str| figure(http, &format!("weir_cdc_rows_skipped_{why}_total")).unwrap();
    assert!(skipped("delete") >= 3.0);
    assert!(skipped("update") >= 1.0);
    assert!(skipped("incomplete") >= 1.0);
}
