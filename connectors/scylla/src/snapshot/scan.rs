//! The statement that reads a table range by range, and what its rows are to us.

use std::sync::Arc;

use scylla::client::session::Session;
use scylla::response::PagingState;
use scylla::response::query_result::QueryRowsResult;
use scylla::statement::prepared::PreparedStatement;
use weir_sdk::config::Problem;
use weir_sdk::{Error, HeaderName, Packing, Partition, Record};

use crate::outbox::mapping::Mapping;
use crate::outbox::record::{Draft, packer};
use crate::reader::fetch::Paged;
use crate::reader::statement::{Answer, Page};
use crate::reader::table::{Table, refused};
use crate::reader::time::Micros;
use crate::reader::{SOURCE_POSITION, SOURCE_TIME};
use crate::session::errors::Classify;
use crate::session::page::{Cell, Rows, fixed, misshapen};
use crate::session::schema::quote;
use crate::snapshot::SNAPSHOT;
use crate::snapshot::ranges::Left;

/// Reads the rows of a table as events.
pub struct Scan {
    session: Arc<Session>,
    statement: PreparedStatement,
    mapping: Mapping,
    headers: Arc<[HeaderName]>,
    partition: Partition,
    /// What was written since is left to the log.
    until: Micros,
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
        Ok(Self { session, statement, mapping, headers, partition: "snapshot".into(), until })
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

impl Paged for Scan {
    type Part = Left;
    type Row = Found;

    async fn ask(&self, range: &Left, from: PagingState) -> Result<Answer, Error> {
        let tokens = (range.after, range.end);
        let answer = self.session.execute_single_page(&self.statement, tokens, from).await;
        let (answer, next) = answer.map_err(|error| error.classify().context("read the table"))?;
        Answer::of(answer, next)
    }

    fn decode(&self, answer: Answer) -> Result<Page<Found>, Error> {
        answer.page(|page| self.rows(page))
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
