//! What a task does when something fails, and what it shows meanwhile.

use std::time::Duration;

use tokio::time::Instant;
use weir_sdk::testing::{Effect, Fault, FaultySink, MemorySink, MemorySource, Step, Trace, numbered};
use weir_sdk::{Error, ErrorKind};

use super::bench::Bench;
use crate::middleware::retry::OnExhausted;
use crate::state::State;

fn outage() -> Error {
    Error::new(ErrorKind::Unavailable, "broker 127.0.0.1:9092 is unreachable")
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_the_sink_parks_the_task_and_burns_no_attempts() {
    let records = numbered("p", 0..200, 9);
    let (source, sink) = (MemorySource::of(records.clone()).endless(), MemorySink::new());
    let faulty = FaultySink::new(sink.clone(), []);
    faulty.down(outage());
    let mut bench = Bench::new(&source, faulty.factory("memory"));
    bench.spec.settings.middleware.retry.attempts = 1;
    bench.spec.settings.middleware.retry.on_exhausted = OnExhausted::Stop;
    bench.start();
    let reason = bench.until(State::Parked).await;
    assert_eq!(
        reason,
        "broker 127.0.0.1:9092 is unreachable; bring the far side back; nothing is lost or skipped meanwhile"
    );
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!((bench.shown().0, sink.len()), (State::Parked, 0));
    assert!(bench.saved().is_none());
    faulty.up();
    bench.until(State::Running).await;
    sink.until(|written| written.len() == 200).await;
    Trace::by_origin(&records, &sink.records()).assert_complete();
}

#[tokio::test(start_paused = true)]
async fn attempts_run_out_only_while_the_far_side_answers() {
    let (source, sink) = (MemorySource::of(numbered("p", 0..60, 1)), MemorySink::new());
    let refusals = |count| (0..count).map(|_| Fault::refuse(ErrorKind::Transient));
    let recovery = [Fault::None, Fault::None, Fault::None];
    let faulty = FaultySink::new(sink.clone(), refusals(5).chain(recovery).chain(refusals(40)));
    faulty.push_probe(Err(outage()));
    let mut bench = Bench::new(&source, faulty.factory("memory"));
    bench.spec.settings.middleware.retry.on_exhausted = OnExhausted::Stop;
    // The breaker would count these failures first, and open.
    bench.spec.settings.middleware.circuit_breaker.failures = 100;
    bench.spec.settings.middleware.circuit_breaker.calls = 100;
    bench.start();
    bench.until(State::Parked).await;
    assert_eq!((faulty.calls(), faulty.probes()), (5, 1));
    let reason = bench.until(State::Restarting).await;
    assert!(reason.contains("a transient error by the script"), "{reason}");
    assert_eq!((faulty.calls(), faulty.probes()), (13, 3), "one of the probes was the breaker's");
}

#[tokio::test(start_paused = true)]
async fn a_poison_record_ends_the_task_and_is_never_skipped() {
    let (source, sink) = (MemorySource::of(numbered("p", 0..20, 20)), MemorySink::new());
    let faulty = FaultySink::new(sink.clone(), [Fault::fail(0, ErrorKind::Record)]);
    let bench = Bench::new(&source, faulty.factory("memory"));
    let running = bench.start();
    let reason = bench.until(State::Failed).await;
    assert!(reason.contains("of partition p: a record error by the script"), "{reason}");
    assert!(bench.saved().is_none());
    running.await.unwrap();
    assert_eq!(source.opened_at().len(), 2, "tried again after a while, from the start");
    Trace::by_origin(&numbered("p", 0..20, 20), &sink.records()).assert_complete();
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_source_or_sink_rebuilds_only_this_task() {
    let records = numbered("p", 0..100, 9);
    let halves: Vec<_> = records.chunks(50).map(|half| Step::Records(half.to_vec())).collect();
    let source = MemorySource::new([halves[0].clone(), Step::Panics, halves[1].clone()]);
    let sink = MemorySink::new();
    let faulty = FaultySink::new(sink.clone(), [Fault::None, Fault::Panic]);
    let bench = Bench::new(&source, faulty.factory("memory"));
    let other_source = MemorySource::of(records.clone());
    let other_sink = MemorySink::new();
    let other = Bench::new(&other_source, other_sink.factory("memory"));
    let (running, undisturbed) = (bench.start(), other.start());
    let panicked =
        |state, reason: &str| state == State::Restarting && reason.contains("a panic by the script");
    bench.until_shown(panicked).await;
    running.await.unwrap();
    undisturbed.await.unwrap();
    Trace::by_origin(&records, &sink.records()).assert_complete();
    assert_eq!(Trace::by_origin(&records, &other_sink.records()), Trace::default());
    assert_eq!((source.opened_at().len() > 1, other_source.opened_at().len()), (true, 1));
}

#[tokio::test(start_paused = true)]
async fn a_write_without_an_answer_is_sent_again_and_arrives() {
    let records = numbered("p", 0..30, 3);
    let (source, sink) = (MemorySource::of(records.clone()), MemorySink::new());
    let faults = [Fault::Hang(Effect::Before), Fault::Hang(Effect::None), Fault::Lose];
    let bench = Bench::new(&source, FaultySink::new(sink.clone(), faults).factory("memory"));
    bench.start().await.unwrap();
    Trace::by_origin(&records, &sink.records()).assert_complete();
}

#[tokio::test(start_paused = true)]
async fn errors_of_the_source_are_waited_out() {
    let records = numbered("p", 0..20, 3);
    let fails = (0..8).map(|_| Step::Fails(Error::new(ErrorKind::Transient, "query failed")));
    let steps = std::iter::once(Step::Records(records[..10].to_vec())).chain(fails);
    let source = MemorySource::new(steps.chain([Step::Records(records[10..].to_vec())]));
    let sink = MemorySink::new();
    let bench = Bench::new(&source, sink.factory("memory"));
    let running = bench.start();
    let reason = bench.until(State::Parked).await;
    assert!(reason.starts_with("query failed; "), "{reason}");
    running.await.unwrap();
    assert_eq!(Trace::by_origin(&records, &sink.records()), Trace::default());
    assert_eq!(source.opened_at().len(), 1, "the same source went on");
}

#[tokio::test(start_paused = true)]
async fn what_needs_the_operator_is_tried_again_every_five_minutes() {
    let source = MemorySource::of(numbered("p", 0..5, 1));
    for _ in 0..3 {
        source.refuse_open(
            Error::new(ErrorKind::Auth, "password refused").advice("check `username` and `password`"),
        );
    }
    let sink = MemorySink::new();
    let bench = Bench::new(&source, sink.factory("memory"));
    let (began, running) = (Instant::now(), bench.start());
    let reason = bench.until(State::Failed).await;
    let told =
        "open source memory: password refused; check `username` and `password`; it is tried again every 5m";
    assert_eq!(reason, told);
    running.await.unwrap();
    let minutes = began.elapsed().as_secs() / 60;
    assert_eq!((minutes, sink.len(), source.opened_at().len()), (15, 5, 4));
}

#[tokio::test(start_paused = true)]
async fn a_task_that_failed_is_not_said_to_run_before_something_went_through() {
    let records = numbered("p", 0..20, 20);
    let (source, sink) = (MemorySource::of(records.clone()).endless(), MemorySink::new());
    let refusals = (0..4).map(|_| Fault::refuse(ErrorKind::Auth));
    let faulty = FaultySink::new(sink.clone(), refusals);
    let bench = Bench::new(&source, faulty.factory("memory"));
    bench.start();
    bench.until(State::Failed).await;
    let since = || bench.control.board().tasks().remove(&bench.task).unwrap().since;
    let failed_since = since();
    while sink.is_empty() {
        assert_eq!((bench.shown().0, since()), (State::Failed, failed_since), "call {}", faulty.calls());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(faulty.calls() > 4, "{}", faulty.calls());
    bench.until(State::Running).await;
    sink.until(|written| written.len() == 20).await;
    Trace::by_origin(&records, &sink.records()).assert_complete();
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_of_another_source_is_refused() {
    let sink = MemorySink::new();
    let old = MemorySource::of(numbered("p", 0..5, 1)).with_identity("table-1");
    let first = Bench::new(&old, sink.factory("memory"));
    first.start().await.unwrap();
    let new = MemorySource::of(numbered("p", 0..9, 1)).with_identity("table-2");
    let mut second = Bench::new(&new, sink.factory("memory"));
    second.spec.checkpoints = first.spec.checkpoints.clone();
    second.start();
    let reason = second.until(State::Failed).await;
    assert!(
        reason.starts_with("the checkpoint belongs to source memory:table-1, not to memory:table-2; restore"),
        "{reason}"
    );
    assert_eq!((sink.len(), new.closes()), (5, 1));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_degrades_the_task_but_records_flow() {
    let records = numbered("p", 0..50, 5);
    let (source, sink) = (MemorySource::of(records.clone()).endless(), MemorySink::new());
    let bench = Bench::new(&source, sink.factory("memory"));
    let full = Error::new(ErrorKind::Transient, "no space left on device");
    bench.store.refusals.lock().unwrap().extend(std::iter::repeat_n(full, 5));
    bench.start();
    let reason = bench.until(State::Degraded).await;
    assert!(reason.starts_with("save the checkpoint: no space left on device"), "{reason}");
    sink.until(|written| written.len() == 50).await;
    bench.until(State::Running).await;
    assert!(bench.saved().is_some());
}
