//! The broker a test runs against: the embedded one, one named by REDPANDA_BROKERS, or a real Kafka.

use std::path::Path;

use weir_redpanda_dev::RedpandaDev;

use super::Kafka;

/// A Kafka-compatible broker, gone when dropped.
pub(crate) enum Broker {
    Embedded(RedpandaDev),
    Named(String),
    Kafka(Kafka),
}

impl Broker {
    /// The one that REDPANDA_BROKERS names, or an embedded one; says which.
    pub(crate) fn start() -> Self {
        match std::env::var("REDPANDA_BROKERS") {
            Ok(address) if !address.is_empty() => {
                println!("against the broker {address} (REDPANDA_BROKERS)");
                Self::Named(address)
            }
            _ => {
                println!("against the embedded broker");
                Self::Embedded(RedpandaDev::start("127.0.0.1:0").unwrap())
            }
        }
    }

    pub(crate) fn address(&self) -> String {
        match self {
            Self::Embedded(broker) => broker.address().to_string(),
            Self::Named(address) => address.clone(),
            Self::Kafka(kafka) => kafka.address().to_owned(),
        }
    }
}

/// A real Kafka on this data, or `None`, said loudly, where Java or Maven is missing.
pub(crate) fn real_kafka(data: &Path) -> Option<Broker> {
    Kafka::start(data, "").map(Broker::Kafka)
}
