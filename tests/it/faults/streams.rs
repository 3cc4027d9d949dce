//! Streams that are replaced while records flow, and the host killed at the very moment.

use std::time::Duration;

use crate::harness::{Arrived, Broker, Database, Fault, Outcome, Watched, Weir, read_topic};
use crate::outbox::{IN_FLIGHT, pipeline};

const LIMIT: Duration = Duration::from_secs(90);
/// Written around each change of the streams.
const EVENTS: usize = 3_000;
const ORDERS: usize = 60;
/// New streams are announced so long before they are used.
const NOTICE: Duration = Duration::from_millis(5_500);
/// The first kill is so long before the new streams are used, and each later one so much later.
const STEP: Duration = Duration::from_millis(300);

/// Kills and starts a publisher around each of these changes of the streams; how many records came twice.
fn killed_at_each(name: &'static str, database: &Database, changes: [impl Fn(i64); 4]) -> usize {
    let (broker, folder) = (Broker::start(), tempfile::tempdir().unwrap());
    let file = pipeline(folder.path(), database, &broker, name);
    // Slow enough to be killed with the old streams still to be read.
    let text = std::fs::read_to_string(&file).unwrap() + "    rate_limit: { records: 4000 }\n";
    std::fs::write(&file, text).unwrap();
    let data = folder.path().join("data");
    let (mut topic, mut bound) = (Watched::new(&broker, name), 0);
    let mut weir = Weir::run(&[&file], &data, &[]);
    for (step, change) in (1_u32..).zip(&changes) {
        database.write_in_background(ORDERS, EVENTS as i64);
        topic.until(topic.count() + EVENTS / 10);
        change((database.server().clock().micros() + NOTICE.as_micros() as i64) / 1_000);
        // It dies before, at or after the moment, and its successor reads over it.
        database.server().faults().advance_clock(NOTICE - STEP * 2);
        topic.pass(STEP * step);
        weir.kill();
        bound += IN_FLIGHT + topic.unsaved();
        weir = Weir::run(&[&file], &data, &[]);
    }
    let all = EVENTS * changes.len();
    let read = read_topic(&broker.address(), name, LIMIT, |read| Arrived::of(read).distinct() >= all);
    let arrived = Arrived::of(&read);
    arrived.assert_whole(1);
    assert_eq!((arrived.distinct(), arrived.by_key.len()), (all, ORDERS * changes.len()));
    assert!(arrived.repeats <= bound, "{} repeats, {bound} allowed", arrived.repeats);
    println!("{} repeats, {bound} allowed", arrived.repeats);
    arrived.repeats
}

fn survived(fault: &'static str, repeated: usize) {
    Fault {
        place: "ScyllaDB",
        fault,
        seen: "the next start reads the old streams to their end and then the new ones, in order per key",
        repeated_at_most: "a kill: 4 writes for each of 8 lanes, and what came since the last checkpoint",
        recovers_within: "the next start",
    }
    .survived(&Outcome { lost: 0, repeated, recovered: None });
}

#[test]
fn killed_at_each_new_generation() {
    let database = Database::embedded();
    let change = |since| database.server().new_generation(since);
    let repeated = killed_at_each("generations", &database, [change; 4]);
    survived("new generations of streams (vnodes), and weir ended with `kill -9` at each of four", repeated);
}

#[test]
fn killed_at_each_split_and_merge_of_tablets() {
    let database = Database::on_tablets();
    let resize = |tablets| {
        let server = database.server();
        move |since| server.resize_tablets("orders_ks", "outbox_messages", tablets, since).unwrap()
    };
    let repeated = killed_at_each("tablets", &database, [16, 2, 8, 1].map(resize));
    survived("tablets that split and merge, and weir ended with `kill -9` at each of four", repeated);
}
