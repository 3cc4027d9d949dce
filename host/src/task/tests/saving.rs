//! What becomes of a checkpoint whose store fails or hangs at the end of a task, of far sides that are not there yet at
//! its begin, and of a task that another host has.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;
use weir_sdk::metrics::names;
use weir_sdk::testing::{MemorySink, MemorySource, Trace, numbered};
use weir_sdk::{Checkpoint, CheckpointStore as _, Error, ErrorKind, Partition};

use super::bench::Bench;
use crate::state::State;
use crate::supervisor::Outcome;
use crate::task::Ended;

#[tokio::test(start_paused = true)]
async fn a_save_that_fails_as_the_source_ends_is_not_overheard() {
    let records = numbered("p", 0..5, 1);
    let (source, sink) = (MemorySource::of(records.clone()), MemorySink::new());
    let bench = Bench::new(&source, sink.factory("memory"));
    bench.store.refusals.lock().unwrap().push(Error::new(ErrorKind::Config, "read-only file system"));
    let running = bench.start();
    let reason = bench.until(State::Failed).await;
    assert!(reason.starts_with("save the checkpoint: read-only file system; "), "{reason}");
    running.await.unwrap();
    assert!(bench.saved().is_some(), "repaired, it is saved at the next try");
    Trace::by_origin(&records, &sink.records()).assert_complete();
}

#[tokio::test(start_paused = true)]
async fn a_hung_store_does_not_hold_up_a_stop_beyond_its_deadline() {
    let (source, sink) = (MemorySource::of(numbered("p", 0..5, 1)).endless(), MemorySink::new());
    let bench = Bench::new(&source, sink.factory("memory"));
    let disk = bench.store.disk.lock().await;
    let running = bench.start();
    sink.until(|written| written.len() == 5).await;
    let began = Instant::now();
    bench.stop(Duration::from_secs(7));
    assert!(matches!(running.await.unwrap(), Outcome::Ended(Ended::Abandoned)));
    assert_eq!((began.elapsed(), bench.shown().0), (Duration::from_secs(7 + 5), State::Stopped));
    drop(disk);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(bench.saved().is_none(), "what was given up is not saved behind the back of the next run");
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_dropped_saves_nothing_more() {
    let (source, sink) = (MemorySource::of(numbered("p", 0..5, 1)).endless(), MemorySink::new());
    let bench = Bench::new(&source, sink.factory("memory"));
    let disk = bench.store.disk.lock().await;
    let running = bench.start();
    sink.until(|written| written.len() == 5).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    drop(disk);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(bench.saved().is_none());
}

#[tokio::test(start_paused = true)]
async fn an_outage_at_the_begin_is_parked_and_no_restart() {
    let records = numbered("p", 0..5, 1);
    let (source, sink) = (MemorySource::of(records.clone()).endless(), MemorySink::new());
    for _ in 0..4 {
        source.refuse_open(Error::new(ErrorKind::Unavailable, "no node answers"));
        sink.refuse_open(Error::new(ErrorKind::Unavailable, "no broker answers"));
    }
    let bench = Bench::new(&source, sink.factory("memory"));
    bench.start();
    let reason = bench.until(State::Parked).await;
    assert!(reason.starts_with("open source memory: no node answers; bring the far side back"), "{reason}");
    bench.until_shown(|state, reason| state == State::Parked && reason.contains("no broker answers")).await;
    bench.until(State::Running).await;
    sink.until(|written| written.len() == 5).await;
    assert_eq!((source.opened_at().len(), sink.opens()), (9, 5));
    assert_eq!(bench.spec.metrics.counter(names::TASK_RESTARTS).get(), 0);
    assert_eq!(bench.spec.metrics.gauge(names::TASK_PARKED).get(), 0.0);
}

fn at(offset: &'static str) -> Checkpoint {
    [(Partition::from("p"), offset)].into_iter().collect()
}

#[tokio::test(start_paused = true)]
async fn what_another_host_saved_until_the_claim_is_gone_on_from() {
    let (source, sink) = (MemorySource::of(numbered("p", 0..10, 1)), MemorySink::new());
    let bench = Bench::new(&source, sink.factory("memory"));
    bench.store.save(&bench.task, "memory:memory", &at("2")).await.unwrap();
    *bench.store.elsewhere.lock().unwrap() = Some(at("6"));
    assert!(matches!(bench.start().await.unwrap(), Outcome::Ended(Ended::Exhausted)));
    assert_eq!(source.opened_at(), [at("2"), at("6")]);
    assert_eq!(source.closes(), 2);
    Trace::by_origin(&numbered("p", 7..10, 1), &sink.records()).assert_complete();
    assert_eq!(sink.records().len(), 3, "nothing that the other host has covered");
}

#[tokio::test(start_paused = true)]
async fn the_checkpoint_of_another_source_is_not_claimed() {
    let (source, sink) = (MemorySource::of(numbered("p", 0..10, 1)), MemorySink::new());
    let bench = Bench::new(&source, sink.factory("memory"));
    bench.store.save(&bench.task, "memory:another", &at("2")).await.unwrap();
    let running = bench.start();
    let reason = bench.until(State::Failed).await;
    assert!(reason.starts_with("the checkpoint belongs to source memory:another, not to memory:memory"));
    assert_eq!(bench.store.claims.load(Ordering::Relaxed), 0, "whoever has it runs on");
    running.abort();
}
