//! A database in trouble: gone, silent, overloaded, and connections that break.

use std::time::{Duration, Instant};

use weir_scylla_dev::error::ErrorCode;
use weir_scylla_dev::faults::Failure;

use super::{NONE, Scene, row};
use crate::harness::{figure, get};

const QUORUM: u16 = 0x06;

#[test]
fn connections_cut_again_and_again() {
    const CUTS: u64 = 15;
    let mut scene = Scene::start("cut");
    let (faults, before) = (scene.faults(), scene.faults().connections());
    for _ in 0..CUTS {
        scene.write(2);
        faults.cut_connections();
        let (state, reason) = scene.shown();
        assert!(state == "RUNNING" || state == "PARKED", "{state}: {reason}");
    }
    let outcome = scene.recovered(Instant::now(), Duration::from_secs(10), 0);
    assert_eq!(scene.restarts(), 0);
    // Two sessions, the writer's and the reader's, of two connections each; some attempts meet the next cut.
    let made = faults.connections() - before;
    assert!(made <= CUTS * 2 * 2 * 3, "{made} connections for {CUTS} cuts");
    row(
        "every connection cut, 15 times in a row under load",
        "RUNNING, or PARKED for a moment; no restart, no storm of connections",
        NONE,
        "10 s of the last cut",
    )
    .survived(&outcome);
}

#[test]
fn every_read_refused_for_a_while() {
    let (required, alive) = (2, 1);
    let late = ErrorCode::ReadTimeout { consistency: QUORUM, received: 1, block_for: 2, data_present: 0 };
    let failed = ErrorCode::ReadFailure { consistency: QUORUM, received: 1, block_for: 2, failures: 1 };
    let troubles = [
        (ErrorCode::Overloaded, "overloaded", "ScyllaDB is overloaded"),
        (
            ErrorCode::Unavailable { consistency: QUORUM, required, alive },
            "unavailable: too few replicas",
            "ScyllaDB cannot be reached",
        ),
        (late, "read time-out", "ScyllaDB did not answer in time"),
        (failed, "read failure", "ScyllaDB failed to answer"),
        (ErrorCode::Server, "server error", "ScyllaDB failed to answer"),
    ];
    let mut scene = Scene::start("refused");
    let mut worst: Option<crate::harness::Outcome> = None;
    for (code, name, said) in troubles {
        let (faults, run) = (scene.faults(), scene.faults().statements());
        faults.fail(Failure::of("_scylla_cdc_log", code));
        let began = Instant::now();
        scene.write(2);
        let reason = scene.until("PARKED");
        assert!(reason.contains("read the log: ") && reason.contains(said), "{name}: {reason}");
        assert!(began.elapsed() < Duration::from_secs(10), "{name}: {:?}", began.elapsed());
        let run = faults.statements() - run;
        assert!(run < 200, "{name}: {run} statements while it waits");
        faults.heal();
        let outcome = scene.recovered(Instant::now(), Duration::from_secs(6), 0);
        println!("{name}: back after {:?}", outcome.recovered);
        let longer = |worst: &crate::harness::Outcome| outcome.recovered > worst.recovered;
        if worst.as_ref().is_none_or(longer) {
            worst = Some(outcome);
        }
    }
    row(
        "every read of the log refused: overloaded, unavailable, read time-out, read failure, server error in turn",
        "PARKED after five reads that failed, with which error it is; no storm of statements",
        NONE,
        "6 s: a wait of at most 5 s between two tries",
    )
    .survived(&worst.unwrap());
}

#[test]
fn one_read_in_three_fails() {
    let mut scene = Scene::start("shaky");
    let (faults, began) = (scene.faults(), Instant::now());
    let late = ErrorCode::ReadTimeout { consistency: QUORUM, received: 1, block_for: 2, data_present: 0 };
    for (code, one_in) in [(ErrorCode::Overloaded, 3), (late, 4), (ErrorCode::Server, 5)] {
        faults.fail(Failure::of("SELECT", code).one_in(one_in));
    }
    let mut parked = 0;
    while began.elapsed() < Duration::from_secs(4) {
        scene.write(1);
        let (state, reason) = scene.shown();
        assert!(state == "RUNNING" || state == "PARKED", "{state}: {reason}");
        parked += usize::from(state == "PARKED");
        std::thread::sleep(Duration::from_millis(50));
    }
    println!("seen PARKED {parked} times");
    faults.heal();
    let outcome = scene.recovered(Instant::now(), Duration::from_secs(6), 0);
    assert_eq!(scene.restarts(), 0);
    row(
        "one statement in three fails, with three kinds of errors mixed",
        "RUNNING, slower, now and then PARKED; no restart",
        NONE,
        "6 s",
    )
    .survived(&outcome);
}

