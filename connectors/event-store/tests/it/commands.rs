//! The command loop with many writers on one aggregate.
use std::time::Duration;

use uuid::Uuid;
use weir_event_store::{Cause, CommandError, CommandHandler, Retries};

use crate::counter::{Counter, Raise};
use crate::place::{Place, event};

const WRITERS: [&str; 4] = ["a", "b", "c", "d"];

#[tokio::test]
async fn writers_on_one_aggregate_lose_nothing_and_double_nothing() {
    const EACH: usize = 8;
    let place = Place::find().await;
    let retries = Retries { attempts: 200, ..Retries::default() };
    let id = Uuid::new_v4();
    let mut writers = Vec::new();
    for by in WRITERS {
        let counter = CommandHandler::<Counter>::with_retries(place.store().await, retries);
        writers.push(tokio::spawn(async move {
            let mut ids = Vec::new();
            for _ in 0..EACH {
                let raise = Raise { by, limit: u64::MAX };
                let done = counter.execute(id, &raise, &Cause::new_request()).await.unwrap();
                assert_eq!(done.events.len(), 1);
                assert!(done.aggregate.count >= 1);
                ids.push(done.events[0].event_id);
            }
            ids
        }));
    }
    let mut told = Vec::new();
    for writer in writers {
        told.extend(writer.await.unwrap());
    }
    let mut written: Vec<_> = place.assert_sound(id).await.iter().map(|e| e.event_id).collect();
    told.sort_unstable();
    written.sort_unstable();
    assert_eq!(written, told, "what the writers were told is what is there");
    assert_eq!(written.len(), WRITERS.len() * EACH);
    let counter = CommandHandler::<Counter>::new(place.store().await);
    let loaded = counter.load(id).await.unwrap();
    assert_eq!(
        (loaded.aggregate.count, loaded.head.sequence()),
        (32, 32),
        "each decided on the state before it"
    );
}

#[tokio::test]
async fn a_refused_command_says_why_and_writes_nothing() {
    let place = Place::find().await;
    let counter = CommandHandler::<Counter>::new(place.store().await);
    let id = Uuid::new_v4();
    let raise = Raise { by: "a", limit: 1 };
    let cause = Cause::new_request();
    let done = counter.execute(id, &raise, &cause).await.unwrap();
    assert_eq!(done.events[0].correlation_id, Some(cause.correlation_id));
    assert_eq!(done.events[0].causation_id, Some(cause.causation_id));
    let error = counter.execute(id, &raise, &Cause::new_request()).await.unwrap_err();
    assert_eq!(error.to_string(), "refused: the counter is at its limit of 1");
    assert!(matches!(error, CommandError::Refused(_)));
    assert_eq!(place.assert_sound(id).await.len(), 1);
}

#[tokio::test]
async fn the_next_command_goes_on_after_a_crash_between_the_steps() {
    let place = Place::find().await;
    let counter = CommandHandler::<Counter>::new(place.store().await);
    let id = Uuid::new_v4();
    let raise = Raise { by: "a", limit: 10 };
    counter.execute(id, &raise, &Cause::new_request()).await.unwrap();
    let decision = counter.decide(id, &raise, &Cause::new_request()).await.unwrap();
    drop(counter.store().claim(&decision.head, "Counter", decision.events).await.unwrap());

    let done = counter.execute(id, &raise, &Cause::new_request()).await.unwrap();
    assert_eq!(done.aggregate, Counter { count: 3 });
    assert_eq!(place.assert_sound(id).await.len(), 3);
}

#[tokio::test]
async fn an_event_that_cannot_be_read_names_itself() {
    let place = Place::find().await;
    let store = place.store().await;
    let id = Uuid::new_v4();
    let head = store.load(id).await.unwrap().head;
    store.append(&head, "Counter", vec![event("not json")]).await.unwrap();
    let counter = CommandHandler::<Counter>::with_retries(
        store,
        Retries { attempts: 2, initial: Duration::ZERO, max: Duration::ZERO },
    );
    let error = counter.load(id).await.unwrap_err().to_string();
    assert!(error.starts_with("event Happened version 1: "), "{error}");
}
