//! `DeadLetters`: the one place where a task puts records that no retry can help, from source, transforms and sink.
//!
//! A batch is settled only when its dead letters are durable. When the dead-letter sink is down, the task waits, behind
//! the same middleware as for any sink, and skips nothing. It has no dead letters of its own: what it refuses ends the
//! task. Writes go one after the other, whoever asks, so a flood is counted in one place as well.

mod flood;

use std::error::Error as _;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tokio::sync::{Mutex, mpsc};
use tokio::time::Instant;
use weir_sdk::dead_letter::{DeadLetter, Failure, Stage};
use weir_sdk::metrics::{Counter, names};
use weir_sdk::{
    Context, Error, ErrorKind, Record, Records, Sink, SinkFactory, TaskId, Timestamp, WriteError,
};

use super::Spec;
use super::lanes::{Settled, WriteSize};
use crate::middleware;
use crate::middleware::parking::Parking;
use crate::middleware::policy::{self, Decision};
use flood::Flood;

pub use flood::Limit;

/// Where dead letters go, and how.
#[derive(Clone)]
pub struct Place {
    /// The sink that keeps them.
    pub sink: Arc<dyn SinkFactory>,
    /// The sink's `config:` block, references resolved.
    pub config: Value,
    /// What stands in front of it.
    pub middleware: middleware::Settings,
    /// When so many fail that the fault is not theirs.
    pub limit: Limit,
    /// Which records go there.
    pub on_record_error: OnRecordError,
}

/// What happens to a record that fails by its own fault.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnRecordError {
    /// It goes to the dead letters, and the others flow on.
    #[default]
    DeadLetter,
    /// The task ends in FAILED.
    Stop,
}

/// A record that no retry can help.
#[derive(Clone, Debug)]
pub struct Dead {
    /// As the source gave it.
    pub record: Record,
    /// Where on its way it was refused.
    pub stage: Stage,
    /// The connector or transform that refused it.
    pub refused_by: Arc<str>,
    /// Why.
    pub error: Error,
}

impl Dead {
    /// The error, with the record's place in front; without, where it is about the far side as a whole.
    pub fn placed(&self) -> Error {
        let origin = &self.record.origin;
        let place = format_args!("record {:?} of partition {}", origin.offset, origin.partition);
        match self.stage {
            Stage::Transform => {
                self.error.clone().context(format_args!("transform {} of {place}", self.refused_by))
            }
            Stage::Source | Stage::Sink => match policy::decide(self.error.kind()) {
                Decision::End(_) => self.error.clone(),
                _ => self.error.clone().context(place),
            },
        }
    }
}

/// The open dead letters of a task, or that it has none. Cloning shares them.
#[derive(Clone, Default)]
pub struct DeadLetters(Option<Arc<Open>>);

struct Open {
    task: TaskId,
    /// The dead-letter connector's name.
    name: String,
    sink: Arc<dyn Sink>,
    size: WriteSize,
    on_record_error: OnRecordError,
    turn: Mutex<Flood>,
    written: Counter,
    parking: Parking,
}

impl DeadLetters {
    /// Opens the task's dead-letter sink behind its middleware, if it has one. The task waits for it too: records flow
    /// only where those that fail would be kept.
    ///
    /// # Errors
    /// Why it could not be opened.
    pub async fn open(spec: &Spec, parking: &Parking) -> Result<Self, Error> {
        let Some(place) = &spec.dead_letter else { return Ok(Self::default()) };
        let name = place.sink.name().to_owned();
        let figures = spec.metrics.dead_letters();
        let context = Context::new(spec.id.clone(), figures.clone()).telling(parking.conditions().clone());
        let sink = place.sink.open(place.config.clone(), context).await;
        let sink = sink.map_err(|error| error.context(format_args!("open dead-letter sink {name}")))?;
        let own = parking.of(&format!("dead-letter sink {name}"));
        let sink = middleware::stack(sink, &place.middleware, figures, own);
        Ok(Self(Some(Arc::new(Open {
            task: spec.id.clone(),
            name,
            sink,
            size: WriteSize::of(&spec.settings),
            on_record_error: place.on_record_error,
            turn: Mutex::new(Flood::new(place.limit)),
            written: spec.metrics.counter(names::DLQ_MESSAGES),
            parking: parking.clone(),
        }))))
    }

