//! `weir offsets`: how far each task is, and sending tasks elsewhere.
//!
//! [`list`] looks, also while a host runs; [`reset`] moves the checkpoints of tasks that do not run.

mod list;
mod reset;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use weir_host::config::{Lookup, PipelineConfig};
use weir_host::control::Target;
use weir_host::registry::Registry;
use weir_host::run;
use weir_host::stop::Stop;
use weir_sdk::store::Saved;
use weir_sdk::{CheckpointStore, Error, Position, SourceFactory, TaskId};

use super::load;
use crate::exit::Exit;
use crate::output;

/// Look how far tasks are, or send them elsewhere.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    List(list::Args),
    Reset(reset::Args),
}

/// Runs the one that was asked for.
///
/// # Errors
/// What this machine did not give, such as a data directory that a host has.
pub(crate) async fn run(
    args: Args,
    registry: &Registry,
    lookup: &dyn Lookup,
    stop: Stop,
) -> anyhow::Result<Exit> {
    let run = async {
        match &args.command {
            Command::List(args) => list::run(args, registry, lookup).await,
            Command::Reset(args) => reset::run(args, registry, lookup).await,
        }
    };
    tokio::select! {
        exit = run => exit,
        () = stop.requested() => Ok(Exit::Failed),
    }
}

/// The pipelines, and where those that keep their checkpoints in files keep them.
#[derive(Debug, clap::Args)]
struct Place {
    /// Pipeline files, and folders of them.
    #[arg(required = true, value_name = "FILE|DIR")]
    files: Vec<PathBuf>,
    /// Where checkpoints in files are kept [default: .weir].
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

impl Place {
    fn pipelines(&self, registry: &Registry, lookup: &dyn Lookup) -> Result<Vec<PipelineConfig>, Exit> {
        load(&self.files, registry, lookup)
    }

    fn data_dir(&self) -> &Path {
        self.data_dir.as_deref().unwrap_or(Path::new(".weir"))
    }
}

/// A task, its source and its checkpoint's store.
struct Task {
    id: TaskId,
    source: Arc<dyn SourceFactory>,
    source_config: serde_json::Value,
    /// The name of the store in YAML.
    store_name: String,
    store: Arc<dyn CheckpointStore>,
}

/// The tasks that are meant, in the order of the files.
fn tasks(
    pipelines: &[PipelineConfig],
    target: &Target,
    registry: &Registry,
    files: &Arc<dyn CheckpointStore>,
) -> Result<Vec<Task>, Exit> {
    let refuse = |message: &str, help: &str| {
        output::complaint(message, help);
        Exit::Configuration
    };
    let mut all = Vec::new();
    for pipeline in pipelines {
        let source = registry.source(&pipeline.source.connector);
        let store = run::store(pipeline, registry, files);
        let (source, store) = match (source, store) {
            (Ok(source), Ok(store)) => (source, store),
            (Err(problem), _) | (_, Err(problem)) => return Err(refuse(&problem.message, "")),
        };
        let store_name = pipeline.checkpoints.as_ref().map_or("file", |block| &block.connector);
        all.extend(pipeline.sinks.iter().map(|sink| Task {
            id: TaskId { pipeline: pipeline.name.clone(), sink: sink.name.clone() },
            source: source.clone(),
            source_config: pipeline.source.config().clone(),
            store_name: store_name.to_owned(),
            store: store.clone(),
        }));
    }
    let ids: std::collections::BTreeSet<_> = all.iter().map(|task| task.id.clone()).collect();
    let meant = target.among(ids.iter()).map_err(|unknown| refuse(&unknown.message, &unknown.help))?;
    all.retain(|task| meant.contains(&task.id));
    Ok(all)
}

impl Task {
    /// What is saved, in words; `None` when nothing is.
    fn position(&self, saved: Option<&Saved>) -> Result<Option<Position>, Error> {
        let Some(saved) = saved else { return Ok(None) };
        let ours = format!("{}:", self.source.name());
        if !saved.identity.starts_with(&ours) {
            let words = format!("of another source, {}", saved.identity);
            return Ok(Some(Position { words, time: None }));
        }
        self.source.position(&saved.checkpoint).map(Some)
    }
}
