//! The file sink on a real file and on a disk that fails.

mod source;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use tempfile::TempDir;
use weir_sdk::testing::contract::{self, Disturbance, SinkFixture};
use weir_sdk::testing::numbered;
use weir_sdk::{Error, ErrorKind, Record, Records, Sink};

use super::appender::Appender;
use super::disk::{Disk, RealDisk, fault};
use super::shared::Shared;
use super::sink::FileSink;
use crate::line::reading;
use crate::writer::Writer;

/// A real disk with troubles.
struct TroubledDisk {
    real: RealDisk,
    trouble: Arc<Trouble>,
}

#[derive(Default)]
struct Trouble {
    down: AtomicBool,
    flaky: AtomicBool,
    calls: AtomicUsize,
    silent: Mutex<bool>,
    ended: Condvar,
    open: AtomicUsize,
}

impl Trouble {
    fn strikes(&self) -> io::Result<()> {
        let silent = self.silent.lock().unwrap();
        drop(self.ended.wait_while(silent, |silent| *silent).unwrap());
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        let strikes =
            self.down.load(Ordering::SeqCst) || (self.flaky.load(Ordering::SeqCst) && call % 5 == 4);
        if strikes { Err(io::Error::other("a bad sector")) } else { Ok(()) }
    }
}

impl Disk for TroubledDisk {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let struck = self.trouble.strikes();
        let written = if struck.is_ok() { bytes.len() } else { bytes.len() / 2 };
        self.real.append(&bytes[..written]).and(struck)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.trouble.strikes().and_then(|()| self.real.sync())
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.trouble.strikes().and_then(|()| self.real.cut(length))
    }

    fn follow(&mut self) -> io::Result<Option<u64>> {
        self.real.follow()
    }
}

impl Drop for TroubledDisk {
    fn drop(&mut self) {
        self.trouble.open.fetch_sub(1, Ordering::SeqCst);
    }
}

struct Fixture {
    folder: TempDir,
    trouble: Arc<Trouble>,
}

impl Fixture {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), trouble: Arc::default() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("out.jsonl")
    }
}

fn read(path: &Path) -> Vec<Record> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.split_inclusive('\n').map(reading::record).collect()
}

#[async_trait]
impl SinkFixture for Fixture {
    async fn open(&self) -> Result<Arc<dyn Sink>, Error> {
        let (real, length) = RealDisk::open(self.path()).map_err(|error| fault(&self.path(), error))?;
        self.trouble.open.fetch_add(1, Ordering::SeqCst);
        let disk = TroubledDisk { real, trouble: self.trouble.clone() };
        let writer = Writer::start("file-sink", Appender::new(self.path(), disk, length))?;
        Ok(Arc::new(FileSink::over(Shared::default(), Arc::new(writer))))
    }

    async fn arrived(&self) -> Vec<Record> {
        // Only whole lines: a failed append leaves the rest of one until the next call.
        let text = fs::read_to_string(self.path()).unwrap();
        text.split_inclusive('\n').filter(|line| line.ends_with('\n')).map(reading::record).collect()
    }

    async fn disturb(&self, how: Disturbance) -> bool {
        match how {
            Disturbance::Down => self.trouble.down.store(true, Ordering::SeqCst),
            Disturbance::Flaky => self.trouble.flaky.store(true, Ordering::SeqCst),
            Disturbance::Silent => *self.trouble.silent.lock().unwrap() = true,
        }
        true
    }

    async fn restore(&self) {
        self.trouble.down.store(false, Ordering::SeqCst);
        self.trouble.flaky.store(false, Ordering::SeqCst);
        *self.trouble.silent.lock().unwrap() = false;
        self.trouble.ended.notify_all();
    }

