//! `Context`: what the host lends a connector while it is open.

use crate::metrics::Metrics;
use crate::store::TaskId;

/// What the host lends a connector: the task it works for and that task's metrics. Logging is plain `tracing`.
#[derive(Clone, Debug)]
pub struct Context {
    task: TaskId,
    metrics: Metrics,
}

impl Context {
    /// A context for `task`; `metrics` are those that the host shows with the task's labels.
    pub fn new(task: TaskId, metrics: Metrics) -> Self {
        Self { task, metrics }
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
