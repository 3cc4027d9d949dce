//! The file source: the contract, torn and foreign lines, files that move, and records taken out.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Mutex;

use async_trait::async_trait;
use serde_json::{Value, json};
use tempfile::TempDir;
use weir_sdk::metrics::{Metrics, names};
use weir_sdk::testing::contract::{self, SourceFixture};
use weir_sdk::testing::{numbered, tombstone};
use weir_sdk::{
    Checkpoint, Context, Error, ErrorKind, Origin, Record, Room, Source, SourceFactory, TaskId, connector,
};

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
}

#[tokio::test]
async fn a_file_that_was_moved_over_a_restart_is_read_to_its_end_too_if_it_is_found() {
    let sent = numbered("a", 0..9, 2);
    let place = Place::with(sent[..3].to_vec(), "forever").await;
    let mut source = place.open(Checkpoint::default()).await.unwrap();
    let first = source.poll(Room { records: 2, ..ROOM }).await.unwrap().unwrap();
    drop(source);
    let moved = place.folder.path().join("old.jsonl");
    fs::rename(place.path(), &moved).unwrap();
    let rest = async |records: usize| {
        let context = context();
        let lost = context.metrics().counter(names::FILE_RESTS_LOST);
        let mut source = factory().open(place.config(), first.checkpoint.clone(), context).await.unwrap();
        let mut seen = Vec::new();
        while seen.len() < records {
            seen.extend(values(&source.poll(ROOM).await.unwrap().unwrap().records));
        }
        (seen, lost.get())
    };
    assert_eq!(rest(1).await, (values(&sent[2..3]), 0), "before there is a new one");
    place.add(sent[3..].to_vec()).await;
    assert_eq!(rest(7).await, (values(&sent[2..]), 0));
    fs::remove_file(&moved).unwrap();
    assert_eq!(rest(6).await, (values(&sent[3..]), 1), "what cannot be found is counted");
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
    let sink = super::FileSink::open(super::Shared::default(), place.path()).await.unwrap();
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
async fn a_foreign_line_is_refused_and_the_next_one_is_read() {
    let sent = numbered("a", 0..3, 1);
    let place = Place::with(sent.clone(), "end").await;
    let mut file = fs::OpenOptions::new().append(true).open(place.path()).unwrap();
    file.write_all(b"{\"no\": \"record\"}\n\xff\n").unwrap();
    place.add(sent.clone()).await;
    let mut source = place.open(Checkpoint::default()).await.unwrap();
    let batch = source.poll(Room { records: 4, ..ROOM }).await.unwrap().unwrap();
    assert_eq!(values(&batch.records), values(&sent));
    let [refused] = source.refused().try_into().unwrap();
    assert_eq!(refused.record.value.as_deref(), Some(&b"{\"no\": \"record\"}"[..]));
    assert_eq!(refused.error.kind(), ErrorKind::Record);
    assert!(refused.error.to_string().contains("is no record: missing field"), "{}", refused.error);
    assert_eq!(source.refused().len(), 0, "told once");
    // The checkpoint of a batch covers what it lacks, so another source begins behind it.
    let mut next = place.open(batch.checkpoint).await.unwrap();
    let batch = next.poll(Room { records: 1, ..ROOM }).await.unwrap().unwrap();
    assert_eq!((batch.records.len(), next.refused().len()), (0, 1), "a batch of refused lines alone");
    let last = next.poll(ROOM).await.unwrap().unwrap();
    assert_eq!((values(&last.records), next.refused().len()), (values(&sent), 0));
    assert!(next.poll(ROOM).await.unwrap().is_none());
}
