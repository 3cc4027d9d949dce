//! A source, a sink, a transform and a checkpoint store with configurations like real ones; they are checked and never opened.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use weir_sdk::config::{ByteSize, Endpoint, HumanDuration, Problem, Secret};
use weir_sdk::{
    Checkpoint, CheckpointStore, Context, Error, ErrorKind, Sink, SinkConnector, Source, SourceConnector,
    StoreConnector, Transform, TransformConnector, async_trait, connector,
};

use crate::registry::Registry;

pub(super) fn registry() -> Registry {
    let mut registry = Registry::default();
    registry.add_source(connector::source(Clock)).expect("the first of its name");
    registry.add_sink(connector::sink(Broker)).expect("the first of its name");
    registry.add_transform(connector::transform(Pick)).expect("the first of its name");
    registry.add_store(connector::store(Table)).expect("the first of its name");
    registry
}

struct Table;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TableConfig {
    /// The table.
    name: String,
}

impl StoreConnector for Table {
    const NAME: &'static str = "table";
    type Config = TableConfig;

    fn check(&self, config: &TableConfig) -> Vec<Problem> {
        config.name.is_empty().then(|| Problem::new("/name", "the name is empty")).into_iter().collect()
    }

    fn open(&self, config: TableConfig, _: String) -> Arc<dyn CheckpointStore> {
        panic!("{config:?} is never opened")
    }
}

struct Pick;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only read")]
pub(super) struct PickConfig {
    /// The header to look at.
    header: String,
    #[serde(default)]
    words: Vec<String>,
}

impl TransformConnector for Pick {
    const NAME: &'static str = "pick";
    type Config = PickConfig;

    fn check(&self, config: &PickConfig) -> Vec<Problem> {
        let blank = config.header.contains(' ').then(|| Problem::new("/header", "a header has no blanks"));
        blank.into_iter().collect()
    }

    fn build(&self, _: PickConfig) -> Result<Arc<dyn Transform>, Error> {
        Err(Error::new(ErrorKind::Config, "never built"))
    }
}

struct Clock;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only read")]
pub(super) struct ClockConfig {
    /// Records a second.
    rate: u32,
    /// How long.
    window: Option<HumanDuration>,
}

struct Broker;

/// How much to squeeze.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Compression {
    None,
    Gzip,
    Zstd,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only read")]
pub(super) struct BrokerConfig {
    /// Where the brokers are.
    brokers: Vec<Endpoint>,
    /// Where records go.
    topic: String,
    compression: Option<Compression>,
    buffer: Option<ByteSize>,
    retries: Option<u16>,
    tls: Option<Tls>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only read")]
pub(super) struct Tls {
    /// File with the certificate of the authority.
    ca: String,
    password: Secret,
    verify: bool,
}

#[async_trait]
impl SourceConnector for Clock {
    const NAME: &'static str = "clock";
    type Config = ClockConfig;

    async fn open(&self, _: ClockConfig, _: Checkpoint, _: Context) -> Result<Box<dyn Source>, Error> {
        Err(Error::new(ErrorKind::Config, "never opened"))
    }
}

#[async_trait]
impl SinkConnector for Broker {
    const NAME: &'static str = "broker";
    type Config = BrokerConfig;

    /// Quotes the topic, as a careless author would.
    fn check(&self, config: &BrokerConfig) -> Vec<Problem> {
        let brace = config.topic.find('{').filter(|_| !config.topic.ends_with('}'));
        let found = brace.map(|start| {
            let message = format!("the field in `{}` does not end", config.topic);
            Problem::new("/topic", message).within(start..config.topic.len()).help("close it with `}`")
        });
        found.into_iter().collect()
    }

    async fn open(&self, _: BrokerConfig, _: Context) -> Result<Arc<dyn Sink>, Error> {
        Err(Error::new(ErrorKind::Config, "never opened"))
    }
}
