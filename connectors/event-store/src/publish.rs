//! Step two of an append: the logged batch that writes the events and their outbox rows.
use std::error::Error as StdError;

use scylla::errors::{ExecutionError, SerializationError};
use scylla::serialize::row::{RowSerializationContext, SerializeRow};
use scylla::serialize::writers::RowWriter;
use scylla::statement::batch::{Batch, BatchType};
use scylla::value::{CqlTimestamp, MaybeUnset};
use tokio::time::Instant;
use uuid::Uuid;

use crate::load::Pause;
use crate::{Claim, Error, EventEnvelope, EventStore, Head};

/// Events that are in the event store and in the outbox.
#[derive(Debug)]
pub struct Appended {
    /// Where the aggregate stands now: the next append can build on it without a load.
    pub head: Head,
    /// The events, as they are stored.
    pub events: Vec<EventEnvelope>,
}

impl EventStore {
    /// Writes claimed events into the event store and the outbox.
    ///
    /// # Errors
    /// [`Error::Unpublished`] when the database would not take them for as long as the store is patient,
    /// [`Error::Ahead`] when it will not take them before its clock has reached theirs.
    pub async fn publish(&self, claim: Claim) -> Result<Appended, Error> {
        let Claim { head, events, settled } = claim;
        if settled {
            return Ok(Appended { head, events });
        }
        match self.write(&head, &events).await {
            Ok(()) => Ok(Appended { head, events }),
            Err(NotWritten::Aged) => self.publish_late(head, events).await,
            Err(NotWritten::Ahead(source)) => Err(ahead(&head, Some(source))),
            Err(NotWritten::Failed(source)) => Err(unpublished(&head, source)),
        }
    }

    /// The claim is too old for its own write time: a load gives it a fresh one, unless somebody else has done so.
    async fn publish_late(&self, head: Head, events: Vec<EventEnvelope>) -> Result<Appended, Error> {
        let before = events[0].sequence_number - 1;
        let history = match self.load_after(head.aggregate_id, before).await {
            Ok(history) => history,
            Err(told @ (Error::Corrupt { .. } | Error::Ahead { .. })) => return Err(told),
            Err(e) => return Err(unpublished(&head, Box::new(e))),
        };
        let ours = history.events.get(..events.len());
        if !ours.is_some_and(|there| there.iter().zip(&events).all(|(a, b)| a.event_id == b.event_id)) {
            return Err(Error::corrupt(head.aggregate_id, "claimed events were replaced by others"));
        }
        Ok(Appended { head: history.head, events })
    }

    /// Writes the batch, again and again while the claim is young: with the same times a repeat changes nothing.
    pub(crate) async fn write(&self, head: &Head, events: &[EventEnvelope]) -> Result<(), NotWritten> {
        let deadline = Instant::now() + self.options.patience;
        let mut pause = Pause::short();
        loop {
            if self.age_us(head) > self.options.renew_after.as_micros() {
                return Err(NotWritten::Aged);
            }
            match self.write_once(head, events).await {
                Ok(()) => return Ok(()),
                Err(e) if crate::error::is_from_the_future(&e) => return Err(NotWritten::Ahead(Box::new(e))),
                Err(e) if crate::error::is_refusal(&e) || Instant::now() >= deadline => {
                    return Err(NotWritten::Failed(Box::new(e)));
                }
                Err(e) => {
                    let error = &e as &dyn StdError;
                    tracing::debug!(aggregate_id = %head.aggregate_id, error, "writing claimed events again");
                }
            }
            pause.wait().await;
        }
    }

