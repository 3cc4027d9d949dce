//! Seats that fall behind, die and come back, while rows become readable late, streams are replaced and the table is
//! altered: each of them reads as if it were alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::join_all;
use serde_json::Value;
use tokio::time::{Instant, sleep};
use weir_scylla::hub::Hub;
use weir_scylla_dev::ScyllaDev;
use weir_sdk::{Checkpoint, ErrorKind, Room, SourceFactory};

use crate::late::{NOTICED, lates};
use crate::place::{Place, ROOM, Tail};
use crate::seats::{all_of, counted, seats, statements};
use crate::topology::Layout;

const SECOND: Duration = Duration::from_secs(1);
const ORDERS: u128 = 5;

/// Throws of a die that are the same in each run.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_laggard_costs_the_others_nothing_and_comes_back() {
    let place = Place::start().await;
    let sources = place.sources(Hub::keeping(64 << 10));
    let mut config = place.config();
    config["confidence"] = "200ms".into();
    let seat = async || place.seat_with(&*sources, config.clone(), Checkpoint::default()).await.unwrap();
    let (mut tails, mut laggard) = (vec![seat().await, seat().await], seat().await);
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

/// A seat that reads with pauses, small rooms and deaths, until nothing is written any more and all has come.
struct Life {
    sources: Arc<dyn SourceFactory>,
    config: Value,
    dice: Dice,
}

impl Life {
    async fn live(mut self, place: &Place, written: &AtomicBool, rows: usize) -> Tail {
        let begun = Instant::now();
        let done = |tail: &Tail| written.load(Ordering::Relaxed) && counted(tail.payloads()).len() >= rows;
        let mut tail = self.born(place, None).await;
        while !done(&tail) {
            for _ in 0..1 + self.dice.throw(12) {
                let records = 1 + usize::try_from(self.dice.throw(40)).unwrap();
                tail.poll(Room { records, ..ROOM }).await.unwrap();
                if done(&tail) {
                    break;
                }
                if self.dice.throw(4) == 0 {
                    sleep(Duration::from_millis(self.dice.throw(400))).await;
                }
            }
            tail = self.born(place, Some(tail)).await;
            assert!(begun.elapsed() < 60 * SECOND, "{} of {rows} came", tail.seen.len());
        }
        // What came twice would come now.
        tail.quiet(NOTICED).await;
        tail
    }

    /// Goes on after another one's death.
    async fn born(&self, place: &Place, before: Option<Tail>) -> Tail {
        let (seen, checkpoint) = before.map(|tail| (tail.seen, tail.checkpoint)).unwrap_or_default();
        let mut tail = place.seat_with(&*self.sources, self.config.clone(), checkpoint).await.unwrap();
        tail.seen = seen;
        tail
    }
}

/// What differs between two trials.
struct Trial {
    /// How much is kept for seats that are a little behind.
    kept: usize,
    dice: u64,
    unsettled_memory: &'static str,
    layout: Layout,
    /// The number of tablets after each so many rounds; new generations where there are none.
    replaced: &'static [u32],
}

const CALM: Trial =
    Trial { kept: 16 << 10, dice: 1, unsettled_memory: "32MiB", layout: Layout::Vnodes, replaced: &[] };

/// Three seats that fall behind, die and come back as the dice say, while rows become readable late by up to `safety`.
async fn three_lives(trial: Trial) -> Vec<Tail> {
    const ROUNDS: i64 = 40;
    let place = trial.layout.start(ScyllaDev::builder().vnodes(4).shards(2)).await;
    let sources = place.sources(Hub::keeping(trial.kept));
    let mut config = place.config();
    config["unsettled_memory"] = trial.unsettled_memory.into();
    let life = |number| {
        let dice = Dice(trial.dice + number);
        Life { sources: sources.clone(), config: config.clone(), dice }
    };
    let written = AtomicBool::new(false);
    let write = async {
        let (mut dice, mut replaced) = (Dice(trial.dice + 99), trial.replaced.iter());
        for number in 0..ROUNDS {
            if dice.throw(3) > 0 {
                let late =
                    [300, 1_500, 4_000, 12_000, 60_000, 118_000][usize::try_from(dice.throw(6)).unwrap()];
                let rows = 1 + u32::try_from(dice.throw(5)).unwrap();
                place.server.faults().delay_log_rows("shop", "outbox", rows, Duration::from_millis(late));
            }
            place.write_many(ORDERS, number..number + 1).await;
            if number % 8 == 4
                && let Some(tablets) = replaced.next()
            {
                trial.layout.replace(&place, *tablets);
            }
            place.server.faults().advance_clock(Duration::from_millis(dice.throw(4_000)));
            sleep(Duration::from_millis(dice.throw(150))).await;
        }
        for _ in 0..15 {
            place.server.faults().advance_clock(10 * SECOND);
            sleep(Duration::from_millis(60)).await;
        }
        written.store(true, Ordering::Relaxed);
    };
    let rows = all_of(ORDERS, 0..ROUNDS);
    let lives = join_all((0..3).map(|number| life(number).live(&place, &written, rows.len())));
    let ((), tails) = tokio::join!(write, lives);
    for tail in &tails {
        assert!(counted(tail.payloads()).keys().eq(rows.keys()), "kept {}, dice {}", trial.kept, trial.dice);
        assert!(!lates(tail).is_empty());
    }
    tails
}

