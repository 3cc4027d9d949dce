//! Events in the outbox of the orders example: a backlog, or a steady rate.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::statement::prepared::PreparedStatement;
use tokio::time::{MissedTickBehavior, interval};
use uuid::Uuid;

const INSERT: &str = "INSERT INTO orders_ks.outbox_messages (aggregate_id, sequence_number, id, event_id, event_type, \
                      event_version, payload, correlation_id, causation_id, created_at) \
                      VALUES (?, ?, ?, ?, ?, 1, ?, ?, ?, toTimestamp(now()))";

/// Inserts under way at the same time.
const PARALLEL: usize = 64;

/// Orders that take turns.
const AGGREGATES: u64 = 1000;

/// Where the time of a write stands in its payload, in microseconds since 1970.
const WRITTEN: &str = r#"{"written_us":"#;

/// The outbox, written to.
#[derive(Clone)]
pub(crate) struct Outbox {
    session: Arc<Session>,
    insert: PreparedStatement,
    aggregates: Arc<[Uuid]>,
}

impl Outbox {
    /// Lays the schema of the orders example.
    pub(crate) async fn lay(address: &str) -> anyhow::Result<Self> {
        let session = SessionBuilder::new().known_node(address).build().await?;
        weir_orders::lay_schema(&session).await?;
        let insert = session.prepare(INSERT).await?;
        let aggregates = (0..AGGREGATES).map(|_| Uuid::new_v4()).collect();
        Ok(Self { session: Arc::new(session), insert, aggregates })
    }

    /// Writes so many events as fast as the database takes them.
    pub(crate) async fn fill(&self, events: u64) -> anyhow::Result<()> {
        let writes = stream::iter(0..events).map(|number| self.clone().write(number));
        writes.map(tokio::spawn).buffer_unordered(PARALLEL).map(|write| write?).try_collect().await
    }

    /// Writes events at a steady rate for so long, whatever their latency; how many it were.
    pub(crate) async fn steadily(&self, rate: u32, time: Duration) -> anyhow::Result<u64> {
        let mut ticks = interval(Duration::from_secs(1) / rate);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let events = (time.as_secs_f64() * f64::from(rate)) as u64;
        let mut writes = tokio::task::JoinSet::new();
        for number in 0..events {
            ticks.tick().await;
            writes.spawn(self.clone().write(number));
            while let Some(written) = writes.try_join_next() {
                written??;
            }
        }
        while let Some(written) = writes.join_next().await {
            written??;
        }
        Ok(events)
    }

    /// The order of the event of this number, and its place there.
    pub(crate) fn key(&self, number: u64) -> anyhow::Result<(Uuid, i64)> {
        let aggregate = self.aggregates[(number % AGGREGATES) as usize];
        Ok((aggregate, i64::try_from(number / AGGREGATES)? + 1))
    }

    async fn write(self, number: u64) -> anyhow::Result<()> {
        let (aggregate, sequence) = self.key(number)?;
        let (id, cause) = (Uuid::new_v4(), Uuid::new_v4());
        let values = (aggregate, sequence, id, id, "OrderItemAdded", payload(number), cause, cause);
        self.session.execute_unpaged(&self.insert, values).await?;
        Ok(())
    }
}

/// About 300 bytes, as an event of an order has them.
fn payload(number: u64) -> String {
    format!(
        r#"{WRITTEN}{},"order_id":"b2f7c1de-{number:012}","customer_id":"5d3c0a52-7c0e-4a67-9a0b-0c1f9c1b8b11","items":[{{"sku":"WEIR-{:05}","name":"Low dam, cast concrete","quantity":{},"unit_cents":{}}}],"currency":"EUR","total_cents":{},"shipping":{{"city":"Ghent","street":"Visserij 12","zip":"9000"}}}}"#,
        now(),
        number % 100_000,
        1 + number % 9,
        100 + number % 10_000,
        100 * number % 1_000_000,
    )
}

/// When the event with this payload was about to be written.
pub(crate) fn written(payload: &[u8]) -> Option<u64> {
    let digits = payload.strip_prefix(WRITTEN.as_bytes())?;
    let end = digits.iter().position(|byte| *byte == b',')?;
    std::str::from_utf8(&digits[..end]).ok()?.parse().ok()
}

/// Microseconds since 1970.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}
