//! The redpanda source over TCP: the battery, bounds, what is gone, and records taken out again.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use weir_redpanda_dev::RedpandaDev;
use weir_sdk::metrics::Metrics;
use weir_sdk::testing::contract::{self, Disturbance, SourceFixture};
use weir_sdk::testing::{RecordExt, numbered, record, tombstone};
use weir_sdk::{
    Checkpoint, Context, Error, ErrorKind, Origin, Record, Room, Source, SourceFactory, TaskId, Timestamp,
    To, async_trait,
};

use crate::far_side;

const ROOM: Room = Room { records: 1000, bytes: 1 << 20 };

struct Place {
    broker: RedpandaDev,
    written: Mutex<Vec<Record>>,
}

impl Place {
    async fn with(records: Vec<Record>) -> Self {
        let broker = far_side::broker();
        broker.create_topic("t", 3).unwrap();
        let place = Self { broker, written: Mutex::default() };
        place.write(records).await;
        place
    }

    async fn write(&self, records: Vec<Record>) {
        let sink = far_side::open(self.broker.address(), json!({})).await.unwrap();
        far_side::deliver(&*sink, records.clone(), far_side::PATIENCE).await;
        sink.close().await.unwrap();
        self.written.lock().unwrap().extend(records);
    }

    fn config(&self, more: &Value) -> Value {
        let mut config = json!({"brokers": self.broker.address().to_string(), "topic": "t",
            "librdkafka": {"broker.address.family": "v4"}});
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        config
    }

    async fn open_with(&self, more: Value, resume: Checkpoint) -> Result<Box<dyn Source>, Error> {
        factory().open(self.config(&more), resume, context()).await
    }

    /// Everything that is there now.
    async fn all(&self) -> Vec<Record> {
        let source = self.open_with(json!({"until": "end"}), Checkpoint::default()).await.unwrap();
        rest(source).await
    }
}

async fn rest(mut source: Box<dyn Source>) -> Vec<Record> {
    let mut all = Vec::new();
    while let Some(batch) =
        tokio::time::timeout(far_side::PATIENCE, source.poll(ROOM)).await.unwrap().unwrap()
    {
        all.extend(batch.records.into_vec());
    }
    source.close().await.unwrap();
    all
}

fn factory() -> Arc<dyn SourceFactory> {
    weir_redpanda::sources().remove(0)
}

fn context() -> Context {
    Context::new(TaskId { pipeline: "p".into(), sink: "s".into() }, Metrics::default())
}

fn keys(records: &[Record]) -> Vec<String> {
    let mut keys: Vec<_> = records
        .iter()
        .map(|record| String::from_utf8(record.value.clone().unwrap().to_vec()).unwrap())
        .collect();
    keys.sort();
    keys
}

#[async_trait]
impl SourceFixture for Place {
    async fn open(&self, resume: Checkpoint) -> Result<Box<dyn Source>, Error> {
        self.open_with(json!({}), resume).await
    }

    async fn written(&self) -> Vec<Record> {
        let whole = |record: &Record| record.clone().micros(record.timestamp.as_millis() * 1000);
        self.written.lock().unwrap().iter().map(whole).collect()
    }

    async fn append(&self) -> bool {
        self.write(numbered("later", 40..48, 5)).await;
        true
    }

    async fn disturb(&self, how: Disturbance) -> bool {
        match how {
            Disturbance::Down => self.broker.pause().unwrap(),
            Disturbance::Silent => self.broker.delay_answers(Duration::from_secs(3600)),
            Disturbance::Flaky => return false,
        }
        true
    }

