//! Producers and consumers for the tests.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::AdminClient;
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::{Offset, TopicPartitionList};
use weir_redpanda_dev::RedpandaDev;

/// Far more than anything here takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn broker() -> RedpandaDev {
    RedpandaDev::start("127.0.0.1:0").unwrap()
}

pub(crate) fn config(broker: &RedpandaDev) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", broker.address().to_string())
        .set("broker.address.family", "v4")
        .set("reconnect.backoff.ms", "20")
        .set("reconnect.backoff.max.ms", "100");
    config
}

pub(crate) fn producer(broker: &RedpandaDev) -> ThreadedProducer<DefaultProducerContext> {
    config(broker).set("enable.idempotence", "true").set("linger.ms", "0").create().unwrap()
}

pub(crate) fn admin(broker: &RedpandaDev) -> AdminClient<DefaultClientContext> {
    config(broker).create().unwrap()
}

/// Sends the values to partition 0, in order, and waits until all are acknowledged.
pub(crate) fn send(broker: &RedpandaDev, topic: &str, values: impl IntoIterator<Item = String>) {
    let producer = producer(broker);
    for value in values {
        enqueue(&producer, topic, &value);
    }
    producer.flush(PATIENCE).unwrap();
}

pub(crate) fn enqueue(producer: &ThreadedProducer<DefaultProducerContext>, topic: &str, value: &str) {
    let record: BaseRecord<'_, str, str> = BaseRecord::to(topic).partition(0).payload(value);
    producer.send(record).map_err(|(error, _)| error).unwrap();
}

/// A consumer of partition 0 from its beginning, outside any group.
pub(crate) fn reader(config: &mut ClientConfig, topic: &str) -> BaseConsumer {
    let consumer: BaseConsumer = config.set("group.id", "reader").create().unwrap();
    let mut from = TopicPartitionList::new();
    from.add_partition_offset(topic, 0, Offset::Beginning).unwrap();
    consumer.assign(&from).unwrap();
    consumer
}

/// The next message within [`PATIENCE`], past errors that librdkafka reports in between.
pub(crate) fn next(consumer: &BaseConsumer) -> BorrowedMessage<'_> {
    let started = tokio::time::Instant::now();
    while started.elapsed() < PATIENCE {
        if let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) {
            return message;
        }
    }
    panic!("no message within {PATIENCE:?}");
}

pub(crate) fn text(message: &BorrowedMessage<'_>) -> String {
    String::from_utf8(message.payload().unwrap().to_vec()).unwrap()
}

/// The next `count` values.
pub(crate) fn values(consumer: &BaseConsumer, count: usize) -> Vec<String> {
    (0..count).map(|_| text(&next(consumer))).collect()
}

pub(crate) fn numbered(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| format!("value {number}")).collect()
}
