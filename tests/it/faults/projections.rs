//! The bad days of a projection: the others go on, and at the end its table says what the events say.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;
use weir_event_store::{Cause, Clock, CommandHandler};
use weir_orders::{Order, PROJECTIONS, script};

use crate::harness::{Database, Fault, Outcome, Weir, figure_of, task, until, written};
use crate::operate::order;
use crate::projections::{listed, place, projected, told};

const LIMIT: Duration = Duration::from_secs(60);
const SINKS: [&str; 3] = ["order-read-model", "orders-by-customer", "orders-by-status"];

/// The pipeline of the example, with this line below it.
fn example(folder: &Path, line: &str) -> PathBuf {
    let file = folder.join("projections.yaml");
    std::fs::write(&file, format!("{PROJECTIONS}\n{line}\n")).unwrap();
    file
}

fn run(file: &Path, database: &Database) -> Weir {
    Weir::run(&[file], &file.with_extension("data"), &[("SCYLLA_NODES", database.address())])
}

fn fault(
    fault: &'static str,
    seen: &'static str,
    repeated_at_most: &'static str,
    recovers_within: &'static str,
) -> Fault {
    Fault { place: "Sinks and records", fault, seen, repeated_at_most, recovers_within }
}

/// Waits until the others have written every event, and this one has failed; what it says.
fn fails_alone(http: std::net::SocketAddr, database: &Database, broken: &str) -> String {
    let events = database.numbers("SELECT count(*) FROM orders_ks.event_store")[0] as f64;
    for sink in SINKS.iter().filter(|sink| **sink != broken) {
        until(sink, LIMIT, || (written(http, sink) >= events).then_some(()));
        assert_eq!(task(http, sink)["state"], "RUNNING", "{sink}");
    }
    until("it fails", LIMIT, || (task(http, broken)["state"] == "FAILED").then_some(()));
    task(http, broken)["reason"].as_str().unwrap().to_owned()
}

#[test]
fn a_table_that_is_dropped_or_altered_under_way() {
    let (database, folder) = (Database::start(), tempfile::tempdir().unwrap());
    let file = example(folder.path(), "");
    let mut weir = run(&file, &database);
    let http = weir.http();
    place(&database, 15, 1);
    projected(&database);

    let before = database.with(async |session| told(session).await);
    database.execute("DROP TABLE orders_ks.orders_by_customer");
    place(&database, 15, 2);
    let reason = fails_alone(http, &database, "orders-by-customer");
    assert!(reason.contains("there is no table") && reason.contains("CREATE TABLE"), "{reason}");
    let (repaired, new) = (Instant::now(), database.with(async |session| told(session).await));
    database.lay_orders();
    order("restart", "order-projections/orders-by-customer", http);
    let new = new.iter().filter(|order| before.iter().all(|old| old.order_id != order.order_id));
    let new: Vec<_> = new.map(crate::projections::Shown::listed).collect();
    until("what has happened since is there", LIMIT, || {
        let there = database.with(async |session| listed(session, "orders_by_customer").await);
        (there == new).then_some(())
    });
    let recovered = repaired.elapsed();
    assert!(recovered < Duration::from_secs(10), "{recovered:?}");
    fault(
        "a projection's table dropped under way",
        "FAILED with the `CREATE TABLE` to write; the projections beside it go on",
        "0: what was not written is read again",
        "10 s of `weir restart` with the table laid again: all that has happened since; what it held before comes by \
         projecting again from the beginning",
    )
    .survived(&Outcome { lost: 0, repeated: 0, recovered: Some(recovered) });

    database.execute("ALTER TABLE orders_ks.orders_by_status DROP item_count");
    place(&database, 15, 3);
    let reason = fails_alone(http, &database, "orders-by-status");
    assert!(reason.contains("has no column `item_count`"), "{reason}");
    let repaired = Instant::now();
    database.execute("ALTER TABLE orders_ks.orders_by_status ADD item_count int");
    order("restart", "order-projections/orders-by-status", http);
    until("the table says what the event store says", LIMIT, || {
        let (told, there) =
            database.with(async |session| (told(session).await, listed(session, "orders_by_status").await));
        told.iter().map(crate::projections::Shown::listed).eq(there).then_some(())
    });
    let recovered = repaired.elapsed();
    assert!(recovered < Duration::from_secs(10), "{recovered:?}");
    fault(
        "a column that a projection writes dropped under way",
        "FAILED, `has no column`; the projections beside it go on",
        "0: what was not written is read again",
        "10 s of `weir restart` with the column added again",
    )
    .survived(&Outcome { lost: 0, repeated: 0, recovered: Some(recovered) });
}

