//! The file source: the contract, torn and foreign lines, files that move, and records taken out.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Mutex;

use async_trait::async_trait;
use serde_json::{Value, json};
use tempfile::TempDir;
use weir_sdk::metrics::Metrics;
use weir_sdk::testing::contract::{self, SourceFixture};
use weir_sdk::testing::{numbered, tombstone};
use weir_sdk::{Checkpoint, Context, Error, Origin, Record, Room, Source, SourceFactory, TaskId, connector};

use super::{read, write};

const ROOM: Room = Room { records: 100, bytes: 1 << 20 };

struct Place {
    folder: TempDir,
    written: Mutex<Vec<Record>>,
    until: &'static str,
}

impl Place {
    async fn with(records: Vec<Record>, until: &'static str) -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap(), written: Mutex::default(), until };
        place.add(records).await;
        place
    }

    async fn add(&self, records: Vec<Record>) {
        write(&self.path(), records.clone()).await;
        self.written.lock().unwrap().extend(records);
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("dead.jsonl")
    }

    fn config(&self) -> Value {
        json!({ "path": self.path(), "until": self.until })
    }

    async fn purge(&self, origins: Vec<Origin>) -> usize {
        factory().purge(self.config(), origins, context()).await.unwrap()
    }

    /// Everything that can be read now.
    async fn all(&self) -> Vec<Record> {
        let config = json!({ "path": self.path(), "until": "end" });
        let mut source = factory().open(config, Checkpoint::default(), context()).await.unwrap();
        let mut all = Vec::new();
        while let Some(batch) = source.poll(ROOM).await.unwrap() {
            all.extend(batch.records.into_vec());
        }
        all
    }
}

fn factory() -> std::sync::Arc<dyn SourceFactory> {
    connector::source(super::super::FileSource)
}

fn context() -> Context {
    Context::new(TaskId { pipeline: "p".into(), sink: "s".into() }, Metrics::default())
}

fn values(records: &[Record]) -> Vec<Option<bytes::Bytes>> {
    records.iter().map(|record| record.value.clone()).collect()
}

#[async_trait]
impl SourceFixture for Place {
    async fn open(&self, resume: Checkpoint) -> Result<Box<dyn Source>, Error> {
        factory().open(self.config(), resume, context()).await
    }

    async fn written(&self) -> Vec<Record> {
        self.written.lock().unwrap().clone()
    }

