//! Step two of an append: the logged batch that writes the events and their outbox rows.
use std::error::Error as StdError;

use scylla::errors::{ExecutionError, SerializationError};
use scylla::serialize::row::{RowSerializationContext, SerializeRow};
use scylla::serialize::value::SerializeValue;
use scylla::serialize::writers::RowWriter;
use scylla::statement::batch::{Batch, BatchType};
use scylla::statement::prepared::PreparedStatement;
use scylla::value::{CqlTimestamp, MaybeUnset};
use tokio::time::Instant;

use crate::load::Pause;
use crate::statements::Statements;
use crate::{Claim, Error, EventEnvelope, EventStore, Head, Traceparent};

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
        let Statements { insert_event, insert_outbox, .. } = &*self.statements;
        match self.write_batch(head, events, &[insert_event, insert_outbox]).await {
            Err(e) if crate::error::is_too_large(&e) => {
                // The limit is for batches over several partitions. The event store, one partition and so all or
                // nothing, comes last: what it lacks is what a loader finishes, in both tables.
                self.write_batch(head, events, &[insert_outbox]).await?;
                self.write_batch(head, events, &[insert_event]).await
            }
            answer => answer,
        }
    }

    /// Writes all events with each of these statements, in one batch.
    async fn write_batch(
        &self,
        head: &Head,
        events: &[EventEnvelope],
        inserts: &[&PreparedStatement],
    ) -> Result<(), ExecutionError> {
        let mut batch = Batch::new(BatchType::Logged);
        batch.set_consistency(self.options.scope.consistency());
        batch.set_request_timeout(Some(self.options.request_timeout));
        let mut rows = Vec::with_capacity(inserts.len() * events.len());
        for (time, event) in (head.claim_ts..).zip(events) {
            for insert in inserts {
                batch.append_statement((*insert).clone());
                rows.push(NewRow { event, time });
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

/// An event for a row of either table, which takes what it has a column for.
struct NewRow<'a> {
    event: &'a EventEnvelope,
    /// The write time, in µs.
    time: i64,
}

impl SerializeRow for NewRow<'_> {
    fn serialize(
        &self,
        context: &RowSerializationContext<'_>,
        writer: &mut RowWriter<'_>,
    ) -> Result<(), SerializationError> {
        let Self { event, time } = self;
        for column in context.columns() {
            let (cell, of_type) = (writer.make_cell_writer(), column.typ());
            match column.name() {
                "aggregate_id" => event.aggregate_id.serialize(of_type, cell)?,
                "aggregate_type" => event.aggregate_type.serialize(of_type, cell)?,
                "sequence_number" => event.sequence_number.serialize(of_type, cell)?,
                // The message's id is the event's id, so that a repeat of the row is the same row.
                "event_id" | "id" => event.event_id.serialize(of_type, cell)?,
                "event_type" => event.event_type.serialize(of_type, cell)?,
                "event_version" => event.event_version.serialize(of_type, cell)?,
                "event_data" | "payload" => event.payload.serialize(of_type, cell)?,
                "correlation_id" => unset_if_none(event.correlation_id).serialize(of_type, cell)?,
                "causation_id" => unset_if_none(event.causation_id).serialize(of_type, cell)?,
                "traceparent" => unset_if_none(event.traceparent.as_ref().map(Traceparent::as_str))
                    .serialize(of_type, cell)?,
                "created_at" => CqlTimestamp(event.created_at.as_millisecond()).serialize(of_type, cell)?,
                WRITE_TIME => time.serialize(of_type, cell)?,
                other => return Err(SerializationError::new(UnknownColumn(other.to_owned()))),
            };
        }
        Ok(())
    }

    fn is_empty(&self) -> bool {
        false
    }
}

/// What the server calls the marker of `USING TIMESTAMP ?`.
const WRITE_TIME: &str = "[timestamp]";

/// A statement of ours that asks for what no event has.
#[derive(Debug, thiserror::Error)]
#[error("an event has nothing for the column `{0}`")]
struct UnknownColumn(String);

/// A null would be a tombstone: it has no TTL, so the CDC log would get a second row for it beside the event's own.
fn unset_if_none<T: SerializeValue>(value: Option<T>) -> MaybeUnset<T> {
    value.map_or(MaybeUnset::Unset, MaybeUnset::Set)
}
