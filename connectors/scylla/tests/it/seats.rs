//! Several sources that read one table: the database is asked once, and each of them reads as if it were alone. Those
//! that fall behind and come back: [`crate::rejoins`].

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::join_all;
use tokio::time::{Instant, sleep};
use weir_scylla::hub::Hub;
use weir_scylla_dev::error::ErrorCode;
use weir_scylla_dev::faults::Failure;
use weir_sdk::{Checkpoint, ErrorKind, SourceFactory};

use crate::place::{Place, ROOM, Tail, payload};

const SECOND: Duration = Duration::from_secs(1);

/// Statements that the server ran during `what`.
pub(crate) async fn statements(place: &Place, what: impl Future) -> u64 {
    let before = place.server.faults().statements();
    what.await;
    place.server.faults().statements() - before
}

pub(crate) async fn seats(place: &Place, sources: &dyn SourceFactory, many: usize) -> Vec<Tail> {
    join_all((0..many).map(|_| place.seat(sources, Checkpoint::default()))).await
}

/// Every payload with how often it came.
pub(crate) fn counted(payloads: impl IntoIterator<Item = String>) -> BTreeMap<String, usize> {
    payloads.into_iter().fold(BTreeMap::new(), |mut counts, payload| {
        *counts.entry(payload).or_default() += 1;
        counts
    })
}

pub(crate) fn all_of(orders: u128, numbers: std::ops::Range<i64>) -> BTreeMap<String, usize> {
    counted(numbers.flat_map(|number| (0..orders).map(move |order| payload(order, number))))
}

#[tokio::test(flavor = "multi_thread")]
async fn four_read_a_backlog_at_the_price_of_one() {
    let place = Place::start().await;
    place.write_many(40, 0..100).await;
    let mut config = place.config();
    config["session"]["page_size"] = 37.into();
    let mut alone = place.open_with(config, Checkpoint::default()).await.unwrap();
    alone.until(4_000).await;
    let mut costs = Vec::new();
    for many in [1, 4] {
        let sources = place.sources(Hub::default());
        let mut tails = seats(&place, &*sources, many).await;
        let connections = place.server.faults().connections();
        costs.push(statements(&place, join_all(tails.iter_mut().map(|tail| tail.until(4_000)))).await);
        assert_eq!(place.server.faults().connections(), connections, "they share a session");
        for tail in &tails {
            assert_eq!(tail.payloads().len(), 4_000);
            assert_eq!(tail.by_key(), alone.by_key());
            assert_eq!(tail.counted("cdc_events_processed_total"), 4_000);
        }
    }
    assert!(costs[1] <= costs[0] + costs[0] / 4 + 4, "{costs:?}: [one, four]");
}

#[tokio::test(flavor = "multi_thread")]
async fn four_follow_live_events_and_their_late_rows_at_the_price_of_one() {
    let place = Place::start().await;
    let mut costs = Vec::new();
    for (many, first) in [(1, 0), (4, 100)] {
        let sources = place.sources(Hub::default());
        let mut tails = seats(&place, &*sources, many).await;
        join_all(tails.iter_mut().map(|tail| tail.caught_up(&place.server))).await;
        let before: Vec<_> = tails.iter().map(|tail| tail.seen.len()).collect();
        let done = AtomicBool::new(false);
        let write = async {
            for number in first..first + 30 {
                if number % 10 == 3 {
                    place.server.faults().delay_log_rows("shop", "outbox", 1, 2 * SECOND);
                }
                place.write(1, number).await;
                sleep(Duration::from_millis(40)).await;
            }
            place.server.faults().advance_clock(12 * SECOND);
            done.store(true, Ordering::Relaxed);
        };
        let done = &done;
        let follow = join_all(tails.iter_mut().zip(&before).map(|(tail, before)| async move {
            while !done.load(Ordering::Relaxed) {
                tail.poll(ROOM).await.unwrap();
            }
            tail.until(before + 30).await;
        }));
        costs.push(Box::pin(statements(&place, async { tokio::join!(write, follow) })).await);
        for (tail, before) in tails.iter().zip(before) {
            let came = counted(tail.payloads().split_off(before));
            assert_eq!(came, counted((first..first + 30).map(|number| payload(1, number))));
        }
    }
    println!("statements of one reader {}, of four {}", costs[0], costs[1]);
    assert!(costs[1] <= costs[0] * 3 / 2, "{costs:?}: [one, four]");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_reaches_every_seat_and_reading_goes_on() {
    let place = Place::start().await;
    let sources = place.sources(Hub::default());
    let mut tails = seats(&place, &*sources, 3).await;
    place.write_many(4, 0..1).await;
    join_all(tails.iter_mut().map(|tail| tail.until(4))).await;
    place.server.faults().freeze();
    let begun = Instant::now();
    let failed = join_all(tails.iter_mut().map(|tail| async {
        loop {
            if let Err(error) = tail.poll(ROOM).await {
                break error.kind();
            }
        }
    }))
    .await;
    assert_eq!(failed, [ErrorKind::Timeout; 3]);
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}: not one after the other", begun.elapsed());
    place.server.faults().thaw();
    let code = ErrorCode::Overloaded;
    place.server.faults().fail(Failure::of("outbox_scylla_cdc_log", code).times(1));
    place.write_many(4, 1..2).await;
    let recover = tails.iter_mut().map(|tail| async {
        while tail.seen.len() < 8 {
            if tail.poll(ROOM).await.is_err() {
                sleep(Duration::from_millis(20)).await;
            }
        }
    });
    join_all(recover).await;
    assert!(tails.iter().all(|tail| counted(tail.payloads()) == all_of(4, 0..2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_panics_or_closes_touches_no_other_and_the_last_one_stops_the_reading() {
    let place = Place::start().await;
    let sources = place.sources(Hub::default());
    let mut tails = seats(&place, &*sources, 3).await;
    place.write_many(4, 0..1).await;
    join_all(tails.iter_mut().map(|tail| tail.until(4))).await;
    let mut panics = tails.pop().unwrap();
    let task = tokio::spawn(async move {
        panics.poll(ROOM).await.unwrap();
        panic!("on purpose");
    });
    assert!(task.await.unwrap_err().is_panic());
    tails.pop().unwrap().source.close().await.unwrap();
    place.write_many(4, 1..2).await;
    let mut last = tails.pop().unwrap();
    last.until(8).await;
    drop(last);
    // What was asked before it was closed may still be on its way.
    let (mut before, mut since) = (place.server.faults().statements(), Instant::now());
    let begun = Instant::now();
    while since.elapsed() < Duration::from_millis(1_500) {
        sleep(Duration::from_millis(50)).await;
        let now = place.server.faults().statements();
        if now != before {
            (before, since) = (now, Instant::now());
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "statements go on: {now}");
    }
}
