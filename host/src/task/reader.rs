//! `Reader`: polls the source beside everything else, for as much as the budget has room for.

use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;
use weir_sdk::metrics::{Counter, Metrics, names};
use weir_sdk::{Backoff, Batch, Error, Room, Source};

use super::Settings;
use super::budget::{Budget, Share};
use crate::middleware::parking::{Parked, Parking};
use crate::middleware::policy::{self, Decision};
use crate::stop::Stop;

/// Owns the source, and closes it at the end.
pub struct Reader {
    source: Box<dyn Source>,
    budget: Budget,
    /// The most that one poll is asked for: a full write for each lane.
    largest: Room,
    read: Counter,
}

impl Reader {
    /// Reads `source` within `budget`.
    pub fn new(source: Box<dyn Source>, settings: &Settings, budget: Budget, metrics: &Metrics) -> Self {
        let (records, bytes) =
            (settings.lanes * settings.batch_records, settings.lanes * settings.batch_bytes);
        Self { source, budget, largest: Room { records, bytes }, read: metrics.counter(names::RECORDS_READ) }
    }

    /// Polls until the source ends, somebody asks to stop, or an error cannot be waited out.
    pub async fn run(
        mut self,
        batches: UnboundedSender<(Batch, Share)>,
        parking: Parking,
        stop: Stop,
    ) -> Result<(), Error> {
        let ended = tokio::select! {
            ended = self.read_all(&batches, &parking) => ended,
            () = stop.requested() => Ok(()),
        };
        if let Err(error) = self.source.close().await {
            tracing::warn!(%error, "the source did not close cleanly");
        }
        ended
    }

    async fn read_all(
        &mut self,
        batches: &UnboundedSender<(Batch, Share)>,
        parking: &Parking,
    ) -> Result<(), Error> {
        let mut trouble = Trouble::new();
        loop {
            let free = self.budget.room().await;
            let records = free.records.min(self.largest.records);
            let room = Room { records, bytes: free.bytes.min(self.largest.bytes) };
            match self.source.poll(room).await {
                Ok(Some(batch)) => {
                    trouble.over();
                    self.read.add(batch.records.len() as u64);
                    let share = self.budget.take(batch.records.len(), batch.records.size());
                    if batches.send((batch, share)).is_err() {
                        return Ok(());
                    }
                }
                Ok(None) => return Ok(()),
                Err(error) => trouble.wait(error, parking).await?,
            }
        }
    }
}

/// Polls that failed one after the other.
struct Trouble {
    backoff: Backoff,
    polls: u32,
    parked: Option<Parked>,
}

impl Trouble {
    /// Failed polls in a row before the task shows that it does not read.
    const SHOWN: u32 = 5;

    fn new() -> Self {
        let backoff = Backoff::new(Duration::from_millis(100), 2.0, Duration::from_secs(5));
        Self { backoff, polls: 0, parked: None }
    }

    fn over(&mut self) {
        if self.polls > 0 {
            *self = Self::new();
        }
    }

    /// Waits out an error that may pass; gives back one that cannot.
    async fn wait(&mut self, error: Error, parking: &Parking) -> Result<(), Error> {
        self.polls += 1;
        match policy::decide(error.kind()) {
            Decision::Retry | Decision::Wait if self.polls < Self::SHOWN => {}
            Decision::Retry | Decision::Wait | Decision::Park => {
                self.parked = Some(parking.park(policy::reason(&error)));
            }
            Decision::Dead | Decision::End(_) | Decision::Rebuild => return Err(error),
        }
        let delay = self.backoff.next().unwrap_or_default();
        tokio::time::sleep(delay.max(error.wait_hint().unwrap_or_default())).await;
        Ok(())
    }
}
