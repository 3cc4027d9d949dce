//! A table that keeps each event in a partition of its own, so that only times tell the order.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;
use uuid::Uuid;
use weir_scylla_dev::ScyllaDev;
use weir_sdk::{Checkpoint, Room};

use crate::late::NOTICED;
use crate::place::{Place, ROOM, header};

const KEYS: u128 = 12;

/// A server with `shop.events`, on tablets so that they can be split.
async fn place() -> Place {
    let place = Place::on(ScyllaDev::builder().shards(2), "{'initial': 8}").await;
    place
        .run("CREATE TABLE shop.events (id uuid PRIMARY KEY, aggregate_id text, type text, body text, number int, at timeuuid) WITH cdc = {'enabled': true}")
        .await;
    place
}

fn config(place: &Place) -> Value {
    let mut config = place.config();
    let more = json!({
        "table": "events", "order_by_key": true, "order_column": "number", "headers": {"number": "number"},
        "columns": {"event_id": "id", "event_type": "type", "payload": "body"},
    });
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    config["session"]["page_size"] = 20.into();
    config
}

fn insert(key: u128, number: i64) -> String {
    let (id, body) = (Uuid::new_v4(), "x".repeat(100));
    format!(
        "INSERT INTO shop.events (id, aggregate_id, type, body, number) VALUES ({id}, 'a{key}', 'X', '{body}', {number});"
    )
}

/// Writes these events of each key, one after the other.
async fn write(place: &Place, numbers: std::ops::Range<i64>) {
    for number in numbers {
        let writes = (0..KEYS).map(|key| async move { place.run(&insert(key, number)).await });
        futures::future::join_all(writes).await;
    }
}

fn numbers(seen: &[weir_sdk::Record], key: u128) -> Vec<i64> {
    let key = format!("a{key}");
    let of_key = seen.iter().filter(|record| record.key.as_deref() == Some(key.as_bytes()));
    of_key.map(|record| header(record, "number").unwrap().parse().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_one_key_come_in_order_from_all_streams_over_restarts_and_splits() {
    let place = place().await;
    let writing = async {
        write(&place, 0..20).await;
        let since = place.server.clock().micros() / 1_000 + 5_500;
        place.server.resize_tablets("shop", "events", 32, since).unwrap();
        write(&place, 20..30).await;
        place.server.faults().advance_clock(Duration::from_secs(6));
        write(&place, 30..50).await;
    };
    tokio::pin!(writing);
    let all = KEYS as usize * 50;
    let (mut tail, mut written, mut lives) =
        (place.open_with(config(&place), Checkpoint::default()).await.unwrap(), false, 0);
    let begun = Instant::now();
    while tail.seen.len() < all {
        assert!(begun.elapsed() < Duration::from_secs(60), "{} came", tail.seen.len());
        tokio::select! {
            polled = tail.poll(Room { records: 30, ..ROOM }) => drop(polled.unwrap()),
            () = &mut writing, if !written => written = true,
        }
        if tail.seen.len() >= (lives + 1) * 100 {
            let (seen, checkpoint) = (std::mem::take(&mut tail.seen), tail.checkpoint.clone());
            drop(tail);
            tail = place.open_with(config(&place), checkpoint).await.unwrap();
            tail.seen = seen;
            lives += 1;
        }
    }
    tail.quiet(NOTICED).await;
    assert!(lives >= 5, "{lives} lives");
    let wanted: Vec<i64> = (0..50).collect();
    for key in 0..KEYS {
        let mut numbers = numbers(&tail.seen, key);
        // Only a row that shares its microsecond with the first of the next batch may come twice.
        numbers.dedup();
        assert_eq!(numbers, wanted, "of {key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_the_memory_is_read_in_halves() {
    let place = place().await;
    write(&place, 0..40).await;
    let mut config = config(&place);
    config["order_memory"] = "20KiB".into();
    let mut tail = place.open_with(config, Checkpoint::default()).await.unwrap();
    let mut largest = 0;
    while tail.seen.len() < KEYS as usize * 40 {
        largest = tail.poll(ROOM).await.unwrap().max(largest);
    }
    assert!(largest < 60, "{largest} rows of half a kilobyte were put in order at once");
    tail.quiet(NOTICED).await;
    for key in 0..KEYS {
        assert_eq!(numbers(&tail.seen, key), (0..40).collect::<Vec<_>>(), "of {key}");
    }
    let times: Vec<_> = tail.seen.iter().map(|record| record.timestamp).collect();
    assert!(times.is_sorted());
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_one_batch_go_by_their_column_over_a_restart_among_them() {
    let place = place().await;
    let mut order: Vec<i64> = (0..40).collect();
    // Any order but the right one.
    order.sort_by_key(|number| number * 7 % 40);
    let rows: String = order.iter().map(|number| insert(1, *number)).collect();
    place.run(&format!("BEGIN BATCH {rows} APPLY BATCH")).await;
    write(&place, 40..41).await;
    let mut tail = place.open_with(config(&place), Checkpoint::default()).await.unwrap();
    while tail.seen.is_empty() {
        tail.poll(Room { records: 15, ..ROOM }).await.unwrap();
    }
    assert_eq!(numbers(&tail.seen, 1), (0..15).collect::<Vec<_>>());
    // They have one time, so the checkpoint covers none before it covers all.
    let mut tail = place.open_with(config(&place), tail.checkpoint).await.unwrap();
    tail.until(40 + KEYS as usize).await;
    assert_eq!(numbers(&tail.seen, 1), (0..41).collect::<Vec<_>>());
    place.server.faults().advance_clock(Duration::from_secs(130));
    tail.caught_up(&place.server).await;
    tail.quiet(NOTICED).await;
    assert_eq!(tail.seen.len(), 40 + KEYS as usize, "no visit takes them for late");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_orders_nothing_is_refused() {
    let place = place().await;
    for (column, said) in
        [("body", "a whole number, a timestamp or a timeuuid"), ("nowhere", "no column `nowhere`")]
    {
        let mut config = config(&place);
        config["order_column"] = column.into();
        let error = place.open_with(config, Checkpoint::default()).await.err().expect("it is refused");
        assert_eq!(error.problems()[0].pointer, "/order_column");
        assert!(error.problems()[0].message.contains(said), "{:?}", error.problems());
    }
    let mut config = config(&place);
    config["order_column"] = "at".into();
    place.open_with(config, Checkpoint::default()).await.unwrap();
}
