//! A pipeline file as it is written: its keys, their defaults, and what their values must be.
//!
//! This is the one place for defaults, and the source of the JSON Schema: what is documented here, editors show.

use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use weir_sdk::config::{ByteSize, HumanDuration, Problem, read};

use super::name::Name;
use crate::middleware;
use crate::middleware::retry;
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

fn timeout() -> HumanDuration {
    HumanDuration::from_secs(10)
}

fn lanes() -> u16 {
    4
}

/// How failed writes are sent again: after a random delay whose bound grows.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Retry {
    /// The bound of the first delay.
    #[serde(deserialize_with = "some_time")]
    pub(super) initial: HumanDuration,
    /// By how much each bound is larger than the one before.
    #[serde(deserialize_with = "factor")]
    #[schemars(range(min = 1, max = 100))]
    pub(super) factor: f64,
    /// The largest bound.
    pub(super) max: HumanDuration,
    /// Attempts before `on_exhausted`, the first one counted. An outage uses up none.
    pub(super) attempts: NonZeroU32,
    /// What happens when attempts run out although the far side answers.
    pub(super) on_exhausted: OnExhausted,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            initial: HumanDuration::from_millis(100),
            factor: 2.0,
            max: HumanDuration::from_secs(30),
            attempts: const { NonZeroU32::new(5).expect("5 is not 0") },
            on_exhausted: OnExhausted::Park,
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
        Self { records: const { NonZeroU32::new(1000).expect("1000 is not 0") }, bytes: ByteSize::mib(1) }
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
        Self { bytes: ByteSize::mib(64) }
    }
}

/// How progress is kept.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Checkpoint {
    /// Where.
    store: Store,
    /// The shortest time between two saves. After a kill, this much is repeated on top of what was in flight.
    #[serde(deserialize_with = "interval")]
    pub(super) interval: HumanDuration,
}

impl Default for Checkpoint {
    fn default() -> Self {
        Self { store: Store::File, interval: HumanDuration::from_millis(200) }
    }
}

/// Where checkpoints are kept.
#[derive(Debug, Deserialize, JsonSchema, serde::Serialize)]
#[serde(rename_all = "snake_case")]
enum Store {
    /// A journal in the data directory.
    File,
}

/// What the types cannot say about the values of one sink, as far as they can be read.
pub(super) fn check_sink(sink: &Value) -> Vec<Problem> {
    let mut problems = Vec::new();
    let retry: Option<Retry> = part(sink, "retry");
    if retry.is_some_and(|retry| retry.max < retry.initial) {
        problems.push(Problem::new("/retry/max", "`max` is less than `initial`"));
    }
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

fn part<T: Default + DeserializeOwned + JsonSchema>(sink: &Value, key: &str) -> Option<T> {
    sink.get(key).map_or_else(|| Some(T::default()), |value| read(value).ok())
}

fn some_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<HumanDuration, D::Error> {
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

fn factor<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let factor = f64::deserialize(deserializer)?;
    if !(1.0..=100.0).contains(&factor) {
        return Err(D::Error::custom("expected a number from 1 to 100"));
    }
    Ok(factor)
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
            middleware: middleware::Settings { retry: self.retry.settings(), timeout: self.timeout.get() },
        }
    }
}

impl Retry {
    fn settings(&self) -> retry::Settings {
        retry::Settings {
            initial: self.initial.get(),
            factor: self.factor,
            max: self.max.get(),
            attempts: self.attempts.get(),
            on_exhausted: match self.on_exhausted {
                OnExhausted::Park => retry::OnExhausted::Park,
                OnExhausted::Stop => retry::OnExhausted::Stop,
            },
        }
    }
}
