//! What a history is good for: snapshots, older forms, moments past, commands that come twice, and all of it in a row.
use std::collections::BTreeMap;
use std::num::NonZeroU32;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use uuid::Uuid;
use weir_event_store::{Cause, Clock, CommandHandler, EventStore, NewEvent, Options, Until, Upcasters};

use crate::counter::{Counter, Raise};
use crate::place::Place;

const ANY: Raise = Raise { by: "a", limit: u64::MAX };

fn every(events: u32) -> NonZeroU32 {
    NonZeroU32::new(events).unwrap()
}

async fn raise(counter: &CommandHandler<Counter>, id: Uuid, times: usize) {
    for _ in 0..times {
        counter.execute(id, &ANY, &Cause::new_request()).await.unwrap();
    }
}

async fn snapshots(place: &Place, id: Uuid) -> Vec<(i64, String)> {
    let cql =
        format!("SELECT sequence_number, state FROM {}.snapshots WHERE aggregate_id = ?", place.keyspace);
    let answer = place.session.query_unpaged(cql, (id,)).await.unwrap().into_rows_result().unwrap();
    answer.rows().unwrap().map(Result::unwrap).collect()
}

#[tokio::test]
async fn a_load_begins_with_the_newest_snapshot_and_an_unusable_one_is_passed_over() {
    let place = Place::find().await;
    let counter = CommandHandler::<Counter>::new(place.store().await).with_snapshots(every(10));
    let id = Uuid::new_v4();
    raise(&counter, id, 25).await;
    assert_eq!(snapshots(&place, id).await, [(20, r#"{"count":20}"#.to_owned())], "the newest alone is kept");
    let loaded = counter.load(id).await.unwrap();
    assert_eq!((loaded.aggregate.count, loaded.head.sequence(), loaded.events.len()), (25, 25, 5));
    for (column, value) in [("state", "'hunter2'"), ("state_version", "99"), ("aggregate_type", "'Other'")] {
        raise(&counter, id, 10).await;
        let (newest, _) = snapshots(&place, id).await[0];
        let cql = format!(
            "UPDATE {}.snapshots SET {column} = {value} WHERE aggregate_id = {id} AND sequence_number = {newest}",
            place.keyspace
        );
        place.session.query_unpaged(cql, ()).await.unwrap();
        let loaded = counter.load(id).await.unwrap();
        assert_eq!(loaded.aggregate.count as usize, loaded.events.len(), "{column}: read from the beginning");
    }
    assert_eq!(place.assert_sound(id).await.len(), 55);
}

#[tokio::test]
async fn writers_with_snapshots_lose_nothing_and_double_nothing() {
    let place = Place::find().await;
    let id = Uuid::new_v4();
    let mut writers = Vec::new();
    for _ in 0..3 {
        let counter = CommandHandler::<Counter>::new(place.store().await).with_snapshots(every(3));
        writers.push(tokio::spawn(async move { raise(&counter, id, 8).await }));
    }
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(place.assert_sound(id).await.len(), 24);
    let counter = CommandHandler::<Counter>::new(place.store().await).with_snapshots(every(3));
    assert_eq!(counter.load(id).await.unwrap().aggregate.count, 24);
}

#[tokio::test]
async fn a_command_that_comes_again_is_carried_out_once_whatever_has_happened_since() {
    let place = Place::find().await;
    let store = place.store().await;
    for counter in [
        CommandHandler::<Counter>::new(store.clone()),
        CommandHandler::<Counter>::new(store).with_snapshots(every(5)),
    ] {
        let (id, command) = (Uuid::new_v4(), Cause::new_request());
        let first = counter.execute_once(id, &ANY, &command).await.unwrap();
        raise(&counter, id, 12).await;
        let again = counter.execute_once(id, &ANY, &command).await.unwrap();
        assert_eq!(again.events, first.events);
        assert_eq!((again.aggregate.count, again.head.sequence()), (13, 13));
        let another = counter.execute_once(id, &ANY, &Cause::new_request()).await.unwrap();
        assert_eq!(another.aggregate.count, 14);
    }
}

/// Two that come at once: one of them is carried out, and both are told the same.
#[tokio::test]
async fn the_same_command_from_two_sides_is_carried_out_once() {
    let place = Place::find().await;
    let (id, command) = (Uuid::new_v4(), Cause::new_request());
    let counter = CommandHandler::<Counter>::new(place.store().await);
    let (one, other) =
        tokio::join!(counter.execute_once(id, &ANY, &command), counter.execute_once(id, &ANY, &command));
    assert_eq!(one.unwrap().events, other.unwrap().events);
    assert_eq!(place.assert_sound(id).await.len(), 1);
}

#[tokio::test]
async fn events_of_older_forms_are_read_in_the_form_of_today() {
    let place = Place::find().await;
    let id = Uuid::new_v4();
    let store = place.store().await;
    let head = store.load(id).await.unwrap().head;
    let old =
        vec![NewEvent::new("Counted", 1, r#"{"who":"a"}"#), NewEvent::new("Counted", 1, r#"{"who":"b"}"#)];
    store.append(&head, "Counter", old).await.unwrap();
    let upcasters = Upcasters::default()
        .payload("Counted", 1, |old| json!({"by": old["who"], "to": if old["who"] == "a" { 1 } else { 2 }}))
        .renamed("Counted", 2, "Raised");
    let store = place.store_with(Options { upcasters, ..place.options() }).await;
    let counter = CommandHandler::<Counter>::new(store.clone());
    raise(&counter, id, 1).await;
    let loaded = counter.load(id).await.unwrap();
    assert_eq!(loaded.aggregate.count, 3);
    let shown: Vec<_> = loaded.events.iter().map(|e| (e.event_type.as_str(), e.event_version)).collect();
    assert_eq!(shown, [("Raised", 2), ("Raised", 2), ("Raised", 1)]);
    assert_eq!(place.event_store(id).await[0].payload, r#"{"who":"a"}"#, "what is stored stays");
    let stored = store.scan(i64::MIN).await.unwrap().next().await.unwrap().unwrap().events;
    assert!(
        stored.iter().any(|e| e.aggregate_id == id && e.event_type == "Raised" && e.sequence_number == 1)
    );
}

#[tokio::test]
async fn an_aggregate_is_shown_as_it_was() {
    let place = Place::find().await;
    let id = Uuid::new_v4();
    let begin = Timestamp::now();
    let after = |millis| begin + SignedDuration::from_millis(millis);
    for number in 0..4 {
        let at = after(number * 100);
        let clock = Clock::from_fn(move || at);
        let store = place.store_with(Options { clock, ..place.options() }).await;
        raise(&CommandHandler::<Counter>::new(store), id, 1).await;
    }
    let counter = CommandHandler::<Counter>::new(place.store().await);
    let was = async |until| {
        let (aggregate, sequence) = counter.replay(id, until).await.unwrap();
        (aggregate.count, sequence)
    };
    assert_eq!(was(Until::Sequence(3)).await, (3, 3));
    assert_eq!(was(Until::Sequence(0)).await, (0, 0));
    assert_eq!(was(Until::Time(after(150))).await, (2, 2));
    assert_eq!(was(Until::Time(after(-1))).await, (0, 0));
    assert_eq!(was(Until::Time(after(300))).await, (4, 4));
}

#[tokio::test]
async fn all_events_come_in_order_per_aggregate_and_a_walk_goes_on_where_it_was_left() {
    let place = Place::find().await;
    let small = Options { page_size: 7, ..place.options() };
    let store = place.store_with(small).await;
    let counter = CommandHandler::<Counter>::new(store.clone());
    let mut wanted = BTreeMap::new();
    for length in [1, 3, 9, 20, 2, 5] {
        let id = Uuid::new_v4();
        raise(&counter, id, length).await;
        wanted.insert(id, (1..=length as i64).collect::<Vec<_>>());
    }
    let (mut found, mut resume, mut pages) = (BTreeMap::<Uuid, Vec<i64>>::new(), i64::MIN, 0);
    loop {
        // Left after each page, and begun anew behind it.
        let page = next_behind(&store, resume, &mut found).await;
        pages += 1;
        match page {
            Some(next) if next != resume => resume = next,
            _ => break,
        }
    }
    assert!(pages > 3, "{pages}");
    // A server that is shared by tests has other aggregates too.
    found.retain(|id, _| wanted.contains_key(id));
    assert_eq!(found, wanted);
}

/// Reads the first page behind `resume` that ends further on; what was met before is dropped by its number.
async fn next_behind(store: &EventStore, resume: i64, found: &mut BTreeMap<Uuid, Vec<i64>>) -> Option<i64> {
    let mut scan = store.scan(resume).await.unwrap();
    while let Some(page) = scan.next().await.unwrap() {
        for event in &page.events {
            let numbers = found.entry(event.aggregate_id).or_default();
            if numbers.last().is_none_or(|last| event.sequence_number > *last) {
                numbers.push(event.sequence_number);
            }
        }
        if page.resume != resume {
            return Some(page.resume);
        }
    }
    None
}
