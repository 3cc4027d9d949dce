//! `Broken`: a source that breaks its contract in one chosen way.

use std::collections::VecDeque;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use weir_sdk::testing::MemorySource;
use weir_sdk::{
    Batch, Checkpoint, Commits, Error, ErrorKind, Headers, Partition, Record, Room, Source, Start, Timestamp,
    async_trait,
};

/// What is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    // Not broken.
    Honest,
    Ages,
    // Content, order, room, origin.
    LosesOne,
    AddsOne,
    RepeatsOne,
    Reverses,
    LosesHeaders,
    ZeroesTime,
    IgnoresRecords,
    IgnoresBytes,
    SharesOrigins,
    ChangesOrigins,
    // Checkpoints.
    CoversNext,
    SkipsOnResume,
    NeverMoves,
    ForgetsOnePartition,
    // Start.
    ChangesStart,
    ChangesIdentity,
    BeginsAnew,
    // Life.
    CommitHangs,
    CommitFails,
    DropEats,
    CloseHangs,
    CloseFails,
    HidesDown,
    EndsWhenDown,
    PanicsIntoGap,
    ErrorEats,
    ErrorStays,
    IdleSilent,
    IdleSpins,
    IdleCoversAhead,
    NeverAges,
}

/// What outlives one opening.
#[derive(Clone, Default)]
struct Life {
    opens: Arc<AtomicUsize>,
    polling: Arc<AtomicBool>,
    eaten: Arc<AtomicBool>,
}

/// Opens sources over one memory; each is broken in the same way.
pub(crate) struct Broken {
    memory: MemorySource,
    how: How,
    life: Life,
}

impl Broken {
    pub(crate) fn over(memory: MemorySource, how: How) -> Self {
        Self { memory, how, life: Life::default() }
    }

    pub(crate) fn open(&self, resume: Checkpoint) -> Result<Box<dyn Source>, Error> {
        self.life.opens.fetch_add(1, Ordering::SeqCst);
        let resumed = !resume.is_empty();
        Ok(Box::new(BrokenSource {
            inner: self.memory.open(without_clock(&resume))?,
            how: self.how,
            life: self.life.clone(),
            ahead: VecDeque::new(),
            sum: resume,
            eats: self.how == How::SkipsOnResume && resumed,
            failed: false,
            polls: 0,
        }))
    }
}

/// The memory knows nothing of the clock that [`How::Ages`] adds.
fn without_clock(checkpoint: &Checkpoint) -> Checkpoint {
    let known = checkpoint.iter().filter(|(partition, _)| partition.as_str() != "clock");
    known.filter_map(|(partition, offset)| Some((partition.clone(), offset?.as_bytes().clone()))).collect()
}

struct BrokenSource {
    inner: Box<dyn Source>,
    how: How,
    life: Life,
    ahead: VecDeque<Batch>,
    sum: Checkpoint,
    eats: bool,
    failed: bool,
    polls: usize,
}

impl BrokenSource {
    /// The room that the broken source believes in.
    fn room(&self, room: Room) -> Room {
        match self.how {
            How::IgnoresRecords => Room { records: 1000, ..room },
            How::IgnoresBytes => Room { bytes: 1 << 30, ..room },
            _ => room,
        }
    }

    fn spoil(&mut self, batch: Batch) -> Batch {
        let mut checkpoint = batch.checkpoint;
        let mut records = batch.records.into_vec();
        let opens = self.life.opens.load(Ordering::SeqCst);
        for record in &mut records {
            match self.how {
                How::LosesHeaders => record.headers = Headers::default(),
                How::ZeroesTime => record.timestamp = Timestamp(1),
                How::SharesOrigins => record.origin.offset = "same".into(),
                How::ChangesOrigins => record.origin.partition = format!("opening {opens}").into(),
                _ => {}
            }
        }
        let is_seven = |record: &Record| record.value.as_deref() == Some(b"7");
        let seventh = records.iter().position(is_seven);
        match (self.how, seventh) {
            (How::LosesOne, Some(at)) => drop(records.remove(at)),
            (How::AddsOne, Some(at)) => {
                let mut extra = records[at].clone();
                extra.value = Some("extra".into());
                records.insert(at, extra);
            }
            (How::RepeatsOne, Some(at)) if self.polls > 1 => records.insert(at, records[at].clone()),
            (How::Reverses, _) => records.reverse(),
            (How::NeverMoves, _) => checkpoint = Checkpoint::default(),
            (How::ForgetsOnePartition, _) => {
                let moved = |partition: &Partition| partition.as_str() != "b";
                let kept = checkpoint.iter().filter(|(partition, _)| moved(partition));
                checkpoint = kept.filter_map(|(p, o)| Some((p.clone(), o?.as_bytes().clone()))).collect();
                if checkpoint.get(&"a".into()).is_none() {
                    // Claims all of the other one instead.
                    checkpoint.set("b".into(), "29");
                }
            }
            _ => {}
        }
        if self.eats && !records.is_empty() {
            self.eats = false;
            records.remove(0);
        }
        self.sum.merge(checkpoint.clone());
        Batch { records: records.into(), checkpoint }
    }

