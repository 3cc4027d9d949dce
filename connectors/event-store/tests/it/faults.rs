//! Requests whose outcome nobody knows, because the request or its answer was lost on the way.
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;
use weir_event_store::{Cause, CommandHandler, Error, EventStore, Head};

use crate::counter::{Counter, Raise};
use crate::place::{Place, connect, event, payloads};
use crate::proxy::{Lose, Opcode, Proxy};

async fn store_behind_a_proxy(place: &Place) -> (EventStore, Proxy) {
    let proxy = Proxy::before(&place.address).await;
    let session = connect(&proxy.address).await;
    let mut options = place.options();
    options.request_timeout = Duration::from_secs(2);
    options.renew_after = Duration::from_millis(500);
    options.recover_after = Duration::from_millis(100);
    options.patience = Duration::from_secs(2);
    (EventStore::open(Arc::clone(&session), options).await.unwrap(), proxy)
}

/// The driver needs a moment until it has a connection again.
async fn load_once_reconnected(store: &EventStore, id: Uuid) -> Head {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    loop {
        match store.load(id).await {
            Err(Error::Database { .. }) if tokio::time::Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            answer => return answer.unwrap().head,
        }
    }
}

#[tokio::test]
async fn an_append_survives_the_loss_of_any_of_its_requests_and_answers() {
    let place = Place::find().await;
    let (store, proxy) = store_behind_a_proxy(&place).await;
    for (lose, opcode) in [
        (Lose::Request, Opcode::Execute),
        (Lose::Answer, Opcode::Execute),
        (Lose::Request, Opcode::Batch),
        (Lose::Answer, Opcode::Batch),
    ] {
        for earlier in ["a first event", "a later event"] {
            let id = Uuid::new_v4();
            let mut head = store.load(id).await.unwrap().head;
            let mut expected = vec!["marked"];
            if earlier == "a later event" {
                head = store.append(&head, "Thing", vec![event("before")]).await.unwrap().head;
                expected.insert(0, "before");
            }
            proxy.lose(lose, opcode, "marked");
            let appended = store.append(&head, "Thing", vec![event("marked")]).await;
            let case = format!("{lose:?} of {opcode:?}, {earlier}");
            assert_eq!(proxy.outstanding(), 0, "{case}: the fault has happened");
            let appended = appended.unwrap_or_else(|e| panic!("{case}: {e:?}"));
            let after = store.append(&appended.head, "Thing", vec![event("after")]).await;
            assert!(after.is_ok(), "{case}: {after:?}");
            expected.push("after");
            assert_eq!(payloads(&place.assert_sound(id).await), expected, "{case}");
        }
    }
}

#[tokio::test]
async fn a_command_is_carried_out_once_although_answers_are_lost() {
    let place = Place::find().await;
    let (store, proxy) = store_behind_a_proxy(&place).await;
    let counter = CommandHandler::<Counter>::new(store);
    let id = Uuid::new_v4();
    for opcode in [Opcode::Execute, Opcode::Batch] {
        proxy.lose(Lose::Answer, opcode, "the marked one");
        let raise = Raise { by: "the marked one", limit: 10 };
        counter.execute(id, &raise, &Cause::new_request()).await.unwrap();
        assert_eq!(proxy.outstanding(), 0, "{opcode:?}");
    }
    assert_eq!(place.assert_sound(id).await.len(), 2);
}

#[tokio::test]
async fn claimed_events_that_cannot_be_written_are_said_to_be_so_and_the_next_load_writes_them() {
    let place = Place::find().await;
    let (store, proxy) = store_behind_a_proxy(&place).await;
    let id = Uuid::new_v4();
    let head = store.load(id).await.unwrap().head;
    for _ in 0..1_000 {
        proxy.lose(Lose::Request, Opcode::Batch, "marked");
    }
    let error = store.append(&head, "Thing", vec![event("marked")]).await.unwrap_err();
    assert!(matches!(error, Error::Unpublished { sequence: 1, .. }), "{error:?}");
    assert!(proxy.outstanding() > 0, "it gave up before the fault was over");
    assert_eq!(place.event_store(id).await, []);

    proxy.heal();
    let head = load_once_reconnected(&store, id).await;
    store.append(&head, "Thing", vec![event("after")]).await.unwrap();
    assert_eq!(payloads(&place.assert_sound(id).await), ["marked", "after"]);
}

#[tokio::test]
async fn a_command_whose_events_could_not_be_written_succeeds_when_a_later_try_finds_them() {
    let place = Place::find().await;
    let (store, proxy) = store_behind_a_proxy(&place).await;
    let counter = CommandHandler::<Counter>::new(store);
    let id = Uuid::new_v4();
    for _ in 0..1_000 {
        proxy.lose(Lose::Request, Opcode::Batch, "the marked one");
    }
    let executing = tokio::spawn(async move {
        let raise = Raise { by: "the marked one", limit: 10 };
        counter.execute(id, &raise, &Cause::new_request()).await.unwrap()
    });
    let soon = tokio::time::Instant::now() + Duration::from_secs(30);
    while proxy.outstanding() > 990 {
        assert!(tokio::time::Instant::now() < soon, "the batch is tried again and again");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    proxy.heal();
    assert_eq!(executing.await.unwrap().events.len(), 1);
    assert_eq!(place.assert_sound(id).await.len(), 1);
}

#[tokio::test]
async fn a_server_that_refuses_the_statement_is_an_error_at_once() {
    let place = Place::find().await;
    let mut options = place.options();
    options.outbox = "no_such_table".to_owned();
    let error = EventStore::open(Arc::clone(&place.session), options).await.unwrap_err();
    assert!(matches!(error, Error::Database { .. }), "{error:?}");
    assert_eq!(error.to_string(), "could not prepare the statements of the event store");
}
