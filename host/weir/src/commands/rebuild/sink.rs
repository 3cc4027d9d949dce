//! `Sink`: the sink that is meant, with its pipeline, and the two far sides of its task.

use std::sync::Arc;

use serde_json::Value;
use weir_host::config::{PipelineConfig, SinkConfig};
use weir_host::registry::Registry;
use weir_sdk::config::{Problem, name_help};
use weir_sdk::metrics::Metrics;
use weir_sdk::{Context, Error, ErrorKind, SinkFactory, SourceFactory, TaskId};

use super::aside::{Aside, beside};

/// The sink that is rebuilt.
pub(super) struct Sink<'a> {
    pub(super) pipeline: &'a PipelineConfig,
    pub(super) sink: &'a SinkConfig,
    pub(super) task: TaskId,
    pub(super) from: Arc<dyn SourceFactory>,
    pub(super) to: Arc<dyn SinkFactory>,
}

impl<'a> Sink<'a> {
    /// The only one of this name, `SINK` or `PIPELINE/SINK`.
    pub(super) fn find(
        pipelines: &'a [PipelineConfig],
        name: &str,
        registry: &Registry,
    ) -> Result<Self, Error> {
        let all =
            || pipelines.iter().flat_map(|pipeline| pipeline.sinks.iter().map(move |sink| (pipeline, sink)));
        let full =
            |(pipeline, sink): &(&PipelineConfig, &SinkConfig)| format!("{}/{}", pipeline.name, sink.name);
        let meant: Vec<_> = all().filter(|found| found.1.name == name || full(found) == name).collect();
        let refused = |message: String, help: String| Error::new(ErrorKind::Config, message).advice(help);
        match meant[..] {
            [(pipeline, sink)] => {
                let unknown = |problem: Problem| Error::config(vec![problem]);
                Ok(Self {
                    pipeline,
                    sink,
                    task: TaskId { pipeline: pipeline.name.clone(), sink: sink.name.clone() },
                    from: Arc::new(Aside(
                        registry.source(&pipeline.source.connector).map_err(unknown)?.clone(),
                    )),
                    to: registry.sink(&sink.sink.connector).map_err(unknown)?.clone(),
                })
            }
            [] => {
                let known: Vec<_> = match name.contains('/') {
                    true => all().map(|found| full(&found)).collect(),
                    false => all().map(|(_, sink)| sink.name.clone()).collect(),
                };
                let known: Vec<_> = known.iter().map(String::as_str).collect();
                Err(refused(format!("there is no sink `{name}`"), name_help(name, &known, "sinks")))
            }
            _ => {
                let meant: Vec<_> = meant.iter().map(full).collect();
                let message = format!("several pipelines have a sink `{name}`");
                Err(refused(message, format!("write one of: {}", meant.join(", "))))
            }
        }
    }

    /// The configuration of the source.
    pub(super) fn source_config(&self) -> Value {
        self.pipeline.source.config().clone()
    }

    /// The configuration of the sink, as it is written.
    pub(super) fn sink_config(&self) -> Value {
        self.sink.sink.config().clone()
    }

    /// For what is asked beside the task.
    pub(super) fn context(&self) -> Context {
        beside(&self.task, Metrics::default())
    }
}
