//! `Lanes`: a batch split by key, each share with one write in flight.
//!
//! A lane is a task of its own, so that lanes use several cores. It joins the records of several batches up to the size
//! of a write, and sends nothing later until its write is settled: that keeps order per key whatever the sink does
//! between its calls.

use std::sync::Arc;

use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::task::JoinSet;
use weir_sdk::dead_letter::Stage;
use weir_sdk::{Error, ErrorKind, Failed, Record, Records, Sink, WriteError};

use super::dead_letters::{Dead, DeadLetters};
use super::{Settings, Spec};

/// One lane's share of one batch is durable, in the sink or in the dead letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    /// The batch's number.
    pub batch: u64,
}

/// The lanes of a task, as the one who fills them sees them.
pub struct Lanes {
    lanes: Vec<UnboundedSender<Part>>,
}

/// One lane's share of one batch.
struct Part {
    batch: u64,
    records: Vec<Record>,
    /// The sum of the records' sizes.
    bytes: usize,
    /// The batch as the source gave it, where transforms made the records.
    as_read: Option<Records>,
}

/// How large a write may be.
#[derive(Clone, Copy, Debug)]
pub struct WriteSize {
    records: usize,
    bytes: usize,
}

impl WriteSize {
    /// The task's own.
    pub fn of(settings: &Settings) -> Self {
        Self { records: settings.batch_records, bytes: settings.batch_bytes }
    }

    /// How many of the records, at least one, fit into one write.
    pub fn fitting(self, records: &[Record]) -> usize {
        let mut bytes = 0;
        let fits = records.iter().take(self.records).take_while(|record| {
            bytes += record.size();
            bytes <= self.bytes
        });
        fits.count().max(1)
    }
}

impl Lanes {
    /// Starts the lanes in `parts`; they report to `settled`.
    pub fn start(
        spec: &Spec,
        sink: &Arc<dyn Sink>,
        dead_letters: &DeadLetters,
        settled: &UnboundedSender<Settled>,
        parts: &mut JoinSet<Result<(), Error>>,
    ) -> Self {
        let name: Arc<str> = spec.sink.name().into();
        let lanes = (0..spec.settings.lanes).map(|_| {
            let (sender, receiver) = mpsc::unbounded_channel();
            let lane = Lane {
                parts: receiver,
                next: None,
                name: name.clone(),
                sink: sink.clone(),
                dead_letters: dead_letters.clone(),
                settled: settled.clone(),
                size: WriteSize::of(&spec.settings),
            };
            parts.spawn(lane.run());
            sender
        });
        Self { lanes: lanes.collect() }
    }

    /// Splits the records over the lanes; the number of parts that will be settled. `as_read` is what transforms made
    /// them of.
    pub fn send(&self, batch: u64, records: Records, as_read: Option<Records>) -> usize {
        if records.is_empty() {
            return 0;
        }
        let mut shares: Vec<(Vec<Record>, usize)> = vec![(Vec::new(), 0); self.lanes.len()];
        if let [all] = shares.as_mut_slice() {
            let bytes = records.size();
            *all = (records.into_vec(), bytes);
        } else {
            let even = records.len() / self.lanes.len();
            shares.iter_mut().for_each(|(share, _)| share.reserve(even + even / 4));
            for record in records.into_vec() {
                let (share, bytes) = &mut shares[lane_of(&record, self.lanes.len())];
                *bytes += record.size();
                share.push(record);
            }
        }
        let mut parts = 0;
        for (lane, (records, bytes)) in self.lanes.iter().zip(shares) {
            // A lane that has failed takes nothing more; its error ends the task, and the part stays unsettled.
            if !records.is_empty() {
                lane.send(Part { batch, records, bytes, as_read: as_read.clone() }).ok();
                parts += 1;
            }
        }
        parts
    }

    /// No more batches will come: each lane ends when it has settled what it has.
    pub fn finish(&mut self) {
        self.lanes.clear();
    }
}

/// The same key always has the same lane; a record without one goes by its partition.
fn lane_of(record: &Record, lanes: usize) -> usize {
    let hash = match &record.key {
        Some(key) => crc32fast::hash(key),
        None => crc32fast::hash(record.origin.partition.as_str().as_bytes()),
    };
    hash as usize % lanes
}

