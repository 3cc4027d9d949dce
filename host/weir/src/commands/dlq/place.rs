//! `Place`: where dead letters are kept, and how they are read from there.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};
use weir_host::config::{self, Lookup, PipelineConfig};
use weir_host::registry::Registry;
use weir_sdk::dead_letter::{DeadLetter, Id};
use weir_sdk::metrics::Metrics;
use weir_sdk::{Checkpoint, Context, Error, ErrorKind, Origin, Room, SourceFactory, TaskId};

use super::filter::Filter;
use crate::exit::Exit;
use crate::output;

/// As much as one read may bring.
const ROOM: Room = Room { records: 1000, bytes: 4 << 20 };

/// Where the dead letters are.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct PlaceArgs {
    /// The pipeline file whose `dead_letter` block names the place.
    #[arg(value_name = "FILE", required_unless_present = "connector")]
    pub(crate) file: Option<PathBuf>,
    /// Instead of a file: the connector that keeps them, with `--config`.
    #[arg(long, value_name = "NAME", conflicts_with = "file", requires = "config")]
    connector: Option<String>,
    /// The connector's configuration, as JSON.
    #[arg(long, value_name = "JSON", requires = "connector")]
    config: Option<String>,
}

/// Where dead letters are kept.
pub(super) struct Place {
    source: Arc<dyn SourceFactory>,
    config: Value,
    /// Only the dead letters of this pipeline; `None` where the place was named without one.
    pub(super) pipeline: Option<PipelineConfig>,
}

/// A dead letter and every place where it stands: a far side without keys has it as often as it failed.
pub(super) struct Found {
    /// As it failed last.
    pub(super) letter: DeadLetter,
    pub(super) origins: Vec<Origin>,
}

impl Place {
    /// Finds the place; without one it says why, and with which code to end.
    pub(super) fn find(args: &PlaceArgs, registry: &Registry, lookup: &dyn Lookup) -> Result<Self, Exit> {
        match (&args.file, &args.connector, &args.config) {
            (Some(file), ..) => Self::of_file(file, registry, lookup),
            (None, Some(connector), Some(config)) => {
                let config = serde_json::from_str(config).map_err(|error| {
                    output::complaint(
                        &format!("--config: {error}"),
                        "write JSON, such as '{\"path\": \"dead.jsonl\"}'",
                    );
                    Exit::Configuration
                })?;
                Self::at(connector, config, None, registry)
            }
            _ => {
                output::complaint("no place is named", "name a pipeline file, or --connector and --config");
                Err(Exit::Configuration)
            }
        }
    }

    fn of_file(file: &PathBuf, registry: &Registry, lookup: &dyn Lookup) -> Result<Self, Exit> {
        let pipelines = config::load(std::slice::from_ref(file), registry, lookup).map_err(|report| {
            output::report(&report);
            Exit::Configuration
        })?;
        let refuse = |message: &str, help: &str| {
            output::complaint(&format!("{}: {message}", file.display()), help);
            Exit::Configuration
        };
        let [pipeline] =
            pipelines.try_into().map_err(|_| refuse("this is not one pipeline", "name a file"))?;
        let Some(place) = pipeline.dead_letter.as_ref().map(|place| place.sink.clone()) else {
            return Err(refuse(
                "the pipeline has no `dead_letter` block",
                "add one; without it nothing is kept",
            ));
        };
        Self::at(&place.connector, place.config().clone(), Some(pipeline), registry)
    }

    /// The source connector of the same name reads what the sink keeps. Of the sink's configuration it takes the keys
    /// that it knows, and it reads to the end.
    fn at(
        connector: &str,
        sink: Value,
        pipeline: Option<PipelineConfig>,
        registry: &Registry,
    ) -> Result<Self, Exit> {
        let source = registry.source(connector).map_err(|problem| {
            let message = format!("dead letters at `{connector}` cannot be read: {}", problem.message);
            output::complaint(&message, problem.help.as_deref().unwrap_or("keep them at another connector"));
            Exit::Configuration
        })?;
        let schema = source.config_schema();
        let mut config = sink;
        if let (Some(config), Some(known)) = (config.as_object_mut(), schema["properties"].as_object()) {
            config.retain(|key, _| known.contains_key(key));
            if known.contains_key("until") {
                config.insert("until".to_owned(), json!("end"));
            }
        }
        let problems = source.check(&config);
        for problem in &problems {
            output::complaint(
                &problem.to_string(),
                problem.help.as_deref().unwrap_or("correct the configuration"),
            );
        }
        if problems.is_empty() {
            return Ok(Self { source: source.clone(), config, pipeline });
        }
        Err(Exit::Configuration)
    }

    /// Every dead letter that the filter picks, by id, as it failed last.
    pub(super) async fn read(&self, filter: &Filter) -> Result<BTreeMap<Id, Found>, Error> {
        let mut found: BTreeMap<Id, Found> = BTreeMap::new();
        let mut source = self.source.open(self.config.clone(), Checkpoint::default(), self.context()).await?;
        let mut foreign = 0;
        while let Some(batch) = source.poll(ROOM).await? {
            foreign += source.refused().len();
            for record in batch.records.into_vec() {
                let origin = record.origin.clone();
                match DeadLetter::from_record(record) {
                    Ok(letter) if self.is_ours(&letter) => take(&mut found, letter, origin),
                    Ok(_) => {}
                    Err(_) => foreign += 1,
                }
            }
        }
        source.close().await?;
        if foreign > 0 {
            tracing::warn!(records = foreign, "left out: these are no dead letters");
        }
        found.retain(|_, found| filter.picks(&found.letter));
        Ok(found)
    }

    /// Removes what stands at these places, as far as the far side can; how many.
    pub(super) async fn purge(&self, origins: Vec<Origin>) -> Result<usize, Error> {
        self.source.purge(self.config.clone(), origins, self.context()).await
    }

    fn is_ours(&self, letter: &DeadLetter) -> bool {
        self.pipeline.as_ref().is_none_or(|pipeline| pipeline.name == letter.facts.task.pipeline)
    }

    fn context(&self) -> Context {
        let pipeline = self.pipeline.as_ref().map_or("dlq", |pipeline| &pipeline.name).to_owned();
        Context::new(TaskId { pipeline, sink: "dlq".to_owned() }, Metrics::default())
    }
}

fn take(found: &mut BTreeMap<Id, Found>, letter: DeadLetter, origin: Origin) {
    match found.get_mut(&letter.facts.id) {
        None => {
            found.insert(letter.facts.id, Found { letter, origins: vec![origin] });
        }
        Some(known) => {
            known.origins.push(origin);
            if letter.facts.last_failed >= known.letter.facts.last_failed {
                known.letter = letter;
            }
        }
    }
}

/// In the order in which the source had written them.
pub(super) fn in_order(found: BTreeMap<Id, Found>) -> Vec<Found> {
    let mut all: Vec<_> = found.into_values().collect();
    all.sort_by_key(|found| {
        (found.letter.record.timestamp, found.letter.facts.first_failed, found.letter.facts.id)
    });
    all
}

/// A far side that does not do its part ends the command with its reason; the code tells a wrong configuration apart.
pub(super) fn failed(error: anyhow::Error) -> anyhow::Result<Exit> {
    let kind = error.downcast_ref::<Error>().map(Error::kind);
    match kind {
        Some(ErrorKind::Config | ErrorKind::Auth) => {
            output::error(&error);
            Ok(Exit::Configuration)
        }
        Some(_) => {
            output::error(&error);
            Ok(Exit::Failed)
        }
        None => Err(error),
    }
}
