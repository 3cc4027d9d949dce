//! Consumer groups: work is shared, taken over, and resumed.

use std::collections::BTreeSet;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{BaseRecord, Producer};
use weir_redpanda_dev::RedpandaDev;

use crate::clients::{PATIENCE, broker, config, next, numbered, producer, send, text};

#[test]
fn members_share_the_partitions_and_take_over_from_one_that_leaves() {
    let broker = broker();
    broker.create_topic("work", 6).unwrap();
    let mut members: Vec<_> = (0..3).map(|_| member(&broker, "work", "cooperative-sticky")).collect();
    settle(&members, |counts| counts == [2, 2, 2]);
    members.pop();
    settle(&members, |counts| counts == [3, 3]);

    let producer = producer(&broker);
    for partition in 0..6 {
        let value = format!("for {partition}");
        let record: BaseRecord<'_, str, str> = BaseRecord::to("work").partition(partition).payload(&value);
        producer.send(record).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(PATIENCE).unwrap();
    let mut seen = BTreeSet::new();
    let started = tokio::time::Instant::now();
    while seen.len() < 6 {
        assert!(started.elapsed() < PATIENCE, "only {seen:?} arrived");
        for member in &members {
            if let Some(Ok(message)) = member.poll(Duration::from_millis(20)) {
                assert!(seen.insert(text(&message)), "{} came twice", text(&message));
            }
        }
    }
}

#[test]
fn a_group_goes_on_where_it_committed() {
    let broker = broker();
    broker.create_topic("log", 1).unwrap();
    send(&broker, "log", numbered(0..10));
    let first = member(&broker, "log", "range");
    for expected in numbered(0..4) {
        let message = next(&first);
        assert_eq!(text(&message), expected);
        first.commit_message(&message, CommitMode::Sync).unwrap();
    }
    drop(first);
    let second = member(&broker, "log", "range");
    let message = next(&second);
    assert_eq!((text(&message), message.offset()), ("value 4".to_owned(), 4));
}

#[test]
fn a_member_that_vanished_is_replaced_when_its_session_ends() {
    let broker = broker();
    broker.create_topic("inherited", 2).unwrap();
    let vanishing = config(&broker)
        .set("group.id", "workers")
        .set("session.timeout.ms", "6000")
        .set("max.poll.interval.ms", "3600000")
        // Its heartbeats come too late, which is what a dead process looks like from here.
        .set("heartbeat.interval.ms", "3600000")
        .create::<BaseConsumer>();
    let vanishing = vanishing.unwrap();
    vanishing.subscribe(&["inherited"]).unwrap();
    settle(std::slice::from_ref(&vanishing), |counts| counts == [2]);
    let heir = member(&broker, "inherited", "range");
    settle(std::slice::from_ref(&heir), |counts| counts == [2]);
    drop(vanishing);
}

fn member(broker: &RedpandaDev, topic: &str, strategy: &str) -> BaseConsumer {
    let consumer: BaseConsumer = config(broker)
        .set("group.id", "workers")
        .set("partition.assignment.strategy", strategy)
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false")
        .set("session.timeout.ms", "6000")
        .set("heartbeat.interval.ms", "200")
        .create()
        .unwrap();
    consumer.subscribe(&[topic]).unwrap();
    consumer
}

/// Polls all members until the numbers of their partitions are as wanted.
fn settle(members: &[BaseConsumer], wanted: impl Fn(&[usize]) -> bool) {
    let started = tokio::time::Instant::now();
    loop {
        for member in members {
            // Nothing is to be read yet; polling serves the rebalance.
            assert!(!matches!(member.poll(Duration::from_millis(20)), Some(Ok(_))));
        }
        let counts: Vec<_> = members.iter().map(|member| member.assignment().unwrap().count()).collect();
        if wanted(&counts) {
            return;
        }
        assert!(started.elapsed() < 2 * PATIENCE, "the group settled at {counts:?}");
    }
}
