//! A pipeline file as it is written: its keys, their defaults, and what their values must be.
//!
//! It is the source of the JSON Schema: what is documented here, editors show. The defaults of what a task works with
//! are those of [`Settings`].

use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use weir_sdk::config::{ByteSize, HumanDuration, Problem, read};

use super::dead_letter::{DeadLetter, OnRecordError};
use super::name::Name;
use super::resilience::{self, CircuitBreaker, RateLimit, Retry, at_least_one};
use crate::middleware;
use crate::registry::FILE_STORE;
use crate::task::Settings;

/// A pipeline: one source, transforms in order, one or more sinks.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Pipeline {
    /// What the pipeline is called in logs, metrics and checkpoints. Another name begins anew.
    pub(super) name: Name,
    /// Where records come from.
    pub(super) source: Source,
    /// What happens to each record on its way to every sink, in this order.
    #[serde(default)]
    pub(super) transforms: Vec<Transform>,
    /// Where records go. Each sink has a checkpoint of its own, and none holds up another.
    #[schemars(length(min = 1))]
    pub(super) sinks: Vec<Sink>,
    /// Where records go that no retry can help. Without it the first of them ends its task.
    pub(super) dead_letter: Option<DeadLetter>,
    /// How progress is kept.
    #[serde(default)]
    pub(super) checkpoint: Checkpoint,
}

/// Where records come from.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Source {
    /// The connector.
    pub(super) connector: String,
    /// The connector's own configuration.
    #[serde(default)]
    #[schemars(with = "serde_json::Map<String, Value>")]
    pub(super) config: Value,
}

/// A pure step between source and sinks.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Transform {
    /// The transform.
    pub(super) transform: String,
    /// The transform's own configuration.
    #[serde(default)]
    #[schemars(with = "serde_json::Map<String, Value>")]
    pub(super) config: Value,
}

/// Where records go.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Sink {
    /// What the sink is called in logs, metrics and checkpoints. Another name begins anew.
    pub(super) name: Name,
    /// The connector.
    pub(super) connector: String,
    /// The connector's own configuration.
    #[serde(default)]
    #[schemars(with = "serde_json::Map<String, Value>")]
    pub(super) config: Value,
    /// How failed writes are sent again.
    #[serde(default)]
    pub(super) retry: Retry,
    /// What happens to a record that fails by its own fault, here or in a transform: `dead_letter` where the pipeline
    /// has a place for dead letters, otherwise `stop`.
    pub(super) on_record_error: Option<OnRecordError>,
    /// When writes are held back because the far side does not work. The task is PARKED meanwhile.
    #[serde(default)]
    pub(super) circuit_breaker: CircuitBreaker,
    /// The most that may be written in a second, evenly spread. Without it there is no limit.
    pub(super) rate_limit: Option<RateLimit>,
    /// How long the task waits when it needs the operator (FAILED, GAP), until it is tried again by itself; at least
    /// `1s`.
    #[serde(default = "retry_failed", deserialize_with = "a_second_or_more")]
    pub(super) retry_failed: HumanDuration,
    /// The deadline of one write.
    #[serde(default = "timeout", deserialize_with = "some_time")]
    pub(super) timeout: HumanDuration,
    /// Writes in flight, each with its own share of the keys. Order per key is kept.
    #[serde(default = "lanes", deserialize_with = "bounded::<_, 1, 1024>")]
    #[schemars(range(min = 1, max = 1024))]
    pub(super) lanes: u16,
    /// The largest write.
    #[serde(default)]
    pub(super) batch: Batch,
    /// What may be read and not yet written.
    #[serde(default)]
    pub(super) in_flight: InFlight,
}

pub(super) fn timeout() -> HumanDuration {
    middleware::Settings::default().timeout.into()
}

fn retry_failed() -> HumanDuration {
    Settings::default().retry_failed.into()
}

fn lanes() -> u16 {
    u16::try_from(Settings::default().lanes).unwrap_or(u16::MAX)
}

/// The largest write.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Batch {
    /// In records.
    pub(super) records: NonZeroU32,
    /// In bytes; a single larger record goes alone.
    pub(super) bytes: ByteSize,
}

