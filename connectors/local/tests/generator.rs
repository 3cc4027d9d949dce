//! The generator keeps the contract of a source, and its pace.
#![allow(missing_docs)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, timeout};
use weir_sdk::metrics::Metrics;
use weir_sdk::testing::contract::{self, SourceFixture};
use weir_sdk::testing::{RecordExt, record};
use weir_sdk::{
    Checkpoint, Context, Error, ErrorKind, Record, Room, Source, SourceFactory, TaskId, To, async_trait,
};

const ROOM: Room = Room { records: 1000, bytes: 1 << 20 };

fn factory() -> Arc<dyn SourceFactory> {
    weir_local::sources().into_iter().find(|source| source.name() == "generator").expect("it is in the list")
}

async fn open(config: Value, resume: Checkpoint) -> Result<Box<dyn Source>, Error> {
    let task = TaskId { pipeline: "test".into(), sink: "test".into() };
    factory().open(config, resume, Context::new(task, Metrics::default())).await
}

/// 60 records of 7 keys.
struct Fixture {
    partitions: u64,
    rate: Option<u64>,
}

#[async_trait]
impl SourceFixture for Fixture {
    async fn open(&self, resume: Checkpoint) -> Result<Box<dyn Source>, Error> {
        let mut config = json!({ "records": 60, "keys": 7, "partitions": self.partitions, "size": "10B" });
        if let Some(rate) = self.rate {
            config["rate"] = rate.into();
        }
        open(config, resume).await
    }

    async fn written(&self) -> Vec<Record> {
        let one = |n: u64| {
            let (key, sequence) = (n % 7, n / 7);
            let value = format!(r#"{{"partition":{},"sequence":{n},"padding":""}}"#, key % self.partitions);
            let mut record = record(&format!("key-{key}"), &value);
            record.headers.push("event_id", n.to_string());
            record.headers.push("sequence_number", sequence.to_string());
            record
        };
        (0..60).map(one).collect()
    }

    /// At one record a second a read takes a minute, of paused time.
    fn patience(&self) -> Duration {
        Duration::from_secs(90)
    }
}

#[tokio::test(start_paused = true)]
async fn it_keeps_the_contract_of_a_source() {
    contract::source_factory(&*factory(), &json!({ "records": 10, "rate": 0.5, "keys": 3, "partitions": 3 }));
    for (partitions, rate) in [(1, None), (3, None), (7, None), (3, Some(1)), (2, Some(1000))] {
        let report = contract::source(&Fixture { partitions, rate }).await;
        // It has no far side to disturb, nobody to tell, and ends instead of idling.
        assert_eq!(report.skipped.len(), 3, "{:?}", report.skipped);
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_rate_says_every_second_that_there_is_nothing() {
    let mut source = open(json!({ "rate": 0.2 }), Checkpoint::default()).await.unwrap();
    let begun = Instant::now();
    let mut arrivals = Vec::new();
    while arrivals.len() < 3 {
        let batch = timeout(Duration::from_secs(1), source.poll(ROOM)).await.expect("a second of silence");
        let records = batch.unwrap().expect("it has no end").records;
        arrivals.extend(records.iter().map(|_| begun.elapsed().as_secs()));
    }
    assert_eq!(arrivals, [0, 5, 10]);
}

#[tokio::test(start_paused = true)]
async fn a_rate_is_kept_over_many_polls() {
    let mut source = open(json!({ "rate": 8000, "size": "200B" }), Checkpoint::default()).await.unwrap();
    let begun = Instant::now();
    let mut count = 0;
    while begun.elapsed() < Duration::from_secs(10) {
        count += source.poll(ROOM).await.unwrap().expect("it has no end").records.len();
    }
    assert!((79_900..=80_100).contains(&count), "{count}");
}

#[tokio::test]
async fn keys_have_their_sequence_numbers_without_a_gap() {
    let mut source = open(json!({ "records": 5000, "keys": 50 }), Checkpoint::default()).await.unwrap();
    let mut next: BTreeMap<String, u64> = BTreeMap::new();
    while let Some(batch) = source.poll(ROOM).await.unwrap() {
        for record in batch.records.iter() {
            let key = String::from_utf8(record.key.as_deref().unwrap().to_vec()).unwrap();
            let number = record.headers.get("sequence_number").unwrap();
            let due = next.entry(key).or_default();
            assert_eq!(number, due.to_string().as_bytes(), "{}", record.text());
            *due += 1;
        }
    }
    assert_eq!((next.len(), next.values().sum::<u64>()), (50, 5000));
}

#[tokio::test]
async fn what_it_cannot_do_is_an_error_that_says_so() {
    let wrong =
        open(json!({ "keys": 2, "partitions": 5, "rate": 0 }), Checkpoint::default()).await.err().unwrap();
    assert_eq!((wrong.kind(), wrong.problems().len()), (ErrorKind::Config, 2));
    let foreign = [("0".into(), "not a number")].into_iter().collect();
    let wrong = open(json!({}), foreign).await.err().unwrap();
    assert_eq!(wrong.kind(), ErrorKind::Config);
    assert!(wrong.to_string().contains("partition 0"), "{wrong}");
    let identity = async |config| open(config, Checkpoint::default()).await.unwrap().start().identity;
    assert_ne!(identity(json!({ "keys": 3 })).await, identity(json!({ "keys": 4 })).await);
}

#[tokio::test]
async fn these_sources_can_be_sent_to_their_begin_only() {
    let folder = std::env::temp_dir().join("weir-nothing-is-read.jsonl");
    for source in weir_local::sources() {
        let config = match source.name() {
            "generator" => json!({}),
            _ => json!({ "path": &folder }),
        };
        let seek = async |to: To| {
            let task = TaskId { pipeline: "test".into(), sink: "test".into() };
            let context = Context::new(task, Metrics::default());
            let opened = source.open(config.clone(), Checkpoint::default(), context.clone()).await;
            let identity = opened.expect("it opens").start().identity;
            (source.seek(config.clone(), to, context).await, identity)
        };
        let (begin, identity) = seek(To::Earliest).await;
        let begin = begin.expect("there is a begin");
        assert_eq!((begin.identity, begin.checkpoint), (identity, Checkpoint::default()));
        let (refused, _) = seek(To::Latest).await;
        let refused = refused.expect_err("nobody knows the end");
        assert_eq!(refused.kind(), ErrorKind::Config);
        assert_eq!(refused.operator_advice(), Some("write `--to earliest`"));
    }
}
