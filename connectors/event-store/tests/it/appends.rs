//! Appends when nothing goes wrong, and when two are made at once.
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;
use weir_event_store::{Clock, Error};

use crate::place::{Place, event, payloads};

#[tokio::test]
async fn events_come_back_as_they_were_appended_in_order_over_many_pages() {
    let place = Place::find().await;
    let mut options = place.options();
    options.page_size = 3;
    let store = place.store_with(options).await;
    let id = Uuid::new_v4();
    let mut head = store.load(id).await.unwrap().head;
    assert_eq!(head.sequence(), 0);
    let mut appended = Vec::new();
    for batch in 0..5 {
        let mut events: Vec<_> = (0..4).map(|i| event(&format!("{{\"n\":\"{batch}.{i}\"}}"))).collect();
        events[0].correlation_id = Some(Uuid::new_v4());
        events[1].causation_id = Some(Uuid::new_v4());
        events[2].event_version = 7;
        let done = store.append(&head, "Thing", events).await.unwrap();
        appended.extend(done.events);
        head = done.head;
    }
    assert_eq!(head.sequence(), 20);
    let history = store.load(id).await.unwrap();
    assert_eq!(history.events, appended);
    assert_eq!(history.head, head);
    let tail = store.load_after(id, 17).await.unwrap();
    assert_eq!(tail.events, appended[17..]);
    place.assert_sound(id).await;
}

#[tokio::test]
async fn an_append_on_an_old_state_is_a_conflict_and_writes_nothing() {
    let place = Place::find().await;
    let store = place.store().await;
    let id = Uuid::new_v4();
    let nothing = store.load(id).await.unwrap().head;
    let one = store.append(&nothing, "Thing", vec![event("1")]).await.unwrap().head;
    let refused = store.append(&nothing, "Thing", vec![event("also 1")]).await.unwrap_err();
    assert!(matches!(refused, Error::Conflict { expected: 0, actual: 1, .. }), "{refused:?}");
    store.append(&one, "Thing", vec![event("2"), event("3")]).await.unwrap();
    let refused = store.append(&one, "Thing", vec![event("also 2")]).await.unwrap_err();
    assert!(matches!(refused, Error::Conflict { expected: 1, actual: 3, .. }), "{refused:?}");
    assert_eq!(payloads(&place.assert_sound(id).await), ["1", "2", "3"]);
}

#[tokio::test]
async fn appending_the_same_events_again_changes_nothing_and_succeeds() {
    let place = Place::find().await;
    let store = place.store().await;
    let id = Uuid::new_v4();
    let nothing = store.load(id).await.unwrap().head;
    let first = vec![event("1"), event("2")];
    let head = store.append(&nothing, "Thing", first.clone()).await.unwrap().head;
    store.append(&nothing, "Thing", first.clone()).await.unwrap();
    assert_eq!(store.load(id).await.unwrap().head, head, "a repeat right away is the same claim");
    store.append(&head, "Thing", vec![event("3")]).await.unwrap();
    let again = store.append(&nothing, "Thing", first).await.unwrap();
    assert_eq!(again.head.sequence(), 2, "a repeat after others have moved on");
    assert_eq!(payloads(&place.assert_sound(id).await), ["1", "2", "3"]);
}

#[tokio::test]
async fn an_append_without_events_does_nothing() {
    let place = Place::find().await;
    let store = place.store().await;
    let id = Uuid::new_v4();
    let head = store.load(id).await.unwrap().head;
    assert_eq!(store.append(&head, "Thing", vec![]).await.unwrap().head, head);
    assert_eq!(store.load(id).await.unwrap().head.sequence(), 0);
}

#[tokio::test]
async fn an_append_that_the_database_would_refuse_is_refused_before_it_is_claimed() {
    let place = Place::find().await;
    let store = place.store().await;
    let id = Uuid::new_v4();
    let head = store.load(id).await.unwrap().head;
    let limit = store.options().max_append_bytes;
    let error = store.append(&head, "Thing", vec![event(&"x".repeat(limit))]).await.unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }), "{error:?}");
    assert_eq!(store.load(id).await.unwrap().head.sequence(), 0);
    // The worst that is let through: JSON writes a quote as two characters.
    let largest = "\"".repeat(limit - 300);
    store.append(&head, "Thing", vec![event(&largest)]).await.unwrap();
    assert_eq!(store.load(id).await.unwrap().events[0].payload, largest);
}

