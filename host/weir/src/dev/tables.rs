//! What the three projections show of each order, against the last word on it.
//!
//! The application's own queries read them, as any reader of theirs would; the sinks that wrote them are not asked.

use std::collections::HashMap;
use std::sync::Arc;

use scylla::client::session::Session;
use scylla::value::CqlTimestamp;
use uuid::Uuid;
use weir_event_store::{DomainEvent as _, EventEnvelope};
use weir_orders::{KEYSPACE, OrderEvent};

/// The tables that [`weir_orders::PROJECTIONS`] keeps. The sink of each has its name, with `-` for `_`.
const TABLES: [&str; 3] = ["order_read_model", "orders_by_customer", "orders_by_status"];

/// What an event says of its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) event_id: Uuid,
    order_id: Uuid,
    number: i64,
    status: &'static str,
    /// Milliseconds since 1970.
    at: i64,
}

impl Word {
    /// What an event of the example says.
    pub(crate) fn of(event: &EventEnvelope) -> Self {
        let said = OrderEvent::decode(&event.event_type, event.event_version, &event.payload)
            .expect("the application wrote it a moment ago");
        Self {
            event_id: event.event_id,
            order_id: event.aggregate_id,
            number: event.sequence_number,
            status: said.about.status.name(),
            at: event.created_at.as_millisecond(),
        }
    }
}

/// The last word on each order.
#[derive(Debug, Default)]
pub(crate) struct LastWords(HashMap<Uuid, Word>);

/// What one table shows.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Shown {
    pub(crate) table: &'static str,
    /// Orders that stand in it once, as their last event says.
    pub(crate) right: usize,
    /// Orders that it lacks, has twice, or shows as they were.
    pub(crate) wrong: usize,
}

impl Shown {
    /// The sink that keeps it.
    pub(crate) fn sink(&self) -> String {
        self.table.replace('_', "-")
    }
}

impl LastWords {
    /// An order's events may come in any order.
    pub(crate) fn heard(&mut self, word: Word) {
        let last = self.0.entry(word.order_id).or_insert_with(|| word.clone());
        if last.number < word.number {
            *last = word;
        }
    }

    /// How many orders there are.
    pub(crate) fn orders(&self) -> usize {
        self.0.len()
    }

    /// Reads the tables; none where there are no orders. A table that cannot be read shows nothing.
    pub(crate) async fn shown(&self, session: &Arc<Session>) -> Vec<Shown> {
        let mut tables = Vec::new();
        for table in TABLES.iter().filter(|_| self.orders() > 0) {
            let rows = rows(session, table).await.unwrap_or_else(|error| {
                tracing::debug!(table, %error, "a projection cannot be read");
                Vec::new()
            });
            tables.push(self.compared(table, rows));
        }
        tables
    }

    fn compared(&self, table: &'static str, rows: Vec<Row>) -> Shown {
        let mut found: HashMap<Uuid, (usize, usize)> = HashMap::new();
        for (order, status, at) in rows {
            let (all, right) = found.entry(order).or_default();
            let word = self.0.get(&order);
            let is_last = word.is_some_and(|word| {
                status.as_deref() == Some(word.status) && at.map(|at| at.0) == Some(word.at)
            });
            *all += 1;
            *right += usize::from(is_last);
        }
        let right = self.0.keys().filter(|order| found.get(order) == Some(&(1, 1))).count();
        Shown { table, right, wrong: self.orders() - right }
    }
}

type Row = (Uuid, Option<String>, Option<CqlTimestamp>);

async fn rows(session: &Session, table: &str) -> anyhow::Result<Vec<Row>> {
    let select = format!("SELECT order_id, status, updated_at FROM {KEYSPACE}.{table}");
    let answer = session.query_unpaged(select, &[]).await?.into_rows_result()?;
    Ok(answer.rows::<Row>()?.collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use super::{LastWords, Shown, Word};
    use scylla::value::CqlTimestamp;
    use uuid::Uuid;

    fn word(order: u128, number: i64, status: &'static str) -> Word {
        let (event_id, order_id) = (Uuid::new_v4(), Uuid::from_u128(order));
        Word { event_id, order_id, number, status, at: number }
    }

    #[test]
    fn an_order_is_right_once_and_as_its_last_event_says() {
        let mut words = LastWords::default();
        for order in 1..=5 {
            words.heard(word(order, 2, "confirmed"));
            words.heard(word(order, 1, "created"));
        }
        let row = |order: u128, status: &str, at| {
            (Uuid::from_u128(order), Some(status.to_owned()), Some(CqlTimestamp(at)))
        };
        let rows = vec![
            row(1, "confirmed", 2),
            row(2, "created", 1),
            row(3, "confirmed", 2),
            row(3, "created", 1),
            row(4, "confirmed", 1),
            row(9, "confirmed", 2),
        ];
        let shown = words.compared("orders_by_status", rows);
        assert_eq!(shown, Shown { table: "orders_by_status", right: 1, wrong: 4 });
        assert_eq!(shown.sink(), "orders-by-status");
    }
}
