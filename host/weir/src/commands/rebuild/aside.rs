//! `Aside`: the source of a rebuild, which works for no task that its configuration may name.
//!
//! What a task tells others of itself, such as how far it has come, only its own source may tell.

use std::sync::Arc;

use serde_json::Value;
use weir_sdk::config::Problem;
use weir_sdk::metrics::Metrics;
use weir_sdk::{Checkpoint, Context, Error, Position, Source, SourceFactory, Start, TaskId, To, async_trait};

/// Opens another factory's sources under a name that no task can have.
pub(super) struct Aside(pub(super) Arc<dyn SourceFactory>);

/// For what works beside the task of this name.
pub(super) fn beside(task: &TaskId, metrics: Metrics) -> Context {
    let TaskId { pipeline, sink } = task.clone();
    Context::new(TaskId { pipeline, sink: format!("{sink}+rebuild") }, metrics)
}

#[async_trait]
impl SourceFactory for Aside {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn config_schema(&self) -> Value {
        self.0.config_schema()
    }

    fn check(&self, config: &Value) -> Vec<Problem> {
        self.0.check(config)
    }

    async fn open(
        &self,
        config: Value,
        resume: Checkpoint,
        context: Context,
    ) -> Result<Box<dyn Source>, Error> {
        let aside = beside(context.task(), context.metrics().clone());
        self.0.open(config, resume, aside.telling(context.conditions().clone())).await
    }

    fn position(&self, checkpoint: &Checkpoint) -> Result<Position, Error> {
        self.0.position(checkpoint)
    }

    async fn seek(&self, config: Value, to: To, context: Context) -> Result<Start, Error> {
        self.0.seek(config, to, context).await
    }
}