#[tokio::test]
async fn an_append_that_is_too_large_for_one_batch_is_written_whole() {
    let place = Place::find().await;
    let mut options = place.options();
    options.max_append_bytes = 4 << 20;
    let store = place.store_with(options).await;
    for (events, bytes) in [(1, 900 << 10), (3, 300 << 10)] {
        let (id, large) = (Uuid::new_v4(), "x".repeat(bytes));
        let nothing = store.load(id).await.unwrap().head;
        let all = (0..events).map(|_| event(&large)).collect();
        let head = store.append(&nothing, "Thing", all).await.unwrap().head;
        store.append(&head, "Thing", vec![event("after")]).await.unwrap();
        let written = place.assert_sound(id).await;
        assert_eq!(written.len(), events + 1);
        assert!(written[..events].iter().all(|event| event.payload == large));
    }
}

#[tokio::test]
async fn of_many_that_claim_the_same_number_at_once_exactly_one_wins() {
    let place = Place::find().await;
    let store = place.store().await;
    for round in 0..5 {
        let id = Uuid::new_v4();
        let head = store.load(id).await.unwrap().head;
        let claims = (0..6).map(|i| {
            let (store, head) = (store.clone(), head.clone());
            tokio::spawn(async move { store.append(&head, "Thing", vec![event(&format!("{i}"))]).await })
        });
        let mut won = Vec::new();
        for claim in claims.collect::<Vec<_>>() {
            match claim.await.unwrap() {
                Ok(appended) => won.push(appended.events[0].event_id),
                Err(Error::Conflict { .. }) => {}
                Err(e) => panic!("round {round}: {e:?}"),
            }
        }
        let written = place.assert_sound(id).await;
        assert_eq!(written.iter().map(|e| e.event_id).collect::<Vec<_>>(), won, "round {round}");
        assert_eq!(won.len(), 1, "round {round}");
    }
}

#[tokio::test]
async fn write_times_rise_although_the_writers_clocks_disagree_by_seconds() {
    let place = Place::find().await;
    let mut writers = Vec::new();
    for seconds in [2, -3, 0] {
        let mut options = place.options();
        options.clock = Clock::from_fn(move || Timestamp::now() + SignedDuration::from_secs(seconds));
        writers.push(place.store_with(options).await);
    }
    let id = Uuid::new_v4();
    for round in 0..12 {
        let writer = &writers[round % writers.len()];
        let head = writer.load(id).await.unwrap().head;
        let events = (0..=round % 3).map(|_| event("x")).collect();
        writer.append(&head, "Thing", events).await.unwrap();
    }
    assert_eq!(place.assert_sound(id).await.len(), 24);
}

#[tokio::test]
async fn a_clock_that_stands_still_gives_every_event_a_time_of_its_own() {
    let place = Place::find().await;
    let now = Arc::new(AtomicI64::new(Timestamp::now().as_microsecond()));
    let mut options = place.options();
    let shared = Arc::clone(&now);
    options.clock =
        Clock::from_fn(move || Timestamp::from_microsecond(shared.load(Ordering::Relaxed)).unwrap());
    let store = place.store_with(options).await;
    let id = Uuid::new_v4();
    let mut head = store.load(id).await.unwrap().head;
    for count in [1, 3, 2] {
        head = store.append(&head, "Thing", (0..count).map(|_| event("x")).collect()).await.unwrap().head;
    }
    let times: Vec<_> = place.assert_sound(id).await.iter().map(|e| e.write_time).collect();
    let start = now.load(Ordering::Relaxed);
    assert_eq!(times, (start..start + 6).collect::<Vec<_>>());
    assert_eq!(times.iter().collect::<HashSet<_>>().len(), 6);
}
