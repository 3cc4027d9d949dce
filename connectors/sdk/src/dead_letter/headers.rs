//! The headers of a dead letter: Kafka Connect's names for its tools, and our own, which say all that we know.
//!
//! They stand in one run behind the record's own headers, [`ID`] first. So the last [`ID`] of a record begins the facts,
//! whatever the record's own headers are called: also a dead letter of a dead letter comes apart again.

use std::fmt::Display;
use std::str::FromStr;

use super::{DeadLetter, Facts, Stage};
use crate::checkpoint::{Offset, Partition};
use crate::error::{Error, ErrorKind};
use crate::record::{Header, HeaderName, Headers, Origin, Record, Timestamp};
use crate::store::TaskId;

/// What every name of ours begins with.
pub const OURS: &str = "weir.dlq.";
/// What every name of Kafka Connect's begins with.
pub const CONNECTS: &str = "__connect.errors.";

/// The dead letter's id, in the form of a UUID.
pub const ID: &str = "weir.dlq.id";
/// The pipeline's name.
pub const PIPELINE: &str = "weir.dlq.pipeline";
/// The sink's name.
pub const SINK: &str = "weir.dlq.sink";
/// `source`, `transform` or `sink`.
pub const STAGE: &str = "weir.dlq.stage";
/// The connector or transform that refused the record.
pub const REFUSED_BY: &str = "weir.dlq.refused_by";
/// The kind of error.
pub const KIND: &str = "weir.dlq.kind";
/// What went wrong.
pub const MESSAGE: &str = "weir.dlq.message";
/// What to do about it.
pub const ADVICE: &str = "weir.dlq.advice";
/// How often it was tried.
pub const ATTEMPTS: &str = "weir.dlq.attempts";
/// When it was first given up, in microseconds since 1970; also a replayed record's.
pub const FIRST_FAILED: &str = "weir.dlq.first_failed_us";
/// When it was given up last, in microseconds since 1970.
pub const LAST_FAILED: &str = "weir.dlq.last_failed_us";
/// How often it had been replayed; also a replayed record's.
pub const REPLAYS: &str = "weir.dlq.replays";
/// The source's partition.
pub const PARTITION: &str = "weir.dlq.source_partition";
/// The source's offset, as the source's own bytes.
pub const OFFSET: &str = "weir.dlq.source_offset";
/// The record's own time, in microseconds since 1970.
pub const TIMESTAMP: &str = "weir.dlq.timestamp_us";

/// What a replayed record says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ReplayMarks {
    pub(super) replays: u32,
    pub(super) first_failed: Option<Timestamp>,
}

/// How often this record has been replayed.
pub fn replays(headers: &Headers) -> u32 {
    parsed(headers.get(REPLAYS)).unwrap_or(0)
}

pub(super) fn take_replay_marks(headers: &mut Headers) -> ReplayMarks {
    let first_failed = parsed(headers.get(FIRST_FAILED)).map(Timestamp);
    let marks = ReplayMarks { replays: replays(headers), first_failed };
    headers.remove(REPLAYS);
    headers.remove(FIRST_FAILED);
    marks
}

pub(super) fn mark_replay(letter: DeadLetter) -> Record {
    let DeadLetter { mut record, facts } = letter;
    record.headers.set(REPLAYS, facts.replays.saturating_add(1).to_string());
    record.headers.set(FIRST_FAILED, facts.first_failed.0.to_string());
    record
}

pub(super) fn write(letter: DeadLetter) -> Record {
    let DeadLetter { mut record, facts } = letter;
    let mut told = Told::default();
    told.tell(ID, &facts.id);
    told.tell(PIPELINE, &facts.task.pipeline);
    told.tell(SINK, &facts.task.sink);
    told.tell(STAGE, &facts.stage);
    told.tell(REFUSED_BY, &facts.refused_by);
    told.tell(KIND, &facts.kind);
    told.tell(MESSAGE, &facts.message);
    told.tell(ADVICE, &facts.advice);
    told.tell(ATTEMPTS, &facts.attempts);
    told.tell(FIRST_FAILED, &facts.first_failed.0);
    told.tell(LAST_FAILED, &facts.last_failed.0);
    told.tell(REPLAYS, &facts.replays);
    told.tell(TIMESTAMP, &record.timestamp.0);
    told.tell(PARTITION, &record.origin.partition);
    told.0.push((OFFSET.into(), record.origin.offset.as_bytes().to_vec()));
    tell_connects(&mut told, &facts, &record.origin);
    let told = told.0.iter().map(|(name, value)| Header { name, value: Some(value) });
    record.headers = record.headers.iter().chain(told).collect();
    record
}

