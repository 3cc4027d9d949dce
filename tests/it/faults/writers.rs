//! The bad days of those who append: more than ScyllaDB takes at once, and clocks that disagree.

use std::path::Path;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;
use weir_event_store::{Clock, Error, EventStore, NewEvent, Options};

use crate::harness::{Arrived, Broker, Database, Fault, Outcome, Read, Weir, read_topic, task, until};
use crate::outbox::pipeline;

const LIMIT: Duration = Duration::from_secs(60);

fn fault(fault: &'static str, seen: &'static str, recovers_within: &'static str) -> Fault {
    Fault { place: "ScyllaDB", fault, seen, repeated_at_most: "0", recovers_within }
}

/// Appends events of these sizes at once.
async fn append(store: &EventStore, id: Uuid, sizes: &[usize]) -> Result<(), Error> {
    let head = store.load(id).await?.head;
    let event = |size: &usize| NewEvent::new("OrderUpdated", 1, "x".repeat(*size));
    store.append(&head, "Order", sizes.iter().map(event).collect()).await.map(drop)
}

#[test]
fn appends_that_are_too_large() {
    const LARGE: usize = 400 << 10;
    let (database, broker, folder) = (Database::embedded(), Broker::start(), tempfile::tempdir().unwrap());
    let file = pipeline(folder.path(), &database, &broker, "large");
    let mut weir = Weir::run(&[&file], &folder.path().join("data"), &[]);
    let http = weir.http();
    let careful = database.store();
    let bold = database.store_with(Options { max_append_bytes: 4 << 20, ..weir_orders::store_options() });
    let order = Uuid::new_v4();
    database.with(async |_| {
        append(&careful, order, &[10]).await.unwrap();
        append(&bold, order, &[LARGE, LARGE, LARGE]).await.unwrap();
        let error = append(&careful, order, &[LARGE]).await.unwrap_err();
        assert!(matches!(error, Error::TooLarge { .. }), "{error:?}");
        append(&careful, order, &[10]).await.unwrap();
    });
    let read = read_topic(&broker.address(), "large", LIMIT, |read| read.len() >= 5);
    let arrived = Arrived::of(&read);
    arrived.assert_whole(1);
    let sizes: Vec<_> = read.iter().map(|record| record.value.len()).collect();
    assert_eq!((arrived.repeats, sizes), (0, vec![10, LARGE, LARGE, LARGE, 10]));
    until("it runs", LIMIT, || (task(http, "topic")["state"] == "RUNNING").then_some(()));
    fault(
        "an append that is larger than ScyllaDB takes as one batch (1 MiB), and one above `max_append_bytes`",
        "RUNNING; the first is written as two batches and arrives whole, the second is refused before anything is written \
         (`TooLarge`), and the aggregate goes on",
        "nothing stops",
    )
    .survived(&Outcome { lost: 0, repeated: 0, recovered: None });
}

/// Two publishers of one outbox: as it comes, and with a `confidence` above the difference of the clocks.
fn two_publishers(folder: &Path, database: &Database, broker: &Broker) -> Weir {
    let [prompt, patient] = ["prompt", "patient"].map(|topic| pipeline(folder, database, broker, topic));
    let text = std::fs::read_to_string(&patient).unwrap();
    std::fs::write(&patient, text.replace("outbox_messages }", "outbox_messages, confidence: 4s }")).unwrap();
    Weir::run(&[&prompt, &patient], &folder.join("data"), &[])
}

fn is_late(record: &Read) -> bool {
    record.headers.contains_key("weir.late")
}

#[test]
fn clocks_three_seconds_apart_into_a_topic() {
    const EACH: usize = 6;
    let (database, broker, folder) = (Database::embedded(), Broker::start(), tempfile::tempdir().unwrap());
    // ScyllaDB takes no write of a time before its first streams.
    database.server().new_generation(database.server().clock().micros() / 1_000 - 60_000);
    let mut weir = two_publishers(folder.path(), &database, &broker);
    let http = weir.http();
    let behind = Clock::from_fn(|| Timestamp::now().checked_sub(SignedDuration::from_secs(3)).unwrap());
    let [exact, behind] = [Clock::system(), behind].map(|clock| database.store_of(clock));
    let (shared, own) = ([(); 5].map(|()| Uuid::new_v4()), [(); 5].map(|()| Uuid::new_v4()));
    until("it runs", LIMIT, || (task(http, "topic")["state"] == "RUNNING").then_some(()));
    database.with(async |_| {
        for number in 0..EACH {
            for order in 0..5 {
                // The one that is behind begins.
                let writer = if (number + order) % 2 == 0 { &behind } else { &exact };
                append(writer, shared[order], &[10]).await.unwrap();
                append(&behind, own[order], &[10]).await.unwrap();
            }
        }
    });
    let (began, ids) = (Instant::now(), shared.iter().chain(&own).map(Uuid::to_string).collect::<Vec<_>>());
    let read = |topic: &str| {
        let ours = |read: &[Read]| -> Vec<Read> {
            read.iter().filter(|record| ids.contains(&record.key)).cloned().collect()
        };
        let all = |read: &[Read]| Arrived::of(&ours(read)).distinct() == ids.len() * EACH;
        ours(&read_topic(&broker.address(), topic, LIMIT, all))
    };
    let patient = read("patient");
    assert!(!patient.iter().any(is_late));
    Arrived::of(&patient).assert_whole(1);
    let prompt = read("prompt");
    let took = began.elapsed();
    assert!(took < Duration::from_secs(20), "{took:?}");
    assert_eq!((prompt.len(), patient.len()), (ids.len() * EACH, ids.len() * EACH), "each once");
    assert!(prompt.iter().any(is_late), "the clocks were not apart");
    let in_time: Vec<_> = prompt.into_iter().filter(|record| !is_late(record)).collect();
    for (key, numbers) in Arrived::of(&in_time).by_key {
        assert!(numbers.is_sorted(), "of {key}, what is not marked: {numbers:?}");
    }
    fault(
        "two writers whose clocks are three seconds apart, on the same aggregates and on their own, into a topic",
        "RUNNING; with a `confidence` above the difference all comes in order per key; below it what the slower one writes \
         first comes late, marked `weir.late`, and the rest in order",
        "20 s: the visit after 10 s, for the late rows; nothing stops",
    )
    .survived(&Outcome { lost: 0, repeated: 0, recovered: None });
}
