//! The states of a task, which of them may follow which, and the board on which every task shows its own.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use weir_sdk::metrics::{Metrics, names};
use weir_sdk::{Conditions, Degraded, TaskId};

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
            Restarting => &[Running, Degraded, Parked, Failed, Gap, Paused, Stopped],
            Running => &[Degraded, Parked, Paused, Restarting, Failed, Gap, Stopped],
            Degraded => &[Running, Parked, Paused, Restarting, Failed, Gap, Stopped],
            Parked => &[Running, Degraded, Paused, Restarting, Failed, Gap, Stopped],
            Failed => &[Running, Degraded, Parked, Paused, Restarting, Gap, Stopped],
            Gap => &[Running, Degraded, Parked, Paused, Restarting, Failed, Stopped],
            Paused => &[Restarting, Stopped],
            Stopped => &[],
        }
    }

    /// It waits for somebody. While it is tried again now and then it stays in this state, until something goes
    /// through, so that an alert does not come and go.
    pub fn needs_operator(self) -> bool {
        matches!(self, Self::Failed | Self::Gap)
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
pub struct Board(Arc<Mutex<Lines>>);

type Lines = BTreeMap<TaskId, Line>;

#[derive(Debug)]
struct Line {
    status: TaskStatus,
    conditions: Conditions,
    /// What to show of it, and how, if a condition changes; `None` while it does not run.
    flowing: Option<Flowing>,
}

#[derive(Clone, Debug)]
struct Flowing {
    mask: Mask,
    note: Option<Arc<str>>,
}

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
        let conditions = Conditions::default();
        let (board, of) = (Arc::downgrade(&self.0), task.clone());
        conditions.observe(move || {
            if let Some(board) = board.upgrade() {
                Self(board).reconsider(&of);
            }
        });
        self.lines().insert(task.clone(), Line { status, conditions: conditions.clone(), flowing: None });
        Pen { board: self.clone(), task, conditions, mask: Mask::default(), note: None }
    }

    /// Every task's status, by name.
    pub fn tasks(&self) -> BTreeMap<TaskId, TaskStatus> {
        self.lines().iter().map(|(task, line)| (task.clone(), line.status.clone())).collect()
    }

    /// The task's conditions have changed.
    fn reconsider(&self, task: &TaskId) {
        self.change(task, |line| {
            let flowing = line.flowing.as_ref()?;
            matches!(line.status.state, State::Running | State::Degraded)
                .then(|| flowing.shown(&line.conditions))
        });
    }

    /// Writes what `decide` says into a line, if anything, and logs it.
    fn change(&self, task: &TaskId, decide: impl FnOnce(&mut Line) -> Option<(State, Option<String>)>) {
        let mut lines = self.lines();
        let Some(line) = lines.get_mut(task) else { return };
        let Some((to, reason)) = decide(line) else { return };
        let from = line.status.state;
        let is_news = from != to || (to.needs_operator() && line.status.reason != reason);
        line.status.write(to, reason.clone());
        drop(lines);
        if is_news {
            log_transition(task, from, to, reason.as_deref().unwrap_or_default());
        }
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Flowing {
    /// DEGRADED while any condition holds, and otherwise RUNNING.
    fn shown(&self, conditions: &Conditions) -> (State, Option<String>) {
        let note = self.note.as_deref();
        let (state, reason) = match (conditions.reason(), note) {
            (Some(reason), None) => (State::Degraded, Some(reason)),
            (Some(reason), Some(note)) => (State::Degraded, Some(format!("{reason}; {note}"))),
            (None, note) => (State::Running, note.map(str::to_owned)),
        };
        (state, reason.map(|reason| self.mask.apply(&reason).into_owned()))
    }
}

impl TaskStatus {
    fn write(&mut self, state: State, reason: Option<String>) {
        self.reason = reason;
        if self.state == state {
            return;
        }
        let from = self.state;
        debug_assert!(from.next().contains(&state), "{from:?} may not be followed by {state:?}");
        self.state = state;
        self.since = SystemTime::now();
        self.has_run |= matches!(state, State::Running | State::Degraded);
        self.metrics.gauge(names::TASK_STATE).set(state as u8 as f64);
        let parked = self.metrics.gauge(names::TASK_PARKED);
        if state == State::Parked {
            parked.count_from_now();
        } else {
            parked.set(0.0);
        }
    }
}

/// Writes one task's line on the board, and logs its transitions: the one place where they are logged.
#[derive(Clone, Debug)]
pub struct Pen {
    board: Board,
    task: TaskId,
    conditions: Conditions,
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

    /// The task runs: it is RUNNING, or DEGRADED while a guarantee is weaker.
    pub fn running(&self) {
        let flowing = Flowing { mask: self.mask.clone(), note: self.note.clone() };
        self.board.change(&self.task, |line| {
            let shown = flowing.shown(&line.conditions);
            line.flowing = Some(flowing);
            Some(shown)
        });
    }

    /// The task is in `state`, and why.
    pub fn because(&self, state: State, reason: impl Into<String>) {
        let reason = self.hide(&reason.into());
        self.board.change(&self.task, |_| Some((state, Some(reason))));
    }

    /// A guarantee is weaker than promised as long as the answer lives.
    pub fn degraded(&self, reason: impl Into<String>) -> Degraded {
        self.conditions.degraded(reason)
    }

    /// Where connectors say so.
    pub fn conditions(&self) -> &Conditions {
        &self.conditions
    }

    /// The task is about to end: that its parts take back what they said is no news.
    pub fn ending(&self) {
        self.board.change(&self.task, |line| {
            line.flowing = None;
            None
        });
    }

    /// Hides in a text what no reason may show.
    pub fn hide(&self, text: &str) -> String {
        self.mask.apply(text).into_owned()
    }

    /// What the task does now.
    pub fn state(&self) -> State {
        self.board.lines().get(&self.task).map_or(State::Stopped, |line| line.status.state)
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

    #[test]
    fn a_condition_degrades_a_task_that_runs_and_waits_for_one_that_does_not() {
        let board = Board::default();
        let task = TaskId { pipeline: "orders".into(), sink: "topic".into() };
        let pen = board.enter(task.clone(), Metrics::default());
        let shown = || {
            let status = board.tasks().remove(&task).unwrap();
            (status.state, status.reason)
        };
        let memory = pen.degraded("little memory");
        assert_eq!(shown().0, State::Restarting);
        pen.running();
        assert_eq!(shown(), (State::Degraded, Some("little memory".into())));
        assert!(board.tasks()[&task].has_run);
        pen.because(State::Parked, "broker down");
        drop(memory);
        let disk = pen.conditions().degraded("disk full");
        assert_eq!(shown(), (State::Parked, Some("broker down".into())));
        pen.clone().noting("went over a gap").running();
        assert_eq!(shown(), (State::Degraded, Some("disk full; went over a gap".into())));
        drop(disk);
        assert_eq!(shown(), (State::Running, Some("went over a gap".into())));
        let late = pen.degraded("late");
        pen.ending();
        drop(late);
        assert_eq!(shown().0, State::Degraded, "its end is for the supervisor to tell");
    }
}