    async fn restore(&self) {
        self.broker.delay_answers(Duration::ZERO);
        self.broker.resume().unwrap();
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(20)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_source_keeps_its_contract() {
    let mut records = numbered("a", 0..30, 4);
    records.extend([tombstone("k0"), numbered("b", 30..31, 1).remove(0).header("h", "1").header("h", "2")]);
    let place = Place::with(records).await;
    let report = contract::source(&place).await;
    assert_eq!(report.skipped, ["a commit runs beside a poll"], "there is nothing to commit");
}

#[test]
fn its_factory_keeps_its_contract() {
    contract::source_factory(&*factory(), &json!({"brokers": ["127.0.0.1:9092"], "topic": "orders"}));
    let problems = factory().check(&json!({"brokers": "a:1", "topic": "orders.{event_type}"}));
    assert_eq!(problems[0].message, "`orders.{event_type}` is no topic");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bounded_read_ends_where_the_end_was_and_a_late_start_begins_there() {
    let place = Place::with(numbered("a", 0..50, 7)).await;
    place.broker.create_topic("empty", 2).unwrap();
    let more = json!({"until": "end", "topic": ["t", "empty"]});
    let bounded = place.open_with(more, Checkpoint::default()).await.unwrap();
    let mut late = place.open_with(json!({"start": "latest"}), Checkpoint::default()).await.unwrap();
    place.write(numbered("b", 50..60, 7)).await;
    assert_eq!(keys(&rest(bounded).await), keys(&place.written().await[..50]));
    let mut seen = Vec::new();
    while seen.len() < 10 {
        seen.extend(late.poll(ROOM).await.unwrap().unwrap().records.into_vec());
    }
    assert_eq!(keys(&seen), keys(&place.written().await[50..]));
    late.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_said() {
    let place = Place::with(numbered("a", 0..9, 3)).await;
    let error = place.open_with(json!({"topic": "none"}), Checkpoint::default()).await.err().unwrap();
    assert_eq!(
        (error.kind(), error.operator_advice()),
        (ErrorKind::Config, Some("create the topic, or correct `topic`"))
    );
    let damaged: Checkpoint = [("t/0".into(), "-7")].into_iter().collect();
    assert_eq!(place.open_with(json!({}), damaged).await.err().unwrap().kind(), ErrorKind::Config);
    // Beyond the end, as after a topic was made anew: going on would skip records.
    let beyond: Checkpoint = [("t/0".into(), "900")].into_iter().collect();
    let mut source = place.open_with(json!({}), beyond).await.unwrap();
    let gap = tokio::time::timeout(far_side::PATIENCE, async {
        loop {
            if let Err(error) = source.poll(ROOM).await {
                return error;
            }
        }
    });
    assert_eq!(gap.await.unwrap().kind(), ErrorKind::Gap);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_run_at_the_begin_is_taken_out() {
    let place = Place::with(numbered("a", 0..20, 7)).await;
    let purge = async |origins: Vec<Origin>| {
        factory().purge(place.config(&json!({})), origins, context()).await.unwrap()
    };
    let origin = |record: &Record| record.origin.clone();
    let all = place.all().await;
    let is_first = |origin: &Origin| origin.offset.as_bytes() == "0";
    let firsts: Vec<_> = all.iter().map(origin).filter(is_first).collect();
    let others: Vec<_> = all.iter().map(origin).filter(|origin| !is_first(origin)).collect();
    assert_eq!(purge(others).await, 0, "one that stays is before them");
    assert_eq!(purge(firsts.clone()).await, firsts.len());
    assert_eq!(place.all().await.len(), 20 - firsts.len());
    assert_eq!(purge(all.iter().map(origin).collect()).await, 20 - firsts.len());
    assert!(place.all().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_is_sent_to_the_begin_the_end_or_a_time() {
    let at = |record: Record, second: i64| Record { timestamp: Timestamp(second * 1_000_000), ..record };
    let records: Vec<_> =
        (0..9).map(|n| at(record("key", &n.to_string()), 1_700_000_000 + i64::from(n))).collect();
    let place = Place::with(records).await;
    let to = async |to: To| {
        let start = factory().seek(place.config(&json!({})), to, context()).await.unwrap();
        assert_eq!(start.checkpoint.len(), 3, "every partition has a place of its own");
        let source = place.open_with(json!({"until": "end"}), start.checkpoint.clone()).await.unwrap();
        assert_eq!(source.start().identity, start.identity);
        rest(source).await.len()
    };
    assert_eq!(to(To::Earliest).await, 9);
    assert_eq!(to(To::Latest).await, 0);
    assert_eq!(to(To::At(Timestamp(1_700_000_005 * 1_000_000))).await, 4);
    assert_eq!(to(To::At(Timestamp(1_600_000_000 * 1_000_000))).await, 9);
    assert_eq!(to(To::At(Timestamp(1_800_000_000 * 1_000_000))).await, 0);
}
