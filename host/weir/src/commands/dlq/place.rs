//! `Place`: where dead letters are kept, and how they are read from there.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};
use weir_host::config::{Lookup, PipelineConfig};
use weir_host::registry::Registry;
use weir_sdk::dead_letter::{DeadLetter, Id};
use weir_sdk::metrics::Metrics;
use weir_sdk::{Checkpoint, Context, Error, Origin, Room, SourceFactory, TaskId, Timestamp};

use super::filter::Filter;
use crate::commands::load;
use crate::exit::Exit;
use crate::output;

/// As much as one read may bring.
const ROOM: Room = Room { records: 1000, bytes: 4 << 20 };
/// How many bytes of records are held at once; the place is read once more for each further portion.
const AT_ONCE: usize = 64 << 20;

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
    at_once: usize,
}

/// What is known of a dead letter while its record is not held: of these there may be very many.
pub(super) struct Entry {
    pub(super) id: Id,
    /// Every place where it stands: a far side without keys has it as often as it failed.
    pub(super) origins: Vec<Origin>,
    pub(super) sink: String,
    pub(super) replays: u32,
    written: Timestamp,
    first_failed: Timestamp,
    last_failed: Timestamp,
    size: usize,
    is_picked: bool,
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
        let pipelines = load(std::slice::from_ref(file), registry, lookup)?;
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
            return Ok(Self { source: source.clone(), config, pipeline, at_once: AT_ONCE });
        }
        Err(Exit::Configuration)
    }

    /// Every dead letter that the filter picks as it failed last, in the order in which the source had written them.
    pub(super) async fn index(&self, filter: &Filter) -> Result<Vec<Entry>, Error> {
        let mut entries: BTreeMap<Id, Entry> = BTreeMap::new();
        let foreign = self.each(|letter, origin| note(&mut entries, filter, &letter, origin)).await?;
        if foreign > 0 {
            tracing::warn!(records = foreign, "left out: these are no dead letters");
        }
        let mut picked: Vec<_> = entries.into_values().filter(|entry| entry.is_picked).collect();
        picked.sort_by_key(|entry| (entry.written, entry.first_failed, entry.id));
        Ok(picked)
    }

    /// The dead letters of the first of these entries, as many as are held at once, in their order, and how many
    /// entries that were; what was removed meanwhile is left out.
    pub(super) async fn load(&self, entries: &[Entry]) -> Result<(usize, Vec<DeadLetter>), Error> {
        let portion = fitting(entries, self.at_once);
        let wanted: HashSet<Id> = entries[..portion].iter().map(|entry| entry.id).collect();
        let mut letters: HashMap<Id, DeadLetter> = HashMap::new();
        let take = |letter: DeadLetter, _| {
            let id = letter.facts.id;
            let is_newer = |known: &DeadLetter| letter.facts.last_failed >= known.facts.last_failed;
            if wanted.contains(&id) && letters.get(&id).is_none_or(is_newer) {
                letters.insert(id, letter);
            }
        };
        self.each(take).await?;
        let in_order = entries[..portion].iter().filter_map(|entry| letters.remove(&entry.id));
        Ok((portion, in_order.collect()))
    }

    /// Reads the place once; how many records there are no dead letters.
    async fn each(&self, mut visit: impl FnMut(DeadLetter, Origin)) -> Result<usize, Error> {
        let mut source = self.source.open(self.config.clone(), Checkpoint::default(), self.context()).await?;
        let mut foreign = 0;
        while let Some(batch) = source.poll(ROOM).await? {
            foreign += source.refused().len();
            for record in batch.records.into_vec() {
                let origin = record.origin.clone();
                match DeadLetter::from_record(record) {
                    Ok(letter) if self.is_ours(&letter) => visit(letter, origin),
                    Ok(_) => {}
                    Err(_) => foreign += 1,
                }
            }
        }
        source.close().await?;
        Ok(foreign)
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

/// Takes in one more failure of a dead letter; the filter judges the last one.
fn note(entries: &mut BTreeMap<Id, Entry>, filter: &Filter, letter: &DeadLetter, origin: Origin) {
    let facts = &letter.facts;
    // What it is a slice of is a whole page of records.
    let offset = Bytes::copy_from_slice(origin.offset.as_bytes()).into();
    let origin = Origin { offset, ..origin };
    let mut origins = Vec::new();
    if let Some(known) = entries.get_mut(&facts.id) {
        known.origins.push(origin);
        if facts.last_failed < known.last_failed {
            return;
        }
        origins = std::mem::take(&mut known.origins);
    } else {
        origins.push(origin);
    }
    let entry = Entry {
        id: facts.id,
        origins,
        sink: facts.task.sink.clone(),
        replays: facts.replays,
        written: letter.record.timestamp,
        first_failed: facts.first_failed,
        last_failed: facts.last_failed,
        size: letter.record.size(),
        is_picked: filter.picks(letter),
    };
    entries.insert(facts.id, entry);
}

/// How many of the entries, at least one, have records of so many bytes together.
fn fitting(entries: &[Entry], bytes: usize) -> usize {
    let mut sum = 0;
    let fits = entries.iter().take_while(|entry| {
        sum += entry.size;
        sum <= bytes
    });
    fits.count().max(1).min(entries.len())
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use weir_sdk::dead_letter::{DeadLetter, Failure, Stage};
    use weir_sdk::{Error, ErrorKind, Headers, Origin, Record, TaskId, Timestamp};

    use super::{Filter, Place};

    /// Dead letter `n`, written at this time, as it failed at that one.
    fn letter(n: u32, written: i64, failed: i64) -> Record {
        let origin = Origin { partition: "p".into(), offset: n.to_string().into() };
        let (value, timestamp) = (Some(n.to_string().into()), Timestamp(written));
        let record = Record { key: None, value, headers: Headers::default(), timestamp, origin };
        let error = Error::new(ErrorKind::Record, format!("failed at {failed}"));
        let at = Timestamp(failed);
        let failure = Failure { stage: Stage::Sink, refused_by: "topic", error: &error, advice: "", at };
        DeadLetter::new(record, &TaskId { pipeline: "p".into(), sink: "s".into() }, failure).into_record()
    }

    #[tokio::test]
    async fn portion_by_portion_each_dead_letter_comes_once_in_the_order_of_its_time() {
        let folder = tempfile::tempdir().unwrap();
        let config = json!({ "path": folder.path().join("dead.jsonl") });
        let registry = crate::builtin::registry().unwrap();
        let mut place = Place::at("file", config.clone(), None, &registry).unwrap();
        let file = registry.sink("file").unwrap().open(config, place.context()).await.unwrap();
        let failures = [(1, 30, 100), (2, 10, 101), (3, 20, 102), (1, 30, 103), (4, 40, 104), (3, 20, 99)];
        let failures = failures.map(|(n, written, failed)| letter(n, written, failed));
        file.write(failures.into_iter().collect()).await.unwrap();
        for at_once in [1, 400, 1 << 20] {
            place.at_once = at_once;
            let entries = place.index(&Filter::default()).await.unwrap();
            assert_eq!(entries.iter().map(|entry| entry.origins.len()).collect::<Vec<_>>(), [1, 2, 2, 1]);
            let (mut left, mut read) = (&entries[..], Vec::new());
            while !left.is_empty() {
                let (portion, letters) = place.load(left).await.unwrap();
                assert_eq!(portion, letters.len());
                assert!(portion == 1 || at_once > 1);
                read.extend(letters);
                left = &left[portion..];
            }
            let shown =
                |letter: &DeadLetter| (letter.record.value.clone().unwrap(), letter.facts.last_failed.0);
            let wanted = [("2", 101), ("3", 102), ("1", 103), ("4", 104)];
            assert_eq!(read.iter().map(shown).collect::<Vec<_>>(), wanted.map(|(n, at)| (n.into(), at)));
        }
    }
}
