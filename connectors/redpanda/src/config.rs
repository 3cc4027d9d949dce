//! What a pipeline file may say about the redpanda sink.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use weir_sdk::config::{ByteSize, Endpoint, HumanDuration, Problem, Secret};

use crate::extra::{self, Setting};
use crate::settings;
use crate::topic::TopicTemplate;

/// Records go to topics of a Kafka-compatible cluster: every record acknowledged by all in-sync replicas, in order
/// per key, without repeats of the producer's own making.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RedpandaConfig {
    /// The brokers to begin with, `host:port`; the port is 9092 where none is written.
    #[schemars(length(min = 1))]
    pub(crate) brokers: Vec<Endpoint>,
    /// The topic, or a template with header names in braces: `order-events`, `orders.{event_type}`.
    pub(crate) topic: TopicTemplate,
    /// The message's key, which chooses its partition.
    #[serde(default)]
    pub(crate) key: Key,
    /// Which headers go along.
    #[serde(default)]
    pub(crate) headers: HeaderChoice,
    /// The message's time.
    #[serde(default)]
    pub(crate) timestamp: Time,
    /// How message sets are compressed.
    #[serde(default)]
    pub(crate) compression: Compression,
    /// How long a message waits for others to share its request.
    #[serde(default = "default_linger")]
    pub(crate) linger: HumanDuration,
    /// How large a request's message set may grow before compression.
    #[serde(default = "default_batch")]
    pub(crate) batch: ByteSize,
    /// How large one record may be before compression. The topic must allow it too (`max.message.bytes`).
    #[serde(default = "default_max_record")]
    pub(crate) max_record: ByteSize,
    /// How many bytes may be on their way to the brokers; more waits.
    #[serde(default = "default_queue")]
    pub(crate) queue: ByteSize,
    /// Who the brokers see; the pipeline and the sink where nothing is written.
    #[serde(default)]
    pub(crate) client_id: Option<String>,
    /// A name and a password.
    #[serde(default)]
    pub(crate) sasl: Option<Sasl>,
    /// Encryption; `tls: {}` trusts the system's authorities.
    #[serde(default)]
    pub(crate) tls: Option<Tls>,
    /// Creates topics on first use. Without it a topic must be there, or the cluster must create it.
    #[serde(default)]
    pub(crate) create: Option<Creation>,
    /// Further settings of librdkafka, passed on unchanged; only those that cannot break what the sink promises.
    #[serde(default)]
    pub(crate) librdkafka: BTreeMap<String, Setting>,
}

/// Where the message's key comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Key {
    /// The record's key.
    #[default]
    Record,
    /// No key: messages spread over all partitions, and their order is given up.
    None,
}

/// Which headers go along.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum HeaderChoice {
    /// All of the record's.
    #[default]
    All,
    /// None.
    None,
    /// Those named here.
    Only(Vec<String>),
    /// All but those named here.
    Except(Vec<String>),
}

/// The message's time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Time {
    /// When the record was written at the source.
    #[default]
    Source,
    /// When the record is handed to the producer.
    Arrival,
}

/// How message sets are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Compression {
    /// Not at all.
    None,
    /// Small and slow.
    Gzip,
    /// Quick.
    Snappy,
    /// Quick, and what clusters like best.
    #[default]
    Lz4,
    /// Small and still quick.
    Zstd,
}

/// A name and a password.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sasl {
    /// How the password is proven.
    pub(crate) mechanism: Mechanism,
    /// The user's name.
    pub(crate) username: String,
    /// The user's password.
    pub(crate) password: Secret,
}

/// How a password is proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
pub(crate) enum Mechanism {
    /// The password itself is sent; use it with `tls`.
    #[serde(rename = "PLAIN")]
    Plain,
    /// The password is proven and never sent.
    #[serde(rename = "SCRAM-SHA-256")]
    ScramSha256,
    /// The password is proven and never sent.
    #[serde(rename = "SCRAM-SHA-512")]
    ScramSha512,
}

/// Encryption. Each item is a path, or the PEM text itself.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Tls {
    /// The authorities that may have signed the brokers' certificates; the system's where nothing is written.
    pub(crate) ca: Option<String>,
    /// Our own certificate, where brokers ask for one.
    pub(crate) certificate: Option<String>,
    /// The key of our certificate.
    pub(crate) key: Option<Secret>,
    /// The password of that key.
    pub(crate) key_password: Option<Secret>,
    /// What of the broker is verified.
    pub(crate) verify: Verify,
}

/// What of the broker is verified.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verify {
    /// Its certificate and its name.
    #[default]
    Full,
    /// Its certificate only.
    Certificate,
    /// Nothing: anybody may pretend to be the broker.
    None,
}

/// Topics made on first use.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Creation {
    /// How many partitions a new topic has.
    #[schemars(range(min = 1))]
    pub(crate) partitions: u32,
    /// How many brokers keep a copy; the cluster's default where nothing is written.
    #[serde(default)]
    pub(crate) replication: Option<u16>,
    /// The new topic's settings, such as `retention.ms`.
    #[serde(default)]
    pub(crate) config: BTreeMap<String, Setting>,
}

fn default_linger() -> HumanDuration {
    HumanDuration::from(std::time::Duration::from_millis(1))
}

fn default_batch() -> ByteSize {
    ByteSize::bytes(1_000_000)
}

fn default_max_record() -> ByteSize {
    ByteSize::bytes(1_000_000)
}

fn default_queue() -> ByteSize {
    ByteSize::mib(8)
}

