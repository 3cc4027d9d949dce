//! Retry in front of a breaker in front of a sink that fails by a script, on a paused clock.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use proptest::prelude::*;
use tokio::time::Instant;
use weir_sdk::metrics::{Metrics, names};
use weir_sdk::testing::{Fault, FaultySink, MemorySink, RecordExt, Trace, numbered};
use weir_sdk::{Error, ErrorKind, Record, Records, Sink, TaskId, WriteError, async_trait};

use super::{OnExhausted, Retry, Settings, budget};
use crate::middleware::circuit_breaker::{self, CircuitBreaker};
use crate::middleware::parking::Parking;
use crate::state::Board;

fn settings(on_exhausted: OnExhausted) -> Settings {
    Settings { attempts: 3, on_exhausted, ..Settings::default() }
}

/// Behind a breaker that opens after `failures` in a row, and its figures.
fn retry(sink: impl Sink + 'static, failures: u32, settings: Settings) -> (Retry, Metrics) {
    let metrics = Metrics::default();
    let pen = Board::default().enter(TaskId { pipeline: "p".into(), sink: "s".into() }, metrics.clone());
    pen.running();
    let breaker = circuit_breaker::Settings {
        failures,
        rate: 1.0,
        calls: 1000,
        ..circuit_breaker::Settings::default()
    };
    let parking = Parking::new(pen);
    let breaker = Arc::new(CircuitBreaker::new(Arc::new(sink), breaker, &metrics, parking));
    (Retry::new(breaker, settings, &metrics), metrics)
}

fn dead(answer: Result<(), WriteError>) -> Vec<usize> {
    match answer {
        Ok(()) => Vec::new(),
        Err(WriteError::All(error)) => panic!("nothing is known of single records: {error}"),
        Err(WriteError::Some(failed)) => {
            assert!(failed.iter().all(|failed| failed.error.kind() == ErrorKind::Record), "{failed:?}");
            failed.iter().map(|failed| failed.index).collect()
        }
    }
}

