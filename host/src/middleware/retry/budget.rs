//! `RetryBudget`: how many retries a sink may send, as a share of its calls and a few a second beside.
//!
//! A limit on attempts bounds what one write costs; it does not bound what all writes cost together. When every call
//! fails, each of them is sent again a few times, and a far side in trouble gets several times its usual load exactly
//! then. The budget keeps that extra load at a share of the calls. A retry beyond it is not given up: it waits.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use weir_sdk::metrics::{Counter, Gauge, Metrics, names};

/// How many retries a sink may send.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Retries for each call.
    pub ratio: f64,
    /// Retries a second however few the calls are; at least 1.
    pub per_second: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { ratio: 0.2, per_second: 10 }
    }
}

/// The budget of one sink, shared by all its lanes.
pub(super) struct RetryBudget {
    purse: Mutex<Purse>,
    born: Instant,
    remaining: Gauge,
    waits: Counter,
}

impl RetryBudget {
    /// A full one.
    pub(super) fn new(settings: Settings, metrics: &Metrics) -> Self {
        let purse = Purse::new(settings);
        let remaining = metrics.gauge(names::RETRY_BUDGET);
        remaining.set(purse.tokens);
        let waits = metrics.counter(names::RETRY_BUDGET_WAITS);
        Self { purse: Mutex::new(purse), born: Instant::now(), remaining, waits }
    }

    /// A call was made that is no retry.
    pub(super) fn earn(&self) {
        self.purse.lock().unwrap_or_else(PoisonError::into_inner).earn();
    }

    /// Waits until one more retry is within the budget.
    pub(super) async fn spend(&self) {
        let (wait, left) = {
            let mut purse = self.purse.lock().unwrap_or_else(PoisonError::into_inner);
            (purse.spend(self.born.elapsed()), purse.tokens)
        };
        self.remaining.set(left.max(0.0));
        if wait > Duration::ZERO {
            self.waits.add(1);
            tokio::time::sleep(wait).await;
        }
    }
}

/// The decision as a value: what is left, which may be less than nothing where retries wait for their turn.
#[derive(Debug)]
struct Purse {
    settings: Settings,
    tokens: f64,
    /// When tokens were last added, counted from its making.
    at: Duration,
}

impl Purse {
    /// It holds at most what so many seconds bring.
    const SECONDS: f64 = 10.0;

    fn new(settings: Settings) -> Self {
        let mut purse = Self { settings, tokens: 0.0, at: Duration::ZERO };
        purse.tokens = purse.most();
        purse
    }

    fn earn(&mut self) {
        self.add(self.settings.ratio);
    }

    /// Takes one; how long to wait until it is there.
    fn spend(&mut self, now: Duration) -> Duration {
        let passed = now.saturating_sub(self.at);
        self.at = self.at.max(now);
        self.add(passed.as_secs_f64() * self.per_second());
        self.tokens -= 1.0;
        let missing = (-self.tokens).max(0.0) / self.per_second();
        Duration::try_from_secs_f64(missing).unwrap_or(Duration::MAX)
    }

    fn add(&mut self, tokens: f64) {
        self.tokens = (self.tokens + tokens).min(self.most());
    }

    fn per_second(&self) -> f64 {
        self.settings.per_second.into()
    }

    fn most(&self) -> f64 {
        self.per_second() * Self::SECONDS
    }
}

#[cfg(test)]
mod tests {
    use super::{Purse, Settings};
    use proptest::prelude::*;
    use std::time::Duration;

    #[test]
    fn beyond_the_budget_retries_come_at_the_floor() {
        let mut purse = Purse::new(Settings { ratio: 0.2, per_second: 10 });
        let now = Duration::from_secs(1);
        let mut spend = |n: usize| (0..n).map(|_| purse.spend(now)).collect::<Vec<_>>();
        assert!(spend(100).iter().all(Duration::is_zero), "what 10 s bring");
        assert_eq!(spend(3), [100, 200, 300].map(Duration::from_millis));
        (0..20).for_each(|_| purse.earn());
        assert_eq!(purse.spend(now), Duration::ZERO, "20 calls pay for 4: three that wait, and this one");
    }

    proptest! {
        /// Whatever happens, retries are a share of the calls, plus the floor, plus what the purse held at first.
        #[test]
        fn retries_never_pass_the_budget(
            steps in proptest::collection::vec((0u64..500, 0u32..20, 0u32..20), 1..200),
            ratio in 0.0f64..1.0,
            per_second in 1u32..50,
        ) {
            let mut purse = Purse::new(Settings { ratio, per_second });
            let (mut now, mut calls, mut sent) = (Duration::ZERO, 0.0, Vec::new());
            for (millis, earned, spent) in steps {
                now += Duration::from_millis(millis);
                for _ in 0..earned {
                    purse.earn();
                    calls += 1.0;
                }
                for _ in 0..spent {
                    sent.push(now + purse.spend(now));
                    let until = sent[sent.len() - 1].as_secs_f64();
                    let allowed = ratio * calls + f64::from(per_second) * (until + Purse::SECONDS) + 1e-6;
                    prop_assert!(sent.len() as f64 <= allowed, "{} until {until} s, {allowed} allowed", sent.len());
                }
            }
        }
    }
}
