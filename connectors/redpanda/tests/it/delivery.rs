//! Where records go and what they look like there.

use std::time::Duration;

use serde_json::json;
use weir_sdk::testing::{RecordExt, keyless, numbered, record, tombstone};
use weir_sdk::{ErrorKind, Records, WriteError};

use crate::far_side::{PATIENCE, broker, deliver, open, read, texts};

#[tokio::test(flavor = "multi_thread")]
async fn key_headers_time_and_tombstones_arrive_with_every_compression() {
    for compression in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let broker = broker();
        broker.create_topic("t", 1).unwrap();
        let sink =
            open(broker.address(), json!({"compression": compression, "linger": "20ms"})).await.unwrap();
        let full = record("key", &"value ".repeat(100))
            .header("a", "1")
            .header("a", "2")
            .micros(1_700_000_000_123_456);
        let sent: Records = [full, tombstone("key"), keyless("no key")].into_iter().collect();
        sink.write(sent.clone()).await.unwrap();
        let arrived = read(&broker, "t");
        for (arrived, sent) in arrived.iter().zip(sent.iter()) {
            assert_eq!(
                (&arrived.key, &arrived.value, &arrived.headers),
                (&sent.key, &sent.value, &sent.headers)
            );
        }
        assert_eq!(arrived[0].timestamp.as_millis(), 1_700_000_000_123);
        assert_eq!(arrived.len(), 3, "{compression}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_sends_each_type_to_its_topic_and_refuses_records_without_one() {
    let broker = broker();
    let sink = open(broker.address(), json!({"topic": "orders.{event_type}"})).await.unwrap();
    let mut sent = numbered("p", 0..9, 3);
    for (index, record) in sent.iter_mut().enumerate() {
        record.headers.push("event_type", ["OrderCreated", "OrderShipped", "Order/Lost"][index % 3]);
    }
    let error = sink.write(sent.into()).await.unwrap_err();
    let WriteError::Some(failed) = &error else { panic!("{error:?}") };
    assert_eq!(failed.iter().map(|failed| failed.index).collect::<Vec<_>>(), [2, 5, 8]);
    assert_eq!(error.first().kind(), ErrorKind::Record);
    assert_eq!(texts(&broker, "orders.OrderCreated"), ["0", "3", "6"]);
    assert_eq!(texts(&broker, "orders.OrderShipped"), ["1", "4", "7"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_are_created_as_wanted_or_their_lack_is_explained() {
    let broker = broker();
    broker.refuse_unknown_topics();
    let without = open(broker.address(), json!({"topic": "orders"})).await.unwrap();
    let error = without.write([record("k", "1")].into_iter().collect()).await.unwrap_err();
    assert_eq!(error.first().kind(), ErrorKind::Config, "{error:?}");
    assert!(error.first().operator_advice().unwrap().starts_with("create the topic"));

    let create = json!({"topic": "orders.{type}", "create": {"partitions": 3, "config": {"retention.bytes": 5_000_000}}});
    let creating = open(broker.address(), create).await.unwrap();
    let sent: Vec<_> =
        numbered("p", 0..30, 10).into_iter().map(|record| record.header("type", "a")).collect();
    assert_eq!(deliver(&*creating, sent, PATIENCE).await, []);
    assert!(broker.end_offset("orders.a", 2).is_some() && broker.end_offset("orders.a", 3).is_none());
    assert_eq!(read(&broker, "orders.a").len(), 30);

    let wrong = json!({"topic": "other", "create": {"partitions": 1, "config": {"no.such.setting": 1}}});
    let wrong = open(broker.address(), wrong).await.unwrap();
    let error = wrong.write([record("k", "1")].into_iter().collect()).await.unwrap_err();
    assert_eq!(error.first().kind(), ErrorKind::Config, "{error:?}");
    assert!(error.first().message().starts_with("create topic other: InvalidConfig"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_waits_for_room_and_arrives_in_order() {
    let broker = broker();
    broker.create_topic("t", 1).unwrap();
    let sink = open(broker.address(), json!({"queue": "1MB"})).await.unwrap();
    let mut sent = numbered("p", 0..3000, 7);
    for record in &mut sent {
        record.value = Some([record.value.as_deref().unwrap(), &vec![b' '; 2000]].concat().into());
    }
    // 6 MB through 1 MB of room, in four lanes.
    let lanes = sent.chunks(750).map(|lane| deliver(&*sink, lane.to_vec(), PATIENCE));
    let mut lanes: Vec<_> = lanes.map(Box::pin).collect();
    let [a, b, c, d] = &mut lanes[..] else { unreachable!() };
    let kinds = tokio::time::timeout(PATIENCE, async { tokio::join!(a, b, c, d) }).await.unwrap();
    assert_eq!(kinds, (vec![], vec![], vec![], vec![]));
    let mut arrived: Vec<usize> =
        texts(&broker, "t").iter().map(|text| text.trim().parse().unwrap()).collect();
    for lane in 0..4 {
        let of_lane = |number: &&usize| **number / 750 == lane;
        assert!(arrived.iter().filter(of_lane).is_sorted());
    }
    arrived.sort_unstable();
    assert_eq!(arrived, (0..3000).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_the_configuration_is_said_at_open() {
    let error = open("127.0.0.1:1", json!({"librdkafka": {"acks": 0}})).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert_eq!(
        error.problems()[0].to_string(),
        "/librdkafka/acks: `acks` belongs to what this sink promises"
    );
    let secret =
        json!({"sasl": {"mechanism": "PLAIN", "username": "a", "password": "hunter2"}, "queue": "1B"});
    let error = open("127.0.0.1:1", secret).await.err().unwrap();
    assert!(!format!("{error:?} {:?}", error.problems()).contains("hunter2"));
    let opened = tokio::time::timeout(Duration::from_secs(5), open("127.0.0.1:1", json!({}))).await;
    opened.unwrap().expect("opening needs no broker");
}
