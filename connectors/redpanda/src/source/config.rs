//! What a pipeline file may say about the redpanda source.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use weir_sdk::config::{Endpoint, Problem};

use super::consumer;
use crate::config::{Sasl, Tls, check_security};
use crate::extra::{self, Setting};

/// Records come from topics of a Kafka-compatible cluster, in order per partition.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RedpandaSourceConfig {
    /// The brokers to begin with, `host:port`; the port is 9092 where none is written.
    #[schemars(length(min = 1))]
    pub(crate) brokers: Vec<Endpoint>,
    /// The topic, or several.
    #[schemars(length(min = 1))]
    pub(crate) topic: Vec<String>,
    /// Where partitions without a checkpoint begin.
    #[serde(default)]
    pub(crate) start: StartAt,
    /// When reading is done.
    #[serde(default)]
    pub(crate) until: Until,
    /// Who the brokers see, as client and as group; the pipeline and the sink where nothing is written.
    #[serde(default)]
    pub(crate) client_id: Option<String>,
    /// A name and a password.
    #[serde(default)]
    pub(crate) sasl: Option<Sasl>,
    /// Encryption; `tls: {}` trusts the system's authorities.
    #[serde(default)]
    pub(crate) tls: Option<Tls>,
    /// Further settings of librdkafka, passed on unchanged; only those that cannot break what the source promises.
    #[serde(default)]
    pub(crate) librdkafka: BTreeMap<String, Setting>,
}

/// Where partitions without a checkpoint begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StartAt {
    /// With the oldest record that is kept.
    #[default]
    Earliest,
    /// With what is written from now on.
    Latest,
}

/// When reading is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Until {
    /// Never.
    #[default]
    Forever,
    /// At what was the end of each partition when reading began.
    End,
}

/// The problems that types cannot express, found without the network.
pub(crate) fn check(config: &RedpandaSourceConfig) -> Vec<Problem> {
    let mut problems = extra::check(&config.librdkafka);
    if config.brokers.is_empty() {
        problems.push(Problem::new("/brokers", "no broker is named").help("name at least one, as host:port"));
    }
    if config.topic.is_empty() {
        problems.push(Problem::new("/topic", "no topic is named"));
    }
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
    };
    if let Some(name) = config.topic.iter().find(|name| !is_name(name)) {
        let help = "a name of letters, digits, `.`, `_` and `-`; templates are for sinks";
        problems.push(Problem::new("/topic", format!("`{name}` is no topic")).help(help));
    }
    problems.extend(check_security(config.tls.as_ref(), config.sasl.as_ref()));
    if problems.is_empty()
        && let Err(error) = consumer::settings(config, "check").create_native_config()
    {
        problems.push(Problem::new("/librdkafka", crate::errors::of_call(&error).to_string()));
    }
    problems
}
