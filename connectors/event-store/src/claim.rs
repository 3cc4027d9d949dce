//! Step one of an append: the conditional write that decides it.
use scylla::value::CqlTimestamp;
use tokio::time::Instant;
use uuid::Uuid;

use crate::head::Claimed;
use crate::load::Pause;
use crate::store::{LwtError, Reading};
use crate::{Error, EventEnvelope, EventStore, Head, NewEvent};

/// Events that are decided but not written yet. Hand it to [`EventStore::publish`]; a claim that is dropped is what a
/// crash between the steps leaves behind, and the next load of the aggregate finishes it.
#[derive(Debug)]
#[must_use = "claimed events are not in the tables before they are published"]
pub struct Claim {
    pub(crate) head: Head,
    pub(crate) events: Vec<EventEnvelope>,
    /// Somebody else has published them already.
    pub(crate) settled: bool,
}

impl Claim {
    /// The claimed events, as they will be stored.
    #[must_use]
    pub fn events(&self) -> &[EventEnvelope] {
        &self.events
    }

    /// The write time of the first event, in microseconds; the others follow one by one.
    #[must_use]
    pub fn claim_ts(&self) -> i64 {
        self.head.claim_ts
    }

    /// Where the aggregate stands once this is published.
    #[must_use]
    pub fn sequence(&self) -> i64 {
        self.head.sequence
    }
}

impl EventStore {
    /// Claims the next sequence numbers after `head` for `events`.
    ///
    /// # Errors
    /// [`Error::Conflict`] when the aggregate has moved on, [`Error::TooLarge`], [`Error::Busy`] when the outcome
    /// stays open, [`Error::Database`] when the database refuses.
    pub async fn claim(
        &self,
        head: &Head,
        aggregate_type: &str,
        events: Vec<NewEvent>,
    ) -> Result<Claim, Error> {
        let wish = Wish::new(self, head, aggregate_type, events)?;
        let mut seen = head.clone();
        let deadline = Instant::now() + self.options.patience;
        let mut pause = Pause::short();
        loop {
            let attempt = wish.next_head(&seen, self.options.clock.now_us());
            let (reading, source) = match self.try_claim(&seen, &attempt, &wish).await {
                Ok(true) => return Ok(Claim { head: attempt, events: wish.events, settled: false }),
                Ok(false) => (Reading::Quorum, None),
                Err(e) if e.is_refusal() => return Err(Error::database("claim the next events", e)),
                Err(e) => (Reading::Serial, Some(e)),
            };
            let now = self.read_back(head.aggregate_id, reading, deadline).await?;
            match judge(&seen, wish.first_id(), now)? {
                Verdict::Ours(head) => return Ok(Claim { head, events: wish.events, settled: false }),
                Verdict::Passed { actual } => return self.settle_or_conflict(attempt, wish, actual).await,
                Verdict::TryAgain(moved) => seen = moved,
            }
            if Instant::now() >= deadline {
                let source = source.map(|e| Box::new(e) as _);
                return Err(Error::Busy { aggregate_id: head.aggregate_id, source });
            }
            pause.wait().await;
        }
    }

    /// The claim as the database has it now, asked for until it answers: without this nobody knows who has won.
    async fn read_back(
        &self,
        aggregate_id: Uuid,
        reading: Reading,
        deadline: Instant,
    ) -> Result<Option<Claimed>, Error> {
        let mut pause = Pause::short();
        loop {
            match self.read_claimed(aggregate_id, reading).await {
                Err(Error::Database { source, .. }) if Instant::now() >= deadline => {
                    return Err(Error::Busy { aggregate_id, source: Some(source) });
                }
                Err(Error::Database { .. }) => pause.wait().await,
                answer => return answer,
            }
        }
    }

    async fn try_claim(&self, seen: &Head, next: &Head, wish: &Wish) -> Result<bool, LwtError> {
        let now = CqlTimestamp(self.options.clock.now().as_millisecond());
        let (sequence, ts, count) = (next.sequence, next.claim_ts, next.count);
        let id = next.aggregate_id;
        let pending = wish.pending.as_str();
        if seen.sequence == 0 {
            let values = (sequence, ts, count, pending, now, id);
            return self.decide_lwt(&self.statements.claim_first, values).await;
        }
        let values = (sequence, ts, count, pending, now, id, seen.sequence, seen.claim_ts);
        self.decide_lwt(&self.statements.claim_next, values).await
    }

