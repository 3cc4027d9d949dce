//! Going on from a checkpoint, and what a checkpoint is refused for.

use std::time::Duration;

use weir_scylla::reader::token::Position;
use weir_sdk::{Checkpoint, ErrorKind, Partition, Room};

use crate::place::{Place, ROOM, payload};

/// The reader asks for the server's time once a second, so a move of that clock is known after this.
const LOOK: Duration = Duration::from_millis(1_100);

#[tokio::test(flavor = "multi_thread")]
async fn an_hour_of_idleness_makes_no_gap_and_a_day_of_absence_does() {
    let place = Place::start().await;
    place.run("ALTER TABLE shop.outbox WITH cdc = {'enabled': true, 'ttl': 1800}").await;
    let mut tail = place.open(Checkpoint::default()).await;
    place.write(1, 1).await;
    tail.until(1).await;
    for _ in 0..4 {
        place.server.faults().advance_clock(Duration::from_secs(900));
        tail.caught_up(&place.server).await;
    }
    let checkpoint = tail.checkpoint.clone();
    drop(tail);
    let mut tail = place.open(checkpoint.clone()).await;
    place.write(1, 2).await;
    tail.until(1).await;
    assert_eq!(tail.payloads(), [payload(1, 2)]);
    drop(tail);
    place.server.faults().advance_clock(Duration::from_secs(1900));
    let mut tail = place.open(checkpoint).await;
    let error = tail.poll(ROOM).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Gap);
    assert!(error.operator_advice().unwrap().contains("ttl"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_start_that_was_interrupted_is_a_gap_only_once_rows_written_since_have_expired() {
    let place = Place::start().await;
    place.run("ALTER TABLE shop.outbox WITH cdc = {'enabled': true, 'ttl': 1800}").await;
    let begin = place.open(Checkpoint::default()).await.start.checkpoint;
    place.write(1, 1).await;
    place.server.faults().advance_clock(Duration::from_secs(1700));
    let mut tail = place.open(begin.clone()).await;
    tail.until(1).await;
    assert_eq!(tail.payloads(), [payload(1, 1)]);
    drop(tail);
    place.server.faults().advance_clock(Duration::from_secs(200));
    let mut tail = place.open(begin).await;
    assert_eq!(tail.poll(ROOM).await.unwrap_err().kind(), ErrorKind::Gap);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_checkpoint_of_a_backlog_resumes_without_loss_or_repeat() {
    let place = Place::start().await;
    place.write_many(25, 0..20).await;
    let mut config = place.config();
    config["session"]["page_size"] = 13.into();
    let (mut came, mut checkpoint) = (Vec::new(), Checkpoint::default());
    let mut lives = 0;
    while came.len() < 500 {
        let mut tail = place.open_with(config.clone(), checkpoint).await.unwrap();
        while tail.seen.is_empty() {
            tail.poll(Room { records: 41, bytes: 1 << 20 }).await.unwrap();
        }
        came.extend(tail.payloads());
        checkpoint = tail.checkpoint.clone();
        lives += 1;
    }
    assert!(lives >= 500 / 41, "{lives} lives");
    came.sort();
    let mut wanted: Vec<_> =
        (0..25).flat_map(|order| (0..20).map(move |number| payload(order, number))).collect();
    wanted.sort();
    assert_eq!(came, wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_generation_is_read_after_the_old_one() {
    let place = Place::start().await;
    let mut tail = place.open(Checkpoint::default()).await;
    place.write_many(20, 0..5).await;
    let switch = place.server.clock().micros() / 1_000 + 5_500;
    place.server.new_generation(switch);
    place.write_many(20, 5..10).await;
    tail.until(200).await;
    // A row of the old streams that becomes readable when the new ones are in use.
    place.server.faults().delay_log_rows("shop", "outbox", 1, Duration::from_secs(8));
    place.write(3, 10).await;
    place.server.faults().advance_clock(Duration::from_secs(6));
    place.write_many(20, 11..20).await;
    tail.until(380).await;
    place.server.faults().advance_clock(Duration::from_secs(20));
    tail.until(381).await;
    tail.quiet(Duration::from_secs(2)).await;
    let of_three: Vec<_> =
        tail.payloads().into_iter().filter(|value| value.contains("\"order\": 3,")).collect();
    let wanted: Vec<_> = (0..10).chain(11..20).chain([10]).map(|number| payload(3, number)).collect();
    assert_eq!(of_three, wanted);
    let checkpoint = tail.checkpoint.clone();
    drop(tail);
    place.write(5, 99).await;
    let mut tail = place.open(checkpoint).await;
    tail.until(1).await;
    assert_eq!(tail.payloads(), [payload(5, 99)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_that_cannot_be_read_is_refused() {
    let place = Place::start().await;
    for (name, offset) in [("log", vec![9, 9]), ("elsewhere", vec![1])] {
        let foreign: Checkpoint = [(Partition::from(name), offset)].into_iter().collect();
        let error = place.open_with(place.config(), foreign).await.err().expect("it is refused");
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(name) && error.operator_advice().is_some(), "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_expire_while_their_window_is_open_are_a_gap() {
    let place = Place::start().await;
    place.run("ALTER TABLE shop.outbox WITH cdc = {'enabled': true, 'ttl': 1800}").await;
    let mut tail = place.open(Checkpoint::default()).await;
    place.write(1, 0).await;
    tail.until(1).await;
    tail.caught_up(&place.server).await;
    let checkpoint = tail.checkpoint.clone();
    drop(tail);
    place.write_many(10, 1..21).await;
    place.server.faults().advance_clock(Duration::from_secs(1000));
    let mut config = place.config();
    config["session"]["page_size"] = 5.into();
    let mut tail = place.open_with(config, checkpoint).await.unwrap();
    while tail.seen.is_empty() {
        tail.poll(Room { records: 10, ..ROOM }).await.unwrap();
    }
    // The sink is away until the rows are gone, but not the end of the window that they lie in.
    place.server.faults().advance_clock(Duration::from_secs(830));
    tokio::time::sleep(LOOK).await;
    let error = loop {
        if let Err(error) = tail.poll(ROOM).await {
            break error;
        }
        let position = Position::read(&tail.checkpoint).unwrap().unwrap();
        assert!(
            position.main.window.is_some(),
            "{} of 200 rows came, and no word of the rest",
            tail.seen.len()
        );
    };
    assert_eq!(error.kind(), ErrorKind::Gap);
}
