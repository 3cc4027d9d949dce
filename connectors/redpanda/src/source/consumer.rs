//! librdkafka's consumer, and the configuration in its words.

use std::sync::Arc;

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{ClientConfig, ClientContext};
use weir_sdk::{Error, ErrorKind};

use super::config::RedpandaSourceConfig;
use crate::errors;
use crate::far_side::FarSide;
use crate::{producer, settings};

/// What never changes, each for a reason.
const FIXED: [(&str, &str); 17] = [
    // Offsets are the host's: nothing is committed, and nothing is chosen by itself.
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    ("auto.offset.reset", "error"),
    ("enable.partition.eof", "true"),
    ("allow.auto.create.topics", "false"),
    // Small fetches, soon again: the default stalls a full second whenever a queue is full, and keeps 64 MB.
    ("fetch.queue.backoff.ms", "5"),
    ("fetch.message.max.bytes", "131072"),
    ("queued.min.messages", "10000"),
    ("queued.max.messages.kbytes", "4096"),
    ("fetch.wait.max.ms", "100"),
    // As the sink's.
    ("reconnect.backoff.ms", "50"),
    ("reconnect.backoff.max.ms", "500"),
    ("socket.timeout.ms", "10000"),
    ("socket.connection.setup.timeout.ms", "10000"),
    ("socket.keepalive.enable", "true"),
    ("topic.metadata.propagation.max.ms", "5000"),
    ("log.connection.close", "true"),
];

/// What librdkafka calls.
pub(crate) struct Calls {
    pub(crate) far_side: Arc<FarSide>,
}

pub(crate) type Consumer = BaseConsumer<Calls>;

pub(crate) fn new(
    config: &RedpandaSourceConfig,
    client: &str,
    far_side: &Arc<FarSide>,
) -> Result<Consumer, Error> {
    let calls = Calls { far_side: Arc::clone(far_side) };
    settings(config, client).create_with_context(calls).map_err(|error| errors::of_call(&error))
}

/// Everything librdkafka is told; `client` is who the brokers see where the configuration does not say.
pub(crate) fn settings(config: &RedpandaSourceConfig, client: &str) -> ClientConfig {
    let brokers: Vec<_> = config.brokers.iter().map(|broker| broker.with_default_port(9092)).collect();
    let client = config.client_id.as_deref().unwrap_or(client);
    let mut settings = settings::begun(&FIXED);
    // Partitions cannot be assigned without the name of a group, though none is joined.
    settings.set("bootstrap.servers", brokers.join(",")).set("client.id", client).set("group.id", client);
    for (key, value) in &config.librdkafka {
        settings.set(key, &value.0);
    }
    settings::secure(&mut settings, config.tls.as_ref(), config.sasl.as_ref());
    settings
}

/// Is it about connections? Then the far side is told, and nobody else.
pub(crate) fn is_of_connections(code: RDKafkaErrorCode) -> bool {
    code != RDKafkaErrorCode::TopicAuthorizationFailed
        && code != RDKafkaErrorCode::GroupAuthorizationFailed
        && [ErrorKind::Unavailable, ErrorKind::Auth].contains(&errors::of(code).kind())
}

impl ClientContext for Calls {
    fn error(&self, error: KafkaError, reason: &str) {
        if let Some(code) = error.rdkafka_error_code()
            && is_of_connections(code)
        {
            self.far_side.complained(code, reason);
        }
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.far_side.logged(message);
        producer::log(level, facility, message);
    }
}

impl ConsumerContext for Calls {}
