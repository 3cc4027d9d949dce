//! Settings of librdkafka that pass unchanged, and those that must not.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};
use weir_sdk::config::{Problem, child, name_help};

/// What may be tuned without touching delivery, order or security.
const PASSED_ON: [&str; 36] = [
    "batch.num.messages",
    "broker.address.family",
    "broker.address.ttl",
    "client.dns.lookup",
    "client.rack",
    "compression.level",
    "connections.max.idle.ms",
    "debug",
    "enable.metrics.push",
    "log.connection.close",
    "max.in.flight.requests.per.connection",
    "message.copy.max.bytes",
    "metadata.max.age.ms",
    "metadata.recovery.rebootstrap.trigger.ms",
    "metadata.recovery.strategy",
    "partitioner",
    "queue.buffering.backpressure.threshold",
    "receive.message.max.bytes",
    "reconnect.backoff.max.ms",
    "reconnect.backoff.ms",
    "request.timeout.ms",
    "retry.backoff.max.ms",
    "retry.backoff.ms",
    "socket.connection.setup.timeout.ms",
    "socket.keepalive.enable",
    "socket.nagle.disable",
    "socket.receive.buffer.bytes",
    "socket.send.buffer.bytes",
    "socket.timeout.ms",
    "ssl.cipher.suites",
    "ssl.crl.location",
    "ssl.curves.list",
    "ssl.sigalgs.list",
    "sticky.partitioning.linger.ms",
    "topic.metadata.propagation.max.ms",
    "topic.metadata.refresh.interval.ms",
];

/// What would break at least-once delivery or the order per key.
const PROMISED: [&str; 14] = [
    "acks",
    "delivery.report.only.error",
    "delivery.timeout.ms",
    "enable.gapless.guarantee",
    "enable.idempotence",
    "message.send.max.retries",
    "message.timeout.ms",
    "queue.buffering.max.kbytes",
    "queue.buffering.max.messages",
    "queuing.strategy",
    "request.required.acks",
    "retries",
    "transaction.timeout.ms",
    "transactional.id",
];

/// What has a key of its own: what it begins with, and that key.
const OWN_KEY: [(&str, &str); 13] = [
    ("batch.size", "batch"),
    ("bootstrap.servers", "brokers"),
    ("client.id", "client_id"),
    ("compression.codec", "compression"),
    ("compression.type", "compression"),
    ("enable.ssl.", "tls"),
    ("linger.ms", "linger"),
    ("message.max.bytes", "max_record"),
    ("metadata.broker.list", "brokers"),
    ("queue.buffering.max.ms", "linger"),
    ("sasl.", "sasl"),
    ("security.protocol", "tls` and `sasl"),
    ("ssl.", "tls"),
];

/// The value of a setting, as text: a number or a truth value is written the same way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Setting(pub(crate) String);

/// The problems of a block of settings, by key.
pub(crate) fn check(settings: &BTreeMap<String, Setting>) -> Vec<Problem> {
    let refuse = |key: &String| {
        let problem = |what: &str| Problem::at_key(child("/librdkafka", key), format!("`{key}` {what}"));
        if PASSED_ON.contains(&key.as_str()) {
            None
        } else if PROMISED.contains(&key.as_str()) {
            Some(problem("belongs to what this sink promises").help("remove it"))
        } else if let Some((_, own)) = OWN_KEY.iter().find(|(prefix, _)| key.starts_with(prefix)) {
            Some(problem("has a place of its own").help(format!("use `{own}`")))
        } else {
            Some(problem("is not passed on").help(name_help(key, &PASSED_ON, "passed on are")))
        }
    };
    settings.keys().filter_map(refuse).collect()
}

impl<'de> Deserialize<'de> for Setting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Scalar)
    }
}

/// Takes any scalar.
struct Scalar;

impl de::Visitor<'_> for Scalar {
    type Value = Setting;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("text, a number, true or false")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Setting, E> {
        Ok(Setting(text.to_owned()))
    }

    fn visit_bool<E: de::Error>(self, truth: bool) -> Result<Setting, E> {
        Ok(Setting(truth.to_string()))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Setting, E> {
        Ok(Setting(number.to_string()))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Setting, E> {
        Ok(Setting(number.to_string()))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Setting, E> {
        Ok(Setting(number.to_string()))
    }
}

impl JsonSchema for Setting {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Setting".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "number", "boolean"], "description": "The value of a setting." })
    }
}