    /// Others have claimed after the state that we know. Usually they were faster; but if an earlier try of ours did
    /// win without our hearing of it, they have also published our events, and those tell by their ids.
    async fn settle_or_conflict(&self, ours: Head, wish: Wish, actual: i64) -> Result<Claim, Error> {
        const DOING: &str = "read the event at a sequence number";
        let first = &wish.events[0];
        let key = (first.aggregate_id, first.sequence_number);
        let result = Box::pin(self.session.execute_unpaged(&self.statements.event_id, key))
            .await
            .map_err(|e| Error::Busy { aggregate_id: first.aggregate_id, source: Some(Box::new(e)) })?;
        let rows = result.into_rows_result().map_err(|e| Error::database(DOING, e))?;
        let there = rows.maybe_first_row::<(Uuid,)>().map_err(|e| Error::database(DOING, e))?;
        if there == Some((first.event_id,)) {
            return Ok(Claim { head: ours, events: wish.events, settled: true });
        }
        let expected = first.sequence_number - 1;
        Err(Error::Conflict { aggregate_id: first.aggregate_id, expected, actual })
    }
}

/// The events of one append, ready to be claimed.
struct Wish {
    events: Vec<EventEnvelope>,
    pending: String,
}

impl Wish {
    fn new(
        store: &EventStore,
        head: &Head,
        aggregate_type: &str,
        events: Vec<NewEvent>,
    ) -> Result<Self, Error> {
        let aggregate_id = head.aggregate_id;
        let limit = store.options.max_append_bytes;
        let bytes = events.iter().map(NewEvent::size).sum();
        if bytes > limit {
            return Err(Error::TooLarge { aggregate_id, bytes, limit });
        }
        if events.is_empty() {
            return Err(Error::Options { problem: "a claim needs at least one event".to_owned() });
        }
        let created_at = store.options.clock.now();
        let events: Vec<EventEnvelope> = (head.sequence + 1..)
            .zip(events)
            .map(|(sequence_number, event)| EventEnvelope {
                event_id: event.event_id,
                event_type: event.event_type,
                event_version: event.event_version,
                aggregate_id,
                aggregate_type: aggregate_type.to_owned(),
                sequence_number,
                correlation_id: event.correlation_id,
                causation_id: event.causation_id,
                traceparent: event.traceparent,
                created_at,
                payload: event.payload,
            })
            .collect();
        let pending = serde_json::to_string(&events).map_err(|source| Error::Payload {
            event_type: events[0].event_type.clone(),
            event_version: events[0].event_version,
            source,
        })?;
        Ok(Self { events, pending })
    }

    fn first_id(&self) -> Uuid {
        self.events[0].event_id
    }

    /// Where the aggregate stands if the claim goes through on top of `seen`.
    fn next_head(&self, seen: &Head, now_us: i64) -> Head {
        let count = i32::try_from(self.events.len()).unwrap_or(i32::MAX);
        Head {
            aggregate_id: seen.aggregate_id,
            sequence: seen.sequence + i64::from(count),
            claim_ts: seen.next_ts(now_us),
            count,
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// Our events are the claimed ones.
    Ours(Head),
    /// The aggregate is still where we decided on it; only `claim_ts` may have moved.
    TryAgain(Head),
    /// Others have claimed after the state that we know.
    Passed { actual: i64 },
}

/// Who has won, from the row as it is after a claim that was not applied, or whose outcome is unknown.
fn judge(seen: &Head, first_id: Uuid, now: Option<Claimed>) -> Result<Verdict, Error> {
    let Some(now) = now else {
        return match seen.sequence {
            0 => Ok(Verdict::TryAgain(seen.clone())),
            sequence => Err(Error::corrupt(
                seen.aggregate_id,
                format!("its row in aggregate_sequence is gone, it was at {sequence}"),
            )),
        };
    };
    if now.pending.first().is_some_and(|e| e.event_id == first_id) {
        return Ok(Verdict::Ours(now.head));
    }
    match now.head.sequence.cmp(&seen.sequence) {
        std::cmp::Ordering::Greater => Ok(Verdict::Passed { actual: now.head.sequence }),
        std::cmp::Ordering::Equal => Ok(Verdict::TryAgain(now.head)),
        std::cmp::Ordering::Less => Err(Error::corrupt(
            seen.aggregate_id,
            format!("current_sequence went back from {} to {}", seen.sequence, now.head.sequence),
        )),
    }
}

#[cfg(test)]
mod tests;
