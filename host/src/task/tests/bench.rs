//! The workbench of these tests: a spec over memory, run by its supervisor.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinHandle;
use weir_sdk::metrics::Metrics;
use weir_sdk::store::Saved;
use weir_sdk::testing::MemorySource;
use weir_sdk::{Checkpoint, CheckpointStore, Error, SinkFactory, TaskId, async_trait};

use crate::control::{Control, Target};
use crate::gap::Acceptance;
use crate::orders::Command;
use crate::state::State;
use crate::stop::{Stop, Stopper};
use crate::supervisor::{self, Outcome};
use crate::task::{Settings, Spec};

/// A checkpoint store in memory, with the errors of its next saves; it hangs at the next save while `disk` is held.
#[derive(Clone, Default)]
pub(super) struct MemoryCheckpoints {
    pub(super) saved: Arc<Mutex<BTreeMap<TaskId, Saved>>>,
    pub(super) saves: Arc<Mutex<Vec<Checkpoint>>>,
    pub(super) refusals: Arc<Mutex<Vec<Error>>>,
    pub(super) disk: Arc<tokio::sync::Mutex<()>>,
    /// What another host saves just before the next claim.
    pub(super) elsewhere: Arc<Mutex<Option<Checkpoint>>>,
    /// How often a task was claimed.
    pub(super) claims: Arc<AtomicUsize>,
}

#[async_trait]
impl CheckpointStore for MemoryCheckpoints {
    async fn load(&self, task: &TaskId) -> Result<Option<Saved>, Error> {
        Ok(self.saved.lock().unwrap().get(task).cloned())
    }

    async fn claim(&self, task: &TaskId) -> Result<Option<Saved>, Error> {
        self.claims.fetch_add(1, Ordering::Relaxed);
        if let Some(later) = self.elsewhere.lock().unwrap().take() {
            self.saved.lock().unwrap().get_mut(task).unwrap().checkpoint.merge(later);
        }
        self.load(task).await
    }

    async fn save(&self, task: &TaskId, identity: &str, checkpoint: &Checkpoint) -> Result<(), Error> {
        let _disk = self.disk.lock().await;
        if let Some(error) = self.refusals.lock().unwrap().pop() {
            return Err(error);
        }
        let mut all = self.saved.lock().unwrap();
        let empty = Saved { identity: identity.to_owned(), checkpoint: Checkpoint::default() };
        let saved = all.entry(task.clone()).or_insert(empty);
        assert_eq!(saved.identity, identity);
        saved.checkpoint.merge(checkpoint.clone());
        self.saves.lock().unwrap().push(checkpoint.clone());
        Ok(())
    }
}

/// A task under its supervisor.
pub(super) struct Bench {
    pub(super) control: Control,
    pub(super) task: TaskId,
    pub(super) store: MemoryCheckpoints,
    pub(super) spec: Spec,
    stopper: Stopper,
    stop: Stop,
}

impl Bench {
    pub(super) fn new(source: &MemorySource, sink: Arc<dyn SinkFactory>) -> Self {
        let task = TaskId { pipeline: "orders".into(), sink: "memory".into() };
        let store = MemoryCheckpoints::default();
        let (stopper, stop) = Stopper::new();
        let spec = Spec {
            id: task.clone(),
            source: source.factory("memory"),
            source_config: serde_json::json!({}),
            transforms: Vec::new(),
            sink,
            sink_config: serde_json::json!({}),
            dead_letter: None,
            checkpoints: Arc::new(store.clone()),
            settings: settings(),
            metrics: Metrics::default(),
            gap: Acceptance::default(),
        };
        Self { control: Control::default(), task, store, spec, stopper, stop }
    }

    pub(super) fn start(&self) -> JoinHandle<Outcome> {
        let (pen, orders) = self.control.enter(self.task.clone(), self.spec.metrics.clone());
        tokio::spawn(supervisor::supervise(self.spec.clone(), pen, self.stop.clone(), orders))
    }

    /// Gives an order for this task, and waits until it is obeyed.
    pub(super) async fn order(&self, command: Command) {
        let answer = self.control.order(command, &Target::Task(self.task.clone())).await.unwrap();
        assert!(answer.is_done, "{command:?}: {:?}", self.shown());
    }

    pub(super) fn stop(&self, limit: Duration) {
        self.stopper.stop(limit);
    }

    pub(super) fn saved(&self) -> Option<Saved> {
        self.store.saved.lock().unwrap().get(&self.task).cloned()
    }

    pub(super) fn shown(&self) -> (State, String) {
        let status = self.control.board().tasks().remove(&self.task).unwrap();
        (status.state, status.reason.unwrap_or_default())
    }

    /// Waits, on the paused clock, until the task shows this state; the reason.
    pub(super) async fn until(&self, state: State) -> String {
        self.until_shown(|shown, _| shown == state).await
    }

    /// Waits, on the paused clock, until what the task shows is what `wanted` says; the reason.
    pub(super) async fn until_shown(&self, wanted: impl Fn(State, &str) -> bool) -> String {
        loop {
            let (shown, reason) = self.shown();
            if wanted(shown, &reason) {
                return reason;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

pub(super) fn settings() -> Settings {
    Settings { lanes: 4, batch_records: 10, batch_bytes: 1 << 20, ..Settings::default() }
}
