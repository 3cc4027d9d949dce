//! An aggregate as it was: its events replayed up to a moment or a sequence number.
use jiff::Timestamp;
use uuid::Uuid;

use crate::command::apply_all;
use crate::{Aggregate, CommandHandler, Error};

/// How far a history is replayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// Up to and with this sequence number.
    Sequence(i64),
    /// Up to the first event that was appended after this moment, by the clocks of the writers.
    Time(Timestamp),
}

impl<A: Aggregate> CommandHandler<A> {
    /// The aggregate as it was, and the sequence number of the last event that made it so; 0 when there was none yet.
    ///
    /// # Errors
    /// When the store cannot read its events, or one cannot be decoded.
    pub async fn replay(&self, aggregate_id: Uuid, until: Until) -> Result<(A, i64), Error> {
        let mut history = self.store().load(aggregate_id).await?;
        let length = match until {
            Until::Sequence(last) => history.events.partition_point(|event| event.sequence_number <= last),
            Until::Time(moment) => history
                .events
                .iter()
                .position(|event| event.created_at > moment)
                .unwrap_or(history.events.len()),
        };
        history.events.truncate(length);
        let mut aggregate = A::default();
        apply_all(&mut aggregate, &history.events)?;
        Ok((aggregate, history.events.last().map_or(0, |event| event.sequence_number)))
    }
}
