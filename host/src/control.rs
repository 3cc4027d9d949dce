//! `Control`: what an operator sees of the running tasks and asks of them. Every other way in is an adapter over it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use tokio::time::Instant;
use weir_sdk::TaskId;
use weir_sdk::config::name_help;
use weir_sdk::metrics::Metrics;

use crate::gap::Acceptance;
use crate::orders::{self, Command, Giver, Orders};
use crate::state::{Board, Pen, State, TaskStatus};

/// The tasks of a host. Cloning shares them.
#[derive(Clone, Debug, Default)]
pub struct Control {
    board: Board,
    givers: Arc<Mutex<BTreeMap<TaskId, Giver>>>,
    accepted: Arc<[Target]>,
}

/// A task, every task of a pipeline, or all there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// `PIPELINE/SINK`
    Task(TaskId),
    /// `PIPELINE`
    Pipeline(String),
    /// `all`
    All,
}

/// What came of an order.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Every task that was meant, as it is now.
    pub tasks: BTreeMap<TaskId, TaskStatus>,
    /// All of them have done it. If not, they still will.
    pub is_done: bool,
}

/// Why an order was not given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Nothing has this name.
    Unknown(Unknown),
    /// What has this name cannot do it now: why, and what to do.
    Conflict(String, &'static str),
}

/// A name that nothing has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// What there is not.
    pub message: String,
    /// What was meant, or what there is.
    pub help: String,
}

impl Control {
    /// How long an order is waited for; what takes longer is done all the same.
    const PATIENCE: Duration = Duration::from_secs(20);

    /// Of a host whose operator accepts one gap of each of these tasks.
    pub fn accepting_gaps(accepted: Vec<Target>) -> Self {
        Self { accepted: accepted.into(), ..Self::default() }
    }

    /// Where every task shows its state.
    pub fn board(&self) -> &Board {
        &self.board
    }

    /// Adds a task, as being built; gives its supervisor the pen for its line and the ear for its orders.
    pub fn enter(&self, task: TaskId, metrics: Metrics) -> (Pen, Orders) {
        let (giver, orders) = orders::channel();
        self.givers().insert(task.clone(), giver);
        (self.board.enter(task, metrics), orders)
    }

    /// Whether a gap of this task is accepted.
    pub fn acceptance(&self, task: &TaskId) -> Acceptance {
        let accepted = self.accepted.iter().any(|target| target.means(task));
        if accepted { Acceptance::given() } else { Acceptance::default() }
    }

    /// Gives an order to every task that is meant and can obey, and waits a while until they have.
    ///
    /// # Errors
    /// Nothing of that name, or none of that name can obey.
    pub async fn order(&self, command: Command, target: &Target) -> Result<Answer, Refusal> {
        let all = self.board.tasks();
        let meant = target.among(all.keys()).map_err(Refusal::Unknown)?;
        let givers = {
            let givers = self.givers();
            let able = meant.iter().filter_map(|task| givers.get(task));
            able.filter(|giver| can(command, giver)).cloned().collect::<Vec<_>>()
        };
        if givers.is_empty() {
            return Err(conflict(target, all[&meant[0]].state));
        }
        givers.iter().for_each(|giver| giver.order(command));
        let deadline = Instant::now() + Self::PATIENCE;
        let obeyed = givers.iter().map(|giver| giver.obeyed(deadline - Instant::now()));
        let is_done = join_all(obeyed).await.into_iter().all(|obeyed| obeyed);
        let mut tasks = self.board.tasks();
        tasks.retain(|task, _| meant.contains(task));
        Ok(Answer { tasks, is_done })
    }

