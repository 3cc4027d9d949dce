//! The pipelines of the demonstration: each runs by itself, and one's own are restarted when their file is saved.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use futures::future::join_all;
use tokio::task::JoinHandle;
use weir_host::config::{self, Lookup, PipelineConfig, Report};
use weir_host::control::Control;
use weir_host::registry::Registry;
use weir_host::run::{Host, Kept};
use weir_host::stop::{Stop, Stopper};

use crate::output;

/// What runs, by the pipeline's name.
pub(crate) struct Pipelines<'a> {
    pub(crate) registry: &'a Registry,
    pub(crate) lookup: &'a dyn Lookup,
    pub(crate) kept: Kept,
    pub(crate) control: Control,
    /// How long a pipeline may drain.
    pub(crate) drain: Duration,
    pub(crate) running: BTreeMap<String, Running>,
}

/// A pipeline that runs.
pub(crate) struct Running {
    /// Its file as it was when it was started.
    text: String,
    stopper: Stopper,
    ended: JoinHandle<()>,
}

/// When the files were saved last, and how large they are.
type Snapshot = BTreeMap<PathBuf, (Option<SystemTime>, u64)>;

impl Pipelines<'_> {
    /// How often the files are looked at.
    const LOOK: Duration = Duration::from_millis(300);

    /// Starts what is new, restarts what has changed, and stops what is gone.
    ///
    /// # Errors
    /// A connector that nobody knows.
    pub(crate) async fn apply(&mut self, wanted: Vec<PipelineConfig>) -> anyhow::Result<()> {
        let texts: Vec<_> = wanted.iter().map(|pipeline| text(pipeline.path())).collect();
        let stays = |name: &str, running: &Running| {
            wanted.iter().zip(&texts).any(|(pipeline, text)| pipeline.name == name && *text == running.text)
        };
        let stopped: Vec<_> = self.running.extract_if(.., |name, running| !stays(name, running)).collect();
        join_all(stopped.into_iter().map(|(_, running)| running.stop(self.drain))).await;
        for (pipeline, text) in wanted.into_iter().zip(texts) {
            if self.running.contains_key(&pipeline.name) {
                continue;
            }
            let (stopper, stop) = Stopper::new();
            let name = pipeline.name.clone();
            let host = Host::start(&[pipeline], self.registry, &self.kept, &self.control, &stop)
                .map_err(|problem| anyhow::anyhow!("{}", problem.message))?;
            let ended = tokio::spawn(async move { drop(host.ended().await) });
            self.running.insert(name, Running { text, stopper, ended });
        }
        Ok(())
    }

    /// Applies the files whenever one is saved, until `stop`. Files with problems are reported, and what ran goes on.
    ///
    /// # Errors
    /// A connector that nobody knows.
    pub(crate) async fn watch(&mut self, files: &[PathBuf], stop: &Stop) -> anyhow::Result<()> {
        let mut seen = snapshot(files);
        loop {
            tokio::select! {
                () = stop.requested() => return Ok(()),
                () = tokio::time::sleep(Self::LOOK) => {}
            }
            let now = snapshot(files);
            if now == seen {
                continue;
            }
            seen = now;
            match self.load(files) {
                Ok(wanted) => self.apply(wanted).await?,
                Err(report) => output::report(&report),
            }
        }
    }

    /// The pipelines of these files.
    pub(crate) fn load(&self, files: &[PathBuf]) -> Result<Vec<PipelineConfig>, Report> {
        config::load(files, self.registry, self.lookup)
    }

    /// Drains and ends all of them.
    pub(crate) async fn stop(&mut self) {
        let running = std::mem::take(&mut self.running);
        join_all(running.into_values().map(|running| running.stop(self.drain))).await;
    }
}

impl Running {
    async fn stop(self, drain: Duration) {
        self.stopper.stop(drain);
        // Its tasks catch their own panics.
        self.ended.await.ok();
    }
}

/// What the file holds; the example's own lies in the binary, and does not change.
fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn snapshot(files: &[PathBuf]) -> Snapshot {
    let listed = |path: &PathBuf| match fs::read_dir(path) {
        Ok(entries) => entries.flatten().map(|entry| entry.path()).collect(),
        Err(_) => vec![path.clone()],
    };
    let seen = |path: PathBuf| {
        let facts = path.metadata().ok().map(|facts| (facts.modified().ok(), facts.len()));
        (path, facts.unwrap_or_default())
    };
    files.iter().flat_map(listed).map(seen).collect()
}
