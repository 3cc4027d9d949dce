//! What stands in front of a sink, as it is written: retry, circuit breaker, rate limit.

use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use weir_sdk::config::{ByteSize, HumanDuration, Problem};

use super::written::{part, some_time};
use crate::middleware::{circuit_breaker, rate_limit, retry};

/// How failed writes are sent again: after a random delay whose bound grows.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Retry {
    /// The bound of the first delay.
    #[serde(deserialize_with = "some_time")]
    pub(super) initial: HumanDuration,
    /// By how much each bound is larger than the one before.
    #[serde(deserialize_with = "within::<_, 1, 100>")]
    #[schemars(range(min = 1, max = 100))]
    pub(super) factor: f64,
    /// The largest bound.
    pub(super) max: HumanDuration,
    /// Attempts before `on_exhausted`, the first one counted. An outage uses up none.
    pub(super) attempts: NonZeroU32,
    /// What happens when attempts run out although the far side answers.
    pub(super) on_exhausted: OnExhausted,
    /// How many retries the sink may send altogether. One beyond it is not given up, it waits.
    pub(super) budget: RetryBudget,
}

impl Default for Retry {
    fn default() -> Self {
        let settings = retry::Settings::default();
        Self {
            initial: settings.initial.into(),
            factor: settings.factor,
            max: settings.max.into(),
            attempts: at_least_one(settings.attempts),
            on_exhausted: match settings.on_exhausted {
                retry::OnExhausted::Park => OnExhausted::Park,
                retry::OnExhausted::Stop => OnExhausted::Stop,
                retry::OnExhausted::DeadLetter => OnExhausted::DeadLetter,
            },
            budget: RetryBudget::default(),
        }
    }
}

/// What happens when attempts run out although the far side answers.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum OnExhausted {
    /// Wait with the source paused, and begin anew.
    Park,
    /// Stop the task.
    Stop,
    /// Put the records that are left into the dead letters.
    DeadLetter,
}

/// How many retries a sink may send altogether: a share of its calls, and a few a second beside.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RetryBudget {
    /// Retries for each call.
    #[serde(deserialize_with = "within::<_, 0, 10>")]
    #[schemars(range(min = 0, max = 10))]
    pub(super) ratio: f64,
    /// Retries a second however few the calls are.
    pub(super) per_second: NonZeroU32,
}

impl Default for RetryBudget {
    fn default() -> Self {
        let retry::budget::Settings { ratio, per_second } = retry::budget::Settings::default();
        Self { ratio, per_second: at_least_one(per_second) }
    }
}

/// When writes are held back because the far side does not work: after failures in a row, or when too large a share of
/// recent calls failed or was slow; at once when the far side is not there. Afterwards one write at a time tries.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct CircuitBreaker {
    /// Opens after so many failed calls in a row.
    pub(super) failures: NonZeroU32,
    /// Opens when this share of the calls in the window failed, or was slow.
    #[serde(deserialize_with = "share")]
    #[schemars(range(min = 0.01, max = 1))]
    pub(super) rate: f64,
    /// The fewest calls in the window that a share is taken of.
    pub(super) calls: NonZeroU32,
    /// The time over which the share is taken.
    #[serde(deserialize_with = "some_time")]
    pub(super) window: HumanDuration,
    /// A call that took longer counts as slow. Without it none does.
    pub(super) slow_call: Option<HumanDuration>,
    /// How long it stays open the first time. It doubles each time that it opens without a successful write since.
    #[serde(deserialize_with = "some_time")]
    pub(super) open_for: HumanDuration,
    /// The longest that it stays open.
    pub(super) open_for_max: HumanDuration,
    /// Successful writes, one at a time, that close it.
    pub(super) successes: NonZeroU32,
}

impl Default for CircuitBreaker {
    fn default() -> Self {
        let settings = circuit_breaker::Settings::default();
        Self {
            failures: at_least_one(settings.failures),
            rate: settings.rate,
            calls: at_least_one(settings.calls),
            window: settings.window.into(),
            slow_call: settings.slow_call.map(HumanDuration::from),
            open_for: settings.open_for.into(),
            open_for_max: settings.open_for_max.into(),
            successes: at_least_one(settings.successes),
        }
    }
}

