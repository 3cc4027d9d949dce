//! What an embedded broker might get wrong too, against the brokers that `REDPANDA_BROKERS` names, if any.

use serde_json::json;
use weir_redpanda_dev::RedpandaDev;
use weir_sdk::testing::{RecordExt, Trace, record};
use weir_sdk::{ErrorKind, Record, Sink, WriteError};

use crate::far_side::{PATIENCE, broker, deliver, open, read_at};

/// The brokers to test against; an embedded one lives as long as it is held.
fn brokers() -> (String, Option<RedpandaDev>) {
    #[expect(clippy::disallowed_methods, reason = "a test has no main to hand it the environment")]
    let named = std::env::var("REDPANDA_BROKERS").ok().filter(|brokers| !brokers.is_empty());
    let (address, embedded) = match named {
        Some(brokers) => (brokers, None),
        None => {
            let embedded = broker();
            (embedded.address().to_string(), Some(embedded))
        }
    };
    println!("brokers: {address} ({})", if embedded.is_some() { "embedded" } else { "REDPANDA_BROKERS" });
    (address, embedded)
}

/// A topic of this run alone: brokers outlive tests.
fn topic(name: &str) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    format!("weir-test-{name}-{}", now.as_micros())
}

async fn lane(sink: &dyn Sink, own: usize, count: usize) -> Vec<Record> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let now = i64::try_from(now.as_micros()).unwrap();
    let one = |n: usize| {
        let made = record(&format!("{own}-{}", n % 17), &format!("{own}:{n} {}", "payload ".repeat(20)));
        made.at(&own.to_string(), &n.to_string()).header("event_type", "OrderCreated").micros(now)
    };
    let sent: Vec<Record> = (0..count).map(one).collect();
    for batch in sent.chunks(500) {
        deliver(sink, batch.to_vec(), PATIENCE).await;
    }
    sent
}

#[tokio::test(flavor = "multi_thread")]
async fn four_lanes_arrive_complete_and_in_order() {
    let (brokers, _embedded) = brokers();
    let topic = topic("lanes");
    let sink = open(&brokers, json!({"topic": topic, "create": {"partitions": 4}})).await.unwrap();
    let (a, b, c, d) = tokio::join!(
        lane(&*sink, 0, 5000),
        lane(&*sink, 1, 5000),
        lane(&*sink, 2, 5000),
        lane(&*sink, 3, 5000)
    );
    sink.close().await.unwrap();
    let trace = Trace::by_content(&[a, b, c, d].concat(), &read_at(&brokers, &topic));
    assert_eq!(trace, Trace::default(), "{trace}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limit_of_a_topic_hits_only_the_records_that_exceed_it() {
    let (brokers, _embedded) = brokers();
    let topic = topic("limit");
    let create = json!({"partitions": 1, "config": {"max.message.bytes": 10_000}});
    let config = json!({"topic": topic, "create": create, "compression": "none", "linger": "50ms"});
    let sink = open(&brokers, config).await.unwrap();
    let mut sent: Vec<Record> =
        (0..40).map(|n| record(&format!("k{}", n % 2), &n.to_string()).at("p", &n.to_string())).collect();
    for index in [7, 8, 30] {
        sent[index].value = Some(vec![b'x'; 20_000 + index].into());
    }
    let error = sink.write(sent.clone().into()).await.unwrap_err();
    let WriteError::Some(failed) = error else { panic!("{error:?}") };
    let failed: Vec<_> = failed.iter().map(|failed| (failed.index, failed.error.kind())).collect();
    assert_eq!(failed, [7, 8, 30].map(|index| (index, ErrorKind::Record)));
    sent.retain(|record| record.value.as_ref().unwrap().len() < 1000);
    let trace = Trace::by_content(&sent, &read_at(&brokers, &topic));
    assert_eq!(trace, Trace::default(), "{trace}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compacted_topic_refuses_only_the_records_without_a_key() {
    let (brokers, _embedded) = brokers();
    let topic = topic("compacted");
    let create = json!({"partitions": 1, "config": {"cleanup.policy": "compact"}});
    let sink = open(&brokers, json!({"topic": topic, "create": create, "linger": "50ms"})).await.unwrap();
    let mut sent: Vec<Record> = (0..6).map(|n| record(&format!("k{n}"), &n.to_string())).collect();
    sent[2].key = None;
    let error = sink.write(sent.clone().into()).await.unwrap_err();
    let WriteError::Some(failed) = error else { panic!("{error:?}") };
    assert_eq!(
        failed.iter().map(|failed| (failed.index, failed.error.kind())).collect::<Vec<_>>(),
        [(2, ErrorKind::Record)]
    );
    sent.remove(2);
    let arrived: Vec<_> = read_at(&brokers, &topic).into_iter().map(|record| record.value).collect();
    assert_eq!(arrived, sent.into_iter().map(|record| record.value).collect::<Vec<_>>());
}