/// Kafka Connect has a topic where we have partitions of any kind: both names are the partition's.
fn tell_connects(told: &mut Told, facts: &Facts, origin: &Origin) {
    let stage = match facts.stage {
        Stage::Source => "TASK_POLL",
        Stage::Transform => "TRANSFORMATION",
        Stage::Sink => "TASK_PUT",
    };
    told.tell("__connect.errors.topic", &origin.partition);
    told.tell("__connect.errors.partition", &origin.partition);
    told.tell("__connect.errors.offset", &shown(origin.offset.as_bytes()));
    told.tell("__connect.errors.connector.name", &facts.task.pipeline);
    told.tell("__connect.errors.task.id", &facts.task.sink);
    told.tell("__connect.errors.stage", &stage);
    told.tell("__connect.errors.class.name", &facts.refused_by);
    told.tell("__connect.errors.exception.class.name", &facts.kind);
    told.tell("__connect.errors.exception.message", &facts.message);
}

/// Facts on their way into headers.
#[derive(Default)]
struct Told(Vec<(HeaderName, Vec<u8>)>);

impl Told {
    fn tell(&mut self, name: &'static str, value: &dyn Display) {
        self.0.push((name.into(), value.to_string().into()));
    }
}

/// Bytes as text where they are text, otherwise as `0x` and hexadecimal digits.
fn shown(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains(char::is_control) => text.to_owned(),
        _ => bytes.iter().fold("0x".to_owned(), |text, byte| text + &format!("{byte:02x}")),
    }
}

pub(super) fn read(record: Record) -> Result<DeadLetter, Error> {
    let all: Vec<Header<'_>> = record.headers.iter().collect();
    let begin = all.iter().rposition(|header| header.name.as_str() == ID).ok_or_else(|| unreadable(ID))?;
    let is_fact = |name: &HeaderName| name.as_str().starts_with(OURS) || name.as_str().starts_with(CONNECTS);
    let (own, behind) = all.split_at(begin);
    let end = behind.iter().take_while(|header| is_fact(header.name)).count();
    let (facts, added) = behind.split_at(end);
    let facts: Headers = facts.iter().copied().collect();
    // A far side may have added headers of its own behind ours; they stay.
    let own = own.iter().chain(added).copied().collect();
    let origin = Origin {
        partition: Partition::from(text(&facts, PARTITION)?),
        offset: Offset::from(facts.get(OFFSET).ok_or_else(|| unreadable(OFFSET))?.to_vec()),
    };
    let timestamp = Timestamp(value(&facts, TIMESTAMP)?);
    let facts = Facts {
        id: value(&facts, ID)?,
        task: TaskId { pipeline: text(&facts, PIPELINE)?, sink: text(&facts, SINK)? },
        stage: named(&facts, STAGE, &Stage::ALL, Stage::as_str)?,
        refused_by: text(&facts, REFUSED_BY)?,
        kind: named(&facts, KIND, &ErrorKind::ALL, ErrorKind::as_str)?,
        message: text(&facts, MESSAGE)?,
        advice: text(&facts, ADVICE)?,
        attempts: value(&facts, ATTEMPTS)?,
        first_failed: Timestamp(value(&facts, FIRST_FAILED)?),
        last_failed: Timestamp(value(&facts, LAST_FAILED)?),
        replays: value(&facts, REPLAYS)?,
    };
    Ok(DeadLetter { record: Record { headers: own, timestamp, origin, ..record }, facts })
}

fn text(headers: &Headers, name: &str) -> Result<String, Error> {
    let text = headers.get(name).and_then(|value| std::str::from_utf8(value).ok());
    text.map(str::to_owned).ok_or_else(|| unreadable(name))
}

fn value<T: FromStr>(headers: &Headers, name: &str) -> Result<T, Error> {
    parsed(headers.get(name)).ok_or_else(|| unreadable(name))
}

fn named<T: Copy>(
    headers: &Headers,
    name: &str,
    all: &[T],
    as_str: fn(T) -> &'static str,
) -> Result<T, Error> {
    let text = text(headers, name)?;
    all.iter().copied().find(|one| as_str(*one) == text).ok_or_else(|| unreadable(name))
}

fn parsed<T: FromStr>(value: Option<&[u8]>) -> Option<T> {
    std::str::from_utf8(value?).ok()?.parse().ok()
}

fn unreadable(name: &str) -> Error {
    let message = format!("no dead letter: header `{name}` is absent or unreadable");
    Error::new(ErrorKind::Record, message).advice("read a place where Weir keeps dead letters")
}
