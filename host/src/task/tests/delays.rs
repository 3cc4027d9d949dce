//! How long a task that fails waits before it is built again.

use std::time::Duration;

use tokio::time::Instant;
use weir_sdk::testing::{MemorySink, MemorySource, Step, numbered};
use weir_sdk::{Error, ErrorKind};

use super::bench::Bench;
use crate::orders::Command;
use crate::state::State;

/// Waits until the source was opened once more; how long that took.
async fn next_try(source: &MemorySource) -> Duration {
    let (began, tries) = (Instant::now(), source.opened_at().len());
    while source.opened_at().len() == tries {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    began.elapsed()
}

fn failing(times: usize) -> MemorySource {
    let source = MemorySource::of(numbered("p", 0..5, 1)).endless();
    for _ in 0..times {
        source.refuse_open(Error::new(ErrorKind::Bug, "a bug"));
    }
    source
}

#[tokio::test(start_paused = true)]
async fn from_a_second_doubling_to_five_minutes() {
    let source = failing(12);
    let bench = Bench::new(&source, MemorySink::new().factory("memory"));
    bench.start();
    next_try(&source).await;
    for bound in [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300] {
        let (bound, waited) = (Duration::from_secs(bound), next_try(&source).await);
        let slack = Duration::from_millis(100);
        assert!(waited + slack >= bound / 2 && waited <= bound + slack, "{waited:?} of {bound:?}");
    }
    bench.until(State::Running).await;
}

#[tokio::test(start_paused = true)]
async fn the_operator_has_as_long_as_retry_failed_says_and_is_told() {
    for (kind, failed) in [(ErrorKind::Auth, State::Failed), (ErrorKind::Gap, State::Gap)] {
        let source = MemorySource::of(numbered("p", 0..5, 1)).endless();
        (0..3).for_each(|_| source.refuse_open(Error::new(kind, "not you")));
        let mut bench = Bench::new(&source, MemorySink::new().factory("memory"));
        bench.spec.settings.retry_failed = Duration::from_secs(90);
        bench.start();
        let reason = bench.until(failed).await;
        assert!(reason.ends_with("; it is tried again every 1m 30s"), "{reason}");
        for _ in 0..3 {
            let (waited, slack) = (next_try(&source).await, Duration::from_millis(100));
            assert!(waited.abs_diff(Duration::from_secs(90)) <= slack, "{waited:?}");
        }
        bench.until(State::Running).await;
    }
}

#[tokio::test(start_paused = true)]
async fn they_begin_anew_after_ten_minutes_of_health_and_not_before() {
    let source = failing(8);
    let sick = |after: u64| {
        source.push(Step::Waits(Duration::from_secs(after)));
        source.push(Step::Fails(Error::new(ErrorKind::Bug, "a bug")));
    };
    let live = async |seconds: u64, bench: &Bench| {
        bench.until(State::Running).await;
        tokio::time::sleep(Duration::from_secs(seconds - 5)).await;
        bench.until(State::Restarting).await;
    };
    sick(590);
    let bench = Bench::new(&source, MemorySink::new().factory("memory"));
    bench.start();
    while source.opened_at().len() < 9 {
        next_try(&source).await;
    }
    live(590, &bench).await;
    let waited = next_try(&source).await;
    assert!(waited >= Duration::from_secs(120), "{waited:?}: the ninth failure, after less than ten minutes");
    sick(610);
    live(610, &bench).await;
    let waited = next_try(&source).await;
    assert!(waited <= Duration::from_millis(1100), "{waited:?}: the first failure after ten minutes");
}

#[tokio::test(start_paused = true)]
async fn they_begin_anew_at_the_operators_order() {
    let source = failing(10);
    let bench = Bench::new(&source, MemorySink::new().factory("memory"));
    bench.start();
    while source.opened_at().len() < 8 {
        next_try(&source).await;
    }
    bench.order(Command::Restart).await;
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(source.opened_at().len(), 9, "at once");
    let waited = next_try(&source).await;
    assert!(waited <= Duration::from_millis(1100), "{waited:?}: the first failure after the order");
}