/// The most that may be written in a second, evenly spread.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RateLimit {
    /// Records a second.
    pub(super) records: Option<NonZeroU32>,
    /// Bytes a second.
    pub(super) bytes: Option<ByteSize>,
}

/// What the types cannot say about these blocks of a sink, as far as they can be read.
pub(super) fn check(sink: &serde_json::Value) -> Vec<Problem> {
    let mut problems = Vec::new();
    let retry: Option<Retry> = part(sink, "retry");
    if retry.is_some_and(|retry| retry.max < retry.initial) {
        let problem = Problem::new("/retry/max", "`max` is less than `initial`");
        problems.push(problem.help("it is 30s where it is not written"));
    }
    let breaker: Option<CircuitBreaker> = part(sink, "circuit_breaker");
    if breaker.is_some_and(|breaker| breaker.open_for_max < breaker.open_for) {
        let message = "`open_for_max` is less than `open_for`";
        let problem = Problem::new("/circuit_breaker/open_for_max", message);
        problems.push(problem.help("it is 5m where it is not written"));
    }
    let limit: Option<RateLimit> =
        sink.get("rate_limit").and_then(|value| weir_sdk::config::read(value).ok());
    match limit {
        Some(RateLimit { records: None, bytes: None }) => {
            let problem = Problem::new("/rate_limit", "nothing is limited");
            problems.push(problem.help("write `records` or `bytes`, or leave `rate_limit` out"));
        }
        Some(RateLimit { bytes: Some(bytes), .. }) if bytes.get() == 0 => {
            problems.push(Problem::new("/rate_limit/bytes", "nothing would ever be written"));
        }
        _ => {}
    }
    problems
}

impl Retry {
    pub(super) fn settings(&self) -> retry::Settings {
        retry::Settings {
            initial: self.initial.get(),
            factor: self.factor,
            max: self.max.get(),
            attempts: self.attempts.get(),
            on_exhausted: match self.on_exhausted {
                OnExhausted::Park => retry::OnExhausted::Park,
                OnExhausted::Stop => retry::OnExhausted::Stop,
                OnExhausted::DeadLetter => retry::OnExhausted::DeadLetter,
            },
            budget: retry::budget::Settings {
                ratio: self.budget.ratio,
                per_second: self.budget.per_second.get(),
            },
        }
    }
}

impl CircuitBreaker {
    pub(super) fn settings(&self) -> circuit_breaker::Settings {
        circuit_breaker::Settings {
            failures: self.failures.get(),
            rate: self.rate,
            calls: self.calls.get(),
            window: self.window.get(),
            slow_call: self.slow_call.map(HumanDuration::get),
            open_for: self.open_for.get(),
            open_for_max: self.open_for_max.get(),
            successes: self.successes.get(),
        }
    }
}

impl RateLimit {
    pub(super) fn settings(&self) -> rate_limit::Settings {
        rate_limit::Settings {
            records: self.records.map(|records| records.get().into()),
            bytes: self.bytes.map(|bytes| bytes.get() as f64),
        }
    }
}

pub(super) fn at_least_one(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN)
}

fn within<'de, D, const LEAST: u8, const MOST: u8>(deserializer: D) -> Result<f64, D::Error>
where
    D: Deserializer<'de>,
{
    let number = f64::deserialize(deserializer)?;
    if !(f64::from(LEAST)..=f64::from(MOST)).contains(&number) {
        return Err(D::Error::custom(format_args!("expected a number from {LEAST} to {MOST}")));
    }
    Ok(number)
}

fn share<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let share = f64::deserialize(deserializer)?;
    if !(0.01..=1.0).contains(&share) {
        return Err(D::Error::custom("expected a share from 0.01 to 1"));
    }
    Ok(share)
}
