//! Appends that stop between their two steps, and who finishes them.
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;
use weir_event_store::{Claim, Clock, Error, EventStore, Options};

use crate::place::{Place, event, payloads};

/// What a writer leaves behind that dies between the steps, on top of one published event.
async fn half_an_append(store: &EventStore, id: Uuid) -> Claim {
    let nothing = store.load(id).await.unwrap().head;
    let head = store.append(&nothing, "Thing", vec![event("1")]).await.unwrap().head;
    store.claim(&head, "Thing", vec![event("2"), event("3")]).await.unwrap()
}

#[tokio::test]
async fn the_next_load_finishes_what_a_crash_left_half_way_and_the_next_append_goes_on() {
    let place = Place::find().await;
    let store = place.store().await;
    let id = Uuid::new_v4();
    let claim = half_an_append(&store, id).await;
    assert_eq!(payloads(&place.event_store(id).await), ["1"], "a claim alone writes no event");
    assert_eq!(claim.sequence(), 3);
    let (claim_ts, events) = (claim.claim_ts(), claim.events().to_vec());
    drop(claim);

    let history = store.load(id).await.unwrap();
    assert_eq!(history.events[1..], events, "finished exactly as it was claimed");
    store.append(&history.head, "Thing", vec![event("4")]).await.unwrap();
    let written = place.assert_sound(id).await;
    assert_eq!(payloads(&written), ["1", "2", "3", "4"]);
    assert!(written[1].write_time > claim_ts + 1, "written at a fresh time, above all of the first claim's");
}

#[tokio::test]
async fn the_first_append_of_an_aggregate_is_finished_too() {
    let place = Place::find().await;
    let store = place.store().await;
    let id = Uuid::new_v4();
    let head = store.load(id).await.unwrap().head;
    drop(store.claim(&head, "Thing", vec![event("1")]).await.unwrap());
    assert_eq!(store.load(id).await.unwrap().head.sequence(), 1);
    assert_eq!(payloads(&place.assert_sound(id).await), ["1"]);
}

#[tokio::test]
async fn what_crashes_left_half_way_is_found_where_nobody_loads() {
    const HOUR: Duration = Duration::from_secs(3600);
    let place = Place::find().await;
    let store = place.store_with(Options { page_size: 2, ..place.options() }).await;
    let (whole, later, first) = (Uuid::new_v4(), Uuid::new_v4(), Uuid::new_v4());
    for id in [whole, later, first] {
        let head = store.load(id).await.unwrap().head;
        if id != first {
            let head = store.append(&head, "Thing", vec![event("1")]).await.unwrap().head;
            if id == later {
                drop(store.claim(&head, "Thing", vec![event("2"), event("3")]).await.unwrap());
            }
        } else {
            drop(store.claim(&head, "Thing", vec![event("1")]).await.unwrap());
        }
    }
    let patient = Options { recover_after: HOUR, ..place.options() };
    place.store_with(patient).await.finish_abandoned(HOUR).await.unwrap();
    assert_eq!(payloads(&place.event_store(later).await), ["1"], "a new claim still has its writer");

    let at_once = Options { recover_after: Duration::ZERO, page_size: 2, ..place.options() };
    let store = place.store_with(at_once).await;
    store.finish_abandoned(Duration::ZERO).await.unwrap();
    assert_eq!(payloads(&place.event_store(later).await), ["1"], "it is older than was asked for");
    let finished = store.finish_abandoned(HOUR).await.unwrap();
    assert!(finished >= 2, "{finished}");
    for (id, events) in [(whole, &["1"][..]), (later, &["1", "2", "3"]), (first, &["1"])] {
        assert_eq!(payloads(&place.assert_sound(id).await), events);
    }
    let before = place.event_store(later).await;
    store.finish_abandoned(HOUR).await.unwrap();
    assert_eq!(place.event_store(later).await, before, "nothing is left to do");
}

#[tokio::test]
async fn an_append_that_stopped_between_its_outbox_and_its_events_is_finished() {
    let place = Place::find().await;
    let store = place.store().await;
    let id = Uuid::new_v4();
    let claim = half_an_append(&store, id).await;
    for (time, event) in (claim.claim_ts()..).zip(claim.events()) {
        let cql = format!(
            "INSERT INTO {}.outbox_messages (aggregate_id, sequence_number, id, event_id, event_type, event_version, \
             payload, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, toTimestamp(now())) USING TIMESTAMP {time}",
            place.keyspace
        );
        let (number, event_id, payload) = (event.sequence_number, event.event_id, &event.payload);
        let values = (id, number, event_id, event_id, &event.event_type, event.event_version, payload);
        place.session.query_unpaged(cql, values).await.unwrap();
    }
    drop(claim);
    let head = store.load(id).await.unwrap().head;
    store.append(&head, "Thing", vec![event("4")]).await.unwrap();
    assert_eq!(payloads(&place.assert_sound(id).await), ["1", "2", "3", "4"]);
}

#[tokio::test]
async fn an_append_on_top_of_a_claim_that_nobody_published_is_a_conflict() {
    let place = Place::find().await;
    let store = place.store().await;
    let id = Uuid::new_v4();
    let nothing = store.load(id).await.unwrap().head;
    let one = store.append(&nothing, "Thing", vec![event("1")]).await.unwrap().head;
    drop(store.claim(&one, "Thing", vec![event("2")]).await.unwrap());
    let error = store.append(&one, "Thing", vec![event("also 2")]).await.unwrap_err();
    assert!(matches!(error, Error::Conflict { expected: 1, actual: 2, .. }), "{error:?}");
    store.load(id).await.unwrap();
    assert_eq!(payloads(&place.assert_sound(id).await), ["1", "2"]);
}

