//! `GeneratorSource`: polls the sequence, at the pace, from where the checkpoint says.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use tokio::time::{Instant, sleep};
use weir_sdk::{Batch, Checkpoint, Error, ErrorKind, Room, Source, Start, Timestamp};

use super::GeneratorConfig;
use super::pace::Pace;
use super::sequence::Sequence;

/// How long a poll waits before it says that there is nothing.
const IDLE: Duration = Duration::from_millis(500);

/// An open generator. Offsets are record numbers.
pub(super) struct GeneratorSource {
    sequence: Sequence,
    pace: Option<Pace>,
    end: u64,
    /// The next record to look at, and for each partition the first that its checkpoint does not cover.
    next: u64,
    uncovered: Vec<u64>,
}

impl GeneratorSource {
    pub(super) fn resume(config: &GeneratorConfig, resume: &Checkpoint) -> Result<Self, Error> {
        let sequence = Sequence::new(config);
        let mut uncovered = Vec::with_capacity(sequence.partitions().len());
        for partition in sequence.partitions() {
            let Some(offset) = resume.get(partition) else {
                uncovered.push(0);
                continue;
            };
            let number =
                std::str::from_utf8(offset.as_bytes()).ok().and_then(|text| text.parse::<u64>().ok());
            let foreign = || {
                let message =
                    format!("the checkpoint of partition {partition} is no record number: {offset:?}");
                Error::new(ErrorKind::Config, message)
                    .advice("it was not written by a generator; reset the offsets")
            };
            uncovered.push(number.ok_or_else(foreign)?.saturating_add(1));
        }
        Ok(Self {
            next: uncovered.iter().copied().min().unwrap_or(0),
            pace: config.rate.map(|rate| Pace::new(rate, Instant::now())),
            end: config.records.unwrap_or(u64::MAX),
            sequence,
            uncovered,
        })
    }

    /// Passes over records that the checkpoint covers; `false` at the end.
    fn seek(&mut self) -> bool {
        while self.next < self.end && self.next < self.uncovered[self.sequence.partition(self.next)] {
            self.next += 1;
        }
        self.next < self.end
    }

    fn take(&mut self, most: u64, room: Room) -> Batch {
        let (now, mut batch) = (now(), Batch::default());
        let most = usize::try_from(most).unwrap_or(usize::MAX).min(room.records);
        let (mut records, mut bytes) = (Vec::with_capacity(most.min(1024)), 0);
        let mut last = vec![None; self.sequence.partitions().len()];
        while (records.is_empty() || records.len() < most) && self.seek() {
            let record = self.sequence.record(self.next, now);
            bytes += record.size();
            if bytes > room.bytes && !records.is_empty() {
                break;
            }
            last[self.sequence.partition(self.next)] = Some(record.origin.offset.clone());
            records.push(record);
            self.next += 1;
        }
        for (partition, offset) in self.sequence.partitions().iter().zip(last) {
            if let Some(offset) = offset {
                batch.checkpoint.set(partition.clone(), offset.as_bytes().clone());
            }
        }
        batch.records = records.into();
        batch
    }
}

#[async_trait]
impl Source for GeneratorSource {
    fn start(&self) -> Start {
        Start { identity: self.sequence.identity(), checkpoint: Checkpoint::default() }
    }

    async fn poll(&mut self, room: Room) -> Result<Option<Batch>, Error> {
        // Without a rate nothing here waits, and other tasks must have their turn.
        tokio::task::coop::consume_budget().await;
        if !self.seek() {
            return Ok(None);
        }
        let due = match self.pace.as_mut().map(|pace| pace.due(Instant::now())) {
            None => u64::MAX,
            Some(Ok(due)) => due,
            Some(Err(wait)) if wait > IDLE => {
                sleep(IDLE).await;
                return Ok(Some(Batch::default()));
            }
            Some(Err(wait)) => {
                sleep(wait).await;
                1
            }
        };
        let batch = self.take(due, room);
        if let Some(pace) = &mut self.pace {
            pace.take(batch.records.len());
        }
        Ok(Some(batch))
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
