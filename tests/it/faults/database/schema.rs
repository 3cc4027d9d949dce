//! A schema that changes under way: what does not matter goes unnoticed, and what does is said with its repair.

use std::time::{Duration, Instant};

use super::{NONE, Scene, row};
use crate::harness::{Outcome, figure};

const TABLE: &str = "orders_ks.outbox_messages";

/// The statement that a reason advises.
pub(super) fn advised(reason: &str) -> String {
    let begin = ["CREATE ", "ALTER "].iter().filter_map(|word| reason.find(word)).min();
    let advised = &reason[begin.unwrap_or_else(|| panic!("no CQL is advised: {reason}"))..];
    advised[..advised.find(';').expect("a statement ends")].to_owned()
}

#[test]
fn columns_and_options_that_do_not_matter() {
    let mut scene = Scene::start("altered");
    let began = Instant::now();
    for change in [
        "ADD note text",
        "ADD (more int, tags set<text>)",
        "DROP note",
        "WITH cdc = {'enabled': true, 'ttl': 90000, 'postimage': true}",
        "WITH cdc = {'enabled': true, 'ttl': 80000, 'preimage': true}",
        "WITH comment = 'changed'",
    ] {
        scene.database.execute(&format!("ALTER TABLE {TABLE} {change}"));
        scene.write(2);
        let (state, reason) = scene.shown();
        assert_eq!(state, "RUNNING", "{change}: {reason}");
    }
    let outcome = scene.recovered(began, Duration::from_secs(10), 0);
    assert!(figure(scene.http, "weir_cdc_rows_skipped_image_total").unwrap() > 0.0, "images are no events");
    row(
        "columns added and dropped, CDC options and TTL changed, pre- and postimages switched on",
        "RUNNING; images are counted and passed over",
        NONE,
        "nothing stops",
    )
    .survived(&Outcome { recovered: None, ..outcome });
}

#[test]
fn a_column_dropped_that_the_source_reads_and_can_do_without() {
    let mut scene = Scene::start("optional");
    scene.database.execute(&format!("ALTER TABLE {TABLE} DROP causation_id"));
    let since = Instant::now();
    scene.write(2);
    let outcome = scene.recovered(since, Duration::from_secs(10), super::ORDERS * 2);
    assert_eq!(scene.restarts(), 1);
    row(
        "a column of the outbox table dropped that the source reads and can do without",
        "RESTARTING once, `the table was altered`, and on without it",
        "10: what was read and not yet saved",
        "10 s: the task is built anew after a second",
    )
    .survived(&outcome);
}

#[test]
fn a_required_column_dropped() {
    let mut scene = Scene::start("dropped");
    scene.database.execute(&format!("ALTER TABLE {TABLE} DROP event_type"));
    let reason = scene.until("FAILED");
    assert!(reason.contains("no column `event_type`"), "{reason}");
    let before = scene.faults().statements();
    std::thread::sleep(Duration::from_secs(3));
    let run = scene.faults().statements() - before;
    assert!(run < 60, "{run} statements in 3 s");
    scene.database.execute(&advised(&scene.until("FAILED")));
    let since = Instant::now();
    scene.write(2);
    let outcome = scene.recovered(since, Duration::from_secs(10), super::ORDERS * 2);
    row(
        "a required column of the outbox table dropped",
        "FAILED with the `ALTER TABLE … ADD` that repairs it, as it stands; tried again every `retry_failed`",
        "10: what was read and not yet saved",
        "10 s with `retry_failed: 2s`, by itself",
    )
    .survived(&outcome);
}

#[test]
fn cdc_switched_off() {
    let mut scene = Scene::start("off");
    scene.database.execute(&format!("ALTER TABLE {TABLE} WITH cdc = {{'enabled': false}}"));
    // The table is looked at every half minute of the database's time.
    scene.faults().advance_clock(Duration::from_secs(31));
    let reason = scene.until("FAILED");
    assert!(reason.contains("CDC"), "{reason}");
    scene.database.execute(&advised(&reason));
    let since = Instant::now();
    scene.write(2);
    let outcome = scene.recovered(since, Duration::from_secs(10), super::ORDERS * 2);
    row(
        "CDC switched off under way: the log falls silent",
        "FAILED within 30 s, with the `ALTER TABLE … WITH cdc` that repairs it; what is written meanwhile is in no log",
        "10: what was read and not yet saved",
        "10 s with `retry_failed: 2s`, by itself",
    )
    .survived(&outcome);
}

#[test]
fn the_table_dropped_and_made_again() {
    let mut scene = Scene::start("remade");
    scene.database.execute(&format!("DROP TABLE {TABLE}"));
    let reason = scene.until("FAILED");
    assert!(reason.contains("there is no table") && reason.contains("CREATE TABLE"), "{reason}");
    scene.database.execute(&advised(&reason));
    let another = |reason: &String| reason.contains("the checkpoint belongs to source");
    let reason = crate::harness::until("the new table is told from the old", super::LIMIT, || {
        Some(scene.shown().1).filter(another)
    });
    assert!(reason.contains("another name"), "{reason}");
    scene.write(2);
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(scene.shown().0, "FAILED", "an old checkpoint is never taken for the new table's");
    scene.rename("remade-too");
    let since = Instant::now();
    let outcome = scene.recovered(since, Duration::from_secs(10), 0);
    row(
        "the outbox table dropped and made again",
        "FAILED: first that it is gone, then that the checkpoint belongs to the old one; under another name the pipeline reads the new one from its begin",
        "0",
        "10 s of the new name",
    )
    .survived(&outcome);
}