    /// A record that fails with this error goes to the dead letters.
    pub fn take(&self, error: &Error) -> bool {
        let wanted =
            |open: &Open| open.on_record_error == OnRecordError::DeadLetter || ran_out_of_attempts(error);
        policy::decide(error.kind()) == Decision::Dead && self.0.as_deref().is_some_and(wanted)
    }

    /// Makes the dead letters durable, however long it takes.
    ///
    /// # Errors
    /// What has no place here, a flood, or what the dead-letter sink refused for good: each ends the task, and nothing
    /// is skipped.
    pub async fn bury(&self, dead: Vec<Dead>) -> Result<(), Error> {
        if let Some(other) = dead.iter().find(|dead| !self.take(&dead.error)) {
            return Err(other.placed());
        }
        match &self.0 {
            Some(open) => open.bury(dead).await,
            None => Ok(()),
        }
    }

    /// Buries what never comes to a lane, beside the lanes, until no more can come.
    ///
    /// # Errors
    /// As [`bury`](Self::bury).
    pub async fn bury_all(
        self,
        mut burials: mpsc::UnboundedReceiver<Burial>,
        settled: mpsc::UnboundedSender<Settled>,
    ) -> Result<(), Error> {
        while let Some(Burial { batch, dead }) = burials.recv().await {
            self.bury(dead).await?;
            // Nobody listens any more only when the task is being ended.
            settled.send(Settled { batch }).ok();
        }
        Ok(())
    }

    /// Gives the far side back.
    ///
    /// # Errors
    /// What the far side says.
    pub async fn close(&self) -> Result<(), Error> {
        match &self.0 {
            Some(open) => open.sink.close().await,
            None => Ok(()),
        }
    }
}

/// Dead letters of one batch that never came to a lane.
pub struct Burial {
    /// The batch's number.
    pub batch: u64,
    /// What the source or a transform refused.
    pub dead: Vec<Dead>,
}

impl Open {
    async fn bury(&self, mut dead: Vec<Dead>) -> Result<(), Error> {
        // Of one record several may have been made.
        dead.dedup_by(|next, last| next.record.origin == last.record.origin);
        let Some(last) = dead.last().map(|dead| dead.error.clone()) else { return Ok(()) };
        let count = dead.len();
        let mut flood = self.turn.lock().await;
        flood.admit(count, Instant::now()).map_err(|limit| flooded(limit, &last))?;
        let mut letters: Vec<Record> = dead.into_iter().map(|dead| self.letter(dead)).collect();
        while !letters.is_empty() {
            let rest = letters.split_off(self.size.fitting(&letters));
            let write = Records::from(std::mem::replace(&mut letters, rest));
            self.sink.write(write).await.map_err(|error| self.refused(&error))?;
        }
        self.written.add(count as u64);
        let reason = self.parking.hide(&last.to_string());
        tracing::warn!(task = %self.task, records = count, reason, "records went to the dead letters");
        Ok(())
    }

    fn letter(&self, dead: Dead) -> Record {
        let Dead { record, stage, refused_by, error } = dead;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let at = Timestamp(i64::try_from(now.as_micros()).unwrap_or(i64::MAX));
        let advice = policy::advice(&error);
        let failure = Failure { stage, refused_by: &refused_by, error: &error, advice, at };
        let mut letter = DeadLetter::new(record, &self.task, failure);
        letter.facts.message = self.parking.hide(&letter.facts.message);
        letter.facts.advice = self.parking.hide(&letter.facts.advice);
        letter.into_record()
    }

    fn refused(&self, error: &WriteError) -> Error {
        let error = error.first().clone().context(format_args!("dead-letter sink {}", self.name));
        match policy::decide(error.kind()) {
            Decision::Dead => error.advice(
                "the dead letter itself was refused, and nothing is skipped: make its place take it, or choose another",
            ),
            _ => error,
        }
    }
}

/// The error that the middleware makes when attempts ran out: the record's, caused by what was tried again.
fn ran_out_of_attempts(error: &Error) -> bool {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<Error>());
    cause.is_some_and(|cause| policy::decide(cause.kind()) == Decision::Retry)
}

fn flooded(limit: Limit, last: &Error) -> Error {
    let Limit { failures, window } = limit;
    let message = format!("more than {failures} records failed within {window:?}, the last with: {last}");
    let advice = "so many are hardly at fault themselves: repair what refuses them, or raise `dead_letter.limit`; \
                  nothing is skipped";
    Error::new(ErrorKind::Config, message).advice(advice)
}
