//! `CheckpointStore`: where a task's checkpoint survives a restart.

use std::fmt;

use async_trait::async_trait;

use crate::checkpoint::Checkpoint;
use crate::error::Error;

/// One sink of one pipeline: what has a checkpoint, a state and failures of its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskId {
    /// The pipeline's name.
    pub pipeline: String,
    /// The sink's name.
    pub sink: String,
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.pipeline, self.sink)
    }
}

/// Keeps the checkpoint of each task.
#[async_trait]
pub trait CheckpointStore: Send + Sync {
    /// What was saved for the task; `None` when nothing ever was.
    ///
    /// # Errors
    /// What is there but cannot be trusted (damaged, of another version) is an error, never `None`.
    async fn load(&self, task: &TaskId) -> Result<Option<Saved>, Error>;

    /// Merges `checkpoint` into what is saved; `Ok` means durable. The first save fixes the identity.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) when the task's checkpoint is of another source.
    async fn save(&self, task: &TaskId, identity: &str, checkpoint: &Checkpoint) -> Result<(), Error>;
}

/// What a store knows of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    /// The [identity](crate::Start::identity) of the source that it belongs to.
    pub identity: String,
    /// Where each partition stands; none is retired.
    pub checkpoint: Checkpoint,
}