impl Default for Batch {
    fn default() -> Self {
        let settings = Settings::default();
        let records = u32::try_from(settings.batch_records).unwrap_or(u32::MAX);
        Self { records: at_least_one(records), bytes: ByteSize::bytes(settings.batch_bytes as u64) }
    }
}

/// What may be read and not yet written.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct InFlight {
    /// In bytes.
    pub(super) bytes: ByteSize,
}

impl Default for InFlight {
    fn default() -> Self {
        Self { bytes: ByteSize::bytes(Settings::default().in_flight_bytes as u64) }
    }
}

/// How progress is kept.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Checkpoint {
    /// Where: `file` is a journal in the data directory. Another store begins anew.
    pub(super) store: String,
    /// The store's own configuration; `file` has none.
    #[schemars(with = "serde_json::Map<String, Value>")]
    pub(super) config: Value,
    /// The shortest time between two saves. After a kill, this much is repeated on top of what was in flight.
    #[serde(deserialize_with = "interval")]
    pub(super) interval: HumanDuration,
}

impl Default for Checkpoint {
    fn default() -> Self {
        let interval = Settings::default().checkpoint_interval.into();
        Self { store: FILE_STORE.to_owned(), config: Value::Null, interval }
    }
}

/// What the types cannot say about the values of one sink, as far as they can be read.
pub(super) fn check_sink(sink: &Value) -> Vec<Problem> {
    let mut problems = resilience::check(sink);
    let (batch, in_flight): (Option<Batch>, Option<InFlight>) =
        (part(sink, "batch"), part(sink, "in_flight"));
    if let (Some(batch), Some(in_flight)) = (batch, in_flight)
        && in_flight.bytes < batch.bytes
    {
        let problem = Problem::new("/in_flight/bytes", "there is no room for one batch");
        problems.push(problem.help("make it several times `batch.bytes`"));
    }
    problems
}

pub(super) fn part<T: Default + DeserializeOwned + JsonSchema>(sink: &Value, key: &str) -> Option<T> {
    sink.get(key).map_or_else(|| Some(T::default()), |value| read(value).ok())
}

pub(super) fn some_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<HumanDuration, D::Error> {
    let time = HumanDuration::deserialize(deserializer)?;
    if time.is_zero() {
        return Err(D::Error::custom("expected a duration longer than `0s`"));
    }
    Ok(time)
}

fn interval<'de, D: Deserializer<'de>>(deserializer: D) -> Result<HumanDuration, D::Error> {
    let time = HumanDuration::deserialize(deserializer)?;
    if !(HumanDuration::from_millis(1)..=HumanDuration::from_secs(60)).contains(&time) {
        return Err(D::Error::custom("expected a duration from `1ms` to `1m`"));
    }
    Ok(time)
}

fn a_second_or_more<'de, D: Deserializer<'de>>(deserializer: D) -> Result<HumanDuration, D::Error> {
    let time = HumanDuration::deserialize(deserializer)?;
    if time < HumanDuration::from_secs(1) {
        return Err(D::Error::custom("expected a duration of at least `1s`"));
    }
    Ok(time)
}

fn bounded<'de, D, const LEAST: u16, const MOST: u16>(deserializer: D) -> Result<u16, D::Error>
where
    D: Deserializer<'de>,
{
    let number = u16::deserialize(deserializer)?;
    if !(LEAST..=MOST).contains(&number) {
        return Err(D::Error::custom(format_args!("expected a whole number from {LEAST} to {MOST}")));
    }
    Ok(number)
}

impl Sink {
    /// The same, as the task takes it.
    pub(super) fn settings(&self, checkpoint: &Checkpoint) -> Settings {
        Settings {
            lanes: usize::from(self.lanes),
            batch_records: self.batch.records.get() as usize,
            batch_bytes: self.batch.bytes.as_usize(),
            in_flight_bytes: self.in_flight.bytes.as_usize(),
            checkpoint_interval: checkpoint.interval.get(),
            retry_failed: self.retry_failed.get(),
            middleware: middleware::Settings {
                retry: self.retry.settings(),
                circuit_breaker: self.circuit_breaker.settings(),
                rate_limit: self.rate_limit.as_ref().map(RateLimit::settings),
                timeout: self.timeout.get(),
            },
        }
    }
}
