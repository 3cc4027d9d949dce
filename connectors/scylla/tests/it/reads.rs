//! What an event looks like as a record, which rows are none, and how much comes at once.

use std::time::Duration;

use uuid::Uuid;
use weir_sdk::{Checkpoint, Room};

use crate::late::NOTICED;
use crate::place::{Place, event_id, header, insert, payload, text};

#[tokio::test(flavor = "multi_thread")]
async fn a_row_becomes_a_record_with_everything_a_consumer_needs() {
    let place = Place::start().await;
    let (order, event, request, cause) =
        (Uuid::from_u128(7), Uuid::from_u128(8), Uuid::from_u128(9), Uuid::from_u128(10));
    place
        .run(&format!(
            "INSERT INTO shop.outbox (aggregate_id, sequence_number, event_id, event_type, event_version, payload, \
             correlation_id, causation_id, created_at) VALUES ({order}, 3, {event}, 'OrderShipped', 2, '{{}}', \
             {request}, {cause}, '2026-01-31T12:00:00.120+0000')"
        ))
        .await;
    let mut tail = place.open(Checkpoint::default()).await;
    tail.until(1).await;
    let record = &tail.seen[0];
    assert_eq!(record.key.as_deref().map(text), Some(order.to_string()));
    assert_eq!(record.value.as_deref().map(text), Some("{}".to_owned()));
    let names: Vec<_> = record.headers.iter().map(|header| header.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "event_id",
            "event_type",
            "event_version",
            "aggregate_id",
            "sequence_number",
            "correlation_id",
            "causation_id",
            "created_at",
            "source_position",
            "source_time_us"
        ]
    );
    let values = [
        "event_id",
        "event_type",
        "event_version",
        "aggregate_id",
        "sequence_number",
        "correlation_id",
        "causation_id",
        "created_at",
    ]
    .map(|name| header(record, name).unwrap());
    let wanted = [
        &event.to_string(),
        "OrderShipped",
        "2",
        &order.to_string(),
        "3",
        &request.to_string(),
        &cause.to_string(),
        "2026-01-31T12:00:00.120Z",
    ];
    assert_eq!(values, wanted);
    assert_eq!(header(record, "source_time_us"), Some(record.timestamp.0.to_string()));
    assert_eq!(header(record, "source_position").unwrap().as_bytes(), record.origin.offset.as_bytes());
    let age = place.server.clock().micros() - record.timestamp.0;
    assert!((0..30_000_000).contains(&age), "written {age} us ago");
    assert!(tail.start.identity.starts_with("scylla:shop.outbox:"), "{}", tail.start.identity);
    assert_eq!(tail.counted("cdc_events_processed_total"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_are_no_events_are_counted_by_their_reason() {
    let place = Place::start().await;
    place.write(1, 1).await;
    let id = Uuid::from_u128(1);
    let row = format!("WHERE aggregate_id = {id} AND sequence_number =");
    place.run(&format!("UPDATE shop.outbox SET published = true {row} 1")).await;
    place.run(&format!("INSERT INTO shop.outbox (aggregate_id, sequence_number, event_id, event_type) VALUES ({id}, 2, {id}, 'X')")).await;
    place.run(&format!("DELETE FROM shop.outbox {row} 1")).await;
    place.run(&format!("DELETE FROM shop.outbox WHERE aggregate_id = {id}")).await;
    // An update that sets all that an event needs is one: some clients insert that way.
    place
        .run(&format!(
            "UPDATE shop.outbox SET event_id = {id}, event_type = 'Y', payload = 'all set' {row} 3"
        ))
        .await;
    let mut tail = place.open(Checkpoint::default()).await;
    tail.until(2).await;
    assert_eq!(tail.payloads(), [payload(1, 1), "all set".to_owned()]);
    assert_eq!(tail.counted("cdc_rows_skipped_update_total"), 1);
    assert_eq!(tail.counted("cdc_rows_skipped_incomplete_total"), 1);
    assert_eq!(tail.counted("cdc_rows_skipped_delete_total"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn images_are_passed_over() {
    let place = Place::start().await;
    place
        .run("ALTER TABLE shop.outbox WITH cdc = {'enabled': true, 'preimage': 'full', 'postimage': true}")
        .await;
    place.write(1, 1).await;
    place.write(1, 1).await;
    let mut tail = place.open(Checkpoint::default()).await;
    tail.until(2).await;
    assert_eq!(tail.counted("cdc_rows_skipped_image_total"), 3, "two images after, one before");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_rows_stays_together_and_in_order() {
    let place = Place::start().await;
    let rows: String = (1..=50).map(|number| insert(1, number, "") + ";").collect();
    place.run(&format!("BEGIN BATCH {rows} APPLY BATCH")).await;
    place.write_many(20, 100..101).await;
    let mut tail = place.open(Checkpoint::default()).await;
    tail.until(70).await;
    let first = tail.payloads().iter().position(|value| *value == payload(1, 1)).unwrap();
    let wanted: Vec<_> = (1..=50).map(|number| payload(1, number)).collect();
    assert_eq!(tail.payloads()[first..first + 50], wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_comes_through_small_pages_and_small_rooms_in_order() {
    let place = Place::start().await;
    place.write_many(40, 0..100).await;
    let mut config = place.config();
    config["session"]["page_size"] = 37.into();
    for room in [Room { records: 11, bytes: 1 << 20 }, Room { records: 1_000, bytes: 3_000 }] {
        let mut tail = place.open_with(config.clone(), Checkpoint::default()).await.unwrap();
        while tail.seen.len() < 4_000 {
            tail.poll(room).await.unwrap();
        }
        tail.quiet(NOTICED).await;
        let keys = tail.by_key();
        assert_eq!((keys.len(), tail.seen.len()), (40, 4_000));
        let wanted: Vec<i64> = (0..100).collect();
        assert!(keys.values().all(|numbers| *numbers == wanted), "{keys:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_larger_than_the_room_comes_alone() {
    let place = Place::start().await;
    let large = "x".repeat(5_000);
    let insert = |number: i64, payload: &str| {
        format!(
            "INSERT INTO shop.outbox (aggregate_id, sequence_number, event_id, event_type, payload) VALUES ({}, {number}, {}, 'X', '{payload}')",
            Uuid::from_u128(1),
            event_id(1, number)
        )
    };
    for (number, payload) in [(1, "small"), (2, large.as_str()), (3, "small")] {
        place.run(&insert(number, payload)).await;
    }
    let mut tail = place.open(Checkpoint::default()).await;
    let mut sizes = Vec::new();
    while tail.seen.len() < 3 {
        match tail.poll(Room { records: 10, bytes: 1_000 }).await.unwrap() {
            0 => {}
            records => sizes.push(records),
        }
    }
    assert_eq!(sizes, [1, 1, 1]);
    assert_eq!(tail.seen[1].value.as_ref().unwrap().len(), 5_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_of_other_names_and_types_are_mapped() {
    let place = Place::start().await;
    place.run("CREATE TABLE shop.mails (id timeuuid PRIMARY KEY, customer bigint, kind ascii, body blob, tenant int, traceparent text) WITH cdc = {'enabled': true}").await;
    place.run("INSERT INTO shop.mails (id, customer, kind, body, tenant, traceparent) VALUES (now(), 42, 'Welcome', 0xcafe, 5, '00-aa-bb-01')").await;
    let mut config = place.config();
    config["table"] = "mails".into();
    config["columns"] = serde_json::json!({"aggregate_id": "customer", "event_id": "id", "event_type": "kind", "payload": "body"});
    config["headers"] = serde_json::json!({"x-tenant": "tenant"});
    let mut tail = place.open_with(config, Checkpoint::default()).await.unwrap();
    tail.until(1).await;
    let record = &tail.seen[0];
    assert_eq!((record.key.as_deref(), record.value.as_deref()), (Some(&b"42"[..]), Some(&[0xca, 0xfe][..])));
    assert_eq!(header(record, "x-tenant").as_deref(), Some("5"));
    assert_eq!(header(record, "traceparent").as_deref(), Some("00-aa-bb-01"));
    assert_eq!(header(record, "event_type").as_deref(), Some("Welcome"));
}

#[tokio::test(flavor = "multi_thread")]
async fn latest_begins_with_what_is_written_now() {
    let place = Place::start().await;
    place.write(1, 1).await;
    // It begins with the present second as a whole.
    place.server.faults().advance_clock(Duration::from_secs(1));
    let mut config = place.config();
    config["start"] = "latest".into();
    let tail = place.open_with(config.clone(), Checkpoint::default()).await.unwrap();
    let begin = tail.start.checkpoint.clone();
    assert!(!begin.is_empty());
    drop(tail);
    place.write(1, 2).await;
    // The host saved the begin, so `latest` still means the time of the first start.
    let mut tail = place.open_with(config, begin).await.unwrap();
    assert!(tail.start.checkpoint.is_empty());
    tail.until(1).await;
    tail.quiet(NOTICED).await;
    assert_eq!(tail.payloads(), [payload(1, 2)], "{:?}", tail.seen);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lag_grows_while_nobody_polls() {
    let place = Place::start().await;
    let mut tail = place.open(Checkpoint::default()).await;
    tail.caught_up(&place.server).await;
    let lag = tail.metrics.gauge(("cdc_lag_seconds", ""));
    let (begun, at_first) = (tokio::time::Instant::now(), lag.get());
    while lag.get() < at_first + 0.2 {
        assert!(begun.elapsed() < Duration::from_secs(10), "it stays at {}", lag.get());
        tokio::task::yield_now().await;
    }
}