/// Every row has come to each of them once, and in its order what was not late.
fn assert_once_in_order(tails: &[Tail]) {
    for tail in tails {
        let counts = counted(tail.payloads());
        assert!(counts.values().all(|count| *count == 1), "{counts:?}");
        for (key, numbers) in tail.by_key() {
            assert!(numbers.is_sorted(), "of {key}: {numbers:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn late_rows_come_once_to_each_whatever_is_kept_and_whoever_dies() {
    let (none, some, all) = tokio::join!(
        three_lives(Trial { kept: 0, ..CALM }),
        three_lives(Trial { dice: 2, ..CALM }),
        three_lives(Trial { kept: 16 << 20, dice: 3, ..CALM })
    );
    for tails in [none, some, all] {
        assert_once_in_order(&tails);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn late_rows_come_once_to_each_while_streams_are_replaced() {
    let vnodes = Trial { dice: 4, replaced: &[0; 4], ..CALM };
    let tablets = Trial { dice: 5, layout: Layout::Tablets, replaced: &[16, 4, 1, 8], ..CALM };
    let lone = Trial { kept: 0, dice: 6, layout: Layout::Tablets, replaced: &[8, 2, 32, 1], ..CALM };
    let (vnodes, tablets, lone) = tokio::join!(three_lives(vnodes), three_lives(tablets), three_lives(lone));
    for tails in [vnodes, tablets, lone] {
        assert_once_in_order(&tails);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn over_the_memory_for_late_rows_none_is_lost_to_any_of_them() {
    let tiny = |kept, dice| Trial { kept, dice, unsettled_memory: "200B", ..CALM };
    let (some, all) = tokio::join!(three_lives(tiny(0, 7)), three_lives(tiny(16 << 20, 8)));
    for tail in some.iter().chain(&all) {
        let repeated = counted(tail.payloads()).values().filter(|count| **count > 1).count();
        assert!(repeated > 0, "it had memory enough: nothing was tried");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_become_readable_at_any_moment_of_a_laggards_return_come_once() {
    const STEP: Duration = Duration::from_millis(100);
    let place = Place::start().await;
    let sources = place.sources(Hub::keeping(16 << 10));
    let mut tails = seats(&place, &*sources, 3).await;
    let mut laggard = tails.pop().unwrap();
    place.write_many(ORDERS, 0..1).await;
    join_all(tails.iter_mut().chain([&mut laggard]).map(|tail| tail.until(5))).await;
    // It stands still, while more is written than is kept, and a row is on its way for each step of its return.
    for number in 1..61 {
        let late = STEP * u32::try_from(number).unwrap();
        place.server.faults().delay_log_rows("shop", "outbox", 1, 3 * SECOND + late);
        place.write_many(ORDERS, number..number + 1).await;
    }
    join_all(tails.iter_mut().map(|tail| tail.until(5 + 60 * 4))).await;
    let room = Room { records: 7, ..ROOM };
    for _ in 0..100 {
        place.server.faults().advance_clock(STEP);
        for tail in tails.iter_mut().chain([&mut laggard]) {
            tokio::time::timeout(STEP / 5, tail.poll(room)).await.ok();
        }
    }
    tails.push(laggard);
    place.server.faults().advance_clock(130 * SECOND);
    join_all(tails.iter_mut().map(|tail| async {
        tail.until(61 * 5).await;
        tail.quiet(NOTICED).await;
        assert_eq!(counted(tail.payloads()), all_of(ORDERS, 0..61));
    }))
    .await;
    assert_once_in_order(&tails);
}

/// Goes on from its checkpoint, as the host lets a task.
async fn again(place: &Place, sources: &dyn SourceFactory, before: Tail) -> Tail {
    let mut tail = place.seat(sources, before.checkpoint).await;
    tail.seen = before.seen;
    tail
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_altered_parts_the_seats_and_costs_none_of_them_a_row() {
    let place = Place::start().await;
    let sources = &*place.sources(Hub::default());
    let mut tails = seats(&place, sources, 3).await;
    let (mut next, mut rows) = (0, 0);
    for change in ["ADD note text", "DROP causation_id", "WITH cdc = {'enabled': true, 'ttl': 90000}"] {
        // One row is readable only after the change, and after the restart of one of them.
        place.server.faults().delay_log_rows("shop", "outbox", 1, 5 * SECOND);
        place.write_many(ORDERS, next..next + 2).await;
        place.run(&format!("ALTER TABLE shop.outbox {change}")).await;
        place.write_many(ORDERS, next + 2..next + 4).await;
        (next, rows) = (next + 4, rows + 20);
        let read = tails.into_iter().map(|mut tail| async {
            while tail.seen.len() < rows - 1 {
                if let Err(error) = tail.poll(ROOM).await {
                    // A column that a seat asks for is no longer there: it has to begin anew.
                    assert_eq!((error.kind(), change), (ErrorKind::Bug, "DROP causation_id"), "{error}");
                    tail = again(&place, sources, tail).await;
                }
            }
            tail
        });
        tails = join_all(read).await;
        // Who begins now has another reader than those who were there before.
        let first = tails.remove(0);
        tails.push(again(&place, sources, first).await);
        place.server.faults().advance_clock(12 * SECOND);
        join_all(tails.iter_mut().map(|tail| tail.until(rows))).await;
    }
    join_all(tails.iter_mut().map(|tail| tail.quiet(NOTICED))).await;
    for tail in &tails {
        assert_eq!(counted(tail.payloads()), all_of(ORDERS, 0..next));
        assert_eq!(lates(tail).len(), 3);
    }
    assert_once_in_order(&tails);
}
