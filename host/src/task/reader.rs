//! `Reader`: polls the source beside everything else, for as much as the budget has room for.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;
use tokio::time::Instant;
use weir_sdk::dead_letter::Stage;
use weir_sdk::metrics::{Counter, names};
use weir_sdk::{Backoff, Batch, Error, Refused, Room, Source};

use super::Spec;
use super::budget::{Budget, Share};
use super::dead_letters::Dead;
use crate::middleware::parking::{Parked, Parking};
use crate::middleware::policy::{self, Decision};
use crate::stop::Stop;

/// One batch with what belongs to it.
pub struct Read {
    /// As the source gave it.
    pub batch: Batch,
    /// What the source could not read as it should.
    pub refused: Vec<Dead>,
    /// What it takes of the budget.
    pub share: Share,
}

/// Owns the source, and closes it at the end.
pub struct Reader {
    /// The source connector's name.
    name: Arc<str>,
    source: Box<dyn Source>,
    budget: Budget,
    /// The most that one poll is asked for: a full write for each lane.
    largest: Room,
    read: Counter,
}

impl Reader {
    /// Reads `source`, the one of `spec`, within `budget`.
    pub fn new(source: Box<dyn Source>, spec: &Spec, budget: Budget) -> Self {
        let (name, settings) = (spec.source.name().into(), &spec.settings);
        let (records, bytes) =
            (settings.lanes * settings.batch_records, settings.lanes * settings.batch_bytes);
        let read = spec.metrics.counter(names::RECORDS_READ);
        Self { name, source, budget, largest: Room { records, bytes }, read }
    }

    /// Polls until the source ends, somebody asks to stop, or an error cannot be waited out.
    pub async fn run(
        mut self,
        batches: UnboundedSender<Read>,
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

    async fn read_all(&mut self, batches: &UnboundedSender<Read>, parking: &Parking) -> Result<(), Error> {
        let mut trouble = Trouble::new();
        loop {
            let free = self.budget.room().await;
            let records = free.records.min(self.largest.records);
            let room = Room { records, bytes: free.bytes.min(self.largest.bytes) };
            let began = Instant::now();
            match self.source.poll(room).await {
                Ok(Some(batch)) => {
                    trouble.over();
                    let read = self.taken(batch);
                    if batches.send(read).is_err() {
                        return Ok(());
                    }
                }
                Ok(None) => return Ok(()),
                Err(error) => trouble.wait(error, began, parking).await?,
            }
        }
    }

    fn taken(&mut self, batch: Batch) -> Read {
        let dead = |Refused { record, error }| Dead {
            record,
            stage: Stage::Source,
            refused_by: self.name.clone(),
            error,
        };
        let refused: Vec<Dead> = self.source.refused().into_iter().map(dead).collect();
        let records = batch.records.len() + refused.len();
        let bytes = batch.records.size() + refused.iter().map(|dead| dead.record.size()).sum::<usize>();
        self.read.add(records as u64);
        Read { batch, refused, share: self.budget.take(records, bytes) }
    }
}

/// Polls that failed one after the other.
struct Trouble {
    backoff: Backoff,
    polls: u32,
    /// When the first of them began.
    since: Option<Instant>,
    parked: Option<Parked>,
}

impl Trouble {
    /// Failed polls in a row before the task shows that it does not read,
    const SHOWN: u32 = 5;
    /// or for how long, since polls that time out are few.
    const SHOWN_AFTER: Duration = Duration::from_secs(10);

    fn new() -> Self {
        let backoff = Backoff::new(Duration::from_millis(100), 2.0, Duration::from_secs(5));
        Self { backoff, polls: 0, since: None, parked: None }
    }

    fn over(&mut self) {
        if self.polls > 0 {
            *self = Self::new();
        }
    }

    /// Waits out the error of a poll that `began` then, if it may pass; gives back one that cannot.
    async fn wait(&mut self, error: Error, began: Instant, parking: &Parking) -> Result<(), Error> {
        self.polls += 1;
        let lasted = self.since.get_or_insert(began).elapsed();
        let brief = self.polls < Self::SHOWN && lasted < Self::SHOWN_AFTER;
        match policy::decide(error.kind()) {
            Decision::Retry | Decision::Wait if brief => {}
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{Instant, sleep};
    use weir_sdk::metrics::Metrics;
    use weir_sdk::{Error, ErrorKind, TaskId};

    use super::Trouble;
    use crate::middleware::parking::Parking;
    use crate::state::{Board, State};

    #[tokio::test(start_paused = true)]
    async fn polls_that_fail_show_by_their_number_or_by_how_long_they_last() {
        for (lasts, polls) in [(0, 5), (4, 3), (10, 1)] {
            let task = TaskId { pipeline: "p".into(), sink: "s".into() };
            let pen = Board::default().enter(task, Metrics::default());
            pen.running();
            let (parking, mut trouble, mut failed) = (Parking::new(pen.clone()), Trouble::new(), 0);
            while pen.state() == State::Running {
                let began = Instant::now();
                sleep(Duration::from_secs(lasts)).await;
                let error = Error::new(ErrorKind::Timeout, "no answer");
                trouble.wait(error, began, &parking).await.unwrap();
                failed += 1;
            }
            assert_eq!((pen.state(), failed), (State::Parked, polls), "{lasts} s each");
            trouble.over();
            assert_eq!(pen.state(), State::Running);
        }
    }
}