#[tokio::test(start_paused = true)]
async fn attempts_run_out_only_against_a_far_side_that_answers() {
    let records = Records::from(numbered("p", 0..2, 1));
    for (on_exhausted, wanted) in
        [(OnExhausted::Stop, ErrorKind::Transient), (OnExhausted::DeadLetter, ErrorKind::Record)]
    {
        let faulty = FaultySink::new(MemorySink::new(), (0..3).map(|_| Fault::refuse(ErrorKind::Transient)));
        let (retry, _) = retry(faulty.clone(), 100, settings(on_exhausted));
        let Err(WriteError::Some(failed)) = retry.write(records.clone()).await else { panic!("given up") };
        assert!(failed.iter().all(|failed| failed.error.kind() == wanted), "{failed:?}");
        assert!(failed[0].error.to_string().contains("a transient error by the script"), "{failed:?}");
        assert_eq!((failed.len(), faulty.calls(), faulty.probes()), (2, 3, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn while_the_breaker_is_not_closed_nothing_is_used_up() {
    for (failures, kind) in [(2, ErrorKind::Transient), (100, ErrorKind::Unavailable)] {
        let sink = MemorySink::new();
        let faulty = FaultySink::new(sink.clone(), (0..20).map(|_| Fault::refuse(kind)));
        let (retry, metrics) = retry(faulty.clone(), failures, settings(OnExhausted::DeadLetter));
        retry.write(numbered("p", 0..3, 1).into()).await.unwrap();
        assert_eq!((sink.len(), faulty.calls()), (3, 21));
        assert_eq!(metrics.gauge(names::RETRY_BUDGET).get(), if failures == 2 { 99.0 } else { 100.0 });
    }
}

#[tokio::test(start_paused = true)]
async fn attempts_begin_anew_after_recovery() {
    let script = [ErrorKind::Transient, ErrorKind::Transient, ErrorKind::Unavailable];
    let script = script.into_iter().chain([ErrorKind::Transient; 2]).map(Fault::refuse);
    let faulty = FaultySink::new(MemorySink::new(), script);
    let (retry, _) = retry(faulty.clone(), 100, settings(OnExhausted::Stop));
    retry.write(numbered("p", 0..3, 1).into()).await.unwrap();
    assert_eq!(faulty.calls(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_failed_probe_or_the_wish_to_park_opens_the_breaker() {
    let outage = Error::new(ErrorKind::Unavailable, "nobody there");
    for (on_exhausted, answer) in [(OnExhausted::Stop, Err(outage)), (OnExhausted::Park, Ok(()))] {
        let faulty = FaultySink::new(MemorySink::new(), (0..3).map(|_| Fault::refuse(ErrorKind::Timeout)));
        faulty.push_probe(answer);
        let (retry, metrics) = retry(faulty.clone(), 100, settings(on_exhausted));
        let began = Instant::now();
        retry.write(numbered("p", 0..3, 1).into()).await.unwrap();
        assert_eq!((faulty.calls(), faulty.probes()), (4, 2), "the second probe is the breaker's");
        assert_eq!(metrics.counter(names::CIRCUIT_BREAKER_OPENED).get(), 1);
        assert_eq!(began.elapsed().as_secs(), 30);
    }
}

#[tokio::test(start_paused = true)]
async fn retries_beyond_the_budget_wait() {
    let settings = Settings {
        initial: Duration::ZERO,
        attempts: 1000,
        budget: budget::Settings { ratio: 0.0, per_second: 10 },
        max: Duration::ZERO,
        ..settings(OnExhausted::Stop)
    };
    let script = (0..150).map(|_| Fault::refuse(ErrorKind::Transient));
    let (retry, metrics) = retry(FaultySink::new(MemorySink::new(), script), 1000, settings);
    let began = Instant::now();
    retry.write(numbered("p", 0..1, 1).into()).await.unwrap();
    let waited = began.elapsed().as_millis();
    assert!((4900..6000).contains(&waited), "100 at once and 50 at 10 a second: {waited} ms");
    assert_eq!(metrics.counter(names::RETRY_BUDGET_WAITS).get(), 50);
}

/// Refuses every batch that holds one of these offsets, and cannot say which.
#[derive(Clone)]
struct Picky {
    inner: FaultySink,
    poison: Arc<BTreeSet<String>>,
    writes: Arc<AtomicUsize>,
}

impl Picky {
    fn new(inner: FaultySink, poison: impl IntoIterator<Item = usize>) -> Self {
        let poison = poison.into_iter().map(|n: usize| n.to_string()).collect();
        Self { inner, poison: Arc::new(poison), writes: Arc::default() }
    }
}

#[async_trait]
impl Sink for Picky {
    async fn write(&self, records: Records) -> Result<(), WriteError> {
        self.writes.fetch_add(1, Ordering::SeqCst);
        let spoilt = |record: &Record| self.poison.contains(&record.text());
        if records.iter().any(spoilt) {
            return Err(Error::new(ErrorKind::Record, "one of these is poison").into());
        }
        self.inner.write(records).await
    }

    async fn probe(&self) -> Result<(), Error> {
        self.inner.probe().await
    }
}

#[tokio::test(start_paused = true)]
async fn one_poison_is_found_in_about_two_log_n_writes() {
    for (count, poison) in [(1000, 700), (1000, 0), (1000, 999), (2, 1), (1, 0)] {
        let (sink, records) = (MemorySink::new(), numbered("p", 0..count, 7));
        let picky = Picky::new(FaultySink::new(sink.clone(), []), [poison]);
        let (retry, metrics) = retry(picky.clone(), 5, settings(OnExhausted::Stop));
        assert_eq!(dead(retry.write(records.clone().into()).await), [poison]);
        let writes = picky.writes.load(Ordering::SeqCst);
        let bound = 1 + 2 * count.next_power_of_two().ilog2() as usize;
        assert!(writes <= bound, "{writes} writes for {count} records, {bound} allowed");
        let good: Vec<_> = records.into_iter().filter(|record| record.text() != poison.to_string()).collect();
        assert_eq!(Trace::by_origin(&good, &sink.records()), Trace::default());
        assert_eq!(metrics.gauge(names::CIRCUIT_BREAKER_STATE).get(), 0.0);
    }
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        4 => Just(Fault::None),
        2 => Just(Fault::refuse(ErrorKind::Transient)),
        1 => Just(Fault::refuse(ErrorKind::Unavailable)),
        1 => Just(Fault::refuse(ErrorKind::Throttled)),
        1 => (0usize..40).prop_map(|at| Fault::fail(at, ErrorKind::Transient)),
        1 => Just(Fault::Lose),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Among whatever else fails: exactly the poison is dead, all else arrives, and order per key is kept.
    #[test]
    fn exactly_the_poison_is_dead(
        count in 1usize..40,
        poison in proptest::collection::btree_set(0usize..40, 0..5),
        script in proptest::collection::vec(fault(), 0..30),
    ) {
        let poison: BTreeSet<usize> = poison.into_iter().filter(|at| *at < count).collect();
        let records = numbered("p", 0..count, 3);
        let sink = MemorySink::new();
        let picky = Picky::new(FaultySink::new(sink.clone(), script), poison.iter().copied());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let answer = runtime.unwrap().block_on(async {
            let (retry, _) = retry(picky, 5, settings(OnExhausted::Park));
            retry.write(records.clone().into()).await
        });
        prop_assert_eq!(dead(answer), poison.iter().copied().collect::<Vec<_>>());
        let good = |record: &Record| !poison.contains(&record.text().parse::<usize>().unwrap());
        let good: Vec<_> = records.into_iter().filter(good).collect();
        Trace::by_origin(&good, &sink.records()).assert_complete();
    }
}
