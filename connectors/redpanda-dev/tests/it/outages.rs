//! The broker goes, comes back, and is slow.

use std::time::Duration;

use rdkafka::producer::Producer;
use weir_redpanda_dev::RedpandaDev;

use crate::clients::{PATIENCE, broker, config, enqueue, numbered, producer, reader, send, values};

#[test]
fn a_broker_that_was_gone_has_kept_its_data() {
    let broker = broker();
    broker.create_topic("kept", 1).unwrap();
    send(&broker, "kept", numbered(0..100));
    let consumer = reader(&mut config(&broker), "kept");
    assert_eq!(values(&consumer, 50), numbered(0..50));

    assert!(broker.connections() > 0);
    broker.pause().unwrap();
    broker.pause().unwrap();
    assert_eq!(broker.connections(), 0);
    std::net::TcpStream::connect(broker.address()).unwrap_err();
    let producer = producer(&broker);
    for value in numbered(100..200) {
        enqueue(&producer, "kept", &value);
    }
    assert!(producer.flush(Duration::from_millis(200)).is_err(), "delivered to a broker that is gone");
    assert_eq!(broker.end_offset("kept", 0), Some(100));

    broker.resume().unwrap();
    broker.resume().unwrap();
    producer.flush(PATIENCE).unwrap();
    assert_eq!(values(&consumer, 150), numbered(50..200));
}

#[test]
fn many_outages_lose_and_repeat_nothing() {
    let broker = broker();
    broker.create_topic("storm", 1).unwrap();
    let producer = producer(&broker);
    for round in 0..10 {
        for value in numbered(round * 500..(round + 1) * 500) {
            enqueue(&producer, "storm", &value);
        }
        broker.pause().unwrap();
        broker.resume().unwrap();
    }
    producer.flush(PATIENCE).unwrap();
    assert_eq!(broker.end_offset("storm", 0), Some(5000));
    assert_eq!(values(&reader(&mut config(&broker), "storm"), 5000), numbered(0..5000));
}

#[test]
fn a_delayed_answer_is_late_though_the_record_is_there() {
    let broker = broker();
    broker.create_topic("slow", 1).unwrap();
    let producer = producer(&broker);
    producer.client().fetch_metadata(Some("slow"), PATIENCE).unwrap();
    enqueue(&producer, "slow", "quick");
    producer.flush(PATIENCE).unwrap();

    broker.delay_answers(Duration::from_secs(3600));
    enqueue(&producer, "slow", "late");
    let started = tokio::time::Instant::now();
    while broker.end_offset("slow", 0) != Some(2) {
        assert!(started.elapsed() < PATIENCE, "the record never arrived");
        std::thread::yield_now();
    }
    assert_eq!(producer.in_flight_count(), 1, "acknowledged in spite of the delay");
    broker.delay_answers(Duration::ZERO);
    producer.flush(PATIENCE).unwrap();
}

#[test]
fn a_stopped_broker_gives_its_port_back() {
    let broker = broker();
    let address = broker.address();
    broker.stop();
    std::net::TcpStream::connect(address).unwrap_err();
    let next = RedpandaDev::start(address).unwrap();
    assert_eq!(next.address(), address);
    RedpandaDev::start(address).expect_err("two brokers on one port");
}

#[tokio::test(start_paused = true)]
async fn it_lives_beside_a_runtime_whose_clock_stands_still() {
    let broker = broker();
    RedpandaDev::start(broker.address()).expect_err("two brokers on one port");
    broker.create_topic("t", 1).unwrap();
    send(&broker, "t", numbered(0..10));
    broker.pause().unwrap();
    broker.resume().unwrap();
    let mut config = config(&broker);
    assert_eq!(values(&reader(config.set("fetch.wait.max.ms", "10"), "t"), 10), numbered(0..10));
}