/// The problems that types cannot express, found without the network.
pub(crate) fn check(config: &RedpandaConfig) -> Vec<Problem> {
    let mut problems = extra::check(&config.librdkafka);
    if config.brokers.is_empty() {
        problems.push(Problem::new("/brokers", "no broker is named").help("name at least one, as host:port"));
    }
    let sizes = [
        ("/batch", config.batch, 1, 2_147_483_647),
        ("/max_record", config.max_record, 1_000, 1_000_000_000),
        ("/queue", config.queue, 1_000_000, 1_000_000_000),
    ];
    for (pointer, size, least, most) in sizes {
        if !(least..=most).contains(&size.get()) {
            let range = format!("from {} to {}", ByteSize::bytes(least), ByteSize::bytes(most));
            problems.push(Problem::new(pointer, "out of range").help(range));
        }
    }
    if config.linger.get() > std::time::Duration::from_secs(900) {
        problems.push(Problem::new("/linger", "out of range").help("at most 900s"));
    }
    if config.create.as_ref().is_some_and(|create| create.partitions == 0) {
        problems.push(Problem::new("/create/partitions", "a topic needs at least one partition"));
    }
    problems.extend(check_security(config.tls.as_ref(), config.sasl.as_ref()));
    if problems.is_empty()
        && let Err(error) = settings::of(config, "check").create_native_config()
    {
        problems.push(Problem::new("/librdkafka", crate::errors::of_call(&error).to_string()));
    }
    problems
}

/// The problems of encryption and credentials, at `/tls` and `/sasl`.
pub(crate) fn check_security(tls: Option<&Tls>, sasl: Option<&Sasl>) -> Vec<Problem> {
    let mut problems = Vec::new();
    if cfg!(not(feature = "tls")) {
        let help = "use a program that was built with the feature `tls`";
        if tls.is_some() {
            problems.push(Problem::at_key("/tls", "this program was built without TLS").help(help));
        }
        if sasl.is_some_and(|sasl| sasl.mechanism != Mechanism::Plain) {
            problems.push(Problem::new("/sasl/mechanism", "this program was built without SCRAM").help(help));
        }
    }
    if let Some(tls) = tls {
        if tls.certificate.is_some() != tls.key.is_some() {
            let help = "a certificate of our own needs both `certificate` and `key`";
            problems.push(Problem::at_key("/tls", "half a certificate").help(help));
        }
        let files = [("/tls/ca", tls.ca.as_deref()), ("/tls/certificate", tls.certificate.as_deref())];
        for (pointer, file) in files.into_iter().chain([("/tls/key", tls.key.as_ref().map(Secret::expose))]) {
            if file.is_some_and(|file| !settings::is_pem(file) && !std::path::Path::new(file).is_file()) {
                let help = "write the path of a PEM file, or the PEM text itself";
                problems.push(Problem::new(pointer, "there is no such file").help(help));
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::{Compression, HeaderChoice, Key, RedpandaConfig, Time, check};
    use serde_json::{Value, json};
    use weir_sdk::config::read;

    fn problems(config: &Value) -> Vec<String> {
        let found = read::<RedpandaConfig>(config).map_or_else(|problems| problems, |config| check(&config));
        let show = |problem: &weir_sdk::config::Problem| {
            format!("{problem} | {}", problem.help.as_deref().unwrap_or("-"))
        };
        found.iter().map(show).collect()
    }

    #[test]
    fn two_lines_are_enough() {
        let config =
            read::<RedpandaConfig>(&json!({"brokers": "a:9092, b", "topic": "order-events"})).unwrap();
        assert_eq!(config.brokers.iter().map(ToString::to_string).collect::<Vec<_>>(), ["a:9092", "b"]);
        assert_eq!(
            (config.key, config.headers, config.timestamp),
            (Key::Record, HeaderChoice::All, Time::Source)
        );
        assert_eq!(config.compression, Compression::Lz4);
    }

    #[test]
    fn every_mistake_is_found_and_comes_with_help() {
        assert_eq!(
            problems(&json!({
                "brokers": ["a:9092"],
                "topic": "{event_type}",
                "compresion": "lz4",
                "headers": {"only": "event_id, event_type"},
                "librdkafka": {"socket.timeout.ms": 5000},
            })),
            [
                "/compresion: unknown key `compresion` | did you mean `compression`?",
                "/topic: a topic must not begin with a header | begin with fixed text, such as \
                 `orders.{event_type}`: a record must not choose any topic it likes",
            ]
        );
        assert_eq!(
            problems(&json!({
                "brokers": "a:9092",
                "topic": "t",
                "queue": "1KiB",
                "create": {"partitions": 0},
                "tls": {"ca": "/no/such/file", "certificate": "-----BEGIN CERTIFICATE-----"},
                "librdkafka": {"acks": 1, "socket.timout.ms": 5000, "sasl.password": "x"},
            })),
            [
                "/librdkafka/acks: `acks` belongs to what this sink promises | remove it",
                "/librdkafka/sasl.password: `sasl.password` has a place of its own | use `sasl`",
                "/librdkafka/socket.timout.ms: `socket.timout.ms` is not passed on | did you mean \
                 `socket.timeout.ms`?",
                "/queue: out of range | from 1MB to 1GB",
                "/create/partitions: a topic needs at least one partition | -",
                "/tls: half a certificate | a certificate of our own needs both `certificate` and `key`",
                "/tls/ca: there is no such file | write the path of a PEM file, or the PEM text itself",
            ]
        );
    }

    #[test]
    fn a_value_that_librdkafka_refuses_is_found_without_a_network() {
        let config = json!({"brokers": "a:1", "topic": "t", "librdkafka": {"socket.timeout.ms": "soon"}});
        let [problem] = problems(&config).try_into().unwrap();
        let complaint =
            "/librdkafka: librdkafka refuses its settings: Invalid value for configuration property";
        assert!(problem.starts_with(complaint), "{problem}");
    }
}
