//! `Context`: what the host lends a connector while it is open.

use crate::conditions::{Conditions, Degraded};
use crate::metrics::Metrics;
use crate::store::TaskId;

/// What the host lends a connector: the task it works for, that task's metrics, and a way to say that a guarantee is
/// weaker than promised. Logging is plain `tracing`.
#[derive(Clone, Debug)]
pub struct Context {
    task: TaskId,
    metrics: Metrics,
    conditions: Conditions,
    accepts_gap: bool,
}

impl Context {
    /// A context for `task`; `metrics` are those that the host shows with the task's labels.
    pub fn new(task: TaskId, metrics: Metrics) -> Self {
        Self { task, metrics, conditions: Conditions::default(), accepts_gap: false }
    }

    /// What the connector says of itself goes here; otherwise nobody hears it.
    #[must_use]
    pub fn telling(self, conditions: Conditions) -> Self {
        Self { conditions, ..self }
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

    /// A guarantee is weaker than promised, for as long as the answer is kept: meanwhile the task shows DEGRADED with
    /// this reason, which says what is weaker, why, and what to do. For what goes on; an error that ends a call is
    /// returned instead.
    pub fn degraded(&self, reason: impl Into<String>) -> Degraded {
        self.conditions.degraded(reason)
    }

    /// The same, for parts of the connector that outlive the call.
    pub fn conditions(&self) -> &Conditions {
        &self.conditions
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
