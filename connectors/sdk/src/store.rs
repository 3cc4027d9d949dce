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
    /// What was saved for the task; `None` when nothing ever was. It only looks.
    ///
    /// # Errors
    /// What is there but cannot be trusted (damaged, of another version) is an error, never `None`.
    async fn load(&self, task: &TaskId) -> Result<Option<Saved>, Error>;

    /// Takes the task over, and gives what is saved from then on: where other hosts reach the store too, none that had
    /// the task before can save any more. A store that one host alone can have gives what it loads.
    ///
    /// # Errors
    /// [`ErrorKind::Fenced`](crate::ErrorKind::Fenced) when another host has taken the task over from this one: the
    /// newer claim wins, and is not claimed back.
    async fn claim(&self, task: &TaskId) -> Result<Option<Saved>, Error> {
        self.load(task).await
    }

    /// Merges `checkpoint` into what is saved; `Ok` means durable. The task was claimed before. The first save fixes
    /// the identity.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) when the task's checkpoint is of another source;
    /// [`ErrorKind::Fenced`](crate::ErrorKind::Fenced) when another host has taken the task over, and nothing is saved.
    async fn save(&self, task: &TaskId, identity: &str, checkpoint: &Checkpoint) -> Result<(), Error>;

    /// The other host that saves this task at present, by what it says of itself; it may take seconds to find out.
    ///
    /// # Errors
    /// As for [`load`](Self::load).
    async fn in_use(&self, _task: &TaskId) -> Result<Option<String>, Error> {
        Ok(None)
    }
}

/// What a store knows of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    /// The [identity](crate::Start::identity) of the source that it belongs to.
    pub identity: String,
    /// Where each partition stands; none is retired.
    pub checkpoint: Checkpoint,
}