    fn givers(&self) -> MutexGuard<'_, BTreeMap<TaskId, Giver>> {
        self.givers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A paused task stays so until it is resumed.
fn can(command: Command, giver: &Giver) -> bool {
    let may_run = command != Command::Restart || !giver.is_halted();
    may_run && !giver.is_over()
}

fn conflict(target: &Target, state: State) -> Refusal {
    match state {
        State::Stopped => Refusal::Conflict(
            format!("{target} has stopped"),
            "it hears no orders any more; its reason stands in /health, and a new run starts it again",
        ),
        _ => Refusal::Conflict(format!("{target} is paused"), "resume it: that builds it anew"),
    }
}

impl Target {
    /// The tasks that are meant; at least one.
    ///
    /// # Errors
    /// Nothing has this name.
    pub fn among<'a>(&self, tasks: impl Iterator<Item = &'a TaskId> + Clone) -> Result<Vec<TaskId>, Unknown> {
        let meant: Vec<_> = tasks.clone().filter(|task| self.means(task)).cloned().collect();
        if !meant.is_empty() {
            return Ok(meant);
        }
        let mut pipelines: Vec<_> = tasks.clone().map(|task| task.pipeline.as_str()).collect();
        pipelines.dedup();
        let (message, help) = match self {
            Self::Task(TaskId { pipeline, sink }) if pipelines.contains(&pipeline.as_str()) => {
                let sinks = tasks.filter(|task| task.pipeline == *pipeline).map(|task| task.sink.as_str());
                let help = name_help(sink, &sinks.collect::<Vec<_>>(), "its sinks");
                (format!("pipeline `{pipeline}` has no sink `{sink}`"), help)
            }
            Self::Task(TaskId { pipeline, .. }) | Self::Pipeline(pipeline) => {
                let help = name_help(pipeline, &pipelines, "pipelines");
                (format!("there is no pipeline `{pipeline}`"), help)
            }
            Self::All => ("there is no task".to_owned(), "run a pipeline".to_owned()),
        };
        Err(Unknown { message, help })
    }

    fn means(&self, task: &TaskId) -> bool {
        match self {
            Self::Task(wanted) => wanted == task,
            Self::Pipeline(pipeline) => *pipeline == task.pipeline,
            Self::All => true,
        }
    }
}

impl FromStr for Target {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('/') {
            None if text == "all" => Ok(Self::All),
            None if !text.is_empty() => Ok(Self::Pipeline(text.to_owned())),
            Some((pipeline, sink)) if !pipeline.is_empty() && !sink.is_empty() && !sink.contains('/') => {
                Ok(Self::Task(TaskId { pipeline: pipeline.to_owned(), sink: sink.to_owned() }))
            }
            _ => Err("write PIPELINE, PIPELINE/SINK or all"),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Task(task) => task.fmt(f),
            Self::Pipeline(pipeline) => pipeline.fmt(f),
            Self::All => f.write_str("all"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Control, Target};
    use weir_sdk::TaskId;
    use weir_sdk::metrics::Metrics;

    fn tasks() -> Vec<TaskId> {
        let ids = [("orders", "table"), ("orders", "topic"), ("stock", "topic")];
        ids.map(|(pipeline, sink)| TaskId { pipeline: pipeline.into(), sink: sink.into() }).into()
    }

    #[test]
    fn a_name_means_a_task_a_pipeline_or_all() {
        let meant = |name: &str| {
            let found = name.parse::<Target>().unwrap().among(tasks().iter());
            found.map(|found| found.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
        };
        assert_eq!(meant("orders/topic").unwrap(), "orders/topic");
        assert_eq!(meant("orders").unwrap(), "orders/table orders/topic");
        assert_eq!(meant("all").unwrap(), "orders/table orders/topic stock/topic");
        let unknown =
            |name: &str| meant(name).map_err(|unknown| (unknown.message, unknown.help)).unwrap_err();
        let told = |message: &str, help: &str| (message.to_owned(), help.to_owned());
        assert_eq!(unknown("ordres"), told("there is no pipeline `ordres`", "did you mean `orders`?"));
        assert_eq!(unknown("x/topic"), told("there is no pipeline `x`", "pipelines: orders, stock"));
        assert_eq!(
            unknown("orders/tobic"),
            told("pipeline `orders` has no sink `tobic`", "did you mean `topic`?")
        );
        for wrong in ["", "/", "a/", "/b", "a/b/c"] {
            assert!(wrong.parse::<Target>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_gap_is_accepted_where_the_operator_said_so() {
        let control = Control::accepting_gaps(vec!["orders/topic".parse().unwrap()]);
        let accepted: Vec<_> = tasks().iter().map(|task| control.acceptance(task).take_up()).collect();
        assert_eq!(accepted, [false, true, false]);
        let (pen, _orders) = control.enter(tasks().remove(0), Metrics::default());
        pen.running();
        assert_eq!(control.board().tasks().len(), 1);
    }
}
