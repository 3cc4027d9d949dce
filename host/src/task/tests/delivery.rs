//! What arrives, in which order, and what is saved when.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use weir_sdk::testing::{Effect, Fault, FaultySink, MemorySink, MemorySource, Step, Trace, numbered, record};
use weir_sdk::{Checkpoint, Error, ErrorKind, Partition, Record, Transform};

use super::bench::Bench;
use crate::supervisor::Outcome;
use crate::task::{Ended, transforms};

fn at(offset: &str) -> Checkpoint {
    [(Partition::from("p"), offset.to_owned())].into_iter().collect()
}

fn steps(records: &[Record], size: usize) -> Vec<Step> {
    records.chunks(size).map(|chunk| Step::Records(chunk.to_vec())).collect()
}

#[tokio::test(start_paused = true)]
async fn everything_arrives_once_and_is_saved_before_it_is_committed() {
    let records = numbered("p", 0..1000, 7);
    let (source, sink) = (MemorySource::new(steps(&records, 13)), MemorySink::new());
    let bench = Bench::new(&source, sink.factory("memory"));
    assert!(matches!(bench.start().await.unwrap(), Outcome::Ended(Ended::Exhausted)));
    let trace = Trace::by_origin(&records, &sink.records());
    assert_eq!(trace, Trace::default());
    assert_eq!(bench.saved().unwrap().checkpoint, at("999"));
    assert_eq!(bench.saved().unwrap().identity, "memory:memory");
    assert_eq!(source.commits(), *bench.store.saves.lock().unwrap());
    assert_eq!((source.closes(), sink.closes()), (1, 1));
    assert!(sink.writes().iter().all(|size| *size <= 10), "no write is larger than the batch");
}

#[tokio::test(start_paused = true)]
async fn a_slow_key_holds_up_neither_other_lanes_nor_their_checkpoint_rule() {
    let (source, sink) = (MemorySource::of(numbered("p", 0..100, 50)), MemorySink::new());
    let faulty = FaultySink::new(sink.clone(), [Fault::slow(Duration::from_secs(5))]);
    let bench = Bench::new(&source, faulty.factory("memory"));
    let running = bench.start();
    sink.until(|records| records.len() >= 60).await;
    assert!(bench.saved().is_none(), "the batch is not complete: nothing of it may be saved");
    running.await.unwrap();
    assert_eq!(sink.len(), 100);
    assert_eq!(bench.saved().unwrap().checkpoint, at("99"));
}

#[tokio::test(start_paused = true)]
async fn an_idle_source_moves_the_checkpoint_at_least_every_second() {
    let moved = |offset: &str| Step::Moved(at(offset));
    let wait = || Step::Waits(Duration::from_secs(1));
    let source = MemorySource::new([moved("1"), wait(), moved("2"), wait(), moved("3")]);
    let bench = Bench::new(&source, MemorySink::new().factory("memory"));
    bench.start().await.unwrap();
    let saves = bench.store.saves.lock().unwrap().clone();
    assert_eq!(saves, [at("1"), at("2"), at("3")]);
}

#[tokio::test(start_paused = true)]
async fn memory_stays_flat_behind_a_sink_that_hangs() {
    let records = numbered("p", 0..10_000, 100);
    let (source, sink) = (MemorySource::new(steps(&records, 10)), MemorySink::new());
    let faulty = FaultySink::new(sink.clone(), (0..4).map(|_| Fault::Hang(Effect::None)));
    let mut bench = Bench::new(&source, faulty.factory("memory"));
    bench.spec.settings.middleware.timeout = Duration::from_secs(3600);
    let running = bench.start();
    tokio::time::sleep(Duration::from_secs(60)).await;
    let polled = source.polls();
    assert!(polled <= 40, "{polled} polls of 10 records, with room for 320");
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(source.polls(), polled);
    running.await.unwrap();
    Trace::by_origin(&records, &sink.records()).assert_complete();
}

struct Double;

impl Transform for Double {
    fn apply(&self, record: Record, out: &mut Vec<Record>) -> Result<(), Error> {
        match record.value.as_deref() {
            Some(b"drop") => {}
            Some(b"bad") => return Err(Error::new(ErrorKind::Record, "no JSON")),
            _ => out.extend([record.clone(), record]),
        }
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn transforms_make_none_one_or_several_and_a_dropped_record_is_covered() {
    let source = MemorySource::of([record("a", "1"), record("a", "2"), record("a", "drop")]);
    let sink = MemorySink::new();
    let mut bench = Bench::new(&source, sink.factory("memory"));
    let double = transforms::Step { name: "double".into(), transform: Arc::new(Double) };
    bench.spec.transforms = vec![double.clone(), double];
    bench.start().await.unwrap();
    let values: Vec<_> = sink.records().iter().map(|record| record.value.clone().unwrap()).collect();
    assert_eq!(values, ["1", "1", "1", "1", "2", "2", "2", "2"]);
    let saved = bench.saved().unwrap().checkpoint;
    assert_eq!(saved.get(&Partition::from("test")).unwrap().as_bytes(), "drop");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whatever a sink that keeps its contract does, nothing is lost and order per key is kept.
    #[test]
    fn order_per_key_survives_random_faults(seed: u64, lanes in 1usize..6, keys in 1usize..12, one_in in 1u32..6) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let records = numbered("p", 0..300, keys);
            let (source, sink) = (MemorySource::new(steps(&records, 17)), MemorySink::new());
            let faulty = FaultySink::random(sink.clone(), seed, one_in + 1);
            let mut bench = Bench::new(&source, faulty.factory("memory"));
            bench.spec.settings.lanes = lanes;
            bench.start().await.unwrap();
            Trace::by_origin(&records, &sink.records()).assert_complete();
            assert_eq!(bench.saved().unwrap().checkpoint, at("299"));
        });
    }
}