    async fn connections(&self) -> Option<usize> {
        Some(self.trouble.open.load(Ordering::SeqCst))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_keeps_the_contract_of_a_sink() {
    let factory = weir_sdk::connector::sink(super::File::default());
    contract::sink_factory(&*factory, &json!({ "path": "out.jsonl" }));
    assert!(!factory.check(&json!({ "path": "out/" })).is_empty());
    let report = contract::sink(&Fixture::new()).await;
    assert_eq!(
        report.skipped,
        ["a record's own fault concerns nobody else"],
        "no record is too odd for a file"
    );
}

async fn write(path: &Path, records: Vec<Record>) {
    let sink = FileSink::open(Shared::default(), path.to_owned()).await.unwrap();
    sink.write(records.into()).await.unwrap();
    sink.close().await.unwrap();
}

#[tokio::test]
async fn a_torn_last_line_is_cut_off() {
    let fixture = Fixture::new();
    let path = fixture.path();
    let sent = numbered("a", 0..6, 2);
    write(&path, sent[..3].to_vec()).await;
    let whole = fs::read(&path).unwrap();
    for torn in ["{", "{\"key\":\"k1\",\"val", &"x".repeat(200_000)] {
        fs::write(&path, [&whole, torn.as_bytes()].concat()).unwrap();
        write(&path, vec![]).await;
        assert_eq!(fs::read(&path).unwrap(), whole);
    }
    write(&path, sent[3..].to_vec()).await;
    assert_eq!(read(&path), sent);
    fs::write(&path, "no line at all").unwrap();
    write(&path, sent[..1].to_vec()).await;
    assert_eq!(read(&path), sent[..1]);
}

#[tokio::test]
async fn a_file_that_was_moved_or_removed_is_followed_by_a_new_one() {
    let fixture = Fixture::new();
    let (path, moved) = (fixture.path(), fixture.folder.path().join("out.1.jsonl"));
    let sent = numbered("a", 0..9, 2);
    let sink = FileSink::open(Shared::default(), path.clone()).await.unwrap();
    sink.write(sent[..3].to_vec().into()).await.unwrap();
    fs::rename(&path, &moved).unwrap();
    sink.write(sent[3..6].to_vec().into()).await.unwrap();
    assert_eq!((read(&moved), read(&path)), (sent[..3].to_vec(), sent[3..6].to_vec()));
    fs::remove_file(&path).unwrap();
    sink.write(sent[6..].to_vec().into()).await.unwrap();
    assert_eq!(read(&path), sent[6..]);
}

#[tokio::test]
async fn what_cannot_be_opened_says_what_to_do() {
    let fixture = Fixture::new();
    let open = async |path: PathBuf| {
        FileSink::open(Shared::default(), path).await.err().map(|error| (error.kind(), format!("{error:?}")))
    };
    let (kind, said) = open(fixture.folder.path().join("none/out.jsonl")).await.unwrap();
    assert_eq!(kind, ErrorKind::Config);
    assert!(said.contains("make its folder"), "{said}");
    assert_eq!(open(fixture.folder.path().to_owned()).await.unwrap().0, ErrorKind::Config);
    let holder = FileSink::open(Shared::default(), fixture.path()).await.unwrap();
    let (kind, said) = open(fixture.path()).await.unwrap();
    assert_eq!(kind, ErrorKind::Config);
    assert!(said.contains("another process writes to it"), "{said}");
    holder.close().await.unwrap();
    assert!(open(fixture.path()).await.is_none());
}

/// As the tasks of a pipeline do with their dead letters.
#[tokio::test]
async fn sinks_of_one_process_share_a_file_line_by_line() {
    let fixture = Fixture::new();
    let (files, sent) = (Shared::default(), numbered("a", 0..40, 4));
    let one = FileSink::open(files.clone(), fixture.path()).await.unwrap();
    let other = FileSink::open(files.clone(), fixture.path()).await.unwrap();
    let (first, second) = sent.split_at(20);
    let (a, b) = tokio::join!(one.write(first.to_vec().into()), other.write(second.to_vec().into()));
    a.unwrap();
    b.unwrap();
    one.close().await.unwrap();
    assert!(one.write(sent.clone().into()).await.is_err(), "closed is closed");
    other.write(sent[..1].to_vec().into()).await.unwrap();
    other.close().await.unwrap();
    let mut arrived = read(&fixture.path());
    assert_eq!(arrived.pop(), Some(sent[0].clone()));
    arrived.sort_by_key(|record| sent.iter().position(|one| one == record));
    assert_eq!(arrived, sent);
    let again = FileSink::open(Shared::default(), fixture.path()).await.unwrap();
    again.close().await.unwrap();
}

#[tokio::test]
async fn writes_that_wait_share_a_sync() {
    let fixture = Arc::new(Fixture::new());
    let sink = fixture.open().await.unwrap();
    fixture.disturb(Disturbance::Silent).await;
    let mut writes = tokio::task::JoinSet::new();
    for n in 0..12 {
        let (sink, records) = (sink.clone(), Records::from(numbered("a", n..n + 1, 1)));
        writes.spawn(async move { sink.write(records).await });
    }
    tokio::task::yield_now().await;
    fixture.restore().await;
    let all = tokio::time::timeout(Duration::from_secs(30), writes.join_all()).await.unwrap();
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(read(&fixture.path()).len(), 12);
    let calls = fixture.trouble.calls.load(Ordering::SeqCst);
    assert!(calls <= 12 + 3, "{calls} calls for 12 appends");
}
