//! Dead letters in a table: both batteries, what comes back, what is removed, and tables that will not do.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Mutex;
use uuid::Uuid;
use weir_scylla::hub::Hub;
use weir_sdk::dead_letter::{DeadLetter, Facts, Id, Stage};
use weir_sdk::metrics::Metrics;
use weir_sdk::testing::contract::{self, Disturbance, SinkFixture, SourceFixture};
use weir_sdk::testing::{RecordExt, numbered, record};
use weir_sdk::{
    Checkpoint, Context, Error, ErrorKind, Failed, Headers, Origin, Record, Records, Room, Sink, Source,
    TaskId, Timestamp, WriteError, async_trait,
};

use crate::place::Place;

pub(crate) const TABLE: &str = "CREATE TABLE shop.dead (id uuid PRIMARY KEY, pipeline text, sink text, stage text, \
    refused_by text, error_kind text, error_text text, advice text, attempts int, replays int, \
    first_failed_at timestamp, last_failed_at timestamp, source_partition text, source_offset blob, event_id uuid, \
    event_type text, aggregate_id text, key blob, payload blob, \
    headers frozen<list<frozen<tuple<text, blob>>>>, timestamp_us bigint)";

struct Dead {
    place: Mutex<Place>,
    written: Vec<Record>,
}

impl Dead {
    async fn start() -> Self {
        let place = Place::start().await;
        place.run(TABLE).await;
        Self { place: Mutex::new(place), written: Vec::new() }
    }

    async fn config(&self) -> Value {
        let address = self.place.lock().await.server.address().to_string();
        json!({"session": {"contact_points": [address], "request_timeout": "2s", "page_size": 9},
            "keyspace": "shop", "table": "dead"})
    }

    async fn sink(&self) -> Result<Arc<dyn Sink>, Error> {
        weir_scylla::sinks(&Hub::default()).remove(0).open(self.config().await, context()).await
    }

    async fn source(&self, resume: Checkpoint) -> Result<Box<dyn Source>, Error> {
        weir_scylla::sources(&Hub::default()).remove(2).open(self.config().await, resume, context()).await
    }

    async fn bury(&self, letters: &[DeadLetter]) {
        let records: Vec<_> = letters.iter().cloned().map(DeadLetter::into_record).collect();
        self.sink().await.unwrap().write(records.into()).await.unwrap();
    }

    /// Every dead letter, with where it was read.
    async fn all(&self) -> Vec<(Origin, DeadLetter)> {
        let (mut source, mut all) = (self.source(Checkpoint::default()).await.unwrap(), Vec::new());
        while let Some(batch) = source.poll(Room { records: 1000, bytes: 1 << 20 }).await.unwrap() {
            let read = |record: Record| (record.origin.clone(), DeadLetter::from_record(record).unwrap());
            all.extend(batch.records.into_vec().into_iter().map(read));
        }
        all.sort_by_key(|(_, letter)| letter.facts.id);
        all
    }

    async fn purge(&self, origins: Vec<Origin>) -> usize {
        weir_scylla::sources(&Hub::default())
            .remove(2)
            .purge(self.config().await, origins, context())
            .await
            .unwrap()
    }
}

fn context() -> Context {
    Context::new(task(), Metrics::default())
}

fn task() -> TaskId {
    TaskId { pipeline: "orders".into(), sink: "topic".into() }
}

/// Failed at the record's own time.
fn letter(record: Record) -> DeadLetter {
    let facts = Facts {
        id: Id::of(&task(), &record.origin),
        task: task(),
        stage: Stage::Transform,
        refused_by: "extract".into(),
        kind: ErrorKind::Record,
        message: "no JSON".into(),
        advice: "repair it".into(),
        attempts: 5,
        first_failed: Timestamp(1_700_000_000_000_000),
        last_failed: record.timestamp,
        replays: 2,
    };
    DeadLetter { record, facts }
}

/// The battery's records are no dead letters: each becomes one, whose id goes by its key, so that the last one of a key
/// is its last state. What is marked as poison stays as it is.
struct Burying(Arc<dyn Sink>);

#[async_trait]
impl Sink for Burying {
    async fn write(&self, records: Records) -> Result<(), WriteError> {
        let bury = |record: &Record| match record.headers.get("poison") {
            Some(_) => record.clone(),
            None => {
                let name = record.key.clone().or(record.value.clone()).unwrap_or_default();
                let origin = Origin { partition: "by-key".into(), offset: name.into() };
                letter(Record { origin, ..record.clone() }).into_record()
            }
        };
        self.0.write(records.iter().map(bury).collect()).await
    }

    async fn probe(&self) -> Result<(), Error> {
        self.0.probe().await
    }

    fn order(&self) -> weir_sdk::Order {
        self.0.order()
    }

    async fn close(&self) -> Result<(), Error> {
        self.0.close().await
    }
}

type Pairs = Vec<(String, Option<Vec<u8>>)>;
type Row = (Option<Vec<u8>>, Option<Vec<u8>>, Option<Pairs>, i64);

#[async_trait]
impl SinkFixture for Dead {
    async fn open(&self) -> Result<Arc<dyn Sink>, Error> {
        Ok(Arc::new(Burying(self.sink().await?)))
    }

    async fn arrived(&self) -> Vec<Record> {
        let place = self.place.lock().await;
        let select = "SELECT key, payload, headers, timestamp_us FROM shop.dead";
        let answer = place.session.query_unpaged(select, ()).await.unwrap().into_rows_result().unwrap();
        let read = |row: Row| Record {
            key: row.0.map(Into::into),
            value: row.1.map(Into::into),
            headers: headers(row.2.unwrap_or_default()),
            timestamp: Timestamp(row.3),
            origin: Origin { partition: "table".into(), offset: "".into() },
        };
        answer.rows::<Row>().unwrap().map(|row| read(row.unwrap())).collect()
    }

