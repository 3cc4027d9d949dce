//! `Context`: what the host lends a connector while it is open.

use crate::metrics::Metrics;
use crate::store::TaskId;

/// What the host lends a connector: the task it works for and that task's metrics. Logging is plain `tracing`.
#[derive(Clone, Debug)]
pub struct Context {
    task: TaskId,
    metrics: Metrics,
    accepts_gap: bool,
}

impl Context {
    /// A context for `task`; `metrics` are those that the host shows with the task's labels.
    pub fn new(task: TaskId, metrics: Metrics) -> Self {
        Self { task, metrics, accepts_gap: false }
    }

    /// The operator accepts that what has expired behind the checkpoint is lost.
    #[must_use]
    pub fn accepting_gap(self) -> Self {
        Self { accepts_gap: true, ..self }
    }

    /// What has expired behind the checkpoint is given up. A source that would end with
    /// [`ErrorKind::Gap`](crate::ErrorKind::Gap) begins with the oldest record there is instead, and says so in
    /// [`Start::checkpoint`](crate::Start::checkpoint), which is saved before anything is read: the word holds once.
    pub fn accepts_gap(&self) -> bool {
        self.accepts_gap
    }

    /// The task that the connector works for.
    pub fn task(&self) -> &TaskId {
        &self.task
    }

    /// Where the connector's own figures go; they carry the labels `pipeline` and `sink`.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }
}
