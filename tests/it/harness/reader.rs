//! An independent reader of a topic: librdkafka's consumer, none of our code.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message};

/// A record as it was read from its topic.
#[derive(Clone, Debug)]
pub(crate) struct Read {
    pub(crate) key: String,
    pub(crate) value: String,
    pub(crate) headers: HashMap<String, String>,
    /// In milliseconds since 1970.
    pub(crate) timestamp: Option<i64>,
}

/// Polls `wanted` until it answers; tests have no other way to wait for another process.
pub(crate) fn until<T>(what: &str, limit: Duration, mut wanted: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = wanted() {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Reads the topic from its beginning, in the order of each partition, until `done` says so of all that was read.
pub(crate) fn read_topic(
    brokers: &str,
    topic: &str,
    limit: Duration,
    mut done: impl FnMut(&[Read]) -> bool,
) -> Vec<Read> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", format!("reader-{}", uuid::Uuid::new_v4()))
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false")
        .set("fetch.queue.backoff.ms", "5")
        .set("topic.metadata.refresh.interval.ms", "500")
        .set("allow.auto.create.topics", "true")
        .create()
        .unwrap();
    consumer.subscribe(&[topic]).unwrap();
    let (deadline, mut read) = (Instant::now() + limit, Vec::new());
    loop {
        while let Some(message) = consumer.poll(Duration::from_millis(50)) {
            let Ok(message) = message else { continue };
            let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
            let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
            read.push(Read {
                key: text(message.key()),
                value: text(message.payload()),
                timestamp: message.timestamp().to_millis(),
                headers: headers.map(|header| (header.key.to_owned(), text(header.value))).collect(),
            });
            if read.len() % 100 == 0 && done(&read) {
                return read;
            }
        }
        if done(&read) {
            return read;
        }
        assert!(
            Instant::now() < deadline,
            "{} records of {topic} within {limit:?}, and not all is there",
            read.len()
        );
    }
}

/// How many records the topic holds now; none where it does not exist yet.
pub(crate) fn count(brokers: &str, topic: &str) -> usize {
    let consumer: BaseConsumer = ClientConfig::new().set("bootstrap.servers", brokers).create().unwrap();
    let limit = Duration::from_secs(10);
    let Ok(metadata) = consumer.fetch_metadata(Some(topic), limit) else { return 0 };
    let partitions = metadata.topics().iter().flat_map(|topic| topic.partitions());
    let held =
        partitions.filter_map(|partition| consumer.fetch_watermarks(topic, partition.id(), limit).ok());
    held.map(|(low, high)| usize::try_from(high - low).unwrap()).sum()
}
