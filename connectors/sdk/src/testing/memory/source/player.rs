//! `Player`: one opening of a `MemorySource`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use super::{Place, Shared, Step};
use crate::checkpoint::{Batch, Checkpoint, Partition};
use crate::error::Error;
use crate::record::{Origin, Record};
use crate::source::{Commits, Room, Source, Start};
use crate::testing::lock;

/// How long the source stays silent when it has nothing.
const IDLE: Duration = Duration::from_millis(500);

/// An open source.
pub(super) struct Player {
    pub(super) shared: Arc<Shared>,
    pub(super) start: Start,
    /// The last place of each partition that the checkpoint covers.
    pub(super) passed: HashMap<Partition, Place>,
    pub(super) next: Place,
    pub(super) wait_ends: Option<Instant>,
}

/// What there is to play.
enum Next {
    Step(Arc<Step>),
    /// A fault or a wait that has happened already.
    Again,
    /// All is played, but there may be more.
    Nothing,
    End,
    Down(Error),
}

impl Player {
    fn step(&self) -> Next {
        let state = lock(&self.shared.state);
        if let Some(error) = &state.down {
            return Next::Down(error.clone());
        }
        let happened = state.done.contains(&self.next.0);
        match state.steps.get(self.next.0).map(Arc::clone) {
            None if state.endless => Next::Nothing,
            None => Next::End,
            Some(step) => match *step {
                Step::Fails(_) | Step::Panics | Step::Waits(_) if happened => Next::Again,
                _ => Next::Step(step),
            },
        }
    }

    /// Goes on behind the current step, without a batch.
    fn leave(&mut self) -> Option<Batch> {
        lock(&self.shared.state).done.insert(self.next.0);
        self.next = (self.next.0 + 1, 0);
        None
    }

    /// The next records of this step that are not covered and fit; leaves the step at its end.
    fn take(&mut self, records: &[Record], room: Room) -> Batch {
        let (mut batch, mut taken, mut bytes) = (Batch::default(), Vec::new(), 0);
        while let Some(record) = records.get(self.next.1) {
            let covered =
                self.passed.get(&record.origin.partition).is_some_and(|passed| *passed >= self.next);
            if !covered {
                bytes += record.size();
                if !taken.is_empty() && (taken.len() >= room.records || bytes > room.bytes) {
                    batch.records = taken.into();
                    return batch;
                }
                let Origin { partition, offset } = record.origin.clone();
                batch.checkpoint.set(partition, offset.as_bytes().clone());
                taken.push(record.clone());
            }
            self.next.1 += 1;
        }
        self.leave();
        batch.records = taken.into();
        batch
    }

    fn moved(&mut self, checkpoint: &Checkpoint) -> Batch {
        let mut batch = Batch::default();
        for (partition, offset) in checkpoint.iter() {
            let covered = self.passed.get(partition).is_some_and(|passed| *passed >= self.next);
            match offset {
                _ if covered => {}
                Some(offset) => batch.checkpoint.set(partition.clone(), offset.as_bytes().clone()),
                None => batch.checkpoint.retire(partition.clone()),
            }
        }
        self.leave();
        batch
    }

    /// Waits for a step to be pushed; an empty batch when none comes for long.
    async fn idle(&self) -> Option<Batch> {
        let more = self.shared.more.notified();
        if !matches!(self.step(), Next::Nothing) {
            return None;
        }
        let silent = tokio::time::timeout(IDLE, more).await.is_err();
        silent.then(Batch::default)
    }

    /// Plays [`Step::Waits`]: an empty batch now and then, until the time is over.
    async fn wait(&mut self, wait: Duration) -> Option<Batch> {
        let end = *self.wait_ends.get_or_insert_with(|| Instant::now() + wait);
        let next = end.min(Instant::now() + IDLE);
        tokio::time::sleep_until(next).await;
        if next < end {
            return Some(Batch::default());
        }
        self.wait_ends = None;
        self.leave()
    }
}

#[async_trait]
impl Source for Player {
    fn start(&self) -> Start {
        self.start.clone()
    }

    async fn poll(&mut self, room: Room) -> Result<Option<Batch>, Error> {
        lock(&self.shared.state).polls += 1;
        loop {
            let batch = match self.step() {
                Next::End => return Ok(None),
                Next::Down(error) => return Err(error),
                Next::Nothing => self.idle().await,
                Next::Again => self.leave(),
                Next::Step(step) => match step.as_ref() {
                    Step::Records(records) => {
                        Some(self.take(records, room)).filter(|batch| !batch.records.is_empty())
                    }
                    Step::Moved(checkpoint) => {
                        Some(self.moved(checkpoint)).filter(|batch| !batch.checkpoint.is_empty())
                    }
                    Step::Waits(wait) => self.wait(*wait).await,
                    Step::Fails(error) => {
                        self.leave();
                        return Err(error.clone());
                    }
                    Step::Panics => {
                        self.leave();
                        panic!("a panic by the script of the test");
                    }
                },
            };
            if batch.is_some() {
                return Ok(batch);
            }
        }
    }

    fn commits(&self) -> Option<Arc<dyn Commits>> {
        Some(self.shared.clone())
    }

    async fn close(self: Box<Self>) -> Result<(), Error> {
        lock(&self.shared.state).closes += 1;
        Ok(())
    }
}
