//! `CaughtUp`: whether a rebuild has written all that there was just now, by the clock of its source.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};
use weir_host::middleware::policy::{Decision, decide};
use weir_sdk::{CheckpointStore, Context, Error, ErrorKind, Position, SourceFactory, TaskId, Timestamp, To};

use super::sink::Sink;

/// A now that is older than this is asked for again, once it is passed.
const FRESH: Duration = Duration::from_secs(10);
/// A source that goes by whole seconds calls the begin of this one now: what was written since counts too.
const SECOND: i64 = 1_000_000;
/// How often what is saved is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// Asks the source what time it is, and the checkpoint how far it is.
pub(super) struct CaughtUp {
    source: Arc<dyn SourceFactory>,
    config: Value,
    context: Context,
}

impl CaughtUp {
    pub(super) fn of(sink: &Sink<'_>) -> Self {
        Self { source: sink.from.clone(), config: sink.source_config(), context: sink.context() }
    }

    /// Now, as the source goes by time.
    ///
    /// # Errors
    /// `Config` when it does not.
    pub(super) async fn now(&self) -> Result<Timestamp, Error> {
        let latest = self.source.seek(self.config.clone(), To::Latest, self.context.clone()).await;
        let latest = latest.map_err(|error| match error.kind() {
            // It knows no such place.
            ErrorKind::Config if error.problems().is_empty() => self.untold().caused_by(error),
            _ => error,
        })?;
        self.source.position(&latest.checkpoint)?.time.ok_or_else(|| self.untold())
    }

    fn untold(&self) -> Error {
        let message =
            format!("a source of the kind `{}` does not tell how far it is by time", self.source.name());
        Error::new(ErrorKind::Config, message).advice(
            "nobody could tell when a rebuild has caught up: send the task itself back with `weir offsets reset`",
        )
    }

    /// Where the rebuild is, by what is saved.
    pub(super) async fn position(
        &self,
        checkpoints: &dyn CheckpointStore,
        task: &TaskId,
    ) -> Result<Option<Position>, Error> {
        let saved = checkpoints.load(task).await?;
        saved.map(|saved| self.source.position(&saved.checkpoint)).transpose()
    }

    /// Waits until everything is saved that there was a moment ago.
    ///
    /// # Errors
    /// What trying again does not help.
    pub(super) async fn wait(&self, checkpoints: &dyn CheckpointStore, task: &TaskId) -> Result<(), Error> {
        loop {
            let now = match self.now().await {
                Ok(Timestamp(now)) => Timestamp(now + SECOND),
                // The task itself tells that its source is away.
                Err(error) if matches!(decide(error.kind()), Decision::End(_)) => return Err(error),
                Err(_) => {
                    sleep(FRESH).await;
                    continue;
                }
            };
            let asked = Instant::now();
            while self.position(checkpoints, task).await?.and_then(|position| position.time) < Some(now) {
                sleep(LOOK).await;
            }
            if asked.elapsed() < FRESH {
                return Ok(());
            }
        }
    }
}
