//! The `dead_letter` block of a pipeline file, and what the sinks' own keys say about dead letters.

use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use weir_sdk::config::{HumanDuration, Problem};

use super::resilience::{self, CircuitBreaker, Retry};
use super::written::{some_time, timeout};
use crate::middleware;
use crate::task::dead_letters;

/// Where records go that no retry can help, each with its reason. What is kept is the record as the source gave it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DeadLetter {
    /// The connector; any sink will do.
    pub(super) connector: String,
    /// The connector's own configuration.
    #[serde(default)]
    #[schemars(with = "serde_json::Map<String, Value>")]
    pub(super) config: Value,
    /// When so many records fail that the fault is hardly theirs. The task then ends in FAILED.
    #[serde(default)]
    pub(super) limit: Limit,
    /// How failed writes of dead letters are sent again.
    #[serde(default)]
    pub(super) retry: Retry,
    /// When writes of dead letters are held back because the far side does not work. The task is PARKED meanwhile.
    #[serde(default)]
    pub(super) circuit_breaker: CircuitBreaker,
    /// The deadline of one write of dead letters.
    #[serde(default = "timeout", deserialize_with = "some_time")]
    pub(super) timeout: HumanDuration,
}

/// When so many records fail that the fault is hardly theirs.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Limit {
    /// The most dead letters of one task in the window; one more stops it.
    pub(super) failures: NonZeroU32,
    /// The time in which they are counted.
    #[serde(deserialize_with = "some_time")]
    pub(super) window: HumanDuration,
}

impl Default for Limit {
    fn default() -> Self {
        Self {
            failures: const { NonZeroU32::new(100).expect("100 is not 0") },
            window: HumanDuration::from_secs(60),
        }
    }
}

/// What happens to a record that fails by its own fault.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum OnRecordError {
    /// It goes to the dead letters, and the others flow on.
    DeadLetter,
    /// The task ends in FAILED.
    Stop,
}

/// What the types cannot say: the block itself, and whether it is there when a sink needs it.
pub(super) fn check(file: &Value) -> Vec<Problem> {
    let mut problems = Vec::new();
    let wanted = |value: Option<&Value>| value.and_then(Value::as_str) == Some("dead_letter");
    let on_exhausted = |block: &Value| wanted(block.pointer("/retry/on_exhausted"));
    if let Some(block) = file.get("dead_letter") {
        problems.extend(resilience::check(block).into_iter().map(|problem| problem.under("/dead_letter")));
        if on_exhausted(block) {
            let message = "dead letters have no dead letters of their own";
            let problem = Problem::new("/dead_letter/retry/on_exhausted", message);
            problems.push(problem.help("write `park` to wait, or `stop` to stop the task"));
        }
        return problems;
    }
    let sinks = file.get("sinks").and_then(Value::as_array);
    for (index, sink) in sinks.into_iter().flatten().enumerate() {
        let mut missing = |key: &str| {
            let message = "this pipeline has no place for dead letters";
            let problem = Problem::new(format!("/sinks/{index}/{key}"), message);
            problems
                .push(problem.help("add a `dead_letter` block with a `connector` at the top of the file"));
        };
        if wanted(sink.get("on_record_error")) {
            missing("on_record_error");
        }
        if on_exhausted(sink) {
            missing("retry/on_exhausted");
        }
    }
    problems
}

impl DeadLetter {
    /// What stands in front of the dead-letter sink.
    pub(super) fn middleware(&self) -> middleware::Settings {
        middleware::Settings {
            retry: self.retry.settings(),
            circuit_breaker: self.circuit_breaker.settings(),
            rate_limit: None,
            timeout: self.timeout.get(),
        }
    }
}

impl Limit {
    pub(super) fn settings(&self) -> dead_letters::Limit {
        dead_letters::Limit { failures: self.failures.get() as usize, window: self.window.get() }
    }
}

impl From<OnRecordError> for dead_letters::OnRecordError {
    fn from(written: OnRecordError) -> Self {
        match written {
            OnRecordError::DeadLetter => Self::DeadLetter,
            OnRecordError::Stop => Self::Stop,
        }
    }
}
