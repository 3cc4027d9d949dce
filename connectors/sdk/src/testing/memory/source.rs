//! `MemorySource`: a source that plays a list of steps and can be opened again at any checkpoint.

mod player;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;

use crate::checkpoint::{Checkpoint, Offset, Partition};
use crate::connector::SourceFactory;
use crate::error::{Error, ErrorKind};
use crate::record::Record;
use crate::source::{Commits, Source, Start};
use crate::testing::{factory, lock};
use player::Player;

/// One step of what a [`MemorySource`] plays.
#[derive(Clone, Debug)]
pub enum Step {
    /// One batch of these records, or several where the room is smaller. Origins must be unique per partition.
    Records(Vec<Record>),
    /// A batch without records that moves the checkpoint to here.
    Moved(Checkpoint),
    /// An error, once, however often the source is opened.
    Fails(Error),
    /// A panic, once, however often the source is opened.
    Panics,
    /// Nothing for so long, once; batches without records meanwhile, one a second.
    Waits(Duration),
}

/// Plays its steps from wherever it is opened. Clones share the steps.
#[derive(Clone)]
pub struct MemorySource(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    more: Notify,
}

#[derive(Default)]
struct State {
    steps: Vec<Arc<Step>>,
    /// Faults and waits that have happened.
    done: HashSet<usize>,
    identity: String,
    begin: Checkpoint,
    endless: bool,
    opened_at: Vec<Checkpoint>,
    refusals: VecDeque<Error>,
    down: Option<Error>,
    polls: usize,
    closes: usize,
    commits: Vec<Checkpoint>,
}

impl MemorySource {
    /// Plays these steps, then ends.
    pub fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        let state = State {
            steps: steps.into_iter().map(Arc::new).collect(),
            identity: "memory".into(),
            ..State::default()
        };
        Self(Arc::new(Shared { state: Mutex::new(state), more: Notify::new() }))
    }

    /// Plays these records as one step, then ends.
    pub fn of(records: impl IntoIterator<Item = Record>) -> Self {
        Self::new([Step::Records(records.into_iter().collect())])
    }

    /// Does not end after the last step, but waits for more to be [pushed](MemorySource::push).
    #[must_use]
    pub fn endless(self) -> Self {
        lock(&self.0.state).endless = true;
        self
    }

    /// Gives another [identity](Start::identity) than `memory`.
    #[must_use]
    pub fn with_identity(self, identity: &str) -> Self {
        lock(&self.0.state).identity = identity.into();
        self
    }

    /// Begins partitions that have no checkpoint here, as `start: latest` would.
    #[must_use]
    pub fn with_begin(self, begin: Checkpoint) -> Self {
        lock(&self.0.state).begin = begin;
        self
    }

    /// Adds a step at the end, for sources that are open and for those to come.
    pub fn push(&self, step: Step) {
        lock(&self.0.state).steps.push(Arc::new(step));
        self.0.more.notify_waiters();
    }

    /// Lets an [endless](MemorySource::endless) source end after its last step.
    pub fn end(&self) {
        lock(&self.0.state).endless = false;
        self.0.more.notify_waiters();
    }

    /// The checkpoints at which it was opened, in order.
    pub fn opened_at(&self) -> Vec<Checkpoint> {
        lock(&self.0.state).opened_at.clone()
    }

    /// How often any of its openings was polled.
    pub fn polls(&self) -> usize {
        lock(&self.0.state).polls
    }

    /// How often an opening was closed.
    pub fn closes(&self) -> usize {
        lock(&self.0.state).closes
    }

    /// What it was told to be durable and saved, in order.
    pub fn commits(&self) -> Vec<Checkpoint> {
        lock(&self.0.state).commits.clone()
    }

    /// The next opening fails with `error`; several calls, several openings.
    pub fn refuse_open(&self, error: Error) {
        lock(&self.0.state).refusals.push_back(error);
    }

    /// From now on every opening and every poll fails with `error`, and the steps stand still.
    pub fn down(&self, error: Error) {
        lock(&self.0.state).down = Some(error);
        self.0.more.notify_waiters();
    }

    /// Ends [`down`](MemorySource::down).
    pub fn up(&self) {
        lock(&self.0.state).down = None;
    }

    /// Opens it after `resume`.
    ///
    /// # Errors
    /// [`ErrorKind::Gap`] when `resume` names an offset that no step has.
    pub fn open(&self, resume: Checkpoint) -> Result<Box<dyn Source>, Error> {
        let mut state = lock(&self.0.state);
        state.opened_at.push(resume.clone());
        if let Some(error) = state.down.clone().or_else(|| state.refusals.pop_front()) {
            return Err(error);
        }
        let mut begin = Checkpoint::default();
        for (partition, offset) in state.begin.iter() {
            if let (None, Some(offset)) = (resume.get(partition), offset) {
                begin.set(partition.clone(), offset.as_bytes().clone());
            }
        }
        let mut from = begin.clone();
        from.merge(resume);
        let mut passed = HashMap::new();
        for (partition, offset) in from.iter() {
            let Some(offset) = offset else { continue };
            let place = state.place_of(partition, offset).ok_or_else(|| {
                Error::new(ErrorKind::Gap, format!("{partition}: no step has the offset {offset:?}"))
            })?;
            passed.insert(partition.clone(), place);
        }
        let start = Start { identity: state.identity.clone(), checkpoint: begin };
        Ok(Box::new(Player { shared: self.0.clone(), start, passed, next: (0, 0), wait_ends: None }))
    }

    /// This source as a connector.
    pub fn factory(&self, name: &str) -> Arc<dyn SourceFactory> {
        let handle = self.clone();
        factory::source(name, move |resume| handle.open(resume))
    }
}

/// A step and a record in it.
type Place = (usize, usize);

impl State {
    fn place_of(&self, partition: &Partition, offset: &Offset) -> Option<Place> {
        let inside = |step: &Step| match step {
            Step::Records(records) => records
                .iter()
                .rposition(|record| record.origin.partition == *partition && record.origin.offset == *offset),
            Step::Moved(checkpoint) => (checkpoint.get(partition) == Some(offset)).then_some(0),
            Step::Fails(_) | Step::Panics | Step::Waits(_) => None,
        };
        let mut steps = self.steps.iter().enumerate().rev();
        steps.find_map(|(index, step)| Some((index, inside(step)?)))
    }
}

#[async_trait]
impl Commits for Shared {
    async fn commit(&self, checkpoint: &Checkpoint) -> Result<(), Error> {
        lock(&self.state).commits.push(checkpoint.clone());
        Ok(())
    }
}
