//! `DeadLetter`: a record that no retry can help, with who refused it and why, as a record again and back.
//!
//! Any sink can keep dead letters and any source can give them back, because a dead letter travels as a record: key,
//! value, headers and time are those that the source gave, and the facts are headers behind them ([`headers`]). Nothing
//! is lost on the way: [`DeadLetter::from_record`] gives back what [`DeadLetter::into_record`] was given, also after a
//! far side that knows milliseconds only and has offsets of its own.
//!
//! The same record that fails again has the same [`Id`], so where the far side has keys, repeats overwrite.

pub mod headers;
mod id;
#[cfg(test)]
mod tests;

use std::error::Error as _;
use std::fmt;

use crate::error::{Error, ErrorKind};
use crate::record::{Record, Timestamp};
use crate::store::TaskId;

pub use id::Id;

/// A failed record and what is known of its failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// As the source gave it, origin and all; replay marks are taken off.
    pub record: Record,
    /// Who, where, why, when, how often.
    pub facts: Facts,
}

/// Who refused a record, where, why, when, how often. Neither secrets nor payloads are among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The same for the same record at the same task, however often it fails.
    pub id: Id,
    /// The task that it did not get through.
    pub task: TaskId,
    /// Where on its way it was refused.
    pub stage: Stage,
    /// The connector or transform that refused it.
    pub refused_by: String,
    /// What kind of error; [`ErrorKind::Record`] unless attempts ran out.
    pub kind: ErrorKind,
    /// What went wrong.
    pub message: String,
    /// What to do about it, as a sentence for the operator.
    pub advice: String,
    /// How often it was tried, at least once.
    pub attempts: u32,
    /// When it was first given up, before any replay.
    pub first_failed: Timestamp,
    /// When it was given up this time.
    pub last_failed: Timestamp,
    /// How often it had been replayed before.
    pub replays: u32,
}

/// Where on its way a record was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// The source could not make a whole record of what it read.
    Source,
    /// A transform refused it.
    Transform,
    /// The sink refused it, or attempts ran out.
    Sink,
}

/// A failure, as [`DeadLetter::new`] takes it.
#[derive(Clone, Copy, Debug)]
pub struct Failure<'a> {
    /// Where on its way the record was refused.
    pub stage: Stage,
    /// The connector or transform that refused it.
    pub refused_by: &'a str,
    /// Why.
    pub error: &'a Error,
    /// What to do, when the error does not say.
    pub advice: &'a str,
    /// When it was given up.
    pub at: Timestamp,
}

impl DeadLetter {
    /// The most bytes of a message or an advice that are kept: a far side's limit on headers must not refuse them.
    pub const LONGEST_TEXT: usize = 2048;

    /// Makes a dead letter of a record as its source gave it. Marks of earlier replays go from the record to the facts.
    pub fn new(mut record: Record, task: &TaskId, failure: Failure<'_>) -> Self {
        let marks = headers::take_replay_marks(&mut record.headers);
        let facts = Facts {
            id: Id::of(task, &record.origin),
            task: task.clone(),
            stage: failure.stage,
            refused_by: failure.refused_by.to_owned(),
            kind: root_kind(failure.error),
            message: shortened(failure.error.to_string()),
            advice: shortened(failure.error.operator_advice().unwrap_or(failure.advice).to_owned()),
            attempts: failure.error.attempts(),
            first_failed: marks.first_failed.unwrap_or(failure.at),
            last_failed: failure.at,
            replays: marks.replays,
        };
        Self { record, facts }
    }

    /// The record with its facts as headers behind its own.
    pub fn into_record(self) -> Record {
        headers::write(self)
    }

    /// Takes the facts off the headers again, and restores time and origin.
    ///
    /// # Errors
    /// [`ErrorKind::Record`], naming the header that is absent or unreadable: this is no dead letter.
    pub fn from_record(record: Record) -> Result<Self, Error> {
        headers::read(record)
    }

    /// The record to send through its pipeline once more. It keeps its origin, hence its id, and carries how often it
    /// was replayed, so that no record goes round for ever.
    pub fn into_replay(self) -> Record {
        headers::mark_replay(self)
    }
}

impl Stage {
    /// Every stage, in the order of the way.
    pub const ALL: [Self; 3] = [Self::Source, Self::Transform, Self::Sink];

    /// The name in headers, columns and filters.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Transform => "transform",
            Self::Sink => "sink",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The kind of the error at the root: where attempts ran out, what was tried again.
fn root_kind(error: &Error) -> ErrorKind {
    match error.source().and_then(|cause| cause.downcast_ref::<Error>()) {
        Some(cause) => root_kind(cause),
        None => error.kind(),
    }
}

fn shortened(mut text: String) -> String {
    if text.len() > DeadLetter::LONGEST_TEXT {
        text.truncate(text.floor_char_boundary(DeadLetter::LONGEST_TEXT - '…'.len_utf8()));
        text.push('…');
    }
    text
}