    async fn append(&self) -> bool {
        self.add(numbered("a", 30..38, 4)).await;
        true
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_keeps_the_contract_of_a_source() {
    contract::source_factory(&*factory(), &json!({ "path": "dead.jsonl" }));
    assert!(!factory().check(&json!({ "path": "dead/" })).is_empty());
    let commits = "a commit runs beside a poll";
    let down = "a far side that is down is an error and then reading goes on";
    let place = Place::with(numbered("a", 0..30, 4), "forever").await;
    assert_eq!(contract::source(&place).await.skipped, [commits, down]);
    let place = Place::with(numbered("a", 0..30, 4), "end").await;
    let idle = "an idle source says so every second, and covers nothing to come";
    assert_eq!(contract::source(&place).await.skipped, [commits, down, idle]);
}

#[tokio::test]
async fn a_line_is_read_as_it_was_written_and_a_torn_one_when_it_is_whole() {
    let mut odd = tombstone("k\n\"1\"");
    odd.headers.push("bytes", vec![0xff, 0]);
    odd.headers.push("bytes", "");
    let place = Place::with(vec![odd.clone()], "end").await;
    let whole = fs::read(place.path()).unwrap();
    let mut file = fs::OpenOptions::new().append(true).open(place.path()).unwrap();
    file.write_all(&whole[..whole.len() / 2]).unwrap();
    let read = place.all().await;
    assert_eq!((read.len(), &read[0].key, &read[0].value), (1, &odd.key, &None));
    assert_eq!(read[0].headers, odd.headers);
    file.write_all(&whole[whole.len() / 2..]).unwrap();
    assert_eq!(place.all().await.len(), 2);
    file.write_all(b"{\"no\": \"record\"}\n").unwrap();
    let mut source = place.open(Checkpoint::default()).await.unwrap();
    assert_eq!(source.poll(Room { records: 2, ..ROOM }).await.unwrap().unwrap().records.len(), 2);
    let error = source.poll(ROOM).await.unwrap_err();
    assert!(error.to_string().contains("is no record: missing field"), "{error}");
}

#[tokio::test]
async fn a_file_that_was_moved_is_read_to_its_end_and_then_the_new_one() {
    let sent = numbered("a", 0..9, 2);
    let place = Place::with(sent[..3].to_vec(), "forever").await;
    let mut source = place.open(Checkpoint::default()).await.unwrap();
    let first = source.poll(Room { records: 2, ..ROOM }).await.unwrap().unwrap();
    fs::rename(place.path(), place.folder.path().join("old.jsonl")).unwrap();
    place.add(sent[3..].to_vec()).await;
    let mut seen = values(&first.records);
    while seen.len() < 9 {
        seen.extend(values(&source.poll(ROOM).await.unwrap().unwrap().records));
    }
    assert_eq!(seen, values(&sent));
    // The checkpoint is of a file that is no more: the new one is read from its begin.
    let mut again = place.open(first.checkpoint).await.unwrap();
    assert_eq!(values(&again.poll(ROOM).await.unwrap().unwrap().records), values(&sent[3..]));
}

#[tokio::test]
async fn a_file_that_is_not_there_yet_has_no_records() {
    let place = Place::with(vec![], "end").await;
    fs::remove_file(place.path()).unwrap();
    assert!(place.all().await.is_empty());
    assert_eq!(place.purge(vec![]).await, 0);
}

#[tokio::test]
async fn records_are_taken_out_also_while_a_sink_writes() {
    let sent = numbered("a", 0..6, 2);
    let place = Place::with(sent.clone(), "end").await;
    let chosen = |all: Vec<Record>, index: &[usize]| -> Vec<Origin> {
        index.iter().map(|index| all[*index].origin.clone()).collect()
    };
    let origins = chosen(place.all().await, &[1, 4]);
    assert_eq!(place.purge(origins.clone()).await, 2);
    assert_eq!(place.purge(origins).await, 0, "of the file that was before");
    let left = [0, 2, 3, 5].map(|index| sent[index].clone()).to_vec();
    assert_eq!(read(&place.path()), left);
    let sink = super::FileSink::open(place.path()).await.unwrap();
    let origins = chosen(place.all().await, &[0, 2]);
    assert_eq!(place.purge(origins.clone()).await, 2);
    assert_eq!(place.purge(origins).await, 0, "they are gone already");
    weir_sdk::Sink::write(&sink, sent[..1].to_vec().into()).await.unwrap();
    weir_sdk::Sink::close(&sink).await.unwrap();
    let left = [2, 5, 0].map(|index| sent[index].clone()).to_vec();
    assert_eq!(values(&place.all().await), values(&left));
    let origins = chosen(place.all().await, &[0]);
    assert_eq!(place.purge(origins).await, 1);
    assert_eq!(read(&place.path()), left[1..], "blanked lines go when nobody writes");
}

#[tokio::test]
async fn records_before_a_foreign_line_come_before_its_error() {
    let place = Place::with(numbered("a", 0..3, 1), "end").await;
    let mut file = fs::OpenOptions::new().append(true).open(place.path()).unwrap();
    file.write_all(b"{\"no\": \"record\"}\n").unwrap();
    let mut source = place.open(Checkpoint::default()).await.unwrap();
    let batch = source.poll(ROOM).await.unwrap().unwrap();
    assert_eq!(batch.records.len(), 3);
    for _ in 0..2 {
        let error = source.poll(ROOM).await.unwrap_err();
        assert!(error.message().contains("no record"), "{error:?}");
    }
}
