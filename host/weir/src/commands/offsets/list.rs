//! `weir offsets list`: how far each task is, by its checkpoint.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use weir_host::checkpoints::look;
use weir_host::config::Lookup;
use weir_host::control::Target;
use weir_host::registry::Registry;
use weir_sdk::config::HumanDuration;
use weir_sdk::store::Saved;
use weir_sdk::{CheckpointStore, Position, Timestamp};

use super::{Place, Task, tasks};
use crate::commands::failed;
use crate::exit::Exit;
use crate::output;

/// Tell how far each task is; it may run meanwhile.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    place: Place,
    /// Only this task, or those of this pipeline.
    #[arg(long, value_name = "PIPELINE[/SINK]|all", default_value = "all")]
    of: Target,
    /// Print one JSON object on standard output: `tasks`.
    #[arg(long)]
    json: bool,
}

/// A line for each task.
pub(super) async fn run(args: &Args, registry: &Registry, lookup: &dyn Lookup) -> anyhow::Result<Exit> {
    let pipelines = match args.place.pipelines(registry, lookup) {
        Ok(pipelines) => pipelines,
        Err(exit) => return Ok(exit),
    };
    let files: Arc<dyn CheckpointStore> = match look(args.place.data_dir()) {
        Ok(files) => Arc::new(files),
        Err(error) => return failed(error.into()),
    };
    let tasks = match tasks(&pipelines, &args.of, registry, &files) {
        Ok(tasks) => tasks,
        Err(exit) => return Ok(exit),
    };
    let mut objects = Vec::new();
    for task in &tasks {
        let saved = match task.store.load(&task.id).await {
            Ok(saved) => saved,
            Err(error) => return failed(error.context(format_args!("{}", task.id)).into()),
        };
        let position = match task.position(saved.as_ref()) {
            Ok(position) => position,
            Err(error) => return failed(error.context(format_args!("{}", task.id)).into()),
        };
        match args.json {
            true => objects.push(object(task, saved.as_ref(), position.as_ref())),
            false => output::line(sentence(task, position.as_ref())),
        }
    }
    if args.json {
        output::line(json!({ "tasks": objects }));
    }
    Ok(Exit::Ok)
}

/// `orders/topic: read up to 2026-01-31T12:00:00.000Z, 3s ago`
fn sentence(task: &Task, position: Option<&Position>) -> String {
    let Some(position) = position else {
        return format!("{}: nothing is saved; it begins where its source's `start` says", task.id);
    };
    let ago = position.time.map(|time| format!(", {} ago", HumanDuration::from_secs(age(time))));
    format!("{}: {}{}", task.id, position.words, ago.unwrap_or_default())
}

fn object(task: &Task, saved: Option<&Saved>, position: Option<&Position>) -> Value {
    let time = position.and_then(|position| position.time);
    json!({
        "pipeline": task.id.pipeline,
        "sink": task.id.sink,
        "store": task.store_name,
        "source": saved.map(|saved| &saved.identity),
        "partitions": saved.map(|saved| saved.checkpoint.len()),
        "position": position.map(|position| &position.words),
        "time_us": time.map(|time| time.0),
        "age_seconds": time.map(age),
    })
}

/// In whole seconds, by this machine's clock.
fn age(time: Timestamp) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    now.saturating_sub(u64::try_from(time.0 / 1_000_000).unwrap_or(0))
}