    fn poison(&self, record: Record) -> Option<Record> {
        Some(record.header("poison", "no dead letter"))
    }

    async fn disturb(&self, how: Disturbance) -> bool {
        self.place.lock().await.disturb(how).await
    }

    async fn restore(&self) {
        self.place.lock().await.restore().await;
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(15)
    }
}

fn headers(pairs: Pairs) -> Headers {
    pairs.into_iter().map(|(name, value)| (name.into(), value)).collect()
}

struct Kept(Dead);

#[async_trait]
impl SourceFixture for Kept {
    async fn open(&self, resume: Checkpoint) -> Result<Box<dyn Source>, Error> {
        self.0.source(resume).await
    }

    async fn written(&self) -> Vec<Record> {
        self.0.written.clone()
    }

    async fn disturb(&self, how: Disturbance) -> bool {
        self.0.place.lock().await.disturb(how).await
    }

    async fn restore(&self) {
        self.0.place.lock().await.restore().await;
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(15)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sink_keeps_its_contract() {
    let report = contract::sink(&Dead::start().await).await;
    println!("skipped: {:?}", report.skipped);
    assert!(report.skipped.len() <= 3, "{:?}", report.skipped);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_source_keeps_its_contract() {
    let mut dead = Dead::start().await;
    // One record a key: the ring has an order of its own.
    let records = numbered("log", 0..40, 40);
    dead.written =
        records.into_iter().map(|record| record.header("h", "1").header("h", "2").micros(7)).collect();
    let letters: Vec<_> = dead.written.iter().cloned().map(letter).collect();
    dead.bury(&letters).await;
    let report = contract::source(&Kept(dead)).await;
    println!("skipped: {:?}", report.skipped);
    assert_eq!(report.skipped.len(), 2, "{:?}", report.skipped);
}

#[test]
fn the_factories_keep_their_contract() {
    let config =
        json!({"session": {"contact_points": ["127.0.0.1:9042"]}, "keyspace": "shop", "table": "dead"});
    contract::sink_factory(&*weir_scylla::sinks(&Hub::default())[0], &config);
    contract::source_factory(&*weir_scylla::sources(&Hub::default())[2], &config);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_comes_back_whole_and_a_repeat_overwrites() {
    let dead = Dead::start().await;
    let event = Uuid::from_u128(77);
    let mut odd = record("k", "v").at("log", "\u{0}x").micros(1_700_000_000_123_000);
    odd = odd
        .header("event_id", &event.to_string())
        .header("event_type", "OrderCreated")
        .header("event_type", "again");
    odd.headers.push("bytes", vec![0xff, 0]);
    let first = letter(odd);
    let mut again = first.clone();
    again.facts.last_failed = Timestamp(1_700_000_000_500_000);
    again.facts.replays = 3;
    // The later one first: the earlier must not come over it.
    dead.bury(&[again.clone(), letter(record("other", "w").micros(9_000))]).await;
    dead.bury(std::slice::from_ref(&first)).await;
    let all: HashMap<_, _> =
        dead.all().await.into_iter().map(|(_, letter)| (letter.facts.id, letter)).collect();
    assert_eq!(all.len(), 2);
    assert_eq!(all[&again.facts.id], again);
    let select = "SELECT event_id, event_type FROM shop.dead WHERE event_type = 'again' ALLOW FILTERING";
    let place = dead.place.lock().await;
    let answer = place.session.query_unpaged(select, ()).await.unwrap().into_rows_result().unwrap();
    assert_eq!(answer.single_row::<(Uuid, String)>().unwrap(), (event, "again".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_read_is_removed_and_what_failed_again_since_stays() {
    let dead = Dead::start().await;
    let letters: Vec<_> =
        numbered("log", 0..5, 5).into_iter().map(|record| letter(record.micros(1_000_000))).collect();
    dead.bury(&letters).await;
    let read: Vec<_> = dead.all().await.into_iter().map(|(origin, _)| origin).collect();
    let mut again = letters[3].clone();
    again.facts.last_failed = Timestamp(2_000_000);
    dead.bury(std::slice::from_ref(&again)).await;
    assert_eq!(dead.purge(read).await, 5);
    let left: Vec<_> = dead.all().await.into_iter().map(|(_, letter)| letter).collect();
    assert_eq!(left, [again]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_the_table_is_said_with_the_statement_that_repairs_it() {
    let dead = Dead::start().await;
    let repair = async || {
        dead.sink().await.err().map(|error| (error.kind(), error.operator_advice().unwrap().to_owned()))
    };
    assert_eq!(repair().await, None);
    dead.place.lock().await.run("ALTER TABLE shop.dead DROP advice").await;
    let (kind, statement) = repair().await.unwrap();
    assert_eq!(kind, ErrorKind::Config);
    dead.place.lock().await.run(&statement).await;
    assert_eq!(repair().await, None);
    dead.place.lock().await.run("DROP TABLE shop.dead").await;
    let (kind, statement) = repair().await.unwrap();
    assert_eq!(kind, ErrorKind::Config);
    dead.place.lock().await.run(&statement).await;
    assert_eq!(repair().await, None);
    let no_letter = dead.sink().await.unwrap().write(vec![record("k", "v")].into()).await;
    let Err(WriteError::Some(failed)) = no_letter else { panic!("{no_letter:?}") };
    let [Failed { index: 0, error }] = failed.as_slice() else { panic!("{failed:?}") };
    assert_eq!(error.kind(), ErrorKind::Record);
}
