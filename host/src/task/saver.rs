//! `Saver`: saves the newest completed checkpoint durably, and then tells the source. It never blocks writing.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;
use weir_sdk::metrics::{Gauge, names};
use weir_sdk::{Backoff, Checkpoint, CheckpointStore, Commits, Degraded, Error, ErrorKind, TaskId};

use super::Spec;
use crate::middleware::policy::{self, Decision};
use crate::state::Pen;

/// The end of it that the task holds.
pub struct Saver {
    completed: Arc<Completed>,
    /// One, or none once it has failed and said why; in a set, so that it ends when this is dropped.
    work: JoinSet<Result<(), Error>>,
}

/// What is durable in the sink but not yet saved.
#[derive(Default)]
struct Completed {
    state: Mutex<(Checkpoint, Phase)>,
    changed: Notify,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum Phase {
    #[default]
    Open,
    Closing,
}

impl Saver {
    /// Starts saving for the task.
    pub fn start(spec: &Spec, identity: String, commits: Option<Arc<dyn Commits>>, pen: Pen) -> Self {
        let completed = Arc::new(Completed::default());
        let work = Work {
            completed: completed.clone(),
            store: spec.checkpoints.clone(),
            task: spec.id.clone(),
            identity,
            commits,
            interval: spec.settings.checkpoint_interval,
            age: spec.metrics.gauge(names::CHECKPOINT_AGE),
            saved: Instant::now(),
            pen,
            degraded: None,
        };
        let mut set = JoinSet::new();
        set.spawn(work.run());
        Self { completed, work: set }
    }

    /// Everything up to `checkpoint` is durable in the sink; it will be saved soon.
    pub fn save(&self, checkpoint: Checkpoint) {
        self.completed.lock().0.merge(checkpoint);
        self.completed.changed.notify_one();
    }

    /// Waits until saving has failed for good, and says why.
    pub async fn failed(&mut self) -> Error {
        match self.ended().await {
            Err(error) => error,
            Ok(()) => Error::new(ErrorKind::Bug, "the saver ended before the task"),
        }
    }

    /// Saves what is left, and ends. It takes as long as the store does: give it a deadline.
    ///
    /// # Errors
    /// Why it could not be saved, unless [`failed`](Self::failed) has said so.
    pub async fn finish(mut self) -> Result<(), Error> {
        self.completed.lock().1 = Phase::Closing;
        self.completed.changed.notify_one();
        self.ended().await
    }

    async fn ended(&mut self) -> Result<(), Error> {
        match self.work.join_next().await {
            Some(Ok(ended)) => ended,
            Some(Err(join)) => Err(Error::new(ErrorKind::Bug, "the saver panicked").caused_by(join)),
            None => Ok(()),
        }
    }
}

impl Completed {
    fn lock(&self) -> MutexGuard<'_, (Checkpoint, Phase)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> (Checkpoint, Phase) {
        let mut state = self.lock();
        (std::mem::take(&mut state.0), state.1)
    }
}

struct Work {
    completed: Arc<Completed>,
    store: Arc<dyn CheckpointStore>,
    task: TaskId,
    identity: String,
    commits: Option<Arc<dyn Commits>>,
    interval: Duration,
    age: Gauge,
    saved: Instant,
    pen: Pen,
    /// Held while nothing can be saved.
    degraded: Option<Degraded>,
}

impl Work {
    async fn run(mut self) -> Result<(), Error> {
        self.age.count_from_now();
        loop {
            let (checkpoint, phase) = self.completed.take();
            if !checkpoint.is_empty() {
                self.save(&checkpoint).await?;
                self.commit(&checkpoint).await;
            } else if phase == Phase::Closing {
                return Ok(());
            } else {
                self.completed.changed.notified().await;
                continue;
            }
            let next = self.saved + self.interval;
            while self.completed.lock().1 == Phase::Open && Instant::now() < next {
                self.changed(next - Instant::now()).await;
            }
        }
    }

    /// Waits for a change, or until `limit`.
    async fn changed(&self, limit: Duration) {
        // Either will do: who calls looks again.
        tokio::time::timeout(limit, self.completed.changed.notified()).await.ok();
    }

    /// Saves, as often as it takes; when the task is being ended, once.
    async fn save(&mut self, checkpoint: &Checkpoint) -> Result<(), Error> {
        let mut backoff = Backoff::new(Duration::from_millis(100), 2.0, Duration::from_secs(5));
        loop {
            let Err(error) = self.store.save(&self.task, &self.identity, checkpoint).await else { break };
            let error = error.context("save the checkpoint");
            let passing =
                matches!(policy::decide(error.kind()), Decision::Retry | Decision::Wait | Decision::Park);
            if !passing || self.completed.lock().1 == Phase::Closing {
                return Err(error);
            }
            self.degraded = Some(self.pen.degraded(policy::reason(&error)));
            self.changed(backoff.next().unwrap_or_default()).await;
        }
        self.degraded = None;
        self.saved = Instant::now();
        self.age.count_from_now();
        Ok(())
    }

    /// Tells the source. What it then does is housekeeping: a failure repeats at the next commit.
    async fn commit(&self, checkpoint: &Checkpoint) {
        let Some(commits) = &self.commits else { return };
        if let Err(error) = commits.commit(checkpoint).await {
            tracing::warn!(task = %self.task, %error, "the source could not take a commit");
        }
    }
}