#[test]
fn prepared_statements_forgotten() {
    let mut scene = Scene::start("unprepared");
    let began = Instant::now();
    for _ in 0..10 {
        scene.database.server().forget_statements();
        scene.write(2);
        let (state, reason) = scene.shown();
        assert_eq!(state, "RUNNING", "{reason}");
    }
    let outcome = scene.recovered(began, Duration::from_secs(10), 0);
    row(
        "prepared statements forgotten, as by nodes that restart one after the other",
        "RUNNING: the driver prepares them again",
        NONE,
        "nothing stops",
    )
    .survived(&crate::harness::Outcome { recovered: None, ..outcome });
}

#[test]
fn a_database_that_accepts_and_never_answers() {
    let mut scene = Scene::start("frozen");
    let (faults, before) = (scene.faults(), scene.faults().connections());
    scene.write(2);
    scene.arrived();
    faults.freeze();
    let began = Instant::now();
    let reason = scene.until("PARKED");
    let shown = began.elapsed();
    assert!(reason.contains("ScyllaDB did not answer in time"), "{reason}");
    assert!(reason.contains("session.request_timeout"), "{reason}");
    assert!(shown < Duration::from_secs(15), "{shown:?} until it shows");
    assert!(figure(scene.http, "weir_cdc_lag_seconds").unwrap() > 1.0, "the lag grows meanwhile");
    assert!(faults.connections() - before < 20);
    faults.thaw();
    let since = Instant::now();
    scene.write(2);
    let outcome = scene.recovered(since, Duration::from_secs(10), 0);
    row(
        "frozen: connections are accepted, requests never answered",
        "PARKED after five times `request_timeout`, or 10 s, with the advice; `weir_cdc_lag_seconds` grows",
        NONE,
        "10 s",
    )
    .survived(&outcome);
}

#[test]
fn gone_at_the_start_and_under_way() {
    let mut scene = Scene::start("gone");
    let address = scene.database.address().to_owned();
    scene.database.stop();
    scene.weir_again();
    let reason = scene.until("PARKED");
    assert!(reason.contains(&address) && reason.contains("session.contact_points"), "{reason}");
    assert_eq!(get(scene.http, "/ready").0, 503);
    assert_eq!(get(scene.http, "/health").0, 200, "an outage of the far side is no failure of ours");
    scene.database.restart();
    let since = Instant::now();
    scene.write(2);
    scene.recovered(since, Duration::from_secs(8), super::ORDERS * 2);
    assert_eq!(get(scene.http, "/ready").0, 200);
    scene.database.stop();
    scene.until("PARKED");
    scene.database.restart();
    let since = Instant::now();
    scene.write(2);
    let outcome = scene.recovered(since, Duration::from_secs(8), super::ORDERS * 2);
    assert_eq!(scene.restarts(), 0);
    row(
        "gone, at the start and under way: port closed, connections cut",
        "PARKED with its address and the advice, `/ready` 503 until it has run, `/health` 200; no restart",
        "10: what was in flight when the host was killed before",
        "8 s",
    )
    .survived(&outcome);
}

#[test]
fn more_rows_than_fit_the_memory_for_late_ones() {
    let mut scene = Scene::start_with("memory", ", safety: 3s, unsettled_memory: 64B");
    scene.write(20);
    let reason = scene.until("DEGRADED");
    assert!(reason.contains("raise unsettled_memory"), "{reason}");
    assert_eq!((get(scene.http, "/health").0, figure(scene.http, "weir_task_state")), (200, Some(1.0)));
    let began = Instant::now();
    let outcome = scene.recovered(began, Duration::from_secs(15), 0);
    row(
        "more rows within `safety` than fit `unsettled_memory`",
        "DEGRADED with the advice, `task_state` 1, `/health` 200; RUNNING again once they have settled",
        "0; with a late row, the rows of its second",
        "nothing stops",
    )
    .survived(&crate::harness::Outcome { recovered: None, ..outcome });
}
