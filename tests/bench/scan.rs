//! The bare scan: the raw driver reads the table of the outbox by ranges of tokens, as Weir does for a snapshot.

use std::sync::Arc;

use anyhow::Context as _;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::response::PagingState;
use scylla::response::query_result::QueryRowsResult;
use scylla::statement::prepared::PreparedStatement;
use scylla::value::CqlTimestamp;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::bare::{self, PAGE, PARALLEL, Row};

const RANGES: i128 = 256;

const TABLE: &str = r#"SELECT token(aggregate_id), writetime(payload), event_id, event_type, event_version, aggregate_id,
    sequence_number, correlation_id, causation_id, created_at, payload
    FROM orders_ks.outbox_messages WHERE token(aggregate_id) > ? AND token(aggregate_id) <= ? BYPASS CACHE"#;

type Found<'a> = (i64, i64, Uuid, &'a str, i32, Uuid, i64, Uuid, Uuid, CqlTimestamp, &'a str);

/// Reads the whole table, range by range.
pub(crate) async fn read(cql: String, pages: mpsc::Sender<QueryRowsResult>) -> anyhow::Result<()> {
    let session = Arc::new(SessionBuilder::new().known_node(cql).build().await?);
    let mut table = session.prepare(TABLE).await?;
    table.set_page_size(PAGE);
    let ranges = stream::iter(ranges())
        .map(|range| tokio::spawn(read_range(session.clone(), table.clone(), range, pages.clone())));
    ranges.buffer_unordered(PARALLEL).map(|range| range?).try_collect().await
}

/// All tokens, in ranges of equal length.
fn ranges() -> impl Iterator<Item = (i64, i64)> {
    let end = |number: i128| (i128::from(i64::MIN) + (1 << 64) * number / RANGES).min(i64::MAX.into()) as i64;
    (0..RANGES).map(move |number| (end(number), end(number + 1)))
}

async fn read_range(
    session: Arc<Session>,
    table: PreparedStatement,
    range: (i64, i64),
    pages: mpsc::Sender<QueryRowsResult>,
) -> anyhow::Result<()> {
    let mut state = PagingState::start();
    loop {
        let (page, next) = session.execute_single_page(&table, range, state).await?;
        if pages.send(page.into_rows_result()?).await.is_err() {
            return Ok(());
        }
        match next.into_paging_control_flow().continue_value() {
            Some(next) => state = next,
            None => return Ok(()),
        }
    }
}

/// The rows of a page as those of the log: inserts, at the time of their write.
pub(crate) fn rows(page: &QueryRowsResult) -> anyhow::Result<impl Iterator<Item = anyhow::Result<Row<'_>>>> {
    let rows = page.rows::<Found<'_>>().context("a page of the table")?;
    Ok(rows.map(|row| {
        let (_, written, event, of, version, aggregate, number, correlation, cause, created, payload) = row?;
        let time = bare::first_at(written);
        Ok((
            &[0; 16][..],
            time,
            0,
            2,
            event,
            of,
            version,
            aggregate,
            number,
            correlation,
            cause,
            created,
            payload,
        ))
    }))
}
