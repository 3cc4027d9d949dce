//! A dead letter as values of a row, and back.

use bytes::Bytes;
use scylla::value::CqlTimestamp;
use scylla::{DeserializeRow, SerializeRow};
use uuid::Uuid;
use weir_sdk::dead_letter::{DeadLetter, Facts, Id, Stage};
use weir_sdk::{ErrorKind, Header, Headers, Offset, Origin, Partition, Record, TaskId, Timestamp};

/// What is bound to the INSERT: every column, and the time of the write.
#[derive(Debug, SerializeRow)]
pub struct Written {
    id: Uuid,
    pipeline: String,
    sink: String,
    stage: &'static str,
    refused_by: String,
    error_kind: &'static str,
    error_text: String,
    advice: String,
    attempts: i32,
    replays: i32,
    first_failed_at: CqlTimestamp,
    last_failed_at: CqlTimestamp,
    source_partition: String,
    source_offset: Bytes,
    event_id: Option<Uuid>,
    event_type: Option<String>,
    aggregate_id: Option<String>,
    key: Option<Bytes>,
    payload: Option<Bytes>,
    headers: Vec<(String, Option<Bytes>)>,
    timestamp_us: i64,
    written_us: i64,
}

impl From<DeadLetter> for Written {
    fn from(letter: DeadLetter) -> Self {
        let DeadLetter { record, facts } = letter;
        let text = |name| record.headers.get(name).and_then(|value| std::str::from_utf8(value).ok());
        Self {
            id: Uuid::from_u128(facts.id.as_u128()),
            stage: facts.stage.as_str(),
            refused_by: facts.refused_by,
            error_kind: facts.kind.as_str(),
            error_text: facts.message,
            advice: facts.advice,
            attempts: facts.attempts.try_into().unwrap_or(i32::MAX),
            replays: facts.replays.try_into().unwrap_or(i32::MAX),
            first_failed_at: CqlTimestamp(facts.first_failed.as_millis()),
            last_failed_at: CqlTimestamp(facts.last_failed.as_millis()),
            source_partition: record.origin.partition.as_str().to_owned(),
            source_offset: record.origin.offset.as_bytes().clone(),
            event_id: text("event_id").and_then(|id| Uuid::parse_str(id).ok()),
            event_type: text("event_type").map(str::to_owned),
            aggregate_id: text("aggregate_id").map(str::to_owned),
            headers: record.headers.iter().map(pair).collect(),
            key: record.key,
            payload: record.value,
            timestamp_us: record.timestamp.0,
            written_us: facts.last_failed.0.max(1),
            pipeline: facts.task.pipeline,
            sink: facts.task.sink,
        }
    }
}

fn pair(header: Header<'_>) -> (String, Option<Bytes>) {
    (header.name.as_str().to_owned(), header.value.map(Bytes::copy_from_slice))
}

/// What is read. A row that something else wrote may lack facts; it is a dead letter all the same.
#[derive(Debug, DeserializeRow)]
pub struct Read {
    /// The token, its place on the ring.
    pub place: i64,
    /// When it was written, in microseconds since 1970.
    pub written_us: Option<i64>,
    /// The key.
    pub id: Uuid,
    pipeline: Option<String>,
    sink: Option<String>,
    stage: Option<String>,
    refused_by: Option<String>,
    error_kind: Option<String>,
    error_text: Option<String>,
    advice: Option<String>,
    attempts: Option<i32>,
    replays: Option<i32>,
    first_failed_at: Option<CqlTimestamp>,
    last_failed_at: Option<CqlTimestamp>,
    source_partition: Option<String>,
    source_offset: Option<Bytes>,
    key: Option<Bytes>,
    payload: Option<Bytes>,
    headers: Option<Vec<(String, Option<Bytes>)>>,
    timestamp_us: Option<i64>,
}

/// The columns of [`Read`] behind the first two, with commas.
pub const READ: &str = "id, pipeline, sink, stage, refused_by, error_kind, error_text, advice, attempts, replays, \
                        first_failed_at, last_failed_at, source_partition, source_offset, key, payload, headers, \
                        timestamp_us";

impl Read {
    /// The dead letter as a record that was read at `origin`.
    pub fn into_record(self, origin: Origin) -> Record {
        let micros =
            |time: Option<CqlTimestamp>| Timestamp(time.map_or(0, |time| time.0.saturating_mul(1_000)));
        let count = |number: Option<i32>| number.and_then(|number| number.try_into().ok()).unwrap_or(0);
        let header = |(name, value): (String, Option<Bytes>)| (name.into(), value);
        let headers: Headers = self.headers.unwrap_or_default().into_iter().map(header).collect();
        let stage = Stage::ALL.into_iter().find(|stage| Some(stage.as_str()) == self.stage.as_deref());
        let kind = ErrorKind::ALL.into_iter().find(|kind| Some(kind.as_str()) == self.error_kind.as_deref());
        let record = Record {
            key: self.key,
            value: self.payload,
            headers,
            timestamp: Timestamp(self.timestamp_us.unwrap_or(0)),
            origin: Origin {
                partition: Partition::from(self.source_partition.unwrap_or_default()),
                offset: Offset::from(self.source_offset.unwrap_or_default()),
            },
        };
        let facts = Facts {
            id: Id::from_u128(self.id.as_u128()),
            task: TaskId { pipeline: self.pipeline.unwrap_or_default(), sink: self.sink.unwrap_or_default() },
            stage: stage.unwrap_or(Stage::Sink),
            refused_by: self.refused_by.unwrap_or_default(),
            kind: kind.unwrap_or(ErrorKind::Record),
            message: self.error_text.unwrap_or_default(),
            advice: self.advice.unwrap_or_default(),
            attempts: count(self.attempts),
            first_failed: micros(self.first_failed_at),
            last_failed: micros(self.last_failed_at),
            replays: count(self.replays),
        };
        Record { origin, ..DeadLetter { record, facts }.into_record() }
    }
}
