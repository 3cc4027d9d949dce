//! Several sources that read one table: the database is asked once, and each of them reads as if it were alone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::join_all;
use tokio::time::{Instant, sleep};
use weir_scylla::hub::Hub;
use weir_scylla_dev::error::ErrorCode;
use weir_scylla_dev::faults::Failure;
use weir_sdk::{Checkpoint, ErrorKind, Room, SourceFactory};

use crate::late::lates;
use crate::place::{Place, ROOM, Tail, payload};

const SECOND: Duration = Duration::from_secs(1);

/// Statements that the server ran during `what`.
async fn statements(place: &Place, what: impl Future) -> u64 {
    let before = place.server.faults().statements();
    what.await;
    place.server.faults().statements() - before
}

async fn seats(place: &Place, sources: &dyn SourceFactory, many: usize) -> Vec<Tail> {
    join_all((0..many).map(|_| place.seat(sources, Checkpoint::default()))).await
}

/// Every payload with how often it came.
fn counted(payloads: impl IntoIterator<Item = String>) -> BTreeMap<String, usize> {
    payloads.into_iter().fold(BTreeMap::new(), |mut counts, payload| {
        *counts.entry(payload).or_default() += 1;
        counts
    })
}

fn all_of(orders: u128, numbers: std::ops::Range<i64>) -> BTreeMap<String, usize> {
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
                sleep(Duration::from_millis(100)).await;
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
async fn a_laggard_costs_the_others_nothing_and_comes_back() {
    let place = Place::start().await;
    let sources = place.sources(Hub::keeping(64 << 10));
    let mut tails = seats(&place, &*sources, 3).await;
    let mut laggard = tails.pop().unwrap();
    place.write_many(10, 0..1).await;
    laggard.until(10).await;
    let ahead = async |tails: &mut Vec<Tail>, records| {
        join_all(tails.iter_mut().map(|tail| tail.until(records))).await;
    };
    // Its sink stands still: nobody polls it, while more is written than is kept for it.
    for number in 1..12 {
        place.write_many(10, number..number + 1).await;
        ahead(&mut tails, 10 * (1 + usize::try_from(number).unwrap())).await;
    }
    let alone = statements(&place, laggard.until(120)).await;
    assert!(alone > 0, "it reads what the others have read");
    assert_eq!(counted(laggard.payloads()), all_of(10, 0..12));
    laggard.caught_up(&place.server).await;
    tails.push(laggard);
    let together = async |tails: &mut Vec<Tail>, numbers: std::ops::Range<i64>| {
        for number in numbers {
            place.write_many(10, number..number + 1).await;
            ahead(tails, 10 * (1 + usize::try_from(number).unwrap())).await;
        }
    };
    let three = statements(&place, together(&mut tails, 12..24)).await;
    let mut one = vec![tails.remove(2)];
    drop(tails);
    let one = statements(&place, together(&mut one, 24..36)).await;
    assert!(three <= one * 3 / 2 + 10, "of three together {three}, of one {one}");
}

/// Reads with pauses, small rooms and deaths, until nothing is written any more and all has come.
struct Life {
    sources: Arc<dyn SourceFactory>,
    checkpoint: Checkpoint,
    came: Vec<String>,
    late: Vec<String>,
    /// Decides on what happens next.
    dice: u64,
}

impl Life {
    fn throw(&mut self, sides: u64) -> u64 {
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.dice >> 33) % sides
    }

    async fn live(&mut self, place: &Place, written: &AtomicBool, rows: usize) {
        let begun = Instant::now();
        while self.came.len() < rows || !written.load(Ordering::Relaxed) {
            let mut tail = place.seat(&*self.sources, self.checkpoint.clone()).await;
            let polls = 1 + self.throw(12);
            for _ in 0..polls {
                if self.came.len() + tail.seen.len() >= rows && written.load(Ordering::Relaxed) {
                    break;
                }
                let records = 1 + usize::try_from(self.throw(40)).unwrap();
                tail.poll(Room { records, ..ROOM }).await.unwrap();
                if self.throw(4) == 0 {
                    sleep(Duration::from_millis(self.throw(400))).await;
                }
            }
            self.end(&tail);
            assert!(begun.elapsed() < 60 * SECOND, "{} of {rows} came", self.came.len());
        }
        // What came twice would come now.
        let mut tail = place.seat(&*self.sources, self.checkpoint.clone()).await;
        tail.quiet(crate::late::NOTICED).await;
        self.end(&tail);
    }

    fn end(&mut self, tail: &Tail) {
        self.checkpoint = tail.checkpoint.clone();
        self.came.extend(tail.payloads());
        self.late.extend(lates(tail));
    }
}

/// Three seats that fall behind, die and come back as the dice say, while rows become readable late by up to `safety`.
async fn late_rows_come_once(kept: usize, dice: u64) {
    let place = Place::start().await;
    let sources = place.sources(Hub::keeping(kept));
    let life = |number| Life {
        sources: sources.clone(),
        checkpoint: Checkpoint::default(),
        came: Vec::new(),
        late: Vec::new(),
        dice: dice + number,
    };
    let (mut lives, written): (Vec<_>, _) = ((0..3).map(life).collect(), AtomicBool::new(false));
    let (rounds, orders) = (40, 5);
    let write = async {
        let mut writer = life(99);
        for number in 0..rounds {
            if writer.throw(3) > 0 {
                let late =
                    [300, 1_500, 4_000, 12_000, 60_000, 118_000][usize::try_from(writer.throw(6)).unwrap()];
                let rows = 1 + u32::try_from(writer.throw(5)).unwrap();
                place.server.faults().delay_log_rows("shop", "outbox", rows, Duration::from_millis(late));
            }
            place.write_many(orders, number..number + 1).await;
            place.server.faults().advance_clock(Duration::from_millis(writer.throw(4_000)));
            sleep(Duration::from_millis(writer.throw(150))).await;
        }
        for _ in 0..15 {
            place.server.faults().advance_clock(10 * SECOND);
            sleep(Duration::from_millis(60)).await;
        }
        written.store(true, Ordering::Relaxed);
    };
    let rows = usize::try_from(rounds).unwrap() * 5;
    tokio::join!(write, join_all(lives.iter_mut().map(|life| life.live(&place, &written, rows))));
    for life in lives {
        assert_eq!(counted(life.came), all_of(orders, 0..rounds), "kept {kept}, dice {dice}");
        assert!(!life.late.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn late_rows_come_once_to_each_whatever_is_kept_and_whoever_dies() {
    tokio::join!(
        late_rows_come_once(0, 1),
        late_rows_come_once(16 << 10, 2),
        late_rows_come_once(16 << 20, 3)
    );
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
