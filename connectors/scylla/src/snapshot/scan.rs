//! The pages of a table, range by range, a few ranges at the same time.

use std::sync::Arc;

use futures::stream::{BoxStream, Stream, StreamExt, iter, unfold};
use scylla::client::session::Session;
use scylla::response::PagingState;
use scylla::response::query_result::QueryRowsResult;
use scylla::statement::prepared::PreparedStatement;
use weir_sdk::config::Problem;
use weir_sdk::{Error, ErrorKind, HeaderName, Packing, Partition, Record};

use crate::outbox::mapping::Mapping;
use crate::outbox::record::{Draft, packer};
use crate::reader::table::{Table, refused};
use crate::reader::time::Micros;
use crate::reader::{SOURCE_POSITION, SOURCE_TIME};
use crate::session::errors::{Classify, shape};
use crate::session::page::{Cell, Rows, fixed, misshapen};
use crate::session::schema::quote;
use crate::snapshot::SNAPSHOT;

/// Ranges read at the same time: what waits is a page of each.
const PARALLEL: usize = 4;

/// Reads the rows of a table as events.
#[derive(Clone)]
pub struct Scan {
    session: Arc<Session>,
    statement: PreparedStatement,
    mapping: Arc<Mapping>,
    headers: Arc<[HeaderName]>,
    partition: Partition,
    /// What was written since is left to the log.
    until: Micros,
}

/// Pages as they come: those of one range in their order.
pub type Pages = BoxStream<'static, Result<Page, Error>>;

/// A page of one range.
pub struct Page {
    /// The number of the range.
    pub range: u32,
    /// Its rows, by token.
    pub rows: Vec<Found>,
    /// None follows in this range.
    pub last: bool,
}

/// A row of the table.
pub struct Found {
    /// The token of its partition.
    pub token: i64,
    /// What it takes of a batch's room; 0 where it is no event.
    pub size: usize,
    /// What it is to us.
    pub content: Content,
}

/// What a row of the table is to us.
pub enum Content {
    /// An event.
    Event(Record),
    /// Lacks a required column.
    Incomplete,
    /// Comes through the log.
    Later,
}

impl Scan {
    /// Prepares the reading of a table; rows that were written at `until` or later are passed over.
    ///
    /// # Errors
    /// `Config` when no mapped column tells when its row was written.
    pub async fn prepare(
        session: Arc<Session>,
        table: &Table,
        mapping: Mapping,
        page_size: u32,
        until: Micros,
    ) -> Result<Self, Error> {
        let key: Vec<_> = table.partition_key().iter().map(|column| quote(column)).collect();
        let (key, written) = (key.join(", "), quote(written(table, &mapping)?));
        let text = format!(
            "SELECT token({key}), writetime({written}){columns} FROM {table} WHERE token({key}) > ? AND token({key}) <= ? \
             BYPASS CACHE",
            columns = mapping.selected(),
            table = table.quoted(),
        );
        let statement = session.prepare(text).await;
        let mut statement =
            statement.map_err(|error| error.classify().context("prepare the reading of the table"))?;
        statement.set_page_size(i32::try_from(page_size).unwrap_or(i32::MAX));
        statement.set_is_idempotent(true);
        let headers = mapping.headers(&[SOURCE_POSITION, SOURCE_TIME, SNAPSHOT]);
        Ok(Self { session, statement, mapping: mapping.into(), headers, partition: "snapshot".into(), until })
    }

    /// The pages of these ranges: number, the token behind which to begin, and the last token.
    pub fn pages(&self, ranges: Vec<(u32, i64, i64)>) -> Pages {
        let scan = self.clone();
        iter(ranges)
            .map(move |range| scan.clone().range(range).boxed())
            .flatten_unordered(PARALLEL)
            .fuse()
            .boxed()
    }

    /// After an error the next page is the one that failed.
    fn range(self, range: (u32, i64, i64)) -> impl Stream<Item = Result<Page, Error>> {
        unfold(Some(PagingState::start()), move |state| {
            let scan = self.clone();
            async move {
                let state = state?;
                Some(match scan.page(range, state.clone()).await {
                    Ok((page, next)) => (Ok(page), next),
                    Err(error) => (Err(error), Some(state)),
                })
            }
        })
    }

    async fn page(
        &self,
        (range, after, end): (u32, i64, i64),
        state: PagingState,
    ) -> Result<(Page, Option<PagingState>), Error> {
        let answer = self.session.execute_single_page(&self.statement, (after, end), state).await;
        let (answer, next) = answer.map_err(|error| error.classify().context("read the table"))?;
        let (scan, answer) = (self.clone(), answer.into_rows_result().map_err(shape)?);
        // A task of its own, so that pages of several ranges are decoded at the same time.
        let rows = tokio::spawn(async move { scan.rows(&answer) }).await;
        let rows =
            rows.map_err(|crash| Error::new(ErrorKind::Bug, "reading the table crashed").caused_by(crash))??;
        let next = next.into_paging_control_flow().continue_value();
        Ok((Page { range, rows, last: next.is_none() }, next))
    }

    fn rows(&self, page: &QueryRowsResult) -> Result<Vec<Found>, Error> {
        let mut packer = packer(&self.headers, page);
        let mut found = Vec::with_capacity(page.rows_num());
        let mut rows = Rows::of(page)?;
        while let Some(cells) = rows.next()? {
            found.push(self.found(cells, packer.begin())?);
        }
        Ok(found)
    }

    fn found(&self, cells: &[Cell<'_>], headers: Packing<'_>) -> Result<Found, Error> {
        let [token, written, columns @ ..] = cells else { return Err(misshapen("columns are missing")) };
        let token = i64::from_be_bytes(fixed(Some(token))?);
        let written = written.map(|_| fixed(Some(written))).transpose()?.map(i64::from_be_bytes);
        let found = |size, content| Ok(Found { token, size, content });
        if written.is_some_and(|written| written >= self.until) {
            return found(0, Content::Later);
        }
        let (Some(written), Some(mut draft)) = (written, Draft::of(&self.mapping, columns, headers)) else {
            return found(0, Content::Incomplete);
        };
        let id = String::from_utf8_lossy(draft.get("event_id")).into_owned();
        draft.mark("true");
        let record = draft.at(written, format_args!("snapshot:{token}:{id}"), &self.partition);
        found(record.size(), Content::Event(record))
    }
}

/// The column whose time of writing is the event's: one that every event has and that is no part of the key.
fn written<'a>(table: &Table, mapping: &'a Mapping) -> Result<&'a str, Error> {
    let mut required =
        mapping.columns.iter().filter(|mapped| mapped.required).map(|mapped| mapped.column.as_str());
    required.find(|column| table.is_regular(column)).ok_or_else(|| {
        let message =
            format!("all columns that an event of {} must have are parts of its key", table.quoted());
        let help = "a key has no time of writing; map `payload` to another column, or leave the snapshot out";
        refused(vec![Problem::new("/snapshot", message).help(help)])
    })
}