/// One sink for each choice, each with a table of its own.
fn choices(database: &Database, folder: &Path) -> PathBuf {
    let sinks = ["ignore", "dead_letter", "stop"].map(|choice| {
        let table = format!("unmapped_{choice}");
        database.execute(&format!(
            "CREATE TABLE IF NOT EXISTS orders_ks.{table} (order_id uuid PRIMARY KEY, number bigint)"
        ));
        format!(
            "  - name: {choice}
    connector: scylla-projection
    config:
      session: {{ contact_points: ['{}'] }}
      keyspace: orders_ks
      table: {table}
      on_unmapped: {choice}
      events: {{ Known: {{ upsert: {{ order_id: \"{{aggregate_id}}\", number: $.number }} }} }}
",
            database.address()
        )
    });
    let example = PROJECTIONS.replace("order-projections", "unmapped");
    let (source, rest) = example.split_once("sinks:\n").unwrap();
    let (_, dead) = rest.split_once("\ndead_letter:").unwrap();
    let file = folder.join("unmapped.yaml");
    std::fs::write(&file, format!("{source}sinks:\n{}\ndead_letter:{dead}", sinks.concat())).unwrap();
    file
}

#[test]
fn an_event_of_a_type_that_nobody_mapped() {
    let (database, folder) = (Database::embedded(), tempfile::tempdir().unwrap());
    let file = choices(&database, folder.path());
    let mut weir = run(&file, &database);
    let (http, order) = (weir.http(), Uuid::new_v4());
    database.tell(order, 1, "Known", r#"{"number":1}"#);
    let shows = |choice: &str| {
        database.numbers(&format!("SELECT number FROM orders_ks.unmapped_{choice}")).first().copied()
    };
    for choice in ["ignore", "dead_letter", "stop"] {
        until(choice, LIMIT, || (shows(choice) == Some(1)).then_some(()));
    }
    database.tell(order, 2, "Unknown", r#"{"number":2}"#);
    database.tell(order, 3, "Known", r#"{"number":3}"#);
    for choice in ["ignore", "dead_letter"] {
        until(choice, LIMIT, || (shows(choice) == Some(3)).then_some(()));
        assert_eq!(task(http, choice)["state"], "RUNNING");
    }
    assert_eq!(figure_of(http, "weir_projection_records_ignored_total", "ignore"), Some(1.0));
    let dead = "SELECT sink, event_type, error_text FROM orders_ks.dead_letter_queue";
    let dead: Vec<(String, String, String)> = database.rows(dead);
    assert_eq!(dead.len(), 1, "{dead:?}");
    let (sink, event_type, error) = &dead[0];
    assert_eq!((sink.as_str(), event_type.as_str()), ("dead_letter", "Unknown"));
    assert!(error.contains("no mapping names the event type `Unknown`"), "{error}");
    until("the third fails", LIMIT, || (task(http, "stop")["state"] == "FAILED").then_some(()));
    let reason = task(http, "stop")["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("add it to `events:`"), "{reason}");
    weir.kill();

    // What the advice says.
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("on_unmapped: stop", "on_unmapped: ignore")).unwrap();
    let (repaired, mut weir) = (Instant::now(), run(&file, &database));
    let (http, passed) = (weir.http(), "weir_projection_records_ignored_total");
    until("it goes on", LIMIT, || (figure_of(http, passed, "stop")? == 1.0).then_some(()));
    until("it goes on", LIMIT, || (shows("stop") == Some(3)).then_some(()));
    let recovered = repaired.elapsed();
    assert!(recovered < Duration::from_secs(15), "{recovered:?}");
    fault(
        "an event of a type that a projection does not map",
        "`ignore`: RUNNING and counted; `dead_letter`: kept with its type; `stop`: FAILED with the advice, nothing skipped",
        "1: what was read and not yet saved",
        "`stop`: 15 s of a start with the file repaired; the others do not stop",
    )
    .survived(&Outcome { lost: 0, repeated: 0, recovered: Some(recovered) });
}

#[test]
fn a_payload_that_is_not_json() {
    let (database, folder) = (Database::embedded(), tempfile::tempdir().unwrap());
    let file = example(folder.path(), "");
    let mut weir = run(&file, &database);
    let http = weir.http();
    place(&database, 10, 1);
    let broken = Uuid::new_v4();
    database.tell(broken, 1, "OrderCreated", "{ no JSON: hunter2");
    place(&database, 10, 2);
    assert_eq!(projected(&database), 20);
    let dead = "SELECT sink, aggregate_id, error_text, payload FROM orders_ks.dead_letter_queue";
    let mut dead: Vec<(String, String, String, Vec<u8>)> =
        until("all three have kept it", LIMIT, || Some(database.rows(dead)).filter(|rows| rows.len() == 3));
    dead.sort();
    for (sink, (kept_by, aggregate, error, payload)) in SINKS.iter().zip(dead) {
        assert_eq!((kept_by.as_str(), aggregate), (*sink, broken.to_string()));
        assert!(error.contains("JSON") && !error.contains("hunter2"), "{error}");
        assert_eq!(payload, b"{ no JSON: hunter2");
        assert_eq!(task(http, sink)["state"], "RUNNING");
    }
    fault(
        "a payload that is no JSON, among events that a projection looks into",
        "RUNNING; kept by each projection with the reason, which does not quote it; the others arrive",
        "0",
        "nothing stops",
    )
    .survived(&Outcome { lost: 0, repeated: 0, recovered: None });
}

#[test]
fn a_key_that_is_longer_than_scylladb_takes() {
    let (database, folder) = (Database::embedded(), tempfile::tempdir().unwrap());
    database.execute("CREATE TABLE orders_ks.by_name (name text PRIMARY KEY, number bigint)");
    let (source, rest) = PROJECTIONS.split_once("sinks:\n").unwrap();
    let (_, dead) = rest.split_once("\ndead_letter:").unwrap();
    let sink = "  - name: by-name
    connector: scylla-projection
    config:
      session: { contact_points: [\"${env:SCYLLA_NODES}\"] }
      keyspace: orders_ks
      table: by_name
      events: { Named: { upsert: { name: $.name, number: $.number } } }
";
    let file = folder.path().join("names.yaml");
    std::fs::write(&file, format!("{source}sinks:\n{sink}\ndead_letter:{dead}")).unwrap();
    let mut weir = run(&file, &database);
    let (http, order) = (weir.http(), Uuid::new_v4());
    for (number, length) in [(1, 10), (2, 70_000), (3, 20)] {
        let payload = format!(r#"{{"name":"{}","number":{number}}}"#, "n".repeat(length));
        database.tell(order, number, "Named", &payload);
    }
    until("the others arrive", LIMIT, || {
        let mut there = database.numbers("SELECT number FROM orders_ks.by_name");
        there.sort_unstable();
        (there == [1, 3]).then_some(())
    });
    let dead = "SELECT sink, error_text FROM orders_ks.dead_letter_queue";
    let dead: Vec<(String, String)> =
        until("it is kept", LIMIT, || Some(database.rows(dead)).filter(|rows| !rows.is_empty()));
    let [(sink, error)] = &dead[..] else { panic!("{dead:?}") };
    assert!(sink == "by-name" && error.contains("Key length of 70000"), "{sink}: {error}");
    assert_eq!(task(http, "by-name")["state"], "RUNNING");
    fault(
        "an event whose projected key is longer than ScyllaDB takes (64 KiB)",
        "RUNNING; kept as a dead letter with ScyllaDB's reason; the others arrive",
        "0",
        "nothing stops",
    )
    .survived(&Outcome { lost: 0, repeated: 0, recovered: None });
}

/// When each order was written into its list, in microseconds.
fn times(database: &Database) -> Vec<i64> {
    let mut times = database.numbers("SELECT writetime(total_cents) FROM orders_ks.orders_by_status");
    times.sort_unstable();
    times
}

#[test]
fn the_database_gone_and_the_host_killed_between_write_and_checkpoint() {
    let (mut database, folder) = (Database::embedded(), tempfile::tempdir().unwrap());
    let file = example(folder.path(), "checkpoint: { interval: 1m }");
    let mut weir = run(&file, &database);
    let http = weir.http();
    for sink in SINKS {
        // There is news every second; so nothing more is saved before the minute is over.
        let age = || figure_of(http, "weir_checkpoint_age_seconds", sink);
        until("the interval has begun", LIMIT, || age().is_some_and(|age| age > 2.5).then_some(()));
    }
    place(&database, 25, 1);
    projected(&database);
    let (before, events) =
        (times(&database), database.numbers("SELECT count(*) FROM orders_ks.event_store")[0]);
    database.stop();
    weir.kill();
    database.restart();
    let mut weir = run(&file, &database);
    let (http, began) = (weir.http(), Instant::now());
    let repeated = || SINKS.iter().map(|sink| written(http, sink)).sum::<f64>();
    until("all is projected again", LIMIT, || (repeated() >= 2.0 * events as f64).then_some(()));
    assert_eq!(projected(&database), 25);
    let recovered = began.elapsed();
    assert_eq!(times(&database), before, "a repeat writes nothing new");
    assert!(recovered < Duration::from_secs(15), "{recovered:?}");
    fault(
        "the database of a projection gone and the host killed (kill -9), both between a write and its checkpoint",
        "RUNNING after the next start; the tables are the same to the microsecond",
        "all since the last checkpoint (`checkpoint.interval`), which changes no row",
        "15 s of the next start",
    )
    .survived(&Outcome { lost: 0, repeated: repeated() as usize, recovered: Some(recovered) });
}

#[test]
fn two_writers_whose_clocks_are_three_seconds_apart() {
    let (database, folder) = (Database::start(), tempfile::tempdir().unwrap());
    let file = example(folder.path(), "");
    let mut weir = run(&file, &database);
    let http = weir.http();
    until("it runs", LIMIT, || (task(http, "orders-by-status")["state"] == "RUNNING").then_some(()));
    let behind = Clock::from_fn(|| Timestamp::now().checked_sub(SignedDuration::from_secs(3)).unwrap());
    let writers =
        [Clock::system(), behind].map(|clock| CommandHandler::<Order>::new(database.store_of(clock)));
    database.with(async |_| {
        for number in 0..15 {
            let steps = script(5, number);
            for (step, command) in steps.commands.iter().enumerate() {
                // Each order by both in turn; what the rules refuse is refused.
                let writer = &writers[(number as usize + step) % 2];
                writer.execute(steps.order_id, command, &Cause::new_request()).await.ok();
            }
        }
    });
    let began = Instant::now();
    assert_eq!(projected(&database), 15);
    let took = began.elapsed();
    assert!(took < Duration::from_secs(20), "{took:?}");
    let late = SINKS.map(|sink| figure_of(http, "weir_cdc_late_rows_total", sink).unwrap_or_default());
    assert!(late.iter().all(|late| *late > 0.0), "no row was late: the clocks were not apart: {late:?}");
    Fault {
        place: "ScyllaDB",
        fault: "two writers of the same orders whose clocks are three seconds apart",
        seen: "RUNNING; what the slower one writes first comes late, marked `weir.late`; every projection says what the \
               event store says",
        repeated_at_most: "0",
        recovers_within: "20 s: the visit after 10 s, for the late rows; nothing stops",
    }
    .survived(&Outcome { lost: 0, repeated: 0, recovered: None });
}
