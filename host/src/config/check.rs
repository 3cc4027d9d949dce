//! `check`: one file to one pipeline, or to all of its problems.

use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use weir_sdk::config::{Problem, child, read};

use super::dead_letter;
use super::file::File;
use super::mask::Mask;
use super::name::Name;
use super::node::Kind;
use super::pipeline::{Block, DeadLetterConfig, PipelineConfig, SinkConfig};
use super::reference::{self, Lookup, Resolved};
use super::written::{Checkpoint, Pipeline, check_sink};
use crate::registry::{FILE_STORE, Registry};

/// A file that was checked.
pub(super) struct Checked {
    pub(super) file: Arc<File>,
    pub(super) mask: Mask,
    /// Its problems so far.
    pub(super) problems: Vec<Problem>,
    /// The pipeline, if there are none.
    pub(super) pipeline: Option<PipelineConfig>,
    name: Option<Name>,
}

/// Checks a file as far as it can be understood: a fault in one place hides none in another.
pub(super) fn check(file: Arc<File>, registry: &Registry, lookup: &dyn Lookup) -> Checked {
    let folder = file.path.parent().unwrap_or(Path::new(""));
    let Resolved { value, mask, problems: unresolved } = reference::resolve(&file.root, folder, lookup);
    if matches!(file.root.kind, Kind::Null) {
        let problem =
            Problem::new("", "this file is empty").help("a pipeline has a `name`, a `source` and `sinks`");
        return Checked { file, mask, problems: vec![problem], pipeline: None, name: None };
    }
    let (pipeline, mut problems) = match read::<Pipeline>(&value) {
        Ok(pipeline) => (Some(pipeline), Vec::new()),
        Err(found) => (None, found),
    };
    problems.extend(sinks(&value));
    problems.extend(dead_letter::check(&value));
    problems.extend(connectors(&value, registry));
    // What could not be resolved is told once, not again as a value that is missing.
    let is_new = |problem: &Problem| !unresolved.iter().any(|earlier| earlier.pointer == problem.pointer);
    problems.retain(is_new);
    let problems = problems.into_iter().map(|problem| file.forget_resolved_offsets(problem));
    let problems: Vec<Problem> = unresolved.iter().cloned().chain(problems).collect();
    let name = value.get("name").and_then(Value::as_str);
    let name = name.and_then(|name| Name::try_from(name.to_owned()).ok());
    let pipeline = pipeline.filter(|_| problems.is_empty());
    let pipeline = pipeline.map(|pipeline| build(pipeline, &file, &mask));
    Checked { file, mask, problems, pipeline, name }
}

impl Checked {
    /// Two pipelines of one name would write each other's checkpoints.
    pub(super) fn refuse_name_of(&mut self, earlier: &[Self]) {
        let same = |other: &&Self| match (&self.name, &other.name) {
            (Some(name), Some(other)) => name.is_same_file(other),
            _ => false,
        };
        if let Some(other) = earlier.iter().find(same) {
            let help = format!("the other one is {}", other.file.path.display());
            self.problems.push(Problem::new("/name", "another pipeline has this name").help(help));
        }
    }
}

fn sinks(file: &Value) -> Vec<Problem> {
    let list = file.get("sinks").and_then(Value::as_array);
    if list.is_some_and(Vec::is_empty) {
        return vec![Problem::new("/sinks", "a pipeline has at least one sink")];
    }
    let mut problems = Vec::new();
    let mut names: Vec<Name> = Vec::new();
    for (index, sink) in list.into_iter().flatten().enumerate() {
        let pointer = format!("/sinks/{index}");
        problems.extend(check_sink(sink).into_iter().map(|problem| problem.under(&pointer)));
        let name = sink.get("name").and_then(Value::as_str);
        let Some(name) = name.and_then(|name| Name::try_from(name.to_owned()).ok()) else {
            continue;
        };
        if names.iter().any(|other| name.is_same_file(other)) {
            let problem =
                Problem::new(format!("{pointer}/name"), "another sink of this pipeline has this name");
            problems.push(problem.help("each sink keeps its checkpoint under its name"));
        }
        names.push(name);
    }
    problems
}

