//! `PipelineConfig`: a pipeline that passed every check, as the host runs it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use weir_sdk::config::Problem;

use super::file::File;
use super::mask::Mask;
use super::report::Report;
use crate::task::dead_letters::{Limit, OnRecordError};
use crate::{middleware, task};

/// A pipeline that passed every check.
#[derive(Clone, Debug)]
pub struct PipelineConfig {
    /// Unique among all pipelines of a host, and safe in file names and labels.
    pub name: String,
    /// Where records come from.
    pub source: Block,
    /// What happens to each record in between, in order.
    pub transforms: Vec<Block>,
    /// Where records go; at least one.
    pub sinks: Vec<SinkConfig>,
    /// Where records go that no retry can help.
    pub dead_letter: Option<DeadLetterConfig>,
    /// Where checkpoints are kept, if not in the data directory.
    pub checkpoints: Option<Block>,
    pub(super) file: Arc<File>,
    pub(super) mask: Mask,
}

/// A sink and what stands in front of it.
#[derive(Clone, Debug)]
pub struct SinkConfig {
    /// Unique in the pipeline, and safe in file names and labels.
    pub name: String,
    /// Where records go.
    pub sink: Block,
    /// What happens to a record that fails by its own fault, where there is a place for dead letters.
    pub on_record_error: OnRecordError,
    /// How its task works.
    pub settings: task::Settings,
}

/// A sink that keeps dead letters.
#[derive(Clone, Debug)]
pub struct DeadLetterConfig {
    /// Where they go.
    pub sink: Block,
    /// What stands in front of it.
    pub middleware: middleware::Settings,
    /// How many are too many.
    pub limit: Limit,
}

/// A connector, transform or checkpoint store and its own configuration.
#[derive(Clone)]
pub struct Block {
    /// The name of the connector, transform or store, which the registry knows.
    pub connector: String,
    pub(super) pointer: String,
    pub(super) written: Value,
    pub(super) resolved: Value,
}

impl PipelineConfig {
    /// The file it was read from.
    pub fn path(&self) -> &Path {
        &self.file.path
    }

    /// Hides the values of this file's references in any text that is shown.
    pub fn mask(&self) -> &Mask {
        &self.mask
    }

    /// Where something stands in the configuration of a block, as `FILE:LINE`.
    pub fn line(&self, block: &Block, pointer: &str) -> String {
        let problem = Problem::new(format!("{}/config{pointer}", block.pointer), "");
        let before = &self.file.text[..self.file.place(&problem).start];
        format!("{}:{}", self.file.path.display(), before.matches('\n').count() + 1)
    }

    /// Shows problems that a connector found later, when it opened, in the file: its own report.
    pub fn report(&self, block: &Block, problems: &[Problem]) -> Report {
        let below = format!("{}/config", block.pointer);
        let problems = problems.iter().cloned().map(|problem| problem.under(&below));
        let mut report = Report::default();
        report.add(&self.file, &self.mask, problems.collect());
        report
    }
}

impl Block {
    /// What the connector gets: references resolved, secrets and all.
    pub fn config(&self) -> &Value {
        &self.resolved
    }

    /// What may be shown: references as they were written.
    pub fn written(&self) -> &Value {
        &self.written
    }
}

/// Shows references as they were written.
impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Block").field("connector", &self.connector).field("config", &self.written).finish()
    }
}

/// Shows the path alone.
impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path: &PathBuf = &self.path;
        write!(f, "{}", path.display())
    }
}
