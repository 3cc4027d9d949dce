//! `Host`: all tasks of all pipelines under their supervisors.

use std::sync::Arc;

use tokio::task::JoinSet;
use weir_sdk::config::Problem;
use weir_sdk::metrics::Metrics;
use weir_sdk::{CheckpointStore, Error, TaskId};

use crate::checkpoints::FileStore;
use crate::config::{Block, PipelineConfig, SinkConfig};
use crate::control::Control;
use crate::data_dir::{self, DataDir};
use crate::gap::Acceptance;
use crate::rebuild::Rebuilds;
use crate::registry::Registry;
use crate::stop::Stop;
use crate::supervisor::{self, Outcome};
use crate::task::Spec;
use crate::task::dead_letters::Place;
use crate::task::transforms::Step;

/// What a host keeps in its data directory.
#[derive(Clone)]
pub struct Kept {
    /// Where each task is, of pipelines that keep it nowhere else.
    pub checkpoints: Arc<dyn CheckpointStore>,
    /// What was rebuilt beside, and is to be handed over.
    pub rebuilds: Rebuilds,
}

impl Kept {
    /// Opens what is there.
    ///
    /// # Errors
    /// It cannot be trusted, read or written.
    pub async fn open(data_dir: &DataDir) -> Result<Self, Error> {
        let checkpoints = Arc::new(FileStore::open(data_dir).await?);
        Ok(Self { checkpoints, rebuilds: Rebuilds::below(data_dir.path()) })
    }
}

/// What runs. Dropping it ends everything at once, without draining.
pub struct Host {
    tasks: JoinSet<(TaskId, Outcome)>,
}

impl Host {
    /// Starts every task of the pipelines, under `control`; far sides that are not there yet are waited for.
    ///
    /// # Errors
    /// The first pipeline with a connector or store that `registry` does not know, or a transform that does not build; a
    /// loaded configuration has none.
    pub fn start(
        pipelines: &[PipelineConfig],
        registry: &Registry,
        kept: &Kept,
        control: &Control,
        stop: &Stop,
    ) -> Result<Self, Problem> {
        let mut specs = Vec::new();
        for pipeline in pipelines {
            let checkpoints = store(pipeline, registry, &kept.checkpoints)?;
            for sink in &pipeline.sinks {
                let spec = spec(pipeline, sink, registry, checkpoints.clone())?;
                let store = kept.rebuilds.handing_over(&spec.id, &spec.sink_config, spec.checkpoints);
                let spec = Spec { checkpoints: store, ..spec };
                specs.push((spec, pipeline.mask().clone()));
            }
        }
        let mut tasks = JoinSet::new();
        for (spec, mask) in specs {
            let (id, stop) = (spec.id.clone(), stop.clone());
            let (pen, orders) = control.enter(id.clone(), spec.metrics.clone());
            let (pen, spec) = (pen.hiding(mask), Spec { gap: control.acceptance(&id), ..spec });
            tasks.spawn(async move { (id, supervisor::supervise(spec, pen, stop, orders).await) });
        }
        Ok(Self { tasks })
    }

    /// Waits until the last task has ended; how each did, by name.
    pub async fn ended(mut self) -> Vec<(TaskId, Outcome)> {
        let mut outcomes = Vec::new();
        while let Some(ended) = self.tasks.join_next().await {
            // A supervisor catches the panics of its task and has none of its own; aborted ones have no outcome.
            outcomes.extend(ended);
        }
        outcomes.sort_by(|(a, _), (b, _)| a.cmp(b));
        outcomes
    }
}

/// Where the pipeline keeps its checkpoints: `files` unless it says otherwise. Each answer is a holder of its own, from
/// whom another can take tasks over.
///
/// # Errors
/// A name that `registry` does not know; a loaded configuration has none.
pub fn store(
    pipeline: &PipelineConfig,
    registry: &Registry,
    files: &Arc<dyn CheckpointStore>,
) -> Result<Arc<dyn CheckpointStore>, Problem> {
    let Some(block) = &pipeline.checkpoints else { return Ok(files.clone()) };
    let store = registry.store(&block.connector)?.open(block.config(), data_dir::this_process());
    store.map_err(|error| Problem::new("", error.to_string()))
}

/// The task of one sink of a pipeline, as it is built as often as necessary.
///
/// # Errors
/// A name that `registry` does not know; a loaded configuration has none.
pub fn spec(
    pipeline: &PipelineConfig,
    sink: &SinkConfig,
    registry: &Registry,
    checkpoints: Arc<dyn CheckpointStore>,
) -> Result<Spec, Problem> {
    Ok(Spec {
        id: TaskId { pipeline: pipeline.name.clone(), sink: sink.name.clone() },
        source: registry.source(&pipeline.source.connector)?.clone(),
        source_config: pipeline.source.config().clone(),
        transforms: transforms(pipeline, registry)?,
        sink: registry.sink(&sink.sink.connector)?.clone(),
        sink_config: sink.sink.config().clone(),
        dead_letter: place(pipeline, sink, registry)?,
        checkpoints,
        settings: sink.settings.clone(),
        metrics: Metrics::default(),
        gap: Acceptance::default(),
    })
}

/// Where this sink's dead letters go.
fn place(
    pipeline: &PipelineConfig,
    sink: &SinkConfig,
    registry: &Registry,
) -> Result<Option<Place>, Problem> {
    let Some(written) = &pipeline.dead_letter else { return Ok(None) };
    Ok(Some(Place {
        sink: registry.sink(&written.sink.connector)?.clone(),
        config: written.sink.config().clone(),
        middleware: written.middleware.clone(),
        limit: written.limit,
        on_record_error: sink.on_record_error,
    }))
}

fn transforms(pipeline: &PipelineConfig, registry: &Registry) -> Result<Vec<Step>, Problem> {
    let build = |block: &Block| {
        let factory = registry.transform(&block.connector)?;
        let transform = factory.build(block.config());
        let transform = transform.map_err(|error| Problem::new("", error.to_string()))?;
        Ok(Step { name: block.connector.as_str().into(), transform })
    };
    pipeline.transforms.iter().map(build).collect()
}