#[tokio::test]
async fn many_that_recover_at_once_agree() {
    let place = Place::find().await;
    let store = place.store().await;
    let id = Uuid::new_v4();
    drop(half_an_append(&store, id).await);
    let loads: Vec<_> = (0..6)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.load(id).await.unwrap() })
        })
        .collect();
    for load in loads {
        let history = load.await.unwrap();
        assert_eq!(history.head.sequence(), 3);
        assert_eq!(history.events.len(), 3);
    }
    assert_eq!(payloads(&place.assert_sound(id).await), ["1", "2", "3"]);
}

#[tokio::test]
async fn a_late_batch_of_a_slow_writer_changes_nothing_any_more() {
    let place = Place::find().await;
    let mut options = place.options();
    options.recover_after = Duration::ZERO;
    let store = place.store_with(options).await;
    let id = Uuid::new_v4();
    let claim = half_an_append(&store, id).await;
    let head = store.load(id).await.unwrap().head;
    store.append(&head, "Thing", vec![event("4")]).await.unwrap();
    let before = place.assert_sound(id).await;

    let late = store.publish(claim).await.unwrap();
    assert_eq!(late.events.len(), 2, "for the writer it has succeeded");
    assert_eq!(place.assert_sound(id).await, before, "same rows, same write times");
}

#[tokio::test]
async fn a_writer_that_was_overtaken_by_a_recovery_with_a_fast_clock_still_writes_after_it() {
    let place = Place::find().await;
    let writer = place.store().await;
    let mut options = place.options();
    options.recover_after = Duration::ZERO;
    options.clock = Clock::from_fn(|| Timestamp::now() + SignedDuration::from_secs(3));
    let recoverer = place.store_with(options).await;
    let id = Uuid::new_v4();
    let claim = half_an_append(&writer, id).await;
    recoverer.load(id).await.unwrap();

    let head = writer.publish(claim).await.unwrap().head;
    writer.append(&head, "Thing", vec![event("4")]).await.unwrap();
    assert_eq!(payloads(&place.assert_sound(id).await), ["1", "2", "3", "4"]);
}

#[tokio::test]
async fn a_writer_whose_clock_is_an_hour_ahead_is_told_so_and_so_is_who_comes_after_it() {
    let place = Place::find().await;
    let mut options = place.options();
    options.clock = Clock::from_fn(|| Timestamp::now() + SignedDuration::from_secs(3600));
    let ahead = place.store_with(options).await;
    let id = Uuid::new_v4();
    let head = ahead.load(id).await.unwrap().head;
    let told = |error: Error| {
        let text = error.to_string();
        assert!(
            matches!(&error, Error::Ahead { from, .. } if *from > Timestamp::now() + SignedDuration::from_secs(3500)),
            "{error:?}"
        );
        assert!(text.contains("a writer's clock is ahead, set it"), "{text}");
    };
    told(ahead.append(&head, "Thing", vec![event("1")]).await.unwrap_err());
    let mut options = place.options();
    options.patience = Duration::from_millis(200);
    let after = place.store_with(options).await;
    told(after.load(id).await.unwrap_err());
}

#[tokio::test]
async fn a_loader_waits_for_a_writer_that_is_only_slow() {
    let place = Place::find().await;
    let mut options = place.options();
    options.recover_after = Duration::from_secs(30);
    options.patience = Duration::from_secs(60);
    let store = place.store_with(options).await;
    let id = Uuid::new_v4();
    let claim = half_an_append(&store, id).await;
    let claim_ts = claim.claim_ts();
    let loading = tokio::spawn({
        let store = store.clone();
        async move { store.load(id).await.unwrap() }
    });
    store.publish(claim).await.unwrap();
    assert_eq!(loading.await.unwrap().head.sequence(), 3);
    let written = place.assert_sound(id).await;
    assert_eq!(written[1].write_time, claim_ts, "nobody took the claim over");
}

#[tokio::test]
async fn a_claim_that_has_aged_is_published_under_a_fresh_time() {
    let place = Place::find().await;
    let passed = Arc::new(AtomicI64::new(0));
    let mut options = place.options();
    options.renew_after = Duration::from_secs(1);
    let seconds = Arc::clone(&passed);
    options.clock =
        Clock::from_fn(move || Timestamp::now() + SignedDuration::from_secs(seconds.load(Ordering::Relaxed)));
    let store = place.store_with(options).await;
    let id = Uuid::new_v4();
    let claim = half_an_append(&store, id).await;
    let claim_ts = claim.claim_ts();

    passed.store(2, Ordering::Relaxed);
    let appended = store.publish(claim).await.unwrap();
    assert_eq!(appended.head.sequence(), 3);
    let written = place.assert_sound(id).await;
    assert_eq!(payloads(&written), ["1", "2", "3"]);
    assert!(
        written[1].write_time >= claim_ts + 2_000_000,
        "its own time could be missed by a reader of the log"
    );
    store.append(&appended.head, "Thing", vec![event("4")]).await.unwrap();
    place.assert_sound(id).await;
}
