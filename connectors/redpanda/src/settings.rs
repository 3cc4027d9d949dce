//! The configuration in librdkafka's words.

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use weir_sdk::config::Secret;

use crate::config::{Compression, Mechanism, RedpandaConfig, Sasl, Tls, Verify};

/// What never changes, each for a reason.
const FIXED: [(&str, &str); 13] = [
    ("acks", "all"),
    // librdkafka's own retries repeat nothing.
    ("enable.idempotence", "true"),
    // A refused message set stops the producer instead of letting later records overtake.
    ("enable.gapless.guarantee", "true"),
    // Nothing is given up: a record that times out would be overtaken by the ones behind it.
    ("message.timeout.ms", "0"),
    // The bound on bytes is ours (`room`), below librdkafka's.
    ("queue.buffering.max.messages", "0"),
    // As Java's clients choose partitions: a topic keeps its order when the producer changes.
    ("partitioner", "murmur2_random"),
    // Back within half a second after an outage; the default takes ten.
    ("reconnect.backoff.ms", "50"),
    ("reconnect.backoff.max.ms", "500"),
    // A broker that hangs is noticed before the host's patience ends; the default is a minute.
    ("socket.timeout.ms", "10000"),
    ("socket.connection.setup.timeout.ms", "10000"),
    ("socket.keepalive.enable", "true"),
    // A topic that does not exist is reported after 5 s; the default is 30.
    ("topic.metadata.propagation.max.ms", "5000"),
    // What a listener wants that we do not offer shows there; of idle connections nothing is said.
    ("log.connection.close", "true"),
];

/// Everything librdkafka is told; `client` is who the brokers see where the configuration does not say.
pub(crate) fn of(config: &RedpandaConfig, client: &str) -> ClientConfig {
    let brokers: Vec<_> = config.brokers.iter().map(|broker| broker.with_default_port(9092)).collect();
    let mut settings = begun(&FIXED);
    settings
        .set("bootstrap.servers", brokers.join(","))
        .set("client.id", config.client_id.as_deref().unwrap_or(client))
        .set("compression.type", compression(config.compression))
        .set("linger.ms", config.linger.get().as_millis().to_string())
        .set("batch.size", config.batch.get().to_string())
        .set("message.max.bytes", config.max_record.get().to_string())
        // Room for what ours counts late: the reports that are being served.
        .set(
            "queue.buffering.max.kbytes",
            (2 * config.queue.get().max(config.max_record.get()) / 1024 + 1).to_string(),
        );
    for (key, value) in config.librdkafka.iter() {
        settings.set(key, &value.0);
    }
    secure(&mut settings, config.tls.as_ref(), config.sasl.as_ref());
    settings
}

/// Settings that begin with these, of a client that says what it has to say: who hears it, the log decides.
pub(crate) fn begun(fixed: &[(&str, &str)]) -> ClientConfig {
    let mut settings = ClientConfig::new();
    settings.set_log_level(RDKafkaLogLevel::Info);
    fixed.iter().for_each(|(key, value)| {
        settings.set(*key, *value);
    });
    settings
}

/// PEM text stands where a path could.
pub(crate) fn is_pem(text: &str) -> bool {
    text.trim_start().starts_with("-----BEGIN ")
}

fn compression(compression: Compression) -> &'static str {
    match compression {
        Compression::None => "none",
        Compression::Gzip => "gzip",
        Compression::Snappy => "snappy",
        Compression::Lz4 => "lz4",
        Compression::Zstd => "zstd",
    }
}

