//! What happens when somebody asks to stop.

use std::time::Duration;

use tokio::time::Instant;
use weir_sdk::testing::{Effect, Fault, FaultySink, MemorySink, MemorySource, Step, Trace, numbered};
use weir_sdk::{Checkpoint, Error, ErrorKind, Partition};

use super::bench::Bench;
use crate::state::State;
use crate::supervisor::Outcome;
use crate::task::Ended;

#[tokio::test(start_paused = true)]
async fn a_stop_drains_what_was_read_saves_and_ends() {
    // As many as a task reads ahead, so that all have been read when it is stopped.
    let records = numbered("p", 0..80, 9);
    let (source, sink) = (MemorySource::of(records.clone()).endless(), MemorySink::new());
    let slow = (0..20).map(|_| Fault::slow(Duration::from_secs(1)));
    let bench = Bench::new(&source, FaultySink::new(sink.clone(), slow).factory("memory"));
    let running = bench.start();
    sink.until(|written| !written.is_empty()).await;
    bench.stop(Duration::from_secs(30));
    assert!(matches!(running.await.unwrap(), Outcome::Ended(Ended::Drained)));
    Trace::by_origin(&records, &sink.records()).assert_complete();
    let end: Checkpoint = [(Partition::from("p"), "79")].into_iter().collect();
    assert_eq!(bench.saved().unwrap().checkpoint, end);
    assert_eq!((bench.shown().0, source.closes(), sink.closes()), (State::Stopped, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn at_the_deadline_the_rest_is_left_for_next_time() {
    let records = numbered("p", 0..100, 9);
    let steps = [
        Step::Records(records[..50].to_vec()),
        Step::Waits(Duration::from_secs(2)),
        Step::Records(records[50..].to_vec()),
    ];
    let (source, sink) = (MemorySource::new(steps).endless(), MemorySink::new());
    let faulty = FaultySink::new(sink.clone(), []);
    let bench = Bench::new(&source, faulty.factory("memory"));
    let running = bench.start();
    sink.until(|written| written.len() == 50).await;
    faulty.push(Fault::Hang(Effect::None));
    tokio::time::sleep(Duration::from_secs(3)).await;
    let began = Instant::now();
    bench.stop(Duration::from_secs(5));
    assert!(matches!(running.await.unwrap(), Outcome::Ended(Ended::Abandoned)));
    assert_eq!(began.elapsed(), Duration::from_secs(5));
    let sink = MemorySink::new();
    let mut next = Bench::new(&source, sink.factory("memory"));
    next.spec.checkpoints = bench.spec.checkpoints.clone();
    source.end();
    next.start().await.unwrap();
    assert_eq!(Trace::by_origin(&records[50..], &sink.records()), Trace::default());
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_down_stops_at_once() {
    let source = MemorySource::of(numbered("p", 0..5, 1));
    source.refuse_open(Error::new(ErrorKind::Config, "no table `outbox`"));
    let bench = Bench::new(&source, MemorySink::new().factory("memory"));
    let running = bench.start();
    bench.until(State::Failed).await;
    let began = Instant::now();
    bench.stop(Duration::from_secs(30));
    assert!(matches!(running.await.unwrap(), Outcome::Down(_)));
    assert_eq!((began.elapsed(), bench.shown().0), (Duration::ZERO, State::Stopped));
}

#[tokio::test(start_paused = true)]
async fn a_fenced_task_ends_quietly_and_is_not_built_again() {
    let fenced = Step::Fails(Error::new(ErrorKind::Fenced, "another host owns orders/memory"));
    let source = MemorySource::new([fenced]);
    let bench = Bench::new(&source, MemorySink::new().factory("memory"));
    assert!(matches!(bench.start().await.unwrap(), Outcome::Retired(_)));
    assert_eq!((bench.shown().0, source.opened_at().len()), (State::Stopped, 1));
}

#[tokio::test(start_paused = true)]
async fn a_parked_task_stops_at_once_and_what_it_could_not_write_is_read_again() {
    let records = numbered("p", 0..20, 3);
    let (source, sink) = (MemorySource::of(records.clone()).endless(), MemorySink::new());
    let gone = (0..1000).map(|_| Fault::refuse(ErrorKind::Unavailable));
    let bench = Bench::new(&source, FaultySink::new(sink.clone(), gone).factory("memory"));
    let running = bench.start();
    bench.until(State::Parked).await;
    let began = Instant::now();
    bench.stop(Duration::from_secs(30));
    assert!(matches!(running.await.unwrap(), Outcome::Ended(Ended::Abandoned)));
    assert_eq!((began.elapsed(), bench.shown().0), (Duration::ZERO, State::Stopped));
    let mut next = Bench::new(&source, sink.factory("memory"));
    next.spec.checkpoints = bench.spec.checkpoints.clone();
    source.end();
    next.start().await.unwrap();
    Trace::by_origin(&records, &sink.records()).assert_complete();
}
