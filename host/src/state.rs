//! The states of a task, which of them may follow which, and the board on which every task shows its own.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use weir_sdk::TaskId;
use weir_sdk::metrics::{Metrics, names};

use crate::config::Mask;

/// What a task does now. The order is that of the metric `weir_task_state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum State {
    /// Records flow, or would if there were any.
    Running,
    /// Records flow, but a guarantee is weaker than promised; the reason says which.
    Degraded,
    /// Waiting for a far side that is down. Nothing is lost, given up or skipped.
    Parked,
    /// Halted by the operator.
    Paused,
    /// Being built, at the start or after a failure.
    Restarting,
    /// Needs the operator; tried again now and then.
    Failed,
    /// What its checkpoint points at is gone.
    Gap,
    /// Ended: drained at shutdown, fenced by another owner, or the source came to its end.
    Stopped,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 8] = [
        Self::Running,
        Self::Degraded,
        Self::Parked,
        Self::Paused,
        Self::Restarting,
        Self::Failed,
        Self::Gap,
        Self::Stopped,
    ];

    /// The table of transitions: which states may follow this one.
    pub fn next(self) -> &'static [Self] {
        use State::{Degraded, Failed, Gap, Parked, Paused, Restarting, Running, Stopped};
        match self {
            Restarting => &[Running, Parked, Failed, Gap, Paused, Stopped],
            Running => &[Degraded, Parked, Paused, Restarting, Failed, Gap, Stopped],
            Degraded => &[Running, Parked, Paused, Restarting, Failed, Gap, Stopped],
            Parked => &[Running, Degraded, Paused, Restarting, Failed, Gap, Stopped],
            Failed | Gap => &[Paused, Restarting, Stopped],
            Paused => &[Restarting, Stopped],
            Stopped => &[],
        }
    }

    /// The name in `/health`, logs and docs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "RUNNING",
            Self::Degraded => "DEGRADED",
            Self::Parked => "PARKED",
            Self::Paused => "PAUSED",
            Self::Restarting => "RESTARTING",
            Self::Failed => "FAILED",
            Self::Gap => "GAP",
            Self::Stopped => "STOPPED",
        }
    }
}

/// One task as `/health` shows it.
#[derive(Clone, Debug)]
pub struct TaskStatus {
    /// What it does now.
    pub state: State,
    /// Why, unless it simply runs: what happened, and what to do.
    pub reason: Option<String>,
    /// Since when it has been in this state.
    pub since: SystemTime,
    /// It has run at least once since the process began.
    pub has_run: bool,
    /// Its figures, the connector's own among them.
    pub metrics: Metrics,
}

/// Every task's status; cloning shares it. Each task writes its own line only.
#[derive(Clone, Debug, Default)]
pub struct Board(Arc<Mutex<BTreeMap<TaskId, TaskStatus>>>);

impl Board {
    /// Adds a task, as being built, and gives it the pen for its line.
    pub fn enter(&self, task: TaskId, metrics: Metrics) -> Pen {
        let status = TaskStatus {
            state: State::Restarting,
            reason: Some("starting".to_owned()),
            since: SystemTime::now(),
            has_run: false,
            metrics: metrics.clone(),
        };
        metrics.gauge(names::TASK_STATE).set(State::Restarting as u8 as f64);
        metrics.gauge(names::TASK_PARKED).set(0.0);
        self.lines().insert(task.clone(), status);
        Pen { board: self.clone(), task, mask: Mask::default(), note: None }
    }

    /// Every task's status, by name.
    pub fn tasks(&self) -> BTreeMap<TaskId, TaskStatus> {
        self.lines().clone()
    }

    fn lines(&self) -> std::sync::MutexGuard<'_, BTreeMap<TaskId, TaskStatus>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes one task's line on the board, and logs its transitions: the one place where they are logged.
#[derive(Clone, Debug)]
pub struct Pen {
    board: Board,
    task: TaskId,
    mask: Mask,
    note: Option<Arc<str>>,
}

impl Pen {
    /// Hides in every reason what the references of a pipeline file stand for.
    #[must_use]
    pub fn hiding(self, mask: Mask) -> Self {
        Self { mask, ..self }
    }

    /// Shows this while the task runs, as what an operator must not overlook.
    #[must_use]
    pub fn noting(self, note: &str) -> Self {
        Self { note: Some(note.into()), ..self }
    }

    /// The task runs.
    pub fn running(&self) {
        match &self.note {
            Some(note) => self.because(State::Running, &**note),
            None => self.write(State::Running, None),
        }
    }

    /// The task is in `state`, and why.
    pub fn because(&self, state: State, reason: impl Into<String>) {
        self.write(state, Some(self.hide(&reason.into())));
    }

    /// Hides in a text what no reason may show.
    pub fn hide(&self, text: &str) -> String {
        self.mask.apply(text).into_owned()
    }

    /// What the task does now.
    pub fn state(&self) -> State {
        self.board.lines().get(&self.task).map_or(State::Stopped, |status| status.state)
    }

    fn write(&self, state: State, reason: Option<String>) {
        let mut lines = self.board.lines();
        let Some(status) = lines.get_mut(&self.task) else {
            return;
        };
        let from = status.state;
        if from == state {
            status.reason = reason;
            return;
        }
        debug_assert!(from.next().contains(&state), "{from:?} may not be followed by {state:?}");
        status.state = state;
        status.since = SystemTime::now();
        status.has_run |= state == State::Running;
        status.metrics.gauge(names::TASK_STATE).set(state as u8 as f64);
        let parked = status.metrics.gauge(names::TASK_PARKED);
        if state == State::Parked {
            parked.count_from_now();
        } else {
            parked.set(0.0);
        }
        status.reason.clone_from(&reason);
        drop(lines);
        log_transition(&self.task, from, state, reason.as_deref().unwrap_or_default());
    }
}

fn log_transition(task: &TaskId, from: State, to: State, reason: &str) {
    let (from, to) = (from.as_str(), to.as_str());
    match to {
        "FAILED" | "GAP" => tracing::error!(%task, from, to, reason, "task needs the operator"),
        "PARKED" | "RESTARTING" | "DEGRADED" => tracing::warn!(%task, from, to, reason, "task state changed"),
        _ => tracing::info!(%task, from, to, reason, "task state changed"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Board, State};
    use weir_sdk::TaskId;
    use weir_sdk::metrics::{Metrics, names};

    #[test]
    fn every_state_but_the_last_can_stop_and_none_follows_itself() {
        for state in State::ALL {
            assert_eq!(state.next().contains(&State::Stopped), state != State::Stopped, "{state:?}");
            assert!(!state.next().contains(&state), "{state:?}");
        }
    }

    #[test]
    fn the_board_shows_state_reason_and_figure() {
        let (board, metrics) = (Board::default(), Metrics::default());
        let task = TaskId { pipeline: "orders".into(), sink: "topic".into() };
        let pen = board.enter(task.clone(), metrics.clone());
        assert!(!board.tasks()[&task].has_run);
        pen.running();
        pen.because(State::Parked, "broker unreachable");
        let status = &board.tasks()[&task];
        assert_eq!((status.state, status.reason.as_deref()), (State::Parked, Some("broker unreachable")));
        assert!(status.has_run);
        assert_eq!(metrics.gauge(names::TASK_STATE).get(), 2.0);
        let mut parked = std::iter::repeat_with(|| metrics.gauge(names::TASK_PARKED).get());
        assert!(parked.by_ref().take(10_000_000).any(|seconds| seconds > 0.0));
        pen.running();
        assert_eq!(parked.next(), Some(0.0));
    }
}
