//! Reads: what was written comes back, without waiting for a timer and without a flood.

use std::time::Duration;

use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer};

use crate::clients::{PATIENCE, broker, config, enqueue, next, numbered, producer, reader, send, values};

#[test]
fn what_was_written_comes_back() {
    let broker = broker();
    broker.create_topic("facts", 1).unwrap();
    let producer = producer(&broker);
    let headers = OwnedHeaders::new()
        .insert(Header { key: "kind", value: Some("first") })
        .insert(Header { key: "kind", value: None::<&str> });
    let full =
        BaseRecord::to("facts").key("key").payload("value").headers(headers).timestamp(1_700_000_000_123);
    producer.send(full).map_err(|(error, _)| error).unwrap();
    let tombstone: BaseRecord<'_, str, str> = BaseRecord::to("facts").key("key");
    producer.send(tombstone).map_err(|(error, _)| error).unwrap();
    producer.flush(PATIENCE).unwrap();

    let consumer = reader(&mut config(&broker), "facts");
    let first = next(&consumer);
    assert_eq!(first.key(), Some(&b"key"[..]));
    assert_eq!(first.payload(), Some(&b"value"[..]));
    assert_eq!(first.timestamp().to_millis(), Some(1_700_000_000_123));
    let kinds: Vec<_> = first.headers().unwrap().iter().map(|header| (header.key, header.value)).collect();
    assert_eq!(kinds, [("kind", Some(&b"first"[..])), ("kind", None)]);
    let second = next(&consumer);
    assert_eq!((second.key(), second.payload(), second.offset()), (Some(&b"key"[..]), None, 1));
    assert_eq!(broker.end_offset("facts", 0), Some(2));
}

#[test]
fn a_waiting_fetch_is_woken_by_a_record() {
    let broker = broker();
    broker.create_topic("pings", 1).unwrap();
    // A fetch that nothing wakes lasts a minute.
    let consumer = reader(config(&broker).set("fetch.wait.max.ms", "60000"), "pings");
    let producer = producer(&broker);
    enqueue(&producer, "pings", "warm up");
    assert_eq!(values(&consumer, 1), ["warm up"]);
    for value in numbered(0..20) {
        let sent = tokio::time::Instant::now();
        enqueue(&producer, "pings", &value);
        assert_eq!(values(&consumer, 1), [value]);
        assert!(sent.elapsed() < Duration::from_secs(5), "{:?} from sending to receiving", sent.elapsed());
    }
}

#[test]
fn a_fetch_waits_for_the_bytes_it_asks_for() {
    let broker = broker();
    broker.create_topic("drops", 1).unwrap();
    let consumer =
        reader(config(&broker).set("fetch.min.bytes", "10000").set("fetch.wait.max.ms", "60000"), "drops");
    send(&broker, "drops", numbered(0..3));
    // Not enough: the read is held back. The topic's end is known to be behind the records all the same.
    assert_eq!(broker.end_offset("drops", 0), Some(3));
    assert!(consumer.poll(Duration::from_millis(300)).is_none());
    send(&broker, "drops", ["x".repeat(10_000)]);
    assert_eq!(values(&consumer, 3), numbered(0..3));
}

#[test]
fn a_large_backlog_is_read_in_bounded_steps() {
    let broker = broker();
    broker.create_topic("backlog", 1).unwrap();
    let value = |number: usize| format!("{number:>10000}");
    send(&broker, "backlog", (0..3000).map(value));
    // 30 MB are there. A client that is given more than 4 MB at once gives up on the connection.
    let mut small = config(&broker);
    small
        .set("fetch.message.max.bytes", "100000")
        .set("fetch.max.bytes", "2000000")
        .set("message.max.bytes", "1000000")
        .set("receive.message.max.bytes", "4000000");
    let consumer = reader(&mut small, "backlog");
    for number in 0..3000 {
        assert_eq!(values(&consumer, 1), [value(number)]);
    }
}

#[test]
fn an_answer_to_nobody_is_not_sent() {
    let broker = broker();
    broker.create_topic("careless", 1).unwrap();
    let careless: rdkafka::producer::ThreadedProducer<_> =
        config(&broker).set("acks", "0").set("linger.ms", "0").create().unwrap();
    for value in numbered(0..100) {
        enqueue(&careless, "careless", &value);
    }
    careless.flush(PATIENCE).unwrap();
    let consumer = reader(&mut config(&broker), "careless");
    assert_eq!(values(&consumer, 100), numbered(0..100));
    // An answer too many would have shifted every later answer on that connection by one.
    careless.client().fetch_metadata(Some("careless"), PATIENCE).unwrap();
}
