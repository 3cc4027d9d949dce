//! Topics: their defaults, their bounds, their transactions.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::producer::{BaseRecord, Producer, ThreadedProducer};
use weir_redpanda_dev::RedpandaDev;

use crate::clients::{PATIENCE, admin, broker, config, numbered, reader, send, values};

#[test]
fn every_topic_is_bounded_unless_its_creator_says_otherwise() {
    let broker = broker();
    broker.create_topic("by-handle", 1).unwrap();
    send(&broker, "by-writing", numbered(0..1));
    let asked = NewTopic::new("by-request", 2, TopicReplication::Fixed(1)).set("retention.bytes", "5000000");
    let created = block_on(admin(&broker).create_topics([&asked], &AdminOptions::new())).unwrap();
    assert_eq!(created, [Ok("by-request".to_owned())]);

    for (topic, retention) in
        [("by-handle", "67108864"), ("by-writing", "67108864"), ("by-request", "5000000")]
    {
        let (admin, topic) = (admin(&broker), ResourceSpecifier::Topic(topic));
        let described = block_on(admin.describe_configs([&topic], &AdminOptions::new()));
        let described = described.unwrap().remove(0).unwrap();
        let value = |name| described.get(name).unwrap().value.clone().unwrap();
        assert_eq!(value("retention.ms"), "-1");
        assert_eq!((value("retention.bytes"), value("segment.bytes")), (retention.into(), "1048576".into()));
    }
    let error = broker.create_topic("by-handle", 1).unwrap_err();
    assert_eq!(error.to_string(), "topic by-handle: Topic 'by-handle' already exists.");
}

#[test]
fn an_aborted_transaction_is_never_read_and_hides_nothing_after_it() {
    let broker = broker();
    broker.create_topic("accounts", 1).unwrap();
    let producer = transactional(&broker);
    transact(&producer, "kept 1", End::Commit);
    transact(&producer, "dropped 1", End::Abort);
    transact(&producer, "kept 2", End::Commit);
    transact(&producer, "dropped 2", End::Abort);
    transact(&producer, "kept 3", End::Commit);
    let consumer = reader(&mut config(&broker), "accounts");
    assert_eq!(values(&consumer, 3), ["kept 1", "kept 2", "kept 3"]);

    // Offsets: kept 1, mark, dropped 1, mark, kept 2, … A reader that starts behind an aborted transaction.
    let late = reader(&mut config(&broker), "accounts");
    late_start(&late, 4);
    assert_eq!(values(&late, 2), ["kept 2", "kept 3"]);
}

fn late_start(consumer: &rdkafka::consumer::BaseConsumer, offset: i64) {
    use rdkafka::consumer::Consumer;
    let mut from = rdkafka::TopicPartitionList::new();
    from.add_partition_offset("accounts", 0, rdkafka::Offset::Offset(offset)).unwrap();
    consumer.assign(&from).unwrap();
}

#[test]
fn a_topic_s_own_settings_and_the_lack_of_a_topic_are_enforced() {
    let broker = broker();
    broker.create_topic_with("small", 1, &[("max.message.bytes", "1000")]).unwrap();
    broker.create_topic_with("bad", 1, &[("max.message.byte", "1000")]).unwrap_err();
    broker.refuse_unknown_topics();
    let producer: ThreadedProducer<_, rdkafka::producer::NoCustomPartitioner> = config(&broker)
        .set("topic.metadata.propagation.max.ms", "100")
        .create_with_context(Failures::default())
        .unwrap();
    for (topic, value) in [("small", "x".repeat(2000)), ("missing", "x".to_owned())] {
        let record: BaseRecord<'_, str, str> = BaseRecord::to(topic).partition(0).payload(&value);
        producer.send(record).map_err(|(error, _)| error).unwrap();
        producer.flush(PATIENCE).unwrap();
    }
    let failures = producer.client().context().0.lock().unwrap().join(", ");
    assert_eq!(failures, "MessageSizeTooLarge, UnknownTopicOrPartition");
    assert_eq!(broker.end_offset("missing", 0), None);
}

#[derive(Default)]
struct Failures(std::sync::Mutex<Vec<String>>);

impl rdkafka::ClientContext for Failures {}

impl rdkafka::producer::ProducerContext for Failures {
    type DeliveryOpaque = ();

    fn delivery(&self, report: &rdkafka::producer::DeliveryResult<'_>, (): ()) {
        let (error, _) = report.as_ref().expect_err("delivered");
        self.0.lock().unwrap().push(format!("{:?}", error.rdkafka_error_code().unwrap()));
    }
}

enum End {
    Commit,
    Abort,
}

type Transactional = ThreadedProducer<rdkafka::producer::DefaultProducerContext>;

fn transactional(broker: &RedpandaDev) -> Transactional {
    let mut config: ClientConfig = config(broker);
    let producer: Transactional = config.set("transactional.id", "accountant").create().unwrap();
    producer.init_transactions(PATIENCE).unwrap();
    producer
}

fn transact(producer: &Transactional, value: &str, end: End) {
    producer.begin_transaction().unwrap();
    let record: BaseRecord<'_, str, str> = BaseRecord::to("accounts").partition(0).payload(value);
    producer.send(record).map_err(|(error, _)| error).unwrap();
    producer.flush(PATIENCE).unwrap();
    match end {
        End::Commit => producer.commit_transaction(PATIENCE).unwrap(),
        End::Abort => producer.abort_transaction(PATIENCE).unwrap(),
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(30), future).await }).unwrap()
}