/// Encryption and credentials.
pub(crate) fn secure(settings: &mut ClientConfig, tls: Option<&Tls>, sasl: Option<&Sasl>) {
    let protocol = match (tls, sasl) {
        (None, None) => "plaintext",
        (Some(_), None) => "ssl",
        (None, Some(_)) => "sasl_plaintext",
        (Some(_), Some(_)) => "sasl_ssl",
    };
    settings.set("security.protocol", protocol);
    if let Some(tls) = tls {
        let secret = |secret: &Option<Secret>| secret.as_ref().map(|secret| secret.expose().to_owned());
        let files =
            [("ca", tls.ca.clone()), ("certificate", tls.certificate.clone()), ("key", secret(&tls.key))];
        for (item, text) in files {
            if let Some(text) = text {
                settings.set(format!("ssl.{item}.{}", if is_pem(&text) { "pem" } else { "location" }), text);
            }
        }
        if let Some(password) = secret(&tls.key_password) {
            settings.set("ssl.key.password", password);
        }
        let (certificate, name) = match tls.verify {
            Verify::Full => ("true", "https"),
            Verify::Certificate => ("true", "none"),
            Verify::None => ("false", "none"),
        };
        settings.set("enable.ssl.certificate.verification", certificate);
        settings.set("ssl.endpoint.identification.algorithm", name);
    }
    if let Some(sasl) = sasl {
        let mechanism = match sasl.mechanism {
            Mechanism::Plain => "PLAIN",
            Mechanism::ScramSha256 => "SCRAM-SHA-256",
            Mechanism::ScramSha512 => "SCRAM-SHA-512",
        };
        settings
            .set("sasl.mechanism", mechanism)
            .set("sasl.username", &sasl.username)
            .set("sasl.password", sasl.password.expose());
    }
}

#[cfg(test)]
mod tests {
    use super::of;
    use crate::config::RedpandaConfig;
    use serde_json::{Value, json};
    use weir_sdk::config::read;

    fn setting(config: &Value, key: &str) -> Option<String> {
        let config = read::<RedpandaConfig>(config).unwrap();
        of(&config, "weir-orders-publisher").get(key).map(str::to_owned)
    }

    #[test]
    fn what_the_sink_promises_is_always_set() {
        let config = json!({"brokers": ["a", "[::1]:19092"], "topic": "t", "linger": "20ms", "compression": "zstd",
            "librdkafka": {"socket.timeout.ms": 5000}});
        for (key, value) in [
            ("acks", "all"),
            ("enable.idempotence", "true"),
            ("message.timeout.ms", "0"),
            ("bootstrap.servers", "a:9092,[::1]:19092"),
            ("client.id", "weir-orders-publisher"),
            ("compression.type", "zstd"),
            ("linger.ms", "20"),
            ("message.max.bytes", "1000000"),
            ("queue.buffering.max.kbytes", "16385"),
            ("socket.timeout.ms", "5000"),
            ("security.protocol", "plaintext"),
        ] {
            assert_eq!(setting(&config, key).as_deref(), Some(value), "{key}");
        }
    }

    #[test]
    fn security_is_spelt_out_and_its_secrets_stay_secret() {
        let config = json!({"brokers": "a", "topic": "t",
            "sasl": {"mechanism": "SCRAM-SHA-512", "username": "alice", "password": "hunter2"},
            "tls": {"ca": "/etc/ca.pem", "certificate": "-----BEGIN CERTIFICATE-----\nAA", "key": "/etc/key.pem",
                "key_password": "hunter3", "verify": "certificate"}});
        for (key, value) in [
            ("security.protocol", Some("sasl_ssl")),
            ("sasl.mechanism", Some("SCRAM-SHA-512")),
            ("sasl.username", Some("alice")),
            ("sasl.password", Some("hunter2")),
            ("ssl.ca.location", Some("/etc/ca.pem")),
            ("ssl.certificate.pem", Some("-----BEGIN CERTIFICATE-----\nAA")),
            ("ssl.certificate.location", None),
            ("ssl.key.location", Some("/etc/key.pem")),
            ("ssl.key.password", Some("hunter3")),
            ("enable.ssl.certificate.verification", Some("true")),
            ("ssl.endpoint.identification.algorithm", Some("none")),
        ] {
            assert_eq!(setting(&config, key).as_deref(), value, "{key}");
        }
        let shown = format!("{:?}", read::<RedpandaConfig>(&config).unwrap());
        assert!(!shown.contains("hunter"), "{shown}");

        let alone = |block: Value| {
            let mut config = json!({"brokers": "a", "topic": "t"});
            config.as_object_mut().unwrap().extend(block.as_object().unwrap().clone());
            setting(&config, "security.protocol").unwrap()
        };
        assert_eq!(alone(json!({"tls": {}})), "ssl");
        let plain = json!({"sasl": {"mechanism": "PLAIN", "username": "a", "password": "b"}});
        assert_eq!(alone(plain), "sasl_plaintext");
    }
}
