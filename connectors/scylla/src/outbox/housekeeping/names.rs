//! The names of the log once more, each with the key of the row in the table that it is of.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use scylla::client::session::Session;
use scylla::response::query_result::QueryRowsResult;
use weir_sdk::Error;

use crate::hub::shared::Shared;
use crate::outbox::record::COUNTED;
use crate::reader::fetch::Fetch;
use crate::reader::progress::Kept;
use crate::reader::row::RowId;
use crate::reader::statement::{KEY_COLUMNS, Key, Statement};
use crate::reader::table::Table;
use crate::reader::tally::{Minute, Tally, seconds};
use crate::reader::time::{Bucket, begin};
use crate::session::page::Rows;
use crate::session::schema::quote;

/// Rows of a page.
const PAGE: u32 = 5_000;
/// Rows that are held at a time, about: a second with more is read as a whole.
const ROWS: u64 = 20_000;

/// Reads names.
pub struct Names {
    statement: Arc<Statement<Named>>,
    shared: Arc<Shared>,
}

/// The name of a row of the log, and the row of the table that it is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Its name.
    pub id: RowId,
    /// The values of the table's primary key, as the server writes them; `None` where it is of no single row.
    pub key: Option<Vec<Bytes>>,
}

impl Names {
    /// Prepares to read them of the log that these seats share.
    pub async fn prepare(session: Arc<Session>, table: &Table, shared: Arc<Shared>) -> Result<Self, Error> {
        let key: String = table.primary_key().map(|column| format!(", {}", quote(column))).collect();
        let selected = format!("{KEY_COLUMNS}{key}");
        let statement = Statement::prepare(session, &table.log(), &selected, PAGE, Arc::new(decode)).await?;
        Ok(Self { statement: Arc::new(statement), shared })
    }

    /// Every row of these seconds that consumers count.
    pub async fn of(&self, seconds: Range<Bucket>) -> Result<Vec<Named>, Error> {
        let (from, to) = (begin(seconds.start), begin(seconds.end));
        let parts = self.shared.cluster().await.streams.parts(from, to).await?;
        let (mut fetch, mut rows) = (Fetch::new(self.statement.clone(), parts), Vec::new());
        while let Some((_, page)) = fetch.next().await? {
            rows.extend(page.rows);
        }
        Ok(rows)
    }
}

fn decode(page: &QueryRowsResult) -> Result<Vec<Named>, Error> {
    let mut rows = Vec::with_capacity(page.rows_num());
    let mut cells = Rows::of(page)?;
    while let Some(cells) = cells.next()? {
        let name = Key::of(cells)?;
        if COUNTED.has(name.operation) == Kept::No {
            continue;
        }
        let key = cells[Key::COLUMNS..].iter().map(|cell| cell.map(|cell| cell.to_bytes())).collect();
        rows.push(Named { id: name.id, key });
    }
    Ok(rows)
}

/// The seconds of a minute in stretches, each of which is worth one read, by what consumers say of their rows.
pub fn stretches(minute: Minute, consumers: &[Tally]) -> Vec<Range<Bucket>> {
    let most = |second| consumers.iter().map(|tally| tally.of(second).rows).max().unwrap_or(0);
    let (mut stretches, mut rows) = (Vec::<Range<Bucket>>::new(), 0);
    for second in seconds(minute) {
        rows += most(second);
        match stretches.last_mut() {
            Some(last) if rows <= ROWS => last.end = second + 1,
            Some(_) | None => {
                stretches.push(second..second + 1);
                rows = most(second);
            }
        }
    }
    stretches
}

#[cfg(test)]
mod tests {
    use super::{ROWS, seconds, stretches};
    use crate::reader::unsettled::Sum;

    #[test]
    fn a_quiet_minute_is_read_at_once_and_a_busy_one_in_pieces() {
        let second = |second: i64, rows| (120 + second, Sum { rows, hashes: 1 });
        let quiet = [[second(7, 3), second(59, 4)].into_iter().collect()];
        assert_eq!(stretches(2, &quiet), vec![seconds(2)]);
        let busy =
            [(0..60).map(|at| second(at, ROWS / 4)).collect(), [second(7, ROWS * 3)].into_iter().collect()];
        let lengths: Vec<_> = stretches(2, &busy).iter().map(|part| part.end - part.start).collect();
        assert_eq!(lengths.iter().sum::<i64>(), 60);
        assert_eq!(lengths[..4], [4, 3, 1, 4]);
    }
}
