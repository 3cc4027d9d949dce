//! A task: one sink of one pipeline, with its own checkpoint, its own state and its own failures.
//!
//! The life of a record in it:
//!
//! 1. [`reader`] polls the source, beside everything else, for as much as [`budget`] has room for.
//! 2. [`transforms`] makes of each record none, one or several.
//! 3. [`lanes`] splits the batch by key; each lane has one write in flight, through the [middleware].
//! 4. [`dead_letters`] keeps what source, transform or sink refused for good, with the reason.
//! 5. [`progress`] completes batches in the order they were read, whichever lane was first.
//! 6. [`saver`] saves the newest completed checkpoint durably, and then tells the source.
//!
//! In that order, always: nothing is saved before it is durable in the sink or the dead letters, and nothing is
//! committed at the source before it is saved. A slow sink fills the budget, and the reader waits.

pub mod budget;
pub mod dead_letters;
pub mod lanes;
pub mod open;
pub mod progress;
pub mod reader;
pub mod saver;
pub mod transforms;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use weir_sdk::metrics::{Metrics, names};
use weir_sdk::{CheckpointStore, Error, ErrorKind, SinkFactory, SourceFactory, TaskId};

use crate::gap::Acceptance;
use crate::middleware;
use crate::middleware::parking::Parking;
use crate::state::Pen;
use crate::stop::Stop;
use budget::Budget;
use dead_letters::{Burial, DeadLetters};
use lanes::{Lanes, Settled};
use progress::Progress;
use reader::Read;
use saver::Saver;
use transforms::{Applied, Step};

/// All that a task needs to be built, as often as necessary.
#[derive(Clone)]
pub struct Spec {
    /// Which task it is.
    pub id: TaskId,
    /// Where records come from.
    pub source: Arc<dyn SourceFactory>,
    /// The source's `config:` block, references resolved.
    pub source_config: serde_json::Value,
    /// Pure steps in between, in order.
    pub transforms: Vec<Step>,
    /// Where records go.
    pub sink: Arc<dyn SinkFactory>,
    /// The sink's `config:` block, references resolved.
    pub sink_config: serde_json::Value,
    /// Where records go that no retry can help; without it one of these ends the task.
    pub dead_letter: Option<dead_letters::Place>,
    /// Where the checkpoint is kept.
    pub checkpoints: Arc<dyn CheckpointStore>,
    /// How it works.
    pub settings: Settings,
    /// Its figures.
    pub metrics: Metrics,
    /// Whether the operator accepts a gap.
    pub gap: Acceptance,
}

/// How a task works.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Writes in flight, each with its own share of the keys; at least 1.
    pub lanes: usize,
    /// The largest write, in records; at least 1.
    pub batch_records: usize,
    /// The largest write, in bytes; a single larger record goes alone.
    pub batch_bytes: usize,
    /// The most bytes read but not settled.
    pub in_flight_bytes: usize,
    /// The shortest time between two saves of the checkpoint.
    pub checkpoint_interval: Duration,
    /// How long a task that needs the operator waits until it is tried again by itself.
    pub retry_failed: Duration,
    /// What stands in front of the sink.
    pub middleware: middleware::Settings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lanes: 8,
            batch_records: 2000,
            batch_bytes: 2 << 20,
            in_flight_bytes: 64 << 20,
            checkpoint_interval: Duration::from_millis(200),
            retry_failed: Duration::from_secs(300),
            middleware: middleware::Settings::default(),
        }
    }
}

impl Settings {
    /// The most records read but not settled: enough for every lane to have a write waiting, and a bound where records
    /// are so small that bytes are none.
    pub fn in_flight_records(&self) -> usize {
        self.lanes * self.batch_records * 2
    }
}

/// How a task ended without an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The source came to its end, and everything is settled and saved.
    Exhausted,
    /// It was asked to stop, and everything read is settled and saved.
    Drained,
    /// It was asked to stop, and the deadline passed first; what was left is read again next time.
    Abandoned,
}

/// Builds the task and runs it until its source ends, it is asked to stop, or something fails for good.
///
/// # Errors
/// What ended it; all that was settled before is saved.
pub async fn run(spec: &Spec, pen: &Pen, stop: &Stop) -> Result<Ended, Error> {
    let parking = Parking::new(pen.clone());
    let opened = tokio::select! {
        opened = open::open(spec, &parking) => opened?,
        () = stop.requested() => return Ok(Ended::Drained),
    };
    let unproved = pen.state().needs_operator().then(|| pen.clone());
    if unproved.is_none() {
        pen.running();
    }
    let mut saver = Saver::start(spec, opened.identity.clone(), opened.source.commits(), pen.clone());
    let mut flow = Flow::start(spec, opened, parking, stop);
    flow.unproved = unproved;
    let ended = flow.run(&mut saver, stop).await;
    if ended.is_err() {
        pen.ending();
    }
    flow.close().await;
    let patience = async {
        if ended.is_ok() {
            stop.deadline().await;
        }
        tokio::time::sleep(CLOSING).await;
    };
    let saved = tokio::select! {
        saved = saver.finish() => saved,
        // What is not saved is read again, as what is in flight.
        () = patience => return ended.map(|_| Ended::Abandoned),
    };
    let ended = ended?;
    saved?;
    Ok(ended)
}

/// How long a far side, or the disk of the checkpoints, may take to end what it was given.
const CLOSING: Duration = Duration::from_secs(5);

