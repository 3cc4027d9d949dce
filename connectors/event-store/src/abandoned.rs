//! Finishing appends that stopped half-way and whose aggregates nobody loads.
use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use scylla::DeserializeRow;
use scylla::response::{PagingState, PagingStateResponse};
use uuid::Uuid;

use crate::statements::Preparing;
use crate::{Error, EventStore};

/// Aggregates that are looked at at the same time.
const AT_A_TIME: usize = 16;

const DOING: &str = "look for appends that stopped half-way";

/// A claim, as far as it tells whether somebody should look.
#[derive(Debug, DeserializeRow)]
struct Recent {
    aggregate_id: Uuid,
    current_sequence: i64,
    claim_ts: i64,
    pending_count: i32,
}

impl EventStore {
    /// Finishes every append of the last `within` that stopped between its two steps; how many there were.
    ///
    /// A load finishes what it meets. What a writer that was killed left behind in an aggregate that nobody loads again
    /// is decided, and yet neither in the event store nor in the outbox: this finds it. An application calls it at its
    /// start, with the time that it may have been down, and from then on every few minutes with twice that time. Any
    /// number of processes may do so at once. It reads `aggregate_sequence` whole, filtered by the server, and one row
    /// for each aggregate that was written to in that time.
    ///
    /// # Errors
    /// [`Error::Database`] when the claims cannot be read, and those of [`EventStore::load`] for the first append that
    /// cannot be finished; the others are finished by the next call.
    pub async fn finish_abandoned(&self, within: Duration) -> Result<u64, Error> {
        let prepare = Preparing { session: &self.session, options: &self.options };
        let statement = prepare
            .read(&format!(
                "SELECT aggregate_id, current_sequence, claim_ts, pending_count FROM {}.{} WHERE claim_ts > ? \
                 ALLOW FILTERING",
                self.options.keyspace, self.options.aggregate_sequence
            ))
            .await?;
        let within = i64::try_from(within.as_micros()).unwrap_or(i64::MAX);
        let since = self.options.clock.now_us().saturating_sub(within);
        let (mut finished, mut state) = (0, PagingState::start());
        loop {
            let page = Box::pin(self.session.execute_single_page(&statement, (since,), state)).await;
            let (page, next) = page.map_err(|e| Error::database(DOING, e))?;
            let rows = page.into_rows_result().map_err(|e| Error::database(DOING, e))?;
            let claims = rows.rows::<Recent>().map_err(|e| Error::database(DOING, e))?;
            let claims: Vec<_> = claims.collect::<Result<_, _>>().map_err(|e| Error::database(DOING, e))?;
            let looks = stream::iter(claims.into_iter().map(|claim| self.finish(claim)));
            let looks = looks.buffer_unordered(AT_A_TIME);
            finished += looks.try_fold(0, async |sum, done| Ok(sum + u64::from(done))).await?;
            match next {
                PagingStateResponse::HasMorePages { state: next } => state = next,
                PagingStateResponse::NoMorePages => return Ok(finished),
            }
        }
    }

    /// Whether there was something to finish. A claim that is new still has its writer.
    async fn finish(&self, claim: Recent) -> Result<bool, Error> {
        let Recent { aggregate_id, current_sequence, claim_ts, pending_count } = claim;
        let age = self.options.clock.now_us().saturating_sub(claim_ts);
        if Duration::from_micros(u64::try_from(age).unwrap_or(0)) < self.options.recover_after {
            return Ok(false);
        }
        let last = self.execute(&self.statements.event_id, (aggregate_id, current_sequence)).await;
        let last = last.map_err(|e| Error::database(DOING, e))?;
        let last = last.into_rows_result().map_err(|e| Error::database(DOING, e))?;
        if last.maybe_first_row::<(Uuid,)>().map_err(|e| Error::database(DOING, e))?.is_some() {
            return Ok(false);
        }
        self.load_after(aggregate_id, current_sequence - i64::from(pending_count)).await.map(|_| true)
    }
}
