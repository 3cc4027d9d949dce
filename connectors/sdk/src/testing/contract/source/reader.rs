//! `Reader`: reads as the host does, and keeps what a crash would leave behind.

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep, timeout};

use super::SourceFixture;
use crate::checkpoint::{Batch, Checkpoint};
use crate::error::{Error, ErrorKind};
use crate::record::Record;
use crate::source::{Room, Source, Start};
use crate::testing::records::Trace;

/// Enough for many records, not for all of them.
pub(super) const ROOM: Room = Room { records: 7, bytes: 1 << 20 };

/// An open source, what it emitted, and the checkpoint that would be saved.
pub(super) struct Reader<'a> {
    pub(super) fixture: &'a dyn SourceFixture,
    pub(super) source: Box<dyn Source>,
    pub(super) start: Start,
    pub(super) seen: Vec<Record>,
    pub(super) checkpoint: Checkpoint,
    /// When records came last.
    progress: Instant,
}

/// What a poll brought.
pub(super) enum Polled {
    Records,
    Idle,
    End,
}

impl<'a> Reader<'a> {
    pub(super) async fn open(fixture: &'a dyn SourceFixture, resume: Checkpoint) -> Result<Self, String> {
        let opened = timeout(fixture.patience(), fixture.open(resume.clone())).await;
        let source =
            opened.map_err(|_| "open: no answer".to_owned())?.map_err(|error| said("open", &error))?;
        let start = source.start();
        let mut checkpoint = resume;
        checkpoint.merge(start.checkpoint.clone());
        Ok(Self {
            fixture,
            source,
            start,
            seen: Vec::new(),
            checkpoint: checkpoint.without_retired(),
            progress: Instant::now(),
        })
    }

    /// One batch, over errors that pass.
    pub(super) async fn poll(&mut self, room: Room) -> Result<Polled, String> {
        let patience = self.fixture.patience();
        let polling = async {
            loop {
                match self.source.poll(room).await {
                    Ok(batch) => return Ok::<_, String>(batch),
                    Err(error) => passes(&error)?,
                }
                sleep(Duration::from_millis(20)).await;
            }
        };
        let batch = match timeout(patience, polling).await {
            Ok(batch) => batch?,
            Err(_) => return Err(format!("poll: nothing within {patience:?}")),
        };
        self.take(batch, room)
    }

    /// Checks a batch against its room and keeps it.
    pub(super) fn take(&mut self, batch: Option<Batch>, room: Room) -> Result<Polled, String> {
        let Some(batch) = batch else { return Ok(Polled::End) };
        let (count, bytes) = (batch.records.len(), batch.records.size());
        if count > room.records || (count > 1 && bytes > room.bytes) {
            return Err(format!("a batch of {count} records and {bytes} bytes does not fit {room:?}"));
        }
        self.seen.extend_from_slice(&batch.records);
        self.checkpoint.merge(batch.checkpoint);
        self.checkpoint = std::mem::take(&mut self.checkpoint).without_retired();
        if count == 0 {
            return Ok(Polled::Idle);
        }
        self.progress = Instant::now();
        Ok(Polled::Records)
    }

    /// Nothing came for so long that nothing will.
    pub(super) fn is_stuck(&self) -> bool {
        self.progress.elapsed() > self.fixture.patience()
    }

    /// Polls until records come; `Idle` when none will.
    pub(super) async fn next(&mut self) -> Result<Polled, String> {
        loop {
            match self.poll(ROOM).await? {
                Polled::Idle if !self.is_stuck() => {}
                polled => return Ok(polled),
            }
        }
    }

    /// Reads until everything in `wanted` has come or nothing more comes. Says nothing of what is missing.
    pub(super) async fn read(&mut self, wanted: &[Record], room: Room) -> Result<(), String> {
        let mut missing: HashSet<_> = wanted.iter().map(content).collect();
        let mut judged = 0;
        self.progress = Instant::now();
        loop {
            for record in &self.seen[judged..] {
                missing.remove(&content(record));
            }
            judged = self.seen.len();
            if missing.is_empty() {
                return Ok(());
            }
            match self.poll(room).await? {
                Polled::End => return Ok(()),
                Polled::Idle if self.is_stuck() => return Ok(()),
                Polled::Records | Polled::Idle => {}
            }
        }
    }

    pub(super) async fn close(self) -> Result<(), String> {
        let patience = self.fixture.patience();
        match timeout(patience, self.source.close()).await {
            Ok(closed) => closed.map_err(|error| said("close", &error)),
            Err(_) => Err(format!("close: not done within {patience:?}")),
        }
    }
}

/// What tells records of a fixture apart.
pub(super) type Content = (Option<Bytes>, Option<Bytes>);

pub(super) fn content(record: &Record) -> Content {
    (record.key.clone(), record.value.clone())
}

/// What has not been seen yet.
pub(super) fn without(written: &[Record], seen: &[Record]) -> Vec<Record> {
    let seen: HashSet<Content> = seen.iter().map(content).collect();
    written.iter().filter(|record| !seen.contains(&content(record))).cloned().collect()
}

/// Everything came, in order; repeats do not matter.
pub(super) fn expect(wanted: &[Record], seen: &[Record]) -> Result<(), String> {
    let trace = Trace::by_content(wanted, seen);
    if trace.is_complete() { Ok(()) } else { Err(trace.to_string()) }
}

/// Only kinds after which the host polls again.
pub(super) fn passes(error: &Error) -> Result<(), String> {
    match error.kind() {
        ErrorKind::Transient | ErrorKind::Throttled | ErrorKind::Timeout | ErrorKind::Unavailable => Ok(()),
        _ => Err(said("poll", error)),
    }
}

fn said(call: &str, error: &Error) -> String {
    format!("{call}: {} error: {error}", error.kind())
}
