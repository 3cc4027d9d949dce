//! Reading an aggregate's events, and finishing what a writer left half-way before anybody builds on it.
use std::time::Duration;

use jiff::Timestamp;
use rand::RngExt;
use scylla::DeserializeRow;
use scylla::response::{PagingState, PagingStateResponse};
use scylla::value::CqlTimestamp;
use tokio::time::Instant;
use uuid::Uuid;

use crate::publish::{NotWritten, ahead, unpublished};
use crate::store::Reading;
use crate::{Error, EventEnvelope, EventStore, Head, Upcasters};

/// A claim so far ahead of our clock was made by one that is wrong, ours or the writer's: ScyllaDB takes writes into a
/// CDC log up to five seconds ahead.
const AHEAD_US: i64 = 5_000_000;

/// The events of an aggregate, in order, and where they end.
#[derive(Debug)]
pub struct History {
    /// What the next append builds on.
    pub head: Head,
    /// By sequence number, without gaps.
    pub events: Vec<EventEnvelope>,
}

impl EventStore {
    /// All events of an aggregate; none, at sequence 0, when it has no history.
    ///
    /// # Errors
    /// See [`EventStore::load_after`].
    pub async fn load(&self, aggregate_id: Uuid) -> Result<History, Error> {
        self.load_after(aggregate_id, 0).await
    }

    /// The events of an aggregate with a sequence number above `after`.
    ///
    /// # Errors
    /// [`Error::Database`] when it cannot be read, [`Error::Unpublished`], [`Error::Ahead`] or [`Error::Busy`] when
    /// another writer's append can be neither awaited nor finished, [`Error::Corrupt`] when the tables contradict each other.
    pub async fn load_after(&self, aggregate_id: Uuid, after: i64) -> Result<History, Error> {
        let deadline = Instant::now() + self.options.patience;
        let mut events = Vec::new();
        let mut last = after;
        let mut taking_over: Option<Vigil> = None;
        let mut head = self.read_head(aggregate_id, Reading::Quorum).await?;
        loop {
            self.read_events(aggregate_id, &mut last, &mut events).await?;
            if last == head.sequence {
                return Ok(History { head, events });
            }
            if last > head.sequence {
                // The events were read after the head, so others may have moved on in between; not so a second time.
                head = self.read_head(aggregate_id, Reading::Serial).await?;
                if last > head.sequence {
                    let problem = format!("it has event {last}, but its sequence is {}", head.sequence);
                    return Err(Error::corrupt(aggregate_id, problem));
                }
                continue;
            }
            if Instant::now() >= deadline {
                // A claim that no clock of ours explains is the reason why nobody finishes it.
                let is_ahead = head.claim_ts.saturating_sub(self.options.clock.now_us()) > AHEAD_US;
                return Err(if is_ahead {
                    ahead(&head, None)
                } else {
                    Error::Busy { aggregate_id, source: None }
                });
            }
            let vigil = taking_over.take_if(|v| v.claim_ts == head.claim_ts);
            let mut vigil = vigil.unwrap_or_else(|| self.keep_vigil(&head));
            if vigil.is_over() {
                head = self.take_over(&head).await?;
            } else {
                vigil.wait().await;
                taking_over = Some(vigil);
            }
        }
    }

    /// Makes the pending events of a claim our own, under a fresh write time, and publishes them. Returns where the
    /// aggregate stands then, also when somebody else was faster.
    async fn take_over(&self, seen: &Head) -> Result<Head, Error> {
        let aggregate_id = seen.aggregate_id;
        let claimed = self.read_claimed(aggregate_id, Reading::Serial).await?;
        let claimed = claimed.ok_or_else(|| {
            let problem = format!("its row in aggregate_sequence is gone, it was at {}", seen.sequence);
            Error::corrupt(aggregate_id, problem)
        })?;
        if claimed.head != *seen {
            return Ok(claimed.head);
        }
        let ours = Head { claim_ts: seen.next_ts(self.options.clock.now_us()), ..claimed.head };
        let updated_at = CqlTimestamp(self.options.clock.now().as_millisecond());
        let values = (ours.claim_ts, updated_at, aggregate_id, seen.sequence, seen.claim_ts);
        match self.decide_lwt(&self.statements.renew, values).await {
            Ok(true) => {}
            Err(e) if e.is_refusal() => return Err(Error::database("take over a claim", e)),
            // Somebody else has taken it over, or it is unknown whether we have: look again.
            Ok(false) | Err(_) => return self.read_head(aggregate_id, Reading::Serial).await,
        }
        tracing::warn!(%aggregate_id, sequence = ours.sequence, "finishing an append that stopped half-way");
        match self.write(&ours, &claimed.pending).await {
            Ok(()) | Err(NotWritten::Aged) => Ok(ours),
            Err(NotWritten::Ahead(source)) => Err(ahead(&ours, Some(source))),
            Err(NotWritten::Failed(source)) => Err(unpublished(&ours, source)),
        }
    }