/// Lets each connector and transform check its own block.
fn connectors(file: &Value, registry: &Registry) -> Vec<Problem> {
    let mut problems = Vec::new();
    if let Some((name, config)) = file.get("source").and_then(|source| block(source, "connector")) {
        let found = registry.source(name).map(|factory| factory.check(config));
        problems.extend(placed(found, "/source", "connector"));
    }
    for (index, transform) in list(file, "transforms") {
        if let Some((name, config)) = block(transform, "transform") {
            let found = registry.transform(name).map(|factory| factory.check(config));
            problems.extend(placed(found, &format!("/transforms/{index}"), "transform"));
        }
    }
    for (index, sink) in list(file, "sinks") {
        if let Some((name, config)) = block(sink, "connector") {
            let found = registry.sink(name).map(|factory| factory.check(config));
            problems.extend(placed(found, &format!("/sinks/{index}"), "connector"));
        }
    }
    if let Some((name, config)) = file.get("dead_letter").and_then(|sink| block(sink, "connector")) {
        let found = registry.sink(name).map(|factory| factory.check(config));
        problems.extend(placed(found, "/dead_letter", "connector"));
    }
    if let Some(block) = file.get("checkpoint").filter(|block| block.is_object())
        && let Some(name) = block.get("store").map_or(Some(FILE_STORE), Value::as_str)
    {
        let config = block.get("config").unwrap_or(&Value::Null);
        problems.extend(placed(store(name, config, registry), "/checkpoint", "store"));
    }
    problems
}

/// What is wrong with the configuration of a checkpoint store.
fn store(name: &str, config: &Value, registry: &Registry) -> Result<Vec<Problem>, Problem> {
    match (name, config) {
        (FILE_STORE, Value::Null) => Ok(Vec::new()),
        (FILE_STORE, _) => {
            let problem = Problem::new("", "the file store has no configuration");
            Ok(vec![problem.help("leave out `config`; --data-dir says where the file lies")])
        }
        _ => registry.store(name).map(|factory| factory.check(config)),
    }
}

fn list<'a>(file: &'a Value, key: &str) -> impl Iterator<Item = (usize, &'a Value)> {
    file.get(key).and_then(Value::as_array).into_iter().flatten().enumerate()
}

/// The name that stands at `key`, and the configuration beside it.
fn block<'a>(value: &'a Value, key: &str) -> Option<(&'a str, &'a Value)> {
    let name = value.get(key)?.as_str()?;
    Some((name, value.get("config").unwrap_or(&Value::Null)))
}

fn placed(found: Result<Vec<Problem>, Problem>, pointer: &str, key: &str) -> Vec<Problem> {
    match found {
        Ok(problems) => {
            let below = format!("{pointer}/config");
            problems.into_iter().map(|problem| problem.under(&below)).collect()
        }
        Err(unknown) => vec![unknown.under(&child(pointer, key))],
    }
}

fn build(pipeline: Pipeline, file: &Arc<File>, mask: &Mask) -> PipelineConfig {
    let block = |pointer: String, connector: String, resolved: Value| {
        let config = file.root.locate(&format!("{pointer}/config"));
        let written = if config.exact { reference::written(config.node) } else { Value::Null };
        Block { connector, pointer, written, resolved }
    };
    let source = block("/source".to_owned(), pipeline.source.connector, pipeline.source.config);
    let transforms = pipeline.transforms.into_iter().enumerate();
    let transforms = transforms
        .map(|(index, step)| block(format!("/transforms/{index}"), step.transform, step.config))
        .collect();
    let sinks = pipeline.sinks.into_iter().enumerate().map(|(index, sink)| SinkConfig {
        name: sink.name.as_str().to_owned(),
        on_record_error: sink.on_record_error.map(Into::into).unwrap_or_default(),
        settings: sink.settings(&pipeline.checkpoint),
        sink: block(format!("/sinks/{index}"), sink.connector, sink.config),
    });
    let sinks = sinks.collect();
    let dead_letter = pipeline.dead_letter.map(|place| DeadLetterConfig {
        middleware: place.middleware(),
        limit: place.limit.settings(),
        sink: block("/dead_letter".to_owned(), place.connector, place.config),
    });
    let Checkpoint { store, config, .. } = pipeline.checkpoint;
    let checkpoints = (store != FILE_STORE).then(|| block("/checkpoint".to_owned(), store, config));
    PipelineConfig {
        name: pipeline.name.as_str().to_owned(),
        source,
        transforms,
        sinks,
        dead_letter,
        checkpoints,
        file: Arc::clone(file),
        mask: mask.clone(),
    }
}
