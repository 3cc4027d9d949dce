//! The sink as a host opens it, and a reader that is independent of it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedMessage, Headers as _, Message};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use serde_json::{Value, json};
use weir_redpanda_dev::RedpandaDev;
use weir_sdk::metrics::Metrics;
use weir_sdk::testing::keyless;
use weir_sdk::{Context, Error, ErrorKind, Headers, Record, Records, Sink, TaskId, Timestamp, WriteError};

/// Far more than anything here takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn broker() -> RedpandaDev {
    RedpandaDev::start("127.0.0.1:0").unwrap()
}

/// Opens the sink as a host does: by name, from JSON, on top of the address and the topic `t`.
pub(crate) async fn open(brokers: impl ToString, more: Value) -> Result<Arc<dyn Sink>, Error> {
    let mut config = json!({"brokers": brokers.to_string(), "topic": "t",
        "librdkafka": {"broker.address.family": "v4", "topic.metadata.propagation.max.ms": 200}});
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let task = TaskId { pipeline: "orders".into(), sink: "publisher".into() };
    let sinks = weir_redpanda::sinks();
    sinks[0].open(config, Context::new(task, Metrics::default())).await
}

/// Writes as the host does: what fails is sent again until all of it is delivered, at most `deadline` for each try.
/// Answers with the kinds of the errors on the way.
pub(crate) async fn deliver(sink: &dyn Sink, records: Vec<Record>, deadline: Duration) -> Vec<ErrorKind> {
    let (mut left, mut kinds) = (Records::from(records), Vec::new());
    let started = tokio::time::Instant::now();
    while started.elapsed() < PATIENCE {
        match tokio::time::timeout(deadline, sink.write(left.clone())).await {
            Ok(Ok(())) => return kinds,
            Ok(Err(WriteError::All(error))) => kinds.push(error.kind()),
            Ok(Err(WriteError::Some(failed))) => {
                kinds.extend(failed.iter().map(|failed| failed.error.kind()));
                left = left.pick(failed.iter().map(|failed| failed.index));
            }
            Err(_) => kinds.push(ErrorKind::Timeout),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("not delivered within {PATIENCE:?}: {kinds:?}");
}

/// Everything in a topic, partition after partition.
pub(crate) fn read(broker: &RedpandaDev, topic: &str) -> Vec<Record> {
    read_at(&broker.address().to_string(), topic)
}

/// The same of any broker.
pub(crate) fn read_at(brokers: &str, topic: &str) -> Vec<Record> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("broker.address.family", "v4")
        .set("group.id", "reader")
        .set("fetch.queue.backoff.ms", "5")
        .create()
        .unwrap();
    let metadata = consumer.fetch_metadata(Some(topic), PATIENCE).unwrap();
    let mut from = TopicPartitionList::new();
    let (mut partitions, mut wanted) = (vec![Vec::new(); metadata.topics()[0].partitions().len()], 0);
    for partition in (0..).take(partitions.len()) {
        let (start, end) = consumer.fetch_watermarks(topic, partition, PATIENCE).unwrap();
        from.add_partition_offset(topic, partition, Offset::Offset(start)).unwrap();
        wanted += usize::try_from(end - start).unwrap();
    }
    consumer.assign(&from).unwrap();
    let started = tokio::time::Instant::now();
    while partitions.iter().map(Vec::len).sum::<usize>() < wanted {
        let read: Vec<_> = partitions.iter().map(Vec::len).collect();
        assert!(started.elapsed() < PATIENCE, "the reader got stuck in {topic} at {read:?} of {wanted}");
        if let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) {
            partitions[usize::try_from(message.partition()).unwrap()].push(record_of(&message));
        }
    }
    partitions.concat()
}

/// The values in a topic, as text.
pub(crate) fn texts(broker: &RedpandaDev, topic: &str) -> Vec<String> {
    let text = |record: &Record| String::from_utf8(record.value.clone().unwrap().to_vec()).unwrap();
    read(broker, topic).iter().map(text).collect()
}

fn record_of(message: &BorrowedMessage<'_>) -> Record {
    let owned = |bytes: Option<&[u8]>| bytes.map(Bytes::copy_from_slice);
    let header =
        |header: rdkafka::message::Header<'_, &[u8]>| (header.key.to_owned().into(), owned(header.value));
    Record {
        key: owned(message.key()),
        value: owned(message.payload()),
        headers: message.headers().map_or_else(Headers::default, |all| all.iter().map(header).collect()),
        timestamp: Timestamp(message.timestamp().to_millis().unwrap() * 1000),
        ..keyless("read")
    }
}
