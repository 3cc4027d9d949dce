//! `weir validate`: every problem of every pipeline file at once, without touching the network.

use std::path::PathBuf;

use serde_json::{Value, json};
use weir_host::config::{self, Lookup, PipelineConfig};
use weir_host::registry::Registry;

use crate::exit::Exit;
use crate::output;

/// Check pipeline files and report every problem of all of them at once. Nothing is connected to.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Pipeline files, and folders of them.
    #[arg(required = true, value_name = "FILE|DIR")]
    files: Vec<PathBuf>,
    /// Print one JSON object on standard output: `problems`, and without any, `pipelines`.
    #[arg(long)]
    json: bool,
}

/// A line for each pipeline, or the report.
pub(crate) fn run(args: &Args, registry: &Registry, lookup: &dyn Lookup) -> Exit {
    match config::load(&args.files, registry, lookup) {
        Ok(pipelines) if args.json => {
            let pipelines: Vec<Value> = pipelines.iter().map(object).collect();
            output::line(json!({ "problems": [], "pipelines": pipelines }));
            Exit::Ok
        }
        Ok(pipelines) => {
            pipelines.iter().map(sentence).for_each(output::line);
            Exit::Ok
        }
        Err(report) => {
            if args.json {
                output::line(report.to_json());
            } else {
                output::report(&report);
            }
            Exit::Configuration
        }
    }
}

/// `orders.yaml: pipeline orders, scylla-outbox to publisher (redpanda)`
fn sentence(pipeline: &PipelineConfig) -> String {
    let sinks: Vec<String> =
        pipeline.sinks.iter().map(|sink| format!("{} ({})", sink.name, sink.sink.connector)).collect();
    let (path, name, source) = (pipeline.path().display(), &pipeline.name, &pipeline.source.connector);
    format!("{path}: pipeline {name}, {source} to {}", sinks.join(", "))
}

fn object(pipeline: &PipelineConfig) -> Value {
    let sinks = pipeline.sinks.iter();
    let sinks = sinks.map(|sink| json!({ "name": sink.name, "connector": sink.sink.connector }));
    json!({
        "file": pipeline.path().to_string_lossy(),
        "name": pipeline.name,
        "source": { "connector": pipeline.source.connector },
        "sinks": sinks.collect::<Vec<Value>>(),
    })
}