/// The moving parts of a running task.
struct Flow {
    budget: Budget,
    batches: mpsc::UnboundedReceiver<Read>,
    transforms: Vec<Step>,
    lanes: Lanes,
    dead_letters: DeadLetters,
    /// Dead letters that never come to a lane; `None` when no more will come.
    burials: Option<mpsc::UnboundedSender<Burial>>,
    settled: mpsc::UnboundedReceiver<Settled>,
    progress: Progress,
    parts: JoinSet<Result<(), Error>>,
    sink: Arc<dyn weir_sdk::Sink>,
    metrics: Metrics,
    /// Of a task that had failed: it is not said to run before something went through.
    unproved: Option<Pen>,
}

impl Flow {
    fn start(spec: &Spec, opened: open::Opened, parking: Parking, stop: &Stop) -> Self {
        let budget = Budget::new(spec.settings.in_flight_records(), spec.settings.in_flight_bytes);
        let (batches_in, batches) = mpsc::unbounded_channel();
        let (settled_in, settled) = mpsc::unbounded_channel();
        let mut parts = JoinSet::new();
        let reader = reader::Reader::new(opened.source, spec, budget.clone());
        parts.spawn(reader.run(batches_in, parking, stop.clone()));
        let dead_letters = opened.dead_letters;
        let lanes = Lanes::start(spec, &opened.sink, &dead_letters, &settled_in, &mut parts);
        let (burials_in, burials) = mpsc::unbounded_channel();
        parts.spawn(dead_letters.clone().bury_all(burials, settled_in));
        Self {
            budget,
            batches,
            transforms: spec.transforms.clone(),
            lanes,
            dead_letters,
            burials: Some(burials_in),
            settled,
            progress: Progress::default(),
            parts,
            sink: opened.sink,
            metrics: spec.metrics.clone(),
            unproved: None,
        }
    }

    /// Moves batches from the reader to the lanes and completes them, until nothing is left to do.
    async fn run(&mut self, saver: &mut Saver, stop: &Stop) -> Result<Ended, Error> {
        let in_flight = self.metrics.gauge(names::TASK_IN_FLIGHT);
        let mut reading = true;
        while reading || !self.progress.is_empty() {
            tokio::select! {
                biased;
                Some(settled) = self.settled.recv() => {
                    self.progress.settle(settled);
                    while let Ok(more) = self.settled.try_recv() {
                        self.progress.settle(more);
                    }
                    self.complete(saver);
                }
                Some(part) = self.parts.join_next() => ended(part)?,
                error = saver.failed() => return Err(error),
                () = stop.deadline() => return Ok(Ended::Abandoned),
                batch = self.batches.recv(), if reading => match batch {
                    Some(read) => self.admit(read, saver),
                    None => reading = false,
                },
            }
            in_flight.set(self.budget.records_taken() as f64);
        }
        // The reader has ended, and with it its end of the channel; its error, if any, comes before the answer.
        self.finish();
        while let Some(part) = self.parts.join_next().await {
            ended(part)?;
        }
        Ok(if stop.is_requested() { Ended::Drained } else { Ended::Exhausted })
    }

    /// Takes one batch in.
    fn admit(&mut self, read: Read, saver: &Saver) {
        let Read { batch, refused: mut dead, share } = read;
        let as_read = (!self.transforms.is_empty()).then(|| batch.records.clone());
        let Applied { records, refused } = transforms::apply(&self.transforms, batch.records);
        dead.extend(refused);
        let number = self.progress.begin(batch.checkpoint, share);
        let mut parts = self.lanes.send(number, records, as_read);
        if !dead.is_empty()
            && let Some(burials) = &self.burials
        {
            // Closed only by a failure of its own, which ends the task.
            burials.send(Burial { batch: number, dead }).ok();
            parts += 1;
        }
        self.progress.expect(number, parts);
        self.complete(saver);
    }

    /// Hands on to be saved what is settled, with all before it.
    fn complete(&mut self, saver: &Saver) {
        let Some(checkpoint) = self.progress.complete() else { return };
        saver.save(checkpoint);
        if let Some(pen) = self.unproved.take() {
            pen.running();
        }
    }

    /// No more batches will come: lanes and burials end when they have settled what they have.
    fn finish(&mut self) {
        self.lanes.finish();
        self.burials = None;
    }

    /// Ends what still runs and gives the far sides back.
    async fn close(mut self) {
        self.finish();
        self.parts.shutdown().await;
        closed("the sink", self.sink.close()).await;
        closed("the dead-letter sink", self.dead_letters.close()).await;
    }
}

/// Waits for a far side to be given back, but not for ever.
async fn closed(what: &str, closing: impl Future<Output = Result<(), Error>>) {
    match tokio::time::timeout(CLOSING, closing).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "{what} did not close cleanly"),
        Err(_) => tracing::warn!(limit = ?CLOSING, "{what} did not close in time"),
    }
}

/// The end of a part: an error of its own, or a panic, which is a bug.
fn ended(part: Result<Result<(), Error>, tokio::task::JoinError>) -> Result<(), Error> {
    match part {
        Ok(ended) => ended,
        Err(join) if join.is_panic() => {
            let panic = join.into_panic();
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
            Err(Error::new(ErrorKind::Bug, format!("a connector panicked: {text}")))
        }
        Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests;