    /// What a batch without records becomes.
    async fn idle(&mut self, batch: Batch) -> Batch {
        let mut batch = batch;
        match self.how {
            How::IdleSilent => pending().await,
            How::IdleCoversAhead => batch.checkpoint.set("a".into(), "30"),
            How::Ages => batch.checkpoint.set("clock".into(), self.polls.to_string()),
            _ => {}
        }
        batch
    }

    fn failed(&mut self, error: Error) -> Result<Option<Batch>, Error> {
        self.failed = true;
        self.eats |= self.how == How::ErrorEats;
        match self.how {
            How::HidesDown => Ok(Some(Batch::default())),
            How::EndsWhenDown => Ok(None),
            How::PanicsIntoGap => Err(Error::new(ErrorKind::Gap, "everything is lost")),
            _ => Err(error),
        }
    }
}

#[async_trait]
impl Source for BrokenSource {
    fn start(&self) -> Start {
        let mut start = self.inner.start();
        match self.how {
            How::ChangesStart => {
                let now = self.life.opens.fetch_add(1, Ordering::SeqCst);
                start.checkpoint.set("now".into(), now.to_string());
            }
            How::ChangesIdentity => {
                start.identity = format!("table {}", self.life.opens.load(Ordering::SeqCst));
            }
            How::BeginsAnew => start.checkpoint = self.sum.clone(),
            _ => {}
        }
        start
    }

    async fn poll(&mut self, room: Room) -> Result<Option<Batch>, Error> {
        self.polls += 1;
        if self.how == How::DropEats && self.life.eaten.swap(false, Ordering::SeqCst) {
            self.eats = true;
        }
        if self.failed && self.how == How::ErrorStays {
            return Err(Error::new(ErrorKind::Transient, "broken once"));
        }
        if let Some(batch) = self.ahead.pop_front() {
            return Ok(Some(batch));
        }
        self.life.polling.store(true, Ordering::SeqCst);
        if self.how == How::DropEats && self.polls > 1 {
            // Being dropped here is what loses a record.
            self.life.eaten.store(true, Ordering::SeqCst);
            tokio::task::yield_now().await;
            self.life.eaten.store(false, Ordering::SeqCst);
        }
        if self.how == How::IdleSpins && self.polls > 11 {
            let wait = std::time::Duration::from_nanos(1);
            let answer = tokio::time::timeout(wait, self.inner.poll(room)).await;
            return answer.unwrap_or_else(|_| Ok(Some(Batch::default())));
        }
        if matches!(self.how, How::CloseHangs | How::CloseFails) {
            tokio::task::yield_now().await;
        }
        let polled = self.inner.poll(self.room(room)).await;
        self.life.polling.store(false, Ordering::SeqCst);
        let batch = match polled {
            Ok(Some(batch)) => batch,
            Ok(None) => return Ok(None),
            Err(error) => return self.failed(error),
        };
        if batch.records.is_empty() {
            return Ok(Some(self.idle(batch).await));
        }
        let mut batch = self.spoil(batch);
        if self.how == How::CoversNext
            && let Ok(Some(next)) = self.inner.poll(room).await
        {
            batch.checkpoint.merge(next.checkpoint.clone());
            self.ahead.push_back(next);
        }
        Ok(Some(batch))
    }

    fn commits(&self) -> Option<Arc<dyn Commits>> {
        Some(Arc::new(BrokenCommits(self.how, self.inner.commits()?)))
    }

    async fn close(self: Box<Self>) -> Result<(), Error> {
        if self.life.polling.swap(false, Ordering::SeqCst) {
            match self.how {
                How::CloseHangs => pending::<()>().await,
                How::CloseFails => return Err(Error::new(ErrorKind::Bug, "a poll was dropped")),
                _ => {}
            }
        }
        self.inner.close().await
    }
}

struct BrokenCommits(How, Arc<dyn Commits>);

#[async_trait]
impl Commits for BrokenCommits {
    async fn commit(&self, checkpoint: &Checkpoint) -> Result<(), Error> {
        match self.0 {
            How::CommitHangs => pending().await,
            How::CommitFails => Err(Error::new(ErrorKind::Bug, "not while polling")),
            _ => self.1.commit(checkpoint).await,
        }
    }
}
