//! `Lanes`: a batch split by key, each share with one write in flight.
//!
//! A lane is a task of its own, so that lanes use several cores. It joins the records of several batches up to the size
//! of a write, and sends nothing later until its write is settled: that keeps order per key whatever the sink does
//! between its calls.

use std::sync::Arc;

use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::task::JoinSet;
use weir_sdk::{Error, Failed, Record, Records, Sink, WriteError};

use super::Settings;

/// One lane's share of one batch is durable.
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
}

impl Lanes {
    /// Starts the lanes in `parts`; they report to `settled`.
    pub fn start(
        settings: &Settings,
        sink: &Arc<dyn Sink>,
        settled: &UnboundedSender<Settled>,
        parts: &mut JoinSet<Result<(), Error>>,
    ) -> Self {
        let lanes = (0..settings.lanes).map(|_| {
            let (sender, receiver) = mpsc::unbounded_channel();
            let lane = Lane {
                parts: receiver,
                next: None,
                sink: sink.clone(),
                settled: settled.clone(),
                records: settings.batch_records,
                bytes: settings.batch_bytes,
            };
            parts.spawn(lane.run());
            sender
        });
        Self { lanes: lanes.collect() }
    }

    /// Splits the records over the lanes; the number of parts that will be settled.
    pub fn send(&self, batch: u64, records: Records) -> usize {
        if records.is_empty() {
            return 0;
        }
        let mut shares: Vec<Vec<Record>> = vec![Vec::new(); self.lanes.len()];
        if let [all] = shares.as_mut_slice() {
            *all = records.into_vec();
        } else {
            let even = records.len() / self.lanes.len();
            shares.iter_mut().for_each(|share| share.reserve(even + even / 4));
            for record in records.into_vec() {
                shares[lane_of(&record, self.lanes.len())].push(record);
            }
        }
        let mut parts = 0;
        for (lane, records) in self.lanes.iter().zip(shares) {
            // A lane that has failed takes nothing more; its error ends the task, and the part stays unsettled.
            if !records.is_empty() {
                lane.send(Part { batch, records }).ok();
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
    sink: Arc<dyn Sink>,
    settled: UnboundedSender<Settled>,
    records: usize,
    bytes: usize,
}

impl Lane {
    async fn run(mut self) -> Result<(), Error> {
        let (mut batches, mut waiting) = (Vec::new(), Vec::new());
        loop {
            let part = match self.next.take() {
                Some(part) => part,
                None => match self.parts.recv().await {
                    Some(part) => part,
                    None => return Ok(()),
                },
            };
            self.join(part, &mut batches, &mut waiting);
            self.write(&mut waiting).await?;
            for batch in batches.drain(..) {
                // Nobody listens any more only when the task is being ended.
                self.settled.send(Settled { batch }).ok();
            }
        }
    }

    /// Joins parts that wait already, up to the size of a write.
    fn join(&mut self, first: Part, batches: &mut Vec<u64>, waiting: &mut Vec<Record>) {
        let size = |records: &[Record]| records.iter().map(Record::size).sum::<usize>();
        let mut bytes = size(&first.records);
        batches.push(first.batch);
        *waiting = first.records;
        while waiting.len() < self.records && bytes < self.bytes {
            let Ok(part) = self.parts.try_recv() else { return };
            let more = size(&part.records);
            if waiting.len() + part.records.len() > self.records || bytes + more > self.bytes {
                self.next = Some(part);
                return;
            }
            bytes += more;
            batches.push(part.batch);
            waiting.extend(part.records);
        }
    }

    /// Writes all that waits, in writes of at most the largest size.
    async fn write(&self, waiting: &mut Vec<Record>) -> Result<(), Error> {
        while !waiting.is_empty() {
            let rest = waiting.split_off(self.fitting(waiting));
            let records = Records::from(std::mem::replace(waiting, rest));
            self.sink.write(records.clone()).await.map_err(|error| refused(&records, error))?;
        }
        Ok(())
    }

    /// How many of the records, at least one, fit into one write.
    fn fitting(&self, records: &[Record]) -> usize {
        let mut bytes = 0;
        let fits = records.iter().take(self.records).take_while(|record| {
            bytes += record.size();
            bytes <= self.bytes
        });
        fits.count().max(1)
    }
}

/// Without dead letters a record that no retry can help ends the task: it is never skipped.
fn refused(records: &Records, error: WriteError) -> Error {
    match error {
        WriteError::All(error) => error,
        WriteError::Some(failed) => match failed.into_iter().next() {
            Some(Failed { index, error }) => {
                let origin = &records[index].origin;
                error.context(format_args!("record {:?} of partition {}", origin.offset, origin.partition))
            }
            None => Error::new(weir_sdk::ErrorKind::Bug, "the sink reported a failure of no record"),
        },
    }
}
