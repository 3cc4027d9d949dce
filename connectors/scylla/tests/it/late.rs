//! Rows that become readable late: each arrives, each once, whatever happens in between.

use std::time::Duration;

use weir_sdk::Checkpoint;

use crate::place::{Place, Tail, header, payload};

const SECOND: Duration = Duration::from_secs(1);
/// More than two seconds of the server's, so that two looks at its clock have been acted upon.
pub(crate) const NOTICED: Duration = Duration::from_millis(500);

impl Place {
    /// Writes an event whose log row becomes readable so much later.
    async fn write_late(&self, aggregate: u128, number: i64, by: Duration) {
        self.server.faults().delay_log_rows("shop", "outbox", 1, by);
        self.write(aggregate, number).await;
    }

    /// Moves the server's clock until so many records have come, and lets the reader act upon it.
    async fn pass(&self, tail: &mut Tail, time: Duration, records: usize) {
        self.server.faults().advance_clock(time);
        tail.until(records).await;
        tail.caught_up(&self.server).await;
    }
}

pub(crate) fn lates(tail: &Tail) -> Vec<String> {
    let late = tail.seen.iter().filter(|record| header(record, "weir.late").as_deref() == Some("true"));
    late.map(|record| String::from_utf8(record.value.as_ref().unwrap().to_vec()).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_late_by_up_to_safety_arrive_once_each_marked_and_counted() {
    let place = Place::start().await.unhurried();
    let mut tail = place.open(Checkpoint::default()).await;
    place.write(1, 0).await;
    for (number, late) in [(1, 500), (2, 5_000), (3, 20_000), (4, 70_000), (5, 119_000)] {
        place.write_late(1, number, Duration::from_millis(late)).await;
    }
    place.write(1, 6).await;
    tail.until(3).await;
    assert_eq!(tail.payloads(), [payload(1, 0), payload(1, 6), payload(1, 1)], "half a second late");
    // Five and twenty seconds late are found by the visits at ten and at 120, the rest by the last one.
    for (seconds, records) in [(12, 4), (125, 7)] {
        place.pass(&mut tail, Duration::from_secs(seconds), records).await;
    }
    let mut came = lates(&tail);
    came.sort();
    assert_eq!(came, (1..=5).map(|number| payload(1, number)).collect::<Vec<_>>());
    assert_eq!(tail.seen.len(), 7, "{:?}", tail.payloads());
    assert_eq!(tail.counted("cdc_late_rows_total"), 5);
    place.pass(&mut tail, 200 * SECOND, 7).await;
    tail.quiet(NOTICED).await;
    assert_eq!(tail.seen.len(), 7, "nothing comes twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_between_the_write_and_its_arrival_loses_and_repeats_nothing() {
    let place = Place::start().await;
    let mut tail = place.open(Checkpoint::default()).await;
    place.write(1, 0).await;
    for (number, late) in [(1, 5), (2, 20), (3, 70)] {
        place.write_late(1, number, Duration::from_secs(late)).await;
    }
    place.write(2, 0).await;
    tail.until(2).await;
    let mut came = tail.payloads();
    let mut checkpoint = tail.checkpoint.clone();
    drop(tail);
    for (seconds, rows) in [(10, 1), (25, 1), (100, 1), (200, 0)] {
        place.server.faults().advance_clock(Duration::from_secs(seconds));
        let mut tail = place.open(checkpoint).await;
        tail.until(rows).await;
        tail.caught_up(&place.server).await;
        came.extend(tail.payloads());
        assert_eq!(lates(&tail).len(), tail.seen.len(), "only late rows are left");
        checkpoint = tail.checkpoint.clone();
    }
    came.sort();
    assert_eq!(came, [payload(1, 0), payload(1, 1), payload(1, 2), payload(1, 3), payload(2, 0)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_late_rows_come_through_a_small_room_over_restarts() {
    let place = Place::start().await;
    let mut tail = place.open(Checkpoint::default()).await;
    place.write_many(10, 0..10).await;
    place.server.faults().delay_log_rows("shop", "outbox", 300, 8 * SECOND);
    place.write_many(10, 10..40).await;
    place.write_many(10, 40..50).await;
    tail.until(200).await;
    assert_eq!(tail.seen.len(), 200);
    place.server.faults().advance_clock(15 * SECOND);
    let mut came = tail.payloads();
    let mut checkpoint = tail.checkpoint.clone();
    drop(tail);
    while came.len() < 500 {
        let mut tail = place.open(checkpoint).await;
        while tail.seen.is_empty() {
            tail.poll(weir_sdk::Room { records: 60, bytes: 1 << 20 }).await.unwrap();
        }
        came.extend(tail.payloads());
        checkpoint = tail.checkpoint.clone();
    }
    let mut tail = place.open(checkpoint).await;
    tail.quiet(NOTICED).await;
    came.extend(tail.payloads());
    came.sort();
    let mut wanted: Vec<_> =
        (0..10).flat_map(|order| (0..50).map(move |number| payload(order, number))).collect();
    wanted.sort();
    assert_eq!(came, wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn over_the_memory_budget_late_rows_still_come_with_repeats() {
    let place = Place::start().await;
    let mut config = place.config();
    config["unsettled_memory"] = "64B".into();
    let mut tail = place.open_with(config.clone(), Checkpoint::default()).await.unwrap();
    place.write_many(10, 0..10).await;
    place.write_late(1, 10, 30 * SECOND).await;
    place.write_many(10, 11..12).await;
    tail.until(110).await;
    place.pass(&mut tail, 15 * SECOND, 110).await;
    tail.quiet(NOTICED).await;
    assert_eq!(tail.seen.len(), 110, "nothing changed, nothing is repeated");
    let reason = tail.conditions.reason().unwrap();
    assert!(reason.contains("raise unsettled_memory"), "{reason}");
    let checkpoint = tail.checkpoint.clone();
    drop(tail);
    place.server.faults().advance_clock(120 * SECOND);
    let mut tail = place.open_with(config, checkpoint).await.unwrap();
    tail.until(1).await;
    tail.quiet(NOTICED).await;
    assert!(tail.payloads().contains(&payload(1, 10)), "{:?}", tail.payloads());
}