    async fn write_once(&self, head: &Head, events: &[EventEnvelope]) -> Result<(), ExecutionError> {
        let mut batch = Batch::new(BatchType::Logged);
        batch.set_consistency(self.options.scope.consistency());
        batch.set_request_timeout(Some(self.options.request_timeout));
        let mut rows = Vec::with_capacity(2 * events.len());
        for (ts, event) in (head.claim_ts..).zip(events) {
            batch.append_statement(self.statements.insert_event.clone());
            rows.push(OutRow::Event(event, ts));
            match (&self.statements.insert_traced, &event.traceparent) {
                (Some(insert), Some(trace)) => {
                    batch.append_statement(insert.clone());
                    rows.push(OutRow::Traced(event, trace.as_str(), ts));
                }
                _ => {
                    batch.append_statement(self.statements.insert_outbox.clone());
                    rows.push(OutRow::Outbox(event, ts));
                }
            }
        }
        Box::pin(self.session.batch(&batch, &rows)).await.map(|_| ())
    }

    /// How long ago a claim's write time was, by our clock; 0 when it is ahead of us.
    pub(crate) fn age_us(&self, head: &Head) -> u128 {
        u128::try_from(self.options.clock.now_us().saturating_sub(head.claim_ts)).unwrap_or(0)
    }
}

/// Why a batch is not written.
#[derive(Debug)]
pub(crate) enum NotWritten {
    /// Its write time has become too old.
    Aged,
    /// Its write time lies in the database's future.
    Ahead(Box<dyn StdError + Send + Sync>),
    /// The database refuses it, or has not taken it for long enough.
    Failed(Box<dyn StdError + Send + Sync>),
}

pub(crate) fn ahead(head: &Head, source: Option<Box<dyn StdError + Send + Sync>>) -> Error {
    let from = jiff::Timestamp::from_microsecond(head.claim_ts).unwrap_or(jiff::Timestamp::MAX);
    Error::Ahead { aggregate_id: head.aggregate_id, sequence: head.sequence, from, source }
}

pub(crate) fn unpublished(head: &Head, source: Box<dyn StdError + Send + Sync>) -> Error {
    Error::Unpublished { aggregate_id: head.aggregate_id, sequence: head.sequence, source: Some(source) }
}

/// One row of the batch, with its write time in µs.
enum OutRow<'a> {
    Event(&'a EventEnvelope, i64),
    Outbox(&'a EventEnvelope, i64),
    /// With the trace that it was written in.
    Traced(&'a EventEnvelope, &'a str, i64),
}

impl SerializeRow for OutRow<'_> {
    fn serialize(
        &self,
        context: &RowSerializationContext<'_>,
        writer: &mut RowWriter<'_>,
    ) -> Result<(), SerializationError> {
        match self {
            Self::Event(e, ts) => (
                e.aggregate_id,
                e.sequence_number,
                e.event_id,
                e.event_type.as_str(),
                e.event_version,
                e.aggregate_type.as_str(),
                e.payload.as_str(),
                unset_if_none(e.causation_id),
                unset_if_none(e.correlation_id),
                CqlTimestamp(e.created_at.as_millisecond()),
                *ts,
            )
                .serialize(context, writer),
            // The message's id is the event's id, so that a repeat of the row is the same row.
            Self::Outbox(e, ts) => (
                e.aggregate_id,
                e.sequence_number,
                e.event_id,
                e.event_id,
                e.event_type.as_str(),
                e.event_version,
                e.payload.as_str(),
                unset_if_none(e.correlation_id),
                unset_if_none(e.causation_id),
                CqlTimestamp(e.created_at.as_millisecond()),
                *ts,
            )
                .serialize(context, writer),
            Self::Traced(e, trace, ts) => (
                e.aggregate_id,
                e.sequence_number,
                e.event_id,
                e.event_id,
                e.event_type.as_str(),
                e.event_version,
                e.payload.as_str(),
                unset_if_none(e.correlation_id),
                unset_if_none(e.causation_id),
                CqlTimestamp(e.created_at.as_millisecond()),
                *trace,
                *ts,
            )
                .serialize(context, writer),
        }
    }

    fn is_empty(&self) -> bool {
        false
    }
}

/// A null would be a tombstone: it has no TTL, so the CDC log would get a second row for it beside the event's own.
fn unset_if_none(id: Option<Uuid>) -> MaybeUnset<Uuid> {
    id.map_or(MaybeUnset::Unset, MaybeUnset::Set)
}