    /// The events up to `until` that a command or event of this id led to.
    pub(crate) async fn caused(
        &self,
        aggregate_id: Uuid,
        until: i64,
        causation_id: Uuid,
    ) -> Result<Vec<EventEnvelope>, Error> {
        const DOING: &str = "look for the events of a command";
        let result = self.execute(&self.statements.caused, (aggregate_id, until, causation_id)).await;
        let rows = result.map_err(|e| Error::database(DOING, e))?.into_rows_result();
        let rows = rows.map_err(|e| Error::database(DOING, e))?;
        let rows = rows.rows::<EventRow>().map_err(|e| Error::database(DOING, e))?;
        rows.map(|row| {
            let row = row.map_err(|e| Error::database(DOING, e))?;
            row.into_envelope(&self.options.upcasters)
        })
        .collect()
    }

    async fn read_events(
        &self,
        aggregate_id: Uuid,
        last: &mut i64,
        events: &mut Vec<EventEnvelope>,
    ) -> Result<(), Error> {
        const DOING: &str = "read the events of the aggregate";
        let (key, mut from) = ((aggregate_id, *last), PagingState::start());
        loop {
            let page = self.session.execute_single_page(&self.statements.events, key, from);
            let (page, next) = Box::pin(page).await.map_err(|e| Error::database(DOING, e))?;
            let rows = page.into_rows_result().map_err(|e| Error::database(DOING, e))?;
            events.reserve(rows.rows_num());
            for row in rows.rows::<EventRow>().map_err(|e| Error::database(DOING, e))? {
                let row = row.map_err(|e| Error::database(DOING, e))?;
                if row.sequence_number != *last + 1 {
                    let problem = format!("event {} follows event {last}", row.sequence_number);
                    return Err(Error::corrupt(aggregate_id, problem));
                }
                *last = row.sequence_number;
                events.push(row.into_envelope(&self.options.upcasters)?);
            }
            match next {
                PagingStateResponse::HasMorePages { state } => from = state,
                PagingStateResponse::NoMorePages => return Ok(()),
            }
        }
    }

    /// How long the writer of a claim is given: from the time of its claim, as far as the clocks agree.
    fn keep_vigil(&self, head: &Head) -> Vigil {
        let age = u64::try_from(self.age_us(head)).unwrap_or(u64::MAX);
        let left = self.options.recover_after.saturating_sub(Duration::from_micros(age));
        Vigil { claim_ts: head.claim_ts, until: Instant::now() + left, pause: Pause::short() }
    }
}

/// Waiting for the events of somebody else's claim.
struct Vigil {
    claim_ts: i64,
    until: Instant,
    pause: Pause,
}

impl Vigil {
    fn is_over(&self) -> bool {
        Instant::now() >= self.until
    }

    async fn wait(&mut self) {
        tokio::time::sleep_until(self.until.min(Instant::now() + self.pause.next())).await;
    }
}

/// Growing pauses with full jitter, so that writers who met once do not meet again.
#[derive(Debug)]
pub(crate) struct Pause {
    bound: Duration,
    max: Duration,
}

impl Pause {
    /// From 4 ms to 200 ms: for what a healthy database has done in a moment.
    pub(crate) fn short() -> Self {
        Self::new(Duration::from_millis(4), Duration::from_millis(200))
    }

    pub(crate) fn new(initial: Duration, max: Duration) -> Self {
        Self { bound: initial.min(max), max }
    }

    pub(crate) fn next(&mut self) -> Duration {
        let pause = self.bound.mul_f64(rand::rng().random_range(0.0..=1.0));
        self.bound = (self.bound * 2).min(self.max);
        pause
    }

    pub(crate) async fn wait(&mut self) {
        tokio::time::sleep(self.next()).await;
    }
}

#[derive(Debug, DeserializeRow)]
pub(crate) struct EventRow {
    aggregate_id: Uuid,
    event_id: Uuid,
    event_type: String,
    event_version: i32,
    aggregate_type: String,
    sequence_number: i64,
    correlation_id: Option<Uuid>,
    causation_id: Option<Uuid>,
    created_at: CqlTimestamp,
    event_data: String,
}

impl EventRow {
    /// In the order of the fields.
    pub(crate) const COLUMNS: &str = "aggregate_id, event_id, event_type, event_version, aggregate_type, sequence_number, \
                                      correlation_id, causation_id, created_at, event_data";

    /// In the form of today.
    pub(crate) fn into_envelope(self, upcasters: &Upcasters) -> Result<EventEnvelope, Error> {
        let created_at = Timestamp::from_millisecond(self.created_at.0).map_err(|e| {
            Error::corrupt(self.aggregate_id, format!("created_at of event {}: {e}", self.sequence_number))
        })?;
        let mut event = EventEnvelope {
            event_id: self.event_id,
            event_type: self.event_type,
            event_version: self.event_version,
            aggregate_id: self.aggregate_id,
            aggregate_type: self.aggregate_type,
            sequence_number: self.sequence_number,
            correlation_id: self.correlation_id,
            causation_id: self.causation_id,
            traceparent: None,
            created_at,
            payload: self.event_data,
        };
        upcasters.upcast(&mut event)?;
        Ok(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_their_bound_and_are_jittered() {
        let mut pause = Pause::new(Duration::from_millis(10), Duration::from_millis(50));
        for bound in [10, 20, 40, 50, 50] {
            assert!(pause.next() <= Duration::from_millis(bound));
        }
    }
}
