//! Transforms in a running pipeline: what arrives is what they made, in order, and nothing else.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::harness::{Broker, Database, Read, Weir, read_topic};

const LIMIT: Duration = Duration::from_secs(60);

fn pipeline(folder: &Path, text: &str) -> PathBuf {
    let file = folder.join("transforms.yaml");
    std::fs::write(&file, text).unwrap();
    file
}

#[test]
fn what_is_filtered_extracted_and_renamed_arrives_so_and_in_order() {
    const RECORDS: usize = 600;
    let (folder, broker) = (tempfile::tempdir().unwrap(), Broker::start());
    let text = format!(
        "name: transformed
source:
  connector: generator
  config: {{ records: {RECORDS}, keys: 6, partitions: 3 }}
transforms:
  - transform: filter
    config: {{ json: $.partition, in: [0, 2] }}
  - transform: filter
    config: {{ header: event_id, not_in: '0,2,5' }}
  - transform: extract
    config:
      key: $.partition
      headers: {{ sequence: $.sequence }}
      timestamp: $.sequence
      timestamp_unit: s
  - transform: headers
    config: {{ drop: [event_id], rename: {{ sequence_number: number }}, set: {{ origin: generator }} }}
sinks:
  - name: topic
    connector: redpanda
    config: {{ brokers: '{}', topic: transformed }}
    batch: {{ records: 50 }}
",
        broker.address()
    );
    let file = pipeline(folder.path(), &text);
    let (status, log) = Weir::run(&[&file], &folder.path().join("data"), &[]).wait(LIMIT);
    assert!(status.success(), "{log}");

    let wanted = |partition: usize| -> Vec<usize> {
        (0..RECORDS).filter(|n| n % 3 == partition && ![0, 2, 5].contains(n)).collect()
    };
    let all = wanted(0).len() + wanted(2).len();
    let read = read_topic(&broker.address(), "transformed", LIMIT, |read| read.len() >= all);
    assert_eq!(read.len(), all);
    for partition in [0, 2] {
        let arrived = read.iter().filter(|record| record.key == partition.to_string());
        let numbers: Vec<usize> = arrived.map(|record| record.headers["sequence"].parse().unwrap()).collect();
        assert_eq!(numbers, wanted(partition), "order is kept by the key that was extracted");
    }
    for record in &read {
        let sequence: i64 = record.headers["sequence"].parse().unwrap();
        assert_eq!(record.timestamp, Some(sequence * 1000));
        assert_eq!(record.headers["number"], (sequence / 6).to_string());
        assert_eq!(record.headers["origin"], "generator");
        let mut names: Vec<&str> = record.headers.keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["number", "origin", "sequence"]);
        let payload: serde_json::Value = serde_json::from_str(&record.value).unwrap();
        assert_eq!((&payload["sequence"], &payload["partition"]), (&sequence.into(), &(sequence % 3).into()));
    }
}

#[test]
fn events_of_the_outbox_are_routed_to_topics_by_header_and_payload() {
    let (database, broker, folder) = (Database::start(), Broker::start(), tempfile::tempdir().unwrap());
    let order = uuid::Uuid::new_v4();
    let events = [
        ("OrderCreated", r#"{"total": 250.00}"#),
        ("OrderCreated", r#"{"total": 0.0}"#),
        ("OrderNoted", r#"{"note": "internal"}"#),
        ("OrderShipped", r#"{"carrier": "post"}"#),
        ("OrderCreated", r#"{"total": 12.50}"#),
    ];
    for (number, (kind, payload)) in (1..).zip(events) {
        database.execute(&format!(
            "INSERT INTO orders_ks.outbox_messages (aggregate_id, sequence_number, id, event_id, event_type, \
             event_version, payload, created_at) VALUES ({order}, {number}, uuid(), uuid(), '{kind}', 1, '{payload}', \
             toTimestamp(now()))"
        ));
    }
    let text = format!(
        "name: routed
source:
  connector: scylla-outbox
  config: {{ session: {{ contact_points: ['{}'] }}, keyspace: orders_ks, table: outbox_messages }}
transforms:
  - transform: filter
    config: {{ header: event_type, in: [OrderCreated, OrderShipped] }}
  - transform: filter
    config: {{ header: aggregate_id, equals: '{order}' }}
  - transform: route
    config:
      cases:
        - {{ when: {{ header: event_type, equals: OrderShipped }}, to: shipping }}
        - {{ when: {{ json: $.total, equals: 0 }}, to: free }}
      otherwise: billing
sinks:
  - name: topics
    connector: redpanda
    config: {{ brokers: '{}', topic: 'routed-{order}.{{route}}', headers: {{ except: [route] }} }}
",
        database.address(),
        broker.address()
    );
    let file = pipeline(folder.path(), &text);
    let _weir = Weir::run(&[&file], &folder.path().join("data"), &[]);
    let read = |route: &str, events: usize| -> Vec<Read> {
        read_topic(&broker.address(), &format!("routed-{order}.{route}"), LIMIT, |read| read.len() >= events)
    };
    let billed = read("billing", 2);
    let values: Vec<&str> = billed.iter().map(|record| record.value.as_str()).collect();
    assert_eq!(values, [r#"{"total": 250.00}"#, r#"{"total": 12.50}"#]);
    for (route, number, payload) in [("free", "2", events[1].1), ("shipping", "4", events[3].1)] {
        let read = read(route, 1);
        let [record] = &read[..] else { panic!("{route}: {read:?}") };
        assert_eq!((record.key.as_str(), record.value.as_str()), (&*order.to_string(), payload));
        assert_eq!(record.headers["sequence_number"], number);
        assert!(!record.headers.contains_key("route"));
    }
}
