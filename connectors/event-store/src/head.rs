//! Where an aggregate stands: the row of `aggregate_sequence` that the next claim is conditional on.
use scylla::DeserializeRow;
use uuid::Uuid;

use crate::{Error, EventEnvelope};

/// Where an aggregate stands, with the assurance that all its events up to there are durable. Only a load or an
/// acknowledged publish gives one; an append needs one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    pub(crate) aggregate_id: Uuid,
    pub(crate) sequence: i64,
    /// The write time of the first event of the last claim, µs.
    pub(crate) claim_ts: i64,
    /// How many events the last claim has; they take the times `claim_ts..claim_ts + count`.
    pub(crate) count: i32,
}

impl Head {
    /// An aggregate without a history.
    pub(crate) fn none(aggregate_id: Uuid) -> Self {
        Self { aggregate_id, sequence: 0, claim_ts: 0, count: 0 }
    }

    /// The aggregate.
    #[must_use]
    pub fn aggregate_id(&self) -> Uuid {
        self.aggregate_id
    }

    /// The sequence number of its last event; 0 before the first.
    #[must_use]
    pub fn sequence(&self) -> i64 {
        self.sequence
    }

    /// The write time for the next claim: now, or just after the last claim when the clock is behind it.
    pub(crate) fn next_ts(&self, now_us: i64) -> i64 {
        now_us.max(self.claim_ts.saturating_add(i64::from(self.count)))
    }
}

/// The row without the pending events, for every load.
#[derive(Debug, DeserializeRow)]
pub(crate) struct HeadRow {
    current_sequence: i64,
    claim_ts: i64,
    pending_count: i32,
}

impl HeadRow {
    pub(crate) fn into_head(self, aggregate_id: Uuid) -> Head {
        Head {
            aggregate_id,
            sequence: self.current_sequence,
            claim_ts: self.claim_ts,
            count: self.pending_count,
        }
    }
}

/// The whole row, for recovery and for finding out who won a claim.
#[derive(Debug, DeserializeRow)]
pub(crate) struct ClaimRow {
    current_sequence: i64,
    claim_ts: i64,
    pending_count: i32,
    pending: String,
}

/// A claim as the database has it: the head, and the events that it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claimed {
    pub(crate) head: Head,
    pub(crate) pending: Vec<EventEnvelope>,
}

impl ClaimRow {
    pub(crate) fn into_claimed(self, aggregate_id: Uuid) -> Result<Claimed, Error> {
        let pending: Vec<EventEnvelope> = serde_json::from_str(&self.pending)
            .map_err(|e| Error::corrupt(aggregate_id, format!("its pending events cannot be read: {e}")))?;
        let Self { current_sequence: sequence, claim_ts, pending_count: count, .. } = self;
        let ends_at_head = pending.last().is_some_and(|e| e.sequence_number == sequence);
        if !ends_at_head || usize::try_from(count) != Ok(pending.len()) {
            return Err(Error::corrupt(
                aggregate_id,
                format!("{} pending events, not {count} up to sequence {sequence}", pending.len()),
            ));
        }
        Ok(Claimed { head: Head { aggregate_id, sequence, claim_ts, count }, pending })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_write_time_is_above_every_earlier_one_also_when_the_clock_is_behind() {
        let head = Head { aggregate_id: Uuid::nil(), sequence: 7, claim_ts: 1_000, count: 3 };
        assert_eq!(head.next_ts(999), 1_003);
        assert_eq!(head.next_ts(1_002), 1_003);
        assert_eq!(head.next_ts(5_000), 5_000);
        assert_eq!(Head::none(Uuid::nil()).next_ts(42), 42);
    }

    #[test]
    fn pending_events_that_do_not_end_at_the_head_are_damage() {
        let row = ClaimRow { current_sequence: 3, claim_ts: 5, pending_count: 1, pending: "[]".to_owned() };
        let error = row.into_claimed(Uuid::nil()).unwrap_err().to_string();
        assert!(error.contains("0 pending events, not 1 up to sequence 3"), "{error}");
        let row = ClaimRow { current_sequence: 3, claim_ts: 5, pending_count: 1, pending: "{".to_owned() };
        assert!(row.into_claimed(Uuid::nil()).unwrap_err().to_string().contains("cannot be read"));
    }
}
