//! A host that is killed while it reads the table, before it has come to the log.

use std::time::Duration;

use crate::harness::{
    Arrived, Broker, Database, Fault, Outcome, Watched, Weir, figure, read_topic, until, written,
};
use crate::outbox::{IN_FLIGHT, pipeline};

const LIMIT: Duration = Duration::from_secs(90);
const KILLS: usize = 3;
const ORDERS: usize = 300;
/// Events of each order: in the table before it begins, written while it is read, and after.
const BEFORE: i64 = 20;
const DURING: i64 = 2;
const AFTER: i64 = 2;

#[test]
fn killed_again_and_again_in_a_snapshot_then_the_log_joins() {
    let (database, broker, folder) = (Database::embedded(), Broker::start(), tempfile::tempdir().unwrap());
    let file = pipeline(folder.path(), &database, &broker, "snapshot");
    let text = std::fs::read_to_string(&file).unwrap();
    let table = "outbox_messages, snapshot: initial, safety: 2s }";
    // Slow enough to be killed in the middle.
    let text = text.replace("outbox_messages }", table) + "    rate_limit: { records: 2000 }\n";
    std::fs::write(&file, text).unwrap();
    let data = folder.path().join("data");
    let rows = ORDERS * BEFORE as usize;
    let orders = database.write_in_background(ORDERS, rows as i64);
    until("the table is filled", LIMIT, || {
        let there = database.count("SELECT count(*) FROM orders_ks.outbox_messages");
        (there == rows as i64).then_some(())
    });
    // So that the log is read from behind them, and they come from the table alone.
    database.server().faults().advance_clock(Duration::from_secs(10));

    let (mut topic, mut bound) = (Watched::new(&broker, "snapshot"), 0);
    for kill in 1..=KILLS {
        let mut weir = Weir::run(&[&file], &data, &[]);
        let http = weir.http();
        topic.until(rows * kill / (KILLS + 1));
        let done = figure(http, "weir_snapshot_done_ratio").unwrap();
        weir.kill();
        println!("killed with {done} of the table read, {} records there", topic.count());
        assert!(done < 1.0, "in the middle");
        // Four partitions of the table are read at a time, and begin anew.
        bound += IN_FLIGHT + topic.unsaved() + 4 * BEFORE as usize;
        for order in &orders[..ORDERS / KILLS] {
            database.write(*order, BEFORE + 1..=BEFORE + DURING);
        }
    }
    let mut weir = Weir::run(&[&file], &data, &[]);
    let http = weir.http();
    let during = ORDERS / KILLS * DURING as usize;
    let broker = broker.address();
    read_topic(&broker, "snapshot", LIMIT, |read| Arrived::of(read).distinct() >= rows + during);
    for order in &orders[..ORDERS / KILLS] {
        database.write(*order, BEFORE + DURING + 1..=BEFORE + DURING + AFTER);
    }
    let all = rows + during + ORDERS / KILLS * AFTER as usize;
    let read = read_topic(&broker, "snapshot", LIMIT, |read| Arrived::of(read).distinct() >= all);
    let arrived = Arrived::of(&read);
    arrived.assert_whole(1);
    assert_eq!((arrived.distinct(), arrived.by_key.len()), (all, ORDERS));
    assert!(written(http, "topic") > 0.0);
    assert!(arrived.repeats <= bound, "{} repeats, {bound} allowed", arrived.repeats);
    println!("{} repeats, {bound} allowed", arrived.repeats);
    Fault {
        place: "The host and its machine",
        fault: "weir ended with `kill -9` three times in the middle of `snapshot: initial` over 6 000 rows, which take three seconds",
        seen: "the next start goes on in the table, and then with what was written meanwhile, in order per key",
        repeated_at_most: "a kill: 4 writes for each of 8 lanes, what came since the last checkpoint, and the rows of four \
                           partitions, which were being read",
        recovers_within: "the next start",
    }
    .survived(&Outcome { lost: all - arrived.distinct(), repeated: arrived.repeats, recovered: None });
}
