//! Clocks that are set while records flow: the database's. What the host's own wall clock shows decides nothing.

use std::time::{Duration, Instant};

use crate::faults::database::Scene;
use crate::harness::{Arrived, Fault, Outcome, figure};

const HOUR: Duration = Duration::from_secs(3600);

fn row(
    fault: &'static str,
    seen: &'static str,
    repeated_at_most: &'static str,
    recovers_within: &'static str,
) -> Fault {
    Fault { place: "ScyllaDB", fault, seen, repeated_at_most, recovers_within }
}

/// How many records carry the mark of a late row.
fn late(scene: &Scene) -> usize {
    scene.read("outbox").0.iter().filter(|record| record.headers.contains_key("weir.late")).count()
}

#[test]
fn the_databases_clock_set_forward_by_an_hour() {
    let mut scene = Scene::start_with("forward", ", safety: 6s");
    // A row that becomes readable three seconds after the step, which makes it an hour old.
    scene.faults().delay_log_rows("orders_ks", "outbox_messages", 1, HOUR + Duration::from_secs(3));
    scene.write(1);
    scene.faults().advance_clock(HOUR);
    let began = Instant::now();
    scene.write(2);
    let recovered = {
        let (read, arrived) = scene.read("outbox");
        assert_eq!(arrived.repeats, 0);
        let marked = read.iter().filter(|record| record.headers.contains_key("weir.late")).count();
        assert_eq!(marked, 1, "the one that was late");
        began.elapsed()
    };
    assert!(recovered < Duration::from_secs(15), "{recovered:?}");
    scene.until("RUNNING");
    assert!(figure(scene.http, "weir_cdc_clock_skew_seconds").unwrap() < -3500.0);
    row(
        "the database's clock set forward by an hour, with a row that becomes readable late",
        "RUNNING; `weir_cdc_clock_skew_seconds` tells; the late row comes, marked `weir.late`",
        "0",
        "`safety` for the late row; nothing else stops",
    )
    .survived(&Outcome { lost: 0, repeated: 0, recovered: None });
}

#[test]
fn the_databases_clock_set_back_by_a_minute() {
    let mut scene = Scene::start("back");
    // A minute that was read and visited.
    scene.faults().advance_clock(Duration::from_secs(65));
    scene.write(1);
    scene.arrived();
    std::thread::sleep(Duration::from_secs(3));
    scene.faults().rewind_clock(Duration::from_secs(60));
    let began = Instant::now();
    scene.write(2);
    let outcome = scene.recovered(began, Duration::from_secs(10), 0);
    row(
        "the database's clock set back by a minute",
        "RUNNING; until the clock is where it was, events come two to three seconds late and marked `weir.late`, in order",
        "0",
        "10 s",
    )
    .survived(&outcome);
    assert_eq!(late(&scene), 10, "each event that was written into a second that had been read");
}

#[test]
fn the_databases_clock_an_hour_ahead_set_right() {
    let mut scene = Scene::start("right");
    scene.faults().advance_clock(HOUR);
    scene.write(2);
    scene.arrived().assert_whole(1);
    scene.faults().rewind_clock(HOUR);
    let began = Instant::now();
    scene.write(2);
    let (_, arrived) = scene.read("outbox");
    let recovered = began.elapsed();
    assert!(recovered < Duration::from_secs(10), "{recovered:?}");
    let bound = Arrived::distinct(&arrived);
    assert!(arrived.repeats <= bound, "{} repeats, {bound} allowed", arrived.repeats);
    arrived.assert_whole(1);
    scene.weir().wait_log("that it reads again", |line| {
        line["fields"]["message"].as_str()?.contains("went back by more than `safety`").then_some(())
    });
    row(
        "the database's clock, an hour ahead, set right again",
        "RUNNING, a warning in the log that it is read again from there",
        "each event of the last `safety` once: they are read again",
        "10 s",
    )
    .survived(&Outcome { lost: 0, repeated: arrived.repeats, recovered: Some(recovered) });
}