struct Lane {
    parts: UnboundedReceiver<Part>,
    /// Received, but did not fit the last write.
    next: Option<Part>,
    /// The sink connector's name.
    name: Arc<str>,
    sink: Arc<dyn Sink>,
    dead_letters: DeadLetters,
    settled: UnboundedSender<Settled>,
    size: WriteSize,
}

/// What a lane is about to write.
#[derive(Default)]
struct Waiting {
    records: Vec<Record>,
    /// The sum of their sizes.
    bytes: usize,
    batches: Vec<u64>,
    /// What transforms made the records of.
    as_read: Vec<Records>,
}

impl Lane {
    async fn run(mut self) -> Result<(), Error> {
        let mut waiting = Waiting::default();
        loop {
            let part = match self.next.take() {
                Some(part) => part,
                None => match self.parts.recv().await {
                    Some(part) => part,
                    None => return Ok(()),
                },
            };
            self.join(part, &mut waiting);
            self.write(&mut waiting).await?;
            waiting.as_read.clear();
            for batch in waiting.batches.drain(..) {
                // Nobody listens any more only when the task is being ended.
                self.settled.send(Settled { batch }).ok();
            }
        }
    }

    /// Joins parts that wait already, up to the size of a write.
    fn join(&mut self, first: Part, waiting: &mut Waiting) {
        waiting.take(first);
        while waiting.records.len() < self.size.records && waiting.bytes < self.size.bytes {
            let Ok(part) = self.parts.try_recv() else { return };
            let (records, bytes) = (waiting.records.len() + part.records.len(), waiting.bytes + part.bytes);
            if records > self.size.records || bytes > self.size.bytes {
                self.next = Some(part);
                return;
            }
            waiting.take(part);
        }
    }

    /// Writes all that waits, in writes of at most the largest size.
    async fn write(&self, waiting: &mut Waiting) -> Result<(), Error> {
        while let Some(records) = waiting.next(self.size) {
            if let Err(error) = self.sink.write(records.clone()).await {
                self.bury(&records, error, &waiting.as_read).await?;
            }
        }
        Ok(())
    }

    /// Puts what was refused for good into the dead letters. What has no place there ends the task: nothing is skipped.
    async fn bury(&self, records: &Records, error: WriteError, as_read: &[Records]) -> Result<(), Error> {
        let failed = match error {
            WriteError::All(error) if !self.dead_letters.take(&error) => return Err(error),
            WriteError::All(error) => {
                (0..records.len()).map(|index| Failed { index, error: error.clone() }).collect()
            }
            WriteError::Some(failed) => failed,
        };
        if failed.is_empty() {
            return Err(Error::new(ErrorKind::Bug, "the sink reported a failure of no record"));
        }
        let dead = failed.into_iter().map(|Failed { index, error }| {
            let record = source_record(&records[index], as_read).clone();
            Dead { record, stage: Stage::Sink, refused_by: self.name.clone(), error }
        });
        self.dead_letters.bury(dead.collect()).await
    }
}

impl Waiting {
    /// Takes in one more part.
    fn take(&mut self, part: Part) {
        self.batches.push(part.batch);
        self.bytes += part.bytes;
        self.as_read.extend(part.as_read);
        if self.records.is_empty() {
            self.records = part.records;
        } else {
            self.records.extend(part.records);
        }
    }

    /// Takes out the records of the next write.
    fn next(&mut self, size: WriteSize) -> Option<Records> {
        let all = self.records.len() <= size.records && self.bytes <= size.bytes;
        let rest = if all { Vec::new() } else { self.records.split_off(size.fitting(&self.records)) };
        let next = Records::from(std::mem::replace(&mut self.records, rest));
        self.bytes = if all { 0 } else { self.bytes - next.size() };
        (!next.is_empty()).then_some(next)
    }
}

/// The record as the source gave it: transforms keep the origin.
fn source_record<'a>(record: &'a Record, as_read: &'a [Records]) -> &'a Record {
    let mut read = as_read.iter().flat_map(|records| records.iter());
    read.find(|read| read.origin == record.origin).unwrap_or(record)
}
